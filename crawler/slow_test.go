package crawler_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// slowWeb answers for many hosts in fake time, each after the time that its name says:
// "1500ms.a.example"; the header comes at once if that ends with "body". Its pages are what pages makes of their paths; robots.txt is
// missing.
type slowWeb struct {
	pages func(r *http.Request) string
	delay time.Duration // between requests

	mu     sync.Mutex
	asked  map[string]int       // by address
	first  map[string]time.Time // request, by host
	last   map[string]time.Time // answer, by host
	took   map[string]time.Duration
	faults []string
}

func newSlowWeb(pages func(r *http.Request) string) *slowWeb {
	return &slowWeb{
		pages: pages, delay: time.Second, asked: make(map[string]int), first: make(map[string]time.Time), last: make(map[string]time.Time), took: make(map[string]time.Duration),
	}
}

// takes is how long the host of a request takes; 0 for a quick one.
func takes(r *http.Request) time.Duration {
	return takesHost(r.URL.Host)
}

func takesHost(host string) time.Duration {
	name, _, _ := strings.Cut(host, ".")
	d, _ := time.ParseDuration(strings.TrimSuffix(name, "-body"))
	return d
}

// lateBody is a body that comes after a while.
type lateBody struct {
	io.Reader
	after time.Duration
	ctx   context.Context
}

func (b *lateBody) Read(p []byte) (int, error) {
	if err := pass(b.ctx, b.after); err != nil {
		return 0, err
	}
	b.after = 0
	return b.Reader.Read(p)
}

// pass lets some time pass. It makes no timer that is due when it is made: goroutines of
// a bubble of testing/synctest fire these themselves, all of them with one context of the race
// detector, which must not be used by two at a time (golang.org/issue/78156).
func pass(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *slowWeb) RoundTrip(r *http.Request) (*http.Response, error) {
	host, now, d := r.URL.Host, time.Now(), takes(r)
	w.mu.Lock()
	w.asked[r.URL.String()]++
	if _, ok := w.first[host]; !ok {
		w.first[host] = now
	}
	last, ok := w.last[host]
	switch rest := max(min(w.took[host], 30*time.Second), w.delay); {
	case ok && last.After(now):
		w.faults = append(w.faults, fmt.Sprintf("%s was asked while it was answering", r.URL))
	case ok && now.Sub(last) < rest:
		w.faults = append(w.faults, fmt.Sprintf("%s was asked %v after the last answer of its host, want %v", r.URL, now.Sub(last), rest))
	}
	w.last[host] = now.Add(d)
	late := time.Duration(0) // of the body
	if strings.Contains(host, "-body.") {
		late, d = d, 0
	}
	if r.URL.Path != "/robots.txt" {
		w.took[host] = d
	}
	w.mu.Unlock()
	if err := pass(r.Context(), d); err != nil {
		return nil, err
	}
	status, body := http.StatusOK, ""
	if r.URL.Path == "/robots.txt" {
		status = http.StatusNotFound
	} else if body = w.pages(r); body == "fails" {
		return nil, errors.New("connection reset by peer")
	}
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/html"}},
		Body: io.NopCloser(&lateBody{strings.NewReader(body), late, r.Context()}), ContentLength: int64(len(body)), Request: r,
	}, nil
}

// ended returns when the last answer of a quick host, or of a slow one, had come.
func (w *slowWeb) ended(slow bool) (at time.Time) {
	for host, last := range w.last {
		if (takesHost(host) > 0) == slow && last.After(at) {
			at = last
		}
	}
	return at
}

// check reports what no server is to see: a request before its time, or, unless often,
// one that was made before.
func (w *slowWeb) check(t *testing.T) {
	t.Helper()
	for _, f := range w.faults {
		t.Error(f)
	}
	for u, n := range w.asked {
		if n > 1 {
			t.Errorf("%s was asked for %d times", u, n)
		}
	}
}

