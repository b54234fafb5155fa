package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// The delay of an item begins when it is committed, also if that joins a batch which has been
// waiting for long.
func TestDelayBeginsWithTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = time.Second
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		var hold func()
		s, err := queue.New(t.Context(), &hooked{Store: db, committed: func() {
			if hold != nil {
				hold()
			}
		}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := s.Subscribe(t.Context(), "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		// One batch is being written, and the next has begun.
		gate, done := make(chan struct{}), make(chan struct{}, 3)
		hold = func() { hold = nil; <-gate }
		begin := func(fill func(*queue.Tx)) {
			go func() { build(t, s, fill); done <- struct{}{} }()
			synctest.Wait()
		}
		begin(func(tx *queue.Tx) { tx.Put("t", "a", nil) })
		begin(func(tx *queue.Tx) { tx.Put("t", "b", nil) })
		time.Sleep(delay * 8 / 10)
		committed := time.Now()
		begin(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Delay: delay}) })
		close(gate)
		for range 3 {
			<-done
		}
		if _, err := c.Receive(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if gap := time.Since(committed); gap < delay {
			t.Errorf("the item came %v after the commit, want %v", gap, delay)
		}
	})
}
