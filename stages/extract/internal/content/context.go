package content

import (
	"math"

	"github.com/seed-301537d8/weir/stages/extract/internal/forest"
)

// contextVector holds what a first look at every block of a page has found,
// added up in the ways that the second look asks for.
type contextScores struct {
	p        *Page
	first    []float32 // the probability of each block by the first look
	weighted []float64 // sums of probability times words up to each block
	words    []float64 // sums of words up to each block
	element  []float64 // probability times words of the blocks of each element
	named    map[uint32][2]float64
	section  []float32 // mean of the blocks between the headings around
	mean     float32
	most     float32
	above    float32 // share of words of blocks over one half
}

func weightOf(b *Block) float64 { return float64(b.words) + 1 }

func newContext(p *Page, first []float32) *contextScores {
	n := len(p.Blocks)
	c := &contextScores{
		p: p, first: first, weighted: make([]float64, n+1), words: make([]float64, n+1),
		element: make([]float64, 2*len(p.elements)), named: make(map[uint32][2]float64), section: make([]float32, n),
	}
	var above float64
	for i := range p.Blocks {
		b := &p.Blocks[i]
		w, x := weightOf(b), float64(first[i])
		c.weighted[i+1] = c.weighted[i] + w*x
		c.words[i+1] = c.words[i] + w
		if b.Source == FromTree {
			c.element[2*b.elem] += w * x
			c.element[2*b.elem+1] += w
		}
		s := c.named[p.path(b.elem)]
		c.named[p.path(b.elem)] = [2]float64{s[0] + w*x, s[1] + w}
		c.most = max(c.most, first[i])
		if x > .5 {
			above += w
		}
	}
	for i := len(p.elements) - 1; i > 0; i-- {
		if up := p.elements[i].parent; up >= 0 {
			c.element[2*up] += c.element[2*i]
			c.element[2*up+1] += c.element[2*i+1]
		}
	}
	c.mean = c.between(0, n)
	if n > 0 {
		c.above = float32(above / c.words[n])
	}
	for start := 0; start < n; {
		end := start + 1
		for end < n && p.elements[p.Blocks[end].elem].place&inHeading == 0 {
			end++
		}
		mean := c.between(min(start+1, end), end)
		for i := start; i < end; i++ {
			c.section[i] = mean
		}
		start = end
	}
	return c
}

// path names an element by its own signature and those of the two above it.
func (p *Page) path(at int32) uint32 {
	h := p.elements[at].signature
	for range 2 {
		at = p.elements[at].parent
		if at < 0 {
			break
		}
		h = h*fnvPrime ^ p.elements[at].signature
	}
	return h
}

// between returns the mean of blocks a to b, by words; without blocks 0.
func (c *contextScores) between(a, b int) float32 {
	a, b = max(a, 0), min(b, len(c.first))
	if a >= b {
		return 0
	}
	return float32((c.weighted[b] - c.weighted[a]) / (c.words[b] - c.words[a]))
}

func (c *contextScores) inElement(at int32) float32 {
	if c.element[2*at+1] == 0 {
		return 0
	}
	return float32(c.element[2*at] / c.element[2*at+1])
}

// vector appends what the neighbours, the elements around and the blocks of the
// same kind of block i were given by the first look.
func (c *contextScores) vector(v vector, i int) vector {
	p := c.p
	b := &p.Blocks[i]
	v.add(c.first[i])
	for _, d := range []int{-4, -3, -2, -1, 1, 2, 3, 4} {
		if j := i + d; j >= 0 && j < len(c.first) {
			v.add(c.first[j])
		} else {
			v.add(0)
		}
	}
	v.add(c.between(i-6, i), c.between(i+1, i+7), c.between(i-20, i), c.between(i+1, i+21), c.between(0, i), c.between(i+1, len(c.first)))
	at := b.elem
	for range 6 {
		v.add(c.inElement(at))
		at = p.level(at, 1)
	}
	v.add(c.inElement(p.level(at, 2)))
	at = b.elem
	for up := 0; up < 10 && p.elements[at].parent >= 0 && p.elements[at].twins < 2; up++ {
		at = p.elements[at].parent
	}
	v.add(c.inElement(at), c.inElement(p.level(at, 1)), c.inElement(int32(p.longest)))
	s := c.named[p.path(b.elem)]
	v.add(float32(s[0]/max(s[1], 1)), float32(s[1]))
	v.add(c.section[i], c.mean, c.most, c.above)
	// How much more of the page is as likely as this.
	return v
}

func probabilities(f *forest.Forest, vectors []vector) []float32 {
	out := make([]float32, len(vectors))
	for i, v := range vectors {
		out[i] = forest.Probability(f.LogOdds(v))
	}
	return out
}

// mean returns the mean of several probabilities of each block, by log-odds.
func mean(all ...[]float32) []float32 {
	out := make([]float32, len(all[0]))
	for i := range out {
		var sum float64
		for _, p := range all {
			x := min(max(float64(p[i]), 1e-6), 1-1e-6)
			sum += math.Log(x / (1 - x))
		}
		out[i] = forest.Probability(float32(sum / float64(len(all))))
	}
	return out
}
