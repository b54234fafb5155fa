package stages

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/text/encoding"

	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/stages/internal/scan"
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
	// An error means that it is no link to follow. Nil means [weburl.URL.Resolve].
	// It is called when the page is parsed and by the first call of
	// [Document.Links].
	Resolve func(base, href string) (string, error)
	// Encoding names the encoding that the page had before it became UTF-8, as
	// [ToUTF8] returns it. Queries of links are written in it. Default utf-8.
	Encoding string
	// XHTML says that the page is application/xhtml+xml, where <script/> is a
	// whole element. In HTML the slash means nothing.
	XHTML bool
	// Forms also takes what a form with the method GET asks for, as it is when
	// the page is loaded, for a link.
	Forms bool
	// Tree says that the tree will be asked for, so that links and metadata are
	// read from it too: reading the page twice would take longer.
	Tree bool
	// BeforeTree is called by [ParseDocument] if it needs a tree to find links and
	// metadata, before it makes that, as for waiting until there is memory. It is
	// not called for a tree that is made because it was asked for.
	BeforeTree func()
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

// A Document is one page, from which links, metadata and text are taken. What it
// links to and says about itself is read when it is parsed, without a tree if that is
// possible; the tree is made when it is first asked for, and never changed by this
// package.
//
// A Document may be read by many goroutines.
type Document struct {
	// URL is the page's own.
	URL string
	// Base is what hrefs are resolved against: URL, or the first <base href> of
	// HTML.
	Base string
	// Meta is what the page says about itself.
	Meta Meta

	body     []byte
	opts     DocumentOptions
	base     weburl.URL
	encoding encoding.Encoding // nil for UTF-8

	measure  sync.Once // by the first who asks what the tree takes
	cost     int
	makeTree sync.Once // by the first who asks for it
	root     *html.Node
	flat     bool
	nodes    int

	inner     bool      // within another page
	readLinks sync.Once // by the first who asks for them
	hrefs     []scan.Element
	links     []Link
	lost      int
	targets   map[string]bool // of links, once there are MaxLinks

	associated map[string][]*html.Node // controls that name their form, by its id
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

	robots []robotsMeta // those that may be instructions to a crawler
}

// robotsMeta is a <meta> whose name may be that of a crawler.
type robotsMeta struct{ name, content string }

// Robots returns the instructions to every crawler and to the one whose product
// token is agent, such as "weir".
func (m *Meta) Robots(agent string) (d robots.Directives) {
	for _, r := range m.robots {
		d = d.Merge(robots.ParseMeta(r.name, r.content, agent))
	}
	return d
}

// ParseDocument parses a page of UTF-8 (see [ToUTF8]). It takes any bytes and
// does not fail: what is not HTML becomes a page of text.
func ParseDocument(body []byte, pageURL string, opts *DocumentOptions) *Document {
	d := &Document{URL: pageURL, Base: pageURL}
	if opts != nil {
		d.opts = *opts
	}
	d.opts.MaxNodes = cmp.Or(d.opts.MaxNodes, DefaultMaxNodes)
	d.opts.MaxLinks = cmp.Or(d.opts.MaxLinks, DefaultMaxLinks)
	d.opts.MaxLinkText = cmp.Or(d.opts.MaxLinkText, DefaultMaxLinkText)
	if enc, name := lookupEncoding(d.opts.Encoding); name != "utf-8" && !strings.HasPrefix(name, "utf-16") {
		d.encoding = enc
	}
	if d.opts.XHTML {
		body = closeEmpty(body)
	}
	d.body = closeFrames(body)
	d.read()
	return d
}

// elements returns what Read of package scan does, or the tree where that gives up
// or there will be one. Of forms only the tree knows enough.
func (d *Document) elements() []scan.Element {
	if !d.opts.Forms && !d.opts.Tree {
		if elements, ok := scan.Read(d.body, d.opts.MaxLinkText); ok {
			return elements
		}
	}
	if d.opts.BeforeTree != nil {
		d.opts.BeforeTree()
		d.opts.BeforeTree = nil
	}
	return scan.FromTree(d.Root(), d.opts.MaxLinkText)
}

// lostFrames returns the frames of a page that has text before its <frameset>, which
// the standard's parser then drops: to a reader the page is its frames all the same.
func (d *Document) lostFrames(found []scan.Element) (frames []scan.Element) {
	if indexTag(d.body, "<frameset") < 0 || slices.ContainsFunc(found, func(e scan.Element) bool { return e.Atom == atom.Frame }) {
		return nil
	}
	z := html.NewTokenizer(bytes.NewReader(d.body))
	for len(frames) < d.opts.MaxLinks {
		switch z.Next() {
		case html.ErrorToken:
			return frames
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if t.DataAtom == atom.Frame {
				frames = append(frames, scan.Element{Atom: atom.Frame, Attr: t.Attr})
			}
		}
	}
	return frames
}

