package queue

import (
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"
)

// queueState is a queue in memory. Three kinds of fields: fixed ones; those
// that only the committer reads and writes; and those under mu, which the
// committer changes when it publishes a batch and consumers change when they
// take and give back items.
type queueState struct {
	s    *Store
	id   uint16
	name string

	// Owned by the committer: the durable state.
	counts  queueCounts
	epochs  map[uint32]*epochCounts   // open to tail
	names   map[string]nameRecord     // durable subscriptions; changed under mu too
	known   recent[laneKey, struct{}] // lanes that have a record
	parts   [2]part                   // of the two plans, by their slots
	opening bool                      // the plan in the making opens the next epoch
	sweep   bool                      // an earlier epoch may have lane records

	mu           sync.Mutex
	config       *Config
	paused       bool
	groupRecords bool // some group may have a record
	open         uint32
	tail         uint32
	shownCounts  // after the last published batch

	levels   []*level // by descending priority
	lanes    map[laneKey]*lane
	groups   map[string]*group // in memory
	idle     int               // lanes found empty
	turn     uint64
	inflight map[uint64]*Delivery
	claimed  map[uint64]bool // waiting items that a batch in progress removes
	lows     []*lane         // whose pointer should learn a higher low id
	lost     []*Delivery     // of sessions that ended: to be retried
	stale    []loc           // given back after they had expired
	views    []*view         // of consumers with filters
	nextDue  int64           // no delayed item is due earlier, Unix milliseconds
	nextEnd  int64           // no item expires earlier, Unix milliseconds

	consumers map[*Consumer]bool
	waiters   []*waiter       // receivers, longest waiting first
	spaces    []chan struct{} // closed when the queue is not full any more
	drainers  []chan struct{} // closed when something was settled or given back
	released  *Barrier        // the barrier of the open epoch, while consumers have it
	audience  int             // sessions that have it and have not acked it
	acks      int             // of it
	barriers  map[uint32][]chan struct{}

	sampled rateSample // for rates
	rates   [2]float64 // enqueued and acked per second

	timer   *time.Timer
	timerAt int64 // Unix nanoseconds, 0 if not running
}

func newQueueState(s *Store, id uint16, name string) *queueState {
	return &queueState{
		s: s, id: id, name: name,
		config:    &Config{},
		epochs:    map[uint32]*epochCounts{0: {}},
		known:     recent[laneKey, struct{}]{max: knownLanesMax},
		names:     make(map[string]nameRecord),
		lanes:     make(map[laneKey]*lane),
		groups:    make(map[string]*group),
		inflight:  make(map[uint64]*Delivery),
		claimed:   make(map[uint64]bool),
		consumers: make(map[*Consumer]bool),
		barriers:  make(map[uint32][]chan struct{}),
		nextDue:   math.MaxInt64,
		nextEnd:   math.MaxInt64,
	}
}

// now is the time in Unix nanoseconds.
func (s *Store) now() int64 { return time.Now().UnixNano() }

// takeLocked leases up to n items to a consumer.
func (q *queueState) takeLocked(c *Consumer, n int) ([]*Delivery, error) {
	if q.paused || c.opts.Barriers == OnlyBarriers {
		return nil, nil
	}
	if limit := q.config.MaxInFlight; limit > 0 {
		n = min(n, limit-len(q.inflight))
	}
	if n <= 0 {
		return nil, nil
	}
	if c.view != nil {
		return q.takeViewLocked(c, n)
	}
	now := q.s.now()
	var out []*Delivery
	for _, lv := range q.levels {
		for len(out) < n {
			if err := q.loadLocked(lv, now); err != nil {
				return out, err
			}
			if len(lv.lanes) == 0 || lv.lanes[0].due > now {
				break
			}
			l := lv.lanes[0]
			if !q.mayServeLocked(l.group) {
				q.scheduleLocked(l)
				continue
			}
			r, ok, err := q.nextItemLocked(l, now/1e6)
			if err != nil {
				return out, err
			}
			if !ok {
				q.scheduleLocked(l)
				continue
			}
			if out == nil {
				out = make([]*Delivery, 0, min(n, 128))
			}
			d := q.leaseLocked(c, l, r)
			out = append(out, d)
			q.servedLocked(d, now)
		}
		if len(out) == n {
			break
		}
	}
	return out, nil
}

// servedLocked moves the lane of a delivery to the end of its turn.
func (q *queueState) servedLocked(d *Delivery, now int64) {
	l, g := d.ln, d.ln.group
	limit, delay := q.limitsLocked(g)
	if delay > 0 {
		d.turn.before = g.rec.nextDue
		g.rec.nextDue = max(g.rec.nextDue, now+delay)
		d.turn.after = g.rec.nextDue
	}
	if limit > 0 || delay > 0 {
		l.due, l.turn = now, q.nextTurn()
		q.rescheduleLocked(g)
		return
	}
	if l.head == len(l.win) && l.complete {
		q.scheduleLocked(l)
		return
	}
	if len(l.level.lanes) > 1 && l.index >= 0 {
		l.due, l.turn = now, q.nextTurn()
		heap.Fix(&l.level.lanes, l.index)
	}
}

