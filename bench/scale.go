package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// generated serves page i of a web of any size, which is made when it is asked for:
// 1 KB with links to its children in a tree of thirds and to seven others.
func generated(w http.ResponseWriter, r *http.Request) {
	n, page, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/gen/"), "/")
	count, err := strconv.Atoi(n)
	i, err2 := strconv.Atoi(page)
	if !ok || err != nil || err2 != nil || i < 0 || i >= count {
		http.NotFound(w, r)
		return
	}
	_, port, _ := strings.Cut(r.Host, ":")
	b := fmt.Appendf(nil, "<!doctype html><title>Page %d</title><p>Page %d of %d.\n", i, i, count)
	link := func(to int) {
		b = fmt.Appendf(b, "<a href=\"http://127.5.0.%d:%s/gen/%d/%d\">page %d</a>\n", to%hosts+1, port, count, to, to)
	}
	for child := 3*i + 1; child <= 3*i+3 && child < count; child++ {
		link(child)
	}
	for k := range 7 {
		link(int(uint64(i*7+k+1) * 0x9e3779b97f4a7c15 >> 20 % uint64(count)))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b)
}

// weirScale crawls a generated web and prints what pages cost from tenth to tenth,
// then what it takes to open the store and to ask it something.
func weirScale(s sites) (result, error) {
	root, _, _ := strings.Cut(s.Seed, "/page/")
	settings := records(scope.WithinAny)
	settings.Delay, settings.PerHost, settings.Workers, settings.AllowPrivate = -1, 8, concurrency, true
	return scale(&crawler.Options{Settings: settings, Seeds: crawler.Seeds(fmt.Sprintf("%s/gen/%d/0", root, *pages))}, watcher{total: int64(*pages)})
}

// scale is a crawl by these options, with a watcher that knows how large it is.
func scale(o *crawler.Options, w watcher) (result, error) {
	dir := os.Getenv("WEIR_BENCH_DIR") // on the disk that is meant
	dir, err := os.MkdirTemp(dir, "weir-bench-")
	if err != nil {
		return result{}, err
	}
	if *keep {
		defer logf("the store is in %s", filepath.Join(dir, "store"))
	} else {
		defer os.RemoveAll(dir)
	}
	memory.TuneCollector()
	memory.SetBudget(crawler.DefaultMemory, o.Settings.Runs(crawler.StageExtract))
	ctx := context.Background()
	start := time.Now()
	store, err := w.crawl(ctx, dir, o)
	if err == nil && w.stop > 0 {
		if err := store.Close(); err != nil {
			return result{}, err
		}
		w.stop = 0
		store, err = w.crawl(ctx, dir, o)
	}
	if err != nil {
		return result{}, err
	}
	r := result{Elapsed: time.Since(start)}
	st, err := inspect.ReadStatus(ctx, store)
	if err != nil {
		return r, err
	}
	if !st.Done {
		return r, fmt.Errorf("the crawl is not complete: %+v", st)
	}
	r.Pages, r.Unique = int(st.Pages), int(st.Pages)
	last, err := kinds(ctx, store, r.Pages)
	if err != nil {
		return r, err
	}
	if err := store.Close(); err != nil {
		return r, err
	}
	r.Disk = size(dir)
	return r, reopen(ctx, filepath.Join(dir, "store"), last)
}

// A watcher crawls, and prints what a page or a request costs from tenth to tenth, and
// each time that there are ten times as many of them.
type watcher struct {
	total    int64
	requests *atomic.Int64 // so far, if they are counted and not pages
	stop     int64         // when the crawl is stopped; 0 for never

	before     time.Duration
	last, next int64
}

