package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-301537d8/weir/queue/driver"
)

// The bounds of cost.go keep batches within the driver's limits. A driver that
// refuses one all the same has by its contract written nothing of it, so the store
// goes on: what was planned is taken back, and each transaction of the batch is
// tried in a batch of its own. The one that is too large even so is refused, and
// no other notices.
//
// Taking back is simple because nothing of a plan is visible before it is durable:
// what planning has changed is known to the committer alone, and all of it is on
// the disk as it was. So the committer forgets it and reads it again.

// refused is called when the driver has refused the batch p as too large, and no
// other is being written. next is the plan that was made ahead of it, if any.
func (s *leader) refused(p, next *plan, cause error) {
	requests := append([]*request(nil), p.requests...)
	plans := []*plan{p}
	if next.number > 0 {
		requests = append(requests, next.requests...)
		plans = append(plans, next)
	}
	if err := s.takeBack(plans); err != nil {
		s.fail(fmt.Errorf("take back a batch: %w", err))
	}
	if len(requests) == 0 {
		// Housekeeping takes an eighth of a batch, and tries again by itself.
		if s.refusals++; s.refusals > 1 {
			s.fail(fmt.Errorf("write batch: %w", cause))
		}
		return
	}
	s.log.Error("a batch was larger than the backend takes; its transactions are tried one by one", "err", cause, "transactions", len(requests))
	for _, r := range requests {
		s.tryAlone(r)
	}
}

// tryAlone plans and writes a request in a batch of its own, and answers it.
func (s *leader) tryAlone(r *request) {
	if err := s.failure.Load(); err != nil {
		r.done <- *err
		return
	}
	p := s.plan
	p.reset()
	if err := p.add(r); err != nil {
		p.number = 0
		r.done <- err
		return
	}
	p.requests = append(p.requests, r)
	if !p.durable() {
		p.show()
		s.answer(p)
		return
	}
	size := p.used()
	p.finish()
	switch err := s.db.Commit(context.Background(), p.writes); {
	case errors.Is(err, driver.ErrTooLarge):
		if err := s.takeBack([]*plan{p}); err != nil {
			s.fail(fmt.Errorf("take back a batch: %w", err))
		}
		r.done <- s.tooLarge(r, size)
		return
	case err != nil:
		s.fail(fmt.Errorf("write batch: %w", err))
	default:
		s.sequence.Store(p.number)
	}
	s.answer(p)
}

// takeBack undoes what has been planned and not written. No batch is on its way.
func (s *leader) takeBack(plans []*plan) error {
	published := s.sequence.Load()
	s.recent.forget(published)
	s.settled.forget(published)
	s.batches.forget(published)
	s.counters = counterCache{}
	if err := s.recoverOutcomes(context.Background()); err != nil {
		return err
	}
	for _, d := range s.doomed {
		d.begin()
	}
	queues := make(map[*queueState]bool)
	for _, p := range plans {
		for _, q := range p.queues {
			if p.created[q.name] != q {
				queues[q] = true
			}
			p.part(q).clear(q)
		}
		for id := range p.lanes {
			if q := s.numbered(id.queue); q != nil {
				queues[q] = true
			}
		}
	}
	for q := range queues {
		if err := s.rereadQueue(q, plans); err != nil {
			return fmt.Errorf("queue %s: %w", q.name, err)
		}
		s.flag(q)
	}
	for _, p := range plans {
		for _, q := range p.deleted {
			q.gone.Store(false)
		}
		for _, r := range p.requests {
			r.unclaim()
		}
		p.number = 0
	}
	for q := range queues {
		q.mu.Lock()
		if q.audience == 0 && q.acks == 0 {
			for c := range q.consumers {
				q.joinLocked(c) // the ack that is not to be was of a session that has ended
			}
		}
		q.wakeLocked()
		q.mu.Unlock()
	}
	return nil
}

// rereadQueue reads again what planning may have changed of a queue.
func (s *leader) rereadQueue(q *queueState, plans []*plan) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	value, err := s.db.Get(context.Background(), appendQueue(nil, kindQueue, q.id))
	if err != nil {
		return err
	}
	rec, err := decodeQueue(value)
	if err != nil {
		return err
	}
	q.config = &rec.Config
	clear(q.names)
	if err := s.recoverCounts(context.Background(), q); err != nil {
		return err
	}
	q.known.forget(s.sequence.Load())
	clear(q.claimed)
	q.opening, q.sweep = false, true
	clear(q.swept[:])
	q.nextDue, q.nextEnd, q.nextBack = 0, 0, q.firstBack() // housekeeping will find the first
	if q.released != nil {
		value, err := s.db.Get(context.Background(), appendEpoch(nil, kindBarrier, q.id, q.counts.open))
		if err != nil {
			return err
		}
		rec, err := decodeBarrierRecord(value)
		if err != nil {
			return err
		}
		q.acks = rec.Acks
	}
	for _, p := range plans {
		for id := range p.lanes {
			if id.queue != q.id {
				continue
			}
			ptr, err := s.readPointer(q.id, id.key)
			if err != nil {
				return err
			}
			if ptr != nil && id.key.epoch == q.open {
				q.sched.Moved(id.key.key(), *ptr.stored(), false)
			}
		}
	}
	return nil
}

// clear empties a plan's part of a queue. What housekeeping has taken up it will
// find again.
func (p *part) clear(q *queueState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lost = append(p.lost, q.lost...)
	q.stale = append(p.stale, q.stale...)
	clear(p.effects)
	*p = part{effects: p.effects[:0]}
}

// unclaim undoes check for a request that is not to be.
func (r *request) unclaim() {
	if r.conflict != nil || r.repeated {
		return // it has claimed nothing
	}
	for i := range r.ops {
		o := &r.ops[i]
		if o.kind > opBury {
			continue
		}
		if d := o.d; d.Barrier != nil && o.kind == opAck {
			q := d.c.q
			q.mu.Lock()
			if q.released == d.Barrier && d.c.ended == nil && d.c.barrier == barrierAcked {
				d.c.barrier = barrierDelivered
				q.audience++
			}
			q.mu.Unlock()
		}
		o.d.unclaim()
	}
}
