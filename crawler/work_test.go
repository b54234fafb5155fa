package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// TestWorkersCrawlTogether crawls a small site with three processes, two of them over the
// network and one of these killed halfway. What the site sees is what one process asks, and
// what each has fetched is in an archive of its own.
func TestWorkersCrawlTogether(t *testing.T) {
	const pages, most = 60, 37
	var mu sync.Mutex
	asked := make(map[string]int)
	halfway := make(chan struct{})
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.URL.Path]++
		if len(asked) == most/2 {
			close(halfway)
		}
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		for _, j := range []int{2*i + 1, 2*i + 2} {
			if j < pages {
				fmt.Fprintf(w, "<a href='/%d'>%d</a>", j, j)
			}
		}
	}))
	defer site.Close()

	here, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	server, err := remote.NewServer(remote.ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(here)
	web := httptest.NewUnstartedServer(nil)
	web.Config = remote.NewHTTPServer(server)
	web.Start()
	defer web.Close()

	settings := crawler.Settings{
		Stages: crawlAndWARC, MaxPages: most, AllowPrivate: true, Delay: -1, PerHost: 4,
	}
	archives := map[string]string{"main": t.TempDir(), "w0": t.TempDir(), "w1": t.TempDir()}
	main, err := crawler.New(here, &crawler.Options{
		Settings: settings, Shared: true, Seeds: crawler.Seeds(site.URL + "/0"), ArchiveDir: archives["main"], ArchiveName: "main",
	})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 2 {
		group.Go(func() {
			name := fmt.Sprint("w", i)
			store, err := remote.Open(t.Context(), web.URL, &remote.Options{Name: name})
			if err != nil {
				t.Error(err)
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i == 1 { // this one is gone without a word
				go func() { <-halfway; cancel(); store.Close() }()
			} else {
				defer store.Close()
			}
			stored, err := crawler.AwaitCrawl(ctx, store)
			if ctx.Err() != nil {
				return // it was gone before it began
			}
			if err != nil {
				t.Error(err)
				return
			}
			c, err := crawler.New(store, &crawler.Options{Settings: stored.Settings, Shared: true, ArchiveDir: archives[name], ArchiveName: name})
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.Work(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	if err := main.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	n, err := here.Scan(t.Context(), "pages", "", "", 1000)
	if err != nil || len(n) != most {
		t.Errorf("%d pages were kept, %v; want %d", len(n), err, most)
	}
	captured := make(map[string]bool)
	checkCaptures(t, here, archives, captured)
	for _, p := range n {
		if !captured[p.Key] {
			t.Errorf("the page %s is in no archive", p.Key)
		}
	}
	for name, dir := range archives {
		if records, captures := countRecords(t, dir), countCaptures(t, here, name); name != "w1" && records != captures {
			t.Errorf("the archive %s has %d answers, and the store %d of it", name, records, captures)
		}
	}
	if asked["/robots.txt"] != 1 {
		t.Errorf("robots.txt was asked for %d times", asked["/robots.txt"])
	}
	if done, err := main.Done(t.Context()); !done || err != nil {
		t.Errorf("done %v, %v", done, err)
	}
	if err := here.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
