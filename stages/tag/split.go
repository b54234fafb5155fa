package tag

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// splitRules are the words that tokenizing and sentence splitting must know.
type splitRules struct {
	abbreviations []string      // in lower case, without their full stop, sorted
	contractions  []contraction // sorted by form
	abbr          map[string]bool
	index         *lexicon // from the hash of a form to its contraction: lex[0] is the number + 1
}

// A contraction is a token that stands for several words, as Portuguese "da"
// does for "de" and "a".
type contraction struct {
	form  string
	parts []string
	// sometimes is set when the form is at times one word, as French "des"
	// is: the splitter decides by what stands around it.
	sometimes bool
	// exact is set when the parts side by side are the form, as in English
	// "can" and "not": then each has its own place in the text.
	exact bool
	cased [3][]string // parts in lower case, with a capital, in capitals
}

// ready builds what is derived from the lists.
func (r *splitRules) ready(style style) {
	r.abbr = make(map[string]bool, len(r.abbreviations))
	for _, a := range r.abbreviations {
		r.abbr[a] = true
	}
	for _, a := range style.abbreviations {
		r.abbr[a] = true
	}
	plain := &lexicon{}
	var keys []uint32
	var kind []uint16
	kinds := make([]lexEntry, len(r.contractions))
	for i := range r.contractions {
		c := &r.contractions[i]
		var w word
		plain.analyse(c.form, &w)
		kinds[i].lex[0] = uint16(i + 1)
		keys, kind = append(keys, w.low), append(kind, uint16(i))
		c.exact = strings.Join(c.parts, "") == c.form
		for j, p := range c.parts {
			c.cased[0] = append(c.cased[0], p)
			title := p
			if first, size := utf8.DecodeRuneInString(p); j == 0 {
				title = string(unicode.ToUpper(first)) + p[size:]
			}
			c.cased[1] = append(c.cased[1], title)
			c.cased[2] = append(c.cased[2], strings.ToUpper(p))
		}
	}
	r.index = newLexicon(keys, kind, kinds)
}

// Labels of the model that splits: whether a sentence ends after a token, and
// whether a form stands for several words.
const (
	goesOn uint8 = iota
	endsHere
	oneWord
	manyWords
)

// mayEnd reports whether a sentence may end between the spans i and i+1 of
// the text: behind a mark, or before anything but a lower-case word.
func mayEnd(text string, spans []span, i int) bool {
	next := spans[i+1]
	last := text[spans[i].end-1]
	if next.space == gapNone {
		switch last {
		case '.', '!', '?':
			return isUpper(text[next.start])
		case '"', '\'', ')', ']', '>':
			return false
		}
		return last >= utf8.RuneSelf && endsCJK(text[:spans[i].end])
	}
	if !isASCIILetter(last) && !isDigit(last) && last < utf8.RuneSelf {
		return true
	}
	if last >= utf8.RuneSelf {
		r, _ := utf8.DecodeLastRuneInString(text[:spans[i].end])
		if !unicode.IsLetter(r) {
			return true
		}
	}
	b := text[next.start]
	if isLower(b) {
		return strings.HasPrefix(text[next.start:], "http")
	}
	if b >= utf8.RuneSelf {
		r, _ := utf8.DecodeRuneInString(text[next.start:])
		return !unicode.IsLower(r)
	}
	return b != ',' && b != '.' && b != ')' && b != '!' && b != '?'
}

// endsByRule is the decision of a tagger without a model: a sentence ends
// behind its marks unless the next word is in lower case.
func endsByRule(text string, spans []span, i int) bool {
	end := i
	for end > 0 && strings.ContainsRune("\"'”’»)]」』", lastRune(text, spans[end])) && spans[end].space == gapNone {
		end--
	}
	if endsCJK(text[:spans[end].end]) {
		return true
	}
	switch lastRune(text, spans[end]) {
	case '!', '?', '…', '؟', '।', '։', '።':
	case '.':
		if spans[end].end-spans[end].start > 1 && text[spans[end].end-2] != '.' {
			return false // an abbreviation
		}
	default:
		return false
	}
	r, _ := utf8.DecodeRuneInString(text[spans[i+1].start:])
	return !unicode.IsLower(r)
}

func lastRune(text string, s span) rune {
	r, _ := utf8.DecodeLastRuneInString(text[s.start:s.end])
	return r
}

func endsCJK(s string) bool {
	return strings.HasSuffix(s, "。") || strings.HasSuffix(s, "！") || strings.HasSuffix(s, "？")
}

// A soFar is what is known of a sentence up to a word of it.
type soFar struct {
	words   int
	quotes  int
	verbs   int // words that are verbs most of the time
	small   int // words that begin with a small letter
	pending int // words to the next mark that may end a sentence
}

// pass adds a word, which is i-th of the text.
func (r *soFar) pass(m *model, text string, words []word, spans []span, i int) {
	w := &words[i]
	r.words++
	if text[spans[i].start] == '"' {
		r.quotes++
	}
	if c := &m.lex.classes[w.class]; len(c.labels) > 0 {
		if l := m.labels[c.labels[0]].upos; l == "VERB" || l == "AUX" {
			r.verbs++
		}
	}
	if w.caps == capsNone {
		r.small++
	}
}

