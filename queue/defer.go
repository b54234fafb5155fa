package queue

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/seed-301537d8/weir/internal/wire"
)

// An item that is deferred lies in no epoch that a barrier ends, but in a place of
// its own: deferredEpoch, which never opens. Everything else about it stays: its
// id, its key, its group, its priority, its attempts. It comes back into the open
// epoch, or into the next if the open one is settled: what comes back is older than
// whatever waits behind a barrier, so it does not wait behind one again.
//
// A group is deferred by its record. From then on nothing of it is delivered, and
//
//	what waits in the open epoch   leaves, a piece in each batch; see moveAway
//	what a consumer holds          leaves when it is retried or given back
//	what is enqueued               goes there at once, unless a barrier waits: then
//	                               it lies behind the barrier like everything new,
//	                               and leaves when its epoch opens
//
// So an item in deferredEpoch never comes from behind the open epoch's barrier, and
// to bring it back before that barrier breaks no promise. Groups come back in pieces
// too. The epoch that they come back into is fixed by the transaction, or by the
// time, that ends the deferral, and it is not released before they have arrived.
//
// Blocks move as they are, under the same id, and the marks of their items are not
// rewritten: an item that is not where its mark says is looked for in deferredEpoch
// and in the open epoch. Since a block's items are of one batch, and of one group and
// priority, blocks of one group and priority never interleave wherever they go.

// deferral is what is stored about a group that is deferred, or comes back.
type deferral struct {
	deferred bool   // or it comes back
	epoch    uint32 // into which it comes back
	until    int64  // Unix milliseconds, or 0 if it has no time
	since    int64  // Unix milliseconds
}

func (d deferral) append(b []byte, reason string) []byte {
	b = wire.AppendBool(b, d.deferred)
	b = binary.AppendUvarint(b, uint64(d.epoch))
	b = binary.AppendUvarint(b, uint64(d.until))
	b = binary.AppendUvarint(b, uint64(d.since))
	return append(b, reason...)
}

func decodeDeferral(b []byte) (d deferral, reason string, err error) {
	r := wire.NewReader(b)
	d.deferred = r.Bool()
	d.epoch = uint32(r.Uvarint())
	d.until, d.since = int64(r.Uvarint()), int64(r.Uvarint())
	reason = string(r.Rest())
	return d, reason, malformed(&r, "deferral")
}

// decodeDeferReason reads what is stored about an item that was deferred by itself:
// since when it is, in Unix milliseconds, and then what appendReason has made.
func decodeDeferReason(b []byte) (since int64, reason string, err error) {
	r := wire.NewReader(b)
	since = int64(r.Uvarint())
	reason = r.Text()
	r.Text() // the stack
	return since, reason, malformed(&r, "reason of a deferral")
}

// MaxDeferredGroups bounds how many groups of a queue are deferred, or on their way
// back, at the same time. They are kept in memory, some 150 bytes each.
const MaxDeferredGroups = 1 << 17

// forever is the time of an item that is deferred without one.
const forever = math.MaxInt64 / 1_000_000

// deferring is what the committer knows about the deferrals of a queue.
type deferring struct {
	groups  map[string]deferral
	moves   map[string][]byte // groups with items to move, and where the work goes on; nil is the beginning
	returns returnHeap        // deferred groups with a time
	sweep   delayedSweep
}

// groupReturn says when a group comes back, if its deferral still says so.
type groupReturn struct {
	until int64
	group string
}

type returnHeap []groupReturn

func (h returnHeap) Len() int           { return len(h) }
func (h returnHeap) Less(i, j int) bool { return h[i].until < h[j].until }
func (h returnHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *returnHeap) Push(x any)        { *h = append(*h, x.(groupReturn)) }
func (h *returnHeap) Pop() any {
	old := *h
	g := old[len(old)-1]
	*h = old[:len(old)-1]
	return g
}

// next is when the first group comes back.
func (h returnHeap) next() int64 {
	if len(h) == 0 {
		return math.MaxInt64
	}
	return h[0].until
}

