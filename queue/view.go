package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"slices"
)

// A view is what a consumer with a filter sees of the open epoch: the waiting
// items that match, found by one pass over the epoch's items and from then on
// kept up to date. Each item is looked at once per view, so a filter that
// matches little costs one pass and no more.
type view struct {
	filter  Filter
	matched []viewItem // in the order of the pass, then of arrival
	waiting map[uint64]bool
	next    []byte // where the pass goes on; nil before it begins
	done    bool   // the pass is over
}

type viewItem struct {
	at loc
	r  ref
}

const (
	viewItems = 4096 // matched items kept
	viewChunk = 1024 // items looked at before the lock is given up
)

func (q *queueState) resetViewsLocked() []*view {
	for _, v := range q.views {
		*v = view{filter: v.filter}
	}
	return q.views
}

func (v *view) forget(id uint64) { delete(v.waiting, id) }

func (v *view) add(it viewItem) {
	if v.waiting[it.r.id] {
		return
	}
	if v.waiting == nil {
		v.waiting = make(map[uint64]bool)
	}
	v.waiting[it.r.id] = true
	v.matched = append(v.matched, it)
}

// matches reports whether the view's filter holds for a stored item.
func (v *view) matches(at loc, value []byte) (bool, error) {
	item, err := decodeItem(at, value)
	if err != nil {
		return false, err
	}
	return v.filter.Matches(&item.Item), nil
}

// offerLocked shows an item that has become ready to every view.
func (q *queueState) offerLocked(at loc, r ref) {
	for _, v := range q.views {
		ok, err := v.matches(at, r.value)
		if err != nil || !ok {
			continue // an item that does not decode is met by whoever takes it
		}
		key := at.appendKey(nil)
		switch {
		case !v.done && bytes.Compare(key, v.next) >= 0:
			// The pass will come to it.
		case len(v.matched) < viewItems:
			v.add(viewItem{at, r})
		default:
			v.next, v.done = key, false
		}
	}
}

// takeViewLocked is takeLocked for a consumer with a filter.
func (q *queueState) takeViewLocked(c *Consumer, n int) ([]*Delivery, error) {
	v := c.view
	now := q.s.now()
	var out []*Delivery
	for {
		kept := v.matched[:0]
		for i, it := range v.matched {
			if len(out) == n {
				kept = append(kept, v.matched[i:]...)
				break
			}
			if !v.waiting[it.r.id] || q.claimed[it.r.id] || q.inflight[it.r.id] != nil || it.r.expires != 0 && it.r.expires <= now/1e6 {
				delete(v.waiting, it.r.id)
				continue
			}
			l, err := q.residentLocked(it.at.lane())
			if err != nil {
				return out, err
			}
			if !q.mayServeLocked(l.group) || max(l.due, l.group.dueLocked()) > now {
				kept = append(kept, it)
				continue
			}
			q.removeLocked(it.at)
			out = append(out, q.leaseLocked(c, l, it.r))
			q.servedLocked(l, now)
		}
		clear(v.matched[len(kept):])
		v.matched = kept
		if len(out) == n || v.done || len(v.matched) >= viewItems {
			return out, nil
		}
		if err := q.passLocked(v); err != nil {
			return out, err
		}
	}
}

// viewDueLocked returns when the first of the items that wait for their group
// may be taken.
func (q *queueState) viewDueLocked(v *view) int64 {
	due := int64(math.MaxInt64)
	for _, it := range v.matched {
		if l := q.lanes[it.at.lane()]; l != nil && q.mayServeLocked(l.group) {
			due = min(due, max(l.due, l.group.dueLocked()))
		}
	}
	return due
}

// residentLocked returns a lane, brought into memory if need be.
func (q *queueState) residentLocked(k laneKey) (*lane, error) {
	if l := q.lanes[k]; l != nil {
		return l, nil
	}
	value, _, err := q.s.lookUp(appendLaneKey(nil, q.id, k))
	if err != nil {
		return nil, err
	}
	due, _ := binary.Varint(value)
	l, err := q.addLaneLocked(k, due, 0, false)
	if err == nil {
		q.scheduleLocked(l)
	}
	return l, err
}

// passLocked takes the view's pass over the epoch a step further.
func (q *queueState) passLocked(v *view) error {
	prefix := appendEpoch(nil, kindReady, q.id, q.open)
	if v.next == nil {
		v.next = prefix
	}
	end := prefixEnd(prefix)
	seen := 0
	done := true
	err := q.s.scan(context.Background(), v.next, end, func(key, value []byte) error {
		if seen == viewChunk || len(v.matched) >= viewItems {
			v.next, done = bytes.Clone(key), false
			return errStop
		}
		seen++
		at, err := parseLoc(key)
		if err != nil {
			return err
		}
		if q.inflight[at.id] != nil {
			return nil
		}
		ok, err := v.matches(at, value)
		if err != nil || !ok {
			return err
		}
		r, err := makeRef(at.id, slices.Clone(value))
		v.add(viewItem{at, r})
		return err
	})
	if err != nil {
		return err
	}
	if done {
		v.next, v.done = end, true
	}
	return nil
}
