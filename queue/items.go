package queue

import (
	"context"
	"encoding/binary"
	"time"
)

// This file plans what happens to items.

// enqueue plans an item of a transaction.
func (p *plan) enqueue(q *queueState, o *op, r *request) error {
	it := o.item
	if q.config.makesBarrier(it) {
		p.placeBarrier(q, it.Body, it.Headers)
		return nil
	}
	at := loc{
		queue: q.id, epoch: p.entryEpoch(q, it.Group), due: p.due(it.Delay, it.NotBefore),
		prio: int8(it.Priority), group: it.Group, id: p.s.nextID,
	}
	var m mark
	var fresh bool
	if it.Key != "" {
		var stored bool
		var err error
		if m, stored, fresh, err = p.identify(q, o, r); err != nil || !stored {
			return err
		}
	}
	p.s.nextID++
	p.result.Enqueued++
	ref := ref{id: at.id, keyed: it.Key != "", live: it.Key != "" && it.Mode != Once, batched: it.Batch != "", value: o.value}
	if !it.Expires.IsZero() {
		ref.expires = it.Expires.UnixMilli()
	}
	if packable(at, ref) {
		p.pack(q, &at, &ref)
	}
	if it.Key != "" {
		m.at = at
		p.setMark(markID{q.id, o.hash}, m, fresh)
	}
	return p.insert(q, at, ref)
}

// due returns when an item becomes ready, or 0 if it is ready now.
func (p *plan) due(delay time.Duration, notBefore time.Time) int64 {
	t := p.now
	if delay > 0 { // the batch may have begun long ago
		t = time.Unix(0, p.s.now()).Add(delay)
	}
	if notBefore = p.instant(notBefore); notBefore.After(t) {
		t = notBefore
	}
	if !t.After(p.now) {
		return 0
	}
	ms := t.UnixMilli()
	if t.Nanosecond()%1e6 != 0 {
		ms++
	}
	return ms
}

// insert plans an item that enters the queue at a place.
func (p *plan) insert(q *queueState, at loc, r ref) error {
	if r.block == nil {
		p.put(p.seal(at.appendKey(p.tail())), r.value)
	}
	if r.expires != 0 {
		p.putExpiry(q, at, r.expires)
	}
	if r.batched {
		if err := p.joinBatch(q, r.batch()); err != nil {
			return err
		}
	}
	var delayed int64
	if at.due != 0 {
		delayed = 1
	}
	e := p.count(q, at.epoch, 1, delayed, int64(len(r.value)))
	p.tally(q, e, func(t *Totals) *int64 { return &t.Enqueued })
	return p.appear(q, at, r)
}

// appear plans the effect of an item at a place that it did not have before.
func (p *plan) appear(q *queueState, at loc, r ref) error {
	if at.due != 0 || at.epoch == deferredEpoch {
		p.effect(q, effect{kind: effectDelayed, at: at, r: ref{id: r.id, expires: r.expires}})
		return nil
	}
	fresh, err := p.ensureLane(q, at.lane())
	if err != nil {
		return err
	}
	p.effect(q, effect{kind: effectReady, at: at, r: r, ptr: fresh})
	return nil
}

// ensureLane makes a lane's record and pointer if there are none, and then
// returns the pointer.
func (p *plan) ensureLane(q *queueState, k laneKey) (fresh *pointer, err error) {
	if _, ok := q.known.get(k); ok {
		return nil, nil
	}
	id := laneID{q.id, k}
	if !p.dropped[id] {
		_, found, err := p.s.lookUp(appendLaneKey(p.tail(), q.id, k))
		if err != nil {
			return nil, err
		}
		if found {
			p.know(q, k)
			return nil, nil
		}
	}
	fresh = &pointer{due: max(p.now.UnixNano(), p.notBefore(q, k.group))}
	p.lanes[id] = fresh
	p.putLane(q, k, fresh)
	p.know(q, k)
	return fresh, nil
}