// defers reports whether a group is deferred after what has been planned.
func (q *queueState) defers(group string) bool {
	return len(q.deferring.groups) > 0 && q.deferring.groups[group].deferred
}

// note sets what is known of a group's deferral, and has its items moved.
func (d *deferring) note(group string, def deferral) {
	if d.groups == nil {
		d.groups, d.moves = make(map[string]deferral), make(map[string][]byte)
	}
	d.groups[group] = def
	d.moves[group] = nil
	if def.deferred {
		d.sweep.wanted = true
		if def.until != 0 {
			d.returnAt(def.until, group)
		}
	}
}

func (d *deferring) returnAt(until int64, group string) {
	if len(d.returns) > 2*len(d.groups)+64 { // most of them say what is true no more
		d.returns = d.returns[:0]
		for group, def := range d.groups {
			if def.deferred && def.until != 0 {
				d.returns = append(d.returns, groupReturn{def.until, group})
			}
		}
		heap.Init(&d.returns)
		return
	}
	heap.Push(&d.returns, groupReturn{until, group})
}

// begin has everything looked through for items of deferred groups: an epoch has
// opened, or the store.
func (d *deferring) begin() {
	for group := range d.groups {
		d.moves[group] = nil
	}
	d.sweep.wanted = len(d.groups) > 0
}

// firstBack is what is known of nextBack when nothing is: that something may come
// back if anything was ever deferred.
func (q *queueState) firstBack() int64 {
	if q.epochs[deferredEpoch] == nil {
		return math.MaxInt64
	}
	return 0
}

// entryEpoch is the epoch of an item that is enqueued.
func (p *plan) entryEpoch(q *queueState, group string) uint32 {
	if q.counts.open == q.counts.tail && q.defers(group) {
		p.deferredCounts(q)
		return deferredEpoch
	}
	return q.counts.tail
}

// returnEpoch is the epoch into which deferred items come back. An epoch whose
// barrier waits and that is settled is over, though its barrier may be released
// only when this plan is published.
func (p *plan) returnEpoch(q *queueState) uint32 {
	if open := q.counts.open; open < q.counts.tail && q.epochs[open].settled() {
		return open + 1
	}
	return q.counts.open
}

// settled reports whether nothing keeps the epoch's barrier from being released.
func (c *epochCounts) settled() bool { return c.live == 0 && c.returning == 0 }

// deferredCounts makes sure that there are counts of deferred items.
func (p *plan) deferredCounts(q *queueState) {
	if q.epochs[deferredEpoch] == nil {
		q.epochs[deferredEpoch] = new(epochCounts)
		p.touchEpoch(q.epochs[deferredEpoch])
	}
}

// deferItem plans that a delivery leaves its epoch.
func (p *plan) deferItem(q *queueState, o *op) error {
	d := o.d
	from := d.at()
	p.effect(q, effect{kind: effectEndUncounted, d: d})
	if d.ref.expires != 0 && d.ref.expires <= p.wall {
		return p.leave(q, from, d.ref, func(t *Totals) *int64 { return &t.Expired })
	}
	to := from
	to.epoch, to.block, to.due = deferredEpoch, 0, p.deferTime(o.until, forever)
	if err := p.transfer(q, from, to, d.ref); err != nil {
		return err
	}
	why := append(binary.AppendUvarint(nil, uint64(p.nowMS())), o.value...)
	p.put(p.seal(appendReasonKey(p.tail(), q.id, to.id)), why)
	return nil
}

// deferTime is the time of a deferral in Unix milliseconds of the store's clock; a
// zero time is none.
func (p *plan) deferTime(t time.Time, none int64) int64 {
	if t.IsZero() {
		return none
	}
	t = p.instant(t)
	ms := t.UnixMilli()
	if t.Nanosecond()%1e6 != 0 {
		ms++
	}
	return min(max(ms, 1), forever)
}

