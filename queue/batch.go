package queue

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"github.com/seed-301537d8/weir/internal/wire"
)

// A barrier says that everything before it in a queue is settled. A batch says it of
// the items that have joined it, whatever else is in the queue: many batches may be
// under way at once, and know nothing of each other. What one promises:
//
//	B11  The completion of a batch is enqueued once, by the transaction (or the turn of
//	     housekeeping) that leaves nothing of a closed batch unsettled, in the same
//	     write; so at no moment, and after no crash, is a closed batch without
//	     unsettled items and without its completion.
//
// It is as exact as the counts are: who joins and who leaves is counted where items
// enter a queue (plan.insert) and leave it (plan.leave), for whatever reason, and looked
// at when all changes of a transaction are planned, so an item may be settled and its
// children enqueued in any order.
//
// A batch is two records, one with its counts and one with its completion, and both go
// when it is complete. Memory holds the counts of those that changed lately; the others
// are on disk alone, so there may be any number of batches.

// MaxCompletion bounds the item that a batch ends with, in bytes: its body, headers and
// group, and the name of its queue.
const MaxCompletion = 64 << 10

// Headers of the item that a batch ends with.
const (
	BatchHeader       = "weir-batch"        // the batch's name
	BatchQueueHeader  = "weir-batch-queue"  // its queue's
	BatchTotalsHeader = "weir-batch-totals" // its Totals, in JSON
)

// Batch is what is known of a batch that is not complete.
type Batch struct {
	Name      string
	Unsettled int64 // items that have joined and are not settled, deferred ones among them
	Closed    bool  // with CloseBatch
	Totals    Totals
}

// CloseBatch says that a batch of a queue has all its items, but for those that these
// spawn, and what is to come of it: when all of them are settled the item is enqueued to
// the queue to, which may be the same, with [BatchHeader], [BatchQueueHeader] and
// [BatchTotalsHeader] among its headers. That happens once, in the transaction that
// settles the last of them; at once if nothing of the batch is unsettled. Both queues
// come into being if they do not exist.
//
// Items join a batch by [Item].Batch. One that is acked, buried, expired, removed or
// replaced is settled, as it is for a barrier, but one that is deferred is not. A dead
// letter that is retried does not join again. The children of an item are in its batch
// if they are enqueued with its name by the transaction that settles it, or by an
// earlier one: then the batch is not complete in between. Children in other queues may
// join a batch there, which is closed when the completion of this one comes.
//
// A batch that is closed again before it is complete gets another completion. When it is
// complete its name is free for another batch. A batch that is never closed stays, and
// has no completion; one whose queue is deleted goes with it.
//
// Of the item, Body, Headers, Group and Priority are used, up to [MaxCompletion]; it has
// no Key, Delay, Expires or Batch. It is enqueued even if the queue is full, and never
// becomes a barrier. Should its queue be gone by then and the store have no room for
// another, it comes to the batch's own queue.
func (tx *Tx) CloseBatch(queue, batch, to string, it Item) {
	tx.ops = append(tx.ops, op{kind: opCloseBatch, name: queue, key: batch, to: to, item: &it})
}

func (s *leader) Batches(ctx context.Context, queue, from string, limit int) ([]Batch, error) {
	q, err := s.existing("batches", queue)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("batches of %s: %w", queue, invalidf("limit %d", limit))
	}
	var batches []Batch
	prefix := appendQueue(nil, kindBatch, q.id)
	err = s.scan(ctx, append(prefix[:len(prefix):len(prefix)], from...), prefixEnd(prefix), func(key, value []byte) error {
		if len(batches) == limit {
			return errStop
		}
		name, form, err := parseBatchKey(key)
		if err != nil || form != batchCounts {
			return err
		}
		st, err := decodeBatch(value)
		if err == nil {
			batches = append(batches, Batch{Name: name, Unsettled: st.live, Closed: st.closed > 0, Totals: st.total})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("batches of %s: %w", queue, err)
	}
	return batches, nil
}

// validateBatch is validate for the end of a batch.
func (o *op) validateBatch(s *leader) error {
	if o.key == "" {
		return invalidf("batch name is empty")
	}
	if err := validBatch(o.key); err != nil {
		return err
	}
	if err := validName("queue", o.to); err != nil {
		return err
	}
	it := o.item
	if it.Key != "" || it.Delay != 0 || !it.NotBefore.IsZero() || !it.Expires.IsZero() || it.Batch != "" {
		return invalidf("batch %q ends with an item that has a key, a delay, an expiry or a batch", o.key)
	}
	if err := validItem(it, s.opts.MaxItem); err != nil {
		return err
	}
	if n := len(completion{to: o.to, item: *it}.append(nil)); n > MaxCompletion {
		return fmt.Errorf("%w: batch %q ends with an item of %d bytes, MaxCompletion is %d", ErrTooLarge, o.key, n, MaxCompletion)
	}
	return nil
}

func validBatch(name string) error {
	if err := validGroup(name); err != nil {
		return fmt.Errorf("batch: %w", err)
	}
	return nil
}

type batchID struct {
	queue uint16
	name  string
}

// batchState are the counts of a batch. The zero state is that of one which has none.
type batchState struct {
	live   int64 // unsettled items
	closed int   // how long the record of its completion is, or 0
	total  Totals
}

// recentBatchesMax is how many batches the store remembers the counts of, or twice as
// many.
const recentBatchesMax = 4 << 10

// The keys of a batch's records end in one of these.
const (
	batchCounts     = 0
	batchCompletion = 1
)

func appendBatchKey(b []byte, id batchID, form byte) []byte {
	return append(append(appendQueue(b, kindBatch, id.queue), id.name...), 0, form)
}

func parseBatchKey(key []byte) (name string, form byte, err error) {
	n := len(key) - 2
	if n <= queueKeyLen || key[n] != 0 || key[n+1] > batchCompletion {
		return "", 0, fmt.Errorf("%w: batch key %q", ErrCorrupt, key)
	}
	return string(key[queueKeyLen:n]), key[n+1], nil
}

func (st *batchState) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(st.live))
	b = binary.AppendUvarint(b, uint64(st.closed))
	return st.total.append(b)
}

