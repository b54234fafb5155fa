package extract

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

// The walks of this file need no stack, so that a deep tree costs no more than
// a wide one.

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

// walk calls enter for each node below root in document order, root included,
// and leave after its descendants. If enter returns false, the descendants and
// leave are passed over.
func walk(root *html.Node, enter func(*html.Node) bool, leave func(*html.Node)) {
	n := root
	for n != nil {
		if enter(n) {
			if n.FirstChild != nil {
				n = n.FirstChild
				continue
			}
			leave(n)
		}
		for n != root && n.NextSibling == nil {
			n = n.Parent
			leave(n)
		}
		if n == root {
			return
		}
		n = n.NextSibling
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

// breaks reports whether an element begins and ends a block.
func breaks(a atom.Atom) bool { return content.Breaking(a) }

// nodeText returns the text below n, its images' alternative text included,
// with white space collapsed, and at most limit bytes of it.
func nodeText(n *html.Node, limit int) string {
	var b strings.Builder
	for c := n; c != nil && b.Len() <= limit; c = next(c, n) {
		text := ""
		switch {
		case c.Type == html.TextNode:
			text = c.Data
		case c.DataAtom == atom.Img:
			text = attr(c, "alt")
		}
		for w := range strings.FieldsSeq(text) {
			if b.Len() > limit {
				break
			}
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(w[:min(len(w), limit+4)])
		}
	}
	s := b.String()
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
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
