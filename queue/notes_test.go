package queue_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// slowNotes is a driver whose notes each wait to be let through, and then fail if
// err says so.
type slowNotes struct {
	driver.Store
	let    chan struct{}
	err    error
	writes atomic.Int32
}

func (s *slowNotes) AppendNotes(ctx context.Context, note []byte) error {
	s.writes.Add(1)
	<-s.let
	if s.err != nil {
		return s.err
	}
	return s.Store.AppendNotes(ctx, note)
}

func slowStore(t *testing.T) (*slowNotes, *queue.Store) {
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowNotes{Store: db, let: make(chan struct{})}
	s, err := queue.New(t.Context(), slow, nil)
	if err != nil {
		t.Fatal(err)
	}
	return slow, s
}

// TestReceiversShareANote has receivers wait while one note is being written. It
// holds up neither a commit nor a receiver that has taken something already, and
// the notes of all who wait are the next write.
func TestReceiversShareANote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const receivers = 20
		slow, s := slowStore(t)
		build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", make([]queue.Item, receivers)...) })
		var got sync.Map
		var wg sync.WaitGroup
		for range receivers {
			wg.Go(func() {
				c, err := s.Subscribe(t.Context(), "q", nil)
				if err != nil {
					t.Error(err)
					return
				}
				ds, err := c.Receive(t.Context(), 1)
				if err != nil {
					t.Error(err)
					return
				}
				got.Store(ds[0].ID, true)
			})
		}
		synctest.Wait() // the first writes its note, the others wait
		build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{}) })
		close(slow.let)
		wg.Wait()
		if n := slow.writes.Load(); n != 2 {
			t.Errorf("%d receivers made %d writes of notes, want 2", receivers, n)
		}
		n := 0
		got.Range(func(any, any) bool { n++; return true })
		if n != receivers {
			t.Errorf("%d different items were received, want %d", n, receivers)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestNothingIsDeliveredWithoutItsNote has the note fail: the store fails, and no
// receiver gets an item, which might kill the process uncounted.
func TestNothingIsDeliveredWithoutItsNote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, s := slowStore(t)
		defer s.Close()
		slow.err = errors.New("no notes today")
		build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", make([]queue.Item, 2)...) })
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				c, err := s.Subscribe(t.Context(), "q", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if ds, err := c.Receive(t.Context(), 1); !errors.Is(err, slow.err) || !errors.Is(err, queue.ErrFailed) {
					t.Errorf("Receive with a note that fails = %d deliveries, %v", len(ds), err)
				}
			})
		}
		synctest.Wait()
		close(slow.let)
		wg.Wait()
	})
}
