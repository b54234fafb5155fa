package content

import "github.com/seed-301537d8/weir/stages/extract/internal/forest"

// A choice is a set of blocks that may be the content of a page: those whose
// probability is at least a threshold.
type choice struct {
	threshold float32
	features  vector
}

// thresholds are those that choices are made of.
var thresholds = []float32{.04, .08, .12, .16, .2, .25, .3, .35, .4, .45, .5, .6, .7, .8}

// choices returns the choices there are for a page, with what their F1 can be
// told by.
func (p *Page) choices(probability []float32, types [types]float32) []choice {
	var all, mass, most float64
	var paragraphs int32
	var histogram [10]float64
	for i, x := range probability {
		b := &p.Blocks[i]
		w := weightOf(b)
		all += w
		mass += w * float64(x)
		most = max(most, float64(x))
		paragraphs += b.paragraphWords
		histogram[min(9, int(x*10))] += w
	}
	best := p.bestThreshold(probability)
	var out []choice
	for _, t := range thresholds {
		if float64(t) > most && len(out) > 0 {
			break
		}
		var taken, right, links, running, blocks, runs, low float64
		before := false
		for i, x := range probability {
			in := x >= t
			if in {
				b := &p.Blocks[i]
				w := weightOf(b)
				taken += w
				right += w * float64(x)
				links += float64(b.linkWords)
				running += float64(b.paragraphWords)
				blocks++
				if !before {
					runs++
				}
				if x < t+.15 {
					low += w
				}
			}
			before = in
		}
		var v vector
		v.add(t, t-best, float32(2*right/(taken+mass+1e-9)), float32(right/(taken+1e-9)), float32(right/(mass+1e-9)))
		v.log(int32(taken))
		v.log(int32(mass))
		v.log(int32(all))
		v.add(float32(taken/(all+1)), float32(mass/(all+1)), float32(links/(taken+1)), float32(running/(taken+1)), float32(running/float64(paragraphs+1)), float32(low/(taken+1)))
		v.log(int32(blocks))
		v.add(float32(runs/(blocks+1)), float32(most))
		for _, h := range histogram {
			v.add(float32(h / (all + 1)))
		}
		v.add(types[:]...)
		out = append(out, choice{t, v})
	}
	return out
}

// choose returns the threshold of the choice that a forest expects the most of.
func choose(f *forest.Forest, choices []choice) float32 {
	best, at := float32(-1e9), choices[0].threshold
	for _, c := range choices {
		if x := f.LogOdds(c.features); x > best {
			best, at = x, c.threshold
		}
	}
	return at
}

// A page that has so many words in blocks that are more likely content than not
// needs none that are much less likely: on any page that is a floor for what
// stands in navigation and the like; on an article, if these blocks are also half
// of what is to be expected, one for the threshold.
const (
	enoughWords  = 20
	articleFloor = .5
	frameFloor   = .6
)

func (p *Page) hasEnough(probability []float32) bool {
	var sure int32
	for i, x := range probability {
		if x > .5 {
			sure += p.Blocks[i].words
		}
	}
	return sure >= enoughWords
}

// hasHalf reports whether half of the words of content that are to be expected
// stand in blocks that are more likely content than not.
func (p *Page) hasHalf(probability []float32) bool {
	var sure, all float64
	for i, x := range probability {
		w := float64(x) * float64(p.Blocks[i].words)
		all += w
		if x > .5 {
			sure += w
		}
	}
	return sure*2 >= all
}

// threshold returns the threshold to take blocks at.
func (m *Model) threshold(p *Page, probability []float32, of [types]float32) float32 {
	if m.chooser != nil && isArticle(of) {
		t := choose(m.chooser, p.choices(probability, of))
		if p.hasEnough(probability) && p.hasHalf(probability) {
			t = max(t, articleFloor)
		}
		return t
	}
	t := p.bestThreshold(probability)
	for k, x := range of {
		t += x * thresholdBias[k] * (1 - t)
	}
	return t
}
