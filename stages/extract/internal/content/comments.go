package content

import (
	"strings"

	"golang.org/x/net/html/atom"
)

// maxUp is how many elements around a block are looked at for the comment or post
// that it belongs to.
const maxUp = 40

// Comments returns what readers have written below a page: each comment that is
// not kept. What has less than four words, stands in a form or is made of links is
// furniture of the comments.
func (p *Page) Comments(keep []bool) []string {
	var out grouped
	for i := range p.Blocks {
		b := &p.Blocks[i]
		e := &p.elements[b.elem]
		if keep[i] || e.place&inComments == 0 || e.place&(inForm|inButton|inNav|inHidden|inHeading) != 0 || b.words < 4 || b.linkWords*2 >= b.words {
			continue
		}
		out.add(p.commentOf(b.elem), b.Text)
	}
	return out.joined()
}

// grouped are texts, of which those in a row that belong together are one.
type grouped struct {
	texts [][]string
	last  int32
}

// add adds a text of a group, or of none if that is negative.
func (g *grouped) add(group int32, text string) {
	if n := len(g.texts); n > 0 && group >= 0 && group == g.last {
		g.texts[n-1] = append(g.texts[n-1], text)
	} else {
		g.texts = append(g.texts, []string{text})
	}
	g.last = group
}

func (g *grouped) joined() (out []string) {
	for _, t := range g.texts {
		out = append(out, strings.Join(t, "\n"))
	}
	return out
}

// commentOf returns the comment that an element stands in: the nearest element
// that is called one and has others like it beside it; or else the nearest that
// has, and is no paragraph; or -1.
func (p *Page) commentOf(at int32) int32 {
	nearest := int32(-1)
	for range maxUp {
		e := &p.elements[at]
		if e.place&inComments == 0 || e.parent < 0 {
			break
		}
		if e.twins >= 2 {
			for _, t := range p.tokens[e.tokens[0]:e.tokens[1]] {
				if t == commentPart {
					return at
				}
			}
			if a := e.node.DataAtom; nearest < 0 && a != atom.P && a != atom.Blockquote && a != atom.Pre {
				nearest = at
			}
		}
		at = e.parent
	}
	return nearest
}

// Posts returns the posts of a forum that are kept: what stands in those of the
// elements that are alike, side by side, in which most of the kept text stands.
func (p *Page) Posts(keep []bool) []string {
	type group struct {
		parent    int32
		signature uint32
	}
	type members struct {
		words int32
		n     int
		last  int32
	}
	groups := make(map[group]members)
	var best group
	of := func(i int, g group) int32 { // the member of a group that block i stands in, or -1
		at := p.Blocks[i].elem
		for range maxUp {
			e := &p.elements[at]
			if e.parent < 0 {
				break
			}
			if e.parent == g.parent && e.signature == g.signature {
				return at
			}
			at = e.parent
		}
		return -1
	}
	for i, k := range keep {
		if !k || p.Blocks[i].Source != FromTree {
			continue
		}
		at := p.Blocks[i].elem
		for range maxUp {
			e := &p.elements[at]
			if e.parent < 0 {
				break
			}
			if a := e.node.DataAtom; e.twins >= 2 && a != atom.P && a != atom.Li {
				g := group{e.parent, e.signature}
				m := groups[g]
				m.words += p.Blocks[i].words
				if m.n == 0 || m.last != at {
					m.n++
					m.last = at
				}
				groups[g] = m
				if m.n >= 2 && m.words > groups[best].words {
					best = g
				}
			}
			at = e.parent
		}
	}
	if groups[best].n < 2 {
		return nil
	}
	var posts grouped
	for i, k := range keep {
		if !k || p.Blocks[i].Source != FromTree {
			continue
		}
		if at := of(i, best); at >= 0 {
			posts.add(at, p.Blocks[i].Text)
		}
	}
	return posts.joined()
}
