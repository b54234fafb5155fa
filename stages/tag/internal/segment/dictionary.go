package segment

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/internal/wire"
)

//go:embed cjk.words
var cjkFile []byte

//go:embed thai.words
var thaiFile []byte

var (
	cjkWords  = sync.OnceValue(func() *dictionary { return embedded("cjk", cjkFile) })
	thaiWords = sync.OnceValue(func() *dictionary { return embedded("thai", thaiFile) })
)

func embedded(name string, file []byte) *dictionary {
	d, err := read(file)
	if err != nil {
		// The file is part of the program and was tested with it.
		panic(fmt.Sprintf("segment: embedded dictionary %s: %v", name, err))
	}
	return d
}

// maxWord is the length of the longest word that a dictionary may hold, in bytes.
const maxWord = 120

// A Word is a word of a dictionary with its cost.
type Word struct {
	Text string
	Cost uint8
}

// A dictionary holds words in the order of their bytes, one behind the other.
type dictionary struct {
	text   []byte
	starts []uint32 // of each word in text, and the end
	costs  []uint8
	// first[r-base] is the first word whose first character is r or a later one.
	base  rune
	first []uint32
}

// Write writes a dictionary: how many words, then for each one how much it shares
// with the one before, what is left of it, and its cost; all of it by gzip. The same
// words give the same bytes, in whatever order they are.
func Write(w io.Writer, words []Word) error {
	words = slices.Clone(words)
	slices.SortFunc(words, func(a, b Word) int { return cmp.Compare(a.Text, b.Text) })
	out := binary.AppendUvarint(nil, uint64(len(words)))
	last := ""
	for i, word := range words {
		if word.Text == "" || len(word.Text) > maxWord || !utf8.ValidString(word.Text) || i > 0 && word.Text == last {
			return fmt.Errorf("segment: %q is empty, too long, not UTF-8 or there twice", word.Text)
		}
		shared := 0
		for shared < min(len(last), len(word.Text)) && last[shared] == word.Text[shared] {
			shared++
		}
		out = append(out, byte(shared))
		out = append(wire.AppendString(out, word.Text[shared:]), word.Cost)
		last = word.Text
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(out); err != nil {
		return err
	}
	return z.Close()
}

// read reads what Write has written.
func read(file []byte) (*dictionary, error) {
	z, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(data)
	n := r.Uvarint()
	if n == 0 || n > uint64(r.Len()) {
		return nil, fmt.Errorf("%d words in %d bytes", n, len(data))
	}
	d := &dictionary{starts: make([]uint32, 1, n+1), costs: make([]uint8, 0, n), text: make([]byte, 0, 2*len(data))}
	before := 0
	for range n {
		shared, rest, cost := int(r.Byte()), r.Text(), r.Byte()
		if from := len(d.text); shared <= from-before && shared+len(rest) <= maxWord && shared+len(rest) > 0 {
			d.text = append(append(d.text, d.text[before:before+shared]...), rest...)
			before = from
		} else {
			r.Fail()
		}
		d.starts = append(d.starts, uint32(len(d.text)))
		d.costs = append(d.costs, cost)
	}
	if !r.Done() {
		return nil, fmt.Errorf("not the words that it says")
	}
	d.base, _ = utf8.DecodeRune(d.text)
	last, _ := utf8.DecodeRune(d.word(int(n) - 1))
	if last < d.base {
		return nil, fmt.Errorf("words not in order")
	}
	d.first = make([]uint32, last-d.base+2)
	at := 0
	for i := range d.first {
		for at < int(n) {
			if r, _ := utf8.DecodeRune(d.word(at)); r-d.base >= rune(i) {
				break
			}
			at++
		}
		d.first[i] = uint32(at)
	}
	return d, nil
}

func (d *dictionary) word(i int) []byte { return d.text[d.starts[i]:d.starts[i+1]] }

// prefixes calls found with each word that s begins with, the shortest first.
func (d *dictionary) prefixes(s string, found func(n int, cost uint8)) {
	r, depth := utf8.DecodeRuneInString(s)
	if r < d.base || int(r-d.base)+1 >= len(d.first) {
		return
	}
	// The words between low and high begin with s[:depth].
	low, high := int(d.first[r-d.base]), int(d.first[r-d.base+1])
	for low < high {
		if len(d.word(low)) == depth {
			found(depth, d.costs[low])
			low++
		}
		if depth == len(s) {
			return
		}
		_, size := utf8.DecodeRuneInString(s[depth:])
		next := s[depth : depth+size]
		low += sort.Search(high-low, func(i int) bool { return string(d.word(low + i)[depth:]) >= next })
		high = low + sort.Search(high-low, func(i int) bool {
			w := d.word(low + i)[depth:]
			return string(w[:min(len(w), size)]) > next
		})
		depth += size
	}
}
