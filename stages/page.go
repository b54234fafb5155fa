package stages

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"sync"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Defaults of [DocumentOptions].
const (
	DefaultMaxNodes    = 250_000
	DefaultMaxLinks    = 10_000
	DefaultMaxLinkText = 200
)

// Caps on metadata, beyond which a page is not describing itself.
const (
	maxMetaFields = 500
	maxMetaValue  = 4 << 10
	maxJSONLD     = 32
	maxJSONLDSize = 512 << 10
)

// DocumentOptions are the options of [ParseDocument]; nil and zero fields mean
// the defaults.
type DocumentOptions struct {
	// Resolve turns an href into an absolute URL, given the page's base URL.
	// An error means that it is no link to follow. Nil means [ResolveURL]. It is
	// called when the page is parsed and by the first call of [Document.Links].
	Resolve func(base, href string) (string, error)
	// MaxNodes bounds the tree; [DefaultMaxNodes] if zero. A page that would
	// grow beyond it is read flat: see [Document.Flat].
	MaxNodes int
	// MaxLinks bounds the links kept, and when there are as many, the different
	// targets; [DefaultMaxLinks] if zero.
	MaxLinks int
	// MaxLinkText bounds the text of each link, in bytes; [DefaultMaxLinkText]
	// if zero.
	MaxLinkText int
}

// A Document is one parse of a page, from which links, metadata and text are
// taken. A page is parsed once and its tree is never changed by this package.
//
// A Document may be read by many goroutines.
type Document struct {
	// URL is the page's own.
	URL string
	// Base is what hrefs are resolved against: URL, or the first <base href>.
	Base string
	// Flat says that the page was nested too deep or had too many elements for
	// an honest tree, so that it was read as a flat sequence of blocks: links,
	// metadata and text are there, the structure is not.
	Flat bool
	// Nodes is the size of the tree.
	Nodes int
	// Meta is what the page says about itself.
	Meta Meta

	root *html.Node
	opts DocumentOptions
	base *url.URL

	readLinks sync.Once    // by the first who asks for them
	hrefs     []*html.Node // elements that may be links
	links     []Link
	lost      int
	targets   map[string]bool // of links, once there are MaxLinks
}

// Meta is what a page says about itself.
type Meta struct {
	// Title is the text of <title>, its white space collapsed.
	Title string `json:"title,omitempty"`
	// Lang is the lang attribute of <html>, as written.
	Lang string `json:"lang,omitempty"`
	// ContentLanguage is <meta http-equiv="content-language">.
	ContentLanguage string `json:"content_language,omitempty"`
	// Description is <meta name="description">.
	Description string `json:"description,omitempty"`
	// Canonical is the resolved <link rel="canonical">.
	Canonical string `json:"canonical,omitempty"`
	// OpenGraph holds the properties og:*, article:* and the like, by name; the
	// first value of each.
	OpenGraph map[string]string `json:"opengraph,omitempty"`
	// Fields holds <meta name> and <meta itemprop> by name in lower case; the
	// first value of each.
	Fields map[string]string `json:"fields,omitempty"`
	// JSONLD holds the page's JSON-LD blocks that are valid JSON.
	JSONLD []json.RawMessage `json:"jsonld,omitempty"`

	robots map[string]Robots
}

// Robots are a page's instructions to crawlers, from <meta name="robots"> or
// an X-Robots-Tag header.
type Robots struct {
	NoIndex   bool `json:"noindex,omitempty"`   // do not keep the page
	NoFollow  bool `json:"nofollow,omitempty"`  // do not follow its links
	NoArchive bool `json:"noarchive,omitempty"` // do not show a copy
	NoSnippet bool `json:"nosnippet,omitempty"` // do not show an excerpt
}

// ParseRobots reads a list of directives such as "noindex, nofollow". Unknown
// ones are passed over.
func ParseRobots(content string) Robots {
	var r Robots
	for d := range strings.FieldsFuncSeq(strings.ToLower(content), func(c rune) bool { return c == ',' || c == ' ' || c == ';' || c == '\t' || c == '\n' }) {
		switch d {
		case "none":
			r.NoIndex, r.NoFollow = true, true
		case "noindex":
			r.NoIndex = true
		case "nofollow":
			r.NoFollow = true
		case "noarchive", "nocache":
			r.NoArchive = true
		case "nosnippet":
			r.NoSnippet = true
		}
	}
	return r
}

// Or returns the stricter of both in each point.
func (r Robots) Or(o Robots) Robots {
	return Robots{r.NoIndex || o.NoIndex, r.NoFollow || o.NoFollow, r.NoArchive || o.NoArchive, r.NoSnippet || o.NoSnippet}
}

// Robots returns the instructions to every crawler and to the one whose product
// token is agent, such as "weir".
func (m *Meta) Robots(agent string) Robots {
	return m.robots["robots"].Or(m.robots[strings.ToLower(agent)])
}

// ParseDocument parses a page of UTF-8 (see [ToUTF8]). It takes any bytes and
// does not fail: what is not HTML becomes a page of text.
func ParseDocument(body []byte, pageURL string, opts *DocumentOptions) *Document {
	d := &Document{URL: pageURL, Base: pageURL}
	if opts != nil {
		d.opts = *opts
	}
	d.opts.MaxNodes = or(d.opts.MaxNodes, DefaultMaxNodes)
	d.opts.MaxLinks = or(d.opts.MaxLinks, DefaultMaxLinks)
	d.opts.MaxLinkText = or(d.opts.MaxLinkText, DefaultMaxLinkText)
	d.root = parseTree(body, d.opts.MaxNodes)
	if d.root == nil {
		d.root, d.Flat = flatTree(body, d.opts.MaxNodes), true
	}
	d.read()
	return d
}

