package tag

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
)

// TrainOptions say how Train makes a model. The zero value is a model of
// universal tags with defaults that suit a treebank of any size.
type TrainOptions struct {
	Language string // BCP 47 code of the language that the model is for, required
	XPOS     bool   // learn the XPOS column too

	// Words are up to two word lists: for each word in lower case a class of
	// any name. The classes become features, also for words that the treebank
	// lacks.
	Words [2]map[string]string

	Epochs int     // passes over the treebank, 6 by default
	Voters int     // perceptrons that are averaged, each with its own order of sentences, 1 by default
	Margin float64 // by how much a right tag must lead, 20 by default

	MinFeature int     // how often a feature must occur in the treebank, 2 by default
	Unit       float64 // one step of the stored weights, 0.5 by default
	ClassMin   int     // how often a word must occur for its tags to be features, 5 by default
	ClosedMin  int     // how often a word must occur for its tags to be its only candidates, 6 by default

	// Log is told of the progress, if it is not nil.
	Log func(format string, args ...any)
}

func (o *TrainOptions) withDefaults() TrainOptions {
	out := *o
	out.Epochs = cmp.Or(out.Epochs, 6)
	out.Voters = cmp.Or(out.Voters, 1)
	out.Margin = cmp.Or(out.Margin, 20)
	out.MinFeature = cmp.Or(out.MinFeature, 2)
	out.Unit = cmp.Or(out.Unit, 0.5)
	out.ClassMin = cmp.Or(out.ClassMin, 5)
	out.ClosedMin = cmp.Or(out.ClosedMin, 20)
	if out.Log == nil {
		out.Log = func(string, ...any) {}
	}
	return out
}

// Train makes a model from the sentences of a treebank and writes it to w, to
// be read by [Load]. The same sentences and options give the same bytes.
func Train(w io.Writer, sentences []*TreebankSentence, opts *TrainOptions) error {
	m, err := trainModel(sentences, opts.withDefaults())
	if err != nil {
		return fmt.Errorf("tag: train: %w", err)
	}
	return m.write(w)
}

// TrainSplit reads a model from r and writes it to w with the part trained anew
// that ends sentences and tells contractions. Of the options only MinFeature
// counts.
func TrainSplit(w io.Writer, r io.Reader, sentences []*TreebankSentence, opts *TrainOptions) error {
	m, err := readModel(r, true)
	if err != nil {
		return fmt.Errorf("tag: train: %w", err)
	}
	o := opts.withDefaults()
	m.rowsEnd = m.trainBounds(sentences, &o)
	return m.write(w)
}

// A lesson is a treebank sentence made ready for training.
type lesson struct {
	words  []word
	gold   []uint8
	static [][]int32 // features of each word that do not depend on tags
}

func trainModel(sentences []*TreebankSentence, o TrainOptions) (*model, error) {
	if o.Language == "" {
		return nil, fmt.Errorf("no language given")
	}
	m := &model{lang: o.Language, style: styleOf(o.Language)}
	gold, err := m.collectLabels(sentences, o.XPOS)
	if err != nil {
		return nil, err
	}
	if err := m.buildLexicon(sentences, gold, &o); err != nil {
		return nil, err
	}
	lessons := make([]lesson, len(sentences))
	for i, s := range sentences {
		l := lesson{words: make([]word, len(s.Words)), gold: gold[i]}
		for j := range s.Words {
			m.lex.analyse(s.Words[j].Form, &l.words[j])
		}
		lessons[i] = l
	}
	m.rowsTag = m.trainTags(lessons, &o)
	if m.tags, err = newWeights(m.rowsTag, len(m.labels)); err != nil {
		return nil, err
	}
	m.rules = collectSplitRules(sentences, m.style)
	m.rowsEnd = m.trainBounds(sentences, &o)
	if m.bounds, err = newWeights(m.rowsEnd, int(manyWords)+1); err != nil {
		return nil, err
	}
	return m, nil
}

// collectLabels numbers the labels of the treebank by frequency and returns
// the label of each word.
func (m *model) collectLabels(sentences []*TreebankSentence, xpos bool) ([][]uint8, error) {
	labelOf := func(w *TreebankWord) label {
		l := label{upos: w.UPOS}
		if xpos {
			l.xpos = w.XPOS
		}
		return l
	}
	counts := map[label]int{}
	for _, s := range sentences {
		for i := range s.Words {
			if s.Words[i].UPOS == "" {
				return nil, fmt.Errorf("the word %q has no universal tag", s.Words[i].Form)
			}
			counts[labelOf(&s.Words[i])]++
		}
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("the treebank has no words")
	}
	if len(counts) > maxLabels {
		return nil, fmt.Errorf("%d different tags, at most %d fit", len(counts), maxLabels)
	}
	for l := range counts {
		m.labels = append(m.labels, l)
	}
	slices.SortFunc(m.labels, func(a, b label) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a.upos, b.upos), strings.Compare(a.xpos, b.xpos))
	})
	number := map[label]uint8{}
	for i, l := range m.labels {
		number[l] = uint8(i)
	}
	gold := make([][]uint8, len(sentences))
	for i, s := range sentences {
		for j := range s.Words {
			gold[i] = append(gold[i], number[labelOf(&s.Words[j])])
		}
	}
	return gold, nil
}

