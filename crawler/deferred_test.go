package crawler_test

import (
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
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// fleet answers for many hosts in fake time. Pages of a healthy one are a chain
// "/1", "/2", … of some length; a sick one fails as its name says until it is well, and
// a slow one takes its time for each answer.
type fleet struct {
	depth   int
	well    time.Time // when those that limit the rate are well again
	stable  time.Time // when those that flap are
	mu      sync.Mutex
	last    map[string]time.Time // of each host's last answer that was a page
	nearest map[string]time.Duration
	asked   map[string]time.Time
}

// takes is how long a host takes for an answer.
func (f *fleet) takes(host string) time.Duration {
	switch {
	case strings.HasPrefix(host, "slow"):
		return 20 * time.Second
	case strings.HasPrefix(host, "lag"):
		return 3 * time.Second
	}
	return 0
}

func (f *fleet) RoundTrip(r *http.Request) (*http.Response, error) {
	now := time.Now()
	host := r.URL.Host
	f.mu.Lock()
	if was, ok := f.asked[host]; ok {
		if d := now.Sub(was); f.nearest[host] == 0 || d < f.nearest[host] {
			f.nearest[host] = d
		}
	}
	f.asked[host] = now
	f.mu.Unlock()
	answer := func(status int, header http.Header, body string) (*http.Response, error) {
		header.Set("Content-Type", "text/html")
		return &http.Response{
			StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
			Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
		}, nil
	}
	if took := f.takes(host); took > 0 {
		select {
		case <-time.After(took):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	switch {
	case strings.HasPrefix(host, "dead"):
		return nil, errors.New("connection refused")
	case strings.HasPrefix(host, "limit") && now.Before(f.well):
		return answer(http.StatusTooManyRequests, http.Header{"Retry-After": {"99999999999"}}, "")
	case r.URL.Path == "/robots.txt":
		return answer(http.StatusNotFound, http.Header{}, "")
	case strings.HasPrefix(host, "flap") && now.Before(f.stable) && r.URL.Path != "/":
		return answer(http.StatusServiceUnavailable, http.Header{}, "")
	}
	f.mu.Lock()
	f.last[host] = now
	f.mu.Unlock()
	n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")) // "/" is 0
	if n >= f.depth {
		return answer(http.StatusOK, http.Header{}, "the end")
	}
	return answer(http.StatusOK, http.Header{}, fmt.Sprintf("<a href=/%d>next</a>", n+1))
}

// Of five hundred hosts fifty are dead, rate limiting without end, flapping or slow. The
// healthy ones are crawled as fast as politeness lets them, all the while; what
// recovers is crawled in the end, and what does not is given up with its reason.
func TestSickHostsDoNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const depth, hosts, sick = 12, 500, 50
		f := &fleet{
			depth: depth, well: time.Now().Add(30 * time.Minute), stable: time.Now().Add(30 * time.Second), last: make(map[string]time.Time),
			nearest: make(map[string]time.Duration), asked: make(map[string]time.Time),
		}
		var seeds []string
		for i := range hosts {
			kind := "well"
			if i < sick {
				kind = []string{"dead", "limit", "flap", "slow", "lag"}[i%5]
			}
			seeds = append(seeds, fmt.Sprintf("http://%s%d.example/", kind, i))
		}
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, GiveUp: 2 * time.Hour},
			Seeds:    crawler.Seeds(seeds...), Transport: always(f),
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		ideal := (depth + 1) * time.Second // robots.txt has a turn of its own
		healthy := time.Duration(0)
		for host, last := range f.last {
			took := last.Sub(began)
			switch {
			case strings.HasPrefix(host, "well"):
				healthy = max(healthy, took)
			case strings.HasPrefix(host, "limit") && took < 30*time.Minute:
				t.Errorf("%s: the last page after %v, before it was well", host, took)
			}
		}
		t.Logf("the healthy hosts took %v, %.2f of what they take alone", healthy, healthy.Seconds()/ideal.Seconds())
		if healthy > ideal+crawler.DefaultGrace {
			t.Errorf("the healthy hosts took %v; a page a second takes %v", healthy, ideal)
		}
		for host, d := range f.nearest {
			if d < crawler.DefaultDelay {
				t.Errorf("%s was asked twice within %v", host, d)
			}
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		dead := int64(sick / 5)
		if want := (hosts - dead) * (depth + 1); !st.Done || st.Pages != want || st.Failures != dead || len(st.Sick) != 0 {
			t.Errorf("done %v, %d pages, %d failures, sick %v; want %d pages, %d failures", st.Done, st.Pages, st.Failures, st.Sick, want, dead)
		}
		if st.Generations[0].Deferred == 0 {
			t.Error("generation 0 has deferred nothing")
		}
		for _, g := range st.Generations {
			if g.URLs != g.Fetched+g.Failed+g.Deferred {
				t.Errorf("generation %d: %d addresses, but %d fetched, %d failed, %d deferred", g.Number, g.URLs, g.Fetched, g.Failed, g.Deferred)
			}
		}
	})
}

