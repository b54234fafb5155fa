package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

const listing = `<title>Quotes</title>
<div class="quote"><span class="text">“A river cuts through rock.”</span><small class="author">Jim Watkins</small>
<div class="tags"><a>river</a> <a>rock</a></div></div>
<li class="next"><a href="/page/2/">Next</a></li>`

func TestPageTakesQuotesAndFollowsNext(t *testing.T) {
	v := crawler.NewVisit("http://quotes.example/", []byte(listing))
	out := crawler.NewOut(v)
	if err := page(t.Context(), v, out); err != nil || out.Err() != nil {
		t.Fatal(err, out.Err())
	}
	items, requests := out.Items("quotes"), out.Requests()
	if len(items) != 1 || len(requests) != 1 || requests[0].URL != "http://quotes.example/page/2/" {
		t.Fatalf("items %v, requests %v", items, requests)
	}
	if q := items[0].(quote); q.Text != "A river cuts through rock." || q.Author != "Jim Watkins" || !slices.Equal(q.Tags, []string{"river", "rock"}) {
		t.Errorf("quote %+v", q)
	}
}

func TestPageWithoutQuotesIsGivenUp(t *testing.T) {
	v := crawler.NewVisit("http://quotes.example/", []byte("<p>No quotes found!</p>"))
	out := crawler.NewOut(v)
	if err := page(t.Context(), v, out); err != nil {
		t.Fatal(err)
	}
	if reason, again := out.Verdict(); reason == "" || again {
		t.Errorf("verdict %q, %v", reason, again)
	}
}

func TestCrawlIsKilledAndResumed(t *testing.T) {
	const pages = 40
	site := killtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 1
		if _, err := fmt.Sscanf(r.URL.Path, "/page/%d/", &n); err != nil && r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		if n > pages { // a soft 404
			fmt.Fprint(w, "<p>No quotes found!</p>")
			return
		}
		for i := range 10 {
			fmt.Fprintf(w, `<div class="quote"><span class="text">“Quote number %d of page %d.”</span><small class="author">Somebody</small></div>`, i, n)
		}
		fmt.Fprintf(w, `<ul><li class="next"><a href="/page/%d/">Next</a></ul>`, n+1)
	}))
	p := killtest.New(t)
	p.Crawl(site, 3, 8, nil, site.URL)
	if n := len(killtest.Export[quote](p, "items", "quotes")); n != 10*pages {
		t.Errorf("%d quotes, want %d", n, 10*pages)
	}
	tagged := 0
	for _, row := range killtest.Export[inspect.PageRow](p, "pages") {
		if len(row.Sentences) > 0 {
			tagged++
		}
	}
	if tagged != pages {
		t.Errorf("%d pages are tagged, want %d", tagged, pages)
	}
	failures := killtest.Export[crawler.Failure](p, "failures")
	if len(failures) != 1 || failures[0].Reason != crawler.ReasonJudged || failures[0].Detail != "a page without quotes" {
		t.Errorf("failures %+v", failures)
	}
	if why := string(p.Run("why", fmt.Sprintf("%s/page/%d/", site.URL, pages+1))); !strings.Contains(why, "a page without quotes") {
		t.Errorf("why:\n%s", why)
	}
}
