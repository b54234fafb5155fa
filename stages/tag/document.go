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
	counts []int // of the tokens of each sentence

	// Of the piece that is being worked on:
	words   []word
	labels  []uint8
	ends    []bool  // whether a sentence ends after the span
	pending []uint8 // see marksAhead
	multi   []bool  // whether the span stands for several words
	tok     tokenizer
	firsts  []int // the first token of each span
}

// reset makes the document that of a text, without sentences.
func (doc *Document) reset(text string) {
	doc.Text = text
	doc.Sentences, doc.tokens, doc.counts = doc.Sentences[:0], doc.tokens[:0], doc.counts[:0]
}

// piece cuts doc.Text[from:to] into sentences and tokens, tags them, and adds
// them to the document. It returns where the next piece begins and the gap
// before it: of a piece that ends anywhere the last sentence, which may go on,
// is left to the next.
func (m *model) piece(doc *Document, from int, p piece, before gap) (next int, after gap) {
	to := from + p.end
	doc.tok.abbr, doc.tok.style = m.rules.abbr, m.style
	doc.tok.run(doc.Text[:to], from, before)
	spans := doc.tok.spans
	doc.words = resize(doc.words, len(spans))
	for i, s := range spans {
		m.lex.analyse(doc.Text[s.start:s.end], &doc.words[i])
	}
	doc.ends = resize(doc.ends, len(spans))
	m.findEnds(doc)
	next, after = to, gapParagraph
	if p.anywhere {
		after = doc.tok.gap
		if last := doc.lastSentence(); last > 0 {
			next, after = spans[last].start, spans[last].space
			spans = spans[:last]
			doc.tok.spans = spans
		}
	}
	doc.multi = resize(doc.multi, len(spans))
	many := false
	for i := range spans {
		doc.multi[i] = m.isContraction(doc, i)
		many = many || doc.multi[i]
	}
	first := len(doc.tokens)
	m.emitTokens(doc)
	tokens := doc.tokens[first:]
	if many {
		doc.words = resize(doc.words, len(tokens))
		for i := range tokens {
			m.lex.analyse(tokens[i].Text, &doc.words[i])
		}
	}
	doc.cutSentences(first)
	return next, after
}

// lastSentence returns the first span of the last sentence.
func (doc *Document) lastSentence() int {
	for i := len(doc.tok.spans) - 2; i >= 0; i-- {
		if doc.ends[i] {
			return i + 1
		}
	}
	return 0
}

// tagPiece tags the sentences from the given one on, whose tokens are those
// from first on. Their words are those of the piece.
func (m *model) tagPiece(doc *Document, sentence, first int) {
	if m.tags == nil {
		return
	}
	tokens := doc.tokens[first:]
	doc.labels = resize(doc.labels, len(tokens))
	at := 0
	for _, n := range doc.counts[sentence:] {
		labels := doc.labels[at : at+n]
		m.decode(doc.words[at:at+n], labels)
		m.label(tokens[at:at+n], labels)
		at += n
	}
}

// share gives the sentences their tokens, when all of them are there.
func (doc *Document) share() {
	at := 0
	for i, n := range doc.counts {
		doc.Sentences[i].Tokens = doc.tokens[at : at+n : at+n]
		at += n
	}
}

// findEnds decides after which spans a sentence ends.
func (m *model) findEnds(doc *Document) {
	spans := doc.tok.spans
	var buf [maxFeatures]uint32
	var scores [maxLabels]int32
	var found lookup
	var r soFar
	doc.pending = marksAhead(doc.pending, doc.Text, spans)
	for i := range spans {
		if m.bounds != nil {
			r.pass(m, doc.Text, doc.words, spans, i)
		}
		end := i+1 == len(spans) || spans[i+1].space == gapParagraph
		switch {
		case end || !mayEnd(doc.Text, spans, i):
		case m.bounds == nil:
			end = endsByRule(doc.Text, spans, i)
		default:
			r.pending = int(doc.pending[i])
			m.bounds.find(boundFeatures(buf[:0], doc.words, spans, i, &r), &found)
			m.bounds.score(&found, &scores, int(manyWords)+1)
			end = scores[endsHere] > scores[goesOn]
		}
		doc.ends[i] = end
		if end {
			r = soFar{}
		}
	}
}

// isContraction decides whether the span i stands for several words. One that
// the rules have cut off a token does not: the "nos" of "divertir-nos" is the
// pronoun.
func (m *model) isContraction(doc *Document, i int) bool {
	if len(m.rules.contractions) == 0 || doc.tok.spans[i].parts > 0 {
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

// emitTokens adds the tokens of the spans.
func (m *model) emitTokens(doc *Document) {
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

// cutSentences adds the sentences that end where findEnds found, whose first
// token is given. Their tokens are given to them by share.
func (doc *Document) cutSentences(token int) {
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
			Text: doc.Text[start:end], Start: start, End: end, Paragraph: spans[first].space == gapParagraph,
		})
		doc.counts = append(doc.counts, last-token)
		first, token = i+1, last
	}
}

// resize returns s with n elements, whose values are undefined.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
