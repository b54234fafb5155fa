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
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A worker finds a crawl all of whose seeds have a scope of their own, and goes as far
// from them as they say.
func TestWorkersFindSeedsWithTheirOwnScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
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
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
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
