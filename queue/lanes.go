package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/seed-301537d8/weir/internal/wire"
	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// This file is what the scheduler reads from the disk: lanes, groups and items of
// the open epoch. On disk every lane that may hold items has a lane record and a
// pointer; the pointers of one priority sort by when the lane is next due.

// lane is a lane in memory.
type lane = sched.Lane[ref]

// key returns the lane's name within its epoch.
func (k laneKey) key() sched.Key { return sched.Key{Priority: k.prio, Group: k.group} }

// laneOf returns a lane of an epoch.
func laneOf(epoch uint32, k sched.Key) laneKey { return laneKey{epoch, k.Priority, k.Group} }

// refOverhead is what an item in a window takes besides its bytes.
const refOverhead = 96

// What the scheduler asks of an item.

func (r ref) Ident() uint64   { return r.id }
func (r ref) Floor() uint64   { return r.floor() }
func (r ref) Size() int       { return len(r.value) + refOverhead }
func (r ref) Expiry() int64   { return r.expires }
func (r ref) Enqueued() int64 { return enqueuedAt(r.value).UnixNano() }
func (r ref) Clone() ref      { return r.clone() }

// enqueuedAt reads the time out of a stored item.
func enqueuedAt(value []byte) time.Time {
	r := wire.NewReader(value)
	r.Byte()
	r.Uvarint()
	return time.UnixMilli(int64(r.Uvarint()))
}

func (r ref) Last() uint64 {
	if r.block != nil {
		return r.block.last
	}
	return r.id
}

// storedLanes is the open epoch of a queue as the scheduler reads it. Its methods
// are called under the queue's lock.
type storedLanes struct{ q *queueState }

func (st storedLanes) Lanes(priority int8, due int64, group string, visit func(group string, p sched.Pointer) bool) error {
	q := st.q
	var bad error
	prefix := append(appendEpoch(nil, kindPointer, q.id, q.open), prioByte(priority))
	start := appendPointerKey(nil, q.id, laneKey{q.open, priority, group}, due)
	err := q.s.db.Scan(context.Background(), start, prefixEnd(prefix), func(key, value []byte) bool {
		k, due, err := parsePointerKey(key)
		if err != nil {
			bad = err
			return false
		}
		low, _ := binary.Uvarint(value)
		return visit(k.group, sched.Pointer{Due: due, Low: low})
	})
	if err == nil {
		err = bad
	}
	return err
}

// Levels finds the first pointer of each priority in use with one seek.
func (st storedLanes) Levels(visit func(priority int8, due int64, group string)) error {
	q := st.q
	prefix := appendEpoch(nil, kindPointer, q.id, q.open)
	end := prefixEnd(prefix)
	for start := prefix; start != nil; {
		var first []byte
		if err := q.s.db.Scan(context.Background(), start, end, func(key, _ []byte) bool {
			first = bytes.Clone(key)
			return false
		}); err != nil {
			return err
		}
		if first == nil {
			return nil
		}
		k, due, err := parsePointerKey(first)
		if err != nil {
			return err
		}
		visit(k.prio, due, k.group)
		start = prefixEnd(first[:len(prefix)+1])
	}
	return nil
}

func (st storedLanes) Lane(k sched.Key) (sched.Pointer, error) {
	lane := laneOf(st.q.open, k)
	ptr, err := st.q.s.readPointer(st.q.id, lane)
	if err == nil && ptr == nil {
		err = fmt.Errorf("%w: lane %v has no record", ErrCorrupt, lane)
	}
	if err != nil {
		return sched.Pointer{}, err
	}
	return sched.Pointer{Due: ptr.due, Low: ptr.low}, nil
}

func (st storedLanes) Group(name string) (sched.Settings, int64, error) {
	if !st.q.groupRecords {
		return sched.Settings{}, 0, nil
	}
	value, found, err := st.q.s.lookUp(appendGroupKey(nil, st.q.id, name))
	if err != nil || !found {
		return sched.Settings{}, 0, err
	}
	rec, err := decodeGroup(value)
	return sched.Settings(rec.settings), rec.nextDue, err
}

func (st storedLanes) Deferred(group string) bool { return st.q.away[group] }

func (st storedLanes) InFlight(id uint64) bool { return st.q.inflight[id] != nil }

func (st storedLanes) Claimed(id uint64) bool { return st.q.claimed[id] }

func (st storedLanes) LowestInFlight(l *lane) uint64 {
	low := uint64(math.MaxUint64)
	for _, d := range st.q.inflight {
		if d.lease.Lane == l {
			low = min(low, d.ref.floor())
		}
	}
	return low
}

func (st storedLanes) Records(from sched.Place, lane bool, visit func(sched.Record[ref]) (bool, error)) error {
	q := st.q
	prefix := appendEpoch(nil, kindReady, q.id, q.open)
	of := appendLanePrefix(nil, q.id, laneOf(q.open, from.Key))
	start := binary.BigEndian.AppendUint64(bytes.Clone(of), from.ID)
	if lane {
		prefix = of
	}
	var rec record
	return q.s.scanEntries(context.Background(), start, prefixEnd(prefix), func(e *entry) error {
		rec.e = e
		more, err := visit(&rec)
		if err == nil && !more {
			err = errStop
		}
		return err
	})
}

// record is an entry as the scheduler reads it.
type record struct {
	e      *entry
	values slab
}

func (r *record) Lane() sched.Key { return r.e.at.lane().key() }
func (r *record) First() uint64   { return r.e.at.id }
func (r *record) Keep()           { r.e.value = r.values.clone(r.e.value) }

func (r *record) Last() uint64 {
	if r.e.block != nil {
		return r.e.block.last
	}
	return r.e.at.id
}

func (r *record) Each(fn func(ref) error) error {
	return r.e.each(func(_ loc, r ref) error { return fn(r) })
}

// slab copies small values into shared memory, since a lane's window is many of them, and
// they live about as long as each other. Most lanes have a few, where groups are many: so
// the first piece is small, and each is twice as large as the one before.
type slab struct{ free []byte }

const (
	slabFirst = 256
	slabLast  = 4 << 10
)

func (p *slab) clone(b []byte) []byte {
	if len(b) > slabLast/8 {
		return bytes.Clone(b)
	}
	if len(b) > cap(p.free)-len(p.free) {
		p.free = make([]byte, 0, max(len(b), min(max(2*cap(p.free), slabFirst), slabLast)))
	}
	n := len(p.free)
	p.free = append(p.free, b...)
	return p.free[n:len(p.free):len(p.free)]
}
