package sitemap

import (
	"encoding/xml"
	"io"
	"strconv"
	"strings"
)

// maxField is how much of a field's text is kept, give or take a token.
const maxField = 16 << 10

// kinds maps root elements, in lower case, to formats.
var kinds = map[string]Kind{
	"urlset":       URLSet,
	"sitemapindex": Index,
	"rss":          RSS,
	"rdf":          RSS,
	"feed":         Atom,
}

// warnings are the elements that the warnings of a broken program are made of, which
// stand in front of what it writes.
var warnings = map[string]bool{"b": true, "br": true, "p": true, "font": true, "i": true, "pre": true}

// isEntry reports whether an element stands for an entry in the format. Sets
// and indexes are often mixed up.
func (k Kind) isEntry(name string) bool {
	switch k {
	case RSS:
		return name == "item"
	case Atom:
		return name == "entry"
	}
	return name == "url" || name == "sitemap"
}

// xmlParser goes by the local names of elements and their depth within an
// entry: loc counts as a child of url, not of image:image within. It keeps no
// stack, so that tags that do not match do little harm and nesting costs
// nothing.
type xmlParser struct {
	*parser
	root  string
	ended bool // the root's end tag was seen

	name  string // the element of the entry, or empty outside of entries
	entry Entry
	depth int // of elements within the entry
	field string
	text  strings.Builder // of the field, or of the entry itself
	guid  string          // of an RSS item, if it may serve as a link
}

// xml reads an XML sitemap.
func (p *parser) xml(in *input) error {
	x := &xmlParser{parser: p}
	d := xml.NewDecoder(in)
	d.Strict = false
	d.Entity = xml.HTMLEntity
	// input has dealt with the encoding.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	for {
		in.newToken()
		token, err := d.RawToken()
		if err == io.EOF {
			return x.end()
		}
		if err == nil {
			err = x.token(token)
		}
		if err != nil {
			return x.broken(err)
		}
	}
}

// end is called at the end of the file.
func (x *xmlParser) end() error {
	switch {
	case x.root == "":
		return ErrNotSitemap
	case !x.ended:
		return x.broken(io.ErrUnexpectedEOF)
	}
	return nil
}

// broken hands over an entry that is as good as complete, and returns err.
func (x *xmlParser) broken(err error) error {
	if x.handleErr == nil && x.name != "" && x.entry.Loc != "" {
		if emitErr := x.finish(); emitErr != nil {
			return emitErr
		}
	}
	return err
}

func (x *xmlParser) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return x.start(strings.ToLower(t.Name.Local), t.Attr)
	case xml.EndElement:
		return x.endElement(strings.ToLower(t.Name.Local))
	case xml.CharData:
		if x.name != "" && x.depth <= 1 && x.text.Len() < maxField {
			x.text.Write(t)
		}
	}
	return nil
}

func (x *xmlParser) start(name string, attrs []xml.Attr) error {
	if x.root == "" {
		kind, ok := kinds[name]
		switch {
		case ok:
		case warnings[name]:
			return nil
		default:
			return ErrNotSitemap
		}
		x.root, x.result.Kind = name, kind
		return nil
	}
	if x.name == "" || x.depth == 0 && name == x.name {
		if !x.result.Kind.isEntry(name) {
			return nil
		}
		if x.name != "" { // its end tag is missing
			if err := x.finish(); err != nil {
				return err
			}
		}
		x.name, x.entry, x.depth = name, Entry{Sitemap: name == "sitemap", Priority: 0.5}, 0
		x.guid = ""
		x.text.Reset()
		return nil
	}

	x.depth++
	if x.depth > 1 {
		return nil
	}
	x.bare()
	x.field = name
	x.text.Reset()
	if x.result.Kind == Atom && name == "link" {
		rel, href := attr(attrs, "rel"), attr(attrs, "href")
		if (rel == "" || rel == "alternate") && x.entry.Loc == "" {
			x.entry.Loc = strings.TrimSpace(href)
		}
	}
	return nil
}

// bare takes the text of a <sitemap> that has no <loc> around it.
func (x *xmlParser) bare() {
	if x.field == "" && x.entry.Loc == "" && x.entry.Sitemap {
		x.entry.Loc = strings.TrimSpace(x.text.String())
	}
}

func (x *xmlParser) endElement(name string) error {
	switch {
	case x.name != "" && name == x.name:
		return x.finish()
	case x.name != "" && x.depth > 0:
		x.depth--
		if x.depth == 0 {
			x.setField()
		}
	case name == x.root:
		x.ended = true
	}
	return nil
}

// setField takes the text of the field that has ended.
func (x *xmlParser) setField() {
	value := strings.TrimSpace(x.text.String())
	x.text.Reset()
	e := &x.entry
	switch x.field {
	case "loc":
		if e.Loc == "" {
			e.Loc = value
		}
	case "link":
		if x.result.Kind == RSS && e.Loc == "" {
			e.Loc = value
		}
	case "guid":
		// Many feeds have no link but a URL here, even if isPermaLink denies it.
		if hasHTTP(value) {
			x.guid = value
		}
	case "lastmod", "updated":
		if t, ok := parseDate(value); ok {
			e.LastMod = t
		}
	case "pubdate", "date", "published":
		if t, ok := parseDate(value); ok && e.LastMod.IsZero() {
			e.LastMod = t
		}
	case "changefreq":
		switch value = strings.ToLower(value); value {
		case "always", "hourly", "daily", "weekly", "monthly", "yearly", "never":
			e.ChangeFreq = value
		}
	case "priority":
		if f, err := strconv.ParseFloat(value, 64); err == nil && 0 <= f && f <= 1 {
			e.Priority = f
		}
	}
	x.field = ""
}

// finish hands over the entry and leaves it.
func (x *xmlParser) finish() error {
	x.bare()
	if x.entry.Loc == "" {
		x.entry.Loc = x.guid
	}
	x.name, x.field, x.depth = "", "", 0
	return x.emit(x.entry)
}

func attr(attrs []xml.Attr, name string) string {
	for _, a := range attrs {
		if a.Name.Space == "" && strings.EqualFold(a.Name.Local, name) {
			return a.Value
		}
	}
	return ""
}
