package extract

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/stages"
)

// describe fills the fields that come from metadata: what the library says,
// else what the page says of itself.
func (t *Text) describe(d *stages.Document, f *finding) {
	m := &d.Meta
	t.Title = clipText(firstOf(f.title, m.OpenGraph["og:title"], m.Title), 1000)
	t.Site = clipText(firstOf(m.OpenGraph["og:site_name"], f.site, m.Fields["application-name"]), 300)
	t.Byline = clipText(firstOf(m.Fields["author"], author(m), f.byline, m.Fields["dc.creator"]), 500)
	if len(t.Byline) > 3 && strings.EqualFold(t.Byline[:3], "by ") {
		t.Byline = strings.TrimSpace(t.Byline[3:])
	}
	t.Description = firstOf(t.Description, m.OpenGraph["og:description"])
	t.Published = published(m)
	if t.Published == "" && !f.date.IsZero() {
		t.Published = f.date.Format(time.RFC3339)
		if strings.HasSuffix(t.Published, "T00:00:00Z") {
			t.Published = t.Published[:10]
		}
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			return v
		}
	}
	return ""
}

// published returns the date of publication that the metadata name: RFC 3339,
// or a date alone.
func published(m *stages.Meta) string {
	for _, v := range []string{
		m.OpenGraph["article:published_time"], m.Fields["article:published_time"], m.OpenGraph["og:published_time"],
		jsonLD(m, "datePublished"), m.Fields["datepublished"], m.Fields["dc.date.issued"], m.Fields["dcterms.created"],
		m.Fields["date"], m.Fields["dc.date"], m.Fields["parsely-pub-date"], m.Fields["citation_publication_date"],
	} {
		if s := normalDate(v); s != "" {
			return s
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
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05",
		"2006-01-02T15:04:05.999Z0700", time.RFC1123Z, time.RFC1123,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.RFC3339)
		}
	}
	for _, layout := range []string{"2006-01-02", "2006/01/02", "20060102"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return ""
}

// author returns the names of the authors that JSON-LD names.
func author(m *stages.Meta) string {
	var names []string
	for _, raw := range m.JSONLD {
		eachObject(raw, func(o map[string]any) bool {
			names = namesOf(o["author"])
			return len(names) == 0
		})
		if len(names) > 0 {
			break
		}
	}
	return strings.Join(names, "; ")
}

// namesOf reads schema.org's author: a name, an object with a name, or a list.
func namesOf(v any) []string {
	switch v := v.(type) {
	case string:
		if !strings.HasPrefix(v, "http") {
			return []string{v}
		}
	case map[string]any:
		if s, ok := v["name"].(string); ok {
			return []string{s}
		}
	case []any:
		var out []string
		for _, e := range v {
			if _, nested := e.([]any); !nested && len(out) < 20 {
				out = append(out, namesOf(e)...)
			}
		}
		return out
	}
	return nil
}

// jsonLD returns the first string of that name in the page's JSON-LD, at the
// top or in a @graph.
func jsonLD(m *stages.Meta, key string) string {
	found := ""
	for _, raw := range m.JSONLD {
		eachObject(raw, func(o map[string]any) bool {
			found, _ = o[key].(string)
			return found == ""
		})
		if found != "" {
			break
		}
	}
	return found
}

// eachObject calls do for the objects at the top of a JSON-LD block until it
// returns false.
func eachObject(raw json.RawMessage, do func(map[string]any) bool) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, e := range list {
		o, ok := e.(map[string]any)
		if !ok {
			continue
		}
		if !do(o) {
			return
		}
		graph, _ := o["@graph"].([]any)
		for _, g := range graph {
			if o, ok := g.(map[string]any); ok && !do(o) {
				return
			}
		}
	}
}
