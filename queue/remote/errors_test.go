package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// An error is the same at the other end, and so are several at once.
func TestErrorsTravel(t *testing.T) {
	for _, first := range errorCodes {
		for _, second := range errorCodes {
			for _, binary := range []bool{false, true} {
				err := fmt.Errorf("put k in t: %w: the batch: %w", second.err, first.err)
				p, status := problemOf(err)
				b, failed := encode(p, binary)
				if failed != nil {
					t.Fatal(failed)
				}
				var got problem
				if err := decode(bytes.NewReader(b), 1<<20, binary, &got); err != nil {
					t.Fatal(err)
				}
				there := got.err()
				if there.Error() != err.Error() || status < 400 {
					t.Fatalf("%q has become %q with status %d", err, there, status)
				}
				for _, c := range errorCodes {
					if errors.Is(there, c.err) != errors.Is(err, c.err) {
						t.Errorf("%q: that it is %v has become %v", err, c.err, errors.Is(there, c.err))
					}
				}
			}
		}
	}
}

// nearlyFull is a driver whose disk has as much space as the test says, or fails
// batches as a database server does that has none.
type nearlyFull struct {
	driver.Store
	free atomic.Int64
	full atomic.Bool
}

func (d *nearlyFull) Free() (int64, error) { return d.free.Load(), nil }

func (d *nearlyFull) Commit(ctx context.Context, writes []driver.Write) error {
	if d.full.Load() {
		return fmt.Errorf("commit: %w (of the database server)", queue.ErrDiskFull)
	}
	return d.Store.Commit(ctx, writes)
}

// A server out of disk says so to those who are far away: what was not stored they know, and
// it goes on when there is space.
func TestServerOutOfDisk(t *testing.T) {
	disk := memqueue.NewDisk()
	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	d := &nearlyFull{Store: db}
	d.free.Store(math.MaxInt64)
	store, err := queue.New(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServer(ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(store)
	s, err := Open(t.Context(), "http://weir", &Options{Transport: inProcess{server}, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	put := func(s *queue.Store, key string) error {
		var tx queue.Tx
		tx.Put("t", key, []byte("x"))
		return s.Commit(t.Context(), &tx)
	}
	if err := put(s, "a"); err != nil {
		t.Fatal(err)
	}
	d.free.Store(1 << 20)
	for err = put(s, "a"); err == nil; err = put(s, "a") {
		// until it is looked again, a tenth of a second later
	}
	if !errors.Is(err, queue.ErrDiskFull) || errors.Is(err, queue.ErrFailed) {
		t.Errorf("a disk that is nearly full: %v", err)
	}
	d.free.Store(math.MaxInt64)
	for err = put(s, "c"); errors.Is(err, queue.ErrDiskFull); err = put(s, "c") {
		// until it is looked again
	}
	if err != nil {
		t.Errorf("with space again: %v", err)
	}
	d.full.Store(true) // as of a database server, which fails the store
	if err := put(s, "d"); !errors.Is(err, queue.ErrDiskFull) || !errors.Is(err, queue.ErrFailed) {
		t.Errorf("a server that is full: %v", err)
	}
	s.Close()
	server.Lead(nil)
	store.Close()
	again, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	records, err := again.Scan(t.Context(), "t", "", "", 10)
	if err != nil || len(records) != 2 || records[0].Key != "a" || records[1].Key != "c" {
		t.Errorf("%d records, %v, want a and c", len(records), err)
	}
}
