package periodic_test

import (
	"context"
	"fmt"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/periodic"
)

// A crawl begins again every night, at two by the clock of Berlin.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s, err := memqueue.Open(nil) // badgerqueue.Open("folder", nil) keeps it on disk
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	err = periodic.Put(ctx, s, periodic.Schedule{
		Name:       "nightly",
		Expression: "0 2 * * *",
		Zone:       "Europe/Berlin",
		Queue:      "crawl",
		Item:       queue.Item{Body: []byte("https://example.org/"), Key: "nightly", Mode: queue.OnceLive},
		Missed:     periodic.Skip,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	go periodic.Run(ctx, s, nil)

	entries, err := periodic.List(ctx, s)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range entries {
		fmt.Println(e.Name, "at", e.Expression, "in", e.Zone, "for", e.Queue)
	}
	// Output:
	// nightly at 0 2 * * * in Europe/Berlin for crawl
}
