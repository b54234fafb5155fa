package queue

import "fmt"

// A transaction is admitted to a plan if all of it can be done. Everything that
// may refuse it is in this file, and so is what may be planned ahead.

// add checks a transaction and plans it.
func (p *plan) add(r *request) error {
	r.conflict, r.repeated = nil, false
	if r.named {
		known, err := p.outcome(r.id, &r.result)
		if err != nil {
			return p.s.fail(err)
		}
		if known {
			r.repeated = true
			return nil
		}
		if r.since > 0 && p.s.outcomes.serial() > r.since+RememberedTxs {
			return ErrForgotten
		}
	}
	if err := p.s.space(p.now, r.grows); err != nil && (r.grows || !r.onlyReleases()) {
		return err
	}
	if err := p.check(r); err != nil {
		return err
	}
	r.result = Result{}
	p.result, p.mayCutShort = &r.result, r.sets
	for i := range r.ops {
		if err := p.apply(&r.ops[i], r); err != nil {
			return p.s.fail(err)
		}
	}
	if err := p.endBatches(); err != nil {
		return p.s.fail(err)
	}
	if r.named {
		p.remember(r.id, r.result)
	}
	return nil
}

// dropName takes a durable name that no session holds out of memory. From then on
// a session that wants it has to register it anew.
func (q *queueState) dropName(name string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.names[name]; !ok {
		return ErrNotFound
	}
	if q.heldLocked(name) {
		return ErrNameInUse
	}
	delete(q.names, name)
	return nil
}

// heldLocked reports whether a session holds a durable name.
func (q *queueState) heldLocked(name string) bool {
	for c := range q.consumers {
		if c.opts.Durable == name {
			return true
		}
	}
	return false
}

func (r *request) onlyReleases() bool {
	for i := range r.ops {
		if r.ops[i].kind != opRelease {
			return false
		}
	}
	return true
}

// check finds whatever would make the transaction fail, and claims the
// deliveries that it settles, or the name that it removes. If it returns an error
// it has changed nothing.
func (p *plan) check(r *request) error {
	var making map[string]bool     // queues that the transaction brings into being
	var configs map[string]*Config // settings that it has given so far
	var barriers map[string]int    // that it has placed so far
	deferred := 0                  // groups that it has deferred so far, of all queues
	for i := range r.ops {
		o := &r.ops[i]
		switch o.kind {
		case opAck, opRetry, opRelease, opSnooze, opDefer, opBury, opDeleteQueue, opDeleteTable:
			continue
		case opPut, opDelete, opAdd:
			if d := p.s.doomedTable(o.name); d != nil {
				r.sweeping = d
				return errSweeping
			}
			continue
		case opRequire:
			if err := p.checkRecord(r, o); err != nil {
				return err
			}
			continue
		}
		q := p.find(o.name)
		switch o.kind {
		case opDirectAck, opDirectRetry, opDirectBury:
			if err := p.checkDirect(q, o, barriers[o.name] > 0); err != nil {
				return err
			}
			continue
		case opPause, opRemove, opForget, opRetryDead, opDropDead, opRejoinGroup, opRejoin:
			if q == nil && !making[o.name] {
				return fmt.Errorf("%w %q", ErrUnknownQueue, o.name)
			}
			continue
		case opDropName:
			if err := q.dropName(o.key); err != nil {
				return err
			}
			continue // the transaction has no other op
		}
		if q == nil && !making[o.name] {
			if p.s.numbers()+len(p.created)+len(making) >= maxQueues {
				return invalidf("queue %q would be one more than %d", o.name, maxQueues)
			}
			making = with(making, o.name, true)
		}
		if o.kind == opCloseBatch && p.find(o.to) == nil && !making[o.to] {
			if p.s.numbers()+len(p.created)+len(making) >= maxQueues {
				return invalidf("queue %q would be one more than %d", o.to, maxQueues)
			}
			making = with(making, o.to, true)
		}
		switch o.kind {
		case opDeferGroup:
			known := 0
			if q != nil {
				known = len(q.deferring.groups)
				if _, ok := q.deferring.groups[o.key]; ok {
					continue
				}
			}
			if deferred++; known+deferred > MaxDeferredGroups {
				return fmt.Errorf("%w: %d of %s", ErrTooManyDeferred, MaxDeferredGroups, o.name)
			}
		case opConfigure:
			configs = with(configs, o.name, o.config)
		case opEnqueue:
			if q != nil && !r.settles && q.fullPlanned() {
				r.full = q
				return fmt.Errorf("%w: %s has reached its high-water mark", ErrQueueFull, q.name)
			}
		}
		if config := configIn(configs, o.name, q); o.kind == opBarrier || o.kind == opEnqueue && config.makesBarrier(o.item) {
			n := barriers[o.name] + 1
			barriers = with(barriers, o.name, n)
			if q != nil {
				n += int(q.counts.tail - q.counts.open)
			}
			if n > MaxBarriers {
				return fmt.Errorf("%w: %d in %s", ErrTooManyBarriers, MaxBarriers, o.name)
			}
		}
	}
	if r.alone {
		if err := p.checkDeletes(r); err != nil {
			return err
		}
	}
	if !r.settles {
		return nil
	}
	err := r.claim()
	if err != nil {
		p.keepDeleted(r)
	}
	return err
}

