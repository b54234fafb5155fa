package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// session is a consumer of the leader.
type session struct {
	s     *leader
	q     *queueState
	opts  SubscribeOptions
	view  *view        // nil without a filter
	owner *sched.Owner // nil without Affinity

	// Guarded by q.mu.
	held    *Delivery // first of a list
	holding int       // items in it, without barriers
	ended   error     // why the session has ended, or nil
	lease   *time.Timer
	leased  time.Time    // until when
	barrier barrierPhase // of the session, for q.released
	tries   int          // deliveries of that barrier
}

// barrierPhase is how far the released barrier has come with a session.
type barrierPhase uint8

const (
	barrierNone barrierPhase = iota
	barrierPending
	barrierDelivered
	barrierAcked
)

func (s *leader) Subscribe(ctx context.Context, queue string, options *SubscribeOptions) (Session, error) {
	c, err := s.subscribe(ctx, queue, options)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", queue, err)
	}
	return c, nil
}

func (s *leader) subscribe(ctx context.Context, queue string, options *SubscribeOptions) (*session, error) {
	c := &session{s: s}
	if options != nil {
		c.opts = *options
	}
	if err := validName("queue", queue); err != nil {
		return nil, err
	}
	switch {
	case c.opts.Prefetch < 0:
		return nil, invalidf("Prefetch %d is negative", c.opts.Prefetch)
	case c.opts.Lease < 0:
		return nil, invalidf("Lease %v is negative", c.opts.Lease)
	case c.opts.Affinity < 0:
		return nil, invalidf("Affinity %v is negative", c.opts.Affinity)
	case c.opts.Barriers > NoBarriers:
		return nil, invalidf("Barriers %d", c.opts.Barriers)
	case c.opts.Durable != "" && c.opts.Barriers == NoBarriers:
		return nil, invalidf("durable subscription %q without barriers", c.opts.Durable)
	}
	if c.opts.Prefetch == 0 {
		c.opts.Prefetch = defaultPrefetch
	}
	if f := c.opts.Filter; f != nil {
		if err := f.validate(); err != nil {
			return nil, err
		}
	}
	if c.opts.Durable != "" {
		if err := validName("durable", c.opts.Durable); err != nil {
			return nil, err
		}
	}
	q, err := s.register(ctx, queue, c.opts.Durable)
	if err != nil {
		return nil, err
	}
	defer q.mu.Unlock()
	if err := s.err(); err != nil {
		return nil, err
	}
	if q.gone.Load() {
		return nil, fmt.Errorf("%w: it is being deleted", ErrUnknownQueue)
	}
	if c.opts.Durable != "" && q.heldLocked(c.opts.Durable) {
		return nil, fmt.Errorf("%w: %q", ErrNameInUse, c.opts.Durable)
	}
	c.q = q
	q.consumers[c] = true
	if f := c.opts.Filter; f != nil {
		c.view = q.viewLocked(*f)
	}
	if c.opts.Affinity > 0 {
		c.owner = sched.NewOwner(int64(c.opts.Affinity))
	}
	if c.opts.Lease > 0 {
		c.leased = time.Now().Add(c.opts.Lease)
		c.lease = time.AfterFunc(c.opts.Lease, c.expire)
	}
	q.arriveLocked(c)
	return c, nil
}

// register makes a queue and a durable name of it, if they are new, in one
// transaction. It returns the queue locked.
func (s *leader) register(ctx context.Context, queue, durable string) (*queueState, error) {
	for {
		if durable != "" || s.queue(queue) == nil {
			r := &request{ops: []op{{kind: opAddName, name: queue, key: durable}}, done: make(chan error, 1)}
			if err := s.prepare(ctx, r); err != nil {
				return nil, err
			}
			if err := s.submit(ctx, r); err != nil {
				return nil, err
			}
		}
		q := s.queue(queue)
		q.mu.Lock()
		if _, ok := q.names[durable]; ok || durable == "" {
			return q, nil
		}
		q.mu.Unlock() // somebody has unsubscribed the name in between
	}
}

func (c *session) Receive(ctx context.Context, max int) ([]*Delivery, error) {
	ds, err := c.receive(ctx, max)
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", c.q.name, err)
	}
	return ds, nil
}

func (c *session) receive(ctx context.Context, max int) ([]*Delivery, error) {
	if max <= 0 {
		return nil, invalidf("max %d", max)
	}
	w := &waiter{c: c, wake: make(chan struct{}, 1)}
	for {
		if ctx.Err() != nil {
			c.q.leaveLine(w) // it may have been woken
			return nil, context.Cause(ctx)
		}
		ds, more, err := c.tryReceive(max, w)
		if err != nil {
			return nil, err
		}
		for more && len(ds) > 0 && len(ds) < max {
			var next []*Delivery
			if next, more, err = c.tryReceive(max-len(ds), nil); err != nil || next == nil {
				break // what there is is held; the next call meets the error
			}
			ds = append(ds, next...)
		}
		if ds != nil {
			return ds, nil
		}
		if more {
			continue // others have had a chance of the lock
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			c.q.leaveLine(w)
			return nil, context.Cause(ctx)
		case <-c.s.stop:
			return nil, ErrClosed
		}
	}
}

// leaveLine takes a waiter out of the line and hands on a wake-up that came
// too late for it.
func (q *queueState) leaveLine(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.c.ended == nil {
		w.c.extendLocked()
	}
	for i, x := range q.waiters {
		if x == w {
			q.waiters = append(q.waiters[:i], q.waiters[i+1:]...)
			return
		}
	}
	q.wakeLocked()
}

