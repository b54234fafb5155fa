package queue

import (
	"context"
	"fmt"

	"github.com/seed-301537d8/weir/queue/driver"
)

// A batch takes only so much, and a transaction is never divided. So before one
// is planned it is known how much it may take at most, and it is admitted if that
// much is left. Two invariants make that hold:
//
//   - what a sizer says of a transaction is no less than what planning it adds to
//     plan.used. A sizer names each record that planning may write, with the
//     length of its key and the most that its value may be; what depends on state
//     that only the committer knows is added by plan.depends;
//   - plan.used is no less than what plan.finish hands to the driver: what is
//     written at the end (blocks, sets of settled items, counts, counters) is owed
//     from the moment it is caused.
//
// The difference is small: a transaction is charged once for what its changes
// share, and a plan counts what it has written and not what was allowed for.

// Size is how much of a batch something takes.
type Size struct {
	// Writes is how many records are stored or deleted.
	Writes int
	// Bytes is the length of their keys and values, and what the backend needs
	// for each besides.
	Bytes int
}

// Fits reports whether something of this size fits into limit.
func (z Size) Fits(limit Size) bool { return z.Writes <= limit.Writes && z.Bytes <= limit.Bytes }

func (z Size) String() string { return fmt.Sprintf("%d writes of %d bytes", z.Writes, z.Bytes) }

func (z Size) plus(other Size) Size { return Size{z.Writes + other.Writes, z.Bytes + other.Bytes} }

// larger returns a bound on both.
func (z Size) larger(other Size) Size {
	return Size{max(z.Writes, other.Writes), max(z.Bytes, other.Bytes)}
}

// batchSize is the record of the batch's number and time, which every batch has.
const batchSize = 6 + 3*10

func (s *leader) MaxTx() Size { return s.limits.maxTx() }

// limits are the driver's.
type limits struct{ driver.Limits }

func (l limits) maxTx() Size {
	return Size{l.Writes - 1, l.Bytes - batchSize - l.Overhead}
}

func (s *leader) Size(ctx context.Context, tx *Tx) (Size, error) {
	if err := s.err(); err != nil {
		return Size{}, fmt.Errorf("size of transaction: %w", err)
	}
	r, err := s.request(tx)
	if err == nil {
		r.ops = append([]op(nil), tx.ops...)
		err = s.prepare(ctx, r)
	}
	size := r.size
	if err == nil && r.depends {
		err = s.alone(ctx, func() error {
			s.plan.reset()
			s.plan.number = 0 // it is not begun
			more, err := s.plan.depends(r)
			size = size.plus(more)
			return err
		})
	}
	if err != nil {
		return Size{}, fmt.Errorf("size of transaction: %w", err)
	}
	return size, nil
}

// Lengths of keys, and bounds on the lengths of values.
const (
	varintLen    = 10 // binary.MaxVarintLen64
	shortLen     = 5  // of 32 bits
	queueKeyLen  = 3
	epochKeyLen  = 3 + 4
	expiryKeyLen = 3 + 8 + 8
	markKeyLen   = 3 + 16
	deadKeyLen   = 3 + 8
	idLen        = 8

	totalsLen = totalsFields * varintLen
	countsLen = 2*shortLen + 3*varintLen + totalsLen
	epochLen  = 3*varintLen + totalsLen
	groupLen  = 4*varintLen + 1
	awayLen   = 1 + 4*varintLen // a deferral without its reason
)

func laneKeyLen(group string) int    { return epochKeyLen + 1 + len(group) + 1 }
func pointerKeyLen(group string) int { return laneKeyLen(group) + 8 }
func readyKeyLen(group string) int   { return laneKeyLen(group) + idLen }
func blockKeyLen(group string) int   { return readyKeyLen(group) + 1 }
func delayedKeyLen(group string) int { return readyKeyLen(group) + 8 }
func markLen(group string) int       { return 2 + 3*varintLen + shortLen + len(group) }