func decodeBatch(value []byte) (st batchState, err error) {
	r := wire.NewReader(value)
	st.live, st.closed = int64(r.Uvarint()), r.Int()
	st.total.decode(&r)
	return st, malformed(&r, "batch")
}

// completion is what a batch ends with.
type completion struct {
	to   string // a queue
	item Item
}

func (c completion) append(b []byte) []byte {
	b = wire.AppendString(b, c.to)
	b = append(b, prioByte(int8(c.item.Priority)))
	b = wire.AppendString(b, c.item.Group)
	b = appendHeaders(b, c.item.Headers)
	return append(b, c.item.Body...)
}

func decodeCompletion(value []byte) (c completion, err error) {
	r := wire.NewReader(value)
	c.to = r.Text()
	c.item.Priority = int(bytePrio(r.Byte()))
	c.item.Group = r.Text()
	c.item.Headers = readHeaders(&r)
	c.item.Body = r.Rest()
	return c, malformed(&r, "completion of a batch")
}

// batch returns the counts of a batch after what has been planned so far.
func (p *plan) batch(id batchID) (batchState, error) {
	if st, ok := p.s.batches.get(id); ok {
		return st, nil
	}
	value, found, err := p.s.lookUp(appendBatchKey(nil, id, batchCounts))
	if err != nil || !found {
		return batchState{}, err
	}
	return decodeBatch(value)
}

// setBatch plans the counts of a batch. They are written by finish.
func (p *plan) setBatch(id batchID, st batchState) {
	if p.batches == nil {
		p.batches = make(map[batchID]bool)
	}
	if !p.batches[id] {
		p.batches[id] = true
		p.owe(batchKeyLen(id.name), batchLen)
	}
	p.s.batches.set(id, st, p.number, p.s.sequence.Load())
	if st.live == 0 && st.closed > 0 {
		p.ending = append(p.ending, id)
		p.endingSize = p.endingSize.plus(p.s.limits.completion(st.closed))
	}
}

// joinBatch plans that an item has joined a batch.
func (p *plan) joinBatch(q *queueState, name string) error {
	id := batchID{q.id, name}
	st, err := p.batch(id)
	if err != nil {
		return err
	}
	q.batches = true
	st.live++
	st.total.Enqueued++
	p.setBatch(id, st)
	return nil
}

// leaveBatch plans that an item of a batch is settled.
func (p *plan) leaveBatch(q *queueState, name string, outcome func(*Totals) *int64) error {
	id := batchID{q.id, name}
	st, err := p.batch(id)
	if err != nil {
		return err
	}
	if st.live == 0 {
		return fmt.Errorf("%w: an item of batch %q is settled, of which there are none", ErrCorrupt, name)
	}
	st.live--
	*outcome(&st.total)++
	p.setBatch(id, st)
	return nil
}

// closeBatch plans a batch's completion.
func (p *plan) closeBatch(q *queueState, o *op) error {
	id := batchID{q.id, o.key}
	st, err := p.batch(id)
	if err != nil {
		return err
	}
	p.queue(o.to)
	q.batches = true
	value := completion{o.to, *o.item}.append(nil)
	p.put(p.seal(appendBatchKey(p.tail(), id, batchCompletion)), value)
	if p.completions == nil {
		p.completions = make(map[batchID][]byte)
	}
	p.completions[id] = value
	st.closed = len(value)
	p.setBatch(id, st)
	return nil
}