// crawlSlow crawls the seeds on a store, until the crawl is complete or ctx ends.
func crawlSlow(ctx context.Context, t *testing.T, store *queue.Store, w *slowWeb, s crawler.Settings, seeds ...string) {
	t.Helper()
	if s.Stages == nil {
		s.Stages = []crawler.Stage{{Name: crawler.StageCrawl}}
	}
	c, err := crawler.New(store, &crawler.Options{Settings: s, Seeds: crawler.Seeds(seeds...), Transport: always(w)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// laneSeeds are the first addresses of so many chains on each host.
func laneSeeds(width int, hosts ...string) (seeds []string) {
	for _, host := range hosts {
		for lane := range width {
			seeds = append(seeds, fmt.Sprintf("http://%s/%d/1", host, lane))
		}
	}
	return seeds
}

// lanes are so many chains "/0/1", "/0/2", … to a depth.
func lanes(depth int) func(r *http.Request) string {
	return func(r *http.Request) string {
		var lane, n int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d/%d", &lane, &n); err != nil || n >= depth {
			return "the end"
		}
		return fmt.Sprintf("<a href=/%d/%d>next</a>", lane, n+1)
	}
}

// Of a hundred hosts twenty answer slowly. However many addresses they have in a
// generation, the others are crawled as fast as politeness lets them and a moment for
// each generation; no server is asked twice, or before its pause is over; and in the end
// everything is there.
func TestSlowHostsDoNotStopTheOthers(t *testing.T) {
	const depth, hosts = 8, 100
	for _, tt := range []struct {
		width  int           // addresses of a host in a generation
		moment time.Duration // for a generation
	}{{1, 200 * time.Millisecond}, {3, 1500 * time.Millisecond}} {
		t.Run(fmt.Sprintf("%d addresses", tt.width), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSlowWeb(lanes(depth))
				store := openMemory(t)
				var names []string
				for i := range hosts {
					kind := "quick"
					if i%5 == 0 {
						kind = []string{"1500ms", "3s", "8s", "30s", "5s-body"}[i/5%5]
					}
					names = append(names, fmt.Sprintf("%s.%d.example", kind, i))
				}
				began := time.Now()
				crawlSlow(t.Context(), t, store, w, crawler.Settings{}, laneSeeds(tt.width, names...)...)
				alone := time.Duration(depth*tt.width+1) * time.Second // and robots.txt
				took := w.ended(false).Sub(began)
				t.Logf("the quick hosts took %v, %.2f of what they take alone; the slow ones %v", took, took.Seconds()/alone.Seconds(), w.ended(true).Sub(began))
				if most := alone + 2*time.Second + depth*tt.moment; took > most {
					t.Errorf("the quick hosts took %v, want %v at most", took, most)
				}
				w.check(t)
				st, err := inspect.ReadStatus(t.Context(), store)
				if err != nil {
					t.Fatal(err)
				}
				if want := int64(hosts * tt.width * depth); !st.Done || st.Pages != want || st.Failures != 0 || len(st.Sick) != 0 {
					t.Errorf("done %v, %d pages, %d failures, slow %v; want %d pages", st.Done, st.Pages, st.Failures, st.Sick, want)
				}
				for _, g := range st.Generations {
					if g.URLs != g.Fetched+g.Failed+g.Deferred {
						t.Errorf("generation %d: %d addresses, but %d fetched, %d failed, %d deferred", g.Number, g.URLs, g.Fetched, g.Failed, g.Deferred)
					}
				}
				if err := store.Check(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// An answer that nobody waited for is there when its address comes back, with what it
// counts, counted once: the page, the budget of its host, the pattern of its trap. A
// request that fails is tried again as ever.
func TestParkedAnswersAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := false
		w := newSlowWeb(func(r *http.Request) string {
			switch {
			case takes(r) == 0:
				return lanes(100)(r)
			case r.URL.Path == "/2000/01/02":
				return "<a href=/2000/01/03>next</a>"
			case !failed:
				failed = true
				return "fails"
			}
			return "the end"
		})
		store := openMemory(t)
		crawlSlow(t.Context(), t, store, w, crawler.Settings{MaxHostPages: 100},
			"http://30s.example/2000/01/02", "http://quick.example/0/1", "http://other.example/0/1")
		if n := w.asked["http://30s.example/2000/01/02"]; n != 1 {
			t.Errorf("the page was asked for %d times", n)
		}
		if n := w.asked["http://30s.example/2000/01/03"]; n != 2 {
			t.Errorf("the page that failed once was asked for %d times, want 2", n)
		}
		pages := records[crawler.Page](t, store, "pages")
		for _, u := range []string{"http://30s.example/2000/01/02", "http://30s.example/2000/01/03"} {
			if p := pages[u]; p.URL == "" || p.Generation == 0 {
				t.Errorf("%s is a page of generation %d: it has not left its own", u, p.Generation)
			}
		}
		for table, want := range map[string]map[string]string{
			"patterns": {"30s.example/*/*/*": "2"}, "uses": {"0/30s.example/pages": "2"},
		} {
			found, err := store.Scan(t.Context(), table, "", "", 100)
			if err != nil {
				t.Fatal(err)
			}
			for key, n := range want {
				i := slices.IndexFunc(found, func(r queue.Record) bool { return strings.Contains(r.Key, key) })
				if i < 0 || string(found[i].Value) != n {
					t.Errorf("table %s: %s, want %s of %s", table, found, n, key)
				}
			}
		}
	})
}

// While an answer is waited for elsewhere status, holding and why name its host.
func TestSlowHostsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlowWeb(lanes(20))
		store := openMemory(t)
		began := time.Now()
		w.pages = func(r *http.Request) string {
			if r.URL.String() == "http://quick.example/0/15" {
				st, err := inspect.ReadStatus(t.Context(), store)
				if err != nil {
					t.Error(err)
				} else if len(st.Sick) != 1 || st.Sick[0].Host != "50s.example" || !st.Sick[0].Slow || st.Sick[0].Error == "" || !st.Sick[0].Since.After(began) || !st.Sick[0].Until.After(time.Now()) {
					t.Errorf("status names %+v", st.Sick)
				}
				e, err := inspect.Explain(t.Context(), store, "http://50s.example/0/1", nil)
				if err != nil {
					t.Error(err)
				} else if e.State != inspect.StateDeferred || e.Host.Sick == nil || !e.Host.Sick.Slow {
					t.Errorf("why says %s, host %+v", e.State, e.Host.Sick)
				}
			}
			return lanes(20)(r)
		}
		crawlSlow(t.Context(), t, store, w, crawler.Settings{}, laneSeeds(1, "50s.example", "quick.example", "other.example")...)
		w.check(t)
	})
}

