package content

import (
	"strings"
	"unicode"

	"github.com/seed-301537d8/weir/stages/extract/internal/forest"
)

// A Sample is an annotated page to train on.
type Sample struct {
	Name      string
	Page      *Page
	Site      string // pages of one site are held out together
	Type      PageType
	Reference string // its content, as somebody has written it down

	copy    bool      // see cutDown
	blocks  [][]int32 // the words of each block
	words   []int32   // those of the reference
	labels  []float32
	limit   float64 // the F1 that the labels reach
	weights []float32

	pageScores  [types]float32
	typeScores  [types]float32
	linear      [][linears]float32
	vectors     []vector
	first, last []float32
	second      []float32
	threshold   float32
	chooser     *forest.Forest
	more        [][]float32
	tokens      [][bags][]uint32
}

// A dictionary numbers words.
type dictionary map[string]int32

func (d dictionary) words(s string) []int32 {
	var out []int32
	for w := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_' }) {
		n, ok := d[w]
		if !ok {
			n = int32(len(d))
			d[w] = n
		}
		out = append(out, n)
	}
	return out
}

// label compares each block with the reference.
func (s *Sample) label() {
	d := make(dictionary)
	s.words = d.words(s.Reference)
	s.blocks = make([][]int32, len(s.Page.Blocks))
	var page []int32
	for i := range s.Page.Blocks {
		s.blocks[i] = d.words(s.Page.Blocks[i].Text)
		if s.Page.Blocks[i].Source == FromTree {
			page = append(page, s.blocks[i]...)
		}
	}
	triples := make(map[[3]int32]bool)
	for i := 2; i < len(s.words); i++ {
		triples[[3]int32(s.words[i-2:i+1])] = true
	}
	match := align(page, s.words)
	s.labels = make([]float32, len(s.blocks))
	s.weights = make([]float32, len(s.blocks))
	at := 0
	type copies struct{ aligned bool }
	aligned := make(map[string]copies)
	shares := make([]float32, len(s.blocks))
	for i, words := range s.blocks {
		fromTree := s.Page.Blocks[i].Source == FromTree
		n := len(words)
		covered := make([]bool, n)
		for k := 2; k < n; k++ {
			if triples[[3]int32(words[k-2:k+1])] {
				covered[k-2], covered[k-1], covered[k] = true, true, true
			}
		}
		c, a := 0, 0
		for k := range words {
			if covered[k] {
				c++
			}
			if fromTree && at+k < len(match) && match[at+k] >= 0 {
				a++
			}
		}
		if n > 0 {
			shares[i] = float32(a) / float32(n)
			y := float32(c) / float32(n)
			switch {
			case n <= 3 && fromTree:
				y = 0
				if a == n && contiguous(match, at, at+n) {
					y = 1
				}
			case n <= 8 && fromTree && a == n:
				y = 1
			}
			switch {
			case y >= .6:
				y = 1
			case y < .25:
				y = 0
			}
			s.labels[i] = y
			if y == 1 && shares[i] >= .6 {
				aligned[s.Page.Blocks[i].Text] = copies{true}
			}
		}
		if fromTree {
			at += n
		}
	}
	// Of several copies, those count that stand in order.
	for i := range s.blocks {
		if s.labels[i] == 1 && shares[i] < .3 && aligned[s.Page.Blocks[i].Text].aligned {
			s.labels[i] = 0
		}
	}
	for i, words := range s.blocks {
		s.weights[i] = min(20, 400*float32(len(words)+2)/float32(len(s.words)+60)/20)
	}
}

// contiguous reports whether what stands before or behind words a to b is
// aligned with what stands beside them in the reference.
func contiguous(match []int32, a, b int) bool {
	if a > 0 && match[a-1] >= 0 && match[a-1] == match[a]-1 {
		return true
	}
	return b < len(match) && match[b] >= 0 && match[b] == match[b-1]+1
}

// Bounds on what is aligned.
const (
	maxPageWords      = 16_000
	maxReferenceWords = 9_000
)

// align returns, for each word of a, the word of b that it is in their longest
// common subsequence, or -1.
func align(a, b []int32) []int32 {
	match := make([]int32, len(a))
	for i := range match {
		match[i] = -1
	}
	inB := make(map[int32]bool)
	b = b[:min(len(b), maxReferenceWords)]
	for _, w := range b {
		inB[w] = true
	}
	var at []int32 // the words of a that are in b at all
	for i, w := range a {
		if inB[w] && len(at) < maxPageWords {
			at = append(at, int32(i))
		}
	}
	n, m := len(at), len(b)
	if n == 0 || m == 0 {
		return match
	}
	// length[j] of the suffixes; step says how to go on from each pair.
	steps := make([]uint8, n*m)
	length, before := make([]int32, m+1), make([]int32, m+1)
	for i := n - 1; i >= 0; i-- {
		length, before = before, length
		length[m] = 0
		w := a[at[i]]
		row := steps[i*m : (i+1)*m]
		for j := m - 1; j >= 0; j-- {
			switch {
			case w == b[j]:
				length[j] = before[j+1] + 1
				row[j] = 1
			case before[j] >= length[j+1]:
				length[j] = before[j]
				row[j] = 2
			default:
				length[j] = length[j+1]
			}
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch steps[i*m+j] {
		case 1:
			match[at[i]] = int32(j)
			i, j = i+1, j+1
		case 2:
			i++
		default:
			j++
		}
	}
	return match
}

// f1 returns the F1 of the words of the blocks kept, as a multiset.
func (s *Sample) f1(keep []bool) (f, precision, recall float64) {
	counts := make(map[int32]int)
	for _, w := range s.words {
		counts[w]++
	}
	got, right := 0, 0
	for i, k := range keep {
		if !k {
			continue
		}
		for _, w := range s.blocks[i] {
			got++
			if counts[w] > 0 {
				counts[w]--
				right++
			}
		}
	}
	if len(s.words) == 0 {
		if got == 0 {
			return 1, 1, 1
		}
		return 0, 0, 0
	}
	if right == 0 {
		return 0, 0, 0
	}
	precision, recall = float64(right)/float64(got), float64(right)/float64(len(s.words))
	return 2 * precision * recall / (precision + recall), precision, recall
}
