package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// measureForm measures what becomes of the form of what is taken: whether the
// lines of listings are kept exactly but for blanks at their ends, whether words
// are glued together that stand apart on the page, and whether Markdown has the
// words of the text.
func measureForm(pages []page, every, worst int) {
	var lines, exact, words, glued, differ, n int
	x := &extract.Extractor{Markdown: true}
	for i := 0; i < len(pages); i += every {
		p := pages[i]
		n++
		t := x.HTML(context.Background(), p.html, p.url, "")
		utf8, _ := stages.ToUTF8(p.html, "")
		root, err := html.ParseWithOptions(bytes.NewReader(utf8), html.ParseOptionEnableScripting(false))
		if err != nil {
			continue
		}
		all, kept, lost := listingLines(root, t.Text)
		lines, exact = lines+all, exact+kept
		for _, l := range lost {
			if worst > 0 {
				worst--
				fmt.Printf("  %-10s line %q\n", p.name, l)
			}
		}
		of, found := gluedWords(root, p.article, t.Text)
		words, glued = words+of, glued+len(found)
		for _, w := range found {
			if worst > 0 {
				worst--
				fmt.Printf("  %-10s word %q\n", p.name, w)
			}
		}
		if !sameWords(t) {
			differ++
			if worst > 0 {
				worst--
				fmt.Printf("  %-10s Markdown differs\n", p.name)
			}
		}
	}
	fmt.Printf("listings: %d lines, %.3f kept exactly\n", lines, ratio(float64(exact), float64(lines)))
	fmt.Printf("words: %d, of 10,000 %.2f glued\n", words, 1e4*ratio(float64(glued), float64(words)))
	fmt.Printf("Markdown: of %d pages %d have other words than their text\n", n, differ)
}

// listingLines returns how many lines the listings of a page have that are in
// its text by half at least, and how many of them are lines of the text.
func listingLines(root *html.Node, text string) (all, exact int, lost []string) {
	have, loose := make(map[string]bool), make(map[string]bool)
	for l := range strings.SplitSeq(text, "\n") {
		have[strings.TrimRight(l, " \t\u00a0")] = true
		loose[collapse(l)] = true
	}
	for n := range root.Descendants() {
		if n.DataAtom != atom.Pre || n.Type != html.ElementNode {
			continue
		}
		var b strings.Builder
		listing(n, &b)
		var of []string
		found := 0
		numbers := true // of the lines of the listing beside it, which are left out
		for l := range strings.SplitSeq(b.String(), "\n") {
			if l = strings.TrimRight(l, " \t\r\u00a0"); l == "" {
				continue
			}
			of = append(of, l)
			numbers = numbers && strings.Trim(l, " 0123456789") == ""
			if loose[collapse(l)] || strings.Contains(text, strings.TrimSpace(l)) {
				found++
			}
		}
		if len(of) < 2 || numbers || found*2 < len(of) {
			continue
		}
		for _, l := range of {
			all++
			if have[l] {
				exact++
			} else {
				lost = append(lost, l)
			}
		}
	}
	return all, exact, lost
}

// listing writes the text of a listing as a browser shows it.
func listing(n *html.Node, b *strings.Builder) {
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		switch {
		case c.Type == html.TextNode:
			b.WriteString(c.Data)
		case c.DataAtom == atom.Br:
			b.WriteByte('\n')
		case c.DataAtom == atom.Button || c.DataAtom == atom.Style || c.DataAtom == atom.Script:
		case c.Type == html.ElementNode:
			block := c.DataAtom == atom.Div || c.DataAtom == atom.P || c.DataAtom == atom.Li || c.DataAtom == atom.Tr
			if s := b.String(); block && s != "" && !strings.HasSuffix(s, "\n") {
				b.WriteByte('\n')
			}
			listing(c, b)
			if s := b.String(); block && !strings.HasSuffix(s, "\n") {
				b.WriteByte('\n')
			}
		}
	}
}

// gluedWords returns how many words a text has, and which of them are neither
// in a text node of the page nor in the annotation, but are two words of it.
func gluedWords(root *html.Node, annotation, text string) (n int, glued []string) {
	known := make(map[string]bool)
	note := func(s string) {
		for _, w := range wordsOf(s) {
			known[w] = true
		}
	}
	note(annotation)
	for c := range root.Descendants() {
		if c.Type == html.TextNode {
			note(c.Data)
			note(html.UnescapeString(c.Data)) // JSON-LD
		}
	}
	for _, w := range wordsOf(text) {
		n++
		if known[w] {
			continue
		}
		for i := 2; i < len(w)-1; i++ {
			if known[w[:i]] && known[w[i:]] {
				glued = append(glued, w)
				break
			}
		}
	}
	return n, glued
}

// sameWords reports whether Markdown has the words of the text, in order. Before
// them it may have the title.
func sameWords(t *extract.Text) bool {
	want, got := wordsOf(t.Text), wordsOf(rendered(t.Markdown))
	more := len(got) - len(want)
	return more >= 0 && more <= len(wordsOf(t.Title))+3 && slices.Equal(got[more:], want)
}

func wordsOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}

// rendered returns the text of Markdown.
func rendered(markdown string) string {
	var b bytes.Buffer
	if goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(markdown), &b) != nil {
		return ""
	}
	root, err := html.Parse(&b)
	if err != nil {
		return ""
	}
	var s strings.Builder
	for n := range root.Descendants() {
		switch {
		case n.Type == html.TextNode:
			s.WriteString(n.Data)
		case n.Type == html.ElementNode && !strings.Contains(" a em strong code del ", " "+n.Data+" "):
			s.WriteByte('\n')
		}
	}
	return s.String()
}
