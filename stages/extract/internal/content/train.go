package content

import (
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/stages/extract/internal/forest"
)

// TrainOptions say how a model is trained.
type TrainOptions struct {
	Folds  int
	Trees  int
	Leaves int
	Rows   float64
	More   int // forests of the second look that are asked in the accurate mode besides
	Report io.Writer
	Pages  io.Writer // gets a line of figures for each page, if not nil
}

// Train trains a model. Every part of it is first trained once for each fold of
// the sites without that fold, so that the parts behind learn from what those
// before say of pages that they have not seen; and what all say of pages that
// they have not seen is the quality that Report gets.
func Train(samples []*Sample, o TrainOptions) *Model {
	t := &training{samples: samples, TrainOptions: o, model: new(Model), began: time.Now()}
	t.prepare()
	t.trainPages()
	t.trainLinear()
	t.trainForests()
	return t.model
}

type training struct {
	TrainOptions
	samples []*Sample
	model   *Model
	began   time.Time
}

func (t *training) printf(format string, args ...any) {
	if t.Report != nil {
		fmt.Fprintf(t.Report, "[%v] ", time.Since(t.began).Round(time.Second))
		fmt.Fprintf(t.Report, format, args...)
	}
}

func (s *Sample) fold(folds int) int {
	h := fnv.New32a()
	io.WriteString(h, s.Site)
	return int(h.Sum32()>>7) % folds
}

func (t *training) prepare() {
	var copies []*Sample
	for i, s := range t.samples {
		s.label()
		if c := s.cutDown(uint64(i)); c != nil {
			c.label()
			for j := range c.weights {
				c.weights[j] *= copyWeight
			}
			copies = append(copies, c)
		}
	}
	t.samples = append(t.samples, copies...)
	n := 0
	of := make(map[PageType][2]float64)
	for _, s := range t.samples {
		n += len(s.blocks)
		keep := make([]bool, len(s.labels))
		for i, y := range s.labels {
			keep[i] = y >= .5
		}
		f, _, _ := s.f1(keep)
		s.limit = f
		for _, k := range []PageType{"", s.Type, "copy"} {
			if s.copy != (k == "copy") {
				continue
			}
			of[k] = [2]float64{of[k][0] + f, of[k][1] + 1}
		}
		s.tokens = make([][bags][]uint32, len(s.blocks))
		for i := range s.blocks {
			s.tokens[i] = s.Page.linearTokens(i, [bags][]uint32{})
		}
	}
	line := fmt.Sprintf("%d pages, %d blocks; F1 of the labels %.4f", len(t.samples), n, of[""][0]/of[""][1])
	for _, k := range append(PageTypes, "copy") {
		line += fmt.Sprintf(" %s %.3f", k, of[k][0]/max(1, of[k][1]))
	}
	t.printf("%s\n", line)
}

// withoutFold calls train for each fold and use for the samples of that fold;
// then train for all.
func (t *training) withoutFolds(train func([]*Sample), use func(*Sample)) {
	for k := range t.Folds {
		var rest, held []*Sample
		for _, s := range t.samples {
			if s.fold(t.Folds) == k {
				held = append(held, s)
			} else {
				rest = append(rest, s)
			}
		}
		train(rest)
		for _, s := range held {
			use(s)
		}
	}
	train(t.samples)
}

// Sizes of the linear models, in weights.
const (
	pageWeights  = 1 << 12
	blockWeights = 1 << 14
	leastSites   = 3 // that a name must be seen on to count
)

