package tag

import (
	"fmt"
	"strings"
)

// Scores are the results of [Tagger.Evaluate], each between 0 and 1.
type Scores struct {
	Words, Sentences int // in the treebank

	// UPOS and XPOS are the shares of right tags for the treebank's own words.
	UPOS, XPOS float64

	// The rest is measured from raw text, as the F1 scores of the CoNLL 2018
	// shared task are: of tokens as they stand in the text, of words, of
	// sentences, and of words that have the right tag.
	TokenF1, WordF1, SentenceF1, RawUPOS, RawXPOS float64

	// FlatSentenceF1 is SentenceF1 of the text without its paragraphs.
	FlatSentenceF1 float64
}

func (s Scores) String() string {
	return fmt.Sprintf("words %d sentences %d; gold words: upos %.4f xpos %.4f; raw text: token F1 %.4f word F1 %.4f sentence F1 %.4f (without paragraphs %.4f) upos %.4f xpos %.4f",
		s.Words, s.Sentences, s.UPOS, s.XPOS, s.TokenF1, s.WordF1, s.SentenceF1, s.FlatSentenceF1, s.RawUPOS, s.RawXPOS)
}

// Evaluate compares the tagger with a treebank: once with the treebank's own
// words, and once from the raw text, which is put together from the sentences
// with a space between them inside a paragraph and a blank line between
// paragraphs.
func (t *Tagger) Evaluate(sentences []*TreebankSentence) Scores {
	var s Scores
	upos, xpos := 0, 0
	var tokens []Token
	for _, gold := range sentences {
		s.Sentences++
		s.Words += len(gold.Words)
		tokens = tokens[:0]
		for _, w := range gold.Words {
			tokens = append(tokens, Token{Text: w.Form})
		}
		t.TagTokens(tokens)
		for i, w := range gold.Words {
			if tokens[i].UPOS == w.UPOS {
				upos++
			}
			if tokens[i].XPOS == w.XPOS {
				xpos++
			}
		}
	}
	s.UPOS, s.XPOS = ratio(upos, s.Words), ratio(xpos, s.Words)
	t.evaluateRaw(sentences, &s)
	return s
}

// A scoredWord is a word with its place among the characters of a text that
// are not white space.
type scoredWord struct {
	start, end       int
	part             int
	form, upos, xpos string
}

type f1 struct{ system, gold, right int }

func (f f1) score() float64 { return ratio(2*f.right, f.system+f.gold) }

func (t *Tagger) evaluateRaw(sentences []*TreebankSentence, s *Scores) {
	var tokenF1, wordF1, sentenceF1, uposF1, xposF1 f1
	first := 0
	var doc Document
	for _, p := range passages(sentences, true) {
		gold := sentences[first : first+len(p.ends)]
		first += len(p.ends)
		goldWords, goldTokens, goldEnds := goldPlaces(gold)
		t.TagInto(&doc, p.text)
		sysWords, sysTokens, sysEnds := systemPlaces(&doc)
		sentenceF1.add(len(sysEnds), len(goldEnds), common(sysEnds, goldEnds))
		tokenF1.add(len(sysTokens), len(goldTokens), common(sysTokens, goldTokens))
		right, rightUPOS, rightXPOS := 0, 0, 0
		align(sysWords, goldWords, func(a, b *scoredWord) {
			right++
			if a.upos == b.upos {
				rightUPOS++
			}
			if a.xpos == b.xpos {
				rightXPOS++
			}
		})
		wordF1.add(len(sysWords), len(goldWords), right)
		uposF1.add(len(sysWords), len(goldWords), rightUPOS)
		xposF1.add(len(sysWords), len(goldWords), rightXPOS)
	}
	s.TokenF1, s.WordF1, s.SentenceF1 = tokenF1.score(), wordF1.score(), sentenceF1.score()
	s.RawUPOS, s.RawXPOS = uposF1.score(), xposF1.score()
	var flat f1
	first = 0
	for _, p := range passages(sentences, false) {
		_, _, goldEnds := goldPlaces(sentences[first : first+len(p.ends)])
		first += len(p.ends)
		t.TagInto(&doc, p.text)
		_, _, sysEnds := systemPlaces(&doc)
		flat.add(len(sysEnds), len(goldEnds), common(sysEnds, goldEnds))
	}
	s.FlatSentenceF1 = flat.score()
}