// keepDeleted takes back what checkDeletes has marked for a request that is refused.
func (p *plan) keepDeleted(r *request) {
	for i := range r.ops {
		if o := &r.ops[i]; o.kind == opDeleteQueue {
			p.find(o.name).gone.Store(false)
		}
	}
}

// with sets a value of a map, made if need be.
func with[V any](m map[string]V, key string, v V) map[string]V {
	if m == nil {
		m = make(map[string]V)
	}
	m[key] = v
	return m
}

// configIn returns the settings of a queue, nil for the default, where a transaction
// has given some queues new ones.
func configIn(given map[string]*Config, name string, q *queueState) *Config {
	if c := given[name]; c != nil || q == nil {
		return c
	}
	return q.config
}

// makesBarrier reports whether an item that is enqueued becomes a barrier.
func (c *Config) makesBarrier(it *Item) bool {
	return c != nil && c.BarrierOn != nil && c.BarrierOn.Matches(it)
}

// claim marks the deliveries that the request settles, so that their sessions'
// end leaves them alone. A queue is locked once for many: receivers queue up
// for that lock.
func (r *request) claim() error {
	claimed := 0
	err := error(nil)
	var locked *queueState
	for ; claimed < len(r.ops) && err == nil; claimed++ {
		o := &r.ops[claimed]
		if o.kind > opBury {
			continue
		}
		if q := o.d.c.q; q != locked {
			if locked != nil {
				locked.mu.Unlock()
			}
			locked = q
			q.mu.Lock()
		}
		err = o.d.claimLocked()
	}
	if locked != nil {
		locked.mu.Unlock()
	}
	if err == nil {
		return nil
	}
	for i := range claimed - 1 { // the last one failed
		if r.ops[i].kind <= opBury {
			r.ops[i].d.unclaim()
		}
	}
	return err
}

func (d *Delivery) claimLocked() error {
	switch d.state {
	case leaseHeld:
		d.state = leaseSettling
		return nil
	case leaseLost:
		return fmt.Errorf("%w: %v", ErrLeaseLost, d)
	}
	return fmt.Errorf("%w: %v", ErrSettled, d)
}

// unclaim undoes claim.
func (d *Delivery) unclaim() {
	q := d.c.q
	q.mu.Lock()
	defer q.mu.Unlock()
	d.state = leaseHeld
	if d.c.ended == nil {
		return
	}
	// The session ended in between: what would have gone back goes back now.
	if d.Barrier != nil {
		d.state = leaseLost
		d.c.letGoLocked(d)
		return
	}
	q.giveBackLocked(d, leaseLost)
	q.wakeLocked()
}

// String names a delivery in messages.
func (d *Delivery) String() string {
	if d.Barrier != nil {
		return "barrier " + d.Barrier.ID.String()
	}
	if d.direct {
		return "direct item of " + d.Queue
	}
	return fmt.Sprintf("item %d of %s", d.ID, d.Queue)
}

// foresees reports whether a request may be planned while the batch before is
// being written, if that batch consists of such requests too. Planning it reads
// nothing but what the committer owns and keeps up to date while it plans, what
// the flying plan still has (groups), and records on disk that such a batch
// does not touch. All of a request's changes must be foreseen, or it waits.
func (p *plan) foresees(r *request) bool {
	for i := range r.ops {
		switch o := &r.ops[i]; o.kind {
		case opAck:
			if o.d.Barrier != nil || o.d.ref.batched {
				return false
			}
		case opEnqueue:
			q := p.s.queue(o.name)
			if q == nil || q.config.BarrierOn != nil || o.item.Key != "" && o.item.Mode != Once || o.item.Batch != "" {
				return false
			}
		case opDirectAck:
			if o.item.Batch != "" {
				return false
			}
		case opPut, opDelete, opRequire:
		case opAdd:
			if !p.s.counters.has(o) {
				return false
			}
		case opDelayGroup:
			if p.s.queue(o.name) == nil {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// fullPlanned is fullNowLocked for the committer.
func (q *queueState) fullPlanned() bool {
	c := q.config
	if c.HighWaterItems == 0 && c.HighWaterBytes == 0 {
		return false
	}
	var live int64
	size := q.counts.bytes
	for epoch, e := range q.epochs {
		if epoch == deferredEpoch {
			size -= e.bytes
			continue
		}
		live += e.live
	}
	return c.HighWaterItems > 0 && live >= c.HighWaterItems || c.HighWaterBytes > 0 && size >= c.HighWaterBytes
}