// Selection returns the tree for goquery. The caller must not change it.
func (d *Document) Selection() *goquery.Document {
	g := goquery.NewDocumentFromNode(d.root)
	g.Url, _ = url.Parse(d.URL)
	return g
}

// Root returns the tree. The caller must not change it.
func (d *Document) Root() *html.Node { return d.root }

// next returns the node after n in document order below root, or nil. It needs
// no stack, so a deep tree costs no more than a wide one.
func next(n, root *html.Node) *html.Node {
	if n.FirstChild != nil {
		return n.FirstChild
	}
	return nextAfter(n, root)
}

// nextAfter is next without n's descendants.
func nextAfter(n, root *html.Node) *html.Node {
	for ; n != nil && n != root; n = n.Parent {
		if n.NextSibling != nil {
			return n.NextSibling
		}
	}
	return nil
}

// read walks the tree once for everything but links and text.
func (d *Document) read() {
	d.setBase(d.URL)
	var canonical []*html.Node
	hasBase := false
	for n := d.root; n != nil; n = next(n, d.root) {
		d.Nodes++
		if n.Type != html.ElementNode {
			continue
		}
		switch n.DataAtom {
		case atom.Html:
			if d.Meta.Lang == "" {
				d.Meta.Lang = strings.TrimSpace(clip(attr(n, "lang"), 100))
			}
		case atom.Base:
			if href := attr(n, "href"); href != "" && !hasBase {
				hasBase = true
				if u, err := d.Resolve(href); err == nil {
					d.setBase(u)
				}
			}
		case atom.Title:
			// The <title> of an inline SVG is not the page's.
			if d.Meta.Title == "" && n.Namespace == "" {
				d.Meta.Title = nodeText(n, 1000, false)
			}
		case atom.Meta:
			d.readMeta(n)
			if strings.EqualFold(attr(n, "http-equiv"), "refresh") {
				d.hrefs = append(d.hrefs, n)
			}
		case atom.Script:
			d.readJSONLD(n)
		case atom.Link:
			if linkRel(relations(n)) == LinkCanonical {
				canonical = append(canonical, n)
			}
			d.hrefs = append(d.hrefs, n)
		case atom.A, atom.Area, atom.Iframe, atom.Frame:
			d.hrefs = append(d.hrefs, n)
		}
	}
	for _, n := range canonical { // the page's base may have come after it
		if d.Meta.Canonical == "" {
			d.Meta.Canonical, _ = d.Resolve(attr(n, "href"))
		}
	}
}

func (d *Document) setBase(u string) {
	d.Base = u
	d.base, _ = url.Parse(u)
}

func (d *Document) readMeta(n *html.Node) {
	content := strings.TrimSpace(attr(n, "content"))
	if content == "" {
		return
	}
	name := strings.ToLower(strings.TrimSpace(attr(n, "name")))
	if name == "" {
		name = strings.ToLower(strings.TrimSpace(attr(n, "itemprop")))
	}
	m := &d.Meta
	if name != "" {
		m.Fields = setFirst(m.Fields, name, content)
		if name == "description" && m.Description == "" {
			m.Description = clip(content, maxMetaValue)
		}
		if r := ParseRobots(content); r != (Robots{}) && len(name) < 50 && len(m.robots) < 20 {
			if m.robots == nil {
				m.robots = make(map[string]Robots)
			}
			m.robots[name] = m.robots[name].Or(r)
		}
	}
	if p := strings.ToLower(strings.TrimSpace(attr(n, "property"))); p != "" {
		m.OpenGraph = setFirst(m.OpenGraph, p, content)
	}
	if strings.EqualFold(attr(n, "http-equiv"), "content-language") && m.ContentLanguage == "" {
		m.ContentLanguage = clip(content, 100)
	}
}

func setFirst(m map[string]string, k, v string) map[string]string {
	if m == nil {
		m = make(map[string]string)
	}
	if _, ok := m[k]; !ok && len(m) < maxMetaFields && len(k) <= 200 {
		m[k] = clip(v, maxMetaValue)
	}
	return m
}

func (d *Document) readJSONLD(n *html.Node) {
	if mediaType(attr(n, "type")) != "application/ld+json" || n.FirstChild == nil || len(d.Meta.JSONLD) >= maxJSONLD {
		return
	}
	s := strings.TrimSpace(n.FirstChild.Data)
	s = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(s, "<!--"), "-->"))
	s = strings.TrimSuffix(strings.TrimPrefix(s, "//<![CDATA["), "//]]>")
	if len(s) > maxJSONLDSize {
		return
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(s)) == nil && b.Len() > 0 {
		d.Meta.JSONLD = append(d.Meta.JSONLD, b.Bytes())
	}
}

// attr returns an attribute's value, or "".
func attr(n *html.Node, key string) string {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			return n.Attr[i].Val
		}
	}
	return ""
}

// nodeText returns the text below n with white space collapsed, at most limit
// bytes of it; with alt, the alternative text of images as well.
func nodeText(n *html.Node, limit int, alt bool) string {
	var b strings.Builder
	add := func(s string) {
		for w := range strings.FieldsSeq(s) {
			if b.Len() > limit {
				return
			}
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(w[:min(len(w), limit+4)])
		}
	}
	steps := 0
	for c := n; c != nil && b.Len() <= limit && steps < 5000; steps++ {
		switch {
		case c.Type == html.TextNode:
			add(c.Data)
		case c.Type == html.ElementNode && (c.DataAtom == atom.Script || c.DataAtom == atom.Style):
			c = nextAfter(c, n)
			continue
		case alt && c.Type == html.ElementNode && c.DataAtom == atom.Img:
			add(attr(c, "alt"))
		}
		c = next(c, n)
	}
	s := b.String()
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
