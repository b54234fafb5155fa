package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/seed-301537d8/weir/queue/driver"
)

// A plan is one batch in the making: the writes for the driver, and the effects
// that publishing will have in memory once the writes are durable. Planning
// changes what the committer owns (counts, marks, known lanes) at once, since
// nobody else sees that, and since a batch that cannot be written ends the
// store. A transaction is checked whole before its first op is planned, so that
// one that is refused leaves no trace.
type plan struct {
	s        *leader
	now      time.Time     // by the store's clock
	wall     int64         // by the wall clock, Unix milliseconds
	behind   time.Duration // that the wall clock is
	writes   []driver.Write
	size     int
	arena    []byte // keys and short values
	slot     int    // 0 or 1: which part of a queue is this plan's
	number   uint64 // of the batch, or 0 before the plan is begun
	plain    bool   // all of it was foreseen; see foresees
	sealed   bool   // it takes no more requests
	requests []*request
	owed     Size                   // what finish will write, overhead included
	queues   []*queueState          // with changed counts or effects
	created  map[string]*queueState // queues made in this plan

	packing   packing
	settlings settlings

	dropped     map[laneID]bool          // lanes whose record this plan deletes
	lanes       map[laneID]*pointer      // pointers that this plan makes or moves
	groups      map[groupID]*groupRecord // settings that this plan writes
	movedBlocks map[uint64]uint32        // blocks that this plan moves to another epoch
	gone        map[uint64]bool          // dead letters that this plan removes
	buried      map[uint64][]byte        // dead letters that this plan makes
	deleted     []*queueState            // queues that are no more
	dooms       []*doom                  // what of them, and of tables, is to be swept
	swept       []*doom                  // what has been
	records     recordIndex              // of writes
	outcomes    map[uint32][]byte        // records of transactions with an id, by slot
	txSerial    uint64                   // behind these, or 0 if there are none
	batches     map[batchID]bool         // whose counts have changed
	completions map[batchID][]byte       // of those closed in this plan
	ending      []batchID                // that nothing is unsettled of, perhaps
	endingSize  Size                     // of their completions
	waits       bool                     // it has made lanes that are due later
	mayCutShort bool                     // the transaction being planned has a SetGroup
	events      []Event
	noted       noteTicket // the last note of what it gives back
	result      *Result    // of the transaction being planned
}

type groupID struct {
	queue uint16
	name  string
}

type laneID struct {
	queue uint16
	key   laneKey
}

// pointer is what is stored about a lane: when it is next due, and an id that
// no item of it is below.
type pointer struct {
	due int64
	low uint64
}

// part is what a plan does to one queue.
type part struct {
	included bool // in plan.queues
	changed  bool // the counts
	effects  []effect
	fates    map[uint64]bool // whether an item lives, from effects[:fated]
	fated    int
	shown    shownCounts // when the plan was finished
	lost     []casualty  // what housekeeping has taken of the queue's
	stale    []loc
}

func (p *plan) part(q *queueState) *part { return &q.parts[p.slot] }

func newPlan(s *leader, slot int) *plan {
	return &plan{
		s:           s,
		slot:        slot,
		created:     make(map[string]*queueState),
		packing:     packing{open: make(map[laneID]int)},
		settlings:   settlings{of: make(map[uint64]int)},
		dropped:     make(map[laneID]bool),
		lanes:       make(map[laneID]*pointer),
		groups:      make(map[groupID]*groupRecord),
		movedBlocks: make(map[uint64]uint32),
		gone:        make(map[uint64]bool),
		buried:      make(map[uint64][]byte),
	}
}

// reset begins the plan of the next batch.
func (p *plan) reset() {
	now, wall := p.s.clock.read()
	p.now, p.wall, p.behind = time.Unix(0, now), wall/1e6, lag(now, wall)
	p.number, p.plain = p.s.sequence.Load()+1, true
	if f := p.s.flying; f != nil {
		p.number = f.number + 1
	}
	p.owed, p.sealed, p.noted = Size{}, false, 0
	clear(p.writes)
	clear(p.requests)
	p.writes, p.requests, p.queues = p.writes[:0], p.requests[:0], p.queues[:0]
	p.arena, p.size = p.arena[:0], 0
	p.events = p.events[:0]
	p.deleted, p.dooms, p.swept = nil, nil, nil
	p.records.reset()
	p.packing.reset()
	p.settlings.reset()
	p.created, p.dropped, p.lanes, p.groups = emptied(p.created), emptied(p.dropped), emptied(p.lanes), emptied(p.groups)
	p.gone, p.buried, p.movedBlocks = emptied(p.gone), emptied(p.buried), emptied(p.movedBlocks)
	p.txSerial = 0
	p.outcomes, p.batches, p.completions = emptied(p.outcomes), emptied(p.batches), emptied(p.completions)
	p.ending, p.endingSize = p.ending[:0], Size{}
	p.waits, p.mayCutShort = false, false
}

