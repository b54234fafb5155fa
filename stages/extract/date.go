package extract

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

// Dates are taken from where they are surest: what the metadata name; what an
// element says for machines; the page's address; what a short text near the
// beginning says.

// publishedFields are the names under which metadata give the date of
// publication, best first.
var publishedFields = []string{
	"article:published_time", "og:published_time", "og:article:published_time", "article:published", "datepublished", "publish-date",
	"publish_date", "publishdate", "published-date", "publication_date", "pubdate", "dc.date.issued", "dcterms.issued", "dc.date.published",
	"parsely-pub-date", "sailthru.date", "citation_publication_date", "citation_date", "cxenseparse:recs:publishtime",
	"article.published", "shareaholic:article_published_time", "dcterms.created", "dc.date.created", "dcterms.date", "dc.date", "date",
}

// metaDate returns the date of publication that the metadata name, or "".
func metaDate(m *stages.Meta, p *content.Page) string {
	for _, key := range publishedFields[:2] {
		if s := normalDate(m.OpenGraph[key]); s != "" {
			return s
		}
	}
	if s := normalDate(objectString(p, "datePublished")); s != "" {
		return s
	}
	for _, key := range publishedFields {
		if s := normalDate(firstOf(m.OpenGraph[key], m.Fields[key])); s != "" {
			return s
		}
	}
	return normalDate(firstOf(objectString(p, "dateCreated"), objectString(p, "uploadDate")))
}

// pageDate returns the date that the page shows, or "". first is the first
// block of the main text; lines stand around its heading.
func pageDate(d *stages.Document, hints, lines []content.Hint, first int) string {
	for _, h := range hints {
		if h.Strong {
			if s := firstOf(normalDate(h.Value), findDate(h.Text)); s != "" {
				return s
			}
		}
	}
	if s := addressDate(d.URL); s != "" {
		return s
	}
	// What stands closest to the beginning of the text.
	best, distance := "", 40
	for _, h := range hints {
		s := firstOf(normalDate(h.Value), findDate(h.Text))
		if s == "" {
			continue
		}
		away := first - h.Block
		if away < 0 {
			away = -away
		}
		if away < distance {
			best, distance = s, away
		}
	}
	if best != "" {
		return best
	}
	for _, l := range lines {
		if s := findDate(l.Text); s != "" {
			return s
		}
	}
	return ""
}

// addressDate returns the date in an address such as /2025/03/04/the-weir.
func addressDate(address string) string {
	parts := strings.Split(address, "/")
	for i := 0; i+2 < len(parts); i++ {
		y, m, d := number(parts[i]), number(parts[i+1]), number(parts[i+2])
		if len(parts[i]) == 4 && len(parts[i+1]) <= 2 && len(parts[i+2]) <= 2 {
			if s := validDate(y, m, d); s != "" {
				return s
			}
		}
	}
	return ""
}

// normalDate returns a date in RFC 3339, or as a date alone, or "" if it is in
// no form that metadata should have.
func normalDate(s string) string {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > 64 {
		return ""
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04",
		"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04", "2006-01-02T15:04:05.999Z0700",
		time.RFC1123Z, time.RFC1123, time.RFC850, time.ANSIC,
	} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 1900 {
			return t.Format(time.RFC3339)
		}
	}
	for _, layout := range []string{"2006-01-02", "2006/01/02", "20060102", "2006-1-2", "2006/1/2"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 1900 {
			return t.Format(time.DateOnly)
		}
	}
	return findDate(s)
}

// findDate returns the first date in a short text: 2025-03-04, 4 March 2025,
// March 4th, 2025, 4. März 2025, 4 de marzo de 2025, 04.03.2025, 2025年3月4日. What
// could be the 3rd of April as well as the 4th of March is no date, unless one
// of the two cannot be.
func findDate(s string) string {
	if len(s) > 200 {
		return ""
	}
	fields := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '/' && r != '-'
	})
	var tokens []string
	for _, f := range fields {
		if parts := numericDate(f); parts != "" {
			return parts
		}
		for part := range strings.FieldsFuncSeq(f, func(r rune) bool { return r == '.' || r == '/' || r == '-' || r == '年' || r == '月' || r == '日' }) {
			switch part {
			case "de", "del", "of", "the", "le", "den", "do":
			default:
				tokens = append(tokens, part)
			}
		}
	}
	for i := 0; i+2 < len(tokens); i++ {
		a, b, c := tokens[i], tokens[i+1], tokens[i+2]
		switch {
		case months[b] > 0 && len(c) == 4: // 4 March 2025
			if s := validDate(number(c), months[b], day(a)); s != "" {
				return s
			}
		case months[a] > 0 && len(c) == 4: // March 4th, 2025
			if s := validDate(number(c), months[a], day(b)); s != "" {
				return s
			}
		case len(a) == 4 && months[b] > 0: // 2025 March 4
			if s := validDate(number(a), months[b], day(c)); s != "" {
				return s
			}
		case len(a) == 4 && strings.ContainsAny(s, "年/-."): // 2025年3月4日
			if s := validDate(number(a), number(b), number(c)); s != "" {
				return s
			}
		}
	}
	return ""
}

// numericDate reads 04.03.2025, 2025-03-04, 13/04/2025 and 04/13/2025.
func numericDate(s string) string {
	s = strings.TrimRight(s, ".-/")
	for _, sep := range []string{".", "/", "-"} {
		parts := strings.Split(s, sep)
		if len(parts) != 3 {
			continue
		}
		if i := strings.IndexByte(parts[2], 't'); i > 0 {
			parts[2] = parts[2][:i]
		}
		a, b, c := number(parts[0]), number(parts[1]), number(parts[2])
		switch {
		case len(parts[0]) == 4:
			return validDate(a, b, c)
		case len(parts[2]) != 4:
		case sep == "." || a > 12: // as they write it where a day comes first
			return validDate(c, b, a)
		case b > 12 || a == b:
			return validDate(c, a, b)
		}
	}
	return ""
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// day reads 4, 04, 4th.
func day(s string) int {
	for _, suffix := range []string{"st", "nd", "rd", "th", "er", "º"} {
		if t, ok := strings.CutSuffix(s, suffix); ok {
			return number(t)
		}
	}
	return number(s)
}

// validDate returns a date of the web's time, or "".
func validDate(y, m, d int) string {
	if y < 1990 || y > 2100 || m < 1 || m > 12 || d < 1 || d > 31 {
		return ""
	}
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if t.Day() != d {
		return ""
	}
	return t.Format(time.DateOnly)
}

// months are the names of months and their abbreviations in the languages of
// most of the web.
var months = func() map[string]int {
	all := make(map[string]int)
	for _, names := range []string{
		"january february march april may june july august september october november december",
		"jan feb mar apr may jun jul aug sep oct nov dec",
		"jan feb mar apr may june july aug sept oct nov dec",
		"januar februar märz april mai juni juli august september oktober november dezember",
		"jänner feber mrz apr mai jun jul aug sep okt nov dez",
		"janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
		"janv févr mars avr mai juin juil août sept oct nov déc",
		"enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
		"ene feb mar abr may jun jul ago sept oct nov dic",
		"janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
		"jan fev mar abr mai jun jul ago set out nov dez",
		"gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
		"januari februari maart april mei juni juli augustus september oktober november december",
		"stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
		"января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
	} {
		for i, name := range strings.Fields(names) {
			if _, ok := all[name]; !ok {
				all[name] = i + 1
			}
		}
	}
	return all
}()
