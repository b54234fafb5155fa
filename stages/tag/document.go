package tag

// A Token is one word of a sentence, in the sense of the treebank that the
// model learned from.
type Token struct {
	// Text is the word. It is Text[Start:End] of the whole text, except for
	// the words of a contraction: Portuguese "da" gives the words "de" and
	// "a", both with the place of "da".
	Text string

	// Start and End are the place of the token in the text, in bytes.
	Start, End int

	// UPOS is the universal part-of-speech tag, XPOS the tag of the
	// language's own set: the Penn tag in English. Both are empty if the
	// tagger has no model, and XPOS if the model has no such tags.
	UPOS, XPOS string

	// Parts is the number of words that the token in the text stands for,
	// when it is a contraction like "da" or "don't", and Part tells which of
	// them this is, from 0. For other tokens both are 0.
	Part, Parts uint8
}

// A Sentence is a sentence of a text.
type Sentence struct {
	Text       string // Text[Start:End] of the whole text
	Start, End int    // in bytes
	Tokens     []Token

	// Paragraph reports that the sentence is the first of a paragraph.
	Paragraph bool
}

// A Document is a tagged text. Its memory is used again when it is passed to
// [Tagger.TagInto] another time: then the sentences of the text before are no
// longer valid. The zero value is ready to use. A Document must not be used
// by two goroutines at a time.
type Document struct {
	Text      string
	Sentences []Sentence

	tokens []Token
	words  []word
	labels []uint8
	ends   []bool // whether a sentence ends after the span
	multi  []bool // whether the span stands for several words
	tok    tokenizer
	firsts []int // the first token of each span
}

// segment cuts doc.Text into sentences and tokens, without tags.
func (m *model) segment(doc *Document) {
	doc.tok.abbr, doc.tok.style = m.rules.abbr, m.style
	doc.tok.run(doc.Text)
	spans := doc.tok.spans
	doc.words = resize(doc.words, len(spans))
	for i, s := range spans {
		m.lex.analyse(doc.Text[s.start:s.end], &doc.words[i])
	}
	doc.ends = resize(doc.ends, len(spans))
	doc.multi = resize(doc.multi, len(spans))
	m.findEnds(doc)
	many := false
	for i := range spans {
		doc.multi[i] = m.isContraction(doc, i)
		many = many || doc.multi[i]
	}
	m.emitTokens(doc)
	if many {
		doc.words = resize(doc.words, len(doc.tokens))
		for i := range doc.tokens {
			m.lex.analyse(doc.tokens[i].Text, &doc.words[i])
		}
	}
	doc.cutSentences()
}

// findEnds decides after which spans a sentence ends.
func (m *model) findEnds(doc *Document) {
	spans := doc.tok.spans
	var buf [maxFeatures]uint32
	var scores [maxLabels]int32
	var found lookup
	n, quotes := 0, 0
	for i := range spans {
		n++
		if doc.Text[spans[i].start] == '"' {
			quotes++
		}
		end := i+1 == len(spans) || spans[i+1].space == gapParagraph
		if !end && mayEnd(doc.Text, spans, i) {
			if m.bounds == nil {
				end = endsByRule(doc.Text, spans, i)
			} else {
				m.bounds.find(boundFeatures(buf[:0], doc.words, spans, i, n, quotes%2 == 1), &found)
				m.bounds.score(&found, &scores, int(manyWords)+1)
				end = scores[endsHere] > scores[goesOn]
			}
		}
		doc.ends[i] = end
		if end {
			n, quotes = 0, 0
		}
	}
}

// isContraction decides whether the span i stands for several words.
func (m *model) isContraction(doc *Document, i int) bool {
	if len(m.rules.contractions) == 0 {
		return false
	}
	n := m.rules.index.find(doc.words[i].low).lex[0]
	if n == 0 {
		return false
	}
	if !m.rules.contractions[n-1].sometimes {
		return true
	}
	var buf [maxFeatures]uint32
	var scores [maxLabels]int32
	var found lookup
	m.bounds.find(contractFeatures(buf[:0], doc.words, i), &found)
	m.bounds.score(&found, &scores, int(manyWords)+1)
	return scores[manyWords] > scores[oneWord]
}

// emitTokens turns spans into tokens.
func (m *model) emitTokens(doc *Document) {
	doc.tokens = doc.tokens[:0]
	doc.firsts = doc.firsts[:0]
	for i, s := range doc.tok.spans {
		doc.firsts = append(doc.firsts, len(doc.tokens))
		text := doc.Text[s.start:s.end]
		if !doc.multi[i] {
			doc.tokens = append(doc.tokens, Token{Text: text, Start: s.start, End: s.end, Part: s.part, Parts: s.parts})
			continue
		}
		c := &m.rules.contractions[m.rules.index.find(doc.words[i].low).lex[0]-1]
		if c.exact && len(c.form) == len(text) {
			at := s.start
			for j, p := range c.parts {
				doc.tokens = append(doc.tokens, Token{
					Text: doc.Text[at : at+len(p)], Start: at, End: at + len(p), Part: uint8(j), Parts: uint8(len(c.parts)),
				})
				at += len(p)
			}
			continue
		}
		parts := c.cased[0]
		switch doc.words[i].caps {
		case capsFirst:
			parts = c.cased[1]
		case capsAll:
			parts = c.cased[2]
		}
		for j, p := range parts {
			doc.tokens = append(doc.tokens, Token{
				Text: p, Start: s.start, End: s.end, Part: uint8(j), Parts: uint8(len(parts)),
			})
		}
	}
}

// cutSentences groups the tokens by the ends that findEnds found.
func (doc *Document) cutSentences() {
	doc.Sentences = doc.Sentences[:0]
	spans := doc.tok.spans
	first := 0
	for i := range spans {
		if !doc.ends[i] {
			continue
		}
		last := len(doc.tokens)
		if i+1 < len(spans) {
			last = doc.firsts[i+1]
		}
		start, end := spans[first].start, spans[i].end
		doc.Sentences = append(doc.Sentences, Sentence{
			Text: doc.Text[start:end], Start: start, End: end,
			Tokens:    doc.tokens[doc.firsts[first]:last:last],
			Paragraph: spans[first].space == gapParagraph,
		})
		first = i + 1
	}
}

// resize returns s with n elements, whose values are undefined.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
