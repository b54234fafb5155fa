package crawler_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/driver"
)

// Large requests that come back to the frontier, since their host is well again or a new
// round begins, come in as many transactions as they need.
func TestLargeRequestsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const requests = 40
		store, _ := openWatched(t, func(writes []driver.Write) bool {
			n := 0
			for _, w := range writes {
				n += len(w.Key) + len(w.Value)
			}
			return n > 1<<20
		})
		body := make([]byte, 60_000)
		rng := rand.NewChaCha8([32]byte{}) // which nothing makes smaller
		var seeds []crawler.Request
		for i := range requests {
			_, _ = rng.Read(body)
			seeds = append(seeds, crawler.Request{URL: fmt.Sprintf("http://a.example/%d", i), Method: "POST", Body: bytes.Clone(body)})
		}
		began := time.Now()
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{IgnoreRobots: true, Retries: 20, Delay: -1, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			Seeds:    seeds,
			Transport: always(handled(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				if time.Since(began) < time.Minute {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Recrawl(t.Context(), crawler.RecrawlAll); err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil || !st.Done || st.Pages != requests || len(st.Rounds) != 2 || st.Rounds[1].Same != requests {
			t.Errorf("done %v, %d pages, rounds %+v, %v; want done with %d, all of them the same again", st.Done, st.Pages, st.Rounds, err, requests)
		}
	})
}
