package queue

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// queueState is a queue in memory. Three kinds of fields: fixed ones; those
// that only the committer reads and writes; and those under mu, which the
// committer changes when it publishes a batch and consumers change when they
// take and give back items.
type queueState struct {
	s    *leader
	id   uint16
	name string

	// Owned by the committer: the durable state.
	counts    queueCounts
	epochs    map[uint32]*epochCounts   // open to tail
	names     map[string]nameRecord     // durable subscriptions; changed under mu too
	known     recent[laneKey, struct{}] // lanes that have a record
	parts     [2]part                   // of the two plans, by their slots
	opening   bool                      // the plan in the making opens the next epoch
	sweep     bool                      // an earlier epoch may have lane records
	swept     [len(sweptKinds)][]byte   // of which none are below these keys
	deferring deferring
	batches   bool // there may be some

	mu           sync.Mutex
	config       *Config
	paused       bool
	groupRecords bool // some group may have a record
	open         uint32
	tail         uint32
	shownCounts  // after the last published batch

	sched    *sched.Scheduler[ref] // ready items of the open epoch
	inflight map[uint64]*Delivery
	claimed  map[uint64]bool // waiting items that a batch in progress removes
	lost     []casualty      // of sessions that ended
	stale    []loc           // given back after they had expired
	views    []*view         // of consumers with filters
	nextDue  int64           // no delayed item is due earlier, Unix milliseconds of the store's clock
	nextEnd  int64           // no item expires earlier, Unix milliseconds of the wall clock
	nextBack int64           // nothing deferred comes back earlier, Unix milliseconds of the store's clock
	away     map[string]bool // deferred groups
	strayed  []string        // deferred groups of which items were given back

	consumers map[*session]bool
	waiters   []*waiter // receivers, longest waiting first
	space     signal    // the queue is not full any more
	changed   signal    // something was settled or given back
	released  *Barrier  // the barrier of the open epoch, while consumers have it
	audience  int       // sessions that have it and have not acked it
	acks      int       // of it
	barriers  map[uint32][]chan struct{}

	sampled rateSample // for rates
	rates   [2]float64 // enqueued and acked per second

	gone  atomic.Bool   // it is being deleted, or was
	ended chan struct{} // closed when it was

	timer   *time.Timer
	timerAt int64 // Unix nanoseconds, 0 if not running
}

func newQueueState(s *leader, id uint16, name string) *queueState {
	q := &queueState{
		s: s, id: id, name: name,
		config:    &Config{},
		epochs:    map[uint32]*epochCounts{0: {}},
		known:     recent[laneKey, struct{}]{max: knownLanesMax},
		names:     make(map[string]nameRecord),
		inflight:  make(map[uint64]*Delivery),
		claimed:   make(map[uint64]bool),
		consumers: make(map[*session]bool),
		barriers:  make(map[uint32][]chan struct{}),
		nextDue:   math.MaxInt64,
		nextEnd:   math.MaxInt64,
		ended:     make(chan struct{}),
		nextBack:  math.MaxInt64,
		away:      make(map[string]bool),
	}
	q.sched = sched.New(storedLanes{q}, sched.Limits{Lanes: s.opts.GroupMemory, Memory: &s.itemMemory})
	return q
}

// takeLocked leases up to n items to a consumer. If more is set there may be more
// for it to take, which it has not been looked for yet.
func (q *queueState) takeLocked(c *session, n int) (out []*Delivery, more bool, err error) {
	if q.paused || c.opts.Barriers == OnlyBarriers {
		return nil, false, nil
	}
	if limit := q.config.MaxInFlight; limit > 0 {
		n = min(n, limit-len(q.inflight))
	}
	if n <= 0 {
		return nil, false, nil
	}
	var at sched.Time
	at.Now, at.Wall = q.s.clock.read()
	at.Wall /= 1e6
	more, err = q.sched.Take(c.view.lineup(), c.owner, at, n, func(lease sched.Lease[ref], r ref) {
		if out == nil {
			out = make([]*Delivery, 0, min(n, 128))
		}
		d := &Delivery{c: c, lease: lease, ref: r, ID: r.id, Epoch: q.open}
		q.inflight[r.id] = d
		c.holdLocked(d)
		out = append(out, d)
	})
	if q.sched.Housekeeping() == 0 {
		q.s.flag(q)
	}
	return out, more, err
}

