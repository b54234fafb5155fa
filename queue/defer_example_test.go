package queue_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A host that does not answer must not hold up the others, nor the end of the batch,
// and its addresses must not be lost: its group is deferred for an hour. The barrier
// passes them and says how many, and they come back by themselves.
func ExampleTx_DeferGroup() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	var tx queue.Tx
	for _, page := range []string{"/a", "/b", "/c"} {
		tx.Enqueue("pages", queue.Item{Body: []byte(page), Group: "sick.example"})
	}
	tx.Enqueue("pages", queue.Item{Body: []byte("/"), Group: "well.example"})
	tx.Barrier("pages", []byte("first generation"))
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	c, err := s.Subscribe(ctx, "pages", nil)
	if err != nil {
		log.Fatal(err)
	}
	for {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			log.Fatal(err)
		}
		var tx queue.Tx
		d := ds[0]
		switch {
		case d.Barrier != nil:
			n := d.Barrier.Counts
			fmt.Printf("%s: %d pages done, %d deferred\n", d.Barrier.Body, n.Acked, n.Deferred)
			tx.Ack(d)
		case d.Item.Group == "sick.example":
			tx.DeferGroup("pages", d.Item.Group, time.Now().Add(time.Hour), "it does not answer")
			tx.Release(d) // it leaves with its group, and the attempt is not counted
		default:
			tx.Ack(d)
		}
		if err := s.Commit(ctx, &tx); err != nil {
			log.Fatal(err)
		}
		if d.Barrier != nil {
			break
		}
	}

	groups, err := s.Deferrals(ctx, "pages", "", 100)
	if err != nil {
		log.Fatal(err)
	}
	for _, g := range groups {
		fmt.Printf("%s is deferred: %s\n", g.Group, g.Reason)
	}
	st, err := s.QueueStats(ctx, "pages")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("waiting:", st.Ready+st.Delayed+st.Leased+st.Later, "deferred:", st.Deferred)
	// Output:
	// first generation: 1 pages done, 3 deferred
	// sick.example is deferred: it does not answer
	// waiting: 0 deferred: 3
}
