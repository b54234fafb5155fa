package tag

import (
	"bytes"
	"strings"
	"testing"
)

// benchText is English text with the tokens of some 100 kB.
func benchText() string { return strings.Repeat(story, 200) }

func BenchmarkTag(b *testing.B) {
	for _, lang := range Languages() {
		b.Run(lang, func(b *testing.B) {
			text := benchText()
			tg := tagger(b, lang)
			var doc Document
			tg.TagInto(&doc, text)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			n := 0
			for b.Loop() {
				tg.TagInto(&doc, text)
				n += len(doc.tokens)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// BenchmarkTokens measures tokens and sentences without tags.
func BenchmarkTokens(b *testing.B) {
	text := benchText()
	tg := tagger(b, "en")
	doc := Document{Text: text}
	tg.m.segment(&doc)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		tg.m.segment(&doc)
		n += len(doc.tokens)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tokens/s")
}

func BenchmarkLoad(b *testing.B) {
	for _, lang := range Languages() {
		b.Run(lang, func(b *testing.B) {
			data, err := modelFiles.ReadFile("models/" + lang + ".model")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Load(bytes.NewReader(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
