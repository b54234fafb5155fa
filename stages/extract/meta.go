package extract

import (
	"slices"
	"strings"
	"sync"

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
	hints := sync.OnceValues(f.page.Hints)
	first := max(0, slices.Index(f.keep, true))
	if t.Published == "" && datedTypes[t.Type] {
		dates, _ := hints()
		t.Published = pageDate(d, dates, f.page.DateLines(first), first)
	}
	switch {
	case authoredTypes[t.Type]:
		t.Byline = clipText(strings.Join(t.findAuthors(d, f.page, hints, first), "; "), 500)
	case t.Type == TypeForum:
		t.Byline = poster(f.page, first)
	}
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

// objectString returns the first string of that name in the page's JSON-LD.
func objectString(p *content.Page, key string) string {
	for _, o := range p.Objects {
		if s, ok := o[key].(string); ok && s != "" {
			return s
		}
	}
	return ""
}
