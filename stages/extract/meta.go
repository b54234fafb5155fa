package extract

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

// describe fills the fields that come from metadata, and from what the page
// shows around its main text.
func (t *Text) describe(d *stages.Document, f *finding) {
	m := &d.Meta
	t.Title = clipText(firstOf(m.OpenGraph["og:title"], m.Title), 1000)
	t.Site = clipText(firstOf(m.OpenGraph["og:site_name"], m.Fields["application-name"]), 300)
	t.Description = firstOf(t.Description, m.OpenGraph["og:description"])
	t.Published = metaDate(m, f.page)
	var known []string
	if authoredTypes[t.Type] {
		known = metaAuthors(d, f.page, t.Site)
	}
	if t.Published == "" || known == nil {
		dates, authors := f.page.Hints()
		first := max(0, slices.Index(f.keep, true))
		if t.Published == "" && datedTypes[t.Type] {
			t.Published = pageDate(d, dates, f.page.DateLines(first), first)
		}
		if known == nil && authoredTypes[t.Type] {
			known = pageAuthors(d, authors, first, t.Site)
			if known == nil {
				known = pageAuthors(d, f.page.Bylines(), first, t.Site)
			}
		}
	}
	t.Byline = clipText(strings.Join(known, "; "), 500)
}

// datedTypes and authoredTypes are the types of pages that a date or an author
// is searched for in: on others, what is found is that of something else.
var (
	datedTypes    = map[string]bool{TypeArticle: true, TypeDocumentation: true, TypeForum: true, "": true}
	authoredTypes = map[string]bool{TypeArticle: true, TypeDocumentation: true, "": true}
)

func firstOf(values ...string) string {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			return v
		}
	}
	return ""
}

// metaAuthors returns the authors that the metadata name, or nil.
func metaAuthors(d *stages.Document, p *content.Page, site string) []string {
	m := &d.Meta
	for _, o := range p.Objects {
		if names := people(d, site, true, personNames(p, o["author"])...); names != nil {
			return names
		}
	}
	for _, v := range []string{m.Fields["author"], m.OpenGraph["article:author"], m.Fields["parsely-author"], m.Fields["sailthru.author"], m.Fields["citation_author"], m.Fields["dc.creator"], m.Fields["byl"]} {
		if names := people(d, site, true, splitNames(v)...); names != nil {
			return names
		}
	}
	return nil
}

// pageAuthors returns the authors that stand near the beginning of the main
// text, or nil.
func pageAuthors(d *stages.Document, hints []content.Hint, first int, site string) []string {
	for _, strong := range []bool{true, false} {
		for _, h := range hints {
			if h.Strong != strong || h.Block > first+4 || h.Block < first-25 && !strong {
				continue
			}
			line, _, _ := strings.Cut(h.Text, "\n")
			if names := people(d, site, false, splitNames(line)...); names != nil {
				return names
			}
		}
	}
	return nil
}

// splitNames splits a byline into names.
func splitNames(s string) []string {
	s = strings.Join(strings.Fields(s), " ")
	for _, by := range []string{"written by", "posted by", "published by", "author:", "by:", "by", "von", "por", "par", "di", "door"} {
		if len(s) > len(by)+1 && strings.EqualFold(s[:len(by)], by) && (s[len(by)] == ' ' || by[len(by)-1] == ':') {
			s = strings.TrimSpace(s[len(by):])
			break
		}
	}
	for _, end := range []string{" | ", " • ", " · ", " – ", " — ", " - ", " on "} {
		if i := strings.Index(s, end); i > 0 {
			s = s[:i]
		}
	}
	s = strings.NewReplacer(" and ", ";", " und ", ";", " & ", ";", ",", ";", " et ", ";").Replace(s)
	return strings.Split(s, ";")
}

// people returns those of some names that look like names of people.
//
// In metadata, groups are authors too; elsewhere, what is no person is likely
// to be something else.
func people(d *stages.Document, site string, inMetadata bool, names ...string) []string {
	var out []string
	for _, n := range names {
		n = strings.Trim(strings.Join(strings.Fields(n), " "), " .,:;|-–•")
		if isName(n, inMetadata) && (inMetadata || !isSite(n, d, site)) && !slices.Contains(out, n) && len(out) < 20 {
			out = append(out, n)
		}
	}
	return out
}

// noPeople are words that stand in names of those who are no people.
var noPeople = wordMap("by written admin administrator editor editors editorial staff team webmaster author authors news newsroom desk press company inc llc ltd gmbh corp " +
	"support guest anonymous unknown user contributor contributors contributing writer reporter correspondent the a an at in of for with about to your our more read share follow posted updated published " +
	"reviewed founder lead expert licensed " +
	"redaktion redacción redação rédaction blog magazine university institute department association foundation agency service services group media null undefined website")

func wordMap(s string) map[string]bool {
	m := make(map[string]bool)
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// isName reports whether a text is likely to be a name: one to five words,
// without digits and signs, that begin with capitals. groups permits those of
// more than one word, such as an editorial team.
func isName(n string, groups bool) bool {
	if len(n) < 3 || len(n) > 60 || strings.ContainsAny(n, "@/:<>{}[]()|©!?\"0123456789_#") {
		return false
	}
	words := strings.Fields(n)
	if len(words) > 6 || len(words) > 5 && !groups {
		return false
	}
	upper, no := 0, 0
	for _, w := range words {
		initial := len(w) == 2 && w[1] == '.'
		if noPeople[strings.ToLower(strings.Trim(w, ".,"))] && !initial {
			no++
		}
		c, _ := utf8.DecodeRuneInString(w)
		if unicode.IsUpper(c) || !unicode.IsLower(c) {
			upper++
		}
	}
	if no == len(words) || no > 0 && !groups {
		return false
	}
	return upper > 0 && upper*2 >= len(words)
}

// isSite reports whether a name is that of the page's site.
func isSite(n string, d *stages.Document, site string) bool {
	joined := strings.ToLower(strings.Join(strings.Fields(n), ""))
	if strings.EqualFold(n, site) || joined == strings.ToLower(strings.Join(strings.Fields(site), "")) {
		return true
	}
	return len(joined) >= 5 && !strings.Contains(n, " ") && strings.Contains(strings.ToLower(hostOf(d.URL)), joined)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.NewReplacer(".", "", "-", "").Replace(u.Hostname())
}

// personNames reads schema.org's author: a name, an object with a name, or a
// list.
func personNames(p *content.Page, v any) []string {
	switch v := v.(type) {
	case string:
		return splitNames(v)
	case map[string]any:
		switch name := v["name"].(type) {
		case string:
			return splitNames(name)
		case []any:
			return personNames(p, name)
		}
		// Or it says which object of the page it is.
		if id, _ := v["@id"].(string); id != "" {
			for _, o := range p.Objects {
				if name, ok := o["name"].(string); ok && o["@id"] == id {
					return splitNames(name)
				}
			}
		}
	case []any:
		var out []string
		for _, e := range v {
			if _, nested := e.([]any); !nested && len(out) < 20 {
				out = append(out, personNames(p, e)...)
			}
		}
		return out
	}
	return nil
}

// objectString returns the first string of that name in the page's JSON-LD.
func objectString(p *content.Page, key string) string {
	for _, o := range p.Objects {
		if s, ok := o[key].(string); ok && s != "" {
			return s
		}
	}
	return ""
}