// sizer adds up what the changes of a transaction may write, in their order.
type sizer struct {
	overhead int
	named    bool // it has an id, and its result is stored
	total    Size
	queues   [8]string // whose counts are in total
	known    int
	counted  string    // as the last of queues, where these do not suffice
	batched  [2]string // the queue and the name of the batch that was added last
	deferred string    // the queue whose counts of deferred items were added last

	// What the item before this one has been charged for and this one shares.
	lane   laneKey
	laneOf string // its queue, or "" if there is none
	block  *block // that is settled
	packed int    // items in the block in the making
	filled int    // their bytes
	live   string // the longest group of a key that is not yet taken once and for all
}

// write adds a record.
func (z *sizer) write(key, value int) {
	z.total.Writes++
	z.total.Bytes += key + value + z.overhead
}

// queue adds the records that change with whatever is changed in a queue, and the
// queue's own in case it has to be made.
func (z *sizer) queue(name string) {
	if name == z.counted {
		return
	}
	for _, n := range z.queues[:z.known] {
		if n == name {
			return
		}
	}
	if z.known < len(z.queues) {
		z.queues[z.known] = name
		z.known++
	} else {
		z.counted = name
	}
	z.write(queueKeyLen, newQueueLen+len(name))
	z.write(queueKeyLen, countsLen)
	z.write(epochKeyLen, epochLen) // of the open epoch
	z.write(epochKeyLen, epochLen) // of the tail
}

// away adds the counts of a queue's deferred items.
func (z *sizer) away(queue string) {
	if z.deferred != queue {
		z.deferred = queue
		z.write(epochKeyLen, epochLen)
	}
}

// newQueueLen is the length of a new queue's record without its name.
var newQueueLen = queueRecordLen("", &Config{}) + 1

func queueRecordLen(name string, c *Config) int {
	return len(queueRecord{name, *c, true}.append(nil))
}

// placedLen bounds the length of a stored barrier that has just been placed, and
// whose other numbers are zero.
func placedLen(body int, headers map[string]string) int {
	n := 1 + varintLen + 3 + totalsFields + shortLen + body
	for name, value := range headers {
		n += len(name) + len(value) + 2*shortLen
	}
	return n
}

// barrierLen bounds the length of a stored barrier.
func barrierLen(b *Barrier) int {
	return placedLen(len(b.Body), b.Headers) + 3*varintLen + totalsLen
}

// add adds a change.
func (z *sizer) add(o *op) {
	z.batch(o.batch())
	switch o.kind {
	case opPut, opDelete:
		z.write(2+len(o.name)+len(o.key), len(o.value))
		return
	case opAdd:
		z.write(2+len(o.name)+len(o.key), 2*varintLen) // decimal digits
		return
	case opAck, opRetry, opRelease, opSnooze, opDefer, opBury:
		z.settle(o)
		return
	case opRequire:
		return // reads, and writes nothing
	}
	switch o.kind {
	case opDeleteQueue:
		z.write(queueKeyLen, 0)
		z.write(queueKeyLen, 0)
		z.write(1+queueKeyLen, 0)
		return
	case opDeleteTable:
		z.write(2+len(o.name), 0)
		return
	}
	z.queue(o.name)
	switch o.kind {
	case opDirectAck, opDirectRetry, opDirectBury:
		z.direct(o)
	case opEnqueue:
		z.enqueue(o)
	case opBarrier:
		z.barrier(o.name, len(o.value), nil)
	case opSetGroup, opDelayGroup:
		z.write(queueKeyLen+len(o.key), groupLen)
	case opDeferGroup, opRejoinGroup:
		z.write(queueKeyLen+len(o.key), awayLen+len(o.value))
		z.away(o.name)
		z.laneOf = "" // blocks begin anew
	case opCloseBatch:
		z.queue(o.to)
		z.write(batchKeyLen(o.key), len(completion{o.to, *o.item}.append(nil)))
	case opRejoin:
		z.remove(o.at.group)
		z.arrive(o.at.group, encodedItemSize(o.item))
	case opConfigure:
		z.write(queueKeyLen, queueRecordLen(o.name, o.config))
	case opRemove:
		z.remove(o.at.group)
	case opForget:
		z.write(markKeyLen, 0)
	case opDropDead:
		z.write(deadKeyLen, 0)
	case opAddName, opDropName:
		z.write(queueKeyLen+len(o.key), shortLen)
	}
}

