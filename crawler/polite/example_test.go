package polite_test

import (
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/polite"
)

func ExampleHostState_Next() {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	o := &polite.Options{MinDelay: 2 * time.Second}

	var host polite.HostState
	host = host.Next(polite.Event{Time: now, Took: 300 * time.Millisecond}, o)
	fmt.Println(host.Wait(now), host.Reason)

	host = host.Next(polite.Event{
		Time:       now,
		Result:     polite.ResultOf(503, nil),
		RetryAfter: 2 * time.Minute,
	}, o)
	fmt.Println(host.Wait(now), host.Reason)
	// Output:
	// 2s delay between requests
	// 2m0s Retry-After
}
