package simhash_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/stages/simhash"
)

// TestEditsOfPages takes the texts of the pages that extraction is tested with, puts in,
// takes out and replaces some words, and counts how many are still found: near are those
// with very few edits, and no two pages that somebody wrote apart are.
func TestEditsOfPages(t *testing.T) {
	names, err := filepath.Glob("../extract/testdata/pages/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	var texts [][]string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var modes map[string]struct{ Text string }
		if err := json.Unmarshal(b, &modes); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if w := strings.Fields(modes["accurate"].Text); len(w) >= 50 {
			texts = append(texts, w)
		}
	}
	rng := rand.New(rand.NewPCG(11, 12))
	of := func(words []string) simhash.Hash {
		h, _ := simhash.Of(strings.Join(words, " "))
		return h
	}
	pairs, mistaken := 0, 0
	for i := range texts {
		for j := range i {
			if slices.Equal(texts[i][:10], texts[j][:10]) {
				continue // two of the pages have the same article
			}
			pairs++
			if simhash.Distance(of(texts[i]), of(texts[j])) <= simhash.MaxDistance {
				mistaken++
			}
		}
	}
	if mistaken > 0 {
		t.Errorf("%d of %d pairs of different pages are near", mistaken, pairs)
	}
	t.Logf("%d pages, %d pairs of different ones: %d near", len(texts), pairs, mistaken)
	// Most of the pages are short. Some of them together are as long as an article.
	for i := range texts {
		for len(texts[i]) < 600 {
			texts[i] = append(slices.Clip(texts[i]), texts[rng.IntN(len(texts))]...)
		}
		texts[i] = texts[i][:600]
	}
	const tries = 10 // of each page
	for _, edits := range []int{1, 2, 3, 6, 12, 30} {
		found := 0
		for _, words := range texts {
			was := of(words)
			for range tries {
				edited := append([]string(nil), words...)
				for range edits {
					i, other := rng.IntN(len(edited)), texts[rng.IntN(len(texts))]
					word := other[rng.IntN(len(other))]
					switch rng.IntN(3) {
					case 0:
						edited[i] = word
					case 1:
						edited = append(edited[:i], edited[i+1:]...)
					default:
						edited = append(edited[:i], append([]string{word}, edited[i:]...)...)
					}
				}
				if simhash.Distance(was, of(edited)) <= simhash.MaxDistance {
					found++
				}
			}
		}
		share := float64(found) / float64(len(texts)*tries)
		t.Logf("%d of 600 words edited: %.2f found", edits, share)
		if edits == 1 && share < 0.8 || edits == 30 && share > 0.2 {
			t.Errorf("with %d edits %.2f are near", edits, share)
		}
	}
}
