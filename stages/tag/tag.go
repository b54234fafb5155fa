package tag

// A Tagger cuts text into sentences and words and gives each word its part of
// speech. It is safe for concurrent use.
type Tagger struct {
	m *model
}

// Language returns the code of the language that the tagger is for, as "en".
func (t *Tagger) Language() string { return t.model().lang }

// HasTags reports whether the tagger gives tags. A tagger for a language
// without a model gives sentences and tokens only.
func (t *Tagger) HasTags() bool { return t.model().tags != nil }

// model returns the tagger's model; that of the zero Tagger has only rules.
func (t *Tagger) model() *model {
	if t == nil || t.m == nil {
		return &rulesOnly
	}
	return t.m
}

var rulesOnly = model{lex: &lexicon{}, style: styleOf("")}

// Tag returns the sentences of text with their tagged tokens.
func (t *Tagger) Tag(text string) []Sentence {
	var doc Document
	t.TagInto(&doc, text)
	return doc.Sentences
}

// TagInto tags text into doc, whose memory it uses again: once doc has grown
// to the size of the texts, tagging allocates nothing.
func (t *Tagger) TagInto(doc *Document, text string) { t.tagInto(doc, text, defaultPieces) }

func (t *Tagger) tagInto(doc *Document, text string, size pieceSize) {
	m := t.model()
	doc.reset(text)
	before := gapParagraph
	for from := 0; from < len(text); {
		from, before = m.add(doc, from, size.next(text[from:]), before)
	}
	doc.share()
}

// TagTokens fills in the tags of the tokens of one sentence, of which it
// reads the Text alone.
func (t *Tagger) TagTokens(tokens []Token) {
	m := t.model()
	if m.tags == nil {
		return
	}
	var wordBuf [64]word
	var labelBuf [64]uint8
	words, labels := wordBuf[:], labelBuf[:]
	words, labels = resize(words, len(tokens)), resize(labels, len(tokens))
	for i := range tokens {
		m.lex.analyse(tokens[i].Text, &words[i])
	}
	m.decode(words, labels)
	m.label(tokens, labels)
}

func (m *model) label(tokens []Token, labels []uint8) {
	for i, l := range labels {
		tokens[i].UPOS, tokens[i].XPOS = m.labels[l].upos, m.labels[l].xpos
	}
}
