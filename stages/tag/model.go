package tag

// A model is what a treebank taught: tags, words, weights, and the words and
// marks that the tokenizer and the sentence splitter must know.
type model struct {
	lang    string
	style   style
	labels  []label
	lex     *lexicon
	tags    *weights // chooses a label for a word
	bounds  *weights // chooses whether a sentence ends after a token; nil without one
	rules   splitRules
	rowsTag []row // what tags was made of, kept by the trainer alone
	rowsEnd []row
}

// A label is one outcome of the tagger: both tags are chosen at once, so that
// they always fit each other.
type label struct {
	upos, xpos string
}

// decode chooses a label for each word. Beyond the ends of the sentence the
// label is edgeLabel.
const edgeLabel = maxLabels

func (m *model) decode(words []word, labels []uint8) {
	var buf [maxFeatures]uint32
	var scores [maxLabels]int32
	var found lookup
	t1, t2 := uint32(edgeLabel), uint32(edgeLabel)
	for i := range words {
		c := &m.lex.classes[words[i].class]
		var best uint8
		if c.closed && len(c.labels) == 1 {
			best = c.labels[0]
		} else {
			keys := staticFeatures(buf[:0], words, i)
			keys = historyFeatures(keys, words, i, t1, t2)
			m.tags.find(keys, &found)
			if c.closed {
				m.tags.scoreSome(&found, &scores, c.labels)
			} else {
				m.tags.score(&found, &scores, len(m.labels))
			}
			best = m.best(c, &scores)
		}
		labels[i] = best
		t1, t2 = uint32(best), t1
	}
}

// best returns the candidate with the highest score, the first of equals.
func (m *model) best(c *class, scores *[maxLabels]int32) uint8 {
	if c.closed {
		best := c.labels[0]
		for _, l := range c.labels[1:] {
			if scores[l] > scores[best] {
				best = l
			}
		}
		return best
	}
	best := 0
	for l := 1; l < len(m.labels); l++ {
		if scores[l] > scores[best] {
			best = l
		}
	}
	return uint8(best)
}
