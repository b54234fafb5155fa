package tag

import (
	"math/rand/v2"
	"slices"
)

// An example is one decision to learn from. Its features are the numbers of
// feature rows.
//
// perceptron is an averaged perceptron over hashed sparse features: the
// weights of a decision that went wrong, or that was right by less than a
// margin, move by one, and the average over all steps is what counts
// (Collins 2002, "Discriminative training methods for hidden Markov models").
type perceptron struct {
	ids    map[uint32]int32
	keys   []uint32
	rows   [][]trained
	step   int64
	margin float32
}

type trained struct {
	label uint8
	w     float32
	sum   float64
	last  int64
}

func newPerceptron(counts map[uint32]int32, minCount int32, margin float32) *perceptron {
	p := &perceptron{ids: map[uint32]int32{}, margin: margin}
	for key, n := range counts {
		if n >= minCount {
			p.keys = append(p.keys, key)
		}
	}
	slices.Sort(p.keys) // map order must not reach the model
	for i, key := range p.keys {
		p.ids[key] = int32(i)
	}
	p.rows = make([][]trained, len(p.keys))
	return p
}

// features appends the numbers of the known ones among keys.
func (p *perceptron) features(ids []int32, keys []uint32) []int32 {
	for _, key := range keys {
		if id, ok := p.ids[key]; ok {
			ids = append(ids, id)
		}
	}
	return ids
}

func (p *perceptron) score(ids []int32, scores []float32) {
	for _, id := range ids {
		for i := range p.rows[id] {
			t := &p.rows[id][i]
			scores[t.label] += t.w
		}
	}
}

func (p *perceptron) update(ids []int32, label uint8, by float32) {
next:
	for _, id := range ids {
		r := p.rows[id]
		for i := range r {
			if t := &r[i]; t.label == label {
				t.sum += float64(t.w) * float64(p.step-t.last)
				t.last = p.step
				t.w += by
				continue next
			}
		}
		p.rows[id] = append(r, trained{label: label, w: by, last: p.step})
	}
}

// learn makes one step: it updates the weights unless gold leads the other
// candidates by more than the margin.
func (p *perceptron) learn(ids []int32, gold uint8, candidates []uint8, scores []float32) (guess uint8) {
	p.step++
	goldIn := false
	rival, found := uint8(0), false
	for _, l := range candidates {
		if l == gold {
			goldIn = true
			continue
		}
		if !found || scores[l] > scores[rival] {
			rival, found = l, true
		}
	}
	if !found {
		return candidates[0]
	}
	guess = gold
	if !goldIn || scores[rival] >= scores[gold] {
		guess = rival
	}
	if scores[gold]-scores[rival] <= p.margin {
		p.update(ids, gold, 1)
		p.update(ids, rival, -1)
	}
	return guess
}

// addAverage adds the averages of all weights to sums, by feature key.
func (p *perceptron) addAverage(sums map[uint32][]weightOf) {
	if p.step == 0 {
		return
	}
	for i, key := range p.keys {
		for _, t := range p.rows[i] {
			avg := (t.sum + float64(t.w)*float64(p.step-t.last)) / float64(p.step)
			if avg == 0 {
				continue
			}
			s := sums[key]
			j := slices.IndexFunc(s, func(w weightOf) bool { return w.label == t.label })
			if j < 0 {
				sums[key] = append(s, weightOf{t.label, avg})
			} else {
				s[j].weight += avg
			}
		}
	}
}

// shuffled returns the numbers below n in an order that depends on n and seed
// alone.
func shuffled(n int, seed uint64) []int {
	return rand.New(rand.NewPCG(seed, uint64(n))).Perm(n)
}
