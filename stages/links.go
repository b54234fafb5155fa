package stages

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/stages/internal/scan"
)

// A LinkKind says where on a page a link was found.
type LinkKind string

// The kinds of links.
const (
	LinkAnchor    LinkKind = "a"
	LinkArea      LinkKind = "area"
	LinkNext      LinkKind = "next"      // <link rel="next">
	LinkPrev      LinkKind = "prev"      // <link rel="prev">
	LinkAlternate LinkKind = "alternate" // <link rel="alternate">: a translation, a feed
	LinkCanonical LinkKind = "canonical" // <link rel="canonical">
	LinkRelated   LinkKind = "link"      // <link> of other relations that lead to a page: up, help, license
	LinkFrame     LinkKind = "frame"     // <iframe> and <frame>
	LinkObject    LinkKind = "object"    // <object> and <embed> that show a page
	LinkRefresh   LinkKind = "refresh"   // <meta http-equiv="refresh">, or the header
	LinkCite      LinkKind = "cite"      // the source of a quotation or a change, the long description of an image
	LinkForm      LinkKind = "form"      // what a form asks for; see [DocumentOptions]
)

// A Link is one link of a page.
type Link struct {
	// URL is the target, resolved against the page's base.
	URL string `json:"url"`
	// Kind says where it was found.
	Kind LinkKind `json:"kind"`
	// Text is the link's text, or the alternative text of its image, with
	// white space collapsed; for <link> and frames, their title.
	Text string `json:"text,omitempty"`
	// NoFollow says that the page does not vouch for the target: rel is
	// nofollow, ugc or sponsored.
	NoFollow bool `json:"nofollow,omitempty"`
	// Lang and Type are the hreflang and type attributes, as of an alternate.
	Lang string `json:"lang,omitempty"`
	Type string `json:"type,omitempty"`
}

// Links returns the page's links in document order, repeated ones included.
// Targets that are no web pages (mailto:, javascript:, a fragment of this page)
// and hrefs that cannot be resolved are left out. The caller must not change
// the slice.
func (d *Document) Links() []Link {
	d.readLinks.Do(func() {
		d.links = make([]Link, 0, min(len(d.hrefs), d.opts.MaxLinks))
		for i := range d.hrefs {
			d.readLink(&d.hrefs[i])
		}
		d.hrefs, d.targets = nil, nil
	})
	return d.links
}

// LinksDropped returns how many links are missing from Links because the page
// has more than DocumentOptions.MaxLinks. Those that repeat a target of Links
// do not count.
func (d *Document) LinksDropped() int {
	d.Links()
	return d.lost
}

// errNoLink is what Resolve returns for an href that leads to no other page.
var errNoLink = errors.New("not a link to another page")

// Resolve returns the absolute URL of an href of the page, in the page's
// encoding, by DocumentOptions.Resolve against the page's base. An error means
// that it leads to no other web page.
func (d *Document) Resolve(href string) (string, error) {
	href = strings.Trim(href, " \t\r\n\f\x00")
	if href == "" || href[0] == '#' && d.Base == d.URL {
		return "", errNoLink
	}
	if d.encoding != nil {
		href = weburl.EncodeQuery(href, d.encoding)
	}
	if d.opts.Resolve != nil {
		return d.opts.Resolve(d.Base, href)
	}
	u, err := d.base.Resolve(href)
	return u.String(), err
}

// readLink adds the links of an element.
func (d *Document) readLink(e *scan.Element) {
	rel := relations(e)
	l := Link{NoFollow: vouchesNot(rel)}
	href := e.Get("href")
	switch e.Atom {
	case atom.A:
		l.Kind = LinkAnchor
	case atom.Area:
		l.Kind = LinkArea
	case atom.Iframe:
		l.Kind, href = LinkFrame, e.Get("src")
		if inner := e.Get("srcdoc"); inner != "" {
			d.readInner(inner)
			return // the standard ignores src beside it
		}
	case atom.Frame:
		l.Kind, href = LinkFrame, e.Get("src")
	case atom.Object:
		l.Kind, href = LinkObject, e.Get("data")
	case atom.Embed:
		l.Kind, href = LinkObject, e.Get("src")
	case atom.Blockquote, atom.Q, atom.Ins, atom.Del:
		l.Kind, href = LinkCite, e.Get("cite")
	case atom.Img:
		l.Kind, href = LinkCite, e.Get("longdesc")
	case atom.Form, atom.Isindex:
		if d.opts.Forms {
			d.readForm(e.Node)
		}
		return
	case atom.Meta:
		l.Kind, href = LinkRefresh, refreshTarget(e.Get("content"))
	case atom.Link:
		l.Kind, _ = linkRel(rel)
	}
	if l.Kind == LinkObject && !isPageType(e.Get("type"), href) {
		return
	}
	if l.Kind == "" || href == "" {
		return
	}
	switch l.Kind {
	case LinkAnchor:
		l.Text = e.Text
	case LinkArea:
		l.Text = clipText(e.Get("alt"), d.opts.MaxLinkText)
	}
	if l.Text == "" {
		l.Text = clipText(e.Get("title"), d.opts.MaxLinkText)
	}
	l.Lang, l.Type = clipText(e.Get("hreflang"), 50), clipText(e.Get("type"), 100)
	d.addLink(href, l)
}