func (t *training) trainPages() {
	m := t.model
	t.withoutFolds(
		func(samples []*Sample) { m.page = trainPageLinear(samples) },
		func(s *Sample) { s.pageScores = m.pageScores(s.Page) })
	right := make(map[PageType]int)
	all := make(map[PageType]int)
	t.withoutFolds(
		func(samples []*Sample) { m.typed = trainTypes(samples) },
		func(s *Sample) {
			var v Verdict
			vector := s.Page.typeVector(s.pageScores)
			sum := float32(0)
			best := 0
			for k := range v.Types {
				v.Types[k] = forest.Probability(m.typed[k].LogOdds(vector))
				sum += v.Types[k]
				if v.Types[k] > v.Types[best] {
					best = k
				}
			}
			for k := range v.Types {
				v.Types[k] /= sum
			}
			s.typeScores = v.Types
			if s.copy {
				return
			}
			all[s.Type]++
			all[""]++
			if PageTypes[best] == s.Type {
				right[s.Type]++
				right[""]++
			}
		})
	line := fmt.Sprintf("types: %.3f right", float64(right[""])/float64(all[""]))
	for _, k := range PageTypes {
		line += fmt.Sprintf(", %s %.2f", k, float64(right[k])/float64(all[k]))
	}
	t.printf("%s\n", line)
}

func trainTypes(samples []*Sample) (f [types]*forest.Forest) {
	samples = originals(samples)
	vectors := make([][]float32, len(samples))
	weights := make([]float32, len(samples))
	for i, s := range samples {
		vectors[i] = s.Page.typeVector(s.pageScores)
		weights[i] = 1
	}
	table := forest.NewTable(len(samples), len(vectors[0]), vectors)
	for i, v := range vectors {
		table.Set(i, v)
	}
	for k := range f {
		targets := make([]float32, len(samples))
		for i, s := range samples {
			if s.Type == PageTypes[k] {
				targets[i] = 1
			}
		}
		f[k] = forest.Train(table, targets, weights, forest.Options{Trees: 80, Leaves: 6, Rate: .08, Rows: .7, Columns: .5, Weight: 1.5, L2: 2, Seed: uint64(k)})
	}
	return f
}

// trainPageLinear trains one model for each type, by logistic regression with
// AdaGrad.
func trainPageLinear(samples []*Sample) (out [types]linear) {
	samples = originals(samples)
	allowed := sitesOf(samples, pageWeights, func(s *Sample, do func(uint32)) {
		for _, t := range s.Page.facts.tokens {
			do(t)
		}
	})
	for k := range out {
		l := newRegression(pageWeights, allowed, .15, 1e-4)
		r := rand.New(rand.NewPCG(7, uint64(k)))
		for range 6 {
			for _, i := range r.Perm(len(samples)) {
				s := samples[i]
				var y float32
				if s.Type == PageTypes[k] {
					y = 1
				}
				l.learn([][]uint32{s.Page.facts.tokens}, y, 1)
			}
		}
		out[k] = quantised(l.weights)
	}
	return out
}

func (t *training) trainLinear() {
	m := t.model
	t.withoutFolds(
		func(samples []*Sample) { m.block = trainBlockLinear(samples) },
		func(s *Sample) {
			s.linear = make([][linears]float32, len(s.blocks))
			for i, tokens := range s.tokens {
				s.linear[i] = m.linearScores(tokens)
			}
		})
}

func trainBlockLinear(samples []*Sample) (out [linears]linear) {
	var others []*Sample
	for _, s := range samples {
		if s.Type != Article {
			others = append(others, s)
		}
	}
	ofAll, ofOthers := trainBags(samples), trainBags(others)
	copy(out[:bags], ofAll[:])
	copy(out[bags:], ofOthers[:])
	return out
}

func trainBags(samples []*Sample) (out [bags]linear) {
	var allowed []bool
	for k := range out {
		allowed = append(allowed, sitesOf(samples, blockWeights, func(s *Sample, do func(uint32)) {
			for i := range s.tokens {
				for _, t := range s.tokens[i][k] {
					do(t)
				}
			}
		})...)
	}
	l := newRegression(bags*blockWeights, allowed, .05, 2e-5)
	r := rand.New(rand.NewPCG(11, 0))
	for range 3 {
		for _, i := range r.Perm(len(samples)) {
			s := samples[i]
			for j := range s.blocks {
				l.learn(s.tokens[j][:], s.labels[j], s.weights[j])
			}
		}
	}
	for k := range out {
		out[k] = quantised(l.weights[k*blockWeights : (k+1)*blockWeights])
	}
	return out
}