// endBatches plans the completions of the batches of which nothing is unsettled any
// more, now that all changes of a transaction are planned.
func (p *plan) endBatches() error {
	for _, id := range p.ending {
		st, err := p.batch(id)
		if err != nil {
			return err
		}
		if st.live > 0 || st.closed == 0 {
			continue // another has joined, or it was dealt with
		}
		value, ok := p.completions[id]
		if !ok {
			if value, err = p.s.db.Get(context.Background(), appendBatchKey(nil, id, batchCompletion)); err != nil {
				return fmt.Errorf("completion of batch %q: %w", id.name, err)
			}
		}
		c, err := decodeCompletion(value)
		if err != nil {
			return err
		}
		p.del(p.seal(appendBatchKey(p.tail(), id, batchCompletion)))
		delete(p.completions, id)
		p.setBatch(id, batchState{})
		if err := p.completeBatch(id, st, c); err != nil {
			return err
		}
	}
	p.ending, p.endingSize = p.ending[:0], Size{}
	return nil
}

// completeBatch plans the item that a batch ends with.
func (p *plan) completeBatch(id batchID, st batchState, c completion) error {
	own := p.s.numbered(id.queue)
	if own == nil {
		for _, q := range p.created {
			if q.id == id.queue {
				own = q
			}
		}
	}
	to := p.find(c.to)
	switch {
	case to == nil && p.s.numbers()+len(p.created) < maxQueues:
		to = p.queue(c.to)
	case to == nil || to.gone.Load():
		to = own
	}
	totals, err := json.Marshal(st.total)
	if err != nil {
		return err
	}
	it := c.item
	if it.Headers == nil {
		it.Headers = make(map[string]string)
	}
	it.Headers[BatchHeader], it.Headers[BatchQueueHeader], it.Headers[BatchTotalsHeader] = id.name, own.name, string(totals)
	at := loc{queue: to.id, epoch: p.entryEpoch(to, it.Group), prio: int8(it.Priority), group: it.Group, id: p.s.nextID}
	p.s.nextID++
	r := ref{id: at.id, value: appendItem(nil, &it, 0, p.wall)}
	if packable(at, r) {
		p.pack(to, &at, &r)
	}
	return p.insert(to, at, r)
}

// writeBatches writes the counts of the batches that have changed.
func (p *plan) writeBatches() {
	for id := range p.batches {
		key := p.seal(appendBatchKey(p.tail(), id, batchCounts))
		if st, _ := p.s.batches.get(id); st != (batchState{}) {
			p.put(key, p.seal(st.append(p.tail())))
		} else {
			p.del(key)
		}
	}
}

// batch returns the batch of an item that is in one.
func (f ref) batch() string {
	r := wire.NewReader(f.value)
	flags := r.Byte()
	readHistory(&r, flags)
	r.Uvarint() // enqueued
	if flags&flagExpires != 0 {
		r.Uvarint()
	}
	return r.Text()
}

// Sizes.

const batchLen = varintLen + shortLen + totalsLen

func batchKeyLen(name string) int { return queueKeyLen + len(name) + 2 }

// completionOverhead bounds what the item that a batch ends with has besides what is
// stored of it: its head, and the headers that the store adds.
var completionOverhead = 1 + shortLen + varintLen + MaxGroup + MaxName + len(BatchHeader+BatchQueueHeader+BatchTotalsHeader) + 6*shortLen + func() int {
	var t Totals
	for _, f := range t.fields() {
		*f = math.MaxInt64
	}
	b, _ := json.Marshal(t)
	return len(b)
}()

// completion bounds what the end of a batch takes, whose completion is stored in so many
// bytes, besides its counts.
func (l limits) completion(closed int) Size {
	z := sizer{overhead: l.Overhead}
	z.queue(longGroup[:MaxName])
	z.away(longGroup[:MaxName])
	z.write(batchKeyLen(longGroup), 0)
	z.write(laneKeyLen(longGroup), varintLen)
	z.write(pointerKeyLen(longGroup), varintLen)
	z.write(blockKeyLen(longGroup), closed+completionOverhead+packedOverhead)
	return z.total
}

// batch adds the counts of a batch.
func (z *sizer) batch(queue, name string) {
	if id := [2]string{queue, name}; name != "" && z.batched != id {
		z.batched = id
		z.write(batchKeyLen(name), batchLen)
	}
}

