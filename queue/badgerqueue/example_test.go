package badgerqueue_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// What is committed is there when the folder is opened again, however the
// process before has ended.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	s, err := badgerqueue.Open(dir, nil)
	if err != nil {
		log.Fatal(err) // ErrLocked if another process has it, which the error names
	}
	var tx queue.Tx
	tx.Enqueue("mail", queue.Item{Body: []byte("Ada")})
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	if err := s.Close(); err != nil {
		log.Fatal(err)
	}

	if s, err = badgerqueue.Open(dir, nil); err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	stats, err := s.QueueStats(ctx, "mail")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats.Ready, "waits")
	// Output: 1 waits
}
