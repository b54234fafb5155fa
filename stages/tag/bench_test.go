package tag

import (
	"bytes"
	"fmt"
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
	var doc Document
	cut := func() {
		doc.reset(text)
		tg.m.piece(&doc, 0, piece{end: len(text)}, gapParagraph)
	}
	cut()
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	n := 0
	for b.Loop() {
		cut()
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

// BenchmarkHostile measures runs that rules might read again and again. Its
// time for a byte must not depend on the length.
func BenchmarkHostile(b *testing.B) {
	for name, unit := range hostileUnits {
		for _, size := range []int{256 << 10, 512 << 10} {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				text := strings.Repeat(unit, size/len(unit))
				tg := tagger(b, "en")
				var doc Document
				for b.Loop() {
					tg.TagInto(&doc, text)
					for _, s := range doc.Sentences {
						NounPhrases(s)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(text)), "ns/byte")
			})
		}
	}
}
