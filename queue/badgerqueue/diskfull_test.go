package badgerqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
)

const (
	diskMiB  = 128
	floorMiB = 16
)

// TestDiskFull fills a small disk until producers are refused, ends the process,
// drains the queue in another, and goes on: nothing that was acknowledged is
// lost, and no process dies of a page that has no place on the disk.
func TestDiskFull(t *testing.T) {
	for _, c := range []struct {
		name  string
		mount func(testing.TB, int) *disk
	}{
		{"memory", mountMemory},
		{"ext4", mountImage},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := c.mount(t, diskMiB)
			if d == nil {
				// The substitute: a driver that says how much is left of a
				// share of the disk that is there.
				d = &disk{dir: t.TempDir()}
				t.Setenv("WEIR_TEST_SHARE", fmt.Sprint(diskMiB))
			}
			dir := filepath.Join(d.dir, "store")
			t.Log(runChild(t, "fill", dir))
			t.Log(runChild(t, "drain", dir))
		})
	}
}

// TestDiskFilledByOthers takes the space away from below an open store.
func TestDiskFilledByOthers(t *testing.T) {
	d := mountMemory(t, 64)
	if d == nil {
		d = &disk{dir: t.TempDir()}
		t.Setenv("WEIR_TEST_SHARE", "64")
	}
	dir := filepath.Join(d.dir, "store")
	ballast := filepath.Join(d.dir, "ballast")
	s, err := openOnDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := fillStore(t, s, 300, 1000, newRand(1))
	takeSpace(t, d.dir, ballast, 1<<20)
	waitFor(t, "ErrDiskFull", func() bool {
		return errors.Is(enqueueOne(s), queue.ErrDiskFull)
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err := openOnDisk(dir); !errors.Is(err, queue.ErrDiskFull) {
		t.Errorf("open returned %v, want ErrDiskFull", err)
		if err == nil {
			s.Close()
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if s, err = openOnDisk(dir); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
	if err := want.compare(s); err != nil {
		t.Error(err)
	}
	if err := enqueueOne(s); err != nil {
		t.Error(err)
	}
}

func enqueueOne(s *queue.Store) error {
	var tx queue.Tx
	tx.Enqueue("other", queue.Item{Body: []byte("one")})
	return s.Commit(context.Background(), &tx)
}

// takeSpace writes a file until only so many bytes are free.
func takeSpace(tb testing.TB, dir, path string, leave int64) {
	tb.Helper()
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	piece := make([]byte, 64<<10)
	for {
		free, err := freeOnDisk(dir)
		if err != nil {
			tb.Fatal(err)
		}
		if free <= leave {
			return
		}
		if _, err := f.Write(piece); err != nil {
			tb.Fatal(err)
		}
	}
}

// waitFor waits for something that a goroutine of the store or the system
// brings about.
func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			tb.Fatalf("no %s after a minute", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func diskOptions() *badgerqueue.Options {
	return &badgerqueue.Options{MemTable: 2 << 20, Queue: queue.Options{MinFree: floorMiB << 20}}
}

// openOnDisk opens a store that keeps to its floor.
func openOnDisk(dir string) (*queue.Store, error) {
	share := share()
	if share == 0 {
		return badgerqueue.Open(dir, diskOptions())
	}
	if free, err := freeOnDisk(filepath.Dir(dir)); err != nil || free < 4<<20 {
		return nil, errors.Join(err, queue.ErrDiskFull)
	}
	d, err := badgerqueue.OpenDriver(dir, diskOptions())
	if err != nil {
		return nil, err
	}
	return queue.New(context.Background(), shareDriver{d, filepath.Dir(dir)}, &diskOptions().Queue)
}

// share is how many bytes of the disk a test may use, or 0 if the disk is one
// of its own.
func share() int64 {
	var mib int64
	fmt.Sscan(os.Getenv("WEIR_TEST_SHARE"), &mib)
	return mib << 20
}

// shareDriver is a driver on a share of a disk.
type shareDriver struct {
	driver.Store
	dir string
}

func (d shareDriver) Free() (int64, error) {
	free, err := freeOnDisk(d.dir)
	return free - 12<<20, err
}

// fillDisk enqueues until the disk is full, and a bit more.
func fillDisk(dir string, w io.Writer) error {
	ctx := context.Background()
	s, err := openOnDisk(dir)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	n, acked, refused := 0, 0, 0
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	for range 4 {
		wg.Go(func() {
			for full := 0; full < 100; {
				mu.Lock()
				from := n
				n += 20
				mu.Unlock()
				var tx queue.Tx
				for i := range 20 {
					tx.Enqueue("q", queue.Item{Key: fmt.Sprint("key ", from+i), Group: fmt.Sprint(i), Body: make([]byte, 1000)})
				}
				err := s.Commit(ctx, &tx)
				mu.Lock()
				if err == nil {
					acked += 20
				} else {
					refused++
				}
				mu.Unlock()
				switch {
				case errors.Is(err, queue.ErrDiskFull):
					full++ // compaction may win some space back
				case err != nil:
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	stats, err := s.QueueStats(ctx, "q")
	if err != nil {
		return err
	}
	free, _ := freeOnDisk(filepath.Dir(dir))
	fmt.Fprintf(w, "%d items acknowledged, %d commits refused, %d MiB left on the disk\n", acked, refused, free>>20)
	if int(stats.Ready) != acked || refused == 0 {
		return fmt.Errorf("%d items wait, %d were acknowledged", stats.Ready, acked)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(dir), "acked"), fmt.Append(nil, acked), 0o644); err != nil {
		return err
	}
	return nil // without Close: the process dies
}

// drainDisk opens the full store, takes everything out of it, and uses it on.
func drainDisk(dir string, w io.Writer) error {
	ctx := context.Background()
	var want int
	b, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "acked"))
	if err != nil {
		return err
	}
	fmt.Sscan(string(b), &want)
	s, err := openOnDisk(dir)
	if err != nil {
		return err
	}
	if err := s.Check(ctx); err != nil {
		return err
	}
	c, err := s.Subscribe(ctx, "q", nil)
	if err != nil {
		return err
	}
	for got := 0; got < want; {
		ds, err := c.Receive(ctx, 100)
		if err != nil {
			return err
		}
		got += len(ds)
		var tx queue.Tx
		tx.Ack(ds...)
		if err := s.Commit(ctx, &tx); err != nil {
			return fmt.Errorf("after %d of %d items: %w", got, want, err)
		}
	}
	free, _ := freeOnDisk(filepath.Dir(dir))
	fmt.Fprintf(w, "drained %d items, %d MiB left\n", want, free>>20)
	// Producers go on: half of what fitted before fits again, bit by bit.
	deadline := time.Now().Add(time.Minute)
	refused := 0
	for i := 0; i < want/2; {
		var tx queue.Tx
		for j := range 20 {
			tx.Enqueue("q", queue.Item{Key: fmt.Sprint("more ", i+j), Body: make([]byte, 1000)})
		}
		switch err := s.Commit(ctx, &tx); {
		case errors.Is(err, queue.ErrDiskFull) && time.Now().Before(deadline):
			refused++
			time.Sleep(10 * time.Millisecond)
			continue
		case err != nil:
			return fmt.Errorf("after %d of %d items more, %d times refused: %w", i, want/2, refused, err)
		}
		i += 20
		ds, err := c.Receive(ctx, 20)
		if err != nil {
			return err
		}
		tx.Reset()
		tx.Ack(ds...)
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "took %d more, refused %d times\n", want/2, refused)
	return errors.Join(s.Check(ctx), s.Close())
}
