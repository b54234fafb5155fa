package badgerqueue_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var large = flag.Bool("large", false, "benchmark with ten million items too, which takes minutes and gigabytes")

// sizes are numbers of items from a thousand up, by factors of a hundred or
// less.
func sizes() []int {
	all := []int{1e3, 1e5, 1e6}
	if *large {
		all = append(all, 1e7)
	}
	return all
}

// kept returns a function that returns a store, made by the first call and
// closed with b, so that running a benchmark for longer does not fill it again.
func kept(b *testing.B, fill func(s *queue.Store)) func() *queue.Store {
	return sync.OnceValue(func() *queue.Store {
		s := openStore(b)
		fill(s)
		settle()
		return s
	})
}

// settle waits until Badger has compacted what was written, a minute at most:
// that is the cost of filling a store, not of using one that is full.
func settle() {
	for range 60 {
		used := cputime.Used()
		time.Sleep(time.Second)
		if cputime.Used()-used < 20*time.Millisecond {
			return
		}
	}
}

// BenchmarkBehind takes and acks batches of 100 with so many items behind them.
// It enqueues what it takes, so that the number stays.
func BenchmarkBehind(b *testing.B) {
	const batch = 100
	for _, n := range sizes() {
		store := kept(b, func(s *queue.Store) { fill(b, s, "q", n, 0) })
		b.Run(fmt.Sprintf("items=%d", n), func(b *testing.B) {
			s := store()
			ctx := context.Background()
			c, err := s.Subscribe(ctx, "q", nil)
			must(b, err)
			defer c.Close()
			items := make([]queue.Item, batch)
			for i := range items {
				items[i].Body = body
			}
			parallel(b, 8, batch, "items/s", func(int) {
				ds, err := c.Receive(ctx, batch)
				if err != nil {
					b.Error(err)
					return
				}
				var tx queue.Tx
				tx.Enqueue("q", items[:len(ds)]...)
				tx.Ack(ds...)
				if err := s.Commit(ctx, &tx); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkWaitingGroups takes, acks and enqueues items of 64 groups that may
// be served, with so many groups that may not: their delay has not passed.
func BenchmarkWaitingGroups(b *testing.B) {
	const batch = 10
	for _, n := range []int{1, 1e3, 1e5, 1e6} {
		store := kept(b, func(s *queue.Store) { fillWaiting(b, s, n) })
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			s := store()
			ctx := context.Background()
			c, err := s.Subscribe(ctx, "q", nil)
			must(b, err)
			defer c.Close()
			parallel(b, 8, batch, "items/s", func(int) {
				ds, err := c.Receive(ctx, batch)
				if err != nil {
					b.Error(err)
					return
				}
				var tx queue.Tx
				for _, d := range ds {
					tx.Enqueue("q", queue.Item{Group: d.Item.Group, Body: body})
				}
				tx.Ack(ds...)
				if err := s.Commit(ctx, &tx); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// fillWaiting makes n groups of two items, serves each once, so that it must
// wait for an hour, and adds 64 groups that need not wait.
func fillWaiting(tb testing.TB, s *queue.Store, n int) {
	tb.Helper()
	ctx := context.Background()
	var tx queue.Tx
	tx.Configure("q", queue.Config{Groups: queue.GroupPolicy{MinDelay: time.Hour}})
	must(tb, s.Commit(ctx, &tx))
	fill(tb, s, "q", 2*n, n)
	c, err := s.Subscribe(ctx, "q", nil)
	must(tb, err)
	defer c.Close()
	for served := 0; served < n; {
		ds, err := c.Receive(ctx, 1000)
		must(tb, err)
		served += len(ds)
		tx.Reset()
		tx.Ack(ds...)
		must(tb, s.Commit(ctx, &tx))
	}
	tx.Reset()
	for i := range 64 {
		name := fmt.Sprintf("served-%02d", i)
		tx.SetGroup("q", name, queue.GroupSettings{MinDelay: -1})
		for range 100 {
			tx.Enqueue("q", queue.Item{Group: name, Body: body})
		}
	}
	must(tb, s.Commit(ctx, &tx))
}

// BenchmarkOpenAfterCrash opens the copy of a store that is open, as a crash of
// its process would leave it.
func BenchmarkOpenAfterCrash(b *testing.B) {
	for _, n := range sizes()[1:] {
		crashed := sync.OnceValue(func() string { return crash(b, n) })
		b.Run(fmt.Sprintf("items=%d", n), func(b *testing.B) {
			dir := crashed()
			var worst time.Duration
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				image := copyFolder(b, dir)
				b.StartTimer()
				begin := time.Now()
				s, err := badgerqueue.Open(image, nil)
				if err != nil {
					b.Fatal(err)
				}
				c, err := s.Subscribe(context.Background(), "q", nil)
				must(b, err)
				if _, err := c.Receive(context.Background(), 1); err != nil {
					b.Fatal(err)
				}
				worst = max(worst, time.Since(begin))
				b.StopTimer()
				must(b, s.Close())
				os.RemoveAll(image)
				b.StartTimer()
			}
			b.ReportMetric(worst.Seconds(), "s/worst-open")
		})
	}
}

// crash returns the folder of a process that was killed when it had enqueued n
// keyed items.
func crash(b *testing.B, n int) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "store")
	b.Setenv("WEIR_TEST_ITEMS", strconv.Itoa(n))
	r, w, err := os.Pipe()
	must(b, err)
	defer r.Close()
	c := startChild(b, "crash", dir, w)
	w.Close()
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		b.Fatal(err, &c.errs)
	}
	c.Process.Kill()
	c.Wait()
	return dir
}

// fillAndDie fills a store with keyed items and dies as by SIGKILL.
func fillAndDie(dir string, w io.Writer) error {
	n, err := strconv.Atoi(os.Getenv("WEIR_TEST_ITEMS"))
	if err != nil {
		return err
	}
	s, err := badgerqueue.Open(dir, nil)
	if err != nil {
		return err
	}
	if err := offer(s, 0, n); err != nil {
		return err
	}
	fmt.Fprintln(w, "full")
	select {}
}

// offer enqueues keyed items from to to.
func offer(s *queue.Store, from, to int) error {
	var failed atomic.Pointer[error]
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				i := int(next.Add(1000)) - 1000
				if i >= to {
					return
				}
				items := make([]queue.Item, min(1000, to-i))
				for j := range items {
					items[j] = queue.Item{Key: page(int64(i + j)), Body: body}
				}
				var tx queue.Tx
				tx.Enqueue("q", items...)
				if err := s.Commit(context.Background(), &tx); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func page(n int64) string {
	return fmt.Sprintf("https://example.com/some/path/to/page-%010d.html", n)
}

// BenchmarkOfferAtScale offers URLs of which half have been seen, 500 at a time,
// with so many seen before.
func BenchmarkOfferAtScale(b *testing.B) {
	const batch = 500
	for _, n := range sizes()[1:] {
		var fresh atomic.Int64
		fresh.Store(int64(n))
		store := kept(b, func(s *queue.Store) { must(b, offer(s, 0, n)) })
		b.Run(fmt.Sprintf("seen=%d", n), func(b *testing.B) {
			s := store()
			parallel(b, 8, batch, "offers/s", func(int) {
				items := make([]queue.Item, batch)
				for i := range items {
					k := rand.Int64N(fresh.Load())
					if i%2 == 0 {
						k = fresh.Add(1)
					}
					items[i] = queue.Item{Key: page(k), Body: body}
				}
				var tx queue.Tx
				tx.Enqueue("q", items...)
				if err := s.Commit(context.Background(), &tx); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkFilterAfterOpen reports the processor time in which the filter of keys
// reads those of earlier runs, in the background, when the first key is enqueued.
func BenchmarkFilterAfterOpen(b *testing.B) {
	for _, n := range sizes()[1:] {
		dir := sync.OnceValue(func() string {
			dir := filepath.Join(b.TempDir(), "store")
			s, err := badgerqueue.Open(dir, nil)
			must(b, err)
			must(b, offer(s, 0, n))
			settle()
			must(b, s.Close())
			return dir
		})
		b.Run(fmt.Sprintf("seen=%d", n), func(b *testing.B) {
			var used time.Duration
			for range b.N {
				s, err := badgerqueue.Open(dir(), nil)
				must(b, err)
				settle()
				before := cputime.Used()
				must(b, offer(s, n, n+1))
				settle()
				used += cputime.Used() - before
				must(b, s.Close())
			}
			b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s")
			b.ReportMetric(used.Seconds()/float64(b.N)/float64(n)*1e6, "cpu-µs/key")
		})
	}
}

// BenchmarkMemory reports what a store takes with so many items, or so many
// groups with one item each, waiting.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct {
		name string
		per  int // items to a group
	}{{"items", 0}, {"groups", 1}} {
		for _, n := range sizes() {
			if c.per > 0 && n > 1e6 {
				continue
			}
			b.Run(fmt.Sprintf("%s=%d", c.name, n), func(b *testing.B) {
				for range b.N {
					heap, rss := heapBytes(), residentBytes(b)
					s, err := badgerqueue.Open(filepath.Join(b.TempDir(), "store"), nil)
					must(b, err)
					fill(b, s, "q", n, n*c.per)
					b.ReportMetric(float64(heapBytes()-heap)/(1<<20), "heap-MiB")
					b.ReportMetric(float64(heapBytes()-heap)/float64(n), "heap-B/"+strings.TrimSuffix(c.name, "s"))
					b.ReportMetric(float64(residentBytes(b)-rss)/(1<<20), "rss-MiB")
					settle() // full memtables are written to tables
					b.ReportMetric(float64(heapBytes()-heap)/(1<<20), "settled-heap-MiB")
					must(b, s.Close())
				}
			})
		}
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// residentBytes returns the anonymous memory of this process: tables and logs
// are mapped, and the system takes them back when it needs the room.
func residentBytes(tb testing.TB) int64 {
	tb.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}
