// Package scan finds the elements of a page that say what it links to and what it
// is called, as the tree of the HTML standard has them, without making the tree.
//
// A tree costs many times what its links are worth: of every element and every text
// a node, of every attribute a string. What a crawl asks for is in a few elements,
// but which of them the tree has, in what order, and where a link's text ends,
// depends on all the others. So this package goes the way of the standard's tree
// construction and keeps what that keeps to go it, the stack of open elements and
// the list of active formatting elements, and no node.
//
// The invariant: [Read] either returns exactly what [FromTree] finds in the tree that
// golang.org/x/net/html makes of the page, or reports that it gives up. It gives up
// where construction moves or repeats nodes, so that the order of tags is not that of
// the tree: foster parenting (something in a table that belongs into its cells), the
// adoption agency (formatting elements and blocks that overlap), a link that is left
// open and opened anew, frames, and what is rarer still. Callers then make the tree.
//
// Its proof is in the tests: the pages of the project, and a fuzz test of pages put
// together from what the rules of the standard tell apart.
package scan

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// An Element is one that may say something about a page or lead to another.
type Element struct {
	Atom    atom.Atom
	Foreign bool             // of SVG or MathML
	Attr    []html.Attribute // those that are of interest, in the order of the page
	Text    string           // of a, title, and script with JSON-LD
	Node    *html.Node       // of a form, from a tree
}

// Get returns an attribute's value, or "".
func (e *Element) Get(key string) string {
	for i := range e.Attr {
		if e.Attr[i].Key == key {
			return e.Attr[i].Val
		}
	}
	return ""
}

// maxTitle bounds the text of <title>, in bytes.
const maxTitle = 1000

// wanted names the elements of interest.
func wanted(a atom.Atom) bool {
	switch a {
	case atom.A, atom.Area, atom.Base, atom.Blockquote, atom.Del, atom.Embed, atom.Frame, atom.Html, atom.Iframe, atom.Img,
		atom.Ins, atom.Link, atom.Meta, atom.Object, atom.Q, atom.Script, atom.Title:
		return true
	}
	return false
}

// wantedKey names the attributes of interest.
func wantedKey(key string) bool {
	switch key {
	case "alt", "cite", "content", "data", "href", "hreflang", "http-equiv", "itemprop", "lang", "longdesc", "name",
		"property", "rel", "src", "srcdoc", "title", "type":
		return true
	}
	return false
}

// says reports whether an element of interest has the attribute that makes it one.
func (e *Element) says() bool {
	switch e.Atom {
	case atom.A, atom.Area, atom.Link:
		return e.Get("href") != ""
	case atom.Base:
		return e.Get("href") != "" && !e.Foreign
	case atom.Blockquote, atom.Del, atom.Ins, atom.Q:
		return e.Get("cite") != ""
	case atom.Embed, atom.Frame:
		return e.Get("src") != ""
	case atom.Html:
		return e.Get("lang") != ""
	case atom.Iframe:
		return e.Get("src") != "" || e.Get("srcdoc") != ""
	case atom.Img:
		return e.Get("longdesc") != ""
	case atom.Object:
		return e.Get("data") != ""
	case atom.Script:
		return isJSONLD(e.Get("type"))
	case atom.Title:
		return !e.Foreign
	}
	return true
}

func isJSONLD(t string) bool { return strings.Contains(strings.ToLower(t), "ld+json") }

// Read returns the elements of interest of a page of UTF-8, in document order.
// maxText bounds the text of links, in bytes. It reports false if it gives up.
//
// It needs time in proportion to the page, and no more memory than its elements.
func Read(page []byte, maxText int) (elements []Element, ok bool) {
	if bytes.IndexByte(page, 0) >= 0 {
		return nil, false // which is dropped here and replaced there
	}
	s := scanners.Get().(*scanner)
	defer s.free()
	s.page, s.maxText = page, maxText
	s.push(s.newNode(atom.Html, nil))
	for s.at < len(page) && !s.lost && s.token() {
	}
	for i := range s.captures {
		s.captures[i].end(s)
	}
	return s.elements, !s.lost
}

// FromTree returns the elements of interest of a tree, and its forms.
func FromTree(root *html.Node, maxText int) (elements []Element) {
	for n := root; n != nil; n = next(n, root) {
		for n != nil && n.Type == html.ElementNode && n.DataAtom == atom.Template && n.Namespace == "" {
			n = nextAfter(n, root) // its content is no part of the page
		}
		if n == nil {
			break
		}
		if n.Type != html.ElementNode {
			continue
		}
		if n.DataAtom == atom.Form || n.DataAtom == atom.Isindex {
			elements = append(elements, Element{Atom: n.DataAtom, Node: n})
		}
		if !wanted(n.DataAtom) {
			continue
		}
		e := Element{Atom: n.DataAtom, Foreign: n.Namespace != "", Attr: n.Attr}
		if !e.says() {
			continue
		}
		switch n.DataAtom {
		case atom.A:
			e.Text = Text(n, maxText, true)
		case atom.Title:
			e.Text = Text(n, maxTitle, false)
		case atom.Script:
			if n.FirstChild != nil {
				e.Text = n.FirstChild.Data
			}
		}
		elements = append(elements, e)
	}
	return elements
}

// next returns the node after n in document order below root, or nil.
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
