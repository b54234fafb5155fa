package tag

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// A Phrase is a run of tokens of one sentence.
type Phrase struct {
	Text       string // as it stands in the text
	Start, End int    // place in the text, in bytes
	Tokens     []Token
}

// A PhraseCount is a phrase and how often it occurs.
type PhraseCount struct {
	Text  string
	Count int
}

// NounPhrases returns the base noun phrases of a sentence: determiners,
// numbers and adjectives around nouns, without what follows a preposition.
// "the old mill on the hill" has two, "the old mill" and "the hill".
func NounPhrases(s Sentence) []Phrase {
	var out []Phrase
	for first, end := range nounPhrases(s.Tokens) {
		out = append(out, phraseOf(s, first, end))
	}
	return out
}

// nounPhrases yields the noun phrases of a sentence, each as the range of its
// tokens. Its time is linear in the tokens: what modifies what is found in one
// pass from the right, and of modifiers that lead to no noun all are passed over
// together.
func nounPhrases(tokens []Token) iter.Seq2[int, int] {
	return func(yield func(first, end int) bool) {
		g := readModifiers(tokens)
		for i := 0; i < len(tokens); {
			end, next := g.nounPhrase(i)
			if end == 0 {
				i = max(next, i+1)
				continue
			}
			first := i
			for first+1 < end && sharesPlace(tokens, first) {
				first++ // "da casa" is no phrase, "casa" is
			}
			if !yield(first, end) {
				return
			}
			i = end
		}
	}
}

// sharesPlace reports whether tokens[i] is a word of a contraction and has
// the same place in the text as the word before it.
func sharesPlace(tokens []Token, i int) bool {
	return i > 0 && tokens[i].Part > 0 && tokens[i-1].Start == tokens[i].Start
}

// modifiers says about each token of a sentence what it may be in a noun phrase.
type modifiers struct {
	tokens []Token
	is     []bool // whether the token may stand before a noun
	lead   []bool // whether modifiers lead from behind the token to a noun
}

func readModifiers(tokens []Token) *modifiers {
	both := make([]bool, 2*len(tokens))
	g := &modifiers{tokens: tokens, is: both[:len(tokens)], lead: both[len(tokens):]}
	for i := len(tokens) - 1; i >= 0; i-- {
		g.is[i] = g.modifies(i)
		if j := i + 1; j < len(tokens) {
			g.lead[i] = isNoun(tokens[j]) ||
				tokens[j].UPOS != "DET" && (g.is[j] || joins(tokens, j)) && g.lead[j]
		}
	}
	return g
}

// modifies finds out g.is[i], when that of the tokens behind is known.
func (g *modifiers) modifies(i int) bool {
	tokens := g.tokens
	switch t := tokens[i]; t.UPOS {
	case "DET", "ADJ", "NUM":
		return true
	case "PRON":
		return t.XPOS == "PRP$"
	case "ADV":
		return i+1 < len(tokens) && (tokens[i+1].UPOS == "ADJ" || joins(tokens, i+1) && g.is[i+2])
	case "SYM":
		return i+1 < len(tokens) && tokens[i+1].UPOS == "NUM" // $ 5
	case "VERB":
		return (t.XPOS == "VBN" || t.XPOS == "VBG") && i+1 < len(tokens) && isNoun(tokens[i+1])
	}
	return false
}

// nounPhrase returns the end of the noun phrase that begins at start, or 0 and
// where the next one may begin.
func (g *modifiers) nounPhrase(start int) (end, next int) {
	tokens, i := g.tokens, start
	// What may come before the noun.
	for i < len(tokens) && (g.is[i] || i > start && joins(tokens, i)) {
		i++
	}
	next = i
	// Nouns, and the adjectives that follow them in Romance languages.
	for i < len(tokens) {
		switch {
		case isNoun(tokens[i]):
			end = i + 1
		case end > 0 && tokens[i].UPOS == "ADJ" && !g.lead[i]:
			end = i + 1
		case g.is[i] && tokens[i].UPOS != "DET" && g.lead[i]:
		case i > start && (joins(tokens, i) || possessive(tokens, i)):
		default:
			return end, next
		}
		i++
	}
	return end, next
}

