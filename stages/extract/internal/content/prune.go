package content

import (
	"slices"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Prune returns a copy of the page's tree that holds the texts of the blocks
// kept, the elements around them, and the images that stand among them. The
// page's tree is not changed.
func (p *Page) Prune(keep []bool) *html.Node {
	pr := &pruner{page: p, keep: keep, copies: make(map[*html.Node]*html.Node), block: -1, out: &html.Node{Type: html.DocumentNode}}
	pr.all, pr.kept = make([]int32, len(p.Blocks)+1), make([]int32, len(p.Blocks)+1)
	for i := range p.Blocks {
		pr.all[i+1], pr.kept[i+1] = pr.all[i], pr.kept[i]
		if p.elements[p.Blocks[i].elem].place&inCaption != 0 {
			continue // which says nothing of the image that it belongs to
		}
		pr.all[i+1] += p.Blocks[i].words
		if keep[i] {
			pr.kept[i+1] += p.Blocks[i].words
		}
	}
	root := p.doc.Root()
	pr.copies[root] = pr.out
	walk(root, pr.enter)
	return pr.out
}

// A pruner copies a tree in part. It meets the elements and texts in the order
// in which the reader met them.
type pruner struct {
	page      *Page
	keep      []bool
	out       *html.Node
	copies    map[*html.Node]*html.Node
	text      int     // the next of page.Texts
	elem      int     // the next of page.elements
	block     int32   // of the last text that was copied, or -1
	all, kept []int32 // words up to each block, without captions
}

func (pr *pruner) enter(n *html.Node) bool {
	p := pr.page
	if pr.text < len(p.Texts) && p.Texts[pr.text].Node == n {
		if t := &p.Texts[pr.text]; pr.keep[t.Block] {
			pr.add(n, t.Apart, t.Block != pr.block)
			pr.block = t.Block
		}
		pr.text++
		return false
	}
	if n.Type == html.TextNode && isSpace(n.Data) {
		pr.space(n)
	}
	if n.Type != html.ElementNode {
		return n.Type == html.DocumentNode
	}
	if pr.elem < len(p.elements) && p.elements[pr.elem].node == n {
		pr.elem++
		return true
	}
	switch n.DataAtom {
	case atom.Br:
		pr.between(n, shallow(n))
	case atom.Wbr, atom.Rt, atom.Rp:
	case atom.Img:
		pr.space(n)
		if pr.amongKept(n, pr.elem-1) {
			pr.add(n, false, false)
			pr.space(n)
		}
	default:
		pr.space(n) // as the reader separates what is on both sides
	}
	return false
}

// space keeps white space between what is copied.
func (pr *pruner) space(n *html.Node) {
	pr.between(n, &html.Node{Type: html.TextNode, Data: " "})
}

// between adds what stands between texts where n stands, behind what is copied;
// also if the element that it stands in holds nothing else and is not copied.
func (pr *pruner) between(n, what *html.Node) {
	up := n.Parent
	for up != nil && pr.copies[up] == nil && !breaks(up) {
		up = up.Parent
	}
	if c := pr.copies[up]; c != nil && c.LastChild != nil {
		c.AppendChild(what)
	}
}

// amongKept reports whether most of what stands around an image is kept. The
// element at was opened last before it.
func (pr *pruner) amongKept(img *html.Node, at int) bool {
	p := pr.page
	if at < 0 || len(p.Blocks) == 0 {
		return false
	}
	e := &p.elements[at]
	for e.node != img.Parent && e.parent >= 0 {
		e = &p.elements[e.parent]
	}
	for range 3 {
		first, last := int(e.firstBlock), int(e.lastBlock)
		if first = min(first, len(p.Blocks)-1); last <= first {
			last = first + 1
		}
		if all := pr.all[last] - pr.all[first]; all > 0 {
			return (pr.kept[last]-pr.kept[first])*2 > all
		}
		if e.parent < 0 {
			break
		}
		e = &p.elements[e.parent]
	}
	return false
}

// add copies a node, and of the elements around it those that are not copied,
// with a space before them if they stand apart. What begins a block is parted
// from a line that the block between them, which is left out, has ended.
func (pr *pruner) add(n *html.Node, apart, begins bool) {
	var missing []*html.Node
	up := n.Parent
	for ; up != nil && pr.copies[up] == nil; up = up.Parent {
		missing = append(missing, up)
	}
	at := pr.copies[up]
	if begins && at.LastChild != nil && isInline(at.LastChild) && !slices.ContainsFunc(missing, breaks) {
		for range 2 {
			at.AppendChild(&html.Node{Type: html.ElementNode, DataAtom: atom.Br, Data: "br"})
		}
	}
	if apart && at.LastChild != nil {
		at.AppendChild(&html.Node{Type: html.TextNode, Data: " "})
	}
	for i := len(missing) - 1; i >= 0; i-- {
		c := shallow(missing[i])
		pr.copies[missing[i]] = c
		if touchesLink(missing[i]) && at.LastChild != nil {
			at.AppendChild(&html.Node{Type: html.TextNode, Data: " "})
		}
		at.AppendChild(c)
		at = c
	}
	if n.DataAtom == atom.Math {
		at.AppendChild(&html.Node{Type: html.TextNode, Data: " " + formulaText(n) + " "})
		return
	}
	at.AppendChild(shallow(n))
}

// breaks reports whether an element ends the line before it.
func breaks(n *html.Node) bool {
	return breaksLine(n) || isCell(n) || n.DataAtom == atom.Br
}

// isInline reports whether a node leaves a line open.
func isInline(n *html.Node) bool { return n.Type == html.TextNode || !breaks(n) }

func shallow(n *html.Node) *html.Node {
	return &html.Node{Type: n.Type, DataAtom: n.DataAtom, Data: n.Data, Namespace: n.Namespace, Attr: append([]html.Attribute(nil), n.Attr...)}
}

// walk calls enter for each node below root in document order, root included,
// but for what is below a node for which it returns false. It needs no stack.
func walk(root *html.Node, enter func(*html.Node) bool) {
	for n := root; n != nil; {
		if enter(n) && n.FirstChild != nil {
			n = n.FirstChild
			continue
		}
		for n != root && n.NextSibling == nil {
			n = n.Parent
		}
		if n == root {
			return
		}
		n = n.NextSibling
	}
}