// Selection returns the tree for goquery. The caller must not change it.
func (d *Document) Selection() *goquery.Document {
	g := goquery.NewDocumentFromNode(d.Root())
	g.Url, _ = url.Parse(d.URL)
	return g
}

// Root returns the tree. The caller must not change it.
func (d *Document) Root() *html.Node {
	d.makeTree.Do(func() {
		if d.treeCost() <= d.opts.MaxNodes {
			d.root = makeTree(d.body)
		}
		if d.root == nil {
			d.root, d.flat = flatTree(d.body, d.opts.MaxNodes), true
		} else {
			placeStreamed(d.root, d.body)
		}
		for n := d.root; n != nil; n = next(n, d.root) {
			d.nodes++
		}
	})
	return d.root
}

// treeCost is that of the page, which is found out once.
func (d *Document) treeCost() int {
	d.measure.Do(func() { d.cost = treeCost(d.body, d.opts.MaxNodes) })
	return d.cost
}

// Flat reports whether the page is nested too deep or has too many elements for an
// honest tree, so that the tree is a flat sequence of blocks: links, metadata and
// text are there, the structure is not.
func (d *Document) Flat() bool {
	d.Root()
	return d.flat
}

// Nodes returns the size of the tree.
func (d *Document) Nodes() int {
	d.Root()
	return d.nodes
}

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

// read takes from the page everything but links and text.
func (d *Document) read() {
	d.setBase(d.URL)
	var canonical []string
	hasBase, hasRoot := false, false
	elements := d.elements()
	elements = append(elements, d.lostFrames(elements)...)
	kept := elements[:0] // those that may be links
	for i := range elements {
		e := &elements[i]
		switch e.Atom {
		case atom.Html:
			if !hasRoot {
				hasRoot = true
				d.Meta.Lang = strings.TrimSpace(clip(e.Get("lang"), 100))
			}
			continue
		case atom.Base:
			if !hasBase {
				hasBase = true
				if u, err := d.Resolve(e.Get("href")); err == nil {
					d.setBase(u)
				}
			}
			continue
		case atom.Title:
			if d.Meta.Title == "" {
				d.Meta.Title = e.Text
			}
			continue
		case atom.Meta:
			d.readMeta(e)
			if !strings.EqualFold(strings.TrimSpace(e.Get("http-equiv")), "refresh") {
				continue
			}
		case atom.Script:
			d.readJSONLD(e)
			continue
		case atom.Link:
			if kind, _ := linkRel(relations(e)); kind == LinkCanonical {
				canonical = append(canonical, e.Get("href"))
			}
		}
		kept = append(kept, *e)
	}
	d.hrefs = kept
	for _, href := range canonical { // the page's base may have come after it
		switch to, err := d.Resolve(href); {
		case err != nil || to == d.Meta.Canonical:
		case d.Meta.Canonical != "": // two that differ name none
			d.Meta.Canonical = ""
			return
		default:
			d.Meta.Canonical = to
		}
	}
}

func (d *Document) setBase(u string) {
	d.Base = u
	d.base, _ = weburl.Parse(u)
}

func (d *Document) readMeta(e *scan.Element) {
	content := strings.TrimSpace(e.Get("content"))
	if content == "" {
		return
	}
	name := strings.ToLower(strings.TrimSpace(e.Get("name")))
	if name == "" {
		name = strings.ToLower(strings.TrimSpace(e.Get("itemprop")))
	}
	m := &d.Meta
	if name != "" {
		m.Fields = setFirst(m.Fields, name, content)
		if name == "description" && m.Description == "" {
			m.Description = clip(content, maxMetaValue)
		}
		if len(m.robots) < 20 && len(name) < 50 && robots.ParseMeta(name, content, name) != (robots.Directives{}) {
			m.robots = append(m.robots, robotsMeta{name, clip(content, maxMetaValue)})
		}
	}
	if p := strings.ToLower(strings.TrimSpace(e.Get("property"))); p != "" {
		m.OpenGraph = setFirst(m.OpenGraph, p, content)
	}
	if strings.EqualFold(e.Get("http-equiv"), "content-language") && m.ContentLanguage == "" {
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

func (d *Document) readJSONLD(e *scan.Element) {
	if MediaType(e.Get("type")) != "application/ld+json" || len(d.Meta.JSONLD) >= maxJSONLD {
		return
	}
	s := strings.TrimSpace(e.Text)
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
