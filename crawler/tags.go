package crawler

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages/tag"
)

// tag tags the words of a page's text.
func (s *docStage) tag(ctx context.Context, d *Doc, out *pipeline.Out) error {
	share, err := s.v.memory.Tree(ctx, tagsSize(d.Text))
	if err != nil {
		return err
	}
	defer share.Release()
	return tables.Put(out.Tx(), tables.Tags, d.key(), TagText(d.Text, d.Language))
}

// tagsSize is about how many bytes TagText takes: a token may be a single character.
func tagsSize(text string) int64 {
	const token = 80 // with its stored form
	tokens, word := 0, false
	for i := range len(text) {
		c := text[i]
		isWord := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if c > ' ' && (!isWord || !word) && (c < utf8.RuneSelf || utf8.RuneStart(c)) {
			tokens++
		}
		word = isWord
	}
	return int64(len(text)) + token*int64(tokens)
}

// tagAtOnce is the length of a text, in bytes, from which on it is tagged in pieces,
// so that not all of it is there as the tagger has it.
const tagAtOnce = 256 << 10

// TagText tags a text in a language, given by its code.
func TagText(text, language string) Tags {
	tagger, ok := tag.For(language)
	t := &tagging{text: text, tags: Tags{Language: language, Tagged: ok, Sentences: []Sentence{}}}
	if len(text) < tagAtOnce {
		t.add(tagger.Tag(text))
	} else {
		// Neither the text nor add can fail.
		_ = tagger.TagReader(strings.NewReader(text), func(sentences []tag.Sentence) error {
			t.add(sentences)
			return nil
		})
	}
	t.tags.Phrases, t.tags.Entities = sorted(t.phrases), sorted(t.entities)
	return t.tags
}

// tagging collects the tags of a text.
type tagging struct {
	text              string
	tags              Tags
	phrases, entities map[string]int
}

func (t *tagging) add(sentences []tag.Sentence) {
	for _, s := range sentences {
		kept := Sentence{Start: s.Start, End: s.End, Tokens: make([]Token, len(s.Tokens))}
		for i, w := range s.Tokens {
			text := t.text[w.Start:w.End]
			if text != w.Text { // the part of a contraction
				text = strings.Clone(w.Text)
			}
			kept.Tokens[i] = Token{text, w.UPOS, w.XPOS, w.Start, w.End}
		}
		t.tags.Sentences = append(t.tags.Sentences, kept)
	}
	if t.tags.Tagged {
		t.phrases = sum(t.phrases, tag.CountNounPhrases(sentences))
		t.entities = sum(t.entities, tag.CountEntities(sentences))
	}
}

// sum adds counts to those of the pieces before.
func sum(all map[string]int, more []tag.PhraseCount) map[string]int {
	if all == nil {
		all = make(map[string]int, len(more))
	}
	for _, p := range more {
		if _, ok := all[p.Text]; !ok {
			p.Text = strings.Clone(p.Text) // which may be of a piece of the text
		}
		all[p.Text] += p.Count
	}
	return all
}

// sorted returns counts, the most frequent first, or nil if there are none.
func sorted(all map[string]int) (counts []Count) {
	for text, n := range all {
		counts = append(counts, Count{text, n})
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(b.Count-a.Count, strings.Compare(a.Text, b.Text))
	})
	return counts
}