// notBefore returns until when a group waits, as far as the plan says so itself. Its lanes
// are not looked at before. bringForward sees to those of a group whose wait is cut short,
// but does not know of lanes that its own plan has made: so a transaction that may cut
// one short makes no lane that waits, and joins no plan that has (see admit).
func (p *plan) notBefore(q *queueState, group string) int64 {
	rec := p.groups[groupID{q.id, group}]
	if rec == nil || rec.settings.NotBefore.IsZero() || p.mayCutShort {
		return 0
	}
	p.waits = true
	return rec.settings.NotBefore.UnixNano()
}

// know remembers that a lane has a record, once the plan is written.
func (p *plan) know(q *queueState, k laneKey) {
	q.known.set(k, struct{}{}, p.number, p.s.sequence.Load())
}

// putLane plans a lane's record and its pointer.
func (p *plan) putLane(q *queueState, k laneKey, ptr *pointer) {
	p.put(p.seal(appendLaneKey(p.tail(), q.id, k)), p.seal(binary.AppendVarint(p.tail(), ptr.due)))
	p.putPointer(q, k, ptr)
}

func (p *plan) putPointer(q *queueState, k laneKey, ptr *pointer) {
	p.put(p.seal(appendPointerKey(p.tail(), q.id, k, ptr.due)), p.seal(binary.AppendUvarint(p.tail(), ptr.low)))
}

// pointer returns a lane's pointer as it is after this plan's writes, or nil if
// there is no such lane.
func (p *plan) pointer(q *queueState, k laneKey) (*pointer, error) {
	id := laneID{q.id, k}
	if ptr := p.lanes[id]; ptr != nil || p.dropped[id] {
		return ptr, nil
	}
	return p.s.readPointer(q.id, k)
}

// readPointer returns a lane's pointer as it is stored, or nil if there is no
// such lane.
func (s *leader) readPointer(queue uint16, k laneKey) (*pointer, error) {
	value, found, err := s.lookUp(appendLaneKey(nil, queue, k))
	if err != nil || !found {
		return nil, err
	}
	ptr := new(pointer)
	ptr.due, _ = binary.Varint(value)
	if value, _, err = s.lookUp(appendPointerKey(nil, queue, k, ptr.due)); err != nil {
		return nil, err
	}
	ptr.low, _ = binary.Uvarint(value)
	return ptr, nil
}

// comeBack plans that a lane's pointer does not pass over an item that was away
// while later ones were settled.
func (p *plan) comeBack(q *queueState, k laneKey, id uint64) error {
	q.mu.Lock()
	low, loaded := q.sched.LowID(k.key())
	q.mu.Unlock()
	lower := !loaded || low > id || p.lanes[laneID{q.id, k}] != nil
	if !lower {
		return nil
	}
	ptr, err := p.pointer(q, k)
	if err != nil || ptr == nil || ptr.low <= id {
		return err
	}
	ptr.low = id
	p.lanes[laneID{q.id, k}] = ptr
	p.putPointer(q, k, ptr)
	q.mu.Lock()
	q.sched.Lower(k.key(), id)
	q.mu.Unlock()
	return nil
}

// movePointer plans that a lane is due at another time. kind is effectPointer, or
// effectPointerAway if the lane may leave memory then.
func (p *plan) movePointer(q *queueState, k laneKey, from, to *pointer, kind effectKind) {
	if from.due != to.due {
		p.del(p.seal(appendPointerKey(p.tail(), q.id, k, from.due)))
	}
	p.lanes[laneID{q.id, k}] = to
	p.putLane(q, k, to)
	p.effect(q, effect{kind: kind, at: k.loc(), ptr: to})
}

func (p *plan) putExpiry(q *queueState, at loc, expires int64) {
	p.put(p.seal(appendExpiryKey(p.tail(), q.id, expires, at.id)), p.seal(at.appendKey(p.tail())))
}

