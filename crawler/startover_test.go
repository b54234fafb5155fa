package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A hook that panics at an address costs that address, and not the turn of another page,
// where several processes keep the limit of pages.
func TestPanicsKeepNoTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{MaxPages: 3, Retries: 1, IgnoreRobots: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			Shared:   true, Seeds: crawler.Seeds("http://a.example/"), Transport: always(list(5)),
			BeforeRequest: func(r *http.Request, _ crawler.Request) error {
				if r.URL.Path == "/0" {
					panic("at this address")
				}
				return nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil || !st.Done || st.Pages != 3 || st.Failures != 1 {
			t.Errorf("done %v with %d pages and %d failures, %v; want done with 3 and 1", st.Done, st.Pages, st.Failures, err)
		}
	})
}

// A page that is put off since another is writing the same item is asked for again no
// sooner than its host wants.
func TestBusyItemsKeepTheDistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 20 * time.Second
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		store, err := queue.New(t.Context(), slowToSay{db}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		var mu sync.Mutex
		last := make(map[string]time.Time)
		again := 0
		web := handled(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if was, ok := last[r.URL.Host]; ok && time.Since(was) < delay {
				t.Errorf("%s is asked again after %v, want %v at least", r.URL, time.Since(was), delay)
			}
			last[r.URL.Host] = time.Now()
			if r.URL.Path == "/robots.txt" {
				fmt.Fprint(w, "User-agent: *\nCrawl-delay: 20")
				return
			}
			again++
			w.Header().Set("Content-Type", "text/html")
		})
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			Seeds:    crawler.Seeds("http://a.example/", "http://b.example/"), Transport: always(web), Items: map[string]any{"books": book{}},
			Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				out.Item("books", "the same", book{Title: v.URL})
				return nil
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again != 3 {
			t.Errorf("%d requests for 2 pages, want 3, as one was put off", again)
		}
	})
}