// boundFeatures appends the keys of the features of a sentence end after
// words[i].
func boundFeatures(keys []uint32, words []word, spans []span, i int, r *soFar) []uint32 {
	n, quoted := r.words, r.quotes%2 == 1
	w, p1, p2 := &words[i], at(words, i-1), at(words, i-2)
	n1, n2 := at(words, i+1), at(words, i+2)
	gap := uint32(spans[i+1].space)
	var length uint32
	switch {
	case n < 3:
		length = uint32(n)
	case n < 6:
		length = 3
	case n < 12:
		length = 4
	case n < 30:
		length = 5
	default:
		length = 6
	}
	var q uint32
	if quoted {
		q = 1
	}
	n3 := at(words, i+3)
	verbs, small, ahead := uint32(min(r.verbs, 2)), uint32(0), uint32(0)
	switch {
	case r.small == 0:
	case r.small*2 < n:
		small = 1
	default:
		small = 2
	}
	switch {
	case r.pending < 4:
		ahead = uint32(r.pending)
	case r.pending < 7:
		ahead = 4
	case r.pending < 13:
		ahead = 5
	case r.pending < 30:
		ahead = 6
	default:
		ahead = 7
	}
	before := uint32(spans[i].space)
	n1caps := n1.caps<<2 | gap
	return append(keys,
		key1(80, gap),
		key1(81, w.low),
		key1(82, n1.form),
		key2(83, w.low, n1.low),
		key2(84, w.low, n1caps),
		key2(85, w.shape, n1.shape),
		key3(86, w.shape, n1.shape, gap),
		key2(87, p1.low, w.low),
		key3(88, p1.low, w.low, n1caps),
		key2(89, p1.shape, w.low),
		key3(90, p1.caps, w.low, n1caps),
		key3(91, w.low, n1caps, n2.caps),
		key2(92, w.low, length),
		key3(93, w.low, length, n1caps),
		key3(94, uint32(w.class), uint32(n1.class), n1caps),
		key2(95, uint32(n1.class), w.low),
		key2(96, uint32(p1.class), w.low),
		key3(97, w.low, q, n1caps),
		key3(98, w.low, n1.low, n2.low),
		key2(99, n1.low, n2.low),
		key3(100, w.caps, n1caps, length),
		key3(101, before, w.low, n1caps),
		key3(102, uint32(w.lex[0]), uint32(n1.lex[0]), n1caps),
		key3(103, p1.shape, w.low, n1.shape),
		key3(104, p2.caps, p1.caps, w.low),
		key3(105, n1.caps, n2.caps, length),
		key3(106, uint32(w.class), n1caps, length),
		key3(107, n1.form, w.caps, gap),
		key3(108, verbs, small, n1caps),
		key3(109, verbs, w.low, n1caps),
		key3(131, ahead, verbs, n1caps),
		key3(133, n1.caps, n2.caps, n3.caps<<2|small),
		key3(138, length, verbs, w.caps<<4|n1caps),
		key3(139, small, length, n1caps),
	)
}

// contractFeatures appends the keys of the features of the decision whether
// words[i] stands for several words.
func contractFeatures(keys []uint32, words []word, i int) []uint32 {
	w, p1, n1 := &words[i], at(words, i-1), at(words, i+1)
	p2, n2 := at(words, i-2), at(words, i+2)
	return append(keys,
		key1(110, w.low),
		key2(111, w.low, w.caps),
		key2(112, w.low, p1.low),
		key2(113, w.low, n1.low),
		key2(114, w.low, uint32(p1.class)),
		key2(115, w.low, uint32(n1.class)),
		key3(116, w.low, uint32(p1.class), uint32(n1.class)),
		key2(117, w.low, n1.suffix[2]),
		key2(118, w.low, n1.suffix[1]),
		key2(119, w.low, p1.suffix[2]),
		key2(120, w.low, p1.suffix[1]),
		key2(121, w.low, n1.caps),
		key2(122, w.low, p1.caps),
		key3(123, w.low, p1.suffix[1], n1.suffix[1]),
		key2(124, w.low, p2.low),
		key2(125, w.low, n2.low),
		key2(126, w.low, p2.suffix[1]),
	)
}

// marksAhead returns for each span how many spans there are to the next that is
// a mark that may end a sentence, up to 255.
func marksAhead(out []uint8, text string, spans []span) []uint8 {
	out = resize(out, len(spans))
	n := uint8(255)
	for i := len(spans) - 1; i >= 0; i-- {
		out[i] = n
		if spans[i].space == gapParagraph {
			n = 0
		}
		if s := text[spans[i].start:spans[i].end]; s == "." || s == "!" || s == "?" || s == ":" {
			n = 0
		}
		if n < 255 {
			n++
		}
	}
	return out
}