// batch returns the batch that the op changes, or no name if there is none, or if only
// the store knows it; see dependBatches.
func (o *op) batch() (queue, name string) {
	switch o.kind {
	case opAck, opRetry, opRelease, opSnooze, opDefer, opBury:
		return o.d.Queue, o.d.Item.Batch
	case opEnqueue, opDirectAck, opDirectRetry, opDirectBury:
		return o.name, o.item.Batch
	case opCloseBatch:
		return o.name, o.key
	}
	return "", ""
}

// dependBatches bounds what the ends of batches take that a transaction may bring about.
func (p *plan) dependBatches(r *request, z *sizer) error {
	var seen map[[2]string]bool
	may := func(queue, name string) error {
		id := [2]string{queue, name}
		q := p.find(queue)
		if name == "" || q == nil || seen[id] {
			return nil
		}
		if seen == nil {
			seen = make(map[[2]string]bool)
		}
		seen[id] = true
		st, err := p.batch(batchID{q.id, name})
		if st.closed > 0 {
			z.total = z.total.plus(p.s.limits.completion(st.closed))
		}
		return err
	}
	for i := range r.ops {
		o := &r.ops[i]
		queue, name := o.batch()
		if err := may(queue, name); err != nil {
			return err
		}
		switch {
		case o.kind == opCloseBatch:
			z.total = z.total.plus(p.s.limits.completion(len(completion{o.to, *o.item}.append(nil))))
		case o.kind == opRemove || o.kind == opRejoin:
			q := p.find(o.name)
			if q == nil || !q.batches || o.at.queue != q.id {
				continue
			}
			_, ref, found, err := p.locate(q, *o.at)
			if err == nil && found && ref.batched {
				z.batch(o.name, ref.batch())
				err = may(o.name, ref.batch())
			}
			if err != nil {
				return err
			}
		case o.kind == opEnqueue && o.item.Mode == ReplaceLive && o.item.Key != "":
			q := p.find(queue)
			if q == nil || !q.batches {
				continue
			}
			z.write(batchKeyLen(longGroup), batchLen)
			name, err := p.replaced(q, o, r)
			if err == nil {
				err = may(queue, name)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// replaced returns the batch of the item that would give way to one that is enqueued
// now, if there is one and it is in a batch.
func (p *plan) replaced(q *queueState, o *op, r *request) (string, error) {
	st, err := p.mark(markID{q.id, o.hash}, o, r)
	if err != nil || !st.present {
		return "", err
	}
	_, ref, found, err := p.locate(q, st.mark.at)
	if err != nil || !found || !ref.batched {
		return "", err
	}
	return ref.batch(), nil
}

// batches checks the records of batches against the items. A sum stands for the counts
// of all of them, each with a random factor of its name, so that memory does not follow
// their number.
func (c *checker) batches() error {
	var sum batchSum
	var last string // that is closed and whose completion has not come
	expected := 0
	missing := func() error {
		if expected == 0 {
			return nil
		}
		expected = 0
		return c.find("batch %q is closed and has no completion", last)
	}
	err := c.scan(kindBatch, func(key, value []byte) error {
		name, form, err := parseBatchKey(key)
		if err != nil {
			return c.find("%w", err)
		}
		if form == batchCompletion {
			if name != last || len(value) != expected {
				return c.find("batch %q has a completion and is not closed", name)
			}
			expected = 0
			if _, err := decodeCompletion(value); err != nil {
				return c.find("%w", err)
			}
			return nil
		}
		if err := missing(); err != nil {
			return err
		}
		st, err := decodeBatch(value)
		if err != nil {
			return c.find("%w", err)
		}
		last, expected = name, st.closed
		sum.add(c.s.secret, name, st.live)
		if known, ok := c.s.batches.get(batchID{c.q.id, name}); ok && known != st {
			return c.find("batch %q is stored as %+v, known is %+v", name, st, known)
		}
		if st.closed > 0 && st.live == 0 || st == (batchState{}) {
			return c.find("batch %q is complete, and still there", name)
		}
		return nil
	})
	if err == nil {
		err = missing()
	}
	if err == nil && sum != c.batched {
		err = c.find("the counts of batches are not those of their items")
	}
	return err
}

// batchSum is a sum of counts of batches.
type batchSum [2]uint64

func (s *batchSum) add(key secret, name string, n int64) {
	h := key.hash(name)
	s[0] += binary.BigEndian.Uint64(h[:8]) * uint64(n)
	s[1] += binary.BigEndian.Uint64(h[8:]) * uint64(n)
}

// Complete returns what is known of the batch that has ended with this item, and the
// name of its queue.
func Complete(it *Item) (b Batch, queue string, ok bool) {
	b = Batch{Name: it.Headers[BatchHeader], Closed: true}
	err := json.Unmarshal([]byte(it.Headers[BatchTotalsHeader]), &b.Totals)
	return b, it.Headers[BatchQueueHeader], err == nil && b.Name != ""
}