// barrier adds a barrier that is placed, with the epoch that begins behind it.
func (z *sizer) barrier(queue string, body int, headers map[string]string) {
	if z.named {
		z.total.Bytes += outcomeBarrierLen(queue)
	}
	z.write(epochKeyLen, placedLen(body, headers))
	z.write(epochKeyLen, epochLen)
	z.laneOf = "" // items behind it share nothing with those before
}

// remove adds the removal of an item that lies at any place of a group.
func (z *sizer) remove(group string) {
	z.write(delayedKeyLen(group), varintLen) // the item, or its block's settled items
	z.write(blockKeyLen(group), 0)           // and its block
	z.write(expiryKeyLen, 0)
	z.write(markKeyLen, 0)
	z.write(epochKeyLen, epochLen) // of whichever epoch it lies in
	z.write(deadKeyLen, 0)         // why it was deferred
}

// arrive adds an item that is stored alone, where there was none.
func (z *sizer) arrive(group string, size int) {
	z.write(delayedKeyLen(group), size)
	z.write(epochKeyLen, epochLen) // of the epoch that it comes to
	z.write(laneKeyLen(group), varintLen)
	z.write(pointerKeyLen(group), varintLen)
	z.write(pointerKeyLen(group), varintLen) // lowered
	z.write(markKeyLen, markLen(group))
	z.write(expiryKeyLen, delayedKeyLen(group))
}

// longGroup is as long as a group may be: that of an item which is yet to be found.
var longGroup = string(make([]byte, MaxGroup))

func (z *sizer) enqueue(o *op) {
	it := o.item
	start := z.total.Bytes
	k := laneKey{prio: int8(it.Priority), group: it.Group}
	fresh := z.laneOf != o.name || z.lane != k
	if z.lane, z.laneOf = k, o.name; fresh {
		z.write(laneKeyLen(it.Group), varintLen)
		z.write(pointerKeyLen(it.Group), varintLen)
		z.packed, z.filled = 0, 0
	}
	live := it.Key != "" && it.Mode != Once
	switch alone := it.Delay > 0 || !it.NotBefore.IsZero() || !it.Expires.IsZero() || live || len(o.value) >= blockBytes; {
	case alone:
		z.write(delayedKeyLen(it.Group), len(o.value)+packedOverhead)
	default:
		// A plan that has a block for the lane already begins no more new ones.
		if z.packed == 0 || z.packed == blockItems || z.filled+len(o.value) > blockBytes {
			z.write(blockKeyLen(it.Group), 1)
			z.packed, z.filled = 0, 0
		}
		z.packed++
		z.filled += len(o.value)
		z.total.Bytes += len(o.value) + packedOverhead
	}
	if !it.Expires.IsZero() {
		z.write(expiryKeyLen, delayedKeyLen(it.Group))
	}
	if it.Key == "" {
		return
	}
	z.write(markKeyLen, markLen(it.Group))
	if it.Mode == ReplaceLive {
		z.remove(longGroup)
	}
	if it.Mode == Once {
		// A duplicate writes nothing but the mark of the earlier item: the one on
		// disk, or of one before it in the transaction.
		mark := max(len(o.mark), markLen(z.live))
		z.total.Bytes = max(z.total.Bytes, start+markKeyLen+mark+z.overhead)
	} else if len(it.Group) > len(z.live) {
		z.live = it.Group
	}
}