// buildLexicon fills the dictionary of tags and the classes of word lists.
func (m *model) buildLexicon(sentences []*TreebankSentence, gold [][]uint8, o *TrainOptions) error {
	plain := &lexicon{}
	words := entries{}
	classes := []class{{}}
	counts := map[uint32][]int{}
	for i, s := range sentences {
		for j := range s.Words {
			var w word
			plain.analyse(s.Words[j].Form, &w)
			for _, key := range []uint32{w.form, w.low} {
				if counts[key] == nil {
					counts[key] = make([]int, len(m.labels))
				}
				counts[key][gold[i][j]]++
				if w.form == w.low {
					break
				}
			}
		}
	}
	ids := map[string]uint16{}
	for _, key := range sortedKeys(counts) {
		c, ok := makeClass(counts[key], o)
		if !ok {
			continue
		}
		name := fmt.Sprint(c)
		if ids[name] == 0 {
			if len(classes) == 1<<16-1 {
				return fmt.Errorf("more than %d different sets of tags", len(classes))
			}
			ids[name] = uint16(len(classes))
			classes = append(classes, c)
		}
		words[max(key, 1)] = lexEntry{class: ids[name]}
	}
	for i, list := range o.Words {
		if err := words.addList(i, list); err != nil {
			return err
		}
	}
	var err error
	if m.lex, err = words.lexicon(); err != nil {
		return err
	}
	m.lex.classes = classes
	return nil
}

// makeClass turns the counts of a word's labels into its class.
func makeClass(counts []int, o *TrainOptions) (class, bool) {
	total := 0
	var c class
	for l, n := range counts {
		if n > 0 {
			total += n
			c.labels = append(c.labels, uint8(l))
		}
	}
	if total < o.ClassMin {
		return class{}, false
	}
	slices.SortStableFunc(c.labels, func(a, b uint8) int { return counts[b] - counts[a] })
	c.closed = total >= o.ClosedMin
	if !c.closed && len(c.labels) > 4 {
		c.labels = c.labels[:4]
	}
	return c, true
}

func (e entries) addList(which int, list map[string]string) error {
	ids := map[string]uint16{}
	for _, name := range sortedValues(list) {
		ids[name] = uint16(len(ids) + 1)
		if len(ids) == 1<<16-1 {
			return fmt.Errorf("a word list of more than %d classes", len(ids)-1)
		}
	}
	words := make([]string, 0, len(list))
	for w := range list {
		words = append(words, w)
	}
	sort.Strings(words)
	plain := &lexicon{}
	for _, s := range words {
		var w word
		plain.analyse(s, &w)
		entry := e[max(w.low, 1)]
		if entry.lex[which] == 0 {
			entry.lex[which] = ids[list[s]]
			e[max(w.low, 1)] = entry
		}
	}
	return nil
}

func sortedKeys(m map[uint32][]int) []uint32 {
	keys := make([]uint32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func sortedValues(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// trainTags trains the weights that choose tags.
func (m *model) trainTags(lessons []lesson, o *TrainOptions) []row {
	counts := map[uint32]int32{}
	var buf [maxFeatures]uint32
	for _, l := range lessons {
		t1, t2 := uint32(edgeLabel), uint32(edgeLabel)
		for i := range l.words {
			for _, key := range historyFeatures(staticFeatures(buf[:0], l.words, i), l.words, i, t1, t2) {
				counts[key]++
			}
			t1, t2 = uint32(l.gold[i]), t1
		}
	}
	sums := map[uint32][]weightOf{}
	for voter := range o.Voters {
		p := newPerceptron(counts, int32(o.MinFeature), float32(o.Margin))
		for i := range lessons {
			l := &lessons[i]
			l.static = make([][]int32, len(l.words))
			for j := range l.words {
				l.static[j] = p.features(nil, staticFeatures(buf[:0], l.words, j))
			}
		}
		for epoch := range o.Epochs {
			wrong := 0
			for _, i := range shuffled(len(lessons), uint64(1000*voter+epoch+1)) {
				wrong += m.study(p, &lessons[i])
			}
			o.Log("voter %d epoch %d: %d wrong", voter+1, epoch+1, wrong)
		}
		p.addAverage(sums)
	}
	return quantizeSums(sums, o.Unit*float64(o.Voters))
}

// study tags one sentence as decode does, and learns from each decision.
func (m *model) study(p *perceptron, l *lesson) (wrong int) {
	var buf [maxFeatures]uint32
	var scores [maxLabels]float32
	var ids []int32
	all := make([]uint8, len(m.labels))
	for i := range all {
		all[i] = uint8(i)
	}
	t1, t2 := uint32(edgeLabel), uint32(edgeLabel)
	for i := range l.words {
		c := &m.lex.classes[l.words[i].class]
		var guess uint8
		if c.closed && len(c.labels) == 1 {
			guess = c.labels[0]
		} else {
			ids = append(ids[:0], l.static[i]...)
			ids = p.features(ids, historyFeatures(buf[:0], l.words, i, t1, t2))
			clear(scores[:])
			p.score(ids, scores[:])
			candidates := all
			if c.closed {
				candidates = c.labels
			}
			guess = p.learn(ids, l.gold[i], candidates, scores[:])
		}
		if guess != l.gold[i] {
			wrong++
		}
		t1, t2 = uint32(guess), t1
	}
	return wrong
}

func quantizeSums(sums map[uint32][]weightOf, unit float64) []row {
	keys := make([]uint32, 0, len(sums))
	for k := range sums {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	values := make([][]weightOf, len(keys))
	for i, k := range keys {
		values[i] = sums[k]
	}
	return quantize(keys, values, unit)
}