// emptied returns an empty map: the given one, unless it has grown so large that
// every later plan would take notice.
func emptied[K comparable, V any](m map[K]V) map[K]V {
	if len(m) > 1024 {
		return make(map[K]V)
	}
	clear(m)
	return m
}

// used bounds how much of a batch the plan takes, finish included but for the
// record of the batch's number.
func (p *plan) used() Size {
	n := len(p.writes)
	return Size{n, p.size + n*p.s.limits.Overhead}.plus(p.owed).plus(p.endingSize)
}

// owe notes that finish will write a record.
func (p *plan) owe(key, value int) {
	p.owed.Writes++
	p.owed.Bytes += key + value + p.s.limits.Overhead
}

// roomy reports whether housekeeping may take another item into the batch,
// however large: it keeps to an eighth of the batch, which one item may exceed.
func (p *plan) roomy() bool {
	return p.used().Fits(Size{p.s.limits.Writes / 8, p.s.limits.Bytes / 8})
}

// durable reports whether the plan has anything to write.
func (p *plan) durable() bool {
	for _, q := range p.queues {
		if p.part(q).changed {
			return true
		}
	}
	return len(p.writes)+len(p.batches) > 0 || len(p.s.counters.dirty) > 0
}

func (p *plan) nowMS() int64 { return p.now.UnixMilli() }

// instant turns an instant by the wall clock into one by the store's, that is as far
// away now.
func (p *plan) instant(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(p.behind)
}

const arenaSize = 64 << 10

// tail returns the free end of the arena, to append a key or value to; seal
// keeps it.
func (p *plan) tail() []byte {
	if cap(p.arena)-len(p.arena) < 4<<10 {
		p.arena = make([]byte, 0, arenaSize)
	}
	return p.arena[len(p.arena):]
}

func (p *plan) seal(b []byte) []byte {
	if n := len(p.arena) + len(b); n <= cap(p.arena) {
		p.arena = p.arena[:n]
	}
	return b[:len(b):len(b)]
}

func (p *plan) put(key, value []byte) {
	p.writes = append(p.writes, driver.Write{Key: key, Value: value})
	p.size += len(key) + len(value)
}

// putNew is put for a key that is known to be absent.
func (p *plan) putNew(key, value []byte) {
	p.put(key, value)
	p.writes[len(p.writes)-1].New = true
}

func (p *plan) del(key []byte) {
	p.writes = append(p.writes, driver.Write{Key: key, Delete: true})
	p.size += len(key)
}

// include makes a queue part of what is published.
func (p *plan) include(q *queueState) *part {
	part := p.part(q)
	if !part.included {
		part.included = true
		p.queues = append(p.queues, q)
	}
	return part
}

// touch notes that a queue's counts have changed.
func (p *plan) touch(q *queueState) {
	if part := p.include(q); !part.changed {
		part.changed = true
		p.owe(queueKeyLen, countsLen)
	}
}

// touchEpoch notes that an epoch's counts have changed.
func (p *plan) touchEpoch(e *epochCounts) {
	if !e.dirty {
		e.dirty = true
		p.owe(epochKeyLen, epochLen)
	}
}

// lookUp reads a key that may be absent.
func (s *leader) lookUp(key []byte) (value []byte, found bool, err error) {
	value, err = s.db.Get(context.Background(), key)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, err
}

// storedKey returns a value as it is after this plan's writes.
func (p *plan) storedKey(key []byte) ([]byte, bool, error) {
	for i := len(p.writes) - 1; i >= 0; i-- {
		if w := &p.writes[i]; string(w.Key) == string(key) {
			return w.Value, !w.Delete, nil
		}
	}
	return p.s.lookUp(key)
}

func (p *plan) putQueue(q *queueState, cfg Config, paused bool) {
	p.put(p.seal(appendQueue(p.tail(), kindQueue, q.id)), queueRecord{q.name, cfg, paused}.append(nil))
}

// queue returns a queue, made if need be.
func (p *plan) queue(name string) *queueState {
	if q := p.find(name); q != nil {
		return q
	}
	s := p.s
	q := newQueueState(s, uint16(p.queueNumber()), name)
	p.created[name] = q
	p.putQueue(q, *q.config, false)
	p.touchEpoch(q.epochs[0])
	p.touch(q)
	return q
}

func (p *plan) find(name string) *queueState {
	if q := p.s.queue(name); q != nil {
		return q
	}
	return p.created[name]
}

// maxQueues is how many queues a store may have: their numbers have two bytes.
const maxQueues = 1<<16 - 1

