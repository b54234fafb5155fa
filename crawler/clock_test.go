package crawler_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A host that was put off while the clock was a year ahead is not left alone for a year
// when the crawl goes on.
func TestHostsOfAClockThatWasAhead(t *testing.T) {
	disk := memqueue.NewDisk()
	crawl := func(ahead, most time.Duration, status int) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(ahead)
			store, err := disk.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			c, err := crawler.New(store, &crawler.Options{
				Settings: crawler.Settings{IgnoreRobots: true, Retries: 20, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
				Seeds:    crawler.Seeds("http://a.example/", "http://a.example/2"),
				Transport: always(handled(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					w.WriteHeader(status)
				})),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), most)
			defer cancel()
			if err := c.Run(ctx); err != nil {
				t.Fatal(err)
			}
			st, err := inspect.ReadStatus(t.Context(), store)
			if err != nil || st.Done != (status == http.StatusOK) {
				t.Errorf("status %d: done %v with %d pages, %v", status, st.Done, st.Pages, err)
			}
		})
	}
	crawl(365*24*time.Hour, time.Minute, http.StatusServiceUnavailable)
	crawl(0, time.Hour, http.StatusOK)
}
