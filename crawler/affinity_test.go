package crawler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// fleetWeb is a few hosts, each a chain of pages, that know which worker asks.
type fleetWeb struct {
	hosts, pages int

	mu     sync.Mutex
	asked  map[string][]fleetRequest // by host
	robots map[string]int            // by host
	count  map[string]int            // of pages, by worker
	total  int
	half   chan struct{} // closed when half of the pages have been asked for
}

type fleetRequest struct {
	worker string
	at     time.Time
}

func newFleetWeb(hosts, pages int) *fleetWeb {
	return &fleetWeb{
		hosts: hosts, pages: pages, half: make(chan struct{}),
		asked: make(map[string][]fleetRequest), robots: make(map[string]int), count: make(map[string]int),
	}
}

// fleetWorker is the transport of a worker, which may die.
type fleetWorker struct {
	web  *fleetWeb
	name string
	took time.Duration // of a page
	dead chan struct{}
}

func (w *fleetWorker) RoundTrip(r *http.Request) (*http.Response, error) {
	web := w.web
	took := w.took
	web.mu.Lock()
	host := r.URL.Host
	web.asked[host] = append(web.asked[host], fleetRequest{w.name, time.Now()})
	body, status := "", http.StatusOK
	if n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err == nil {
		web.count[w.name]++
		if web.total++; web.total == web.hosts*web.pages/2 {
			close(web.half)
		}
		if n+1 < web.pages {
			body = fmt.Sprintf("<a href='/%d'>next</a>", n+1)
		}
	} else if r.URL.Path == "/all" {
		took = 10 * time.Second // meanwhile the others have come
		for i := range web.hosts {
			body += fmt.Sprintf("<a href='http://h%d.example/0'>host</a>", i)
		}
	} else if status = http.StatusNotFound; r.URL.Path == "/robots.txt" {
		web.robots[host]++
	}
	web.mu.Unlock()
	select {
	case <-time.After(took):
	case <-w.dead:
		<-r.Context().Done()
	case <-r.Context().Done():
	}
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

// line is a way to a server without a network, for a bubble, where time passes when
// everybody waits. It is cut when its worker dies.
type line struct {
	server http.Handler
	dead   chan struct{}
}

func (l line) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-l.dead:
		return nil, errors.New("the line is cut")
	default:
	}
	w := &lineAnswer{header: make(http.Header), status: http.StatusOK}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.server.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r}, nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

type lineAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *lineAnswer) Header() http.Header         { return w.header }
func (w *lineAnswer) WriteHeader(status int)      { w.status = status }
func (w *lineAnswer) Write(b []byte) (int, error) { return w.body.Write(b) }

// A workFleet is a leader and workers on it.
type workFleet struct {
	t      *testing.T
	server *remote.Server
	group  sync.WaitGroup
}

// work runs a worker over the network until the crawl is complete or the worker dies.
func (f *workFleet) work(w *fleetWorker) {
	f.group.Go(func() {
		ctx, cancel := context.WithCancel(f.t.Context())
		defer cancel()
		go func() {
			select {
			case <-w.dead:
				cancel()
			case <-ctx.Done():
			}
		}()
		store, err := remote.Open(ctx, "http://leader.example", &remote.Options{Name: w.name, Transport: line{f.server, w.dead}, Patience: -1})
		if err != nil {
			f.t.Error(err)
			return
		}
		defer store.Close()
		stored, err := crawler.AwaitCrawl(ctx, store)
		if err != nil {
			f.t.Error(err)
			return
		}
		c, err := crawler.New(store, &crawler.Options{Settings: stored.Settings, Shared: true, Transport: always(w), DrainTime: time.Millisecond})
		if err == nil {
			err = c.Work(ctx)
		}
		if err != nil && ctx.Err() == nil {
			f.t.Error(err)
		}
	})
}

// crawlFleet crawls with a main process and two workers, one of which may die halfway.
func crawlFleet(t *testing.T, web *fleetWeb, settings crawler.Settings, main, first, second *fleetWorker) {
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
	c, err := crawler.New(here, &crawler.Options{Settings: settings, Shared: true, Seeds: crawler.Seeds("http://start.example/all"), Transport: always(main)})
	if err != nil {
		t.Fatal(err)
	}
	f := &workFleet{t: t, server: server}
	f.work(first)
	f.work(second)
	if err := c.Run(t.Context()); err != nil {
		t.Error(err)
	}
	f.group.Wait()
	server.Lead(nil)
	pages := records[crawler.Page](t, here, "pages")
	if want := web.hosts*web.pages + 1; len(pages) != want {
		t.Errorf("%d pages were kept, want %d", len(pages), want)
	}
	for host, n := range web.robots {
		if n != 1 {
			t.Errorf("robots.txt of %s was asked for %d times", host, n)
		}
	}
	if err := here.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Each host is asked by one worker while that lives, by another when it is dead, and never
// sooner than it may be.
func TestHostsKeepToTheirWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := newFleetWeb(12, 8)
		worker := func(name string) *fleetWorker {
			return &fleetWorker{web: web, name: name, took: 100 * time.Millisecond, dead: make(chan struct{})}
		}
		main, first, second := worker("main"), worker("first"), worker("second")
		var died time.Time
		go func() {
			<-web.half
			died = time.Now()
			close(second.dead)
		}()
		settings := crawler.Settings{Scope: everywhere, Delay: time.Second, Workers: 4, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}
		crawlFleet(t, web, settings, main, first, second)
		moved := 0
		for host, requests := range web.asked {
			for i, r := range requests[1:] {
				before := requests[i]
				if gap := r.at.Sub(before.at); gap < time.Second {
					t.Errorf("%s was asked twice within %v", host, gap)
				}
				if r.worker == before.worker {
					continue
				}
				moved++
				if before.worker != "second" || !r.at.After(died) {
					t.Errorf("%s went from %s, which lives, to %s", host, before.worker, r.worker)
				}
			}
		}
		if moved == 0 {
			t.Error("no host has moved from the worker that died")
		}
		for _, name := range []string{"main", "first", "second"} {
			if web.count[name] == 0 {
				t.Errorf("worker %s has had no page", name)
			}
		}
	})
}

// A worker that is slow keeps as many hosts as it can ask at once, and all others go to
// those that are fast.
func TestFasterWorkersGetMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := newFleetWeb(12, 20)
		worker := func(name string, took time.Duration) *fleetWorker {
			return &fleetWorker{web: web, name: name, took: took, dead: make(chan struct{})}
		}
		settings := crawler.Settings{Scope: everywhere, Delay: 100 * time.Millisecond, Workers: 2, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}
		crawlFleet(t, web, settings, worker("main", time.Second), worker("first", time.Second), worker("second", 10*time.Second))
		if slow := web.count["second"]; slow == 0 || slow > 2*web.pages {
			t.Errorf("the slow worker has had %d pages, want those of at most two hosts of 12, %d", slow, 2*web.pages)
		}
	})
}
