package extract

import (
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

// findAuthors returns the authors of a page: those whom its metadata name; or if
// these are the site itself, and at the beginning of the main text stands who it was,
// those.
func (t *Text) findAuthors(d *stages.Document, p *content.Page, hints func() (dates, authors []content.Hint), first int) []string {
	known := metaAuthors(d, p, t.Site, t.Type == TypeDocumentation)
	if known != nil && !slices.ContainsFunc(known, func(n string) bool { return isSite(n, d, t.Site) }) {
		return known
	}
	_, authors := hints()
	if names := pageAuthors(d, authors, first, t.Site); names != nil {
		return names
	}
	if names := pageAuthors(d, p.Bylines(), first, t.Site); names != nil {
		return names
	}
	return known
}

// metaAuthors returns the authors that the metadata name, or nil. Organizations are
// none of documentation.
func metaAuthors(d *stages.Document, p *content.Page, site string, documentation bool) []string {
	m := &d.Meta
	for _, o := range p.Objects {
		author := o["author"]
		if of, ok := author.(map[string]any); ok && documentation && of["@type"] == "Organization" {
			continue // whose product it is about
		}
		if names := people(d, site, true, personNames(p, author)...); names != nil {
			return names
		}
	}
	values := []string{m.Fields["author"], m.OpenGraph["article:author"], m.Fields["parsely-author"], m.Fields["sailthru.author"], m.Fields["citation_author"], m.Fields["dc.creator"], m.Fields["byl"]}
	for _, k := range []string{"1", "2"} {
		if strings.EqualFold(m.Fields["twitter:label"+k], "written by") {
			values = append(values, m.Fields["twitter:data"+k])
		}
	}
	for _, v := range values {
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
			names := people(d, site, false, splitNames(line)...)
			if !strong { // where one word is a role or a topic as a rule
				names = slices.DeleteFunc(names, func(n string) bool { return !strings.Contains(n, " ") })
			}
			if len(names) > 0 {
				return names
			}
		}
	}
	return nil
}

// splitNames splits a byline into names. Degrees and titles behind a comma belong to
// the name before it: the former are kept with it.
func splitNames(s string) []string {
	s = strings.Join(strings.Fields(html.UnescapeString(s)), " ")
	for _, by := range []string{"written by", "posted by", "published by", "reviewed by", "author:", "by:", "by", "von", "por", "par", "di", "door"} {
		if len(s) > len(by)+1 && strings.EqualFold(s[:len(by)], by) && (s[len(by)] == ' ' || by[len(by)-1] == ':') {
			s = strings.TrimSpace(s[len(by):])
			break
		}
	}
	if len(s) > 4 && strings.HasPrefix(s, "By") && unicode.IsUpper(rune(s[2])) { // of an element of its own
		s = s[2:]
	}
	for _, end := range []string{" | ", " • ", " · ", " – ", " — ", " - ", " on "} {
		if i := strings.Index(s, end); i > 0 {
			s = s[:i]
		}
	}
	s = strings.NewReplacer(" and ", ";", " und ", ";", " & ", ";", " et ", ";").Replace(s)
	var names []string
	for group := range strings.SplitSeq(s, ";") {
		var of []string // the names of the group
		for part := range strings.SplitSeq(group, ",") {
			part = strings.TrimSpace(part)
			switch n := len(of); {
			case part == "":
			case n > 0 && isDegree(part):
				of[n-1] += ", " + part
			case n > 0 && strings.Contains(of[0], " ") && !strings.Contains(part, " "): // a title: "Ann Miller, Editor"
			default:
				of = append(of, part)
			}
		}
		names = append(names, of...)
	}
	return names
}

// isDegree reports whether a part of a byline is degrees: words of capitals, or with
// full stops in them, such as "MS", "Ph.D." and "E-RYT 200".
func isDegree(s string) bool {
	for w := range strings.FieldsSeq(s) {
		capitals, small := 0, 0
		for _, c := range w {
			switch {
			case unicode.IsUpper(c):
				capitals++
			case unicode.IsLower(c):
				small++
			}
		}
		if len(w) > 8 || capitals < 2 && !(capitals == 0 && small == 0) || small > 1 {
			return false
		}
	}
	return s != ""
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
// more than one word, such as an editorial team, and those of users.
func isName(n string, groups bool) bool {
	no := "@/:<>{}[]|©!?\"#"
	if !groups {
		no += "()0123456789_"
	}
	if len(n) < 3 || len(n) > 80 || strings.ContainsAny(n, no) {
		return false
	}
	words := strings.Fields(n)
	if len(words) > 6 || len(words) > 5 && !groups {
		return false
	}
	if len(words) == 1 && groups { // the name of a user too
		return !noPeople[strings.ToLower(n)] && strings.ContainsFunc(n, unicode.IsLetter)
	}
	upper, none := 0, 0
	for _, w := range words {
		initial := len(w) == 2 && w[1] == '.'
		if noPeople[strings.ToLower(strings.Trim(w, ".,"))] && !initial {
			none++
		}
		c, _ := utf8.DecodeRuneInString(w)
		if unicode.IsUpper(c) || !unicode.IsLower(c) {
			upper++
		}
	}
	if none == len(words) || none > 0 && !groups {
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

// poster returns who began a thread: the author of its JSON-LD or microdata, or whom
// the first post names. Names of users are taken as they are.
func poster(p *content.Page, first int) string {
	valid := func(n string) string {
		n = strings.Join(strings.Fields(html.UnescapeString(n)), " ")
		if len(n) < 2 || len(n) > 60 || strings.ContainsAny(n, "/@<>") || len(strings.Fields(n)) > 5 {
			return ""
		}
		return n
	}
	for _, objects := range [][]map[string]any{p.Objects, p.Microdata()} {
		for _, o := range objects {
			if main, ok := o["mainEntity"].(map[string]any); ok {
				o = main
			}
			if t, _ := o["@type"].(string); t != "DiscussionForumPosting" && t != "Question" {
				continue
			}
			author, _ := o["author"].(map[string]any)
			if name, _ := author["name"].(string); valid(name) != "" {
				return valid(name)
			}
		}
	}
	for _, h := range p.Posters() {
		if n := valid(h.Text); n != "" && h.Block <= first+30 {
			return n
		}
	}
	return ""
}
