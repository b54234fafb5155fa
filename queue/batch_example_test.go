package queue_test

import (
	"context"
	"fmt"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// Two orders are worked on at once, and each is reported when all of it is done: the
// first spawns another item meanwhile.
func ExampleTx_CloseBatch() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	var tx queue.Tx
	for _, order := range []string{"order 1", "order 2"} {
		tx.Enqueue("work", queue.Item{Batch: order, Body: []byte("pack")}, queue.Item{Batch: order, Body: []byte("send")})
		tx.CloseBatch("work", order, "reports", queue.Item{Body: []byte("all done")})
	}
	if err := s.Commit(ctx, &tx); err != nil {
		fmt.Println(err)
		return
	}

	c, err := s.Subscribe(ctx, "work", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	for range 5 {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			fmt.Println(err)
			return
		}
		d := ds[0]
		var tx queue.Tx
		tx.Ack(d)
		if d.ID == 1 { // an item may lead to others of its batch
			tx.Enqueue("work", queue.Item{Batch: d.Item.Batch, Body: []byte("insure")})
		}
		if err := s.Commit(ctx, &tx); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s: %s\n", d.Item.Batch, d.Item.Body)
		reports, err := s.Browse(ctx, "reports", nil, 10)
		if err != nil {
			continue
		}
		for _, r := range reports[max(0, len(reports)-1):] {
			b, _, _ := queue.Complete(&r.Item)
			fmt.Printf("  %s of %s, %d items\n", r.Item.Body, b.Name, b.Totals.Acked)
		}
	}
	// Output:
	// order 1: pack
	// order 1: send
	// order 2: pack
	// order 2: send
	//   all done of order 2, 2 items
	// order 1: insure
	//   all done of order 1, 3 items
}
