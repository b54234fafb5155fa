package lang

import (
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
)

// A Corpus is what is known of a language for training: its words with how often
// they occur, and sentences. Either may be missing.
type Corpus struct {
	Code      string // ISO 639-1
	Words     []string
	Counts    []int
	Sentences []string
	// Share is the share of texts that are in the language, as a weight against
	// the others of its script. 0 means 1.
	Share float64
}

// TrainOptions are the settings of [Train]. Zero fields mean the defaults given.
type TrainOptions struct {
	Bits  uint   // features are hashed to so many bits; default 16 for Latin, 14 for other scripts
	Steps int    // samples of each language; default 40,000
	Seed  uint64 // of the order and the choice of samples
}

// Train trains the models for all scripts and writes them. The same input gives
// the same bytes. A model is a multinomial logistic regression, learned by AdaGrad
// (Duchi, Hazan and Singer, 2011) from samples of one to twelve words: words drawn
// from the list by how often they occur, or such that follow each other in a
// sentence.
func Train(w io.Writer, corpora []Corpus, options *TrainOptions) error {
	var opts TrainOptions
	if options != nil {
		opts = *options
	}
	if opts.Steps == 0 {
		opts.Steps = 40_000
	}
	z, err := flate.NewWriter(w, flate.BestCompression)
	if err != nil {
		return err
	}
	for s := latin; s <= modelled; s++ {
		var of []*sampler
		for _, c := range corpora {
			if sp := newSampler(c, s); sp != nil {
				of = append(of, sp)
			}
		}
		if len(of) == 0 {
			return fmt.Errorf("lang: train: no corpus is in script %d", s)
		}
		bits := opts.Bits
		if bits == 0 {
			bits = 14
			if s == latin {
				bits = 16
			}
		}
		if _, err := z.Write(train(of, s, bits, opts)); err != nil {
			return err
		}
	}
	return z.Close()
}

// A sampler draws samples of one language.
type sampler struct {
	code      string
	share     float64
	words     []string
	sums      []float64 // of the counts of the words up to each
	sentences [][]string
}

// newSampler returns nil if a corpus is not mainly in the script.
func newSampler(c Corpus, s script) *sampler {
	sp := &sampler{code: c.Code, share: c.Share}
	sum := 0.0
	for i, w := range c.Words {
		if scriptOfText([]string{w}) != s {
			continue
		}
		sum += math.Pow(float64(c.Counts[i]), 0.75) // rare words count more than they occur
		sp.words, sp.sums = append(sp.words, w), append(sp.sums, sum)
	}
	for _, line := range c.Sentences {
		if scriptOfText([]string{line}) == s {
			sp.sentences = append(sp.sentences, wordsOf(line))
		}
	}
	if 2*len(sp.words) < len(c.Words) || 2*len(sp.sentences) < len(c.Sentences) || len(sp.words)+len(sp.sentences) == 0 {
		return nil
	}
	return sp
}

func wordsOf(line string) []string {
	var words []string
	start := -1
	for i, r := range line {
		if scriptOf(r) == none && r < 0x300 {
			if start >= 0 {
				words = append(words, line[start:i])
			}
			start = -1
		} else if start < 0 {
			start = i
		}
	}
	if start >= 0 {
		words = append(words, line[start:])
	}
	return words
}

// draw returns a sample of some words.
func (sp *sampler) draw(r *rand.Rand) []string {
	n := 1 + r.IntN(4)
	if r.IntN(3) == 0 {
		n += r.IntN(8)
	}
	if len(sp.words) == 0 || len(sp.sentences) > 0 && r.IntN(2) == 0 {
		s := sp.sentences[r.IntN(len(sp.sentences))]
		if len(s) <= n {
			return s
		}
		from := r.IntN(len(s) - n)
		return s[from : from+n]
	}
	out := make([]string, n)
	for i := range out {
		at, _ := slices.BinarySearch(sp.sums, r.Float64()*sp.sums[len(sp.sums)-1])
		out[i] = sp.words[min(at, len(sp.words)-1)]
	}
	return out
}

// train returns the model of a script in its written form.
func train(of []*sampler, s script, bits uint, opts TrainOptions) []byte {
	n := len(of)
	weights, squares := make([]float32, n<<bits), make([]float32, n<<bits)
	bias, biasSquares := make([]float64, n), make([]float64, n)
	r := rand.New(rand.NewPCG(opts.Seed, uint64(s)))
	scores, gradient := make([]float64, n), make([]float64, n)
	var found []uint32
	const rate, decay = 0.3, 1e-6
	for range opts.Steps * n {
		right := r.IntN(n)
		found = found[:0]
		for _, w := range of[right].draw(r) {
			features(w, s, bits, func(f uint32) { found = append(found, f) })
		}
		if len(found) == 0 {
			continue
		}
		copy(scores, bias)
		for _, f := range found {
			for i, w := range weights[int(f)*n:][:n] {
				scores[i] += float64(w)
			}
		}
		softmax(scores)
		copy(gradient, scores)
		gradient[right]--
		if gradient[right] > -0.01 {
			continue // right, and sure of it
		}
		for i, g := range gradient {
			biasSquares[i] += g * g
			bias[i] -= rate * g / math.Sqrt(biasSquares[i]+1)
		}
		for _, f := range found {
			row, sq := weights[int(f)*n:][:n], squares[int(f)*n:][:n]
			for i, g := range gradient {
				if g > 1e-3 || g < -1e-3 {
					sq[i] += float32(g * g)
					row[i] -= float32(rate*g/math.Sqrt(float64(sq[i])+1)) + decay*row[i]
				}
			}
		}
	}
	return encode(of, weights, bias, bits)
}

func softmax(scores []float64) {
	most, sum := slices.Max(scores), 0.0
	for i, v := range scores {
		scores[i] = math.Exp(v - most)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}

// encode is the inverse of readModel.
func encode(of []*sampler, weights []float32, bias []float64, bits uint) []byte {
	n := len(of)
	const limit = 4.0 // of a weight; larger ones are rare
	scale := limit / 127
	out := []byte{byte(bits)}
	out = binary.LittleEndian.AppendUint64(out, math.Float64bits(scale))
	out = append(out, byte(n))
	for i, sp := range of {
		b := bias[i]
		if sp.share > 0 {
			b += math.Log(sp.share)
		}
		out = append(out, sp.code...)
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(b))
	}
	for i := range n {
		for f := range 1 << bits {
			w := math.Round(float64(weights[f*n+i]) / scale)
			out = append(out, byte(int8(max(-127, min(127, w)))))
		}
	}
	return out
}
