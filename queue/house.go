package queue

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// Housekeeping is what the committer does besides transactions, as part of the
// same batches. Each turn does a bounded piece for each flagged queue and flags
// the queue again if more is left.
const housekeepItems = 512

// whyLeaseLost is the reason of a dead letter whose session ended last.
var whyLeaseLost = appendReason(nil, ErrLeaseLost)

func (p *plan) housekeep() error {
	if err := p.s.rewriteNotes(); err != nil {
		return err
	}
	s := p.s
	s.mu.Lock()
	if len(s.flagged) == 0 {
		s.mu.Unlock()
		return p.sweep()
	}
	if s.space(p.now, false) != nil {
		s.mu.Unlock() // nothing may be written now
		time.AfterFunc(overdueTime, s.nudge)
		return nil
	}
	queues := make([]*queueState, 0, len(s.flagged))
	for q := range s.flagged {
		if !q.gone.Load() {
			queues = append(queues, q)
		}
	}
	clear(s.flagged)
	s.mu.Unlock()
	sort.Slice(queues, func(i, j int) bool { return queues[i].id < queues[j].id })
	p.result, p.plain = nil, false
	for _, q := range queues {
		if !p.roomy() {
			s.flag(q)
			continue
		}
		more, err := p.housekeepQueue(q)
		if err != nil {
			return fmt.Errorf("housekeeping of %s: %w", q.name, err)
		}
		if more {
			s.flag(q)
		}
	}
	return p.sweep()
}

// housekeepingDue reports whether housekeep would find something to do.
func (s *leader) housekeepingDue() bool {
	due := s.notes.due()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return due || len(s.flagged)+len(s.doomed) > 0
}

func (p *plan) housekeepQueue(q *queueState) (more bool, err error) {
	q.mu.Lock()
	lost, stale := q.lost, q.stale
	q.lost, q.stale = nil, nil
	promote, expire := q.nextDue <= p.nowMS(), q.nextEnd <= p.wall
	lanes := q.sched.Housekeeping() <= p.now.UnixNano()
	q.mu.Unlock()

	for i := range lost {
		if !p.roomy() {
			q.mu.Lock()
			q.lost = append(lost[i:], q.lost...)
			q.mu.Unlock()
			more = true
			break
		}
		p.part(q).lost = lost[: i+1 : i+1]
		if err := p.interrupted(q, &lost[i], lost[i].d.ref, ErrLeaseLost, whyLeaseLost); err != nil {
			return false, err
		}
		hold := time.Duration(0)
		if q.ordered(lost[i].at.group) {
			hold = lost[i].wait
		}
		if err := p.delayGroup(q, lost[i].d, hold); err != nil {
			return false, err
		}
	}
	for i, at := range stale {
		if !p.roomy() {
			q.mu.Lock()
			q.stale = append(stale[i:], q.stale...)
			q.mu.Unlock()
			more = true
			break
		}
		p.part(q).stale = stale[: i+1 : i+1]
		if err := p.remove(q, at, func(t *Totals) *int64 { return &t.Expired }); err != nil {
			return false, err
		}
	}
	for _, step := range []struct {
		due bool
		do  func(*queueState) (bool, error)
	}{
		// This looks at what is in memory, where the others' items are not before
		// the plan is published.
		{lanes, p.tendLanes},
		{expire, p.expire},
		{promote, p.promote},
		{q.epochs[deferredEpoch] != nil, p.tendDeferrals},
		{q.sweep, p.sweepEpochs},
	} {
		if !step.due {
			continue
		}
		again, err := step.do(q)
		if err != nil {
			return false, err
		}
		more = more || again
	}
	if err := p.endBatches(); err != nil {
		return false, err
	}
	p.touchTimer(q)
	if !p.roomy() {
		return true, nil
	}
	_, err = p.tryOpen(q)
	return more, err
}

// touchTimer makes publishing look at the queue's timer, though nothing else
// may have changed.
func (p *plan) touchTimer(q *queueState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.armLocked(false)
}

// scan is Store.Scan with a function that can fail. errStop ends it.
func (s *leader) scan(ctx context.Context, start, end []byte, fn func(key, value []byte) error) error {
	var failed error
	err := s.db.Scan(ctx, start, end, func(key, value []byte) bool {
		failed = fn(key, value)
		return failed == nil
	})
	if failed != nil && failed != errStop {
		return failed
	}
	return err
}