// deferGroup plans that a group is deferred.
func (p *plan) deferGroup(q *queueState, o *op) {
	p.endReturn(q, o.key)
	p.deferredCounts(q)
	def := deferral{deferred: true, until: p.deferTime(o.until, 0), since: p.nowMS()}
	if old := q.deferring.groups[o.key]; old.deferred {
		def.since = old.since
	}
	p.setDeferral(q, o.key, def, string(o.value))
	q.mu.Lock()
	if def.until != 0 {
		q.nextBack = min(q.nextBack, def.until)
	}
	q.mu.Unlock()
}

// rejoinGroup plans that a group that is deferred comes back.
func (p *plan) rejoinGroup(q *queueState, group string) {
	def := q.deferring.groups[group]
	if !def.deferred {
		return
	}
	def.deferred, def.epoch, def.until = false, p.returnEpoch(q), 0
	q.epochs[def.epoch].returning++
	p.setDeferral(q, group, def, "")
}

func (p *plan) setDeferral(q *queueState, group string, def deferral, reason string) {
	p.put(p.seal(appendDeferralKey(p.tail(), q.id, group)), def.append(nil, reason))
	q.deferring.note(group, def)
	// Blocks that were begun before hold no items that lie elsewhere.
	p.packing.close()
	p.touch(q)
	kind := effectRejoin
	if def.deferred {
		kind = effectDefer
	}
	p.effect(q, effect{kind: kind, at: loc{group: group}})
}

// endReturn plans that a group does not come back any more: it has, or it is
// deferred again.
func (p *plan) endReturn(q *queueState, group string) {
	if def, ok := q.deferring.groups[group]; ok && !def.deferred {
		q.epochs[def.epoch].returning--
		p.touch(q)
	}
}

// forgetDeferral plans that nothing is known of a group that has come back.
func (p *plan) forgetDeferral(q *queueState, group string) {
	p.endReturn(q, group)
	delete(q.deferring.groups, group)
	p.del(p.seal(appendDeferralKey(p.tail(), q.id, group)))
}

// rejoinItem plans that a deferred item comes back, or waits for its group alone.
func (p *plan) rejoinItem(q *queueState, at loc) error {
	if q.epochs[deferredEpoch] == nil {
		return nil
	}
	from, r, found, err := p.locate(q, at)
	if err != nil || !found || from.epoch != deferredEpoch {
		return err
	}
	return p.comeHome(q, from, r)
}

// comeHome plans that the time of a deferred item is over.
func (p *plan) comeHome(q *queueState, from loc, r ref) error {
	to := from
	to.block, to.due = 0, 0
	if !q.defers(from.group) {
		to.epoch = p.returnEpoch(q)
	}
	if from == to {
		return nil
	}
	return p.transfer(q, from, to, r)
}

// transfer plans that an unsettled item lies in another epoch, alone.
func (p *plan) transfer(q *queueState, from, to loc, r ref) error {
	r, err := p.relocate(q, from, to, r)
	if err != nil {
		return err
	}
	if r.expires != 0 {
		p.putExpiry(q, to, r.expires)
	}
	if from.epoch == deferredEpoch && from.due != 0 {
		p.del(p.seal(appendReasonKey(p.tail(), q.id, r.id)))
	}
	p.recount(q, from, to, 1, int64(len(r.value)))
	if to.epoch == deferredEpoch {
		p.effect(q, effect{kind: effectDelayed, at: to, r: ref{id: r.id, expires: r.expires}})
		return nil
	}
	return p.arrive(q, to, r)
}

// recount plans the counts of n items that lie in another epoch from now on.
func (p *plan) recount(q *queueState, from, to loc, n, size int64) {
	delayed := func(at loc) int64 {
		if at.due != 0 {
			return n
		}
		return 0
	}
	p.deferredCounts(q)
	a := p.count(q, from.epoch, -n, -delayed(from), -size)
	b := p.count(q, to.epoch, n, delayed(to), size)
	if a == b {
		return
	}
	a.total.Deferred += n
	b.total.Rejoined += n
	if to.epoch == deferredEpoch {
		q.counts.total.Deferred += n
	} else {
		q.counts.total.Rejoined += n
	}
}

