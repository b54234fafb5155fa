package tag

// A lexicon holds what a model knows about words: the class of tags that the
// treebank gave them, and up to two classes from word lists. Words are known
// by their hash; a clash of two words is as rare as one in a hundred thousand
// and costs no more than a feature that is wrong for one word.
type lexicon struct {
	keys    []uint32 // open addressing, a power of two long, 0 is empty
	entries []lexEntry
	classes []class // classes[0] is the class of unknown words
}

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

func newLexicon(size int) *lexicon {
	n := 16
	for n < size+size/2 {
		n *= 2
	}
	return &lexicon{keys: make([]uint32, n), entries: make([]lexEntry, n)}
}

func (x *lexicon) find(key uint32) lexEntry {
	if e := x.at(key); e != nil {
		return *e
	}
	return lexEntry{}
}

func (x *lexicon) at(key uint32) *lexEntry {
	if len(x.keys) == 0 {
		return nil
	}
	key = max(key, 1)
	mask := uint32(len(x.keys) - 1)
	for i := key & mask; x.keys[i] != 0; i = (i + 1) & mask {
		if x.keys[i] == key {
			return &x.entries[i]
		}
	}
	return nil
}

// put returns the entry of key, which it adds when it is new. The table must
// have been made large enough.
func (x *lexicon) put(key uint32) *lexEntry {
	key = max(key, 1)
	mask := uint32(len(x.keys) - 1)
	i := key & mask
	for ; x.keys[i] != 0; i = (i + 1) & mask {
		if x.keys[i] == key {
			return &x.entries[i]
		}
	}
	x.keys[i] = key
	return &x.entries[i]
}
