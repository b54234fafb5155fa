package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

func (s *leader) Check(ctx context.Context) error {
	c := &checker{s: s, ctx: ctx}
	err := s.alone(ctx, func() error {
		if err := s.db.Verify(ctx); err != nil {
			return err
		}
		for _, q := range s.all() {
			if err := c.queue(q); err != nil {
				return fmt.Errorf("queue %s: %w", q.name, err)
			}
		}
		if err := c.outcomes(); err != nil {
			return err
		}
		return c.strays()
	})
	if err == nil && len(c.findings) > 0 {
		err = fmt.Errorf("%w: %w", ErrCorrupt, errors.Join(c.findings...))
	}
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}

type checker struct {
	s        *leader
	ctx      context.Context
	findings []error
	q        *queueState
	epochs   map[uint32]*epochCounts // counted from the items
	bytes    int64
	batched  batchSum   // of them
	asked    []question // that wait for their answers
}

var errEnough = errors.New("enough findings")

func (c *checker) find(format string, args ...any) error {
	c.findings = append(c.findings, fmt.Errorf("queue "+c.q.name+": "+format, args...))
	if len(c.findings) >= 20 {
		return errEnough
	}
	return nil
}

func (c *checker) queue(q *queueState) error {
	c.q, c.bytes, c.batched = q, 0, batchSum{}
	c.epochs = make(map[uint32]*epochCounts)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, step := range []func() error{
		c.readyItems, c.delayedItems, c.awayItems, c.deferrals, c.counts, c.laneRecords, c.pointers, c.expiries, c.marks, c.dead, c.barriers, c.batches, c.memory,
	} {
		err := step()
		if err == nil {
			err = c.answers()
		}
		if errors.Is(err, errEnough) {
			c.asked = nil
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) scan(kind byte, fn func(key, value []byte) error) error {
	prefix := appendQueue(nil, kind, c.q.id)
	return c.s.scanPages(c.ctx, prefix, prefixEnd(prefix), fn)
}

// A page of a scan has this many records, or bytes.
const (
	pageRecords = 1024
	pageBytes   = 1 << 20
)

// scanPages is scan for a function that calls the driver, which one that the driver
// calls must not: it copies the records page by page. It is for the committer, when
// nothing changes between two pages.
func (s *leader) scanPages(ctx context.Context, start, end []byte, fn func(key, value []byte) error) error {
	type record struct{ key, value []byte }
	var page []record
	for start != nil {
		clear(page)
		page = page[:0]
		size := 0
		var next []byte
		err := s.db.Scan(ctx, start, end, func(key, value []byte) bool {
			if len(page) == pageRecords || size >= pageBytes {
				next = bytes.Clone(key)
				return false
			}
			page = append(page, record{bytes.Clone(key), bytes.Clone(value)})
			size += len(key) + len(value)
			return true
		})
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := fn(r.key, r.value); err == errStop {
				return nil
			} else if err != nil {
				return err
			}
		}
		start = next
	}
	return nil
}

func (c *checker) readyItems() error {
	var lane laneKey
	first := true
	return c.items(kindReady, func(at loc, r ref) error {
		if k := at.lane(); first || k != lane {
			first, lane = false, k
			if err := c.lane(k, at.id, r.floor()); err != nil {
				return err
			}
		}
		if at.epoch == c.q.open {
			return c.inMemory(at, r)
		}
		return nil
	})
}

// lane checks the record and the pointer of a lane, whose first item has an id and
// a floor.
func (c *checker) lane(k laneKey, id, floor uint64) error {
	return c.ask(appendLaneKey(nil, c.q.id, k), func(value []byte, found bool) error {
		if !found {
			return c.find("item %d has no lane record", id)
		}
		due, n := binary.Varint(value)
		if n <= 0 {
			return nil // laneRecords says so
		}
		return c.ask(appendPointerKey(nil, c.q.id, k, due), func(value []byte, _ bool) error {
			if low, _ := binary.Uvarint(value); floor < low {
				return c.find("item %d lies below its lane's low id %d", id, low)
			}
			return nil
		})
	})
}

// inMemory checks that the scheduler knows of an item on disk.
func (c *checker) inMemory(at loc, r ref) error {
	if c.q.inflight[r.id] != nil || c.q.sched.Holds(at.lane().key(), r.id) || r.expires != 0 && r.expires <= c.s.wallMS() {
		return nil
	}
	for _, l := range c.q.lost {
		if l.at.id == r.id {
			return nil
		}
	}
	return c.find("item %d is stored, and its lane has forgotten it", r.id)
}

func (c *checker) delayedItems() error {
	return c.items(kindDelayed, func(at loc, r ref) error {
		c.epochs[at.epoch].delayed++
		if at.epoch == deferredEpoch {
			c.epochs[at.epoch].bytes += int64(len(r.value))
			if at.due < c.q.nextBack && at.due != forever {
				return c.find("item %d comes back at %d, and the next is expected at %d", at.id, at.due, c.q.nextBack)
			}
			return nil
		}
		if at.epoch == c.q.open && at.due < c.q.nextDue {
			return c.find("item %d is due at %d, and the next is expected at %d", at.id, at.due, c.q.nextDue)
		}
		return nil
	})
}

// awayItems checks the items that are deferred with their groups.
func (c *checker) awayItems() error {
	return c.items(kindAway, func(at loc, r ref) error {
		c.epochs[at.epoch].bytes += int64(len(r.value))
		if _, ok := c.q.deferring.groups[at.group]; !ok {
			return c.find("item %d is deferred with group %s, which is not", at.id, at.group)
		}
		return nil
	})
}

// deferrals checks the records of deferred groups, and the reasons of items.
func (c *checker) deferrals() error {
	q := c.q
	n := 0
	returning := make(map[uint32]int)
	err := c.scan(kindDeferral, func(key, value []byte) error {
		n++
		group := string(key[3:])
		def, _, err := decodeDeferral(value)
		if err != nil {
			return c.find("%w", err)
		}
		if !def.deferred {
			returning[def.epoch]++
		}
		if q.deferring.groups[group] != def || q.away[group] != def.deferred {
			return c.find("group %s is stored as %+v, known is %+v", group, def, q.deferring.groups[group])
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n != len(q.deferring.groups) {
		if err := c.find("%d deferrals are stored, %d known", n, len(q.deferring.groups)); err != nil {
			return err
		}
	}
	for epoch, e := range q.epochs {
		if e.returning != returning[epoch] {
			if err := c.find("%d groups come back into epoch %d, %d are counted", returning[epoch], epoch, e.returning); err != nil {
				return err
			}
		}
	}
	return c.scan(kindReason, func(key, value []byte) error {
		if _, _, err := decodeDeferReason(value); err != nil {
			return c.find("%w", err)
		}
		return nil
	})
}

// items calls fn for each item of a kind, having checked it.
func (c *checker) items(kind byte, fn func(at loc, r ref) error) error {
	prefix := appendQueue(nil, kind, c.q.id)
	end := uint64(0) // of the block that was read last
	var lane laneKey
	err := c.s.readEntries(c.s.scanPages, c.ctx, prefix, prefixEnd(prefix), func(e *entry) error {
		if k := e.at.lane(); k != lane {
			lane, end = k, 0
		}
		if e.block != nil {
			if e.block.first <= end {
				if err := c.find("block %d begins before the end of the one before it, at %d", e.block.first, end); err != nil {
					return err
				}
			}
			end = e.block.last
			if set, ok := c.s.settled.get(e.block.first); ok && set != e.block.settled {
				if err := c.find("of block %d items %b are settled, stored are %b", e.block.first, set, e.block.settled); err != nil {
					return err
				}
			}
		}
		return e.each(func(at loc, r ref) error {
			if err := c.item(at, r); err != nil {
				return err
			}
			return fn(at, r)
		})
	})
	if errors.Is(err, ErrCorrupt) {
		return c.find("%w", err)
	}
	return err
}

// item checks what is true of every item, and counts it.
func (c *checker) item(at loc, r ref) error {
	e := c.epochs[at.epoch]
	if e == nil {
		e = new(epochCounts)
		c.epochs[at.epoch] = e
	}
	e.live++
	c.bytes += int64(len(r.value))
	item, err := decodeItem(at, r.value)
	if err != nil {
		return c.find("%w", err)
	}
	if r.batched {
		c.batched.add(c.s.secret, item.Batch, 1)
	}
	if at.id >= c.s.nextID {
		if err := c.find("item %d has an id that was not given out", at.id); err != nil {
			return err
		}
	}
	if r.keyed {
		if err := c.keyed(at, item); err != nil {
			return err
		}
	}
	if at.block != 0 && !packable(at, r) {
		return c.find("item %d should be stored alone, and is in block %d", at.id, at.block)
	}
	if r.expires != 0 {
		return c.ask(appendExpiryKey(nil, c.q.id, r.expires, at.id), func(where []byte, found bool) error {
			if !found || !bytes.Equal(where, at.appendKey(nil)) {
				return c.find("item %d expires, and the expiry index does not say where it is", at.id)
			}
			return nil
		})
	}
	return nil
}

// keyed checks an item's mark. A later item may have taken the key of one in
// flight, and Forget may have removed the mark.
func (c *checker) keyed(at loc, item storedItem) error {
	name := item.Key
	return c.ask(appendMarkKey(nil, c.q.id, c.s.secret.hash(name)), func(value []byte, found bool) error {
		if !found {
			return nil
		}
		m, err := decodeMark(c.q.id, value)
		if err != nil {
			return c.find("%w of key %q", err, name)
		}
		if m.at.id == at.id && m.at != at && !(at.block != 0 && slices.Contains(m.at.elsewhere(c.q.counts.open), at)) {
			return c.find("item %d lies at %+v, its mark says %+v", at.id, at, m.at)
		}
		return nil
	})
}

func (c *checker) counts() error {
	q := c.q
	if c.bytes != q.counts.bytes {
		if err := c.find("items have %d bytes, the count is %d", c.bytes, q.counts.bytes); err != nil {
			return err
		}
	}
	for epoch, got := range c.epochs {
		if q.epochs[epoch] == nil {
			if err := c.find("%d items lie in epoch %d, which is not between %d and %d", got.live, epoch, q.counts.open, q.counts.tail); err != nil {
				return err
			}
		}
	}
	for epoch, want := range q.epochs {
		got := c.epochs[epoch]
		if got == nil {
			got = new(epochCounts)
		}
		if got.live != want.live || got.delayed != want.delayed || got.bytes != want.bytes {
			if err := c.find("epoch %d holds %d items, %d delayed; the counts are %d and %d", epoch, got.live, got.delayed, want.live, want.delayed); err != nil {
				return err
			}
		}
		t := want.total
		if in, out := t.Enqueued+t.Rejoined, t.Acked+t.Buried+t.Expired+t.Dropped+t.Deferred; in-out != want.live {
			if err := c.find("epoch %d: %d items come in less %d settled are not %d", epoch, in, out, want.live); err != nil {
				return err
			}
		}
		value, found, err := c.s.lookUp(appendEpoch(nil, kindEpoch, q.id, epoch))
		if err != nil {
			return err
		}
		var stored epochCounts
		if !found || stored.decode(value) != nil || stored != (epochCounts{live: want.live, delayed: want.delayed, total: want.total, bytes: want.bytes}) {
			if err := c.find("counts of epoch %d are not as stored", epoch); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) laneRecords() error {
	return c.scan(kindLane, func(key, value []byte) error {
		due, n := binary.Varint(value)
		rest := key[7:]
		if n <= 0 || len(rest) < 2 || rest[len(rest)-1] != 0 {
			return c.find("lane record %q is malformed", key)
		}
		k := laneKey{epochOf(key), bytePrio(rest[0]), string(rest[1 : len(rest)-1])}
		if k.epoch == c.q.open && !c.q.sched.Loads(k.key(), due) {
			return c.find("lane %v is neither in memory nor yet to be loaded", k)
		}
		return c.ask(appendPointerKey(nil, c.q.id, k, due), func(_ []byte, found bool) error {
			if !found {
				return c.find("lane %v has no pointer at %d", k, due)
			}
			return nil
		})
	})
}

func (c *checker) pointers() error {
	return c.scan(kindPointer, func(key, _ []byte) error {
		k, due, err := parsePointerKey(key)
		if err != nil {
			return c.find("%w", err)
		}
		return c.ask(appendLaneKey(nil, c.q.id, k), func(value []byte, found bool) error {
			if d, _ := binary.Varint(value); !found || d != due {
				return c.find("pointer of lane %v at %d has no lane record that says so", k, due)
			}
			return nil
		})
	})
}

func (c *checker) expiries() error {
	return c.scan(kindExpiry, func(key, value []byte) error {
		return c.ask(value, func(_ []byte, found bool) error {
			if !found {
				return c.find("expiry %q points to no item", key)
			}
			return nil
		})
	})
}

// marks checks that every mark can be read, and that the filter knows of it.
func (c *checker) marks() error {
	n := int64(0)
	if err := c.eachMark(&n); err != nil {
		return err
	}
	if want := c.q.counts.marks; n != want && want != unknownMarks {
		return c.find("%d keys are known, the count is %d", n, want)
	}
	return nil
}

// eachMark checks the marks and counts them.
func (c *checker) eachMark(n *int64) error {
	prefix := len(appendQueue(nil, kindMark, c.q.id))
	return c.scan(kindMark, func(key, value []byte) error {
		*n++
		if len(key) != prefix+len(hash128{}) {
			return c.find("mark key %q", key)
		}
		if _, err := decodeMark(c.q.id, value); err != nil {
			return c.find("%w %x", err, key[prefix:])
		}
		if c.s.filter.lacks(markID{c.q.id, hash128(key[prefix:])}) {
			return c.find("the filter of keys lacks the mark %x", key[prefix:])
		}
		return nil
	})
}

func (c *checker) dead() error {
	n := int64(0)
	err := c.scan(kindDead, func(key, value []byte) error {
		n++
		if _, err := decodeDead(value); err != nil {
			return c.find("%w %q", err, key)
		}
		return nil
	})
	if err == nil && n != c.q.counts.dead {
		return c.find("%d dead letters are stored, the count is %d", n, c.q.counts.dead)
	}
	return err
}

func (c *checker) barriers() error {
	q := c.q
	next := q.counts.open
	err := c.scan(kindBarrier, func(key, value []byte) error {
		epoch := epochOf(key)
		_, rec, err := decodeBarrier(q.name, epoch, value)
		if err != nil {
			return c.find("%w", err)
		}
		switch {
		case epoch < q.counts.open:
			if rec.Opened == 0 {
				return c.find("barrier of epoch %d has passed and was not opened", epoch)
			}
		case epoch != next || epoch >= q.counts.tail:
			return c.find("barrier of epoch %d: expected %d, tail is %d", epoch, next, q.counts.tail)
		default:
			next++
		}
		return nil
	})
	if err == nil && next != q.counts.tail {
		return c.find("barriers from epoch %d on are missing, tail is %d", next, q.counts.tail)
	}
	return err
}

// memory checks what is in memory against itself and against the disk.
func (c *checker) memory() error {
	q := c.q
	inflight := make(map[*lane]int)
	for id, d := range q.inflight {
		inflight[d.lease.Lane]++
		if d.ref.id != id || d.state == leaseSettled {
			if err := c.find("item %d is in flight with state %d", id, d.state); err != nil {
				return err
			}
		}
		if _, found, err := c.s.readItem(c.ctx, d.at()); err != nil {
			return err
		} else if !found {
			if err := c.find("item %d is in flight and not stored", id); err != nil {
				return err
			}
		}
	}
	if err := q.sched.Waiting(func(k sched.Key, r ref) error {
		_, found, err := c.s.readItem(c.ctx, r.at(q.id, laneOf(q.open, k)))
		if err == nil && !found {
			err = c.find("item %d is in memory and not stored", r.id)
		}
		return err
	}); err != nil {
		return err
	}
	var bad error
	q.sched.Check(inflight, func(format string, args ...any) {
		if err := c.find(format, args...); bad == nil {
			bad = err
		}
	})
	if bad != nil {
		return bad
	}
	if e := q.epochs[q.open]; e == nil || q.live != e.live || q.delayed != e.delayed {
		return c.find("visible counts differ from the stored ones")
	}
	if q.released != nil && q.live+int64(q.returning) > 0 {
		return c.find("barrier %v is released and %d items before it are unsettled", q.released.ID, q.live)
	}
	return nil
}

// queueKinds are the kinds of records that belong to a queue, its own but for
// kindQueue.
var queueKinds = []byte{kindReady, kindDelayed, kindDead, kindExpiry, kindLane, kindPointer, kindGroup, kindMark, kindCounts, kindEpoch, kindBarrier, kindName, kindAway, kindDeferral, kindReason, kindBatch}

// strays finds records of queues that do not exist and are not being swept.
func (c *checker) strays() error {
	var known []int // numbers
	for _, q := range c.s.all() {
		known = append(known, int(q.id))
	}
	for _, d := range c.s.doomed {
		known = append(known, int(d.queue)) // 0 is nobody's
	}
	slices.Sort(known)
	for _, kind := range queueKinds {
		next := 0
		for _, n := range append(known, maxQueues+1) {
			if n > next {
				end := []byte{kind + 1}
				if n <= maxQueues {
					end = appendQueue(nil, kind, uint16(n))
				}
				err := c.s.scan(c.ctx, appendQueue(nil, kind, uint16(next)), end, func(key, _ []byte) error {
					c.findings = append(c.findings, fmt.Errorf("record %q belongs to no queue", key))
					return errStop
				})
				if err != nil {
					return err
				}
			}
			next = n + 1
		}
	}
	return nil
}