// leaseLocked makes a delivery of an item that has been taken out of its lane.
func (q *queueState) leaseLocked(c *Consumer, l *lane, r ref) *Delivery {
	d := &Delivery{c: c, ln: l, ref: r, ID: r.id, Epoch: l.key.epoch}
	q.inflight[r.id] = d
	for _, v := range q.views {
		v.forget(r.id)
	}
	c.holdLocked(d)
	l.inflight++
	l.taken++
	l.group.inflight++
	return d
}

// at returns where the delivery's item is stored: in its lane.
func (d *Delivery) at() loc {
	return d.ref.at(d.c.q.id, d.ln.key)
}

// endLocked ends a lease whatever became of it.
func (q *queueState) endLocked(d *Delivery, state leaseState) {
	if d.state != leaseLost {
		d.state = state
	}
	d.c.letGoLocked(d)
	if d.Barrier != nil {
		return
	}
	delete(q.inflight, d.ref.id)
	l, g := d.ln, d.ln.group
	l.inflight--
	g.inflight--
	if _, delay := q.limitsLocked(g); delay > 0 {
		g.rec.nextDue = max(g.rec.nextDue, q.s.now()+delay)
	}
}

// endUnusedLocked ends a lease, and takes back the delay of the group that began
// with it, unless another has begun since.
func (q *queueState) endUnusedLocked(d *Delivery) {
	g := d.ln.group
	due := g.rec.nextDue
	if due == d.turn.after {
		due = d.turn.before
	}
	q.endLocked(d, leaseSettled)
	g.rec.nextDue = due
	for _, l := range g.lanes { // behind those who wait already
		l.due, l.turn = q.s.now(), q.nextTurn()
	}
	q.rescheduleLocked(g)
}

// giveBackLocked returns an item to its place, with the attempt not counted.
func (q *queueState) giveBackLocked(d *Delivery, state leaseState) {
	q.endLocked(d, state)
	if e := d.ref.expires; e != 0 && e <= q.s.now()/1e6 {
		q.stale = append(q.stale, d.at())
		q.s.flag(q)
	} else {
		q.insertLocked(d.ln, d.ref)
		q.offerLocked(d.at(), d.ref)
	}
	q.rescheduleLocked(d.ln.group)
}

// A note says that an item was taken, with which attempt, or given back.
const (
	noteTaken    = 'T'
	noteReleased = 'R'
)

// noteTakenLocked writes down that items are about to be delivered, so that an
// item that kills the process has been counted.
func (q *queueState) noteTakenLocked(ds []*Delivery) error {
	b := make([]byte, 0, 64*len(ds))
	for _, d := range ds {
		b = append(b, noteTaken)
		b = binary.AppendUvarint(b, uint64(d.ref.attempts)+1)
		b = appendNotedKey(b, d.at())
	}
	return q.s.appendNote(b)
}

func (q *queueState) noteReleasedLocked(ds []*Delivery) error {
	b := make([]byte, 0, 64*len(ds))
	for _, d := range ds {
		if d.Barrier == nil {
			b = append(b, noteReleased, 0)
			b = appendNotedKey(b, d.at())
		}
	}
	if len(b) == 0 {
		return nil
	}
	return q.s.appendNote(b)
}

func appendNotedKey(b []byte, at loc) []byte {
	var buf [7 + 1 + MaxGroup + 1 + 8 + 1 + 8]byte
	key := at.appendPlace(buf[:0])
	b = binary.AppendUvarint(b, uint64(len(key)))
	return append(b, key...)
}

// spareNotes is by how much the notes grow, in bytes, before they are rewritten.
// They also grow by what was in them after the last time, so that rewriting
// costs a part of appending however much is in flight.
const spareNotes = 1 << 20

func (s *Store) appendNote(b []byte) error {
	s.notesMu.Lock()
	defer s.notesMu.Unlock()
	s.noteBytes += len(b)
	if s.noteBytes > s.noteLimit {
		select {
		case s.kick <- struct{}{}:
		default:
		}
	}
	if err := s.db.AppendNotes(context.Background(), b); err != nil {
		return fmt.Errorf("note deliveries: %w", err)
	}
	return nil
}

