package tag

import (
	"fmt"
	"slices"
)

// weights is a sparse linear model: for each feature key a short row of
// (label, weight) pairs. One lookup touches two cache lines, which is what
// the speed of the tagger comes down to.
type weights struct {
	// index is an open-addressing table, a power of two long. A slot holds 10
	// bits of the key, which with the 22 bits of the place tell nearly all
	// keys apart, and the position of the row in cells; 0 is empty.
	index []uint32
	// cells holds the rows: the number of pairs, then the pairs, with the
	// label in the upper byte and the weight, signed, in the lower. cells[0]
	// is unused.
	cells []uint16
}

const (
	rowBits   = 22
	rowMask   = 1<<rowBits - 1
	maxLabels = 256
)

// A row is one feature of a model: the form in which weights are trained,
// written and read.
type row struct {
	key   uint32
	cells []cell
}

type cell struct {
	label  uint8
	weight int8
}

// newWeights lays out rows for lookup.
func newWeights(rows []row) (*weights, error) {
	size := 1
	for _, r := range rows {
		size += 1 + len(r.cells)
	}
	if size > rowMask {
		return nil, fmt.Errorf("%d weights, at most %d fit", size, rowMask)
	}
	n := 16
	for n < len(rows)+len(rows)/2 {
		n *= 2
	}
	w := &weights{index: make([]uint32, n), cells: make([]uint16, 1, size)}
	mask := uint32(n - 1)
	for _, r := range rows {
		i := r.key & mask
		for w.index[i] != 0 {
			i = (i + 1) & mask
		}
		w.index[i] = r.key>>rowBits<<rowBits | uint32(len(w.cells))
		w.cells = append(w.cells, uint16(len(r.cells)))
		for _, c := range r.cells {
			w.cells = append(w.cells, uint16(c.label)<<8|uint16(uint8(c.weight)))
		}
	}
	return w, nil
}

// add adds the weights of the features keys to scores.
func (w *weights) add(keys []uint32, scores *[maxLabels]int32) {
	index, cells := w.index, w.cells
	mask := uint32(len(index) - 1)
	for _, key := range keys {
		i := key & mask
		for {
			v := index[i&uint32(len(index)-1)]
			if v == 0 {
				break
			}
			if (v^key)>>rowBits == 0 {
				p := v & rowMask
				n := uint32(cells[p])
				for _, c := range cells[p+1 : p+1+n] {
					scores[c>>8] += int32(int8(c))
				}
				break
			}
			i = (i + 1) & mask
		}
	}
}

// quantize turns trained weights into rows: the largest becomes 127, and what
// rounds to zero is dropped.
func quantize(keys []uint32, values [][]weightOf, unit float64) []row {
	rows := make([]row, 0, len(keys))
	for i, key := range keys {
		var cells []cell
		for _, v := range values[i] {
			q := v.weight / unit
			if q < 0 {
				q -= 0.5
			} else {
				q += 0.5
			}
			if n := int(max(-127, min(127, q))); n != 0 {
				cells = append(cells, cell{v.label, int8(n)})
			}
		}
		if len(cells) > 0 {
			slices.SortFunc(cells, func(a, b cell) int { return int(a.label) - int(b.label) })
			rows = append(rows, row{key, cells})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		if a.key < b.key {
			return -1
		}
		if a.key > b.key {
			return 1
		}
		return 0
	})
	return rows
}

type weightOf struct {
	label  uint8
	weight float64
}
