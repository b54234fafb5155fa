package stages

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// React sends what takes long to render behind the page, in hidden elements with
// the names S:0, S:1, …, each with a script that puts it where a <template> with
// the name B:0 (or P:0) holds its place. Without that script such a page is a
// frame around nothing, so it is done here as the script would.

// Bounds on what is put in its place, so that the tree grows no deeper than it may.
const (
	maxStreamed      = 256
	maxStreamedDepth = 512
)

var streamedMark = []byte(`id="S:`)

// placeStreamed puts what has been sent behind the page in its place.
func placeStreamed(root *html.Node, body []byte) {
	if !bytes.Contains(body, streamedMark) {
		return
	}
	named := make(map[string]*html.Node)
	type move struct{ from, to string }
	var moves []move
	for n := root; n != nil; n = next(n, root) {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			if a.Key == "id" && len(a.Val) > 2 && len(a.Val) < 64 && a.Val[1] == ':' && named[a.Val] == nil {
				named[a.Val] = n
			}
		}
		if n.DataAtom != atom.Script || n.FirstChild == nil {
			continue
		}
		s := n.FirstChild.Data
		for len(moves) < maxStreamed {
			at := strings.Index(s, `$R`)
			if at < 0 || at+3 > len(s) {
				break
			}
			call := s[at+2:]
			s = call
			if call[0] != 'C' && call[0] != 'S' {
				continue
			}
			args := strings.SplitN(call[1:min(len(call), 200)], `"`, 5)
			switch {
			case len(args) < 5 || args[0] != "(" || args[2] != ",":
			case call[0] == 'C': // what is complete: where, what
				moves = append(moves, move{from: args[3], to: args[1]})
			default: // a segment: what, where
				moves = append(moves, move{from: args[1], to: args[3]})
			}
		}
	}
	for _, m := range moves {
		from, to := named[m.from], named[m.to]
		if from != nil && to != nil && to.DataAtom == atom.Template && from.Parent != nil && mayPlace(from, to) {
			place(from, to)
			delete(named, m.from)
			delete(named, m.to)
		}
	}
}

// mayPlace reports whether an element does not hold the place it is to go to,
// and that place is not too deep.
func mayPlace(from, to *html.Node) bool {
	depth := 0
	for n := to; n != nil; n = n.Parent {
		if depth++; n == from || depth > maxStreamedDepth {
			return false
		}
	}
	return true
}

// place moves the content of an element to where a template stands. What stood
// there in the meantime, up to the comment that ends it, goes.
func place(from, to *html.Node) {
	from.Parent.RemoveChild(from)
	if strings.HasPrefix(attr(to, "id"), "B:") {
		for end := endOfPlace(to); end != nil && to.NextSibling != end; {
			to.Parent.RemoveChild(to.NextSibling)
		}
	}
	for c := from.FirstChild; c != nil; c = from.FirstChild {
		from.RemoveChild(c)
		to.Parent.InsertBefore(c, to)
	}
	to.Parent.RemoveChild(to)
}

// endOfPlace returns the comment that ends what stands in a place in the
// meantime, or nil if there is none.
func endOfPlace(to *html.Node) *html.Node {
	open := 0
	for n := to.NextSibling; n != nil; n = n.NextSibling {
		if n.Type != html.CommentNode {
			continue
		}
		switch n.Data {
		case "$", "$?", "$!":
			open++
		case "/$":
			if open == 0 {
				return n
			}
			open--
		}
	}
	return nil
}