// sitesOf returns which buckets are seen on enough sites.
func sitesOf(samples []*Sample, size int, each func(*Sample, func(uint32))) []bool {
	last := make([]string, size)
	count := make([]int, size)
	ordered := slices.Clone(samples)
	slices.SortStableFunc(ordered, func(a, b *Sample) int {
		switch {
		case a.Site < b.Site:
			return -1
		case a.Site > b.Site:
			return 1
		}
		return 0
	})
	for _, s := range ordered {
		each(s, func(t uint32) {
			b := bucket(t) & uint32(size-1)
			if last[b] != s.Site {
				last[b] = s.Site
				count[b]++
			}
		})
	}
	allowed := make([]bool, size)
	for i, n := range count {
		allowed[i] = n >= leastSites
	}
	return allowed
}

// A regression is a logistic regression over bags of hashed names, in as many
// tables of one size as there are bags.
type regression struct {
	weights, sums []float32
	allowed       []bool
	bias, biasSum float32
	rate, decay   float32
}

func newRegression(size int, allowed []bool, rate, decay float32) *regression {
	return &regression{weights: make([]float32, size), sums: make([]float32, size), allowed: allowed, rate: rate, decay: decay}
}

func (l *regression) learn(bags [][]uint32, y, weight float32) {
	size := uint32(len(l.weights) / len(bags))
	z := l.bias
	for k, bag := range bags {
		for _, t := range bag {
			z += l.weights[uint32(k)*size+bucket(t)&(size-1)]
		}
	}
	g := (forest.Probability(z) - y) * weight
	l.biasSum += g * g
	l.bias -= l.rate * g / (1e-3 + sqrt(l.biasSum))
	for k, bag := range bags {
		for _, t := range bag {
			b := uint32(k)*size + bucket(t)&(size-1)
			if !l.allowed[b] {
				continue
			}
			d := g + l.decay*l.weights[b]
			l.sums[b] += d * d
			l.weights[b] -= l.rate * d / (.3 + sqrt(l.sums[b]))
		}
	}
}

func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

func (t *training) trainForests() {
	m := t.model
	for _, s := range t.samples {
		s.firstVectors()
		s.tokens = nil
	}
	t.withoutFolds(
		func(samples []*Sample) { m.first = t.trainForest(samples, 1) },
		func(s *Sample) { s.first = probabilities(m.first, s.vectors); s.last = s.first })
	for _, s := range t.samples {
		s.setThreshold()
	}
	t.score("first look")
	for _, s := range t.samples {
		c := newContext(s.Page, s.first)
		for i := range s.vectors {
			s.vectors[i] = c.vector(s.vectors[i], i)
		}
	}
	t.withoutFolds(
		func(samples []*Sample) { m.second = t.trainForest(samples, 2) },
		func(s *Sample) {
			s.second = probabilities(m.second, s.vectors)
			s.last = mean(s.first, s.second)
			s.setThreshold()
		})
	t.score("both looks")
	t.trainChooser()
	t.score("chosen")
	for k := range t.More {
		m.more = append(m.more, nil)
		t.withoutFolds(
			func(samples []*Sample) { m.more[k] = t.trainForest(samples, uint64(3+k)) },
			func(s *Sample) { s.more = append(s.more, probabilities(m.more[k], s.vectors)) })
	}
	for _, s := range t.samples {
		s.last = mean(append(s.more, s.first, s.second)...)
		s.setThreshold()
	}
	t.score("many looks")
	for _, s := range t.samples {
		s.last = s.first
		s.setThreshold()
	}
	t.score("first look, chosen")
}

// trainChooser trains the forest that chooses among thresholds: it learns the
// F1 that each choice has.
func (t *training) trainChooser() {
	m := t.model
	t.withoutFolds(func(samples []*Sample) {
		var rows [][]float32
		var targets, weights []float32
		for _, s := range samples {
			if len(s.last) == 0 || !isArticle(s.typeScores) {
				continue
			}
			likely := s.Page.likely(s.last, s.typeScores)
			for _, c := range s.Page.choices(likely, s.typeScores) {
				f, _, _ := s.f1(s.Page.over(likely, c.threshold))
				rows = append(rows, c.features)
				targets = append(targets, float32(f))
				weight := float32(1)
				if s.copy {
					weight = copyWeight
				}
				weights = append(weights, weight)
			}
		}
		table := forest.NewTable(len(rows), len(rows[0]), rows)
		for i, r := range rows {
			table.Set(i, r)
		}
		m.chooser = forest.Train(table, targets, weights, forest.Options{Trees: 300, Leaves: 6, Rate: .05, Rows: .6, Columns: .5, Weight: 10, L2: 5, Seed: 5})
	}, func(s *Sample) {
		s.chooser = m.chooser
		s.setThreshold()
	})
}