// With Grace switched off generations wait for slow hosts, however long; and where there
// is nobody else nothing leaves its generation.
func TestSlowHostsAreWaitedFor(t *testing.T) {
	for name, seeds := range map[string][]string{
		"exact": laneSeeds(1, "9s.example", "quick.example"),
		"alone": laneSeeds(1, "9s.example"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newSlowWeb(lanes(5))
				store := openMemory(t)
				s := crawler.Settings{}
				if name == "exact" {
					s.Grace = -1
				}
				crawlSlow(t.Context(), t, store, w, s, seeds...)
				w.check(t)
				for u, p := range records[crawler.Page](t, store, "pages") {
					if p.Generation != p.Depth {
						t.Errorf("%s is a page of generation %d and depth %d", u, p.Generation, p.Depth)
					}
				}
			})
		})
	}
}

// A process that ends while a request is parked loses its answer and nothing else: the
// address is asked for again, when the pause is over that followed the end.
func TestParkedRequestsOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSlowWeb(lanes(12))
		disk := memqueue.NewDisk()
		for life := range 2 {
			db, err := disk.Driver()
			if err != nil {
				t.Fatal(err)
			}
			store, err := queue.New(t.Context(), db, nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			if life == 0 {
				time.AfterFunc(8*time.Second, stop)
			}
			crawlSlow(ctx, t, store, w, crawler.Settings{}, laneSeeds(1, "20s.example", "quick.example", "other.example")...)
			stop()
			if life == 0 {
				if st, err := inspect.ReadStatus(t.Context(), store); err != nil || len(st.Sick) != 1 {
					t.Errorf("the first process ended while %v was parked, %v; want one host", st.Sick, err)
				}
				w.last["20s.example"] = time.Now() // the connection has ended
			} else if pages := records[crawler.Page](t, store, "pages"); len(pages) != 36 {
				t.Errorf("%d pages, want 36", len(pages))
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range w.faults {
			t.Error(f)
		}
		for u, n := range w.asked {
			if n > 1 && (n > 2 || !strings.HasPrefix(u, "http://20s")) {
				t.Errorf("%s was asked for %d times", u, n)
			}
		}
	})
}

