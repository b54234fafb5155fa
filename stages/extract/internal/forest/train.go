package forest

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// A Table holds the rows to train on, by column, each value as the number of
// its bin.
type Table struct {
	rows  int
	edges [][]float32
	bins  [][]uint8
}

// maxEdges bounds the thresholds of a feature.
const maxEdges = 63

// NewTable returns a table for so many rows. The thresholds of each feature are
// quantiles of what sample holds.
func NewTable(rows, features int, sample [][]float32) *Table {
	t := &Table{rows: rows, edges: make([][]float32, features), bins: make([][]uint8, features)}
	column := make([]float32, len(sample))
	for f := range features {
		for i, row := range sample {
			column[i] = row[f]
		}
		t.edges[f] = quantiles(column)
		t.bins[f] = make([]uint8, rows)
	}
	return t
}

// quantiles returns up to maxEdges thresholds between different values.
func quantiles(column []float32) []float32 {
	slices.Sort(column)
	distinct := slices.Compact(slices.Clone(column))
	var edges []float32
	if len(distinct) <= maxEdges+1 {
		for i := 1; i < len(distinct); i++ {
			edges = append(edges, (distinct[i-1]+distinct[i])/2)
		}
		return edges
	}
	for k := 1; k <= maxEdges; k++ {
		e := column[k*len(column)/(maxEdges+1)]
		if len(edges) == 0 || e > edges[len(edges)-1] {
			edges = append(edges, e)
		}
	}
	return edges
}

// Set fills a row.
func (t *Table) Set(row int, v []float32) {
	for f, x := range v {
		at, _ := slices.BinarySearch(t.edges[f], x)
		t.bins[f][row] = uint8(at)
	}
}

// Options say how a forest is trained.
type Options struct {
	Trees   int     // how many
	Leaves  int     // of a tree
	Rate    float64 // how much of what a tree says is believed
	Rows    float64 // share of the rows that a tree sees
	Columns float64 // share of the features that a tree sees
	Weight  float64 // least weight of the rows of a leaf
	L2      float64 // regularisation
	Seed    uint64
}

// Train trains a forest to tell the rows whose target is 1 from those whose
// target is 0; targets between are shares. weights say how much each row counts.
func Train(t *Table, targets, weights []float32, o Options) *Forest {
	tr := &trainer{Table: t, Options: o, targets: targets, weights: weights, random: rand.New(rand.NewPCG(o.Seed, 1))}
	return tr.train()
}

type trainer struct {
	*Table
	Options
	targets, weights []float32
	random           *rand.Rand
	score            []float32
	grad, hess       []float32
	columns          []int
	forest           *Forest
}

// A leaf is a leaf of the tree that grows.
type leaf struct {
	rows       []int32
	hist       []float64 // gradient and hessian of each bin of each column
	grad, hess float64
	gain       float64
	feature    int
	bin        int
	node       int // in the tree
}

// A treeNode is a node while its tree grows.
type treeNode struct {
	feature, bin, left, right int
	value                     float64
}

func (t *trainer) train() *Forest {
	var yes, all float64
	for i, w := range t.weights {
		yes += float64(w) * float64(t.targets[i])
		all += float64(w)
	}
	base := math.Log((yes + 1e-9) / (all - yes + 1e-9))
	t.forest = &Forest{features: len(t.edges), base: float32(base), edges: t.edges}
	t.score = make([]float32, t.rows)
	for i := range t.score {
		t.score[i] = float32(base)
	}
	t.grad, t.hess = make([]float32, t.rows), make([]float32, t.rows)
	for range t.Trees {
		for i := range t.score {
			p := Probability(t.score[i])
			t.grad[i] = (p - t.targets[i]) * t.weights[i]
			t.hess[i] = max(p*(1-p), 1e-6) * t.weights[i]
		}
		t.columns = t.columns[:0]
		for f := range t.edges {
			if len(t.edges[f]) > 0 && t.random.Float64() < t.Columns {
				t.columns = append(t.columns, f)
			}
		}
		var rows []int32
		for i := range t.rows {
			if t.random.Float64() < t.Rows {
				rows = append(rows, int32(i))
			}
		}
		t.keep(t.grow(rows))
	}
	return t.forest
}

