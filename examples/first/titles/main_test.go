package main

import (
	"fmt"
	"testing"

	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/killtest"
)

// atMost is how many requests come in a life that is killed.
const atMost = 8

func TestMain(m *testing.M) { killtest.Main(m, main) }

func TestTitlesAreKeptOnceWhateverKillsTheCrawl(t *testing.T) {
	kills := killtest.Kills(3)
	pages := kills*atMost + 20
	site := killtest.Chain(t, "/", pages, func(n int) string { return fmt.Sprintf("<title>Page %d</title>", n) })
	p := killtest.New(t)
	check := func() {
		fetched := killtest.Export[inspect.PageRow](p, "pages")
		titles := killtest.Export[struct{ Title, URL string }](p, "items", "titles")
		if len(titles) != len(fetched) {
			t.Fatalf("%d titles from %d pages", len(titles), len(fetched))
		}
		for i := range titles {
			if titles[i].URL != fetched[i].URL || titles[i].Title != fetched[i].Title {
				t.Errorf("title %+v of page %s, %q", titles[i], fetched[i].URL, fetched[i].Title)
			}
		}
	}
	p.Crawl(site, kills, atMost, check, site.URL, "--stages", "crawl")
	check()
	if n := len(killtest.Export[inspect.PageRow](p, "pages")); n != pages {
		t.Errorf("%d pages, want %d", n, pages)
	}
}
