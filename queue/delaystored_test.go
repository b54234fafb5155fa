package queue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// slowDisk is a driver whose batches take a while.
type slowDisk struct{ driver.Store }

func (s slowDisk) Commit(ctx context.Context, writes []driver.Write) error {
	time.Sleep(2 * time.Second)
	return s.Store.Commit(ctx, writes)
}

// The minimum delay of a group counts from the end of its delivery, and not from when
// the batch was begun that stores it: the group may have left the memory when its next
// item comes.
func TestMinDelayOfSlowBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = time.Minute
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		s, err := queue.New(t.Context(), slowDisk{db}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		commit := func(change func(tx *queue.Tx)) {
			t.Helper()
			var tx queue.Tx
			change(&tx)
			if err := s.Commit(t.Context(), &tx); err != nil {
				t.Fatal(err)
			}
		}
		commit(func(tx *queue.Tx) {
			tx.Configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: delay}})
			tx.Enqueue("q", queue.Item{Group: "g", Body: []byte("a")})
			tx.Barrier("q", nil)
			tx.Enqueue("q", queue.Item{Group: "g", Body: []byte("b")})
		})
		c, err := s.Subscribe(t.Context(), "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		first, err := c.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		put := func() {
			var tx queue.Tx
			tx.Put("t", "k", nil)
			if err := s.Commit(t.Context(), &tx); err != nil {
				t.Error(err)
			}
		}
		go put()                           // a batch that takes two seconds
		time.Sleep(100 * time.Millisecond) // and another one that is begun
		go put()
		time.Sleep(1800 * time.Millisecond)
		ended := time.Now()
		commit(func(tx *queue.Tx) { tx.Ack(first...) })
		barrier, err := c.Receive(t.Context(), 1)
		if err != nil || barrier[0].Barrier == nil {
			t.Fatalf("got %v, %v, want the barrier", barrier, err)
		}
		commit(func(tx *queue.Tx) { tx.Ack(barrier...) })
		if _, err := c.Receive(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if after := time.Since(ended); after < delay {
			t.Errorf("the next item of the group came after %v, want %v", after, delay)
		}
	})
}
