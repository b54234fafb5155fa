package content

import (
	"context"
	_ "embed" // the model
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/seed-301537d8/weir/stages/extract/internal/forest"
)

// A PageType is a kind of page by what its content looks like.
type PageType string

// The types of pages.
const (
	Article       PageType = "article"
	Documentation PageType = "documentation"
	Forum         PageType = "forum"
	Product       PageType = "product"
	Listing       PageType = "listing"
	Collection    PageType = "collection"
	Service       PageType = "service"
)

// PageTypes are all types, in the order of the model.
var PageTypes = []PageType{Article, Documentation, Forum, Product, Listing, Collection, Service}

// types is how many there are.
const types = 7

// A Model judges blocks. It does not change and may be used by many goroutines.
type Model struct {
	page   [types]linear         // names that speak for a type of page
	typed  [types]*forest.Forest // page features to type
	block  [linears]linear       // of blocks; see linears
	first  *forest.Forest        // the first look at each block
	second *forest.Forest        // the second, which knows what the first has found
	more   []*forest.Forest      // more of the second kind
	// chooser tells how good the choices of a page are.
	chooser *forest.Forest
}

// A Verdict is what a model says of a page.
type Verdict struct {
	// Type is the type of the page, and Types how likely each is, in the order
	// of PageTypes.
	Type  PageType
	Types [types]float32
	// Blocks is the probability of each block to be content.
	Blocks []float32
}

// Looks says how closely a model looks.
type Looks int

// The looks.
const (
	FirstLook  Looks = 1 // each block for itself
	SecondLook Looks = 2 // each block again, knowing of the others
	ManyLooks  Looks = 3 // the same by several forests
)

// Judge judges the blocks of a page. If ctx ends meanwhile, it returns its error.
func (m *Model) Judge(ctx context.Context, p *Page, looks Looks) (*Verdict, error) {
	v := &Verdict{Type: Article, Blocks: make([]float32, len(p.Blocks))}
	if len(p.Blocks) == 0 {
		return v, ctx.Err()
	}
	m.judgeType(p, v)
	page := append(p.pageVector(), v.Types[:]...)
	vectors := make([]vector, len(p.Blocks))
	var s scan
	var tokens [bags][]uint32
	size := 0
	var x vector
	for i := range p.Blocks {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		tokens = p.linearTokens(i, tokens)
		if looks != FirstLook { // which needs no vector twice
			x = make(vector, 0, size)
		}
		x = p.blockVector(x[:0], i, &s, page, m.linearScores(tokens))
		size = len(x) + contextSize
		s.pass(p, &p.Blocks[i])
		v.Blocks[i] = forest.Probability(m.first.LogOdds(x))
		vectors[i] = x
	}
	if looks == FirstLook {
		return v, nil
	}
	c := newContext(p, v.Blocks)
	forests := []*forest.Forest{m.second}
	if looks == ManyLooks {
		forests = append(forests, m.more...)
	}
	answers := [][]float32{v.Blocks}
	for range forests {
		answers = append(answers, make([]float32, len(vectors)))
	}
	for i := range vectors {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		x := c.vector(vectors[i], i)
		for k, f := range forests {
			answers[k+1][i] = forest.Probability(f.LogOdds(x))
		}
	}
	v.Blocks = mean(answers...)
	return v, nil
}

//go:embed content.model
var defaultModel []byte

// Default returns the model of this package. It is read by the first who asks
// for it.
var Default = sync.OnceValue(func() *Model {
	m, err := Decode(defaultModel)
	if err != nil {
		panic(err) // the tests would not have passed
	}
	return m
})

// Body returns which blocks are no furniture of the page and not hidden.
func (p *Page) Body() []bool {
	keep := make([]bool, len(p.Blocks))
	for i := range p.Blocks {
		e := &p.elements[p.Blocks[i].elem]
		keep[i] = p.Blocks[i].Source == FromTree && e.place&(inNav|inFooter|inAside|inForm|inHidden|inDialog|inButton) == 0
	}
	return keep
}

func (m *Model) judgeType(p *Page, v *Verdict) {
	vector := p.typeVector(m.pageScores(p))
	sum := float32(0)
	best := 0
	for t := range v.Types {
		v.Types[t] = forest.Probability(m.typed[t].LogOdds(vector))
		sum += v.Types[t]
		if v.Types[t] > v.Types[best] {
			best = t
		}
	}
	for t := range v.Types {
		v.Types[t] /= sum
	}
	v.Type = PageTypes[best]
}

func (m *Model) pageScores(p *Page) (s [types]float32) {
	for t := range s {
		s[t] = m.page[t].score(p.facts.tokens)
	}
	return s
}

// typeVector is what the type of a page is told by.
func (p *Page) typeVector(scores [types]float32) vector {
	v := p.pageVector()
	return append(v, scores[:]...)
}

// bags are how many bags of hashed names and words a block has; see linearTokens.
const bags = 4

// linears are how many linear models of blocks there are: for each bag one of all
// pages, then for each one of the pages that are no articles, which have names of
// their own for what they hold.
const linears = 2 * bags

// contextSize is how many features the second look adds.
const contextSize = 31

// Select returns which blocks to take: those whose probability is over a
// threshold. On articles a forest chooses it; on others it is the one at which
// the expected F1, by words, is the highest. A text that the page repeats is
// taken once.
func (m *Model) Select(p *Page, v *Verdict) []bool {
	if len(p.Blocks) == 0 {
		return nil
	}
	probability := p.likely(v.Blocks, v.Types)
	keep := p.over(probability, m.threshold(p, probability, v.Types))
	if isProduct(v.Types) {
		p.dropEmptyHeadings(keep, true)
	}
	return keep
}

