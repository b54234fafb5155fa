package queue

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
)

// A view is what a consumer with a filter sees of the open epoch: the waiting
// items that match, found by one pass over the epoch's items and from then on
// kept up to date. Each item is looked at once per view, so a filter that
// matches little costs one pass and no more.
type view struct {
	filter  Filter
	matched []viewItem     // by descending priority, then by age; some no longer wait
	waiting map[uint64]ref // those that wait
	next    []byte         // where the pass goes on; nil before it begins
	done    bool           // the pass is over
	nextDue int64          // when the group of a waiting item may be served, Unix nanoseconds, or 0
}

type viewItem struct {
	id    uint64
	lane  laneKey
	block uint64 // 0 if the item is stored alone
}

func (it viewItem) loc(queue uint16) loc {
	at := it.lane.loc()
	at.queue, at.id, at.block = queue, it.id, it.block
	return at
}

// compareViewItems orders what a consumer with a filter receives.
func compareViewItems(a, b viewItem) int {
	return cmp.Or(cmp.Compare(b.lane.prio, a.lane.prio), cmp.Compare(a.id, b.id))
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

// forget notes that an item does not wait any more.
func (v *view) forget(id uint64) { delete(v.waiting, id) }

func (v *view) add(at loc, r ref) {
	if v.waiting == nil {
		v.waiting = make(map[uint64]ref)
	}
	v.waiting[r.id] = r
	it := viewItem{r.id, at.lane(), at.block}
	if i, found := slices.BinarySearchFunc(v.matched, it, compareViewItems); !found {
		v.matched = slices.Insert(v.matched, i, it)
	}
}

// shrink leaves to the pass what is beyond viewItems.
func (v *view) shrink(queue uint16) {
	for len(v.matched) > viewItems {
		last := v.matched[len(v.matched)-1]
		v.matched = v.matched[:len(v.matched)-1]
		if _, ok := v.waiting[last.id]; !ok {
			continue
		}
		v.forget(last.id)
		key := last.loc(queue).appendStart(nil)
		if v.done || bytes.Compare(key, v.next) < 0 {
			v.next, v.done = key, false
		}
	}
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
		if !v.done && bytes.Compare(at.appendStart(nil), v.next) >= 0 {
			continue // the pass will come to it
		}
		v.add(at, r)
		v.shrink(q.id)
	}
}

// takeViewLocked is takeLocked for a consumer with a filter.
func (q *queueState) takeViewLocked(c *Consumer, n int) ([]*Delivery, error) {
	v := c.view
	now := q.s.now()
	var out []*Delivery
	for {
		v.nextDue = 0
		matched := v.matched
		v.matched = matched[:0]
		for i, it := range matched {
			if len(out) == n {
				v.matched = append(v.matched, matched[i:]...)
				break
			}
			r, ok := v.waiting[it.id]
			if !ok || q.claimed[it.id] || r.expires != 0 && r.expires <= now/1e6 {
				v.forget(it.id)
				continue
			}
			l, err := q.residentLocked(it.lane)
			if err != nil {
				return out, err
			}
			due := max(l.due, l.group.dueLocked())
			if served := q.mayServeLocked(l.group); !served || due > now {
				v.matched = append(v.matched, it)
				if served && (v.nextDue == 0 || due < v.nextDue) {
					v.nextDue = due
				}
				continue
			}
			q.removeLocked(it.loc(q.id))
			d := q.leaseLocked(c, l, r)
			out = append(out, d)
			q.servedLocked(d, now)
		}
		clear(matched[len(v.matched):])
		if len(out) == n || v.done || len(v.matched) >= viewItems {
			return out, nil
		}
		if err := q.passLocked(v); err != nil {
			return out, err
		}
	}
}

// residentLocked returns a lane, brought into memory if need be.
func (q *queueState) residentLocked(k laneKey) (*lane, error) {
	if l := q.lanes[k]; l != nil {
		return l, nil
	}
	ptr, err := q.s.readPointer(q.id, k)
	if err != nil {
		return nil, err
	}
	if ptr == nil {
		return nil, fmt.Errorf("%w: lane %v has no record", ErrCorrupt, k)
	}
	l, err := q.addLaneLocked(k, ptr.due, ptr.low, false)
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
	err := q.s.scanEntries(context.Background(), v.next, end, func(e *entry) error {
		if seen >= viewChunk || len(v.matched) >= viewItems {
			v.next, done = e.at.appendStart(nil), false
			return errStop
		}
		return e.each(func(at loc, r ref) error {
			seen++
			if q.inflight[at.id] != nil {
				return nil
			}
			ok, err := v.matches(at, r.value)
			if ok {
				v.add(at, r.clone())
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	if done {
		v.next, v.done = end, true
	}
	return nil
}
