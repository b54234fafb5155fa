package forest

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// learnt trains a forest to tell points within a circle.
func learnt(seed uint64) *Forest {
	r := rand.New(rand.NewPCG(seed, 0))
	const rows = 2000
	points := make([][]float32, rows)
	targets, weights := make([]float32, rows), make([]float32, rows)
	for i := range points {
		points[i] = []float32{r.Float32()*2 - 1, r.Float32()*2 - 1, r.Float32()}
		if within(points[i]) {
			targets[i] = 1
		}
		weights[i] = 1
	}
	t := NewTable(rows, 3, points)
	for i, p := range points {
		t.Set(i, p)
	}
	return Train(t, targets, weights, Options{Trees: 40, Leaves: 16, Rate: .3, Rows: .8, Columns: 1, Weight: 2, L2: 1, Seed: seed})
}

func within(p []float32) bool { return p[0]*p[0]+p[1]*p[1] < .5 }

func TestTrain(t *testing.T) {
	f := learnt(1)
	r := rand.New(rand.NewPCG(9, 9))
	right := 0
	for range 1000 {
		p := []float32{r.Float32()*2 - 1, r.Float32()*2 - 1, r.Float32()}
		if (Probability(f.LogOdds(p)) > .5) == within(p) {
			right++
		}
	}
	if right < 950 {
		t.Errorf("%d of 1000 points are told rightly", right)
	}
}

func TestTrainIsDeterministic(t *testing.T) {
	if !bytes.Equal(learnt(3).Append(nil), learnt(3).Append(nil)) {
		t.Error("the same data made another forest")
	}
}

func TestDecode(t *testing.T) {
	f := learnt(2)
	b := f.Append(nil)
	g, rest, err := Decode(append(b, 1, 2, 3))
	if err != nil || len(rest) != 3 {
		t.Fatalf("%d bytes left, %v", len(rest), err)
	}
	for i := range 100 {
		p := []float32{float32(i)/50 - 1, .3, .1}
		if f.LogOdds(p) != g.LogOdds(p) {
			t.Fatalf("%v: %v, decoded %v", p, f.LogOdds(p), g.LogOdds(p))
		}
	}
	if !bytes.Equal(g.Append(nil), b) {
		t.Error("encoded again, it differs")
	}
}

// A forest that is damaged is refused, or can be asked without harm.
func TestDecodeDamaged(t *testing.T) {
	b := learnt(2).Append(nil)
	r := rand.New(rand.NewPCG(5, 5))
	for range 2000 {
		c := bytes.Clone(b[:1+r.IntN(len(b))])
		for range r.IntN(4) {
			c[r.IntN(len(c))] = byte(r.Uint32())
		}
		f, _, err := Decode(c)
		if err != nil {
			continue
		}
		if f.Features() > 0 {
			f.LogOdds(make([]float32, f.Features()))
		}
	}
}