// thresholdBias is how far the threshold is moved towards one for each type of
// page. Lower than what is best if the probabilities are right is better, as was
// measured: they are the less sure of themselves the fewer pages of the kind
// there were.
var thresholdBias = [types]float32{-.1, -.2, -.1, -.05, -.25, -.2, -.15}

// over returns the blocks whose probability is at least a threshold.
func (p *Page) over(probability []float32, threshold float32) []bool {
	keep := make([]bool, len(p.Blocks))
	enough := p.hasEnough(probability)
	seen := make(map[string]int32) // the parent of the first of each
	for i := range p.Blocks {
		b := &p.Blocks[i]
		floor := threshold
		if enough && p.elements[b.elem].place&(inNav|inFooter|inDialog) != 0 {
			floor = max(floor, frameFloor)
		}
		if probability[i] < floor || b.Pre && isNumbering(b.Text) {
			continue
		}
		if b.words >= leastRepeated && !b.Pre {
			parent := p.elements[b.elem].parent
			if first, ok := seen[b.Text]; ok && first != parent {
				continue
			}
			seen[b.Text] = parent
		}
		keep[i] = true
	}
	p.dropStructured(keep)
	p.dropLastHeading(keep)
	p.dropEmptyHeadings(keep, false)
	return keep
}

// isNumbering reports whether a listing is the numbers of the lines of the one
// beside it.
func isNumbering(s string) bool {
	first, n := 0, 0
	for l := range strings.SplitSeq(s, "\n") {
		if l = strings.TrimSpace(l); l == "" {
			continue
		}
		i, err := strconv.Atoi(l)
		if n == 0 {
			first = i
		}
		if err != nil || i != first+n {
			return false
		}
		n++
	}
	return n > 1
}

// dropLastHeading leaves out a heading behind which nothing is kept: it heads
// what is left out.
func (p *Page) dropLastHeading(keep []bool) {
	last, kept := -1, 0
	for i, k := range keep {
		if k {
			last = i
			kept++
		}
	}
	if kept < 2 || last+1 == len(keep) {
		return
	}
	if b := &p.Blocks[last]; b.Heading > 1 {
		keep[last] = false
	}
}

// leastRepeated is how many words a text has that stands in two places of a page
// by mistake only, such as once for each size of screen.
const leastRepeated = 8

// bestThreshold finds the threshold t that maximises
//
//	2 Σ(p·w | p ≥ t) / (Σ(w | p ≥ t) + Σ(p·w))
//
// which is the F1 that is to be expected if the probabilities are right. They
// are counted in steps of a hundredth.
func (p *Page) bestThreshold(probability []float32) float32 {
	const steps = 100
	var taken, right [steps + 1]float64
	all := 0.0
	for i, x := range probability {
		w := float64(p.Blocks[i].words)
		taken[int(x*steps)] += w
		right[int(x*steps)] += w * float64(x)
		all += w * float64(x)
	}
	best, at := -1.0, steps
	var t, r float64
	for i := steps; i >= 0; i-- {
		t += taken[i]
		r += right[i]
		if f := 2 * r / (t + all + 1e-9); f > best && t > 0 {
			best, at = f, i
		}
	}
	return float32(at) / steps
}

// Append appends the model in its binary form.
func (m *Model) Append(b []byte) []byte {
	b = append(b, modelVersion)
	for _, l := range m.linears() {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(l.weights)))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(l.unit))
		for _, w := range l.weights {
			b = append(b, byte(w))
		}
	}
	b = append(b, byte(len(m.more)))
	for _, f := range m.forests() {
		b = (*f).Append(b)
	}
	return b
}

const modelVersion = 4

func (m *Model) linears() (all []*linear) {
	for t := range m.page {
		all = append(all, &m.page[t])
	}
	for i := range m.block {
		all = append(all, &m.block[i])
	}
	return all
}

func (m *Model) forests() (all []**forest.Forest) {
	for t := range m.typed {
		all = append(all, &m.typed[t])
	}
	all = append(all, &m.first, &m.second, &m.chooser)
	for i := range m.more {
		all = append(all, &m.more[i])
	}
	return all
}

// Decode reads a model.
func Decode(b []byte) (*Model, error) {
	errDamaged := errors.New("content: the model is damaged")
	if len(b) == 0 || b[0] != modelVersion {
		return nil, errDamaged
	}
	b = b[1:]
	m := new(Model)
	for _, l := range m.linears() {
		if len(b) < 8 {
			return nil, errDamaged
		}
		n := int(binary.LittleEndian.Uint32(b))
		l.unit = math.Float32frombits(binary.LittleEndian.Uint32(b[4:]))
		b = b[8:]
		if n > len(b) || n == 0 || n&(n-1) != 0 {
			return nil, errDamaged
		}
		l.weights = make([]int8, n)
		for i := range l.weights {
			l.weights[i] = int8(b[i])
		}
		b = b[n:]
	}
	if len(b) == 0 {
		return nil, errDamaged
	}
	m.more = make([]*forest.Forest, b[0])
	b = b[1:]
	for _, f := range m.forests() {
		var err error
		if *f, b, err = forest.Decode(b); err != nil {
			return nil, fmt.Errorf("content: %w", err)
		}
	}
	return m, nil
}
