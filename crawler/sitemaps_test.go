package crawler_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// A robots.txt may name more sitemaps than a transaction has room for.
func TestManySitemapsOfARobotsFile(t *testing.T) {
	const sitemaps = 3000
	store, err := badgerqueue.Open(t.TempDir(), &badgerqueue.Options{MemTable: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	web := handled(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/robots.txt" {
			for i := range sitemaps {
				fmt.Fprintf(w, "Sitemap:/%d\n", i)
			}
		}
	})
	c, err := crawler.New(store, &crawler.Options{
		Settings: crawler.Settings{Sitemaps: true, MaxPages: 1, Delay: -1, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
		Seeds:    crawler.Seeds("http://a.example/"), Transport: always(web),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	st, err := inspect.ReadStatus(t.Context(), store)
	if err != nil || !st.Done || st.Pages != 1 || st.LeftOut != sitemaps {
		t.Errorf("done %v with %d pages and %d left out, %v; want done with 1 and %d", st.Done, st.Pages, st.LeftOut, err, sitemaps)
	}
}
