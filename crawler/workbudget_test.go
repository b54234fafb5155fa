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
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// together is a store that is offered, and a site of pages that lead to all others.
type together struct {
	store *queue.Store
	url   string
	seed  string

	mu    sync.Mutex
	asked map[string]int
}

const (
	togetherPages = 60
	togetherBody  = 4000 // bytes of a page, at least
)

func newTogether(t *testing.T) *together {
	f := &together{asked: make(map[string]int)}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked[r.URL.Path]++
		f.mu.Unlock()
		if _, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<!-- %s -->", strings.Repeat("x", togetherBody))
		for i := range togetherPages {
			fmt.Fprintf(w, "<a href='/%d'>%d</a>", i, i)
		}
	}))
	t.Cleanup(site.Close)
	f.seed = site.URL + "/0"
	var err error
	if f.store, err = memqueue.Open(nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.store.Close() })
	server, err := remote.NewServer(remote.ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(f.store)
	web := httptest.NewUnstartedServer(nil)
	web.Config = remote.NewHTTPServer(server)
	web.Start()
	t.Cleanup(web.Close)
	f.url = web.URL
	return f
}

// work is a worker that works until the crawl is complete or ctx ends, which it then
// leaves without a word.
func (f *together) work(ctx context.Context) error {
	store, err := remote.Open(ctx, f.url, &remote.Options{Lease: time.Second})
	if err != nil {
		return err
	}
	defer store.Close()
	stored, err := crawler.AwaitCrawl(ctx, store)
	if err != nil {
		return err
	}
	c, err := crawler.New(store, &crawler.Options{Settings: stored.Settings, Shared: true})
	if err != nil {
		return err
	}
	return c.Work(ctx)
}

// kept returns how many pages were kept.
func (f *together) kept(t *testing.T) int {
	t.Helper()
	rs, err := f.store.Scan(t.Context(), "pages", "", "", 10*togetherPages)
	if err != nil {
		t.Fatal(err)
	}
	return len(rs)
}

// Each budget holds over four processes, of which one is gone in the middle.
func TestBudgetsHoldOverAllWorkers(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings crawler.Settings
		want     func(kept int) bool
	}{
		{"pages", crawler.Settings{MaxPages: 23, PerHost: 8}, func(kept int) bool { return kept == 23 }},
		{"pages of a host", crawler.Settings{MaxHostPages: 23}, func(kept int) bool { return kept == 23 }},
		{"pages of a host, several at once", crawler.Settings{MaxHostPages: 23, PerHost: 6}, func(kept int) bool { return kept == 23 }},
		{"pages of a generation", crawler.Settings{MaxGenerationPages: 22, PerHost: 6}, func(kept int) bool { return kept == 23 }}, // and the seed
		{"bytes", crawler.Settings{MaxBytes: 20 * togetherBody}, func(kept int) bool { return kept >= 14 && kept <= 20 }},
		{"bytes of a host", crawler.Settings{MaxHostBytes: 20 * togetherBody}, func(kept int) bool { return kept >= 14 && kept <= 20 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // it waits for most of its time
			f := newTogether(t)
			s := c.settings
			s.Stages, s.AllowPrivate, s.Delay, s.IgnoreRobots, s.Workers = []crawler.Stage{{Name: crawler.StageCrawl}}, true, -1, true, 8
			main, err := crawler.New(f.store, &crawler.Options{Settings: s, Shared: true, Seeds: crawler.Seeds(f.seed)})
			if err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			for i := range 3 {
				group.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if i == 0 {
						defer time.AfterFunc(50*time.Millisecond, cancel).Stop()
					}
					if err := f.work(ctx); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				})
			}
			if err := main.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			group.Wait()
			if kept := f.kept(t); !c.want(kept) {
				t.Errorf("%d pages were kept", kept)
			}
			if err := f.store.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The rate is that of three processes together. A crawl that keeps to it cannot be over
// before its time, whatever else the machine does.
func TestRateHoldsOverAllWorkers(t *testing.T) {
	t.Parallel() // it waits for most of its time
	const perSecond, most = 40, 44
	f := newTogether(t)
	s := crawler.Settings{
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, AllowPrivate: true, Delay: -1, IgnoreRobots: true, Workers: 8, PerHost: 24, MaxPages: most, Rate: perSecond,
	}
	main, err := crawler.New(f.store, &crawler.Options{Settings: s, Shared: true, Seeds: crawler.Seeds(f.seed)})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if err := f.work(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	if err := main.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	group.Wait()
	if kept := f.kept(t); kept != most {
		t.Errorf("%d pages were kept, want %d", kept, most)
	}
	// A tenth of a second's may pass at once, and a turn may be two tenths late.
	if least := time.Second * (most - perSecond/10 - perSecond/5) / perSecond; took < least {
		t.Errorf("%d requests took %v at %d a second, want %v at least", most, took, perSecond, least)
	}
}

// When the time of a crawl is over its workers fetch nothing more, until somebody goes on
// with it.
func TestMaxTimeHoldsOverAllWorkers(t *testing.T) {
	f := newTogether(t)
	s := crawler.Settings{
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, AllowPrivate: true, IgnoreRobots: true, MaxPages: togetherPages,
		Delay: 20 * time.Millisecond, MaxTime: 300 * time.Millisecond,
	}
	run := func() bool {
		t.Helper()
		c, err := crawler.New(f.store, &crawler.Options{Settings: s, Shared: true, Seeds: crawler.Seeds(f.seed)})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		done, err := c.Done(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	worked := make(chan error, 1)
	go func() { worked <- f.work(t.Context()) }()
	if run() {
		t.Fatal("the crawl was complete too soon for this test")
	}
	st, err := f.store.QueueStats(t.Context(), crawler.StageCrawl)
	if err != nil || !st.Paused {
		t.Errorf("workers may take more: %+v, %v", st, err)
	}
	select {
	case err := <-worked:
		t.Errorf("the worker has ended: %v", err)
	default:
	}
	s.MaxTime = 0
	if !run() {
		t.Error("the crawl did not go on to its end")
	}
	if err := <-worked; err != nil {
		t.Error(err)
	}
	if kept := f.kept(t); kept != togetherPages {
		t.Errorf("%d pages were kept, want %d", kept, togetherPages)
	}
}
