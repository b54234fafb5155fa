package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// toCopy returns a disk with a store in the middle of some work, of n items.
func toCopy(t *testing.T, n int) *memqueue.Disk {
	t.Helper()
	disk := memqueue.NewDisk()
	s, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{Key: fmt.Sprint(i), Body: make([]byte, 100)})
		tx.Put("t", fmt.Sprintf("%06d", i), make([]byte, 3000))
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	held, err := c.Receive(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	var tx queue.Tx
	tx.Ack(held[0])
	tx.Barrier("q", nil)
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

func driverOf(t *testing.T, d *memqueue.Disk) driver.Store {
	t.Helper()
	db, err := d.Driver()
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// copyTo copies between two disks, through something that may fail.
func copyTo(t *testing.T, to, from *memqueue.Disk, between func(driver.Store) driver.Store) (queue.Copied, error) {
	t.Helper()
	in, out := driverOf(t, from), driverOf(t, to)
	defer in.Close()
	defer out.Close()
	w := out
	if between != nil {
		w = between(out)
	}
	return queue.Copy(t.Context(), w, in, nil)
}

// A copy that dies at any of its writes cannot be opened; another copy goes on with it,
// and what comes of it is the store.
func TestCopyGoesOnAfterADeath(t *testing.T) {
	from := toCopy(t, 4000) // several batches
	want, err := copyTo(t, memqueue.NewDisk(), from, nil)
	if err != nil {
		t.Fatal(err)
	}
	deaths := 0
	for at, after := 1, false; ; at, after = at+1, !after {
		to := memqueue.NewDisk()
		var faulty *queuetest.Faulty
		_, err := copyTo(t, to, from, func(db driver.Store) driver.Store {
			faulty = queuetest.NewFaulty(db, queuetest.Fault{Method: "Commit", At: at, After: after})
			return faulty
		})
		if !faulty.Died() {
			break
		}
		deaths++
		if !errors.Is(err, queuetest.ErrInjected) {
			t.Fatalf("death at commit %d: Copy returned %v", at, err)
		}
		s, err := to.Open(nil)
		switch {
		case err == nil: // nothing was written, or all
			if err := s.Check(t.Context()); err != nil {
				t.Fatalf("death at commit %d: %v", at, err)
			}
			s.Close()
			continue
		case !errors.Is(err, queue.ErrUnfinished):
			t.Fatalf("death at commit %d: open returned %v, want ErrUnfinished", at, err)
		}
		calls := 0
		got, err := copyTo(t, to, from, func(db driver.Store) driver.Store {
			return counting{db, &calls}
		})
		if err != nil || got != want {
			t.Fatalf("death at commit %d: the next Copy returned %v, want what one copy has", at, err)
		}
		if at > 1 && calls+at > 8 {
			t.Errorf("death at commit %d: the next Copy took %d, so it began anew", at, calls)
		}
		if s, err = to.Open(nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if st, err := s.QueueStats(t.Context(), "q"); err != nil || st.Ready != 3999 {
			t.Errorf("the copy has %+v, %v", st, err)
		}
		s.Close()
	}
	if deaths < 4 {
		t.Errorf("%d deaths, want at least 4", deaths)
	}
}

type counting struct {
	driver.Store
	calls *int
}

func (c counting) Commit(ctx context.Context, writes []driver.Write) error {
	*c.calls++
	return c.Store.Commit(ctx, writes)
}

// A copy that is not what it should be is found.
func TestCopyIsCompared(t *testing.T) {
	to := memqueue.NewDisk()
	_, err := copyTo(t, to, toCopy(t, 10), func(db driver.Store) driver.Store { return forgetful{db} })
	if !errors.Is(err, queue.ErrCorrupt) {
		t.Errorf("Copy returned %v, want ErrCorrupt", err)
	}
	if _, err := to.Open(nil); !errors.Is(err, queue.ErrUnfinished) {
		t.Errorf("open returned %v, want ErrUnfinished", err)
	}
}

// forgetful leaves out one write of each batch.
type forgetful struct{ driver.Store }

func (f forgetful) Commit(ctx context.Context, writes []driver.Write) error {
	return f.Store.Commit(ctx, writes[1:])
}

func TestCopyRefusesWhatItMust(t *testing.T) {
	full := toCopy(t, 10)
	half := func() *memqueue.Disk {
		d := memqueue.NewDisk()
		copyTo(t, d, toCopy(t, 10), func(db driver.Store) driver.Store { return forgetful{db} })
		return d
	}
	foreign := memqueue.NewDisk()
	db := driverOf(t, foreign)
	if err := db.Commit(t.Context(), []driver.Write{{Key: []byte("theses"), Value: []byte("95")}}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for _, c := range []struct {
		name     string
		to, from *memqueue.Disk
		want     error
	}{
		{"to a store", toCopy(t, 1), full, queue.ErrInvalid},
		{"to something else", foreign, full, queue.ErrInvalid},
		{"to an unfinished copy of another", half(), full, queue.ErrInvalid},
		{"of nothing", memqueue.NewDisk(), memqueue.NewDisk(), queue.ErrNotFound},
		{"of an unfinished copy", memqueue.NewDisk(), half(), queue.ErrUnfinished},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := copyTo(t, c.to, c.from, nil); !errors.Is(err, c.want) {
				t.Errorf("Copy returned %v, want %v", err, c.want)
			}
		})
	}
}
