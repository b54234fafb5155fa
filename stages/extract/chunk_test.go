package extract

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestChunksFollowHeadings(t *testing.T) {
	lines := []line{{"Weirs are old.", 0}, {"Uses", 2}, {"They measure water.", 0}, {"Fish", 3}, {"They catch fish.", 0}, {"Kinds", 2}, {"There are many.", 0}}
	got := chunks(lines, 1000, &ChunkOptions{MaxTokens: 20})
	want := []struct {
		text string
		path []string
	}{
		{"Weirs are old.", nil},
		{"Uses\nThey measure water.", []string{"Uses"}},
		{"Fish\nThey catch fish.", []string{"Uses", "Fish"}},
		{"Kinds\nThere are many.", []string{"Kinds"}},
	}
	if len(got) != len(want) {
		t.Fatalf("%d chunks: %+v", len(got), got)
	}
	for i, w := range want {
		if got[i].Text != w.text || !slices.Equal(got[i].Path, w.path) {
			t.Errorf("chunk %d is %+v, want %+v", i, got[i], w)
		}
	}
}

// Whatever the text: each chunk is where it says, none is too large, every word
// is in one, and they overlap by as much as was asked for.
func TestChunksCoverTheText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var lines []line
		for range r.IntN(20) {
			var words []string
			for range 1 + r.IntN(60) {
				words = append(words, []string{"weir", "Wasserbau,", "fish.", "a", "堰堤", strings.Repeat("x", r.IntN(200)+1), "1,5"}[r.IntN(7)])
			}
			l := line{text: strings.Join(words, " ")}
			if r.IntN(5) == 0 {
				l = line{"Heading", 1 + r.IntN(4)}
			}
			lines = append(lines, l)
		}
		var all []string
		for _, l := range lines {
			all = append(all, l.text)
		}
		text := strings.Join(all, "\n")
		o := &ChunkOptions{MaxTokens: 20 + r.IntN(100), Overlap: r.IntN(30) - 5}
		end := 0
		for i, c := range chunks(lines, len(text), o) {
			if text[c.Start:c.End] != c.Text {
				t.Fatalf("chunk %d at %d to %d is %q, not %q", i, c.Start, c.End, text[c.Start:c.End], c.Text)
			}
			if c.Tokens > o.MaxTokens || c.Tokens != CountTokens(c.Text) {
				t.Fatalf("chunk %d has %d tokens, says %d, of %d", i, CountTokens(c.Text), c.Tokens, o.MaxTokens)
			}
			if c.Start > end && strings.TrimSpace(text[end:c.Start]) != "" {
				t.Fatalf("%q is in no chunk", text[end:c.Start])
			}
			if c.Start < end && (o.Overlap < 0 || CountTokens(text[c.Start:end]) > max(o.Overlap, DefaultChunkOverlap)) {
				t.Fatalf("chunk %d repeats %q", i, text[c.Start:end])
			}
			end = c.End
		}
		if strings.TrimSpace(text[end:]) != "" {
			t.Fatalf("%q is in no chunk", text[end:])
		}
	}
}

func TestCountTokens(t *testing.T) {
	for s, want := range map[string]int{"": 0, "weir": 1, "weirs are old.": 5, "堰堤": 2, "a-b": 3} {
		if got := CountTokens(s); got != want {
			t.Errorf("%q has %d tokens, want %d", s, got, want)
		}
	}
}
