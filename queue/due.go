package queue

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Items whose time has come: housekeeping finds them in the order of their times.

// promote plans that delayed items whose time has come become ready.
func (p *plan) promote(q *queueState) (more bool, err error) {
	prefix := appendEpoch(nil, kindDelayed, q.id, q.counts.open)
	start := binary.BigEndian.AppendUint64(append([]byte{}, prefix...), uint64(q.nextDue))
	type item struct {
		at    loc
		value []byte
	}
	var due []item
	size := 0
	next := int64(math.MaxInt64)
	err = p.scan(start, prefixEnd(prefix), func(key, value []byte) error {
		at, err := parseLoc(key)
		if err != nil {
			return err
		}
		if at.due > p.nowMS() || len(due) == housekeepItems || size > p.s.limits.Bytes/8 {
			next = at.due
			return errStop
		}
		size += len(value)
		due = append(due, item{at, append([]byte{}, value...)})
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, it := range due {
		if !p.roomy() {
			next = it.at.due
			break
		}
		q.mu.Lock()
		claimed := q.claimed[it.at.id]
		q.mu.Unlock()
		if claimed {
			continue // expired in this same plan
		}
		r, err := makeRef(it.at.id, it.value)
		if err != nil {
			return false, err
		}
		to := it.at
		to.due = 0
		if q.defers(to.group) {
			to.epoch = deferredEpoch
			if err := p.transfer(q, it.at, to, r); err != nil {
				return false, err
			}
			continue
		}
		if err := p.move(q, it.at, to, r); err != nil {
			return false, err
		}
	}
	q.mu.Lock()
	q.nextDue = next
	q.mu.Unlock()
	return next <= p.nowMS(), nil
}

// expire plans that items nobody took in time are dropped.
func (p *plan) expire(q *queueState) (more bool, err error) {
	prefix := appendQueue(nil, kindExpiry, q.id)
	start := binary.BigEndian.AppendUint64(append([]byte{}, prefix...), uint64(q.nextEnd))
	var ended []loc
	var times []int64
	next := int64(math.MaxInt64)
	err = p.scan(start, prefixEnd(prefix), func(key, value []byte) error {
		if len(key) != len(prefix)+16 {
			return fmt.Errorf("%w: expiry key %q", ErrCorrupt, key)
		}
		at := int64(binary.BigEndian.Uint64(key[len(prefix):]))
		if at > p.wall || len(ended) == housekeepItems {
			next = at
			return errStop
		}
		l, err := parseLoc(value)
		ended, times = append(ended, l), append(times, at)
		return err
	})
	if err != nil {
		return false, err
	}
	for i, at := range ended {
		if !p.roomy() {
			next = times[i]
			break
		}
		// One in flight is expired when it comes back.
		if err := p.remove(q, at, func(t *Totals) *int64 { return &t.Expired }); err != nil {
			return false, err
		}
	}
	q.mu.Lock()
	q.nextEnd = next
	q.mu.Unlock()
	return next <= p.wall, nil
}