// setThreshold chooses by a forest that has not seen the page, if there is one
// yet.
func (s *Sample) setThreshold() {
	if len(s.last) > 0 {
		m := Model{chooser: s.chooser}
		s.threshold = m.threshold(s.Page, s.Page.likely(s.last, s.typeScores), s.typeScores)
	}
}

// copyWeight is how much a block of a copy that is cut down counts.
const copyWeight = .5

// blocksPerPage bounds the blocks of a page that a forest is trained on. Of
// longer pages it gets a random part, which counts for the whole.
const blocksPerPage = 150

func (t *training) trainForest(samples []*Sample, seed uint64) *forest.Forest {
	r := rand.New(rand.NewPCG(seed, 17))
	var rows [][]float32
	var targets, weights []float32
	for _, s := range samples {
		n := len(s.vectors)
		part := float32(n) / float32(min(n, blocksPerPage))
		for i, v := range s.vectors {
			if r.Float32()*part < 1 {
				rows = append(rows, v)
				targets = append(targets, s.labels[i])
				weights = append(weights, min(40, s.weights[i]*part))
			}
		}
	}
	var sample [][]float32
	for i := 0; i < len(rows); i += 5 {
		sample = append(sample, rows[i])
	}
	table := forest.NewTable(len(rows), len(rows[0]), sample)
	for i, v := range rows {
		table.Set(i, v)
	}
	return forest.Train(table, targets, weights, forest.Options{
		Trees: t.Trees, Leaves: t.Leaves, Rate: 16 / float64(t.Trees), Rows: t.Rows, Columns: .3, Weight: 40, L2: 8, Seed: seed,
	})
}

// score reports the F1 of the last look on pages not trained on.
func (t *training) score(name string) {
	sum := make(map[PageType][4]float64)
	empty := 0
	for _, s := range t.samples {
		keep := s.Page.over(s.Page.likely(s.last, s.typeScores), s.threshold)
		f, p, r := s.f1(keep)
		if t.Pages != nil {
			fmt.Fprintf(t.Pages, "%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\n", name, s.Name, s.Type, f, p, r, s.limit)
		}
		if !slices.Contains(keep, true) && len(keep) > 0 {
			empty++
		}
		for _, k := range []PageType{"", s.Type, "copy"} {
			if s.copy != (k == "copy") {
				continue
			}
			x := sum[k]
			sum[k] = [4]float64{x[0] + f, x[1] + p, x[2] + r, x[3] + 1}
		}
	}
	all := sum[""]
	line := fmt.Sprintf("%s: F1 %.4f precision %.4f recall %.4f, %d empty;", name, all[0]/all[3], all[1]/all[3], all[2]/all[3], empty)
	for _, k := range append(PageTypes, "copy") {
		if x := sum[k]; x[3] > 0 {
			line += fmt.Sprintf(" %s %.3f", k, x[0]/x[3])
		}
	}
	t.printf("%s\n", line)
}

// firstVectors computes the features of the first look, with room for those of
// the second.
func (s *Sample) firstVectors() {
	page := append(s.Page.pageVector(), s.typeScores[:]...)
	s.vectors = make([]vector, len(s.Page.Blocks))
	var at scan
	size := 0
	for i := range s.vectors {
		s.vectors[i] = s.Page.blockVector(make(vector, 0, size), i, &at, page, s.linear[i])
		size = len(s.vectors[i]) + contextSize
		at.pass(s.Page, &s.Page.Blocks[i])
	}
}

func originals(samples []*Sample) (out []*Sample) {
	for _, s := range samples {
		if !s.copy {
			out = append(out, s)
		}
	}
	return out
}