// rewriteNotes keeps only the notes of what is in flight. The committer calls
// it; taking every queue's lock keeps new notes out meanwhile.
func (s *Store) rewriteNotes() error {
	s.notesMu.Lock()
	due := s.noteBytes > s.noteLimit
	s.notesMu.Unlock()
	if !due {
		return nil
	}
	s.mu.RLock()
	queues := s.byID
	s.mu.RUnlock()
	var notes [][]byte
	kept := 0
	for _, q := range queues {
		q.mu.Lock()
		defer q.mu.Unlock()
		for _, d := range q.inflight {
			b := binary.AppendUvarint([]byte{noteTaken}, uint64(d.ref.attempts)+1)
			b = appendNotedKey(b, d.at())
			notes, kept = append(notes, b), kept+len(b)
		}
	}
	s.notesMu.Lock()
	defer s.notesMu.Unlock()
	s.noteBytes, s.noteLimit = 0, spareNotes+4*kept
	if err := s.db.ResetNotes(context.Background(), notes); err != nil {
		return fmt.Errorf("rewrite notes: %w", err)
	}
	return nil
}

// overdueTime is how long the timer waits for housekeeping that has been asked
// for and has not come yet, for want of free space perhaps.
const overdueTime = 100 * time.Millisecond

// armLocked sets the timer for the next thing that time alone will bring.
//
// What is due already needs no timer if a receiver has just been woken: it
// wakes the next one if it leaves anything.
func (q *queueState) armLocked(woken bool) {
	next := q.nextTurnLocked(woken)
	now := q.s.now()
	if due := min(q.nextDue, q.nextEnd); due <= now/1e6 {
		q.s.flag(q)
		next = min(next, now+int64(overdueTime))
	} else if due < math.MaxInt64/1_000_000 {
		next = min(next, due*1e6)
	}
	if q.idle > 0 {
		next = min(next, now+int64(idleTime))
	}
	if next == math.MaxInt64 || q.timerAt != 0 && q.timerAt <= next {
		return
	}
	q.timerAt = next
	d := max(time.Duration(next-now), 0)
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
	next := int64(math.MaxInt64)
	after := int64(math.MinInt64)
	if woken {
		after = q.s.now()
	}
	if limit := q.config.MaxInFlight; q.paused || limit > 0 && len(q.inflight) >= limit {
		return next
	}
	plain := false
	for _, w := range q.waiters {
		switch {
		case w.c.opts.Barriers == OnlyBarriers || w.c.fullLocked():
		case w.c.view != nil:
			if due := w.c.view.nextDue; due != 0 {
				next = min(next, due)
			}
		default:
			plain = true
		}
	}
	if !plain {
		return next
	}
	for _, lv := range q.levels {
		if len(lv.lanes) > 0 && lv.lanes[0].due > after {
			next = min(next, lv.lanes[0].due)
		}
		if lv.horizon > after {
			next = min(next, lv.horizon)
		}
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
	if q.idle > 0 {
		q.s.flag(q)
	}
	q.armLocked(q.wakeLocked())
}

// waiter is a Receive that found nothing.
type waiter struct {
	c    *Consumer
	wake chan struct{} // capacity 1
}

// wakeLocked wakes the longest-waiting receiver, which wakes the next if it
// leaves anything, and those that look for something particular.
//
// It reports whether it has woken a receiver that takes whatever there is.
func (q *queueState) wakeLocked() bool {
	plain := false
	kept := q.waiters[:0]
	for _, w := range q.waiters {
		particular := w.c.view != nil || w.c.opts.Barriers == OnlyBarriers || w.c.pendingBarrier()
		if particular || !plain && !w.c.fullLocked() {
			plain = plain || !particular
			w.c.extendLocked() // it may not have the lock before its lease is due
			w.wake <- struct{}{}
			continue
		}
		kept = append(kept, w)
	}
	clear(q.waiters[len(kept):])
	q.waiters = kept
	return plain
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
	closeAll(&q.spaces)
	closeAll(&q.drainers)
}

// close stops what runs for the queue when the store closes.
func (q *queueState) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
	}
	for c := range q.consumers {
		c.endLocked(ErrClosed)
	}
}

// fullNowLocked reports whether the queue is at or above a high-water mark.
func (q *queueState) fullNowLocked() bool {
	c := q.config
	return c.HighWaterItems > 0 && q.live+q.later >= c.HighWaterItems ||
		c.HighWaterBytes > 0 && q.visible.bytes >= c.HighWaterBytes
}

func closeAll(chans *[]chan struct{}) {
	for _, ch := range *chans {
		close(ch)
	}
	*chans = nil
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
		ch := make(chan struct{})
		q.spaces = append(q.spaces, ch)
		q.mu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return context.Cause(ctx) // ch is dropped with the next wake
		case <-q.s.stop:
			return ErrClosed
		}
	}
}

// Full reports whether a queue is at or above one of its high-water marks. A
// queue that does not exist is not.
func (s *Store) Full(name string) bool {
	q := s.queue(name)
	if q == nil {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.fullNowLocked()
}

// WaitSpace returns nil when a queue is below its high-water marks. It is for
// those who would rather not begin work whose output has no room.
func (s *Store) WaitSpace(ctx context.Context, name string) error {
	q := s.queue(name)
	if q == nil {
		return s.err()
	}
	if err := q.waitSpace(ctx); err != nil {
		return fmt.Errorf("wait for space in %s: %w", name, err)
	}
	return nil
}
