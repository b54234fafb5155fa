package lang

import (
	"bytes"
	"compress/flate"
	_ "embed" // the models
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
)

// A model decides between the languages of one script. Each feature has a weight
// for each language.
type model struct {
	codes []string
	bias  []float64
	scale float64 // of a weight
	bits  uint    // features are hashed to so many bits
	words int     // of a row
	// rows has a row for each feature: its weights plus 128, four to a word and
	// sixteen bits each, so that four languages are added up at a time.
	rows []uint64
}

// summer adds up rows.
type summer struct {
	m    *model
	n    int // rows added
	some int // of them, in lanes
	// lanes overflow when more than maxLanes rows are added up in them.
	lanes []uint64
	total []int64
}

const maxLanes = 256

func newSummer(m *model) *summer {
	return &summer{m: m, lanes: make([]uint64, m.words), total: make([]int64, 4*m.words)}
}

func (s *summer) add(feature uint32) {
	if s.some == maxLanes {
		s.flush()
	}
	s.n++
	s.some++
	row := s.m.rows[int(feature)*s.m.words:][:len(s.lanes)]
	for i, w := range row {
		s.lanes[i] += w
	}
}

func (s *summer) flush() {
	for i, w := range s.lanes {
		for lane := range 4 {
			s.total[4*i+lane] += int64(uint16(w >> (16 * lane)))
		}
		s.lanes[i] = 0
	}
	s.some = 0
}

// scores returns the logarithms of how likely each language is, up to a constant.
func (s *summer) scores() []float64 {
	s.flush()
	scores := make([]float64, len(s.m.codes))
	for i := range scores {
		scores[i] = s.m.bias[i] + s.m.scale*float64(s.total[i]-128*int64(s.n))
	}
	return scores
}

// The models in the order of their scripts, each as write makes it, compressed with
// DEFLATE.
//
//go:embed lang.model
var modelFile []byte

var models = sync.OnceValue(func() *[modelled + 1]*model {
	all, err := readModels(flate.NewReader(bytes.NewReader(modelFile)))
	if err != nil {
		panic(fmt.Sprintf("lang: the embedded model: %v", err)) // a test reads it
	}
	return all
})

func readModels(r io.Reader) (*[modelled + 1]*model, error) {
	data, err := io.ReadAll(io.LimitReader(r, 64<<20))
	if err != nil {
		return nil, err
	}
	var all [modelled + 1]*model
	for s := latin; s <= modelled; s++ {
		if all[s], data, err = readModel(data); err != nil {
			return nil, fmt.Errorf("script %d: %w", s, err)
		}
	}
	return &all, nil
}

// readModel reads a model: its bits, its scale, the number of languages, each with
// its code of two letters and its bias, and the weights, language by language.
func readModel(data []byte) (*model, []byte, error) {
	if len(data) < 10 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	m := &model{bits: uint(data[0]), scale: math.Float64frombits(binary.LittleEndian.Uint64(data[1:]))}
	n := int(data[9])
	if data = data[10:]; m.bits > 20 || n == 0 || len(data) < n*(10+1<<m.bits) {
		return nil, nil, fmt.Errorf("%d languages of %d bits do not fit into %d bytes", n, m.bits, len(data))
	}
	for range n {
		m.codes = append(m.codes, string(data[:2]))
		m.bias = append(m.bias, math.Float64frombits(binary.LittleEndian.Uint64(data[2:])))
		data = data[10:]
	}
	m.words = (n + 3) / 4
	m.rows = make([]uint64, m.words<<m.bits)
	for i := range n {
		for f, w := range data[:1<<m.bits] {
			m.rows[f*m.words+i/4] |= uint64(uint8(int(int8(w))+128)) << (16 * (i % 4))
		}
		data = data[1<<m.bits:]
	}
	return m, data, nil
}
