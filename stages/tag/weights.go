package tag

import (
	"fmt"
	"slices"
)

// weights is a linear model: for each feature key a row of weights, one for
// each label or a few of them. One lookup touches two or three cache lines,
// which is what the speed of the tagger comes down to.
type weights struct {
	// index is an open-addressing table, a power of two long. A slot holds 10
	// bits of the key, which with the 22 bits of the place tell nearly all
	// keys apart, and the position of the row in cells; 0 is empty.
	index []uint32
	// cells holds the short rows: the number of pairs, then the pairs, with
	// the label in the upper byte and the weight, signed, in the lower. For a
	// long row it holds denseRow and the number of the row in dense, in two
	// parts. cells[0] is unused.
	cells []uint16
	// dense holds the long rows, stride elements each. An element holds four
	// labels, 16 bits each, with the weight plus 128: so four sums grow in
	// one addition, and none can overflow with maxFeatures rows.
	dense  []uint64
	stride int
}

const denseRow = 1<<16 - 1

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

// newWeights lays out rows for lookup, with labels below the given number.
func newWeights(rows []row, labels int) (*weights, error) {
	w := &weights{stride: (labels + 3) / 4}
	size, long := 1, 0
	for _, r := range rows {
		if w.isLong(r) {
			size += 3
			long++
			continue
		}
		size += 1 + len(r.cells)
	}
	if size > rowMask {
		return nil, fmt.Errorf("%d weights, at most %d fit", size, rowMask)
	}
	n := 16
	for n < 2*len(rows) {
		n *= 2
	}
	w.index = make([]uint32, n)
	w.cells = make([]uint16, 1, size)
	w.dense = make([]uint64, 0, long*w.stride)
	mask := uint32(n - 1)
	for _, r := range rows {
		i := r.key & mask
		for w.index[i] != 0 {
			i = (i + 1) & mask
		}
		w.index[i] = r.key>>rowBits<<rowBits | uint32(len(w.cells))
		if w.isLong(r) {
			w.addLong(r)
			continue
		}
		w.cells = append(w.cells, uint16(len(r.cells)))
		for _, c := range r.cells {
			w.cells = append(w.cells, uint16(c.label)<<8|uint16(uint8(c.weight)))
		}
	}
	return w, nil
}

// isLong reports whether r is quicker to add as a whole.
func (w *weights) isLong(r row) bool { return len(r.cells) > max(4, w.stride*3/4) }

func (w *weights) addLong(r row) {
	at := len(w.dense)
	n := at / w.stride
	w.cells = append(w.cells, denseRow, uint16(n>>16), uint16(n))
	for range w.stride {
		w.dense = append(w.dense, 128*0x0001_0001_0001_0001)
	}
	for _, c := range r.cells {
		lane := 16 * (c.label % 4)
		e := &w.dense[at+int(c.label/4)]
		*e = *e&^(0xFFFF<<lane) | uint64(int(c.weight)+128)<<lane
	}
}

// A lookup is what weights know of the features of one decision: the places
// of their short rows in cells, and of their long rows in dense.
type lookup struct {
	short, long   [maxFeatures]uint32
	shorts, longs int
	sums          [maxLabels / 4]uint64
}

// find looks up the features keys, at most maxFeatures of them. It reads the
// places of all of them before the first row, so that the processor waits for
// many places of memory at a time.
func (w *weights) find(keys []uint32, f *lookup) {
	index, cells := w.index, w.cells
	mask := uint32(len(index) - 1)
	if len(keys) > maxFeatures {
		keys = keys[:maxFeatures]
	}
	var slots [maxFeatures]uint32
	for j, key := range keys {
		slots[j] = index[key&mask]
	}
	n := 0
	for j, key := range keys {
		v := slots[j]
		for i := key; v != 0; {
			if (v^key)>>rowBits == 0 {
				slots[n] = v & rowMask
				n++
				break
			}
			i++
			v = index[i&mask]
		}
	}
	f.shorts, f.longs = 0, 0
	for _, p := range slots[:n] {
		if cells[p] == denseRow {
			f.long[f.longs] = (uint32(cells[p+1])<<16 | uint32(cells[p+2])) * uint32(w.stride)
			f.longs++
		} else {
			f.short[f.shorts] = p
			f.shorts++
		}
	}
}

// score sets the scores of all labels below n, up to a number that is the
// same for all of them.
func (w *weights) score(f *lookup, scores *[maxLabels]int32, n int) {
	sums := f.sums[:w.stride]
	clear(sums)
	for _, p := range f.long[:f.longs] {
		for i, v := range w.dense[p : int(p)+len(sums)] {
			sums[i] += v
		}
	}
	for i := range scores[:n] {
		scores[i] = int32(sums[i/4] >> (16 * (i % 4)) & 0xFFFF)
	}
	w.addShort(f, scores)
}

// scoreSome sets the scores of the given labels, up to a number that is the
// same for all of them.
func (w *weights) scoreSome(f *lookup, scores *[maxLabels]int32, labels []uint8) {
	for _, l := range labels {
		sum := uint64(0)
		at, lane := uint32(l/4), 16*(l%4)
		for _, p := range f.long[:f.longs] {
			sum += w.dense[p+at] >> lane & 0xFFFF
		}
		scores[l] = int32(sum)
	}
	w.addShort(f, scores)
}

func (w *weights) addShort(f *lookup, scores *[maxLabels]int32) {
	cells := w.cells
	for _, p := range f.short[:f.shorts] {
		for _, c := range cells[p+1 : p+1+uint32(cells[p])] {
			scores[c>>8] += int32(int8(c))
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
