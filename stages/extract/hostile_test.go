package extract

import (
	"fmt"
	"strings"
)

// hostile returns pages made to cost more than their size.
func hostile() map[string]string {
	const link = "text <a href=/x>link</a>"
	var attrs, hidden strings.Builder
	for i := range 400 {
		fmt.Fprintf(&attrs, "<b x=%d>", i)
		fmt.Fprintf(&hidden, "<b x=%d><marquee></b></marquee>", i)
	}
	return map[string]string{
		"deep":            strings.Repeat("<div>", 200_000) + link,
		"deep inline":     strings.Repeat("<span>", 200_000) + link,
		"deep tables":     strings.Repeat("<table><tr><td>", 50_000) + link,
		"reopened":        link + attrs.String() + strings.Repeat("<p>", 300_000),
		"reopened hidden": link + hidden.String() + strings.Repeat("<p>", 300_000),
		"many":            link + strings.Repeat("<i></i>", 1_000_000),
		"foster":          "<table>" + strings.Repeat("<div>x", 100_000) + link,
		"misnested":       strings.Repeat("<b><i></b>", 100_000) + link,
		"select":          link + strings.Repeat("<select><option>", 100_000),
		"attributes":      link + "<p " + strings.Repeat("a=b ", 500_000) + ">",
		"comments":        link + strings.Repeat("<!---->", 300_000),
		"open comment":    link + "<!--" + strings.Repeat("-", 1_000_000),
		"templates":       link + strings.Repeat("<template>", 100_000),
		"svg":             link + strings.Repeat("<svg>", 100_000),
		"forms":           link + strings.Repeat("<form><input>", 100_000),
		"entities":        link + strings.Repeat("&amp", 500_000),
		"zeros":           link + strings.Repeat("\x00", 1_000_000),
		"frames":          "<a href=/x>link</a> text<frameset>" + strings.Repeat("<frame>", 100_000),
	}
}
