package stages

import (
	"encoding/base64"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// LinkRequisite is the kind of what a page needs to be shown, and that is no
// page itself: images, style sheets, scripts, media.
const LinkRequisite LinkKind = "requisite"

// Requisites returns what the page needs to be shown, in document order, each
// once, at most DocumentOptions.MaxLinks of them; and what it names for programs
// that show it otherwise. Links in style sheets of their own are [CSSLinks].
func (d *Document) Requisites() []Link {
	r := requisites{d: d, seen: make(map[string]bool)}
	r.tree(d.Root())
	return r.links
}

// tree adds what a document, or one within it, needs.
func (r *requisites) tree(root *html.Node) {
	for n := root; n != nil; n = next(n, root) {
		switch n.Type {
		case html.ElementNode:
			r.element(n)
		case html.CommentNode:
			r.comment(n.Data)
		case html.DoctypeNode:
			for _, a := range n.Attr {
				if a.Key == "system" && !strings.Contains(a.Val, "w3.org/TR/") {
					r.add(a.Val)
				}
			}
		}
	}
}

// maxInner bounds the nodes of a document within the page.
const maxInner = 1000

// inside adds what a document within the page needs.
func (r *requisites) inside(page string) {
	if r.inner {
		return // a page in a page in a page
	}
	r.inner = true
	if root := parseTree([]byte(page), maxInner); root != nil {
		r.tree(root)
	}
	r.inner = false
}

type requisites struct {
	d     *Document
	seen  map[string]bool
	links []Link
	inner bool // within another page
}

func (r *requisites) add(href string) {
	if image, ok := dataSVG(href); ok {
		r.inside(image)
		return
	}
	if strings.TrimSpace(href) == "" || len(r.links) >= r.d.opts.MaxLinks {
		return
	}
	u, err := r.d.Resolve(href)
	if err != nil || r.seen[u] {
		return
	}
	r.seen[u] = true
	r.links = append(r.links, Link{URL: u, Kind: LinkRequisite})
}

// sources are the attributes that name what an element shows or runs. (An object
// that is a page is a link, too.)
var sources = map[string]bool{
	"src": true, "data-src": true, "poster": true, "background": true, "lowsrc": true, "dynsrc": true,
	"data": true, "codebase": true, "archive": true, "manifest": true, "profile": true, "implementation": true,
}

func (r *requisites) element(n *html.Node) {
	for _, a := range n.Attr {
		switch {
		case sources[a.Key]:
			r.add(a.Val)
		case a.Key == "srcset" || a.Key == "imagesrcset":
			for _, href := range splitSrcset(a.Val) {
				r.add(href)
			}
		case a.Key == "style":
			r.addAll(CSSLinks(a.Val))
		case a.Key == "href" && n.Namespace == "svg" && n.DataAtom != atom.A:
			r.add(a.Val)
		}
	}
	switch {
	case n.DataAtom == atom.Iframe:
		r.inside(attr(n, "srcdoc"))
	case n.DataAtom == atom.Base:
		if r.d.Base != r.d.URL {
			r.add(r.d.Base) // where what the page loads is, as with a codebase
		}
	case n.DataAtom == atom.Link:
		if _, part := linkRel(strings.Fields(strings.ToLower(attr(n, "rel")))); part {
			r.add(attr(n, "href"))
		}
	case n.Data == "import" && n.Namespace == "":
		r.add(attr(n, "implementation"))
	case n.DataAtom == atom.Style && n.FirstChild != nil:
		r.addAll(CSSLinks(n.FirstChild.Data))
	case n.DataAtom == atom.Param:
		switch strings.ToLower(attr(n, "name")) {
		case "src", "movie", "data", "url", "filename", "href", "ref":
			r.add(attr(n, "value"))
		}
	case n.DataAtom == atom.Meta:
		r.meta(n)
	}
}

func (r *requisites) meta(n *html.Node) {
	content := attr(n, "content")
	switch strings.ToLower(attr(n, "name")) {
	case "msapplication-config", "msapplication-tileimage", "twitter:image":
		r.add(content)
	case "copyright":
		r.inside(content) // where some browsers look for an image to show
	}
	if strings.EqualFold(attr(n, "property"), "og:image") {
		r.add(content)
	}
}

// comment reads a conditional comment, as old pages have them for one browser.
func (r *requisites) comment(data string) {
	if !strings.HasPrefix(strings.TrimSpace(data), "[if") {
		return
	}
	_, inside, ok := strings.Cut(data, "]>")
	if !ok {
		return
	}
	r.inside(inside)
}

// dataSVG returns the image of a data: address (RFC 2397), if it is one of SVG, which
// may name other images.
func dataSVG(href string) (image string, ok bool) {
	const scheme = "data:image/svg+xml"
	href = strings.TrimSpace(href)
	if len(href) < len(scheme) || !strings.EqualFold(href[:len(scheme)], scheme) {
		return "", false
	}
	params, data, ok := strings.Cut(href[len(scheme):], ",")
	if !ok {
		return "", false
	}
	image, err := url.PathUnescape(data)
	if err == nil && strings.HasSuffix(strings.ToLower(strings.TrimSpace(params)), ";base64") {
		var b []byte
		b, err = base64.StdEncoding.DecodeString(image)
		image = string(b)
	}
	return image, err == nil
}

func (r *requisites) addAll(hrefs []string) {
	for _, href := range hrefs {
		r.add(href)
	}
}

// splitSrcset returns the addresses of a srcset attribute (HTML standard, "parse
// a srcset attribute").
func splitSrcset(s string) (hrefs []string) {
	for {
		s = strings.TrimLeft(s, " \t\r\n\f,")
		if s == "" {
			return hrefs
		}
		end := strings.IndexAny(s, " \t\r\n\f")
		if end < 0 {
			end = len(s)
		}
		href := s[:end]
		s = s[end:]
		if trimmed := strings.TrimRight(href, ","); trimmed != href {
			hrefs = append(hrefs, trimmed)
			continue
		}
		hrefs = append(hrefs, href)
		if _, after, ok := strings.Cut(s, ","); ok {
			s = after
		} else {
			s = ""
		}
	}
}
