package badgerqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// BenchmarkDeferGroup defers a group with 100,000 waiting items, and brings it back,
// while a producer and consumer of another group goes on. It reports how long it is
// until all have left, and until all are back, and the longest commit meanwhile.
func BenchmarkDeferGroup(b *testing.B) {
	const n = 100_000
	s := openStore(b)
	ctx := b.Context()
	for i := 0; i < n; i += 1000 {
		var tx queue.Tx
		for j := range 1000 {
			tx.Enqueue("q", queue.Item{Key: fmt.Sprint("https://example.com/", i+j), Body: make([]byte, 60), Group: "sick"})
		}
		if err := s.Commit(ctx, &tx); err != nil {
			b.Fatal(err)
		}
	}
	var longest time.Duration
	until := func(change func(tx *queue.Tx), done func(st queue.QueueStats) bool) time.Duration {
		began := time.Now()
		var tx queue.Tx
		change(&tx)
		for {
			before := time.Now()
			if err := s.Commit(ctx, &tx); err != nil {
				b.Fatal(err)
			}
			longest = max(longest, time.Since(before))
			st, err := s.QueueStats(ctx, "q")
			if err != nil {
				b.Fatal(err)
			}
			if done(st) {
				return time.Since(began)
			}
			tx.Reset()
			tx.Put("other", "record", nil)
		}
	}
	var away, back time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		away += until(func(tx *queue.Tx) { tx.DeferGroup("q", "sick", time.Time{}, "it is sick") },
			func(st queue.QueueStats) bool { return st.Deferred == n })
		back += until(func(tx *queue.Tx) { tx.RejoinGroup("q", "sick") },
			func(st queue.QueueStats) bool { return st.Ready == n })
	}
	b.ReportMetric(float64(away.Milliseconds())/float64(rounds), "ms-away")
	b.ReportMetric(float64(back.Milliseconds())/float64(rounds), "ms-back")
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest-commit")
}