// crawl opens a store and crawls, until the crawl is over or stopped.
func (w *watcher) crawl(ctx context.Context, dir string, o *crawler.Options) (*queue.Store, error) {
	start := time.Now()
	store, err := badgerqueue.Open(filepath.Join(dir, "store"), memory.StoreOptions())
	if err != nil {
		return nil, err
	}
	c, err := crawler.New(store, o)
	if err != nil {
		return nil, err
	}
	opened := time.Since(start)
	if err := c.Begin(ctx); err != nil {
		return nil, err
	}
	began, err := w.done(ctx, store)
	if err != nil {
		return nil, err
	}
	running, end := context.WithCancel(ctx)
	defer end()
	over := make(chan error, 1)
	go func() { over <- c.Run(running) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-over:
			if err != nil {
				return nil, err
			}
			n, err := w.done(ctx, store)
			if err != nil {
				return nil, err
			}
			w.report(n)
			return store, nil
		case <-tick.C:
		}
		n, err := w.done(ctx, store)
		if err != nil {
			return nil, err
		}
		if began > 0 && n > began {
			logf("goes on after %d %s: opened in %v, the next after %v", began, w.unit(), opened.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
			began = 0
		}
		if n >= w.next {
			w.report(n)
		}
		if w.stop > 0 && n >= w.stop {
			end()
		}
	}
}

// done is how far the crawl has come.
func (w *watcher) done(ctx context.Context, store *queue.Store) (int64, error) {
	if w.requests != nil {
		return w.requests.Load(), nil
	}
	st, err := inspect.ReadProgress(ctx, store)
	return int64(st.Pages), err
}

func (w *watcher) unit() string {
	if w.requests != nil {
		return "requests"
	}
	return "pages"
}

// report prints what was done since the last report.
func (w *watcher) report(n int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil || n == w.last {
		return
	}
	used := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	logf("%9d %s: %4.0f us of processor time each since %d; %d MB in memory without mapped files, %d MB of these; %d MB at most; %d goroutines, %d open files",
		n, w.unit(), float64((used-w.before).Microseconds())/float64(n-w.last), w.last, resident("RssAnon")>>10, resident("RssFile")>>10, u.Maxrss>>10,
		runtime.NumGoroutine(), openFiles())
	if *profile != "" {
		writeHeap(fmt.Sprintf("%s.heap.%d", *profile, n))
	}
	w.before, w.last = used, n
	w.next = n - n%max(w.total/10, 1) + max(w.total/10, 1)
	for decade := int64(1000); decade < w.next; decade *= 10 {
		if n < decade {
			w.next = decade
		}
	}
}

// openFiles is how many files and sockets this process has, or 0 on another system.
func openFiles() int {
	names, _ := os.ReadDir("/proc/self/fd")
	return len(names)
}

func logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// kinds prints how many bytes the records of each table take, with their keys, and
// returns the address of a page in the middle.
func kinds(ctx context.Context, store *queue.Store, pages int) (address string, err error) {
	for _, table := range []string{"pages", "digests", "skips", "skipsets", "texts", "tags", "captures"} {
		n, bytes := 0, 0
		for from := ""; ; {
			records, err := store.Scan(ctx, table, from, "", 1000)
			if err != nil {
				return "", err
			}
			for _, r := range records {
				n, bytes = n+1, bytes+len(r.Key)+len(r.Value)
				if table == "pages" && n <= pages/2+1 {
					address = r.Key
				}
			}
			if len(records) < 1000 {
				break
			}
			from = records[len(records)-1].Key + "\x00"
		}
		if n > 0 {
			fmt.Fprintf(os.Stderr, "%-8s %9d records, %6.0f bytes for each page\n", table, n, float64(bytes)/float64(pages))
		}
	}
	return address, nil
}

// reopen prints what it takes to ask a store something after a start.
func reopen(ctx context.Context, dir, url string) error {
	start := time.Now()
	store, err := badgerqueue.Open(dir, memory.StoreOptions())
	if err != nil {
		return err
	}
	defer store.Close()
	said := func(what string) {
		fmt.Fprintf(os.Stderr, "%-18s %v\n", what, time.Since(start).Round(time.Millisecond))
		start = time.Now()
	}
	said("open")
	if _, err := inspect.ReadStatus(ctx, store); err != nil {
		return err
	}
	said("status")
	if _, err := inspect.Explain(ctx, store, url, nil); err != nil {
		return err
	}
	said("why")
	first := errors.New("the first is enough")
	if err := inspect.WalkResults(ctx, store, func(*inspect.Result) error { return first }); !errors.Is(err, first) {
		return err
	}
	said("first export line")
	return nil
}
