package badgerqueue_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// failingDriver fails one commit, before or after it has happened.
type failingDriver struct {
	driver.Store
	left  atomic.Int64 // commits until the one that fails
	after bool
}

var errDevice = errors.New("input/output error")

func (d *failingDriver) Commit(ctx context.Context, writes []driver.Write) error {
	if d.left.Add(-1) != 0 {
		return d.Store.Commit(ctx, writes)
	}
	if d.after {
		if err := d.Store.Commit(ctx, writes); err != nil {
			return err
		}
	}
	return errDevice
}

// TestCommitFailure fails a commit while others wait in every way there is. The
// store refuses everything from then on, all that waited return, and the next
// open finds the batch whole or absent.
func TestCommitFailure(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			ctx := context.Background()
			dir := filepath.Join(t.TempDir(), "store")
			inner, err := badgerqueue.OpenDriver(dir, small())
			if err != nil {
				t.Fatal(err)
			}
			d := &failingDriver{Store: inner, after: after}
			s, err := queue.New(ctx, d, &small().Queue)
			if err != nil {
				t.Fatal(err)
			}
			var tx queue.Tx
			tx.Configure("full", queue.Config{HighWaterItems: 1})
			tx.Enqueue("full", queue.Item{Body: []byte("fills it")})
			tx.Enqueue("held", queue.Item{Body: []byte("is held")})
			tx.Barrier("held", nil)
			must(t, s.Commit(ctx, &tx))
			held, err := s.Subscribe(ctx, "held", nil)
			must(t, err)
			ds, err := held.Receive(ctx, 1)
			must(t, err)
			idle, err := s.Subscribe(ctx, "idle", nil)
			must(t, err)
			barriers, err := s.Barriers(ctx, "held")
			must(t, err)

			waiting := map[string]func() error{
				"Receive":            func() error { _, err := idle.Receive(ctx, 1); return err },
				"Receive of another": func() error { _, err := held.Receive(ctx, 1); return err },
				"WaitSpace":          func() error { return s.WaitSpace(ctx, "full") },
				"WaitBarrier":        func() error { return s.WaitBarrier(ctx, barriers[0].ID) },
				"Drain":              func() error { return s.Drain(ctx, "held") },
				"Commit that waits": func() error {
					var tx queue.Tx
					tx.Enqueue("full", queue.Item{Body: []byte("too much")})
					tx.WaitIfFull()
					return s.Commit(ctx, &tx)
				},
			}
			var wg sync.WaitGroup
			for name, wait := range waiting {
				wg.Go(func() {
					if err := wait(); !errors.Is(err, queue.ErrFailed) {
						t.Errorf("%s returned %v, want ErrFailed", name, err)
					}
				})
			}
			// Drain pauses its queue in a commit of its own, which must not be
			// the one that fails.
			waitFor(t, "pause", func() bool {
				stats, err := s.QueueStats(ctx, "held")
				return err == nil && stats.Paused
			})
			d.left.Store(1)
			tx.Reset()
			tx.Put("r", "k", []byte("v"))
			tx.Ack(ds...)
			if err := s.Commit(ctx, &tx); !errors.Is(err, queue.ErrFailed) || !errors.Is(err, errDevice) {
				t.Errorf("commit returned %v, want ErrFailed with the cause", err)
			}
			wg.Wait()

			tx.Reset()
			tx.Put("r", "k", []byte("v"))
			_, getErr := s.Get(ctx, "r", "k")
			_, subErr := s.Subscribe(ctx, "new", nil)
			for name, err := range map[string]error{"Commit": s.Commit(ctx, &tx), "Get": getErr, "Subscribe": subErr, "Check": s.Check(ctx)} {
				if !errors.Is(err, queue.ErrFailed) {
					t.Errorf("%s on the failed store returned %v, want ErrFailed", name, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}

			s, err = badgerqueue.Open(dir, small())
			must(t, err)
			defer s.Close()
			must(t, s.Check(ctx))
			_, err = s.Get(ctx, "r", "k")
			stats, statsErr := s.QueueStats(ctx, "held")
			must(t, statsErr)
			there, acked := err == nil, stats.Ready == 0
			if there != after || acked != after {
				t.Errorf("after the next open: record %v, item settled %v, want %v", there, acked, after)
			}
		})
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// TestCloseLeavesNothingBehind closes stores in the middle of everything. All
// calls return, and no goroutine is left, not even one of Badger's.
func TestCloseLeavesNothingBehind(t *testing.T) {
	closeBusyStore(t) // what a first use starts for good is not counted
	before := goroutines(t)
	for range 3 {
		closeBusyStore(t)
	}
	left := func() (extra []string) {
		for stack, n := range goroutines(t) {
			if n > before[stack] {
				extra = append(extra, fmt.Sprintf("%d more of\n%s", n-before[stack], stack))
			}
		}
		return extra
	}
	waitFor(t, "end of all goroutines", func() bool {
		extra := left()
		if len(extra) > 0 {
			t.Log("still waiting for", strings.Join(extra, "\n"))
		}
		return len(extra) == 0
	})
}

func closeBusyStore(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	s, err := badgerqueue.Open(filepath.Join(t.TempDir(), "store"), small())
	must(t, err)
	var wg sync.WaitGroup
	ended := func(name string, err error) {
		if !errors.Is(err, queue.ErrClosed) {
			t.Errorf("%s returned %v, want ErrClosed", name, err)
		}
	}
	var busy atomic.Int64
	for i := range 8 {
		c, err := s.Subscribe(ctx, "q", nil)
		must(t, err)
		idle, err := s.Subscribe(ctx, "idle", &queue.SubscribeOptions{Lease: 1 << 40})
		must(t, err)
		wg.Go(func() {
			_, err := idle.Receive(ctx, 1)
			ended("Receive", err)
		})
		wg.Go(func() {
			for {
				var tx queue.Tx
				tx.Enqueue("q", queue.Item{Key: fmt.Sprint(i, busy.Add(1)), Body: make([]byte, 500)})
				if err := s.Commit(ctx, &tx); err != nil {
					ended("Commit", err)
					return
				}
				ds, err := c.Receive(ctx, 10)
				if err != nil {
					ended("Receive", err)
					return
				}
				tx.Reset()
				tx.Ack(ds...)
				if err := s.Commit(ctx, &tx); err != nil && !errors.Is(err, queue.ErrLeaseLost) {
					ended("Commit", err)
					return
				}
			}
		})
	}
	waitFor(t, "work", func() bool { return busy.Load() > 500 })
	must(t, s.Close())
	wg.Wait()
	ended("second Close", s.Close())
}

var stackNoise = regexp.MustCompile(`(?m)0x[0-9a-f]+|\+0x[0-9a-f]+`)

// goroutines counts the goroutines of each kind.
func goroutines(tb testing.TB) map[string]int {
	tb.Helper()
	var b strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		tb.Fatal(err)
	}
	kinds := make(map[string]int)
	for _, block := range strings.Split(b.String(), "\n\n") {
		head, stack, _ := strings.Cut(block, "\n")
		if strings.HasPrefix(head, "goroutine profile") {
			head, stack, _ = strings.Cut(stack, "\n")
		}
		var n int
		if _, err := fmt.Sscanf(head, "%d @", &n); err == nil && !strings.Contains(stack, "pprof.(*Profile).WriteTo") {
			kinds[stackNoise.ReplaceAllString(stack, "")] += n
		}
	}
	return kinds
}
