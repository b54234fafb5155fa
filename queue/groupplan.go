package queue

import (
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// This file plans what happens to groups: their settings, and when they are next served.

// setGroup plans a change of a group's settings.
func (p *plan) setGroup(q *queueState, o *op) error {
	rec, err := p.groupRecord(q, o.key)
	if err != nil {
		return err
	}
	given := *o.group
	given.NotBefore = p.instant(given.NotBefore)
	if o.kind == opSetGroup {
		if rec.settings.NotBefore.After(given.NotBefore) || rec.settings.Paused && !given.Paused {
			if err := p.bringForward(q, o.key); err != nil {
				return err
			}
		}
		rec.settings = given
	} else if given.NotBefore.After(rec.settings.NotBefore) {
		rec.settings.NotBefore = given.NotBefore
	}
	p.putGroup(q, o.key, rec)
	settings := rec.settings
	p.effect(q, effect{kind: effectGroup, at: loc{group: o.key}, group: &settings})
	return nil
}

// bringForward makes the pointers of a group's lanes due now, so that lanes that
// were left on disk until later are looked at again.
func (p *plan) bringForward(q *queueState, group string) error {
	q.mu.Lock()
	prios := q.sched.Priorities()
	q.mu.Unlock()
	for _, prio := range prios {
		k := laneKey{q.counts.open, prio, group}
		ptr, err := p.pointer(q, k)
		if err != nil {
			return err
		}
		if now := p.now.UnixNano(); ptr != nil && ptr.due > now {
			p.movePointer(q, k, ptr, &pointer{due: now, low: ptr.low}, effectPointer)
		}
	}
	return nil
}

// groupRecord returns what is planned, known or stored about a group.
func (p *plan) groupRecord(q *queueState, name string) (*groupRecord, error) {
	id := groupID{q.id, name}
	if rec := p.groups[id]; rec != nil {
		return rec, nil
	}
	rec := new(groupRecord)
	p.groups[id] = rec
	if f := p.s.flying; f != nil && f.groups[id] != nil {
		*rec = *f.groups[id]
		return rec, nil
	}
	q.mu.Lock()
	settings, nextDue, _, ok := q.sched.Group(name)
	q.mu.Unlock()
	if ok || !q.groupRecords {
		*rec = groupRecord{GroupSettings(settings), nextDue}
		return rec, nil
	}
	value, found, err := p.s.lookUp(appendGroupKey(nil, q.id, name))
	if found {
		*rec, err = decodeGroup(value)
	}
	return rec, err
}

func (p *plan) putGroup(q *queueState, name string, rec *groupRecord) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p.putGroupLocked(q, name, rec)
}

func (p *plan) putGroupLocked(q *queueState, name string, rec *groupRecord) {
	p.put(p.seal(appendGroupKey(p.tail(), q.id, name)), p.seal(rec.append(p.tail())))
	q.groupRecords = true
}

// ordered reports whether a group waits for its items that are tried again.
func (q *queueState) ordered(group string) bool {
	return q.config.Groups.Ordered && group != ""
}

// delayGroup stores when the delivery's group may next be served, if it has a
// minimum delay or is held back.
func (p *plan) delayGroup(q *queueState, d *Delivery, hold time.Duration) error {
	group := d.lease.Lane.Key.Group
	if group == "" {
		return nil
	}
	q.mu.Lock()
	delay, next := q.sched.Delay(d.lease.Lane)
	q.mu.Unlock()
	if delay = max(delay, int64(hold)); delay == 0 {
		return nil
	}
	rec, err := p.groupRecord(q, group)
	if err != nil {
		return err
	}
	// By the clock: the plan may have been begun before the delivery ended.
	rec.nextDue = max(rec.nextDue, next, sched.Later(p.s.now(), delay))
	p.putGroup(q, group, rec)
	return nil
}