// Of what waits for a robots.txt that cannot be reached one address comes back to
// see, and the others when that has shown what becomes of them.
func TestOneAddressAsksForRobots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pages = 200
		down := roundTrip(func(string) (int, string) { return http.StatusServiceUnavailable, "" })
		store := openMemory(t)
		var seeds []string
		for i := range pages {
			seeds = append(seeds, fmt.Sprintf("http://sick.example/%d", i))
		}
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Grace: time.Second, Retries: 6, Delay: -1},
			Seeds:    crawler.Seeds(seeds...), Transport: always(down),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := store.QueueStats(t.Context(), crawler.StageCrawl)
		if err != nil {
			t.Fatal(err)
		}
		if most := int64(2*pages + 10); st.Totals.Enqueued > most {
			t.Errorf("%d addresses entered the frontier, want %d at most", st.Totals.Enqueued, most)
		}
		status, err := inspect.ReadStatus(t.Context(), store)
		if err != nil || status.Failures != pages {
			t.Errorf("%d failures, %v; want %d", status.Failures, err, pages)
		}
	})
}

// A host whose robots.txt cannot be reached is given up like any other, however often
// a page may be tried.
func TestGiveUpHoldsForRobots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := roundTrip(func(string) (int, string) { return http.StatusServiceUnavailable, "" })
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Retries: 1000, GiveUp: time.Hour},
			Seeds:    crawler.Seeds("http://sick.example/"), Transport: always(down),
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 30*time.Minute || took > 3*time.Hour {
			t.Errorf("given up after %v, want about an hour", took)
		}
	})
}

// slowToSay is a driver whose batches can be read seconds before their commits return.
type slowToSay struct{ driver.Store }

func (s slowToSay) Commit(ctx context.Context, writes []driver.Write) error {
	err := s.Store.Commit(ctx, writes)
	time.Sleep(3 * time.Second)
	return err
}

// A crawl is not over while an address comes back, which for a moment is no longer
// deferred and not yet counted in the frontier.
func TestComingBackIsNotOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := roundTrip(func(string) (int, string) { return http.StatusServiceUnavailable, "" })
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		store, err := queue.New(t.Context(), slowToSay{db}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Grace: time.Second, GiveUp: 10 * time.Minute},
			Seeds:    crawler.Seeds("http://sick.example/"), Transport: always(down),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st, err := inspect.ReadStatus(t.Context(), store); err != nil || !st.Done || st.Failures != 1 {
			t.Errorf("done %v, %d failures, %v; want done with 1 failure", st.Done, st.Failures, err)
		}
	})
}

// A record says how often an address was asked for, also of what left the frontier in
// between.
func TestAttemptsCountAcrossDeferral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asked := make(map[string]int)
		site := roundTrip(func(path string) (int, string) {
			mu.Lock()
			defer mu.Unlock()
			switch asked[path]++; {
			case path == "/robots.txt":
				return http.StatusNotFound, ""
			case path == "/recovers" && asked[path] > 3:
				return http.StatusOK, "here it is"
			}
			return http.StatusServiceUnavailable, ""
		})
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Grace: time.Second},
			Seeds:    crawler.Seeds("http://sick.example/recovers", "http://down.example/stays"), Transport: always(site),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		var left int64
		for _, g := range st.Generations {
			left += g.Deferred
		}
		if left < 2 {
			t.Errorf("%d addresses left the frontier; the test wants both to", left)
		}
		e, err := inspect.Explain(t.Context(), store, "http://sick.example/recovers", nil)
		if err != nil || e.Page == nil || e.Page.Attempts != asked["/recovers"] {
			t.Errorf("page %+v, %v; it was asked for %d times", e.Page, err, asked["/recovers"])
		}
		e, err = inspect.Explain(t.Context(), store, "http://down.example/stays", nil)
		if err != nil || e.Failure == nil || e.Failure.Attempts != asked["/stays"] {
			t.Errorf("failure %+v, %v; it was asked for %d times", e.Failure, err, asked["/stays"])
		}
	})
}
