package tag

// The features of a tagging decision. Static features depend on the words
// alone, history features also on the two tags before. Every template has a
// number of its own; numbers of removed templates are not used again.

const maxFeatures = 64

// edge is the word beyond either end of a sentence.
var edge = word{form: 1, low: 1, shape: 1, caps: capsSymbol}

func at(words []word, i int) *word {
	if i < 0 || i >= len(words) {
		return &edge
	}
	return &words[i]
}

// staticFeatures appends the keys of the static features of words[i].
func staticFeatures(keys []uint32, words []word, i int) []uint32 {
	w := &words[i]
	p1, p2 := at(words, i-1), at(words, i-2)
	n1, n2 := at(words, i+1), at(words, i+2)
	var first uint32
	if i == 0 {
		first = 8
	}
	caps := w.caps | first
	class := uint32(w.class)
	lexA, lexB := uint32(w.lex[0]), uint32(w.lex[1])
	keys = append(keys,
		key1(1, w.low),
		key1(2, w.form),
		key1(3, w.shape),
		key2(4, caps, class),
		key2(5, caps, w.suffix[1]),
		key1(6, p1.low),
		key1(7, n1.low),
		key1(8, p2.low),
		key1(9, n2.low),
		key2(10, p1.low, w.low),
		key2(11, w.low, n1.low),
		key2(12, p1.low, n1.low),
		key1(13, uint32(n1.class)),
		key1(14, uint32(n2.class)),
		key2(15, class, uint32(n1.class)),
		key3(16, class, uint32(n1.class), uint32(n2.class)),
		key2(17, 0, n1.suffix[2]),
		key2(18, caps, n1.caps),
		key2(19, caps, p1.caps),
		key1(20, p1.suffix[2]),
		key2(21, class, w.suffix[2]),
	)
	for n := 0; n < maxAffix; n++ {
		if w.suffix[n] == 0 {
			break
		}
		keys = append(keys, key1(uint32(22+n), w.suffix[n]))
		if n < 4 {
			keys = append(keys, key1(uint32(28+n), w.prefix[n]))
		}
	}
	if lexA|lexB != 0 {
		keys = append(keys,
			key1(33, lexA),
			key1(34, lexB),
			key2(35, lexA, w.suffix[1]),
			key2(36, lexB, w.caps|first),
			key2(37, lexA, w.caps|first),
		)
	}
	keys = append(keys,
		key2(38, uint32(n1.lex[0]), lexA),
		key2(39, uint32(p1.lex[0]), lexA),
		key1(40, uint32(n1.lex[0])),
		key1(41, uint32(p1.lex[0])),
		key2(42, uint32(n1.lex[1]), lexB),
		key1(43, uint32(n2.lex[0])),
	)
	return keys
}

// historyFeatures appends the keys of the features of words[i] after the tags
// t1 (of the word before) and t2 (of the one before that).
func historyFeatures(keys []uint32, words []word, i int, t1, t2 uint32) []uint32 {
	w := &words[i]
	n1 := at(words, i+1)
	class := uint32(w.class)
	return append(keys,
		key1(50, t1),
		key2(51, t1, t2),
		key2(52, t1, w.low),
		key2(53, t1, class),
		key3(54, t1, class, uint32(n1.class)),
		key2(55, t1, w.suffix[2]),
		key2(56, t1, n1.low),
		key3(57, t1, t2, class),
		key3(58, t1, t2, w.low),
		key2(59, t1, uint32(w.lex[0])),
		key2(60, t2, w.low),
		key3(61, t1, uint32(w.lex[1]), w.caps),
		key2(62, t1, at(words, i-1).low),
	)
}
