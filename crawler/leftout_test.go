package crawler_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
)

// list is a site whose front page has links to so many others.
func list(links int) fakeSite {
	return func(r *http.Request) (int, string, string) {
		var b strings.Builder
		if r.URL.Path == "/" {
			for i := range links {
				fmt.Fprintf(&b, "<a href=/%d>x</a> ", i)
			}
		}
		return http.StatusOK, "text/html", b.String()
	}
}

// What a limit leaves out of a host is settled in a few transactions, however much it is,
// and each address as if it had been settled by itself.
func TestWhatALimitLeavesOutIsSettledTogether(t *testing.T) {
	const links = 1200 // more than one transaction takes
	for name, s := range map[string]crawler.Settings{
		"max-pages":                {MaxPages: 2},
		"max-pages-per-host":       {MaxHostPages: 2},
		"max-pages-per-generation": {MaxGenerationPages: 1},
		"max-bytes-per-host":       {MaxHostBytes: 10_000},
		"max-bytes":                {MaxBytes: 10_000},
		"max-pages, by in-links":   {MaxPages: 2, Priority: []string{crawler.PriorityInLinks}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, watched := openWatched(t, nil)
				s.Stages = []crawler.Stage{{Name: crawler.StageCrawl}}
				c, err := crawler.New(store, &crawler.Options{Settings: s, Seeds: crawler.Seeds("http://a.example/"), Transport: always(list(links))})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := watched.batches.Load(); n > links/20 {
					t.Errorf("%d transactions, want hardly more than for the pages", n)
				}
				st, err := inspect.ReadStatus(t.Context(), store)
				if err != nil {
					t.Fatal(err)
				}
				left := links + 1 - st.Pages
				counted := st.MaxPages
				for _, l := range st.Limits {
					counted += l.Hits
				}
				if !st.Done || st.Pages > 2 || st.LeftOut != left || counted != left || st.Failures != 0 {
					t.Errorf("done %v, %d pages, %d left out, %d of them for limits, %d failures; want %d left out", st.Done, st.Pages, st.LeftOut, counted, st.Failures, left)
				}
				skips := records[crawler.Skip](t, store, "skips")
				if len(skips) != int(left) {
					t.Errorf("%d records of what is left out, want %d", len(skips), left)
				}
				pages := records[crawler.Page](t, store, "pages")
				for u, skip := range skips {
					if _, ok := pages[u]; ok || skip.Request == nil || skip.From != "http://a.example/" || !strings.HasPrefix(skip.Reason, "max_") {
						t.Fatalf("%s: %+v, a page too: %v", u, skip, ok)
					}
				}
				if err := store.Check(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
