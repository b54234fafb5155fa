// Package forest holds gradient-boosted decision trees for yes-or-no questions:
// small enough to be part of a program, trained by the same code that reads
// them, and the same for the same data, bit for bit.
package forest

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// A Forest gives the log-odds of yes, given a vector of features.
type Forest struct {
	features int
	base     float32
	edges    [][]float32 // of each feature: the thresholds there are
	nodes    []node
	roots    []int32
}

// A node asks whether a feature is at most a threshold: yes goes to the next
// node, no to the one so many nodes to the right. A leaf has the feature -1. The
// nodes of a forest are met in no order, so they are small.
type node struct {
	value   float32 // of a leaf, or the threshold
	feature int16
	right   uint16
}

// Features returns how long the vectors are.
func (f *Forest) Features() int { return f.features }

// Trees returns how many trees there are.
func (f *Forest) Trees() int { return len(f.roots) }

// LogOdds returns the log-odds of yes.
func (f *Forest) LogOdds(v []float32) float32 {
	sum := f.base
	nodes := f.nodes
	for _, at := range f.roots {
		n := &nodes[at]
		for n.feature >= 0 {
			if v[n.feature] <= n.value {
				at++
			} else {
				at += int32(n.right)
			}
			n = &nodes[at]
		}
		sum += n.value
	}
	return sum
}

// Probability returns the probability of given log-odds.
func Probability(logOdds float32) float32 {
	return float32(1 / (1 + math.Exp(-float64(logOdds))))
}

// leafUnit is what the values of leaves are multiples of, so that they need two
// bytes.
const leafUnit = 1.0 / 2048

// Append appends the forest in its binary form: numbers of features, base,
// the edges of each feature, then the nodes in order, each tree's root first.
func (f *Forest) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(f.features))
	b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f.base))
	for _, edges := range f.edges {
		b = append(b, byte(len(edges)))
		for _, e := range edges {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(e))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(f.roots)))
	b = binary.AppendUvarint(b, uint64(len(f.nodes)))
	for _, n := range f.nodes {
		if n.feature < 0 {
			b = append(b, 0)
			b = binary.LittleEndian.AppendUint16(b, uint16(int16(math.Round(float64(n.value)/leafUnit))))
			continue
		}
		b = binary.AppendUvarint(b, uint64(n.feature)+1)
		edge, _ := slices.BinarySearch(f.edges[n.feature], n.value)
		b = append(b, byte(edge))
		b = binary.AppendUvarint(b, uint64(n.right))
	}
	return b
}

var errDamaged = errors.New("forest: the model is damaged")

// Decode reads a forest from the start of b and returns what comes after it.
func Decode(b []byte) (f *Forest, rest []byte, err error) {
	d := decoder{b: b}
	f = &Forest{features: d.number(1 << 12)}
	f.base = d.float()
	f.edges = make([][]float32, f.features)
	for i := range f.edges {
		f.edges[i] = make([]float32, d.byte())
		for j := range f.edges[i] {
			f.edges[i][j] = d.float()
		}
	}
	trees, nodes := d.number(1<<16), d.number(1<<22)
	f.nodes = make([]node, 0, nodes)
	open := 0 // subtrees of the present tree still to come
	for i := range nodes {
		if d.bad {
			break
		}
		if open == 0 {
			f.roots = append(f.roots, int32(i))
			open = 1
		}
		feature := d.number(f.features)
		if feature == 0 {
			f.nodes = append(f.nodes, node{feature: -1, value: float32(d.int16()) * leafUnit})
			open--
			continue
		}
		edge := int(d.byte())
		n := node{feature: int16(feature - 1), right: uint16(d.number(min(nodes-i-1, 1<<16-1)))}
		if edge >= len(f.edges[n.feature]) || n.right < 2 {
			d.bad = true
			break
		}
		n.value = f.edges[n.feature][edge]
		f.nodes = append(f.nodes, n)
		open++
	}
	if d.bad || open != 0 || len(f.roots) != trees {
		return nil, nil, errDamaged
	}
	return f, d.b, nil
}

type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || len(d.b) < n {
		d.bad = true
		return make([]byte, n)
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte     { return d.take(1)[0] }
func (d *decoder) int16() int16   { return int16(binary.LittleEndian.Uint16(d.take(2))) }
func (d *decoder) float() float32 { return math.Float32frombits(binary.LittleEndian.Uint32(d.take(4))) }

func (d *decoder) number(most int) int {
	n, size := binary.Uvarint(d.b)
	if d.bad || size <= 0 || n > uint64(most) {
		d.bad = true
		return 0
	}
	d.b = d.b[size:]
	return int(n)
}
