package queuetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// refBatch is a batch of the reference.
type refBatch struct {
	live   int64
	totals queue.Totals
	closed bool
	to     *refQueue
	item   queue.Item
}

func (q *refQueue) batch(name string) *refBatch {
	if q.batches[name] == nil {
		q.batches[name] = new(refBatch)
	}
	return q.batches[name]
}

// leaveBatch notes that an item of a batch is settled. outcome is one of q.totals.
func (q *refQueue) leaveBatch(name string, outcome *int64) {
	b := q.batch(name)
	b.live--
	for _, o := range []struct{ of, in *int64 }{
		{&q.totals.Acked, &b.totals.Acked}, {&q.totals.Buried, &b.totals.Buried},
		{&q.totals.Expired, &b.totals.Expired}, {&q.totals.Dropped, &b.totals.Dropped},
	} {
		if o.of == outcome {
			*o.in++
		}
	}
}

func (m *model) batchName() string { return fmt.Sprint("b", 1+m.rnd.IntN(2)) }

// order returns the place of an item that is enqueued now among all items.
func (m *model) order() int {
	m.orders++
	return m.orders
}

// closeBatch closes a batch. Its completion has a group, so that of two batches that end
// at the same moment nobody can say which came first.
func (m *model) closeBatch(tx *queue.Tx, q *refQueue) (string, func(time.Time)) {
	name, to := m.batchName(), pick(m.rnd, m.queues)
	m.serial++
	it := queue.Item{Body: fmt.Append(nil, "c", m.serial), Group: "g" + string(name[1]+2*(q.name[0]-'a'))}
	tx.CloseBatch(q.name, name, to.name, it)
	return fmt.Sprintf("close batch %s of %s with %s to %s", name, q.name, it.Body, to.name), func(time.Time) {
		b := q.batch(name)
		b.closed, b.to, b.item = true, to, it
	}
}

// endBatches enqueues the completions of batches that have nothing unsettled.
func (m *model) endBatches(now time.Time) {
	for _, q := range m.queues {
		for _, name := range []string{"b1", "b2"} {
			b := q.batches[name]
			if b == nil || !b.closed || b.live > 0 {
				continue
			}
			delete(q.batches, name)
			b.to.enqueue(b.item, m.order(), now)
		}
	}
}

// compareBatches compares the batches that are not complete.
func (m *model) compareBatches(q *refQueue) {
	got, err := m.s.Batches(m.ctx, q.name, "", 10)
	m.must(err)
	var want []queue.Batch
	for name, b := range q.batches {
		want = append(want, queue.Batch{Name: name, Unsettled: b.live, Closed: b.closed, Totals: b.totals})
	}
	slices.SortFunc(want, func(a, b queue.Batch) int { return cmp.Compare(a.Name, b.Name) })
	if !slices.Equal(got, want) {
		m.fail("batches of %s:\n got %+v\nwant %+v", q.name, got, want)
	}
}
