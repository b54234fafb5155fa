package content

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages"
)

// Annotated pages are large, and made by the systems of their time. So that
// the model knows small and plain pages too, it is trained on copies of them
// that are cut down to a few blocks of content and a few of the rest, without
// some or all of their names, and with other elements around their text.

// cutDown returns such a copy of a labelled sample, or nil if there is too
// little in it.
func (s *Sample) cutDown(seed uint64) *Sample {
	r := rand.New(rand.NewPCG(seed, 23))
	p := s.Page
	keep := make([]bool, len(p.Blocks))
	var reference []string
	limit := 2 + r.IntN(12)
	skip := 0
	if r.IntN(3) == 0 {
		skip = r.IntN(6)
	}
	rest := [...]float64{0, .03, .08, .2}[r.IntN(4)]
	taking := false
	for i := range p.Blocks {
		b := &p.Blocks[i]
		if b.Source != FromTree {
			continue
		}
		switch y := s.labels[i]; {
		case y >= .9:
			if skip > 0 {
				skip--
				continue
			}
			if len(reference) < limit {
				keep[i] = true
				reference = append(reference, b.Text)
			}
		case y == 0:
			// What is beside the content comes in runs.
			if r.Float64() < .25 {
				taking = r.Float64() < rest*2
			}
			keep[i] = taking
		}
	}
	if len(reference) < 2 {
		return nil
	}
	root := p.Prune(keep)
	disguise(root, r)
	var b bytes.Buffer
	if title := p.doc.Meta.Title; r.IntN(2) == 0 {
		b.WriteString("<title>" + html.EscapeString(title) + "</title>")
	}
	if html.Render(&b, root) != nil {
		return nil
	}
	page, err := Read(context.Background(), stages.ParseDocument(b.Bytes(), p.doc.URL, nil))
	if err != nil || len(page.Blocks) == 0 {
		return nil
	}
	return &Sample{Name: s.Name + " cut down", Page: page, Site: s.Site, Type: s.Type, Reference: strings.Join(reference, "\n"), copy: true}
}

// disguise takes names away and puts other elements in the places of some.
func disguise(root *html.Node, r *rand.Rand) {
	names := r.IntN(3)      // keep all, some, none
	paragraphs := r.IntN(5) // how paragraphs are written
	sections := r.IntN(4)   // what becomes of article and main
	inTable := r.IntN(6) == 0
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	for _, n := range all {
		if names == 2 || names == 1 && r.IntN(2) == 0 {
			var kept []html.Attribute
			for _, a := range n.Attr {
				if a.Key == "href" || a.Key == "src" || a.Key == "colspan" {
					kept = append(kept, a)
				}
			}
			n.Attr = kept
		}
		switch {
		case n.DataAtom == atom.P && paragraphs == 0:
			rename(n, atom.Div)
		case n.DataAtom == atom.P && paragraphs == 1 && n.Parent.DataAtom != atom.Li:
			unwrap(n, true)
		case n.DataAtom == atom.P && paragraphs == 2 && r.IntN(3) == 0:
			rename(n, atom.Section)
		case (n.DataAtom == atom.Article || n.DataAtom == atom.Main) && sections == 0:
			rename(n, atom.Div)
		case n.DataAtom == atom.Body && inTable:
			wrapInTable(n)
		}
	}
}

func rename(n *html.Node, a atom.Atom) { n.DataAtom, n.Data = a, a.String() }

// unwrap puts the content of an element in its place, with two line breaks
// behind it.
func unwrap(n *html.Node, breaks bool) {
	for c := n.FirstChild; c != nil; c = n.FirstChild {
		n.RemoveChild(c)
		n.Parent.InsertBefore(c, n)
	}
	if breaks {
		for range 2 {
			n.Parent.InsertBefore(&html.Node{Type: html.ElementNode, DataAtom: atom.Br, Data: "br"}, n)
		}
	}
	n.Parent.RemoveChild(n)
}

// wrapInTable puts the content of an element in the only cell of a table.
func wrapInTable(n *html.Node) {
	at := n
	var children []*html.Node
	for c := n.FirstChild; c != nil; c = n.FirstChild {
		n.RemoveChild(c)
		children = append(children, c)
	}
	for _, a := range []atom.Atom{atom.Table, atom.Tbody, atom.Tr, atom.Td} {
		c := &html.Node{Type: html.ElementNode, DataAtom: a, Data: a.String()}
		at.AppendChild(c)
		at = c
	}
	for _, c := range children {
		at.AppendChild(c)
	}
}
