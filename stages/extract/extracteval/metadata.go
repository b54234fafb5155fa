package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/seed-301537d8/weir/stages/extract"
)

// measureMetadata compares authors and dates with those annotated.
func measureMetadata(pages []page, every, worst int) {
	type count struct{ exact, wrong, missing, invented, with, without int }
	var dates, authors count
	add := func(c *count, what string, p page, want, got string, same bool) {
		switch {
		case want == "":
			c.without++
			if got != "" {
				c.invented++
			}
		default:
			c.with++
			switch {
			case same:
				c.exact++
			case got == "":
				c.missing++
			default:
				c.wrong++
			}
		}
		if !same && worst > 0 && (want != "" || got != "") {
			worst--
			fmt.Printf("  %-10s %-10s %-14s want %q, got %q\n", p.name, what, p.kind, want, got)
		}
	}
	x := new(extract.Extractor)
	for i := 0; i < len(pages); i += every {
		p := pages[i]
		t := x.HTML(context.Background(), p.html, p.url, "")
		want, got := p.published, t.Published
		add(&dates, "date", p, want, got, len(got) >= 10 && len(want) >= 10 && got[:10] == want[:10])
		add(&authors, "author", p, p.author, t.Byline, p.author != "" && sameNames(p.author, t.Byline))
	}
	for _, c := range []struct {
		name string
		count
	}{{"dates", dates}, {"authors", authors}} {
		fmt.Printf("%-8s of %d pages that have one: %.3f exact, %.3f wrong, %.3f missing; of %d without: %.3f invented\n", c.name, c.with,
			ratio(float64(c.exact), float64(c.with)), ratio(float64(c.wrong), float64(c.with)), ratio(float64(c.missing), float64(c.with)),
			c.without, ratio(float64(c.invented), float64(c.without)))
	}
}

// sameNames reports whether two lists of names have the same words.
func sameNames(a, b string) bool {
	words := func(s string) map[string]bool {
		m := make(map[string]bool)
		for w := range strings.FieldsFuncSeq(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" ,;&.", r) }) {
			if w != "and" && w != "by" {
				m[w] = true
			}
		}
		return m
	}
	x, y := words(a), words(b)
	if len(x) != len(y) {
		return false
	}
	for w := range x {
		if !y[w] {
			return false
		}
	}
	return true
}
