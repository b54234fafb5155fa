package crawler

import (
	"reflect"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/stages/tag"
)

// A long text is tagged in pieces, and comes out as if it were not.
func TestLongTextIsTaggedInPieces(t *testing.T) {
	const paragraph = "We're going to New York, said Mary Ann. The old house isn't for sale; it costs 3.5 million, & more…\n\n"
	text := strings.Repeat(paragraph, tagAtOnce/len(paragraph)+20)
	tagger, _ := tag.For("en")
	whole := &tagging{text: text, tags: Tags{Language: "en", Tagged: true}}
	whole.add(tagger.Tag(text))
	whole.tags.Phrases, whole.tags.Entities = sorted(whole.phrases), sorted(whole.entities)
	if got := TagText(text, "en"); !reflect.DeepEqual(got, whole.tags) {
		t.Errorf("%d sentences, %d phrases, %d entities; want %d, %d, %d", len(got.Sentences), len(got.Phrases), len(got.Entities),
			len(whole.tags.Sentences), len(whole.tags.Phrases), len(whole.tags.Entities))
	}
}

func TestBeginning(t *testing.T) {
	for _, tc := range []struct {
		text   string
		most   int64
		want   string
		tokens int64
	}{
		{"", 1, "", 0}, {"one two", 2, "one two", 2}, {"one two three", 2, "one two", 2}, {"a.b.c", 3, "a.b", 3},
		{"\u4e00\u4e01\u4e02", 2, "\u4e00\u4e01", 2}, {"x  y", 1, "x ", 1},
	} {
		if got, n := beginning(tc.text, tc.most); got != tc.want || n != tc.tokens {
			t.Errorf("beginning(%q, %d) = %q, %d; want %q, %d", tc.text, tc.most, got, n, tc.want, tc.tokens)
		}
	}
}