// tryReceive takes what there is, or puts w in line if there is nothing and w is not
// nil. If it returns more there may be more to take, and w is not in line.
func (c *session) tryReceive(max int, w *waiter) (ds []*Delivery, more bool, err error) {
	q := c.q
	q.mu.Lock()
	if err := c.s.err(); err != nil {
		q.mu.Unlock()
		return nil, false, err
	}
	if c.ended != nil {
		q.mu.Unlock()
		return nil, false, c.ended
	}
	c.extendLocked()
	if c.barrier == barrierPending && w != nil {
		d := q.deliverBarrierLocked(c)
		q.mu.Unlock()
		return []*Delivery{d}, false, nil
	}
	room := min(max, c.opts.Prefetch-c.holding)
	ds, more, err = q.takeLocked(c, room)
	if err != nil {
		q.mu.Unlock()
		return nil, false, c.s.fail(err)
	}
	if len(ds) == 0 && more {
		q.mu.Unlock()
		return nil, true, nil
	}
	// There may be more, which this session has no room for, or has not looked for.
	woken := (more || len(ds) >= room) && q.wakeLocked()
	if len(ds) == 0 && w != nil {
		q.waiters = append(q.waiters, w)
	}
	var noted noteTicket
	if len(ds) > 0 {
		noted = q.noteTakenLocked(ds)
	}
	q.armLocked(woken)
	q.mu.Unlock()
	if err := c.s.notes.wait(noted); err != nil {
		return nil, false, c.s.fail(err)
	}
	// Decoding needs no lock: what it reads does not change.
	for _, d := range ds {
		item, err := decodeItem(d.at(), d.ref.value)
		if err != nil {
			return nil, false, c.s.fail(err)
		}
		d.Item = item.Item
		d.Queue = q.name
		d.Attempt = int(d.ref.attempts) + 1
		d.Deaths = int(d.ref.deaths)
		d.Enqueued = time.UnixMilli(item.enqueued)
	}
	return ds, more, nil
}

func (c *session) Heartbeat(ctx context.Context) error {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	if c.ended != nil {
		return fmt.Errorf("heartbeat on %s: %w", c.q.name, c.ended)
	}
	c.extendLocked()
	return nil
}

func (c *session) extendLocked() {
	if c.lease != nil {
		c.leased = time.Now().Add(c.opts.Lease)
		c.lease.Reset(c.opts.Lease)
	}
}

func (c *session) Holding() int {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	return c.holding
}

func (c *session) Close() error {
	c.q.mu.Lock()
	if c.ended == nil {
		c.endLocked(ErrClosed)
	}
	c.q.mu.Unlock()
	if err := c.s.notes.flush(); err != nil {
		c.s.log.Warn("attempts of items given back will be counted if the process dies", "queue", c.q.name, "err", err)
	}
	return nil
}

// endLocked ends the session and gives back what it holds.
func (c *session) endLocked(cause error) {
	q := c.q
	if c.ended != nil {
		return
	}
	c.ended = cause
	if c.lease != nil {
		c.lease.Stop()
	}
	var back []*Delivery
	for d := c.held; d != nil; d = d.next {
		if d.state == leaseHeld {
			back = append(back, d)
		}
	}
	q.noteReleasedLocked(back)
	for _, d := range back {
		if d.Barrier != nil {
			d.state = leaseLost
			c.letGoLocked(d)
			continue
		}
		q.giveBackLocked(d, leaseLost)
	}
	q.leaveLocked(c)
}

// expire ends a session whose lease ran out. What comes of its items is up to the
// committer; see casualty.
func (c *session) expire() {
	q := c.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.ended != nil || c.s.err() != nil || time.Now().Before(c.leased) {
		return // the last: it was extended while this waited for the lock
	}
	for _, w := range q.waiters {
		if w.c == c {
			c.extendLocked() // it is waiting in Receive
			return
		}
	}
	c.ended = fmt.Errorf("%w: no heartbeat for %v", ErrLeaseLost, c.opts.Lease)
	c.s.log.Warn("lease lost", "queue", q.name, "items", c.holding, "lease", c.opts.Lease)
	var lost []casualty
	for d := c.held; d != nil; {
		next := d.next
		if d.state == leaseHeld {
			d.state = leaseLost
			if d.Barrier == nil {
				h := d.ref.history()
				lost = append(lost, casualty{at: d.at(), d: d, config: q.config, deaths: h.deaths, blamed: h.blamed})
			} else {
				c.letGoLocked(d)
			}
		}
		d = next
	}
	judge(lost)
	q.lost = append(q.lost, lost...)
	q.leaveLocked(c)
	q.s.flag(q)
}

// leaveLocked takes an ended session out of the queue's books.
func (q *queueState) leaveLocked(c *session) {
	delete(q.consumers, c)
	if c.view != nil {
		q.dropViewLocked(c.view)
	}
	q.sched.Leave(c.owner)
	kept := q.waiters[:0]
	for _, w := range q.waiters {
		if w.c == c {
			w.wake <- struct{}{}
			continue
		}
		kept = append(kept, w)
	}
	clear(q.waiters[len(kept):])
	q.waiters = kept
	q.departLocked(c)
	q.changed.fire()
	q.armLocked(q.wakeLocked())
}

func (c *session) holdLocked(d *Delivery) {
	d.next = c.held
	if c.held != nil {
		c.held.prev = d
	}
	c.held = d
	if d.Barrier == nil {
		c.holding++
	}
}

func (c *session) letGoLocked(d *Delivery) {
	if d.prev != nil {
		d.prev.next = d.next
	} else if c.held == d {
		c.held = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	}
	d.prev, d.next = nil, nil
	if d.Barrier == nil {
		if c.holding--; c.holding == c.opts.Prefetch-1 {
			c.q.wakeLocked()
		}
	}
}

func (c *session) fullLocked() bool { return c.holding >= c.opts.Prefetch }

func (c *session) pendingBarrier() bool { return c.barrier == barrierPending }