// settle plans the end of a delivery.
func (p *plan) settle(o *op) error {
	d := o.d
	q := d.c.q
	if d.Barrier != nil {
		return p.settleBarrier(q, o)
	}
	hold := time.Duration(0)
	switch o.kind {
	case opRelease:
		p.effect(q, effect{kind: effectRelease, d: d})
		return nil
	case opAck:
		if err := p.leave(q, d.at(), d.ref, func(t *Totals) *int64 { return &t.Acked }); err != nil {
			return err
		}
		if o.explicit && d.lease.Lane.Key.Group != "" {
			p.effect(q, effect{kind: effectEndUnused, d: d})
			return nil
		}
		p.effect(q, effect{kind: effectEnd, d: d})
	case opDefer:
		if err := p.deferItem(q, o); err != nil {
			return err
		}
	case opBury:
		if err := p.bury(q, d, d.at(), d.ref, d.ref.history().failed(o.err), o.err, o.value); err != nil {
			return err
		}
	case opSnooze:
		ordered, err := p.snooze(q, d, o.delay)
		if err != nil {
			return err
		}
		if ordered {
			hold = o.delay
		}
	case opRetry:
		delay := o.delay
		if !o.explicit {
			delay = q.config.Backoff.Delay(int(d.ref.attempts-d.ref.deaths) + 1)
		}
		if err := p.retry(q, d, delay, o.err, o.value); err != nil {
			return err
		}
		if alive, _ := p.fate(q, d.ref.id); alive && q.ordered(d.lease.Lane.Key.Group) {
			hold = delay
		}
	}
	return p.delayGroup(q, d, hold)
}

// vacate plans that an item is not at its place any more.
func (p *plan) vacate(at loc, r ref) error {
	if r.block != nil {
		return p.settleInBlock(at, r)
	}
	p.del(p.seal(at.appendKey(p.tail())))
	return nil
}

// leave plans that an item is unsettled no more.
func (p *plan) leave(q *queueState, at loc, r ref, outcome func(*Totals) *int64) error {
	if err := p.vacate(at, r); err != nil {
		return err
	}
	if r.expires != 0 {
		p.del(p.seal(appendExpiryKey(p.tail(), q.id, r.expires, r.id)))
	}
	if at.epoch == deferredEpoch && at.due != 0 {
		p.del(p.seal(appendReasonKey(p.tail(), q.id, r.id)))
	}
	if r.live {
		if err := p.unmark(q, r); err != nil {
			return err
		}
	}
	if r.batched {
		if err := p.leaveBatch(q, r.batch(), outcome); err != nil {
			return err
		}
	}
	var delayed int64
	if at.due != 0 {
		delayed = -1
	}
	e := p.count(q, at.epoch, -1, delayed, -int64(len(r.value)))
	p.tally(q, e, outcome)
	return nil
}

// retry plans another attempt of a delivery that failed, or its burial if it was
// the last.
func (p *plan) retry(q *queueState, d *Delivery, delay time.Duration, cause error, why []byte) error {
	h := d.ref.history().failed(cause)
	if !q.config.attemptsLeft(h.attempts - h.deaths) {
		return p.bury(q, d, d.at(), d.ref, h, cause, why)
	}
	return p.again(q, d, d.at(), d.ref, h, delay)
}

// again plans that an item whose delivery has ended is delivered again. d is the
// delivery, or nil if that ended with its process.
func (p *plan) again(q *queueState, d *Delivery, from loc, r ref, h history, delay time.Duration) error {
	if r.expires != 0 && r.expires <= p.wall {
		if d != nil {
			p.effect(q, effect{kind: effectEnd, d: d})
		}
		return p.leave(q, from, r, func(t *Totals) *int64 { return &t.Expired })
	}
	before := len(r.value)
	r = r.withHistory(h)
	e := p.count(q, from.epoch, 0, 0, int64(len(r.value)-before))
	p.tally(q, e, func(t *Totals) *int64 { return &t.Retried })
	return p.postpone(q, d, from, r, delay, endFailed)
}

// snooze plans that an item is delivered later, as if it had not been yet. It reports
// whether its group waits for it.
func (p *plan) snooze(q *queueState, d *Delivery, delay time.Duration) (ordered bool, err error) {
	if d.ref.expires != 0 && d.ref.expires <= p.wall {
		p.effect(q, effect{kind: effectEndUncounted, d: d})
		return false, p.leave(q, d.at(), d.ref, func(t *Totals) *int64 { return &t.Expired })
	}
	return q.ordered(d.at().group), p.postpone(q, d, d.at(), d.ref, delay, endPutOff)
}

// ending is how a delivery ends whose item comes back: later, or at once.
type ending struct{ later, ready effectKind }

