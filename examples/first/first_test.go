// Package first tests the three programs of its folders: each crawls a site on
// loopback, is killed twenty times at random moments, and has kept each item once
// in the end, in step with its pages all along.
package first

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/killtest"
)

const (
	kills  = 20
	atMost = 8 // requests in a life that is killed
	pages  = kills*atMost + 20
)

// chain is a site whose pages are numbered, each with a link to the next.
func chain(t *testing.T, prefix string, body func(n int) string) *killtest.Site {
	return killtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 1
		if rest := strings.TrimPrefix(r.URL.Path, prefix); rest != "" {
			if _, err := fmt.Sscanf(rest, "page/%d/", &n); err != nil || n > pages {
				http.NotFound(w, r)
				return
			}
		}
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, body(n))
		if n < pages {
			fmt.Fprintf(w, `<ul><li class="next"><a href="%spage/%d/">Next</a></ul>`, prefix, n+1)
		}
	}))
}

func TestQuotesAreKeptOnceWhateverKillsTheCrawl(t *testing.T) {
	t.Parallel()
	const each = 5
	site := chain(t, "/tag/humor/", func(n int) string {
		var b strings.Builder
		for i := range each {
			fmt.Fprintf(&b, `<div class="quote"><span class="text">Quote %d.%d</span><span>by <small>Author %d</small></span></div>`, n, i, i)
		}
		return b.String() + `<a href="/elsewhere">not followed</a>`
	})
	p := killtest.Build(t, "quotes")
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
	if out := string(p.Run("status")); !strings.Contains(out, "items quotes: 900") {
		t.Errorf("status does not count 900 quotes:\n%s", out)
	}
	csv := strings.Split(strings.TrimSpace(string(p.Run("export", "items", "quotes", "--format", "csv"))), "\n")
	if len(csv) != 1+each*pages || csv[0] != "Author,Text" || !strings.HasPrefix(csv[1], "Author ") {
		t.Errorf("%d lines of CSV, beginning with %q", len(csv), csv[:2])
	}
}

func TestLinksAreVisitedWhateverKillsTheCrawl(t *testing.T) {
	t.Parallel()
	site := chain(t, "/", func(n int) string { return fmt.Sprintf("<p>Page %d. <a href=/page/%d/>back</a>", n, max(n-1, 1)) })
	p := killtest.Build(t, "links")
	p.Crawl(site, kills, atMost, nil, site.URL, "--stages", "crawl")
	if n := len(killtest.Export[inspect.PageRow](p, "pages")); n != pages+1 { // page 1 has two addresses
		t.Errorf("%d pages, want %d", n, pages+1)
	}
}

func TestTitlesAreKeptOnceWhateverKillsTheCrawl(t *testing.T) {
	t.Parallel()
	site := chain(t, "/", func(n int) string { return fmt.Sprintf("<title>Page %d</title>", n) })
	p := killtest.Build(t, "titles")
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