// lane returns the lane of the delivery's item.
func (d *Delivery) lane() laneKey { return laneOf(d.Epoch, d.lease.Lane.Key) }

// at returns where the delivery's item is stored: in its lane.
func (d *Delivery) at() loc { return d.ref.at(d.c.q.id, d.lane()) }

// doneLocked takes a delivery out of the books of its session and queue. The
// scheduler has to be told besides what becomes of the item.
func (q *queueState) doneLocked(d *Delivery, state leaseState) {
	if d.state != leaseLost {
		d.state = state
	}
	d.c.letGoLocked(d)
	if d.Barrier == nil {
		delete(q.inflight, d.ref.id)
	}
}

// endLocked ends a delivery whose item is gone, or comes back elsewhere.
func (q *queueState) endLocked(d *Delivery, now int64) {
	q.doneLocked(d, leaseSettled)
	if d.Barrier == nil {
		q.sched.End(d.lease, now)
	}
}

// giveBackLocked returns an item to its place, with the attempt not counted.
func (q *queueState) giveBackLocked(d *Delivery, state leaseState) {
	q.doneLocked(d, state)
	now, wall := q.s.clock.read()
	if e := d.ref.expires; e != 0 && e <= wall/1e6 {
		q.stale = append(q.stale, d.at())
		q.s.flag(q)
		q.sched.End(d.lease, now)
		return
	}
	q.sched.Back(d.lease, d.ref, 0, now)
	if group := d.lease.Lane.Key.Group; q.away[group] {
		q.strayed = append(q.strayed, group)
		q.s.flag(q)
	}
}

// overdueTime is how long the timer waits for housekeeping that has been asked
// for and has not come yet, for want of free space perhaps.
const overdueTime = 100 * time.Millisecond

// clockCheck is the longest that the timer sleeps, so that it is not long before
// a step forward of the wall clock, or a sleep of the machine, is noticed.
const clockCheck = time.Minute

// armLocked sets the timer for the next thing that time alone will bring.
//
// What is due already needs no timer if a receiver has just been woken: it
// wakes the next one if it leaves anything.
func (q *queueState) armLocked(woken bool) {
	next := q.nextTurnLocked(woken)
	now, wall := q.s.clock.read()
	due := min(q.nextDue, q.nextBack)
	if due <= now/1e6 || q.nextEnd <= wall/1e6 {
		q.s.flag(q)
		next = min(next, now+int64(overdueTime))
	}
	if due > now/1e6 && due < math.MaxInt64/1_000_000 {
		next = min(next, due*1e6)
	}
	if wait := q.nextEnd - wall/1e6; wait > 0 && wait < int64(clockCheck/1e6) {
		next = min(next, now+wait*1e6)
	} else if q.nextEnd < math.MaxInt64 {
		next = min(next, now+int64(clockCheck))
	}
	if due := q.sched.Housekeeping(); due < sched.Never {
		next = min(next, max(due, now+int64(overdueTime)))
	}
	if next == sched.Never {
		return
	}
	next = min(next, now+int64(clockCheck))
	if q.timerAt != 0 && q.timerAt <= next {
		return
	}
	q.timerAt = next
	d := max(time.Duration(next-now), 1) // no timer is due when it is made: see golang.org/issue/78156
	if q.timer == nil {
		q.timer = time.AfterFunc(d, q.tick)
	} else {
		q.timer.Reset(d)
	}
}

