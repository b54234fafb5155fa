package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/killtest"
)

// atMost is how many requests come in a life that is killed.
const atMost = 8

func TestMain(m *testing.M) { killtest.Main(m, main) }

func TestQuotesAreKeptOnceWhateverKillsTheCrawl(t *testing.T) {
	kills := killtest.Kills(3)
	pages := kills*atMost + 20
	const each = 5
	site := killtest.Chain(t, "/tag/humor/", pages, func(n int) string {
		var b strings.Builder
		for i := range each {
			fmt.Fprintf(&b, `<div class="quote"><span class="text">Quote %d.%d</span><span>by <small>Author %d</small></span></div>`, n, i, i)
		}
		return b.String() + `<a href="/elsewhere">not followed</a>`
	})
	p := killtest.New(t)
	check := func() {
		fetched := killtest.Export[inspect.PageRow](p, "pages")
		quotes := killtest.Export[struct{ Author, Text string }](p, "items", "quotes")
		seen := make(map[string]bool)
		for _, q := range quotes {
			seen[q.Text] = true
		}
		if len(quotes) != each*len(fetched) || len(seen) != len(quotes) {
			t.Errorf("%d quotes, %d of them different, from %d pages of %d quotes", len(quotes), len(seen), len(fetched), each)
		}
	}
	p.Crawl(site, kills, atMost, check, site.URL+"/tag/humor/")
	check()
	if n := len(killtest.Export[inspect.PageRow](p, "pages")); n != pages {
		t.Errorf("%d pages, want %d", n, pages)
	}
	if out := string(p.Run("status")); !strings.Contains(out, fmt.Sprintf("items quotes: %d\n", each*pages)) {
		t.Errorf("status does not count %d quotes:\n%s", each*pages, out)
	}
	csv := strings.Split(strings.TrimSpace(string(p.Run("export", "items", "quotes", "--format", "csv"))), "\n")
	if len(csv) != 1+each*pages || csv[0] != "Author,Text" || !strings.HasPrefix(csv[1], "Author ") {
		t.Errorf("%d lines of CSV, beginning with %q", len(csv), csv[:2])
	}
}
