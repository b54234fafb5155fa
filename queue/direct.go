package queue

import (
	"context"
	"fmt"
	"time"
)

// A worker that has made an item for the next queue may go on with it at once. Then
// the item need not be stored: one transaction enqueues it and settles it, and of
// both only the counts are left. Two things make that look as if it had been
// delivered from the queue:
//
//   - it is done only where the item would have been delivered now: the queue has
//     no barrier, is not paused, has no limits, and hardly anything waits. Whoever
//     commits the transaction still has a delivery of the queue before, so in a
//     pipeline no barrier can come meanwhile; if one has come all the same, the
//     transaction is refused;
//   - what is not acked is enqueued by the same transaction, as an item that has
//     been delivered and has failed.

func (s *leader) Direct(ctx context.Context, queue string, backlog int) (d *Delivery, ok bool) {
	q := s.queue(queue)
	if q == nil || s.err() != nil {
		return nil, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.live - q.delayed - int64(len(q.inflight))
	if q.paused || q.open != q.tail || q.released != nil || !q.config.direct() || waiting > int64(backlog) || q.fullNowLocked() {
		return nil, false
	}
	return &Delivery{Queue: queue, Epoch: q.tail, Attempt: 1, Enqueued: time.Now(), direct: true, maker: s}, true
}

// direct reports whether a queue with these settings may be passed by.
func (c *Config) direct() bool { return c.BarrierOn == nil && c.MaxInFlight == 0 }

// settleDirect adds the settlement of a delivery that Direct has made.
func (tx *Tx) settleDirect(o op) {
	o.name, o.item = o.d.Queue, &o.d.Item
	switch o.kind {
	case opAck:
		o.kind = opDirectAck
	case opRetry:
		o.kind = opDirectRetry
	case opBury:
		o.kind = opDirectBury
	case opRelease:
		o.kind = opEnqueue
	case opSnooze:
		it := o.d.Item
		it.Delay = o.delay
		o.kind, o.item = opEnqueue, &it
	}
	tx.ops = append(tx.ops, o)
}

// validateDirect is validate for the settlement of a direct delivery.
func (o *op) validateDirect(s *leader) error {
	it := o.item
	switch {
	case o.d.maker != s:
		return ErrForeign
	case o.delay < 0:
		return invalidf("delay %v is negative", o.delay)
	case it.Key != "" || it.Group != "" || it.Delay != 0 || !it.NotBefore.IsZero() || !it.Expires.IsZero():
		return invalidf("direct delivery of an item with a key, a group, a delay or an expiry")
	}
	return validItem(it, s.opts.MaxItem)
}

// checkDirect returns an error if the item could not be delivered now. placed says
// that the transaction itself has put a barrier before it.
func (p *plan) checkDirect(q *queueState, o *op, placed bool) error {
	if q == nil || placed || q.counts.open != q.counts.tail || q.counts.tail != o.d.Epoch || !q.config.direct() {
		return fmt.Errorf("%w: %s", ErrNotDirect, o.name)
	}
	return nil
}

// direct plans an item that is enqueued and settled at once.
func (p *plan) direct(q *queueState, o *op) error {
	p.result.Enqueued++
	h := history{}.failed(o.err)
	switch {
	case o.kind == opDirectAck:
		e := p.count(q, q.counts.tail, 0, 0, 0)
		p.tally(q, e, func(t *Totals) *int64 { return &t.Enqueued })
		p.tally(q, e, func(t *Totals) *int64 { return &t.Acked })
		return p.passBatch(q, o.item.Batch, func(t *Totals) *int64 { return &t.Acked })
	case o.kind == opDirectRetry && q.config.attemptsLeft(1):
		return p.directRetry(q, o, h)
	}
	at := p.directPlace(q, o, 0)
	r, err := makeRef(at.id, o.value)
	if err != nil {
		return err
	}
	e := p.count(q, at.epoch, 0, 0, 0)
	p.tally(q, e, func(t *Totals) *int64 { return &t.Enqueued })
	p.tally(q, e, func(t *Totals) *int64 { return &t.Buried })
	p.putDead(q, at, r, h, o.err, appendReason(nil, o.err))
	return p.passBatch(q, o.item.Batch, func(t *Totals) *int64 { return &t.Buried })
}

// passBatch plans that an item joins a batch, if it has one, and leaves it at once.
func (p *plan) passBatch(q *queueState, name string, outcome func(*Totals) *int64) error {
	if name == "" {
		return nil
	}
	if err := p.joinBatch(q, name); err != nil {
		return err
	}
	return p.leaveBatch(q, name, outcome)
}

func (p *plan) directRetry(q *queueState, o *op, h history) error {
	delay := o.delay
	if !o.explicit {
		delay = q.config.Backoff.Delay(1)
	}
	at := p.directPlace(q, o, p.due(delay, time.Time{}))
	r, err := makeRef(at.id, o.value)
	if err != nil {
		return err
	}
	if err := p.insert(q, at, r.withHistory(h)); err != nil {
		return err
	}
	p.tally(q, q.epochs[at.epoch], func(t *Totals) *int64 { return &t.Retried })
	return nil
}

// directPlace is where an item lies that has to be stored after all.
func (p *plan) directPlace(q *queueState, o *op, due int64) loc {
	at := loc{queue: q.id, epoch: q.counts.tail, due: due, prio: int8(o.item.Priority), id: p.s.nextID}
	p.s.nextID++
	return at
}

// direct adds an item that is enqueued and settled at once, which is stored if it
// is not acked.
func (z *sizer) direct(o *op) {
	if o.kind == opDirectAck {
		return
	}
	size := len(o.value) + historyLen
	before := z.total
	z.write(deadKeyLen, delayedKeyLen("")+3*varintLen+len(appendReason(nil, o.err))+size)
	buried := z.total
	z.total = before
	z.write(delayedKeyLen(""), size)
	z.write(laneKeyLen(""), varintLen)
	z.write(pointerKeyLen(""), varintLen)
	z.total = z.total.larger(buried)
	z.laneOf = ""
}
