package content

import "golang.org/x/net/html/atom"

// A whole is a table, a list or a list of definitions, which is content as a
// whole or not at all, as a rule.
type whole struct {
	elem        int32
	table       bool
	first, last int     // its blocks, last exclusive
	words, sum  float64 // of its blocks: weights, and weights times probability
	links, all  int32
}

// wholeOf returns the innermost table or list that block i stands in, or -1.
func (p *Page) wholeOf(i int) int32 {
	at := p.Blocks[i].elem
	for range 8 {
		switch p.elements[at].node.DataAtom {
		case atom.Table, atom.Ul, atom.Ol, atom.Dl:
			return at
		}
		if at = p.elements[at].parent; at < 0 {
			break
		}
	}
	return -1
}

// How far the blocks of a table and of a list are moved towards their mean.
const (
	tableSmoothing = .9
	listSmoothing  = .5
)

// smooth returns probabilities in which blocks that are alike, and those of a table or
// list, are closer to one another. A table between two blocks of content that is not made of
// links is as likely as these, and so is a listing.
func (p *Page) smooth(probability []float32, types [types]float32) []float32 {
	probability = p.smoothAlike(probability, types)
	out := append([]float32(nil), probability...)
	var wholes []*whole
	of := make(map[int32]*whole)
	for i := range p.Blocks {
		b := &p.Blocks[i]
		if b.Source != FromTree {
			continue
		}
		at := p.wholeOf(i)
		if at < 0 {
			continue
		}
		w := of[at]
		if w == nil {
			w = &whole{elem: at, table: p.elements[at].node.DataAtom == atom.Table, first: i}
			of[at] = w
			wholes = append(wholes, w)
		}
		w.last = i + 1
		w.words += weightOf(b)
		w.sum += weightOf(b) * float64(probability[i])
		w.links += b.linkWords
		w.all += b.words
	}
	for _, w := range wholes {
		share := float32(listSmoothing)
		if w.table {
			share = float32(tableSmoothing)
		}
		mean := float32(w.sum / w.words)
		if w.table && w.first > 0 && w.last < len(p.Blocks) && w.links*2 < w.all {
			if around := min(probability[w.first-1], probability[w.last]); around > mean {
				mean = around
			}
		}
		for i := w.first; i < w.last; i++ {
			if p.wholeOf(i) == w.elem {
				out[i] += (mean - out[i]) * share
			}
		}
	}
	p.smoothListings(out, types[1] > .5)
	return out
}

// How far blocks that are alike are moved towards their mean. What is alike on a page
// that sells or shows things may be of either kind: the card of the product, and those
// of others.
const (
	alikeSmoothing     = .6
	alikeSmoothingShop = .3
)

// smoothAlike returns probabilities in which blocks are closer to one another that
// stand in elements of the same names.
func (p *Page) smoothAlike(probability []float32, types [types]float32) []float32 {
	share := float32(alikeSmoothingShop)
	if types[0]+types[1] > .5 || types[2] >= maybeForum {
		share = alikeSmoothing
	}
	type sums struct{ words, likely float64 }
	alike := make(map[uint32]sums)
	paths := make([]uint32, len(probability))
	for i, x := range probability {
		b := &p.Blocks[i]
		paths[i] = p.path(b.elem)
		s := alike[paths[i]]
		alike[paths[i]] = sums{s.words + weightOf(b), s.likely + weightOf(b)*float64(x)}
	}
	out := make([]float32, len(probability))
	for i, x := range probability {
		s := alike[paths[i]]
		out[i] = x + (float32(s.likely/s.words)-x)*share
	}
	return out
}

// smoothListings makes a listing between two blocks of content as likely as the less
// likely of these; on documentation, of which listings are a part, as the more likely.
func (p *Page) smoothListings(probability []float32, documentation bool) {
	n := len(p.Blocks)
	for first := 0; first < n; first++ {
		if !p.Blocks[first].Pre {
			continue
		}
		end := first + 1
		for end < n && p.Blocks[end].Pre {
			end++
		}
		if first > 0 && end < n {
			around := min(probability[first-1], probability[end])
			if documentation {
				around = max(probability[first-1], probability[end], .5)
			}
			for i := first; i < end; i++ {
				probability[i] = max(probability[i], around)
			}
		}
		first = end
	}
}