// nextTurnLocked returns when time alone gives one of the waiters something to
// take. Items that are ready, but not for those who wait, do not count: what
// makes them available is not time, and wakes the waiters.
func (q *queueState) nextTurnLocked(woken bool) int64 {
	next := int64(sched.Never)
	after := int64(math.MinInt64)
	if woken {
		after = q.s.now()
	}
	if limit := q.config.MaxInFlight; q.paused || limit > 0 && len(q.inflight) >= limit {
		return next
	}
	var asked *view
	any := false
	for _, w := range q.waiters {
		if w.c.opts.Barriers == OnlyBarriers || w.c.fullLocked() {
			continue
		}
		// What waits for its owner wakes no one else, so it counts also when it is due.
		next = min(next, q.sched.NextOwn(w.c.view.lineup(), w.c.owner))
		if !any || w.c.view != asked {
			next = min(next, q.sched.Next(w.c.view.lineup(), after))
		}
		asked, any = w.c.view, true
	}
	return next
}

// tick runs when the timer fires.
func (q *queueState) tick() {
	if q.s.err() != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timerAt = 0
	if q.sched.Housekeeping() <= q.s.now() {
		q.s.flag(q)
	}
	q.armLocked(q.wakeLocked())
}

// waiter is a Receive that found nothing.
type waiter struct {
	c    *session
	wake chan struct{} // capacity 1
}

// wakeLocked wakes those who have a barrier to receive, and for items the
// longest-waiting receiver that has room, of those without a filter and of those
// with each, and besides those for whom items of their groups wait. It wakes the next
// if it leaves anything; package sched says why that is enough.
//
// It reports whether it has woken a receiver that takes items.
func (q *queueState) wakeLocked() bool {
	var woken []*view // nil among them for those without a filter
	now := int64(0)   // read when it is needed
	kept := q.waiters[:0]
	for _, w := range q.waiters {
		if now == 0 && w.c.owner != nil {
			now = q.s.now()
		}
		takes := w.c.opts.Barriers != OnlyBarriers && !w.c.fullLocked() &&
			(!slices.Contains(woken, w.c.view) || q.sched.Waits(w.c.view.lineup(), w.c.owner, now))
		if !takes && !w.c.pendingBarrier() {
			kept = append(kept, w)
			continue
		}
		if takes {
			woken = append(woken, w.c.view)
		}
		w.c.extendLocked() // it may not have the lock before its lease is due
		w.wake <- struct{}{}
	}
	clear(q.waiters[len(kept):])
	q.waiters = kept
	return len(woken) > 0
}

// wakeAll wakes every receiver, and everybody who waits for space or barriers:
// the store is closed or has failed.
func (q *queueState) wakeAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.waiters {
		w.wake <- struct{}{}
	}
	q.waiters = nil
	q.space.fire()
	q.changed.fire()
}

// close stops what runs for the queue when the store closes. It returns notes of
// what the next open has to know.
func (q *queueState) close() [][]byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
	}
	for c := range q.consumers {
		c.endLocked(ErrClosed)
	}
	return q.delayNotesLocked()
}

// fullNowLocked reports whether the queue is at or above a high-water mark.
func (q *queueState) fullNowLocked() bool {
	c := q.config
	return c.HighWaterItems > 0 && q.live+q.later >= c.HighWaterItems ||
		c.HighWaterBytes > 0 && q.visible.bytes-q.deferredBytes >= c.HighWaterBytes
}

// signal wakes all who wait for something at once. However many wait, and give up,
// it is one channel.
type signal struct{ ch chan struct{} }

// wait returns a channel that is closed when the signal fires.
func (s *signal) wait() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) fire() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// waitSpace returns when the queue is below its marks.
func (q *queueState) waitSpace(ctx context.Context) error {
	for {
		if err := q.s.err(); err != nil {
			return err
		}
		q.mu.Lock()
		if !q.fullNowLocked() {
			q.mu.Unlock()
			return nil
		}
		ch := q.space.wait()
		q.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-q.ended:
			return nil
		case <-q.s.stop:
			return ErrClosed
		}
	}
}

func (s *leader) Full(ctx context.Context, name string) bool {
	q := s.queue(name)
	if q == nil {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fullNowLocked()
}

func (s *leader) WaitSpace(ctx context.Context, name string) error {
	q := s.queue(name)
	if q == nil {
		return s.err()
	}
	if err := q.waitSpace(ctx); err != nil {
		return fmt.Errorf("wait for space in %s: %w", name, err)
	}
	return nil
}
