package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// readVectors reads up to limit word vectors in the text form of GloVe, one
// word and its numbers on a line, and scales each to length 1.
func readVectors(r io.Reader, limit int) (words []string, vectors [][]float32, err error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for line := 1; sc.Scan() && len(words) < limit; line++ {
		fields := strings.Fields(sc.Text())
		if len(fields) < 2 {
			return nil, nil, fmt.Errorf("line %d: no vector", line)
		}
		v := make([]float32, len(fields)-1)
		for i, f := range fields[1:] {
			x, err := strconv.ParseFloat(f, 32)
			if err != nil {
				return nil, nil, fmt.Errorf("line %d: %w", line, err)
			}
			v[i] = float32(x)
		}
		if len(vectors) > 0 && len(v) != len(vectors[0]) {
			return nil, nil, fmt.Errorf("line %d: %d numbers, %d in the first line", line, len(v), len(vectors[0]))
		}
		normalize(v)
		words, vectors = append(words, fields[0]), append(vectors, v)
	}
	return words, vectors, sc.Err()
}

// cluster groups vectors of length 1 by k-means on their angles and returns
// the group of each. It starts from the k first vectors, which are those of
// the most frequent words, and so gives the same groups each time.
func cluster(vectors [][]float32, k, rounds int) []int {
	k = min(k, len(vectors))
	if k == 0 {
		return nil
	}
	dim := len(vectors[0])
	centers := make([][]float32, k)
	for i := range centers {
		centers[i] = slices.Clone(vectors[i*min(len(vectors)/k, 4)])
	}
	group := make([]int, len(vectors))
	for range rounds {
		for i, v := range vectors {
			best := float32(math.Inf(-1))
			for c, center := range centers {
				if d := dot(v, center); d > best {
					best, group[i] = d, c
				}
			}
		}
		for i := range centers {
			centers[i] = make([]float32, dim)
		}
		for i, v := range vectors {
			for j, x := range v {
				centers[group[i]][j] += x
			}
		}
		for _, center := range centers {
			normalize(center)
		}
	}
	return group
}

func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

func normalize(v []float32) {
	if n := dot(v, v); n > 0 {
		f := float32(1 / math.Sqrt(float64(n)))
		for i := range v {
			v[i] *= f
		}
	}
}

// writeClusters writes a word list for the trainer's -words flag: each word,
// a tab and its group.
func writeClusters(w io.Writer, words []string, group []int) error {
	type member struct {
		word  string
		group int
	}
	members := make([]member, len(words))
	for i := range words {
		members[i] = member{words[i], group[i]}
	}
	slices.SortFunc(members, func(a, b member) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.word, b.word))
	})
	bw := bufio.NewWriter(w)
	for _, m := range members {
		fmt.Fprintf(bw, "%s\tc%d\n", m.word, m.group)
	}
	return bw.Flush()
}
