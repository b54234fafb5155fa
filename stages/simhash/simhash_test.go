package simhash_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/stages/simhash"
)

// words returns n words of a vocabulary.
func words(rng *rand.Rand, n int) []string {
	w := make([]string, n)
	for i := range w {
		w[i] = fmt.Sprintf("word%d", rng.IntN(3000))
	}
	return w
}

// Texts of which one word in six hundred differs are near, those that share nothing are
// far, and what is around the words makes no difference.
func TestOf(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	near, far := 0, 0
	const texts = 200
	for range texts {
		text := words(rng, 600)
		h, n := simhash.Of(strings.Join(text, " "))
		if n != 600 {
			t.Fatalf("%d words, want 600", n)
		}
		if again, _ := simhash.Of("\n" + strings.ToUpper(strings.Join(text, ", ")) + "."); again != h {
			t.Errorf("%s, and %s with other spaces and letters", h, again)
		}
		changed := append([]string(nil), text...)
		changed[rng.IntN(len(changed))] = "otherwise"
		if c, _ := simhash.Of(strings.Join(changed, " ")); simhash.Distance(h, c) <= simhash.MaxDistance {
			near++
		}
		if o, _ := simhash.Of(strings.Join(words(rng, 600), " ")); simhash.Distance(h, o) <= 12 {
			far++
		}
	}
	if near < texts*3/4 || far > 0 {
		t.Errorf("%d of %d changed texts are near, and %d others", near, texts, far)
	}
}

func TestScripts(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, " \n-": 0, "One": 1, "one two": 2, "naïve café": 2, "don't": 2, "日本語": 3, "x日y": 3, "สวัสดี": 6, "नमस्ते दुनिया": 2, "3.14": 2,
	} {
		h, n := simhash.Of(text)
		if n != want {
			t.Errorf("%q has %d words, want %d", text, n, want)
		}
		if (h == 0) != (n == 0) {
			t.Errorf("%q: %s", text, h)
		}
	}
}

// Whatever three bits differ, one band is the same.
func TestBands(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 1000 {
		a := simhash.Hash(rng.Uint64())
		b := a
		for range simhash.MaxDistance {
			b ^= 1 << rng.IntN(64)
		}
		same := 0
		for n := range simhash.Bands {
			if a.Band(n) == b.Band(n) {
				same++
			}
		}
		if same == 0 || simhash.Distance(a, b) > simhash.MaxDistance {
			t.Errorf("%s and %s have no band in common", a, b)
		}
	}
}

func BenchmarkOf(b *testing.B) {
	text := strings.Join(words(rand.New(rand.NewPCG(5, 6)), 500), " ")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		simhash.Of(text)
	}
}
