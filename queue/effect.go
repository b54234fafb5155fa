package queue

import (
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// This file is what a plan does in memory: each change is planned as an effect, in the
// order of the changes, and applied when the plan is durable.

// effect is what publishing does for one change.
type effect struct {
	kind  effectKind
	d     *Delivery
	at    loc // effectIdle, effectPointer, effectCleared: of the lane; effectGroup, effectDefer, effectRejoin: the group alone
	r     ref
	delay time.Duration
	group *GroupSettings
	ptr   *pointer // effectPointer, and effectReady and effectReturn if the lane is new
}

type effectKind uint8

const (
	effectEnd              effectKind = iota // a delivery's lease ends
	effectEndUnused                          // the same, and its group was not used
	effectEndUncounted                       // the same, and the attempt is not counted
	effectRelease                            // a delivery goes back, uncounted
	effectReady                              // an item became ready
	effectDelayed                            // an item became delayed
	effectBack                               // a delivery failed and is ready again
	effectBackUncounted                      // a delivery was put off and is ready again
	effectGone                               // a waiting item was removed
	effectGroup                              // a group's settings changed
	effectConfig                             // a queue's settings changed
	effectPause                              // a queue was paused
	effectResume                             // a queue was resumed
	effectBarrier                            // a barrier delivery was given back
	effectBarrierUncounted                   // the same, and the attempt is not counted
	effectIdle                               // an empty lane is forgotten
	effectPointer                            // a lane's pointer has moved
	effectPointerAway                        // the same, and the lane may leave memory
	effectDefer                              // a group was deferred
	effectRejoin                             // a deferred group comes back
	effectAway                               // a ready item has left the open epoch
	effectReturn                             // an item came back that its lane may have passed
	effectCleared                            // a lane has nothing on disk but what consumers hold
)

func (p *plan) effect(q *queueState, e effect) {
	part := p.include(q)
	part.effects = append(part.effects, e)
}

// pauseEffect is the effect of a queue that is paused, or resumed.
func pauseEffect(pause bool) effectKind {
	if pause {
		return effectPause
	}
	return effectResume
}

// paused is whether the queue is paused once the plan is published.
func (p *plan) paused(q *queueState) bool {
	effects := p.part(q).effects
	for i := len(effects) - 1; i >= 0; i-- {
		switch effects[i].kind {
		case effectPause:
			return true
		case effectResume:
			return false
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.paused
}

// fate returns what this plan has done to an item of the queue, if anything.
func (p *plan) fate(q *queueState, id uint64) (alive, known bool) {
	part := p.part(q)
	if part.fates == nil {
		part.fates = make(map[uint64]bool)
	}
	for ; part.fated < len(part.effects); part.fated++ {
		switch e := &part.effects[part.fated]; e.kind {
		case effectReady, effectDelayed, effectBack, effectBackUncounted, effectAway, effectReturn:
			part.fates[e.r.id] = true
		case effectRelease:
			part.fates[e.d.ref.id] = true
		case effectGone:
			part.fates[e.r.id] = false
		case effectEnd, effectEndUnused, effectEndUncounted:
			if e.d.Barrier == nil {
				part.fates[e.d.ref.id] = false
			}
		}
	}
	alive, known = part.fates[id]
	return alive, known
}

// applyLocked makes an effect visible.
func (p *plan) applyLocked(q *queueState, e *effect, now int64) error {
	switch e.kind {
	case effectEndUnused:
		q.doneLocked(e.d, leaseSettled)
		q.sched.EndUnused(e.d.lease, now)
	case effectEnd, effectEndUncounted:
		if e.kind == effectEndUncounted {
			p.noted = max(p.noted, q.noteReleasedLocked([]*Delivery{e.d}))
		}
		if e.delay > 0 {
			q.sched.Hold(e.d.lease, sched.Later(now, int64(e.delay)))
		}
		q.endLocked(e.d, now)
	case effectRelease:
		p.noted = max(p.noted, q.noteReleasedLocked([]*Delivery{e.d}))
		q.giveBackLocked(e.d, leaseSettled)
	case effectReady:
		if e.at.epoch != q.open || q.inflight[e.r.id] != nil {
			// The second: a receiver has read it from disk, where it has been
			// since the commit, before it was published, and has it already.
			break
		}
		if err := q.sched.Add(e.at.lane().key(), e.r, e.ptr.stored(), now); err != nil {
			return err
		}
	case effectDelayed:
		switch e.at.epoch {
		case q.open:
			q.nextDue = min(q.nextDue, e.at.due)
		case deferredEpoch:
			if e.at.due != 0 {
				q.nextBack = min(q.nextBack, e.at.due)
			}
		}
	case effectBack, effectBackUncounted:
		if e.kind == effectBackUncounted {
			p.noted = max(p.noted, q.noteReleasedLocked([]*Delivery{e.d}))
		}
		q.doneLocked(e.d, leaseSettled)
		notBefore := int64(0)
		if e.delay > 0 {
			notBefore = sched.Later(now, int64(e.delay))
		}
		q.sched.Back(e.d.lease, e.r, notBefore, now)
	case effectReturn:
		if e.at.epoch == q.open && q.inflight[e.r.id] == nil {
			if err := q.sched.Return(e.at.lane().key(), e.r, e.ptr.stored(), now); err != nil {
				return err
			}
		}
	case effectDefer:
		q.away[e.at.group] = true
		q.sched.Defer(e.at.group, true, now)
		q.s.flag(q) // its items are to be moved
	case effectRejoin:
		delete(q.away, e.at.group)
		q.sched.Defer(e.at.group, false, now)
		q.s.flag(q)
	case effectCleared:
		if e.at.epoch == q.open {
			q.sched.Cleared(e.at.lane().key(), e.r.id, now)
		}
	case effectGone, effectAway:
		if e.at.epoch == q.open {
			q.sched.Remove(e.at.lane().key(), e.at.id, now)
		}
	case effectGroup:
		q.sched.SetGroup(e.at.group, sched.Settings(*e.group), now)
	case effectConfig:
		q.sched.SetPolicy(sched.Policy(q.config.Groups), now)
	case effectPause:
		q.paused = true
	case effectResume:
		q.paused = false
	case effectIdle:
		if e.at.epoch == q.open {
			q.sched.Drop(e.at.lane().key())
		}
	case effectPointer, effectPointerAway:
		if e.at.epoch == q.open {
			q.sched.Moved(e.at.lane().key(), *e.ptr.stored(), e.kind == effectPointerAway)
		}
	case effectBarrier, effectBarrierUncounted:
		q.endLocked(e.d, now)
		q.returnBarrierLocked(e.d, e.delay, e.kind == effectBarrier)
	}
	if e.r.expires != 0 {
		q.nextEnd = min(q.nextEnd, e.r.expires)
	}
	return nil
}
