package tag

import (
	"cmp"
	"fmt"
	"slices"
)

// A lexicon holds what a model knows about words: the class of tags that the
// treebank gave them, and up to two classes from word lists. Words are known
// by their hash; a clash of two words is as rare as one in ten thousand and
// costs no more than a feature that is wrong for one word.
//
// Lists of half a million inflected words are common, and few of them differ
// in what is known about them. So a word takes six bytes, which name one of a
// few thousand kinds.
type lexicon struct {
	keys    []uint32 // open addressing, 0 is empty
	kind    []uint16 // of each key, a place in kinds
	kinds   []lexEntry
	classes []class // classes[0] is the class of unknown words
}

// A lexEntry is all that is known about a word. Zero means unknown.
type lexEntry struct {
	class uint16
	lex   [2]uint16
}

// A class is a set of tags that a word, or many words, had in the treebank.
type class struct {
	// labels are the tags, the most frequent first. In a closed class they
	// are the only candidates.
	labels []uint8
	closed bool
}

// maxKinds is how many different entries a lexicon can have.
const maxKinds = 1 << 16

// newLexicon makes a lexicon of keys, no two of them equal, whose entries are
// kinds[kind[i]].
func newLexicon(keys []uint32, kind []uint16, kinds []lexEntry) *lexicon {
	n := len(keys) + len(keys)/3 + 1
	x := &lexicon{keys: make([]uint32, n), kind: make([]uint16, n), kinds: kinds}
	for i, key := range keys {
		key = max(key, 1)
		at := x.slot(key)
		for x.keys[at] != 0 && x.keys[at] != key {
			if at++; at == n {
				at = 0
			}
		}
		x.keys[at], x.kind[at] = key, kind[i]
	}
	return x
}

// slot is the place where the search for key begins.
func (x *lexicon) slot(key uint32) int {
	return int(uint64(key*0x9E3779B1) * uint64(len(x.keys)) >> 32)
}

func (x *lexicon) find(key uint32) lexEntry {
	if len(x.keys) == 0 {
		return lexEntry{}
	}
	key = max(key, 1)
	for at := x.slot(key); x.keys[at] != 0; {
		if x.keys[at] == key {
			return x.kinds[x.kind[at]]
		}
		if at++; at == len(x.keys) {
			at = 0
		}
	}
	return lexEntry{}
}

// entries are the words of a lexicon in the making.
type entries map[uint32]lexEntry

// lexicon makes the lexicon, with the most frequent kinds first.
func (e entries) lexicon() (*lexicon, error) {
	counts := map[lexEntry]int{}
	keys := make([]uint32, 0, len(e))
	for key, entry := range e {
		counts[entry]++
		keys = append(keys, key)
	}
	if len(counts) > maxKinds {
		return nil, fmt.Errorf("%d kinds of words, at most %d fit", len(counts), maxKinds)
	}
	slices.Sort(keys)
	kinds := make([]lexEntry, 0, len(counts))
	for entry := range counts {
		kinds = append(kinds, entry)
	}
	slices.SortFunc(kinds, func(a, b lexEntry) int {
		return cmp.Or(counts[b]-counts[a], int(a.class)-int(b.class), int(a.lex[0])-int(b.lex[0]), int(a.lex[1])-int(b.lex[1]))
	})
	number := make(map[lexEntry]uint16, len(kinds))
	for i, entry := range kinds {
		number[entry] = uint16(i)
	}
	kind := make([]uint16, len(keys))
	for i, key := range keys {
		kind[i] = number[e[key]]
	}
	return newLexicon(keys, kind, kinds), nil
}