func (z *sizer) settle(o *op) {
	d := o.d
	z.queue(d.Queue)
	if o.kind == opRelease {
		return
	}
	if b := d.Barrier; b != nil {
		if o.kind == opAck {
			z.write(queueKeyLen+len(d.c.opts.Durable), shortLen)
			z.opening(b)
		}
		return
	}
	group := d.Item.Group
	switch b := d.ref.block; {
	case b == nil:
		z.write(readyKeyLen(group), 0)
	case b != z.block:
		z.write(blockKeyLen(group), varintLen)
		z.write(blockKeyLen(group), 0)
		z.block = b
	}
	if d.ref.expires != 0 {
		z.write(expiryKeyLen, 0)
	}
	if d.ref.live {
		z.write(markKeyLen, 0)
	}
	if group != "" && !(o.kind == opAck && o.explicit) {
		z.write(queueKeyLen+len(group), groupLen)
	}
	if o.kind == opAck {
		return
	}
	size := len(d.ref.value) + historyLen
	if o.kind == opDefer {
		z.away(d.Queue)
		z.write(deadKeyLen, varintLen+len(o.value))
		z.arrive(group, size)
		return
	}
	before := z.total
	z.write(deadKeyLen, delayedKeyLen(group)+3*varintLen+len(o.value)+size)
	buried := z.total
	if o.kind == opBury {
		return
	}
	z.total = before
	z.away(d.Queue) // its group may be deferred
	z.write(delayedKeyLen(group), size)
	z.write(laneKeyLen(group), varintLen)
	z.write(pointerKeyLen(group), varintLen)
	z.write(pointerKeyLen(group), varintLen) // lowered
	if d.ref.keyed {
		z.write(markKeyLen, markLen(group))
	}
	if d.ref.expires != 0 {
		z.write(expiryKeyLen, delayedKeyLen(group))
	}
	z.total = z.total.larger(buried)
}

// opening adds what happens when the last ack of a barrier opens the next epoch.
func (z *sizer) opening(b *Barrier) {
	z.write(epochKeyLen, barrierLen(b))
	z.write(epochKeyLen, 0) // an old barrier
	z.write(epochKeyLen, 0) // the counts of the epoch
	z.laneOf = ""           // blocks begin anew
}

// dependent reports whether the size of an op depends on what only the committer
// knows.
func (o *op) dependent() bool {
	switch o.kind {
	case opEnqueue, opSetGroup, opPause, opRetryDead, opDropName, opRemove, opRejoin:
		return true
	}
	_, batch := o.batch()
	return batch != ""
}

// depends bounds what the transaction may write besides what a sizer knows of, by
// the state in which it would be planned.
func (p *plan) depends(r *request) (Size, error) {
	z := sizer{overhead: p.s.limits.Overhead, named: r.named}
	var configs map[string]*Config // as the transaction's own changes leave them
	passed := false                // an item has become a barrier since the last enqueue
	for i := range r.ops {
		o := &r.ops[i]
		if o.kind == opConfigure {
			configs = with(configs, o.name, o.config)
		}
		if !o.dependent() {
			continue
		}
		q := p.find(o.name)
		config := configIn(configs, o.name, q)
		switch {
		case o.kind == opEnqueue:
			if config.makesBarrier(o.item) {
				z.barrier(o.name, len(o.item.Body), o.item.Headers)
				passed = true
				continue
			}
			if passed {
				passed = false
				z.write(laneKeyLen(o.item.Group), varintLen)
				z.write(pointerKeyLen(o.item.Group), varintLen)
				z.write(blockKeyLen(o.item.Group), 1)
			}
		case o.kind == opPause && config != nil:
			z.write(queueKeyLen, queueRecordLen(o.name, config))
		case q == nil: // check refuses it, or it is of no consequence
		case o.kind == opSetGroup:
			for range q.priorities() {
				z.write(pointerKeyLen(o.key), 0)
				z.write(laneKeyLen(o.key), varintLen)
				z.write(pointerKeyLen(o.key), varintLen)
			}
		case o.kind == opDropName:
			q.mu.Lock()
			if q.released != nil {
				z.opening(q.released)
			}
			q.mu.Unlock()
		case o.kind == opRetryDead:
			rec, found, err := p.deadLetter(q, o.id)
			if err != nil {
				return Size{}, err
			}
			size, group := 0, ""
			if found {
				size, group = len(rec.value), rec.at.group
			} else if d := r.gives(o.id, i); d != nil {
				size, group = len(d.ref.value), d.Item.Group
			} else {
				continue
			}
			z.write(deadKeyLen, 0)
			z.write(markKeyLen, markLen(group))
			z.write(readyKeyLen(group), size+2*varintLen)
			z.write(laneKeyLen(group), varintLen)
			z.write(pointerKeyLen(group), varintLen)
		}
	}
	err := p.dependBatches(r, &z)
	return z.total, err
}