func (p *plan) scan(start, end []byte, fn func(key, value []byte) error) error {
	return p.s.scan(context.Background(), start, end, fn)
}

// tendLanes removes the records of lanes that have been empty for a while, and those
// of groups that have nothing left to say; leaves lanes to the disk whose turn is
// farthest away; and stores what pointers have to learn.
//
// Nothing can be on its way to an empty lane: what was planned before is published,
// and this plan has not begun with transactions, nor with items that come back. They
// leave memory when the plan is published, so that a receiver does not read them
// again.
func (p *plan) tendLanes(q *queueState) (more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := p.now.UnixNano()
	idle := q.sched.Idle(housekeepItems, now)
	for _, l := range idle {
		if !p.roomy() {
			return true, nil
		}
		if err := p.dropIdle(q, l); err != nil {
			return false, err
		}
	}
	moves := q.sched.Spill(housekeepItems*4, now)
	for _, m := range moves {
		// What there is no room for is found again, but for the lanes of paused
		// groups, which stay in memory until something happens to them.
		if p.roomy() {
			p.movePointer(q, laneOf(q.open, m.Key), &pointer{due: m.From.Due}, &pointer{m.To.Due, m.To.Low}, effectPointerAway)
			if m.Delay {
				p.keepDelayLocked(q, m.Key.Group)
			}
		}
	}
	for _, low := range q.sched.Lows() {
		if !p.roomy() {
			break // it is only to make the next start quicker
		}
		k := laneOf(q.open, low.Key)
		ptr := &pointer{low.Due, low.Low}
		p.lanes[laneID{q.id, k}] = ptr
		p.putPointer(q, k, ptr)
	}
	return len(idle) == housekeepItems || len(moves) == housekeepItems*4, nil
}

// dropIdle plans that an empty lane is forgotten.
func (p *plan) dropIdle(q *queueState, l sched.Idle) error {
	k := laneOf(q.open, l.Key)
	p.del(p.seal(appendLaneKey(p.tail(), q.id, k)))
	p.del(p.seal(appendPointerKey(p.tail(), q.id, k, l.OnDisk)))
	p.dropped[laneID{q.id, k}] = true
	q.known.remove(k)
	p.effect(q, effect{kind: effectIdle, at: k.loc()})
	switch {
	case l.Delay: // memory is crowded: the group's wait is known to the disk alone
		p.keepDelayLocked(q, k.group)
	case q.groupRecords && l.Bare && p.dropsAll(q, k.group):
		p.del(p.seal(appendGroupKey(p.tail(), q.id, k.group)))
	}
	return nil
}

// keepDelayLocked stores until when a group waits, as it may leave memory.
func (p *plan) keepDelayLocked(q *queueState, group string) {
	settings, nextDue, _, _ := q.sched.Group(group)
	p.putGroupLocked(q, group, &groupRecord{GroupSettings(settings), nextDue})
}

// dropsAll reports whether the plan drops all lanes of a group that are in memory.
func (p *plan) dropsAll(q *queueState, group string) bool {
	for _, k := range q.sched.LanesOf(group) {
		if !p.dropped[laneID{q.id, laneOf(q.open, k)}] {
			return false
		}
	}
	return true
}

// sweptKinds are the records of lanes that finished epochs leave.
var sweptKinds = [...]byte{kindLane, kindPointer}

// sweepEpochs removes records of lanes that finished epochs have left. It never
// passes twice over what it has removed, which would be dear: see driver.Store.Scan.
func (p *plan) sweepEpochs(q *queueState) (more bool, err error) {
	left := housekeepItems
	for i, kind := range sweptKinds {
		start, end := q.swept[i], appendEpoch(nil, kind, q.id, q.counts.open)
		if start == nil {
			start = appendQueue(nil, kind, q.id)
		}
		q.swept[i] = end
		err := p.scan(start, end, func(key, _ []byte) error {
			if left == 0 || !p.roomy() {
				q.swept[i], more = bytes.Clone(key), true
				return errStop
			}
			left--
			p.del(p.seal(append(p.tail(), key...)))
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	q.sweep = more
	return more, nil
}
