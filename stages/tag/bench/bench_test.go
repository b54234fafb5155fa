// Package bench compares package tag with github.com/jdkato/prose, version 1,
// in one run on the same text and machine. It is a module of its own, so that
// users of Weir never depend on prose.
//
//	go test -bench . -benchtime 3s
//	WEIR_TREEBANK=dev.conllu.gz go test -run Accuracy -v
package bench

import (
	"compress/gzip"
	"io"
	"os"
	"strings"
	"testing"

	prose "github.com/jdkato/prose/tag"
	"github.com/jdkato/prose/tokenize"

	"github.com/seed-301537d8/weir/stages/tag"
)

const story = `The crawler didn't stop in New York City; it's been running since Sept. 2004.
Ann's friends read about it on http://example.com/news, and they're happy.

"We can't believe it," said Dr. Smith of the U.S. office. He paid $5.50 for 3 well-known books.
`

func text() string { return strings.Repeat(story, 50) }

func BenchmarkRawText(b *testing.B) {
	b.Run("weir", func(b *testing.B) {
		t, ok := tag.For("en")
		if !ok {
			b.Fatal("no model")
		}
		var doc tag.Document
		in := text()
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			t.TagInto(&doc, in)
			for _, s := range doc.Sentences {
				n += len(s.Tokens)
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tokens/s")
	})
	b.Run("prose", func(b *testing.B) {
		t := prose.NewPerceptronTagger()
		sentences, words := tokenize.NewPunktSentenceTokenizer(), tokenize.NewTreebankWordTokenizer()
		in := text()
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			for _, s := range sentences.Tokenize(in) {
				n += len(t.Tag(words.Tokenize(s)))
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tokens/s")
	})
}

func BenchmarkGoldTokens(b *testing.B) {
	t, ok := tag.For("en")
	if !ok {
		b.Fatal("no model")
	}
	var sentences [][]tag.Token
	var words [][]string
	n := 0
	for _, s := range t.Tag(text()) {
		sentences = append(sentences, s.Tokens)
		var forms []string
		for _, w := range s.Tokens {
			forms = append(forms, w.Text)
		}
		words = append(words, forms)
		n += len(forms)
	}
	b.Run("weir", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, s := range sentences {
				t.TagTokens(s)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	})
	b.Run("prose", func(b *testing.B) {
		p := prose.NewPerceptronTagger()
		b.ReportAllocs()
		for b.Loop() {
			for _, s := range words {
				p.Tag(s)
			}
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	})
}

// TestAccuracy compares the Penn tags of both with a treebank.
func TestAccuracy(t *testing.T) {
	name := os.Getenv("WEIR_TREEBANK")
	if name == "" {
		name = "../testdata/en.conllu"
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	gold, err := tag.ReadTreebank(r)
	if err != nil {
		t.Fatal(err)
	}
	ours, _ := tag.For("en")
	theirs := prose.NewPerceptronTagger()
	n, right, proseRight := 0, 0, 0
	for _, s := range gold {
		tokens := make([]tag.Token, len(s.Words))
		words := make([]string, len(s.Words))
		for i, w := range s.Words {
			tokens[i].Text, words[i] = w.Form, w.Form
		}
		ours.TagTokens(tokens)
		for i, w := range theirs.Tag(words) {
			if i < len(s.Words) && w.Tag == s.Words[i].XPOS {
				proseRight++
			}
		}
		for i, w := range s.Words {
			n++
			if tokens[i].XPOS == w.XPOS {
				right++
			}
		}
	}
	t.Logf("%d words: weir %.4f, prose %.4f", n, float64(right)/float64(n), float64(proseRight)/float64(n))
	if right < proseRight {
		t.Errorf("weir has %d right, prose %d", right, proseRight)
	}
}