// isNoun reports whether t is a noun, or a name that is no address.
func isNoun(t Token) bool {
	return (t.UPOS == "NOUN" || t.UPOS == "PROPN") && !isAddress(t)
}

func isAddress(t Token) bool {
	return t.XPOS == "ADD" || strings.ContainsAny(t.Text, "@#/")
}

// joins reports whether tokens[i] is a hyphen inside a word like well-known.
func joins(tokens []Token, i int) bool {
	return i > 0 && i+1 < len(tokens) && tokens[i].Text == "-" &&
		tokens[i-1].End == tokens[i].Start && tokens[i].End == tokens[i+1].Start
}

// possessive reports whether tokens[i] is the 's of Alice's.
func possessive(tokens []Token, i int) bool {
	return tokens[i].XPOS == "POS" && i > 0 && i+1 < len(tokens)
}

// Entities returns the candidates for named entities of a sentence: runs of
// proper nouns, together with the numbers, initials and hyphens inside them.
// It does not tell persons from places.
func Entities(s Sentence) []Phrase {
	var out []Phrase
	for i := 0; i < len(s.Tokens); i++ {
		if !isName(s.Tokens[i]) {
			continue
		}
		first, end := i, i+1
		for j := end; j < len(s.Tokens); j++ {
			if isName(s.Tokens[j]) {
				end = j + 1
			} else if !joins(s.Tokens, j) && !(s.Tokens[j].UPOS == "NUM" && j == end) {
				break
			}
		}
		if end < len(s.Tokens) && s.Tokens[end].UPOS == "NUM" && end > first && !strings.ContainsAny(s.Tokens[end].Text, ":/") {
			end++ // Boeing 747
		}
		out = append(out, phraseOf(s, first, end))
		i = end - 1
	}
	return out
}

// isName reports whether t is part of a name: a proper noun, or what Penn tags
// count as one, as in "New York", but no address.
func isName(t Token) bool {
	if t.UPOS != "PROPN" && t.XPOS != "NNP" && t.XPOS != "NNPS" {
		return false
	}
	return !isAddress(t)
}

func phraseOf(s Sentence, first, end int) Phrase {
	tokens := s.Tokens[first:end:end]
	start, stop := tokens[0].Start, tokens[len(tokens)-1].End
	p := Phrase{Start: start, End: stop, Tokens: tokens}
	if a, b := start-s.Start, stop-s.Start; 0 <= a && a <= b && b <= len(s.Text) {
		p.Text = s.Text[a:b]
	}
	return p
}

// CountNounPhrases counts the noun phrases of sentences, without determiners
// and without regard to case, the most frequent first.
func CountNounPhrases(sentences []Sentence) []PhraseCount {
	return count(sentences, func(s Sentence) []Phrase {
		var out []Phrase
		for first, end := range nounPhrases(s.Tokens) {
			for first < end-1 && (s.Tokens[first].UPOS == "DET" || s.Tokens[first].UPOS == "PRON") {
				first++
			}
			out = append(out, phraseOf(s, first, end))
		}
		return out
	}, strings.ToLower)
}

// CountEntities counts the entity candidates of sentences, the most frequent
// first.
func CountEntities(sentences []Sentence) []PhraseCount {
	return count(sentences, Entities, func(s string) string { return s })
}

func count(sentences []Sentence, find func(Sentence) []Phrase, form func(string) string) []PhraseCount {
	counts := map[string]int{}
	for _, s := range sentences {
		for _, p := range find(s) {
			counts[form(strings.Join(strings.Fields(p.Text), " "))]++
		}
	}
	out := make([]PhraseCount, 0, len(counts))
	for text, n := range counts {
		out = append(out, PhraseCount{text, n})
	}
	slices.SortFunc(out, func(a, b PhraseCount) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Text, b.Text))
	})
	return out
}
