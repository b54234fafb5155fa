package tag

import (
	"slices"
	"strings"
)

// collectSplitRules learns the abbreviations and the contractions of a
// treebank.
func collectSplitRules(sentences []*TreebankSentence, style style) splitRules {
	type form struct {
		split, whole int
		nouns        int
		parts        map[string]int
	}
	forms := map[string]*form{}
	get := func(s string) *form {
		f := forms[s]
		if f == nil {
			f = &form{parts: map[string]int{}}
			forms[s] = f
		}
		return f
	}
	dotted := map[string]int{}
	bare := map[string]int{}
	for _, s := range sentences {
		tokens := s.surface()
		for i, t := range tokens {
			low := strings.ToLower(t.form)
			if isAbbreviation(low) {
				dotted[strings.TrimSuffix(low, ".")]++
			}
			// The same word before a full stop of its own, inside or at the end.
			if i+1 < len(tokens) && tokens[i+1].form == "." && !t.spaceAfter {
				bare[low]++
			}
			f := get(low)
			if t.end-t.first < 2 {
				f.whole++
				continue
			}
			f.split++
			if tag := s.Words[t.first].UPOS; tag == "NOUN" || tag == "PROPN" {
				f.nouns++ // a missing apostrophe: "cars" for "car's"
			}
			var parts []string
			for _, w := range s.Words[t.first:t.end] {
				parts = append(parts, strings.ToLower(w.Form))
			}
			f.parts[strings.Join(parts, " ")]++
		}
	}
	var r splitRules
	for a, n := range dotted {
		if n >= bare[a] {
			r.abbreviations = append(r.abbreviations, a)
		}
	}
	slices.Sort(r.abbreviations)
	for s, f := range forms {
		if f.split < 2 || f.split*10 < f.whole || f.nouns > 0 || hasClitic(s) {
			continue
		}
		best := ""
		for p, n := range f.parts {
			if n > f.parts[best] || n == f.parts[best] && p < best {
				best = p
			}
		}
		c := contraction{form: s, parts: strings.Fields(best), sometimes: f.whole*50 > f.split}
		if len(c.parts) > 1 && len(c.parts) < 8 {
			r.contractions = append(r.contractions, c)
		}
	}
	slices.SortFunc(r.contractions, func(a, b contraction) int { return strings.Compare(a.form, b.form) })
	r.ready(style)
	return r
}

// hasClitic reports whether s is split by the rules of style, or should be.
func hasClitic(s string) bool {
	return strings.ContainsAny(s, "'’`-")
}

// isAbbreviation reports whether the token s is letters and a full stop.
func isAbbreviation(s string) bool {
	if len(s) < 2 || s[len(s)-1] != '.' {
		return false
	}
	for _, r := range s[:len(s)-1] {
		if _, kind := lowerKind(r); kind != 'x' && r != '.' && r != '\'' && r != 'º' && r != 'ª' {
			return false
		}
	}
	return s[len(s)-2] != '.'
}

// A passage is the raw text of a few sentences, with where each of them ends.
type passage struct {
	text string
	ends []int
}

// passages returns the raw text of a treebank, document by document: the
// sentences of a paragraph with a space between them where the treebank has
// one, and a blank line between paragraphs. A treebank without marks of
// paragraphs gives one passage for each 100 sentences.
func passages(sentences []*TreebankSentence) []passage {
	var out []passage
	var b strings.Builder
	var ends []int
	flush := func() {
		if len(ends) > 0 {
			out = append(out, passage{b.String(), ends})
		}
		b.Reset()
		ends = nil
	}
	space := false
	for _, s := range sentences {
		if s.NewDocument || len(ends) == 100 {
			flush()
		}
		switch {
		case len(ends) == 0:
		case s.NewParagraph:
			b.WriteString("\n\n")
		case space:
			b.WriteByte(' ')
		}
		b.WriteString(s.Text)
		ends = append(ends, b.Len())
		space = s.endsWithSpace()
	}
	flush()
	return out
}

// trainBounds trains the weights that end sentences and tell contractions.
func (m *model) trainBounds(sentences []*TreebankSentence, o *TrainOptions) []row {
	type decision struct {
		keys []uint32
		ids  []int32
		gold uint8
	}
	var decisions []decision
	counts := map[uint32]int32{}
	note := func(keys []uint32, gold uint8) {
		for _, k := range keys {
			counts[k]++
		}
		decisions = append(decisions, decision{keys: keys, gold: gold})
	}
	var tok tokenizer
	tok.abbr, tok.style = m.rules.abbr, m.style
	for _, p := range passages(sentences) {
		tok.run(p.text, 0, gapParagraph)
		words := make([]word, len(tok.spans))
		for i, s := range tok.spans {
			m.lex.analyse(p.text[s.start:s.end], &words[i])
		}
		isEnd := map[int]bool{}
		for _, e := range p.ends {
			isEnd[e] = true
		}
		n, quotes := 0, 0
		for i, s := range tok.spans {
			n++
			if p.text[s.start] == '"' {
				quotes++
			}
			end := isEnd[s.end]
			if i+1 < len(tok.spans) && tok.spans[i+1].space != gapParagraph && mayEnd(p.text, tok.spans, i) {
				gold := goesOn
				if end {
					gold = endsHere
				}
				note(boundFeatures(nil, words, tok.spans, i, n, quotes%2 == 1), gold)
			}
			if end {
				n, quotes = 0, 0
			}
		}
	}
	for _, s := range sentences {
		tokens := s.surface()
		words := make([]word, len(tokens))
		for i, t := range tokens {
			m.lex.analyse(t.form, &words[i])
		}
		for i, t := range tokens {
			if c := m.rules.index.find(words[i].low).lex[0]; c == 0 || !m.rules.contractions[c-1].sometimes {
				continue
			}
			gold := oneWord
			if t.end-t.first > 1 {
				gold = manyWords
			}
			note(contractFeatures(nil, words, i), gold)
		}
	}
	sums := map[uint32][]weightOf{}
	p := newPerceptron(counts, int32(o.MinFeature), 8)
	for i := range decisions {
		decisions[i].ids = p.features(nil, decisions[i].keys)
	}
	var scores [maxLabels]float32
	for epoch := range 12 {
		for _, i := range shuffled(len(decisions), uint64(epoch+1)) {
			d := &decisions[i]
			candidates := []uint8{goesOn, endsHere}
			if d.gold >= oneWord {
				candidates = []uint8{oneWord, manyWords}
			}
			clear(scores[:manyWords+1])
			p.score(d.ids, scores[:])
			p.learn(d.ids, d.gold, candidates, scores[:])
		}
	}
	p.addAverage(sums)
	return quantizeSums(sums, 0.1)
}