func (t *trainer) grow(rows []int32) []treeNode {
	tree := []treeNode{{feature: -1}}
	first := &leaf{rows: rows, hist: t.histogram(rows)}
	for _, r := range rows {
		first.grad += float64(t.grad[r])
		first.hess += float64(t.hess[r])
	}
	t.best(first)
	leaves := []*leaf{first}
	for len(leaves) < t.Leaves {
		at := -1
		for i, l := range leaves {
			if l.gain > 1e-9 && (at < 0 || l.gain > leaves[at].gain) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		l := leaves[at]
		a, b := t.split(l)
		a.node, b.node = len(tree), len(tree)+1
		tree[l.node].feature, tree[l.node].bin, tree[l.node].left, tree[l.node].right = l.feature, l.bin, a.node, b.node
		tree = append(tree, treeNode{feature: -1}, treeNode{feature: -1})
		leaves[at] = a
		leaves = append(leaves, b)
	}
	for _, l := range leaves {
		value := -l.grad / (l.hess + t.L2) * t.Rate
		value = math.Round(max(-4, min(4, value))/leafUnit) * leafUnit
		tree[l.node].value = value
	}
	return tree
}

// histogram adds up gradients and hessians by bin, columns in parallel.
func (t *trainer) histogram(rows []int32) []float64 {
	const stride = 2 * (maxEdges + 1)
	hist := make([]float64, len(t.columns)*stride)
	pairs := make([][2]float64, len(rows))
	for i, r := range rows {
		pairs[i] = [2]float64{float64(t.grad[r]), float64(t.hess[r])}
	}
	var wg sync.WaitGroup
	const workers = 2
	for w := range workers {
		wg.Go(func() {
			for c := w; c < len(t.columns); c += workers {
				bins := t.bins[t.columns[c]]
				h := (*[stride]float64)(hist[c*stride:])
				for i, r := range rows {
					b := 2 * (bins[r] & maxEdges)
					h[b] += pairs[i][0]
					h[b+1] += pairs[i][1]
				}
			}
		})
	}
	wg.Wait()
	return hist
}

// best finds a leaf's best split.
func (t *trainer) best(l *leaf) {
	const stride = 2 * (maxEdges + 1)
	gainOf := func(g, h float64) float64 { return g * g / (h + t.L2) }
	whole := gainOf(l.grad, l.hess)
	l.gain = 0
	for c, f := range t.columns {
		h := l.hist[c*stride : (c+1)*stride]
		var g, hs float64
		for b := range t.edges[f] {
			g += h[2*b]
			hs += h[2*b+1]
			if hs < t.Weight || l.hess-hs < t.Weight {
				continue
			}
			if gain := gainOf(g, hs) + gainOf(l.grad-g, l.hess-hs) - whole; gain > l.gain {
				l.gain, l.feature, l.bin = gain, f, b
			}
		}
	}
}

func (t *trainer) split(l *leaf) (a, b *leaf) {
	bins := t.bins[l.feature]
	a, b = new(leaf), new(leaf)
	for _, r := range l.rows {
		to := b
		if int(bins[r]) <= l.bin {
			to = a
		}
		to.rows = append(to.rows, r)
		to.grad += float64(t.grad[r])
		to.hess += float64(t.hess[r])
	}
	small, large := a, b
	if len(a.rows) > len(b.rows) {
		small, large = b, a
	}
	small.hist = t.histogram(small.rows)
	large.hist = l.hist
	for i, x := range small.hist {
		large.hist[i] -= x
	}
	t.best(a)
	t.best(b)
	return a, b
}

// keep adds a tree to the forest, in the order in which it is stored, and what
// it says to the scores of all rows.
func (t *trainer) keep(tree []treeNode) {
	f := t.forest
	f.roots = append(f.roots, int32(len(f.nodes)))
	var place func(i int)
	place = func(i int) {
		n := tree[i]
		if n.feature < 0 {
			f.nodes = append(f.nodes, node{feature: -1, value: float32(n.value)})
			return
		}
		at := len(f.nodes)
		f.nodes = append(f.nodes, node{feature: int16(n.feature), value: t.edges[n.feature][n.bin]})
		place(n.left)
		f.nodes[at].right = uint16(len(f.nodes) - at)
		place(n.right)
	}
	place(0)
	for r := range t.rows {
		i := 0
		for tree[i].feature >= 0 {
			if int(t.bins[tree[i].feature][r]) <= tree[i].bin {
				i = tree[i].left
			} else {
				i = tree[i].right
			}
		}
		t.score[r] += float32(tree[i].value)
	}
}
