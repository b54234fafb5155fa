package queue

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"math"
	"time"
)

// This file is the housekeeping of deferrals. A group's items leave, and come back,
// a quarter of a mebibyte in each batch, and blocks as they are: to defer 100,000
// items takes some forty batches with forty blocks each.

// tendDeferrals does a piece of what the deferrals of a queue ask for. Groups whose
// time has come are told so last: their items are moved by a later plan, which finds
// on the disk all that this one has put there.
func (p *plan) tendDeferrals(q *queueState) (more bool, err error) {
	q.mu.Lock()
	for _, group := range q.strayed {
		if _, ok := q.deferring.groups[group]; ok {
			q.deferring.moves[group] = nil
		}
	}
	q.strayed = nil
	low := q.nextBack
	q.mu.Unlock()
	if more, err = p.moveGroups(q); err != nil || more {
		return more, err
	}
	if more, err = p.sweepDelayed(q); err != nil || more || low > p.nowMS() {
		return more, err
	}
	d := &q.deferring
	for len(d.returns) > 0 && d.returns.next() <= p.nowMS() {
		if !p.roomy() {
			return true, nil
		}
		r := heap.Pop(&d.returns).(groupReturn)
		if def := d.groups[r.group]; def.deferred && def.until == r.until {
			p.rejoinGroup(q, r.group)
			more = true
		}
	}
	next, err := p.returnItems(q, low)
	if err != nil {
		return false, err
	}
	next = min(next, d.returns.next())
	if d.sweep.wanted {
		next = min(next, d.sweep.notBefore.UnixMilli()+1)
	}
	q.mu.Lock()
	q.nextBack = next
	q.mu.Unlock()
	return more || next <= p.nowMS(), nil
}

// moveGroups moves items of groups that are deferred or come back.
func (p *plan) moveGroups(q *queueState) (more bool, err error) {
	d := &q.deferring
	looked := 0
	for group, from := range d.moves {
		if looked++; looked > housekeepItems || !p.roomy() {
			return true, nil
		}
		var next []byte
		switch def, ok := d.groups[group]; {
		case !ok:
		case def.deferred:
			next, err = p.moveAway(q, group, from)
		default:
			next, err = p.moveBack(q, group, def, from)
		}
		if err != nil {
			return false, err
		}
		if next != nil {
			d.moves[group] = next
			return true, nil
		}
		delete(d.moves, group)
	}
	return false, nil
}

// moveAway moves the ready items of a group out of the open epoch, and returns
// where to go on. It passes over those that a consumer holds: the group comes into
// moves again when they are given back.
func (p *plan) moveAway(q *queueState, group string, from []byte) (next []byte, err error) {
	q.mu.Lock()
	prios := q.sched.Priorities()
	q.mu.Unlock()
	for _, prio := range prios {
		k := laneKey{q.counts.open, prio, group}
		ptr, err := p.pointer(q, k)
		if err != nil {
			return nil, err
		}
		prefix := appendLanePrefix(nil, q.id, k)
		if ptr == nil || from != nil && bytes.Compare(from, prefixEnd(prefix)) >= 0 {
			continue
		}
		start := binary.BigEndian.AppendUint64(bytes.Clone(prefix), ptr.low)
		if bytes.Compare(from, start) > 0 {
			start = from
		}
		entries, next, err := p.collect(start, prefixEnd(prefix))
		if err != nil {
			return nil, err
		}
		last := uint64(0)
		for i := range entries {
			e := &entries[i]
			if !p.roomy() {
				return e.at.appendStart(nil), nil
			}
			if err := p.moveEntryAway(q, e); err != nil {
				return nil, err
			}
			if last = e.at.id; e.block != nil {
				last = e.block.last
			}
		}
		if next != nil {
			return next, nil
		}
		p.leaveLane(q, k, ptr, last)
	}
	return nil, nil
}