// An answer for which there is no room is asked for once more, and that one is waited for.
func TestParkedAnswersHaveABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := strings.Repeat("water ", 40<<10)
		w := newSlowWeb(func(r *http.Request) string {
			if takes(r) > 0 {
				return large
			}
			return lanes(150)(r)
		})
		store := openMemory(t)
		crawlSlow(t.Context(), t, store, w, crawler.Settings{Memory: 1 << 20}, "http://20s.example/0/150", "http://quick.example/0/1", "http://other.example/0/1")
		if n := w.asked["http://20s.example/0/150"]; n != 2 {
			t.Errorf("the page was asked for %d times, want 2", n)
		}
		if pages := records[crawler.Page](t, store, "pages"); len(pages) != 301 {
			t.Errorf("%d pages, want 301", len(pages))
		}
		for _, f := range w.faults {
			t.Error(f)
		}
	})
}

// A hook that panics in a request of a slow host, or ends its goroutine, fails the page and
// not the process.
func TestPanicInARequest(t *testing.T) {
	for want, hook := range map[string]func(){
		"hook":           func() { panic("hook") },
		"runtime.Goexit": runtime.Goexit,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newSlowWeb(lanes(3))
			store := openMemory(t)
			c, err := crawler.New(store, &crawler.Options{
				Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Retries: -1, IgnoreRobots: true}, Seeds: crawler.Seeds("http://a.example/0/1"), Transport: always(w),
				BeforeRequest: func(*http.Request, crawler.Request) error { hook(); return nil },
				Logger:        slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if f := records[crawler.Failure](t, store, "failures")["http://a.example/0/1"]; f.Reason != crawler.ReasonPanic || !strings.HasPrefix(f.Detail, want) {
				t.Errorf("the failure is %+v, want %s", f, want)
			}
		})
	}
}

// A host that takes longer than any request may is given up in the end like one that
// refuses, and holds nobody up either.
func TestHostsThatNeverAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const depth = 30
		w := newSlowWeb(lanes(depth))
		store := openMemory(t)
		began := time.Now()
		crawlSlow(t.Context(), t, store, w, crawler.Settings{GiveUp: time.Hour}, laneSeeds(1, "300s.example", "quick.example", "other.example")...)
		alone := (depth + 1) * time.Second
		if took := w.ended(false).Sub(began); took > alone+depth*200*time.Millisecond+crawler.DefaultGrace {
			t.Errorf("the quick hosts took %v, alone they take %v", took, alone)
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil || !st.Done || st.Pages != 2*depth || st.Failures != 1 || len(st.Sick) != 0 {
			t.Errorf("done %v, %d pages, %d failures, %v sick, %v", st.Done, st.Pages, st.Failures, st.Sick, err)
		}
	})
}

// Several processes leave a slow host alone while one of them waits for its answer, and
// lose nothing.
func TestSlowHostsOfSeveralWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const depth, hosts = 10, 12
		w := newSlowWeb(lanes(depth))
		store := openMemory(t)
		var names []string
		for i := range hosts {
			kind := "quick"
			if i%3 == 0 {
				kind = []string{"3s", "15s"}[i/3%2]
			}
			names = append(names, fmt.Sprintf("%s.%d.example", kind, i))
		}
		o := crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}, Transport: always(w), Shared: true,
		}
		with := o
		with.Seeds = crawler.Seeds(laneSeeds(2, names...)...)
		main, err := crawler.New(store, &with)
		if err != nil {
			t.Fatal(err)
		}
		if err := main.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for range 2 {
			worker, err := crawler.New(store, &o)
			if err != nil {
				t.Fatal(err)
			}
			group.Go(func() {
				if err := worker.Work(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		began := time.Now()
		if err := main.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		group.Wait()
		t.Logf("the quick hosts took %v, the slow ones %v", w.ended(false).Sub(began), w.ended(true).Sub(began))
		for _, f := range w.faults {
			t.Error(f)
		}
		if pages := records[crawler.Page](t, store, "pages"); len(pages) != 2*hosts*depth {
			t.Errorf("%d pages, want %d", len(pages), 2*hosts*depth)
		}
		if err := store.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
