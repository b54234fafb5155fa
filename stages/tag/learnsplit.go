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
// one, and between paragraphs a blank line or, if paragraphs is false, a space. A
// treebank without marks of paragraphs gives one passage for each 100 sentences.
func passages(sentences []*TreebankSentence, paragraphs bool) []passage {
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
		case s.NewParagraph && paragraphs:
			b.WriteString("\n\n")
		case space || s.NewParagraph:
			b.WriteByte(' ')
		}
		b.WriteString(s.Text)
		ends = append(ends, b.Len())
		space = s.endsWithSpace()
	}
	flush()
	return out
}

// How often the perceptrons that end sentences see the treebank, and how many
// there are. More of the first learns the treebank by heart.
const (
	boundEpochs = 6
	boundVoters = 4
)

// trainBounds trains the weights that end sentences and tell contractions: on the
// text with its paragraphs, and on the same without, since much text has lost
// them, and headlines and greetings run into what follows.
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
	for _, p := range slices.Concat(passages(sentences, true), passages(sentences, false)) {
		tok.run(p.text, 0, gapParagraph)
		words := make([]word, len(tok.spans))
		for i, s := range tok.spans {
			m.lex.analyse(p.text[s.start:s.end], &words[i])
		}
		isEnd := map[int]bool{}
		for _, e := range p.ends {
			isEnd[e] = true
		}
		var r soFar
		pending := marksAhead(nil, p.text, tok.spans)
		for i, s := range tok.spans {
			r.pass(m, p.text, words, tok.spans, i)
			end := isEnd[s.end]
			if i+1 < len(tok.spans) && tok.spans[i+1].space != gapParagraph && mayEnd(p.text, tok.spans, i) {
				gold := goesOn
				if end {
					gold = endsHere
				}
				r.pending = int(pending[i])
				note(boundFeatures(nil, words, tok.spans, i, &r), gold)
			}
			if end {
				r = soFar{}
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
	for voter := range boundVoters {
		p := newPerceptron(counts, int32(o.MinFeature), 8)
		var scores [maxLabels]float32
		for epoch := range boundEpochs {
			for _, i := range shuffled(len(decisions), uint64(epoch+1+100*voter)) {
				d := &decisions[i]
				if voter == 0 && epoch == 0 {
					d.ids = p.features(nil, d.keys)
				}
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
	}
	return quantizeSums(sums, 0.1*boundVoters)
}
