package crawler

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages/tag"
)

// tokenSize is about what a token takes, with its stored form, in bytes.
const tokenSize = 80

// fewTokens is as many as nobody counts.
const fewTokens = 8 << 10

// tag tags the words of a page's text. Of one with more words than the memory for
// large pages holds the beginning is tagged, and a notice says so.
func (s *docStage) tag(ctx context.Context, d *Doc, out *pipeline.Out) error {
	text, tokens := d.Text, int64(len(d.Text))
	if most := s.v.Options.Settings.memory() / 2 / tokenSize; tokens > min(fewTokens, most) {
		text, tokens = beginning(d.Text, most)
	}
	share, err := s.v.memory.Tree(ctx, tokenSize*tokens)
	if err != nil {
		return err
	}
	defer share.Release()
	if len(text) < len(d.Text) {
		err := s.v.notice(out, Notice{NoticeTags, d.URL, fmt.Sprintf("the text of %s has too many words: its first %d of %d bytes are tagged", d.URL, len(text), len(d.Text))})
		if err != nil {
			return err
		}
	}
	tags, err := tagText(ctx, text, d.Language)
	if err != nil {
		return err
	}
	return tables.Put(out.Tx(), tables.Tags, d.key(), tags)
}

// beginning returns as much of a text as has at most so many tokens, and about how
// many these are. A token may be a single character.
func beginning(text string, most int64) (_ string, tokens int64) {
	word, blank := false, 0
	for i := range len(text) {
		c := text[i]
		isWord := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if c <= ' ' {
			blank = i
		} else if (!isWord || !word) && (c < utf8.RuneSelf || utf8.RuneStart(c)) {
			if tokens == most {
				if blank == 0 {
					blank = i
				}
				return text[:blank], tokens
			}
			tokens++
		}
		word = isWord
	}
	return text, tokens
}

// tagAtOnce is the length of a text, in bytes, from which on it is tagged in pieces,
// so that not all of it is there as the tagger has it.
const tagAtOnce = 256 << 10

// TagText tags a text in a language, given by its code.
func TagText(text, language string) Tags {
	tags, _ := tagText(context.Background(), text, language) // which nothing ends
	return tags
}

// tagText is TagText until ctx ends, whose error it returns then.
func tagText(ctx context.Context, text, language string) (Tags, error) {
	tagger, ok := tag.For(language)
	t := &tagging{text: text, tags: Tags{Language: language, Tagged: ok, Sentences: []Sentence{}}}
	if len(text) < tagAtOnce {
		t.add(tagger.Tag(text))
	} else {
		err := tagger.TagReader(strings.NewReader(text), func(sentences []tag.Sentence) error {
			t.add(sentences)
			return ctx.Err()
		})
		if err != nil {
			return Tags{}, err
		}
	}
	t.tags.Phrases, t.tags.Entities = sorted(t.phrases), sorted(t.entities)
	return t.tags, nil
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