// moveEntryAway moves a block, or the items of it that nobody holds.
func (p *plan) moveEntryAway(q *queueState, e *entry) error {
	busy := make(map[uint64]bool)
	err := e.each(func(at loc, r ref) error {
		if _, known := p.fate(q, r.id); known {
			busy[r.id] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	q.mu.Lock()
	err = e.each(func(at loc, r ref) error {
		if q.inflight[r.id] != nil || q.claimed[r.id] {
			busy[r.id] = true
		}
		return nil
	})
	q.mu.Unlock()
	if err != nil {
		return err
	}
	if e.block != nil && len(busy) == 0 && p.settlings.find(e.block.first) == nil {
		return p.moveBlock(q, e, deferredEpoch)
	}
	return e.each(func(at loc, r ref) error {
		if busy[r.id] {
			return nil
		}
		to := at
		to.epoch, to.block = deferredEpoch, 0
		p.effect(q, effect{kind: effectAway, at: at, r: ref{id: r.id}})
		return p.transfer(q, at, to, r)
	})
}

// leaveLane plans that a lane of the open epoch whose items have left is forgotten,
// or that it has nothing but what consumers hold.
func (p *plan) leaveLane(q *queueState, k laneKey, ptr *pointer, last uint64) {
	held := false
	q.mu.Lock()
	for _, d := range q.inflight {
		held = held || d.lane() == k
	}
	q.mu.Unlock()
	p.effect(q, effect{kind: effectCleared, at: k.loc(), r: ref{id: last}})
	if held {
		return
	}
	p.del(p.seal(appendLaneKey(p.tail(), q.id, k)))
	p.del(p.seal(appendPointerKey(p.tail(), q.id, k, ptr.due)))
	p.dropped[laneID{q.id, k}] = true
	delete(p.lanes, laneID{q.id, k})
	q.known.remove(k)
	p.effect(q, effect{kind: effectIdle, at: k.loc()})
}

// moveBack moves the items of a group out of deferredEpoch, and returns where to go
// on.
func (p *plan) moveBack(q *queueState, group string, def deferral, from []byte) (next []byte, err error) {
	prefix := appendAwayPrefix(nil, q.id, group)
	if from == nil {
		from = prefix
	}
	entries, next, err := p.collect(from, prefixEnd(prefix))
	if err != nil {
		return nil, err
	}
	for i := range entries {
		e := &entries[i]
		if !p.roomy() {
			return e.at.appendStart(nil), nil
		}
		if e.block != nil && p.settlings.find(e.block.first) == nil {
			err = p.moveBlock(q, e, def.epoch)
		} else {
			err = e.each(func(at loc, r ref) error {
				if alive, known := p.fate(q, r.id); known && !alive {
					return nil // it has expired in this plan
				}
				to := at
				to.epoch, to.block = def.epoch, 0
				return p.transfer(q, at, to, r)
			})
		}
		if err != nil {
			return nil, err
		}
	}
	if next == nil {
		p.forgetDeferral(q, group)
	}
	return next, nil
}

// moveBytes is how much of a group is moved in one batch, so that no commit waits
// long for it.
const moveBytes = 256 << 10

// collect reads stored entries, as many as one turn of housekeeping may move, and
// returns where to go on, or nil at the end.
func (p *plan) collect(start, end []byte) (entries []entry, next []byte, err error) {
	size := 0
	err = p.s.scanEntries(context.Background(), start, end, func(e *entry) error {
		if size >= moveBytes || len(entries) == housekeepItems {
			next = e.at.appendStart(nil)
			return errStop
		}
		kept := *e
		kept.value = bytes.Clone(e.value)
		entries, size = append(entries, kept), size+len(e.value)
		return nil
	})
	return entries, next, err
}

// moveBlock moves a block to another epoch.
func (p *plan) moveBlock(q *queueState, e *entry, epoch uint32) error {
	from, to := e.at, e.at
	to.epoch = epoch
	p.put(p.seal(to.appendKey(p.tail())), e.value)
	p.del(p.seal(from.appendKey(p.tail())))
	if e.block.settled != 0 {
		p.put(p.seal(to.appendSettledKey(p.tail())), p.seal(binary.AppendUvarint(p.tail(), e.block.settled)))
		p.del(p.seal(from.appendSettledKey(p.tail())))
	}
	p.movedBlocks[e.block.first] = epoch
	n, size := int64(0), int64(0)
	err := e.each(func(at loc, r ref) error {
		n, size = n+1, size+int64(len(r.value))
		if epoch == deferredEpoch {
			p.effect(q, effect{kind: effectAway, at: at, r: ref{id: r.id}})
			return nil
		}
		at.epoch = epoch
		if n == 1 {
			return p.arrive(q, at, r)
		}
		p.effect(q, effect{kind: effectReturn, at: at, r: r})
		return nil
	})
	p.recount(q, from, to, n, size)
	return err
}

// delayedSweep looks for delayed items of deferred groups. They are ordered by their
// times, so all of the open epoch are looked at; a sweep serves all groups that were
// deferred before it.
type delayedSweep struct {
	wanted    bool
	next      []byte // where it goes on, or nil if none is under way
	began     time.Time
	notBefore time.Time // when another may begin: sweeps take a twentieth of the time at most
}

const sweepItems = 4096 // looked at in one turn

// sweepDelayed moves delayed items of deferred groups out of the open epoch. They
// keep their times.
func (p *plan) sweepDelayed(q *queueState) (more bool, err error) {
	sw := &q.deferring.sweep
	if sw.next == nil {
		if !sw.wanted || p.now.Before(sw.notBefore) {
			return false, nil
		}
		sw.wanted = false
		if q.epochs[q.counts.open].delayed == 0 {
			return false, nil
		}
		sw.began = time.Now()
		sw.next = appendEpoch(nil, kindDelayed, q.id, q.counts.open)
	}
	prefix := appendEpoch(nil, kindDelayed, q.id, q.counts.open)
	if !bytes.HasPrefix(sw.next, prefix) {
		sw.next = prefix // another epoch has opened
	}
	var found []entry
	looked, size := 0, 0
	var next []byte
	err = p.scan(sw.next, prefixEnd(prefix), func(key, value []byte) error {
		if looked++; looked > sweepItems || size > p.s.limits.Bytes/8 {
			next = bytes.Clone(key)
			return errStop
		}
		at, err := parseLoc(key)
		if err == nil && q.defers(at.group) {
			found, size = append(found, entry{at: at, value: bytes.Clone(value)}), size+len(value)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	for _, e := range found {
		if !p.roomy() {
			sw.next = e.at.appendKey(nil)
			return true, nil
		}
		if _, known := p.fate(q, e.at.id); known {
			continue // it became ready, or expired, in this plan
		}
		r, err := makeRef(e.at.id, e.value)
		if err != nil {
			return false, err
		}
		to := e.at
		to.epoch = deferredEpoch
		if err := p.transfer(q, e.at, to, r); err != nil {
			return false, err
		}
	}
	if sw.next = next; next == nil {
		sw.notBefore = time.Now().Add(19 * time.Since(sw.began))
		if sw.wanted {
			q.mu.Lock()
			q.nextBack = min(q.nextBack, sw.notBefore.UnixMilli()+1)
			q.mu.Unlock()
		}
	}
	return next != nil, nil
}

// returnItems brings back deferred items whose own time has come, and returns when
// the next has. None has a time before low, in Unix milliseconds.
func (p *plan) returnItems(q *queueState, low int64) (next int64, err error) {
	next = math.MaxInt64
	if c := q.epochs[deferredEpoch]; c == nil || c.delayed == 0 {
		return next, nil
	}
	prefix := appendEpoch(nil, kindDelayed, q.id, deferredEpoch)
	start := binary.BigEndian.AppendUint64(bytes.Clone(prefix), uint64(low))
	var due []entry
	size := 0
	err = p.scan(start, prefixEnd(prefix), func(key, value []byte) error {
		at, err := parseLoc(key)
		if err != nil {
			return err
		}
		if at.due > p.nowMS() || len(due) == housekeepItems || size > p.s.limits.Bytes/8 {
			next = at.due
			return errStop
		}
		due, size = append(due, entry{at: at, value: bytes.Clone(value)}), size+len(value)
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, e := range due {
		if !p.roomy() {
			return e.at.due, nil
		}
		if _, known := p.fate(q, e.at.id); known {
			continue
		}
		r, err := makeRef(e.at.id, e.value)
		if err != nil {
			return 0, err
		}
		if err := p.comeHome(q, e.at, r); err != nil {
			return 0, err
		}
	}
	return next, nil
}
