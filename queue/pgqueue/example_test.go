package pgqueue_test

import (
	"context"
	"fmt"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

func ExampleOpen() {
	ctx := context.Background()
	s, err := pgqueue.Open(ctx, dsn(), &pgqueue.Options{Schema: "example", Unsafe: true}) // Unsafe is for this test's server
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	var tx queue.Tx
	tx.Enqueue("crawl", queue.Item{Key: "https://example.com/"})
	tx.Put("pages", "seed", []byte("https://example.com/"))
	if err := s.Commit(ctx, &tx); err != nil {
		fmt.Println(err)
		return
	}
	v, err := s.Get(ctx, "pages", "seed")
	fmt.Printf("%s %v\n", v, err)
	// Output: https://example.com/ <nil>
}

// Any number of processes run this; one of them leads at a time.
func ExampleLead() {
	ctx := context.Background()
	options := &pgqueue.Options{Schema: "example_lead", Unsafe: true} // Unsafe is for this test's server
	err := pgqueue.Lead(ctx, dsn(), options, func(ctx context.Context, s *queue.Store) error {
		// Run pipelines here, until ctx ends because another process leads, or
		// until all is done.
		return nil
	})
	fmt.Println(err)
	// Output: <nil>
}