// apply plans one op.
func (p *plan) apply(o *op, r *request) error {
	switch o.kind {
	case opAck, opRetry, opRelease, opSnooze, opDefer, opBury:
		return p.settle(o)
	case opEnqueue:
		return p.enqueue(p.queue(o.name), o, r)
	case opDirectAck, opDirectRetry, opDirectBury:
		return p.direct(p.find(o.name), o)
	case opBarrier:
		p.placeBarrier(p.queue(o.name), o.value, nil)
	case opPut:
		key := p.seal(appendTableKey(p.tail(), o.name, []byte(o.key)))
		p.s.counters.forget(key)
		p.put(key, o.value)
	case opDelete:
		key := p.seal(appendTableKey(p.tail(), o.name, []byte(o.key)))
		p.s.counters.forget(key)
		p.del(key)
	case opAdd:
		return p.addCounter(o)
	case opSetGroup, opDelayGroup:
		return p.setGroup(p.queue(o.name), o)
	case opCloseBatch:
		return p.closeBatch(p.queue(o.name), o)
	case opConfigure:
		q := p.queue(o.name)
		p.putQueue(q, *o.config, p.paused(q))
		p.effect(q, effect{kind: effectConfig})
		// Later ops of this plan go by the new settings.
		q.mu.Lock()
		q.config = o.config
		q.mu.Unlock()
	case opPause:
		q := p.find(o.name)
		p.putQueue(q, *q.config, o.explicit)
		p.effect(q, effect{kind: pauseEffect(o.explicit)})
	case opRemove:
		q := p.find(o.name)
		if o.at.queue != q.id {
			return nil // it was of a queue of that name which was deleted
		}
		before := q.counts.total.Dropped
		err := p.remove(q, *o.at, func(t *Totals) *int64 { return &t.Dropped })
		p.result.Removed += int(q.counts.total.Dropped - before)
		return err
	case opDeferGroup:
		p.deferGroup(p.queue(o.name), o)
	case opRejoinGroup:
		p.rejoinGroup(p.find(o.name), o.key)
	case opRejoin:
		if q := p.find(o.name); o.at.queue == q.id { // and not of one that was deleted
			return p.rejoinItem(q, *o.at)
		}
	case opForget:
		return p.forget(p.find(o.name), o)
	case opRetryDead:
		return p.retryDead(p.find(o.name), o.id)
	case opDropDead:
		_, found, err := p.deadLetter(p.find(o.name), o.id)
		if found {
			p.dropDead(p.find(o.name), o.id)
			p.result.Removed++
		}
		return err
	case opAddName:
		q := p.queue(o.name)
		if o.key == "" {
			return nil
		}
		if _, ok := q.names[o.key]; !ok {
			p.setName(q, o.key, nameRecord{next: q.counts.open})
		}
	case opDeleteQueue:
		p.deleteQueue(p.find(o.name))
	case opDeleteTable:
		p.doom(newDoom(0, o.name))
	case opDropName:
		q := p.find(o.name)
		p.del(p.seal(appendNameKey(p.tail(), q.id, o.key)))
		p.touch(q)
		_, err := p.tryOpen(q)
		return err
	}
	return nil
}

func (p *plan) setName(q *queueState, name string, rec nameRecord) {
	p.put(p.seal(appendNameKey(p.tail(), q.id, name)), rec.append(nil))
	q.mu.Lock()
	q.names[name] = rec
	q.mu.Unlock()
	p.touch(q)
}

// finish adds the writes that every batch has: the counts that have changed,
// and the number of the batch with the time by the store's clock.
func (p *plan) finish() {
	p.show()
	p.writePacks()
	p.writeSettlings()
	p.writeBatches()
	p.s.counters.flush(p)
	for _, q := range p.queues {
		if !p.part(q).changed {
			continue
		}
		p.put(p.seal(appendQueue(p.tail(), kindCounts, q.id)), p.seal(q.counts.append(p.tail())))
		for epoch, e := range q.epochs {
			if e.dirty {
				e.dirty = false
				p.put(p.seal(appendEpoch(p.tail(), kindEpoch, q.id, epoch)), p.seal(e.append(p.tail())))
			}
		}
	}
	b := binary.AppendUvarint(p.tail(), p.number)
	b = binary.AppendUvarint(b, p.s.nextID)
	b = binary.AppendVarint(b, p.now.UnixNano())
	p.put(metaKey("batch"), p.seal(b))
}

// show notes the counts that publishing will show: by then the next batch may
// have changed them.
func (p *plan) show() {
	for _, q := range p.queues {
		p.part(q).shown = q.snapshot()
	}
}

// count applies the change of an item's life to its epoch and its queue.
func (p *plan) count(q *queueState, epoch uint32, live, delayed, bytes int64) *epochCounts {
	e := q.epochs[epoch]
	e.live += live
	e.delayed += delayed
	p.touchEpoch(e)
	if epoch == deferredEpoch {
		e.bytes += bytes
	}
	q.counts.bytes += bytes
	p.touch(q)
	return e
}

// tally counts an outcome in the totals of the epoch and of the queue.
func (p *plan) tally(q *queueState, e *epochCounts, field func(*Totals) *int64) {
	*field(&e.total)++
	*field(&q.counts.total)++
}
