package extract

import (
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/stages"
)

// hostileSize is about how large hostile pages are, in bytes. Some costs show in large
// pages only.
var hostileSize = flag.Int("hostile.size", 64<<10, "bytes of a hostile page")

// hostile returns pages made to cost more than their size.
func hostile() map[string]string {
	pages := make(map[string]string)
	fill := func(piece string) string { return strings.Repeat(piece, *hostileSize/len(piece)) }
	const link = "text <a href=/x>link</a>"
	// Each element, deep and wide, alone and in others.
	for _, e := range strings.Fields("div span p a b i code pre ul li ol dl dt dd table tr td th thead caption blockquote section article main nav aside " +
		"header footer form button label details summary figure figcaption h1 h6 noscript template math svg ruby br hr img input select option " +
		"textarea iframe object x-card font center em del tt kbd") {
		open, closed := "<"+e+">", "</"+e+">"
		pages[e+" deep"] = link + fill(open+"x")
		pages[e+" wide"] = link + fill(open+"x y. "+closed)
		pages[e+" in tables"] = link + fill("<table><tr><td>"+open+"x")
	}
	// What other parts look at.
	var attrs, hidden strings.Builder
	for i := range 400 {
		fmt.Fprintf(&attrs, "<b x=%d>", i)
		fmt.Fprintf(&hidden, "<b x=%d><marquee></b></marquee>", i)
	}
	for name, page := range map[string]string{
		"reopened":           attrs.String() + fill("<p>"),
		"reopened hidden":    hidden.String() + fill("<p>x"),
		"foster":             "<table>" + fill("<div>x"),
		"misnested":          fill("<b><i></b>x"),
		"misnested links":    fill("<a href=/y><p>x</a>"),
		"attributes":         "<p " + fill("a=b ") + ">x",
		"classes":            "<p class='" + fill("aB-c1_d ") + "'>x",
		"many classes":       fill("<p class='a b c d e f g h i'>x"),
		"one class":          "<p class=" + fill("aB1-") + ">x",
		"style":              "<p style='" + fill("display : none; ") + "'>x",
		"comments":           fill("<!---->x"),
		"open comment":       "<!--" + fill("-"),
		"entities":           fill("&amp"),
		"noscript frames":    fill("<noscript><iframe>x</noscript>"),
		"open noscript":      fill("<noscript><iframe>x"),
		"streamed":           fill(`<template id="B:0"></template><div id="S:0"><script>$RC("B:0","S:0")</script>`),
		"zeros":              fill("\x00"),
		"not UTF-8":          fill("\xff\xfe\x80 "),
		"no spaces":          fill("x"),
		"no stops":           fill("word "),
		"colons":             fill("a:b:"),
		"stops":              fill("a. "),
		"pipes":              fill("| "),
		"stars":              fill("*a* "),
		"open stars":         fill("**a "),
		"brackets":           fill("[a]( "),
		"backticks":          fill("`"),
		"backticks in code":  fill("<code>`</code>a"),
		"backticks in pre":   "<pre>" + fill("`"),
		"lines in pre":       "<pre>" + fill("\n"),
		"tabs in pre":        "<pre>" + fill("\t \n"),
		"breaks":             fill("a<br>"),
		"breaks in bold":     "<b>" + fill("a<br><br>"),
		"bold after bold":    fill("<b>a</b><i>b</i>"),
		"bold in bold":       fill("<b>a<b>b</b>"),
		"spans":              fill("<span>a</span>"),
		"wide spans":         fill("<td colspan=1000 rowspan=1000>x"),
		"rows of spans":      "<table>" + fill("<tr><td rowspan=65534 colspan=1000>x<td>y"),
		"cells":              "<table><tr>" + fill("<td>x"),
		"headings":           fill("<h2>x</h2>"),
		"lists in lists":     fill("<ul><li>x<ol><li>y"),
		"quotes in lists":    fill("<ul><li><blockquote>x"),
		"the same text":      fill("<p>the same eight words in every one of these paragraphs</p>"),
		"cards":              fill("<div class=card><a href=/x>title</a><p>some words</p></div>"),
		"dates":              fill("<time datetime=2025-01-02>2 January 2025</time>"),
		"bylines":            fill("<div class=author>by Ann Miller</div>"),
		"deep bylines":       fill("<div class='author date'>"),
		"wide bylines":       "<div class=author>" + fill("<b class=date>x</b>"),
		"titles":             "<title>" + fill("word ") + "</title><p>word word",
		"JSON-LD":            `<script type="application/ld+json">[` + fill(`{"@type":"Product","description":"x"},`) + `{}]</script>`,
		"deep JSON-LD":       `<script type="application/ld+json">` + fill(`{"@graph":[`) + `</script>`,
		"text of JSON-LD":    `<script type="application/ld+json">{"articleBody":"` + fill(`<p>a &amp;lt; `) + `"}</script>`,
		"authors of JSON-LD": `<script type="application/ld+json">{"author":[` + fill(`{"name":"Ann Miller"},`) + `{}]}</script>`,
		"images":             "<div><div><div>" + fill("<img src=a>"),
		"images in figures":  fill("<figure><img src=a><figcaption>x</figcaption></figure>"),
		"frames":             "<frameset>" + fill("<frame src=a>"),
		"Chinese":            fill("堰堤"),
		"Thai":               fill("ฝาย"),
		"Arabic":             fill("<p>سد مائي"),
		"combining":          "e" + fill("\u0301"),
		"bidirectional":      fill("\u202ea"),
	} {
		pages[name] = link + page
	}
	return pages
}

// Each of some two hundred hostile pages costs less than two seconds of the
// processor and 300 MB of allocations beyond its tree, and fails nothing.
func TestHostilePages(t *testing.T) {
	pages := hostile()
	if len(pages) < 200 {
		t.Fatalf("%d pages", len(pages))
	}
	x := &Extractor{Mode: ModeAccurate, Markdown: true, Links: true, Images: true}
	for name, page := range pages {
		t.Run(name, func(t *testing.T) {
			utf8Page, _ := stages.ToUTF8([]byte(page), "")
			d := stages.ParseDocument(utf8Page, "http://e.example/", nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := cputime.Used()
			got := x.Extract(t.Context(), d, "")
			took := cputime.Used() - began
			runtime.ReadMemStats(&after)
			if !utf8.ValidString(got.Text) || !utf8.ValidString(got.Markdown) {
				t.Error("not UTF-8")
			}
			if got.Text == "" {
				t.Errorf("no text: %s", got.Note)
			}
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 300 || took.Seconds() > 2 {
				t.Errorf("took %v and %d MB for %d nodes, flat %v", took, mb, d.Nodes(), d.Flat())
			}
		})
	}
}
