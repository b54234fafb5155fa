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

func TestLinksAreVisitedWhateverKillsTheCrawl(t *testing.T) {
	kills := killtest.Kills(3)
	pages := kills*atMost + 20
	site := killtest.Chain(t, "/", pages, func(n int) string { return fmt.Sprintf("<p>Page %d. <a href=/page/%d/>back</a>", n, max(n-1, 1)) })
	p := killtest.New(t)
	p.Crawl(site, kills, atMost, nil, site.URL, "--stages", "crawl")
	if n := len(killtest.Export[inspect.PageRow](p, "pages")); n != pages+1 { // page 1 has two addresses
		t.Errorf("%d pages, want %d", n, pages+1)
	}
}
