package queue_test

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

var long = flag.Bool("long", false, "fill a store with queues")

// A store has numbers for 65,535 queues: a transaction that would need more makes none,
// and no number is given twice.
func TestNoMoreQueuesThanNumbers(t *testing.T) {
	const most = 1<<16 - 1
	ctx := t.Context()
	s, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	name := func(i int) string { return fmt.Sprint("q", i) }
	makes := func(from, to int) error {
		var tx queue.Tx
		for i := from; i < to; i++ {
			tx.Enqueue(name(i), queue.Item{Body: []byte(name(i))})
		}
		return s.Commit(ctx, &tx)
	}
	if err := makes(0, most+1); !errors.Is(err, queue.ErrInvalid) && !errors.Is(err, queue.ErrTooLarge) {
		t.Fatalf("%d queues in one transaction: %v", most+1, err)
	}
	if n := len(stats(t, s)); n != 0 {
		t.Fatalf("a transaction that was refused has made %d queues", n)
	}
	if !*long {
		return
	}
	const left = 1000
	for i := 0; i < most-left; {
		next := min(i+5000, most-left)
		if err := makes(i, next); err != nil {
			t.Fatal(err)
		}
		i = next
	}
	if err := makes(most-left, most+1); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("one queue too many: %v", err)
	}
	var batch queue.Tx // one for the batch, one for its completion
	batch.CloseBatch(name(most), "b", name(most+1), queue.Item{})
	if err := makes(most-left, most-1); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, &batch); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("a batch that needs two queues where there is one left: %v", err)
	}
	if err := makes(most-1, most); err != nil {
		t.Fatal(err)
	}
	if err := makes(most, most+1); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("the last queue and one more: %v", err)
	}
	for _, i := range []int{0, 1, 4999, 5000, most - left, most - 1} {
		page, err := s.Browse(ctx, name(i), nil, 10)
		if err != nil || len(page) != 1 || string(page[0].Item.Body) != name(i) {
			t.Errorf("queue %d holds %v, %v", i, page, err)
		}
	}
	build(t, s, func(tx *queue.Tx) { tx.DeleteQueue(name(7)) })
	for { // its number is free when it has been swept
		if err := makes(most, most+1); err == nil {
			break
		} else if !errors.Is(err, queue.ErrInvalid) {
			t.Fatal(err)
		}
	}
	page, err := s.Browse(ctx, name(most), nil, 10)
	if err != nil || len(page) != 1 || string(page[0].Item.Body) != name(most) {
		t.Errorf("the queue with a number that was free again holds %v, %v", page, err)
	}
}
