//go:build unix

package remote_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// asPretender is set for the process that has the workers of BenchmarkPages: its value is
// where the server is, and pagesToPretend for how many pages.
const (
	asPretender    = "WEIR_TEST_PRETENDER_AT"
	pagesToPretend = "WEIR_TEST_PRETEND_PAGES"
)

func TestMain(m *testing.M) {
	if at := os.Getenv(asPretender); at != "" {
		if err := pretendAt(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// BenchmarkPages is a crawl whose workers only pretend to fetch: each page is taken, has
// 30 links of which half are known, a record, and is acknowledged, in one transaction.
//
//	make     what the workers themselves do, beside a store that is as large and does nothing,
//	         so that what they make costs the collector what it costs there
//	here     with a store in the same process
//	server   the process that has the store, with the workers in another
//
// What the network adds on the server is server - (here - make), in processor time.
func BenchmarkPages(b *testing.B) {
	b.Run("make", func(b *testing.B) {
		store := fullStore(b)
		if err := pretendAll(b.Context(), b.N, func(int) (*queue.Store, error) { return store, nil }); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		b.ResetTimer()
		cpu := cputime.Used()
		var found atomic.Int64
		for range b.N {
			pageOf(&found, "key").Reset()
		}
		report(b, 0, cputime.Used()-cpu)
	})
	for _, network := range []bool{false, true} {
		b.Run(map[bool]string{false: "here", true: "server"}[network], func(b *testing.B) {
			store := fullStore(b)
			server, err := remote.NewServer(remote.ServerOptions{Open: true})
			if err != nil {
				b.Fatal(err)
			}
			server.Lead(store)
			web := httptest.NewUnstartedServer(nil)
			var requests atomic.Int64
			web.Config = remote.NewHTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				server.ServeHTTP(w, r)
			}))
			web.Start()
			defer web.Close()
			b.ResetTimer()
			begin, cpu := time.Now(), cputime.Used()
			if network {
				workers := exec.Command(os.Args[0])
				workers.Env = append(os.Environ(), asPretender+"="+web.URL, pagesToPretend+"="+strconv.Itoa(b.N))
				if out, err := workers.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				theirs := workers.ProcessState.UserTime() + workers.ProcessState.SystemTime()
				b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "workers-cpu-µs/page")
			} else if err := pretendAll(b.Context(), b.N, func(int) (*queue.Store, error) { return store, nil }); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if network {
				b.ReportMetric(float64(requests.Load())/float64(b.N), "requests/page")
			}
			report(b, time.Since(begin), cputime.Used()-cpu)
		})
	}
}

// fullStore returns a store with items to begin with.
func fullStore(b *testing.B) *queue.Store {
	store, err := memqueue.Open(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	var tx queue.Tx
	for i := range 10_000 {
		tx.Enqueue("crawl", link(-i-1))
	}
	if err := store.Commit(b.Context(), &tx); err != nil {
		b.Fatal(err)
	}
	return store
}

func report(b *testing.B, took, cpu time.Duration) {
	if took > 0 {
		b.ReportMetric(float64(b.N)/took.Seconds(), "pages/s")
	}
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N), "cpu-µs/page")
}

// pretendAt is the process with the workers.
func pretendAt(at string) error {
	pages, err := strconv.Atoi(os.Getenv(pagesToPretend))
	if err != nil {
		return err
	}
	var open []*queue.Store
	defer func() {
		for _, s := range open {
			s.Close()
		}
	}()
	ctx := context.Background()
	return pretendAll(ctx, pages, func(w int) (*queue.Store, error) {
		s, err := remote.Open(ctx, at, &remote.Options{Name: fmt.Sprint(w)})
		if err == nil {
			open = append(open, s)
		}
		return s, err
	})
}

// pretendAll makes pages by four workers of sixteen goroutines.
func pretendAll(ctx context.Context, pages int, open func(worker int) (*queue.Store, error)) error {
	var left, found atomic.Int64
	left.Store(int64(pages))
	var group sync.WaitGroup
	failed := make(chan error, 64)
	for w := range 4 {
		s, err := open(w)
		if err != nil {
			return err
		}
		c, err := s.Subscribe(ctx, "crawl", nil)
		if err != nil {
			return err
		}
		defer c.Close()
		for range 16 {
			group.Go(func() {
				for left.Load() > 0 {
					if err := pretend(ctx, s, c, &left, &found); err != nil {
						failed <- err
						return
					}
				}
			})
		}
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func link(i int) queue.Item {
	url := fmt.Sprintf("https://host%d.example.com/a/page/of/some/length/%d", i%1000, i)
	return queue.Item{Key: url, Body: []byte(`{"url":"` + url + `"}`)}
}

var pageRecord = make([]byte, 600)

// pageOf is what a page writes.
func pageOf(found *atomic.Int64, key string) *queue.Tx {
	tx := new(queue.Tx)
	first := int(found.Add(15)) - 15
	for i := range 15 {
		tx.Enqueue("crawl", link(first+i), link(max(first-100-i, 0)))
	}
	tx.Put("pages", key, pageRecord)
	tx.Add("crawl", "pages", 1)
	return tx
}

// pretend takes some pages and commits each.
func pretend(ctx context.Context, s *queue.Store, c *queue.Consumer, left, found *atomic.Int64) error {
	ds, err := c.Receive(ctx, 8)
	if err != nil {
		return err
	}
	for _, d := range ds {
		tx := pageOf(found, d.Item.Key)
		tx.Ack(d)
		if err := s.Commit(ctx, tx); err != nil {
			return err
		}
		left.Add(-1)
	}
	return nil
}
