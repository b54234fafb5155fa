package queuetest

import (
	"github.com/seed-301537d8/weir/queue"
)

// deletion deletes or purges a queue, or deletes the table.
func (m *model) deletion(q *refQueue) {
	switch m.rnd.IntN(4) {
	case 0:
		m.deleteQueue(q)
	case 1:
		m.log("delete table t")
		m.commit(func(tx *queue.Tx) { tx.DeleteTable("t") })
		clear(m.table)
	case 2:
		m.log("purge %s", q.name)
		n, err := m.s.Purge(m.ctx, q.name)
		m.must(err)
		before := len(q.items)
		for _, it := range q.inOrder() {
			if it.holder == nil {
				q.leave(it, &q.totals.Dropped)
			}
		}
		if want := before - len(q.items); n != want {
			m.fail("Purge has dropped %d items, want %d", n, want)
		}
	default:
		m.log("purge the dead letters of %s", q.name)
		n, err := m.s.PurgeDead(m.ctx, q.name)
		m.must(err)
		if n != len(q.dead) {
			m.fail("PurgeDead has dropped %d, want %d", n, len(q.dead))
		}
		clear(q.dead)
	}
}

// deleteQueue deletes a queue, and makes another of that name, at times while the old
// one is still swept away.
func (m *model) deleteQueue(q *refQueue) {
	if len(q.sessions) > 0 && m.rnd.IntN(2) == 0 {
		m.log("delete %s, which has sessions", q.name)
		_, err := m.try(func(tx *queue.Tx) { tx.DeleteQueue(q.name) })
		m.is("DeleteQueue", err, queue.ErrQueueInUse)
		return
	}
	m.log("delete %s and make it again", q.name)
	for _, s := range q.sessions {
		m.must(s.c.Close())
	}
	m.settle()
	m.commit(func(tx *queue.Tx) { tx.DeleteQueue(q.name) })
	ended, config := q.ended, q.cfg
	*q = *newRefQueue(q.name)
	q.ended, q.cfg = ended, config
	m.configure(q.name, config)
}
