package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// TestTheLastTransactionsAreRemembered: as many as promised, in bounded space, and over
// a reopening.
func TestTheLastTransactionsAreRemembered(t *testing.T) {
	const more = 100
	ctx := t.Context()
	disk := memqueue.NewDisk()
	open := func() *queue.Store {
		db, err := disk.Driver()
		if err != nil {
			t.Fatal(err)
		}
		s, err := queue.New(ctx, db, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	commit := func(s *queue.Store, from, to int) {
		t.Helper()
		var wg sync.WaitGroup
		for worker := range 64 {
			wg.Go(func() {
				for i := from + worker; i < to; i += 64 {
					if err := s.Commit(ctx, &queue.Tx{ID: fmt.Sprint(i)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	s := open()
	since, err := s.TxSerial(ctx)
	if err != nil || since == 0 {
		t.Fatalf("serial %d, %v", since, err)
	}
	commit(s, 0, more) // these are the first, in whatever order
	commit(s, more, queue.RememberedTxs+more)
	for range 2 {
		for _, i := range []int{0, more - 1, more, more + 1, queue.RememberedTxs, queue.RememberedTxs + more - 1} {
			if _, err := s.Outcome(ctx, fmt.Sprint(i)); (err == nil) != (i >= more) || err != nil && !errors.Is(err, queue.ErrNotFound) {
				t.Errorf("Outcome of %d of %d: %v", i, queue.RememberedTxs+more, err)
			}
		}
		// One that says since when it may have happened never happens again.
		for i, want := range map[int]error{0: queue.ErrForgotten, more: nil} {
			tx := &queue.Tx{ID: fmt.Sprint(i), Since: since}
			tx.Enqueue("q", queue.Item{})
			if i == more {
				tx.Since += more
			}
			if err := s.Commit(ctx, tx); !errors.Is(err, want) {
				t.Errorf("Commit of %d, again: %v, want %v", i, err, want)
			}
		}
		if _, err := s.QueueStats(t.Context(), "q"); !errors.Is(err, queue.ErrUnknownQueue) {
			t.Errorf("a repeated transaction has made a queue: %v", err)
		}
		if serial, err := s.TxSerial(ctx); err != nil || serial != since+queue.RememberedTxs+more {
			t.Errorf("serial %d, %v, want %d", serial, err, since+queue.RememberedTxs+more)
		}
		if err := s.Check(ctx); err != nil { // it counts the records
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s = open()
	}
	s.Close()
}

// A caller that gives up waiting, or dies, does not know whether its transaction has
// happened. With an id it commits it again, or asks.
func ExampleStore_Outcome() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	order := func(ctx context.Context) (queue.Result, error) {
		tx := queue.Tx{ID: "order 1729"} // the same each time
		tx.Enqueue("orders", queue.Item{Body: []byte("two apples")})
		err := s.Commit(ctx, &tx)
		return tx.Result(), err
	}

	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := order(impatient); err != nil {
		fmt.Println(err)
	}
	if _, err := s.Outcome(ctx, "order 1729"); errors.Is(err, queue.ErrNotFound) {
		fmt.Println("it has not happened, and will not")
	}
	for range 2 {
		result, err := order(ctx)
		fmt.Println(result.Enqueued, "enqueued,", err)
	}
	st, err := s.QueueStats(ctx, "orders")
	fmt.Println(st.Ready, "in the queue,", err)
	// Output:
	// commit: context canceled
	// it has not happened, and will not
	// 1 enqueued, <nil>
	// 1 enqueued, <nil>
	// 1 in the queue, <nil>
}
