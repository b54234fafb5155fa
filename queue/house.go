package queue

import (
	"context"
	"fmt"
	"sort"
	"time"
)

// Housekeeping is what the committer does besides transactions, as part of the
// same batches. Each turn does a bounded piece for each flagged queue and flags
// the queue again if more is left.
const (
	housekeepItems = 512
	idleTime       = 5 * time.Second // how long an empty lane is kept
)

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
		return nil
	}
	if s.space(p.now, false) != nil {
		s.mu.Unlock() // nothing may be written now
		time.AfterFunc(overdueTime, s.nudge)
		return nil
	}
	queues := make([]*queueState, 0, len(s.flagged))
	for q := range s.flagged {
		queues = append(queues, q)
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
	return nil
}

// housekeepingDue reports whether housekeep would find something to do.
func (s *Store) housekeepingDue() bool {
	s.notesMu.Lock()
	due := s.noteBytes > s.noteLimit
	s.notesMu.Unlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return due || len(s.flagged) > 0
}

func (p *plan) housekeepQueue(q *queueState) (more bool, err error) {
	q.mu.Lock()
	lost, stale, lows := q.lost, q.stale, q.lows
	q.lost, q.stale, q.lows = nil, nil, nil
	ms := p.nowMS()
	promote, expire, idle := q.nextDue <= ms, q.nextEnd <= ms, q.idle > 0
	crowded := len(q.lanes) > p.s.opts.GroupMemory*5/4
	q.mu.Unlock()

	for i, d := range lost {
		if !p.roomy() {
			q.mu.Lock()
			q.lost = append(lost[i:], q.lost...)
			q.mu.Unlock()
			more = true
			break
		}
		p.part(q).lost = lost[: i+1 : i+1]
		if err := p.retry(q, d, 0, ErrLeaseLost, whyLeaseLost); err != nil {
			return false, err
		}
		if err := p.delayGroup(q, d); err != nil {
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
	p.storeLows(q, lows)
	for _, step := range []struct {
		due bool
		do  func(*queueState) (bool, error)
	}{
		// These two look at what is in memory, where the others' items are not
		// before the plan is published.
		{idle, p.dropIdle},
		{crowded, p.spill},
		{expire, p.expire},
		{promote, p.promote},
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
func (s *Store) scan(ctx context.Context, start, end []byte, fn func(key, value []byte) error) error {
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

// storeLows writes into lanes' pointers that items below some id are settled,
// so that the first read after a crash need not pass over them.
func (p *plan) storeLows(q *queueState, lanes []*lane) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range lanes {
		if q.lanes[l.key] != l || !p.roomy() {
			continue // it is only to make the next start quicker
		}
		if low := q.lowestLocked(l); low > l.lowID {
			l.lowID = low
			ptr := &pointer{l.onDisk, low}
			p.lanes[laneID{q.id, l.key}] = ptr
			p.putPointer(q, l.key, ptr)
		}
	}
}

// dropIdle removes the records of lanes that have been empty for a while, and
// those of groups that have nothing left to say. Nothing can be on its way to
// such a lane: what was planned before is published, and this plan has not
// begun with transactions, nor with items that come back. They leave memory
// when the plan is published, so that a receiver does not read them again.
func (p *plan) dropIdle(q *queueState) (more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := p.now.UnixNano()
	n := 0
	for _, l := range q.lanes {
		if l.emptied == 0 || l.emptied > now-int64(idleTime) || l.group.dueLocked() > now || q.unsettledLocked(l) {
			continue
		}
		if n++; n > housekeepItems || !p.roomy() {
			return true, nil
		}
		p.del(p.seal(appendLaneKey(p.tail(), q.id, l.key)))
		p.del(p.seal(appendPointerKey(p.tail(), q.id, l.key, l.onDisk)))
		p.dropped[laneID{q.id, l.key}] = true
		q.known.remove(l.key)
		p.effect(q, effect{kind: effectIdle, at: l.key.loc()})
		if g := l.group; q.groupRecords && g.inflight == 0 && g.rec.settings == (GroupSettings{}) && p.dropsAll(q, g.lanes) {
			p.del(p.seal(appendGroupKey(p.tail(), q.id, g.name)))
		}
	}
	return false, nil
}

func (p *plan) dropsAll(q *queueState, lanes []*lane) bool {
	for _, l := range lanes {
		if !p.dropped[laneID{q.id, l.key}] {
			return false
		}
	}
	return true
}

// unsettledLocked reports whether the lane may have an unsettled item.
func (q *queueState) unsettledLocked(l *lane) bool {
	return l.inflight > 0 || l.head < len(l.win) || !l.complete
}

// spill leaves to the disk the lanes whose turn is farthest away, so that
// memory stays within Options.GroupMemory.
func (p *plan) spill(q *queueState) (more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	excess := len(q.lanes) - p.s.opts.GroupMemory
	var lanes []*lane
	for _, lv := range q.levels {
		for _, l := range lv.lanes {
			if l.inflight == 0 && len(l.group.lanes) == 1 && l.group.inflight == 0 && l.emptied == 0 {
				lanes = append(lanes, l)
			}
		}
	}
	sort.Slice(lanes, func(i, j int) bool { return lanes[i].due > lanes[j].due })
	excess = min(excess, len(lanes), housekeepItems*4)
	for _, l := range lanes[:max(excess, 0)] {
		if !p.roomy() {
			return true, nil
		}
		p.movePointer(q, l.key, &pointer{due: l.onDisk}, &pointer{due: l.due, low: q.lowestLocked(l)}, true)
	}
	return excess == housekeepItems*4, nil
}

// sweepEpochs removes lane records that finished epochs have left.
func (p *plan) sweepEpochs(q *queueState) (more bool, err error) {
	n := 0
	for _, kind := range []byte{kindLane, kindPointer} {
		start := appendQueue(nil, kind, q.id)
		err := p.scan(start, appendEpoch(nil, kind, q.id, q.counts.open), func(key, _ []byte) error {
			p.del(p.seal(append(p.tail(), key...)))
			if n++; n >= housekeepItems || !p.roomy() {
				return errStop
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	q.sweep = n >= housekeepItems || !p.roomy()
	return q.sweep, nil
}
