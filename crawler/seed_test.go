package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A worker finds a crawl all of whose seeds have a scope of their own, and goes as far
// from them as they say.
func TestWorkersFindSeedsWithTheirOwnScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		row := fakeSite(func(r *http.Request) (int, string, string) {
			n := 0
			fmt.Sscanf(r.URL.Path, "/%d", &n)
			return http.StatusOK, "text/html", fmt.Sprintf("<title>Page %d</title><a href=/%d>next</a>", n, n+1)
		})
		seed := crawler.Request{URL: "http://site.example/0", Area: &scope.Area{MaxDepth: 2}}
		o := &crawler.Options{
			Seeds: []crawler.Request{seed}, Transport: always(row),
			Settings: crawler.Settings{IgnoreRobots: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
		}
		c, err := crawler.New(store, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stored, err := crawler.AwaitCrawl(ctx, store)
		if err != nil {
			t.Fatal(err)
		}
		o = &crawler.Options{Settings: stored.Settings, Transport: o.Transport}
		worker, err := crawler.New(store, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		if pages := records[crawler.Page](t, store, "pages"); len(pages) != 3 {
			t.Errorf("%d pages, want 3: the seed and two links from it", len(pages))
		}
	})
}

// A worker that comes while seeds are added waits until all are there: links to the hosts
// of the later ones belong to the crawl.
func TestWorkersWaitForAllSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		settings := crawler.Settings{IgnoreRobots: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}
		c, err := crawler.New(store, &crawler.Options{
			Seeds: crawler.Seeds("http://first.example/"), MoreSeeds: true, Settings: settings, Transport: always(chain(0)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaited := make(chan error, 1)
		go func() {
			_, err := crawler.AwaitCrawl(t.Context(), store)
			awaited <- err
		}()
		time.Sleep(time.Hour)
		select {
		case err := <-awaited:
			t.Fatalf("a worker begins before all seeds are there: %v", err)
		default:
		}
		if err := c.Add(t.Context(), crawler.Seeds("http://last.example/")...); err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-awaited; err != nil {
			t.Fatal(err)
		}
	})
}

// Workers wait for each process that adds seeds, also while others are done, and for one
// that has died until it, or another, has added its own.
func TestWorkersWaitForAllWhoAddSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := memqueue.NewDisk()
		settings := crawler.Settings{IgnoreRobots: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}
		begin := func(store *queue.Store, more bool, seed string) *crawler.Crawler {
			t.Helper()
			c, err := crawler.New(store, &crawler.Options{
				Seeds: crawler.Seeds(seed), MoreSeeds: more, Settings: settings, Transport: always(chain(0)),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			return c
		}
		waits := func(store *queue.Store, want bool) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if _, err := crawler.AwaitCrawl(ctx, store); (err != nil) != want {
				t.Errorf("a worker that waits ends with %v, want that it waits: %v", err, want)
			}
		}
		open := func() *queue.Store {
			t.Helper()
			db, err := disk.Driver()
			if err != nil {
				t.Fatal(err)
			}
			store, err := queue.New(t.Context(), db, nil)
			if err != nil {
				t.Fatal(err)
			}
			return store
		}
		store := open()
		begin(store, true, "http://first.example/")
		begin(store, false, "http://second.example/")
		waits(store, true) // for the first
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		store = open() // the first has died, and may come again
		defer store.Close()
		waits(store, true)
		first := begin(store, true, "http://first.example/")
		third := begin(store, true, "http://third.example/")
		if err := first.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		waits(store, true) // for the third
		if err := third.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		waits(store, false)
	})
}