// addLink adds a link to where href leads, if there is room.
func (d *Document) addLink(href string, l Link) {
	u, err := d.Resolve(href)
	if err != nil || !d.hasRoom(u) {
		return
	}
	l.URL = u
	d.links = append(d.links, l)
}

// readInner adds the links of a document within the page, as of srcdoc.
func (d *Document) readInner(page string) {
	if d.inner {
		return // a page in a page in a page
	}
	opts := d.opts
	opts.XHTML = false
	opts.MaxNodes /= 10
	inner := &Document{URL: d.Base, body: []byte(page), opts: opts, encoding: d.encoding, inner: true}
	inner.read()
	for _, l := range inner.Links() {
		if d.hasRoom(l.URL) {
			d.links = append(d.links, l)
		}
	}
}

// isPageType reports whether what an <object> or <embed> shows is a page: by its
// type, or by the name of the file if it has none.
func isPageType(t, href string) bool {
	if t = MediaType(t); t != "" {
		return t == "text/html" || t == "application/xhtml+xml"
	}
	path, _, _ := strings.Cut(href, "?")
	path, _, _ = strings.Cut(path, "#")
	switch strings.ToLower(path[strings.LastIndexByte(path, '.')+1:]) {
	case "html", "htm", "xhtml", "shtml", "php", "asp", "aspx", "jsp":
		return strings.Contains(path, ".")
	}
	return strings.HasSuffix(path, "/")
}

func vouchesNot(rel []string) bool {
	return slices.Contains(rel, "nofollow") || slices.Contains(rel, "ugc") || slices.Contains(rel, "sponsored")
}

// hasRoom reports whether a link may be kept. From the limit on, only targets
// that are new are, and as many of them as the limit says: the contents of a
// manual may have many links to the parts of few pages.
func (d *Document) hasRoom(target string) bool {
	if len(d.links) < d.opts.MaxLinks {
		return true
	}
	if d.targets == nil {
		d.targets = make(map[string]bool)
		for _, l := range d.links {
			d.targets[l.URL] = true
		}
	}
	switch {
	case d.targets[target]:
		return false
	case len(d.targets) >= d.opts.MaxLinks:
		d.lost++
		return false
	}
	d.targets[target] = true
	return true
}

func relations(e *scan.Element) []string { return strings.Fields(strings.ToLower(e.Get("rel"))) }

// linkRel returns the kind of a <link>, or "" for one that leads to no page, such
// as a style sheet; and then whether it is a part of the page, to be loaded with
// it.
func linkRel(rel []string) (kind LinkKind, part bool) {
	for _, r := range rel {
		switch r {
		case "canonical":
			return LinkCanonical, false
		case "next":
			return LinkNext, false
		case "prev", "previous":
			return LinkPrev, false
		case "alternate":
			if slices.Contains(rel, "stylesheet") {
				return "", true
			}
			return LinkAlternate, false
		case "author", "help", "license", "first", "start", "last", "up", "index", "contents", "toc", "chapter", "section",
			"subsection", "appendix", "glossary", "bookmark", "home", "archives", "terms-of-service", "privacy-policy":
			return LinkRelated, false
		case "stylesheet", "icon", "shortcut", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon", "manifest",
			"preload", "prefetch", "modulepreload", "prerender", "image_src", "import", "apple-touch-startup-image":
			part = true
		}
	}
	return "", part
}

// refreshTarget returns the URL of `5; url='next.html'`, in the forms that the
// HTML standard takes, or "" if there is none.
func refreshTarget(content string) string {
	s := strings.TrimLeft(content, " \t\r\n\f")
	digits := strings.TrimLeft(s, "0123456789.")
	if digits == s {
		return ""
	}
	s = strings.TrimLeft(digits, " \t\r\n\f;,")
	if len(s) >= 3 && strings.EqualFold(s[:3], "url") {
		if after, ok := strings.CutPrefix(strings.TrimLeft(s[3:], " \t\r\n\f"), "="); ok {
			s = strings.TrimLeft(after, " \t\r\n\f")
		}
	}
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		quote := s[0]
		s = s[1:]
		if end := strings.IndexByte(s, quote); end >= 0 {
			s = s[:end]
		}
	}
	return s
}

// clipText collapses white space and cuts to at most n bytes.
func clipText(s string, n int) string {
	if s == "" {
		return ""
	}
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}