// priorities is how many priorities have lanes in the open epoch.
func (q *queueState) priorities() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.sched.Priorities())
}

// gives returns the delivery of an item that one of the first n ops may bury.
func (r *request) gives(id uint64, n int) *Delivery {
	for i := range r.ops[:n] {
		if o := &r.ops[i]; (o.kind == opBury || o.kind == opRetry) && o.d.ID == id {
			return o.d
		}
	}
	return nil
}

// measure finds the size of a request that has been prepared but for that.
func (s *leader) measure(r *request) {
	z := sizer{overhead: s.limits.Overhead, named: r.named}
	if r.named {
		z.write(outcomeKeyLen, outcomeLen)
	}
	for i := range r.ops {
		o := &r.ops[i]
		before := z.total
		z.add(o)
		if grown := z.total.Bytes - before.Bytes; grown > r.most {
			r.most, r.largest = grown, i
		}
		r.depends = r.depends || o.dependent()
	}
	r.size = z.total
}

// tooLarge returns the error for a request of a size.
func (s *leader) tooLarge(r *request, size Size) error {
	return fmt.Errorf("%w: transaction of %d changes may take %v, the backend takes %v; the largest is change %d: %v",
		ErrTooLarge, len(r.ops), size, s.MaxTx(), r.largest, &r.ops[r.largest])
}

// String says what a change is, in messages.
func (o *op) String() string {
	switch o.kind {
	case opAck:
		return "ack " + o.d.String()
	case opRetry:
		return "retry " + o.d.String()
	case opRelease:
		return "release " + o.d.String()
	case opDefer:
		return "defer " + o.d.String()
	case opSnooze:
		return "snooze " + o.d.String()
	case opBury:
		return "bury " + o.d.String()
	case opDirectAck, opDirectRetry, opDirectBury:
		return "settle " + o.d.String()
	case opEnqueue:
		return fmt.Sprintf("enqueue %d bytes to %q", len(o.value), o.name)
	case opBarrier:
		return fmt.Sprintf("place a barrier of %d bytes in %q", len(o.value), o.name)
	case opPut:
		return fmt.Sprintf("put %d bytes under %q in table %q", len(o.value), cut(o.key, 80), o.name)
	case opDelete:
		return fmt.Sprintf("delete %q from table %q", cut(o.key, 80), o.name)
	case opAdd:
		return fmt.Sprintf("add to %q in table %q", cut(o.key, 80), o.name)
	case opRequire:
		return fmt.Sprintf("require %q in table %q", cut(o.key, 80), o.name)
	case opSetGroup, opDelayGroup:
		return fmt.Sprintf("set group %q of %q", o.key, o.name)
	case opDeferGroup, opRejoinGroup:
		return fmt.Sprintf("defer group %q of %q, or let it rejoin", o.key, o.name)
	case opRejoin:
		return fmt.Sprintf("let item %d of %q rejoin", o.id, o.name)
	case opConfigure:
		return fmt.Sprintf("configure %q", o.name)
	case opPause:
		return fmt.Sprintf("pause or resume %q", o.name)
	case opRemove:
		return fmt.Sprintf("remove item %d of %q", o.id, o.name)
	case opForget:
		return fmt.Sprintf("forget key %q of %q", cut(o.key, 80), o.name)
	case opRetryDead, opDropDead:
		return fmt.Sprintf("retry or drop dead letter %d of %q", o.id, o.name)
	case opDeleteQueue:
		return fmt.Sprintf("delete queue %q", o.name)
	case opDeleteTable:
		return fmt.Sprintf("delete table %q", o.name)
	case opCloseBatch:
		return fmt.Sprintf("close batch %q of %q", o.key, o.name)
	case opAddName, opDropName:
		return fmt.Sprintf("add or drop name %q of %q", o.key, o.name)
	}
	return fmt.Sprintf("change of kind %d", o.kind)
}