var (
	endFailed = ending{effectEnd, effectBack}
	endPutOff = ending{effectEndUncounted, effectBackUncounted}
)

// postpone plans that an item whose delivery has ended comes back after a delay.
func (p *plan) postpone(q *queueState, d *Delivery, from loc, r ref, delay time.Duration, end ending) error {
	to := from
	to.block = 0
	var hold time.Duration // of the group
	if to.due = p.due(delay, time.Time{}); q.ordered(from.group) {
		hold = delay
		to.due = 0
	}
	if q.defers(to.group) {
		to.epoch = deferredEpoch
		if d != nil {
			p.effect(q, effect{kind: end.later, d: d, delay: hold})
		}
		return p.transfer(q, from, to, r)
	}
	if to.due == 0 {
		r, err := p.relocate(q, from, to, r)
		if d != nil {
			p.effect(q, effect{kind: end.ready, d: d, at: to, r: r, delay: delay})
		}
		return err
	}
	if d != nil {
		p.effect(q, effect{kind: end.later, d: d})
	}
	return p.move(q, from, to, r)
}

// relocate plans that an unsettled item is stored alone at another place, or with
// another value.
func (p *plan) relocate(q *queueState, from, to loc, r ref) (ref, error) {
	if from != to {
		if err := p.vacate(from, r); err != nil {
			return r, err
		}
		if r.keyed {
			if err := p.moveMark(q, r, to); err != nil {
				return r, err
			}
		}
	}
	r.block = nil
	p.put(p.seal(to.appendKey(p.tail())), r.value)
	return r, nil
}

// move plans that an unsettled item becomes ready, or delayed.
func (p *plan) move(q *queueState, from, to loc, r ref) error {
	r, err := p.relocate(q, from, to, r)
	if err != nil {
		return err
	}
	if r.expires != 0 {
		p.putExpiry(q, to, r.expires)
	}
	var delayed int64
	if from.due != 0 {
		delayed--
	}
	if to.due != 0 {
		delayed++
	}
	p.count(q, to.epoch, 0, delayed, 0)
	if to.due == 0 {
		if err := p.comeBack(q, to.lane(), r.id); err != nil {
			return err
		}
	}
	return p.appear(q, to, r)
}

// remove plans that a waiting item is dropped. One in flight, or gone, is left
// alone.
func (p *plan) remove(q *queueState, at loc, outcome func(*Totals) *int64) error {
	removed, err := p.removeIfWaiting(q, at, outcome)
	if err == nil && !removed && (at.due != 0 || at.block != 0) {
		at.due, at.block = 0, 0 // its time may have come, or it was retried
		_, err = p.removeIfWaiting(q, at, outcome)
	}
	return err
}

func (p *plan) removeIfWaiting(q *queueState, at loc, outcome func(*Totals) *int64) (bool, error) {
	id := at.id
	alive, known := p.fate(q, id)
	if known && !alive {
		return false, nil
	}
	q.mu.Lock()
	busy := !known && q.inflight[at.id] != nil || q.claimed[at.id]
	if !busy {
		q.claimed[at.id] = true // until this plan is published
	}
	q.mu.Unlock()
	if busy {
		return false, nil
	}
	at, r, found, err := p.locate(q, at)
	if err != nil {
		return false, err
	}
	if !found {
		q.mu.Lock()
		delete(q.claimed, id)
		q.mu.Unlock()
		return false, nil
	}
	if err := p.leave(q, at, r, outcome); err != nil {
		return false, err
	}
	p.effect(q, effect{kind: effectGone, at: at, r: ref{id: at.id}})
	return true, nil
}

// stored returns an item as it is after this plan's writes.
func (p *plan) stored(q *queueState, at loc) (ref, bool, error) {
	alive, known := p.fate(q, at.id)
	if known && !alive {
		return ref{}, false, nil
	}
	if at.block != 0 {
		return p.storedInBlock(at)
	}
	if !known {
		return p.s.readItem(context.Background(), at)
	}
	value, found, err := p.storedKey(at.appendKey(nil))
	if err != nil || !found {
		return ref{}, false, err
	}
	r, err := makeRef(at.id, value)
	return r, true, err
}