func (f *f1) add(system, gold, right int) {
	f.system += system
	f.gold += gold
	f.right += right
}

// align calls match for each pair of words that are the same: words at the
// same place, and words of contractions at the same place with equal forms.
func align(system, gold []scoredWord, match func(a, b *scoredWord)) {
	i, j := 0, 0
	for i < len(system) && j < len(gold) {
		a, b := &system[i], &gold[j]
		switch {
		case a.start == b.start && a.end == b.end && (a.part == 0 && b.part == 0 || equalFold(a.form, b.form)):
			match(a, b)
			i++
			j++
		case a.start < b.start || a.start == b.start && a.end < b.end || a.start == b.start && a.end == b.end && a.part <= b.part:
			i++
		default:
			j++
		}
	}
}

// common counts the pairs that are in both sorted lists.
func common(a, b [][2]int) int {
	n, i, j := 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			n++
			i++
			j++
		case a[i][0] < b[j][0] || a[i][0] == b[j][0] && a[i][1] < b[j][1]:
			i++
		default:
			j++
		}
	}
	return n
}

// goldPlaces numbers the characters of the sentences without white space.
func goldPlaces(sentences []*TreebankSentence) (words []scoredWord, tokens, ends [][2]int) {
	at := 0
	for _, s := range sentences {
		start := at
		for _, t := range s.surface() {
			end := at + solidLen(t.form)
			tokens = append(tokens, [2]int{at, end})
			addWords(&words, s, t, at, end)
			at = end
		}
		ends = append(ends, [2]int{start, at})
	}
	return words, tokens, ends
}

// addWords adds the words of a token, each with its own place if their forms
// side by side are the token.
func addWords(words *[]scoredWord, s *TreebankSentence, t surfaceToken, at, end int) {
	joined := 0
	var form string
	for _, w := range s.Words[t.first:t.end] {
		joined += solidLen(w.Form)
		form += w.Form
	}
	exact := t.end-t.first == 1 || strings.EqualFold(form, t.form)
	for k, w := range s.Words[t.first:t.end] {
		word := scoredWord{start: at, end: end, form: w.Form, upos: w.UPOS, xpos: w.XPOS}
		if exact {
			word.end = at + solidLen(w.Form)
			at = word.end
		} else {
			word.part = k + 1
		}
		*words = append(*words, word)
	}
}

func systemPlaces(doc *Document) (words []scoredWord, tokens, ends [][2]int) {
	solid := 0
	place := make([]int, len(doc.Text)+1)
	for i, r := range doc.Text {
		place[i] = solid
		if n, _ := spaces(string(r)); n == 0 {
			solid++
		}
	}
	place[len(doc.Text)] = solid
	for _, s := range doc.Sentences {
		ends = append(ends, [2]int{place[s.Start], place[s.End]})
		for i := 0; i < len(s.Tokens); {
			group := s.Tokens[i : i+max(1, int(s.Tokens[i].Parts))]
			i += len(group)
			start, end := group[0].Start, group[len(group)-1].End
			tokens = append(tokens, [2]int{place[start], place[end]})
			length := 0
			for _, t := range group {
				length += len(t.Text)
			}
			for k, t := range group {
				w := scoredWord{start: place[t.Start], end: place[t.End], form: t.Text, upos: t.UPOS, xpos: t.XPOS}
				if length != end-start {
					w.start, w.end, w.part = place[start], place[end], k+1
				}
				words = append(words, w)
			}
		}
	}
	return words, tokens, ends
}

// solidLen counts the characters of s that are not white space.
func solidLen(s string) int {
	n := 0
	for _, r := range s {
		if k, _ := spaces(string(r)); k == 0 {
			n++
		}
	}
	return n
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
