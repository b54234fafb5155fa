package badgerqueue_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var powerCuts = flag.Int("power-cuts", 3, "how often to cut the power")

// TestPowerCut stops the filesystem under a child that commits, so that only
// what has reached the block device is left, and mounts it again. Every
// transaction that the child has reported is there, and every one is whole.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	rng := newRand(*damageSeed)
	for round := range max(1, *powerCuts/2) {
		d := mountImage(t, 192)
		cut := d != nil
		if !cut {
			// The substitute: the process alone dies.
			d = &disk{dir: t.TempDir()}
		}
		dir := filepath.Join(d.dir, "store")
		for generation := range 2 { // the second on what the first has left
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			c := startChild(t, "write", dir, w)
			w.Close()
			acked := make(map[string]int)
			lines := bufio.NewScanner(r)
			stop := 200 + rng.IntN(3000)
			pause := time.Duration(rng.IntN(3000)) * time.Microsecond
			for n := 0; lines.Scan(); n++ {
				count(acked, lines.Text())
				if n == stop {
					time.Sleep(pause) // a moment that no report marks
					if cut {
						if err := d.cutPower(); err != nil {
							t.Fatal(err)
						}
					}
					c.Process.Kill()
				}
			}
			c.Wait()
			r.Close()
			if len(acked) == 0 {
				t.Fatalf("the child has committed nothing: %s", tail(c.errs.String(), 2000))
			}
			if cut {
				if err := d.remount(); err != nil {
					t.Fatal(err)
				}
			}
			if err := verifyWriters(dir, acked); err != nil {
				t.Fatalf("round %d.%d, power cut %v: %v; run again with -run '%s' -damage-seed=%d", round, generation, cut, err, t.Name(), *damageSeed)
			}
		}
	}
}

// count notes that a writer's n-th transaction was acknowledged.
func count(acked map[string]int, line string) {
	var writer, n int
	if _, err := fmt.Sscanf(line, "%d %d", &writer, &n); err == nil {
		acked[fmt.Sprint(writer)] = max(acked[fmt.Sprint(writer)], n+1)
	}
}

const writers = 4

// writeForever commits until it is killed. Transaction n of a writer has a
// record, and two items of which the next transaction settles one.
func writeForever(dir string, w io.Writer) error {
	s, err := badgerqueue.Open(dir, small())
	if err != nil {
		return err
	}
	ctx := context.Background()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for i := range writers {
		wg.Go(func() {
			name := fmt.Sprint(i)
			if err := writeOn(ctx, s, name, func(n int) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(w, name, n)
			}); err != nil {
				failed.Store(&err)
			}
		})
	}
	wg.Wait()
	return *failed.Load()
}

func writeOn(ctx context.Context, s *queue.Store, name string, report func(n int)) error {
	c, err := s.Subscribe(ctx, name, nil)
	if err != nil {
		return err
	}
	records, err := s.Scan(ctx, "w"+name, "", "", 1<<20)
	if err != nil {
		return err
	}
	for n := len(records); ; n++ {
		var tx queue.Tx
		if n > 0 {
			ds, err := c.Receive(ctx, 1)
			if err != nil {
				return err
			}
			tx.Ack(ds...)
		}
		tx.Put("w"+name, fmt.Sprintf("%08d", n), fmt.Append(nil, n))
		for i := range 2 {
			tx.Enqueue(name, queue.Item{Key: fmt.Sprint(n, "/", i), Body: make([]byte, 300)})
		}
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
		report(n)
	}
}

// verifyWriters checks that what was acknowledged is there and that what is
// there is whole.
func verifyWriters(dir string, acked map[string]int) error {
	ctx := context.Background()
	s, err := badgerqueue.Open(dir, small())
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Check(ctx); err != nil {
		return err
	}
	for i := range writers {
		name := fmt.Sprint(i)
		records, err := s.Scan(ctx, "w"+name, "", "", 1<<20)
		if err != nil {
			return err
		}
		n := len(records)
		if n < acked[name] {
			return fmt.Errorf("writer %s: %d transactions are there, %d were acknowledged", name, n, acked[name])
		}
		for j, r := range records {
			if r.Key != fmt.Sprintf("%08d", j) {
				return fmt.Errorf("writer %s: transaction %d is missing", name, j)
			}
		}
		if n == 0 {
			continue
		}
		stats, err := s.QueueStats(ctx, name)
		if err != nil {
			return err
		}
		if want := int64(2*n - (n - 1)); stats.Ready != want {
			return fmt.Errorf("writer %s: %d items wait after %d transactions, want %d", name, stats.Ready, n, want)
		}
	}
	return s.Close()
}