// arrive plans the effect of a ready item, or of the first of a block, that comes
// back to an epoch.
func (p *plan) arrive(q *queueState, at loc, r ref) error {
	fresh, err := p.ensureLane(q, at.lane())
	if err != nil {
		return err
	}
	if fresh == nil {
		if err := p.comeBack(q, at.lane(), r.floor()); err != nil {
			return err
		}
	}
	p.effect(q, effect{kind: effectReturn, at: at, r: r, ptr: fresh})
	return nil
}

// locate returns an unsettled item that was at a place at some time, and where it
// lies after this plan's writes.
func (p *plan) locate(q *queueState, at loc) (loc, ref, bool, error) {
	r, found, err := p.stored(q, at)
	if found || err != nil || q.epochs[deferredEpoch] == nil {
		return p.moved(at), r, found, err
	}
	for _, at := range at.elsewhere(q.counts.open) {
		if r, found, err = p.stored(q, at); found || err != nil {
			return p.moved(at), r, found, err
		}
	}
	return at, ref{}, false, nil
}

// moved returns the place of an item whose block this plan may have moved.
func (p *plan) moved(at loc) loc {
	if epoch, ok := p.movedBlocks[at.block]; ok && at.block != 0 {
		at.epoch = epoch
	}
	return at
}

// elsewhere returns the places where an item may lie that is not at its place any
// more, if it has been deferred or has come back since, or was retried then.
func (l loc) elsewhere(open uint32) []loc {
	var places []loc
	for _, epoch := range [...]uint32{l.epoch, deferredEpoch, open, open + 1} {
		there := l
		there.epoch = epoch
		alone := there
		alone.due, alone.block = 0, 0
		for _, at := range [...]loc{there, alone} {
			if at != l && (at.due == 0 || epoch == deferredEpoch) {
				places = append(places, at)
			}
		}
	}
	return places
}

// Deferral is a group whose items are deferred.
type Deferral struct {
	Group  string
	Since  time.Time
	Until  time.Time // zero if it has no time
	Reason string

	// Returning says that the deferral is over and that the items are being
	// brought back, which takes a moment if there are many.
	Returning bool
}

func (s *leader) Deferrals(ctx context.Context, queue, after string, limit int) ([]Deferral, error) {
	q, err := s.existing("deferrals", queue)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("deferrals of %s: %w", queue, invalidf("limit %d", limit))
	}
	prefix := appendQueue(nil, kindDeferral, q.id)
	var list []Deferral
	err = s.scan(ctx, keyAfter(appendDeferralKey(nil, q.id, after)), prefixEnd(prefix), func(key, value []byte) error {
		def, reason, err := decodeDeferral(value)
		if err != nil {
			return err
		}
		list = append(list, Deferral{
			Group: string(bytes.TrimPrefix(key, prefix)), Since: unixMilli(def.since), Until: unixMilli(def.until),
			Reason: reason, Returning: !def.deferred,
		})
		if len(list) == limit {
			return errStop
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("deferrals of %s: %w", queue, err)
	}
	return list, nil
}

// describeDeferred says why an item is deferred.
func (q *queueState) describeDeferred(w *Waiting) error {
	w.State, w.Epoch = StateDeferred, 0
	if w.at.due == forever {
		w.Due = time.Time{}
	}
	if w.at.due != 0 {
		value, found, err := q.s.lookUp(appendReasonKey(nil, q.id, w.ID))
		if err != nil {
			return err
		}
		if found {
			since, reason, err := decodeDeferReason(value)
			w.Deferred, w.Reason = unixMilli(since), reason
			return err
		}
	}
	value, found, err := q.s.lookUp(appendDeferralKey(nil, q.id, w.Item.Group))
	if err != nil || !found {
		return err
	}
	def, reason, err := decodeDeferral(value)
	w.Deferred, w.Reason = unixMilli(def.since), reason
	return err
}
