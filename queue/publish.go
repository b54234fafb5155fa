package queue

import (
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// publish makes the effects of a durable plan visible.
func (p *plan) publish() {
	for _, q := range p.queues {
		if name := q.name; p.created[name] == q {
			p.s.mu.Lock()
			p.s.enterLocked(q)
			p.s.mu.Unlock()
		}
	}
	for _, q := range p.queues {
		if err := p.publishQueue(q); err != nil {
			p.s.fail(err)
		}
	}
	if err := p.s.notes.wait(p.noted); err != nil {
		p.s.fail(err)
	}
	if p.txSerial > 0 {
		p.s.txSerial.Store(p.txSerial)
	}
	p.publishDeletes()
	for _, e := range p.events {
		p.s.emit(e)
	}
}

// publishQueue makes the effects on one queue visible, all at once.
func (p *plan) publishQueue(q *queueState) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	part := p.part(q)
	now := p.s.now()
	for i := range part.effects {
		if err := p.applyLocked(q, &part.effects[i], now); err != nil {
			return err
		}
	}
	clear(q.claimed)
	clear(part.effects)
	clear(part.fates)
	part.effects, part.fated = part.effects[:0], 0
	part.included, part.changed = false, false
	part.lost, part.stale = nil, nil

	q.showLocked(part.shown)
	q.changed.fire()
	if !q.fullNowLocked() {
		q.space.fire()
	}
	if q.opening {
		q.opening = false
		if err := p.openedLocked(q); err != nil {
			return err
		}
	}
	if err := p.maybeReleaseLocked(q, now); err != nil {
		return err
	}
	if q.sched.Housekeeping() == 0 {
		p.s.flag(q)
	}
	q.armLocked(q.wakeLocked())
	return nil
}

// shownCounts is what others may know of what the committer counts.
type shownCounts struct {
	visible       queueCounts
	live          int64 // unsettled items of the open epoch
	delayed       int64 // of those, delayed ones
	returning     int   // groups that come back into the open epoch and have not arrived
	later         int64 // items of later epochs
	deferred      int64 // items that are in no epoch
	deferredBytes int64
	defers        bool  // there may be deferred items, or have been
	sinceBarrier  int64 // items enqueued to the tail epoch
	openTotals    Totals
}

func (q *queueState) showLocked(s shownCounts) {
	q.shownCounts = s
	q.open, q.tail = s.visible.open, s.visible.tail
}

// snapshot returns the counts after what has been planned. Only the committer
// may call it.
func (q *queueState) snapshot() shownCounts {
	shown := shownCounts{visible: q.counts, sinceBarrier: q.epochs[q.counts.tail].total.Enqueued}
	for epoch, e := range q.epochs {
		switch epoch {
		case q.counts.open:
			shown.live, shown.delayed, shown.openTotals, shown.returning = e.live, e.delayed, e.total, e.returning
		case deferredEpoch:
			shown.deferred, shown.deferredBytes, shown.defers = e.live, e.bytes, true
		default:
			shown.later += e.live
		}
	}
	return shown
}

// stored is the pointer as the scheduler knows it.
func (ptr *pointer) stored() *sched.Pointer {
	if ptr == nil {
		return nil
	}
	return &sched.Pointer{Due: ptr.due, Low: ptr.low}
}

// openedLocked turns to the next epoch.
func (p *plan) openedLocked(q *queueState) error {
	q.released, q.audience, q.acks = nil, 0, 0
	for c := range q.consumers {
		c.barrier, c.tries = barrierNone, 0
	}
	q.nextDue = 0 // housekeeping will find the first
	q.deferring.begin()
	p.s.flag(q)
	p.events = append(p.events, Event{Kind: EventOpened, Queue: q.name, Epoch: q.open})
	return q.sched.Open(p.s.now())
}

// maybeReleaseLocked releases the open epoch's barrier if it has one and all
// before it is settled.
func (p *plan) maybeReleaseLocked(q *queueState, now int64) error {
	if q.released != nil || q.open == q.tail || q.live > 0 || q.returning > 0 {
		return nil
	}
	value, found, err := p.s.lookUp(appendEpoch(nil, kindBarrier, q.id, q.open))
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: barrier %s/%d has no record", ErrCorrupt, q.name, q.open)
	}
	b, rec, err := decodeBarrier(q.name, q.open, value)
	if err != nil {
		return err
	}
	b.Released = time.UnixMilli(p.s.wallMS())
	b.Counts = q.openTotals
	q.acks = rec.Acks
	p.events = append(p.events, Event{Kind: EventReleased, Queue: q.name, Epoch: q.open})
	q.releaseLocked(&b)
	if q.audience == 0 && q.acks > 0 {
		p.s.flag(q) // everybody acked before a crash: it can open
	}
	return nil
}
