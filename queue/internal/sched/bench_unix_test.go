//go:build unix

package sched

import (
	"fmt"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/internal/cputime"
)

// BenchmarkTake is an item that becomes ready, is taken and settled, in a queue of groups
// that have one in flight each: without owners, and by as many consumers, in turns, as
// the groups are of.
func BenchmarkTake(b *testing.B) {
	for _, owners := range []int{0, 1, 10, 100, 1000} {
		b.Run(fmt.Sprint("owners=", owners), func(b *testing.B) { benchTake(b, owners, 10_000) })
	}
}

func benchTake(b *testing.B, owners, groups int) {
	q := newQueue(b, 1<<16, 1<<30)
	q.s.SetPolicy(Policy{MaxInFlight: 1}, q.now)
	consumers := []*Owner{nil}
	for range owners {
		consumers = append(consumers, NewOwner(int64(time.Hour)))
	}
	if owners > 0 {
		consumers = consumers[1:]
	}
	for i := range groups {
		k := Key{0, fmt.Sprint("g", i)}
		q.lanes[k] = Pointer{Due: q.now}
		it := &item{id: uint64(i + 1), first: uint64(i + 1), last: uint64(i + 1), key: k, size: 1}
		if err := q.s.Add(k, it, &Pointer{Due: q.now}, q.now); err != nil {
			b.Fatal(err)
		}
	}
	last := uint64(groups)
	began := cputime.Used()
	b.ResetTimer()
	for i := range b.N {
		q.now++
		var lease Lease[*item]
		var it *item
		if _, err := q.s.Take(nil, consumers[i%len(consumers)], Time{Now: q.now}, 1, func(l Lease[*item], got *item) { lease, it = l, got }); err != nil {
			b.Fatal(err)
		}
		if it == nil {
			b.Fatal("nothing is ready")
		}
		q.s.End(lease, q.now)
		last++
		next := &item{id: last, first: last, last: last, key: it.key, size: 1}
		if err := q.s.Add(it.key, next, nil, q.now); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cputime.Used()-began)/float64(b.N), "cpu-ns/op")
}
