package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue/driver"
)

// request is a transaction on its way through the committer.
type request struct {
	ops      []op
	id       hash128 // of Tx.ID,
	since    uint64  // and Tx.Since,
	named    bool    // if it has one,
	repeated bool    // and its transaction has happened already, with this
	result   Result
	done     chan error // capacity 1; answered exactly once per submit
	settles  bool
	grows    bool
	size     Size        // a bound, but for what plan.depends adds
	depends  bool        // whether that may be anything
	largest  int         // the op that takes most,
	most     int         // and how many bytes
	sequence uint64      // batches published before the marks were looked up
	full     *queueState // set with ErrQueueFull
	sweeping *doom       // set with errSweeping
	conflict error       // ErrConflict, to be answered when the plan is published
	alone    bool        // it deletes something, and has a batch of its own
	sets     bool        // it has a SetGroup

	abandoned bool // its caller waits no more; the caller's own

	call func() error // runs alone between batches, instead of tx
}

// commitLoop is the committer. Each turn takes the requests that wait and
// plans them as one batch, together with the housekeeping of flagged queues.
// While a batch is on its way to the disk the next one is planned, as far as
// that can be done without what the batch is about to change; see planAhead.
// So batches grow with the load, and a single caller never waits for company.
func (s *leader) commitLoop() {
	defer close(s.done)
	go s.writeLoop()
	defer func() {
		close(s.launched)
		<-s.landed // closed by writeLoop
	}()
	var held *request // taken, and not begun
	for {
		switch {
		case s.flying != nil:
			held = s.whileFlying(held)
		case s.plan.number > 0:
			held = s.gather(s.fill(held))
			s.launch()
		case held != nil && held.call != nil:
			held.done <- held.call()
			held = nil
		default:
			if held == nil {
				select {
				case held = <-s.requests:
				case <-s.kick:
				case <-s.stop:
					s.refuseWaiting()
					return
				}
				if held != nil && held.call != nil {
					continue
				}
			}
			s.begin()
		}
	}
}

// refuseWaiting answers what has been submitted and not begun.
func (s *leader) refuseWaiting() {
	for {
		select {
		case r := <-s.requests:
			r.done <- ErrClosed
		default:
			return
		}
	}
}

// begin begins a plan with the housekeeping that is due.
func (s *leader) begin() {
	s.plan.reset()
	if s.crowdedOut || s.failure.Load() != nil {
		s.crowdedOut = false
		return
	}
	if err := s.plan.housekeep(); err != nil {
		s.fail(err)
	}
}

// fill adds the requests that wait to the plan, first among them, which may be
// nil. It returns one that it took and that must wait for the next batch.
func (s *leader) fill(first *request) (held *request) {
	for r := first; ; r = nil {
		if r == nil {
			select {
			case r = <-s.requests:
			default:
				return nil
			}
		}
		if !s.admit(r) {
			return r
		}
	}
}

// delay is for how long Options.CommitDelay keeps the plan from leaving.
func (s *leader) delay() time.Duration {
	if len(s.plan.requests) == 0 || len(s.plan.requests)+s.passengers <= 2 {
		return 0
	}
	wait := time.Until(s.departed.Add(s.opts.CommitDelay))
	if wait <= 0 || !s.mayGrow() {
		return 0
	}
	return wait
}

// mayGrow reports whether it is worth while to wait for more transactions: not if this
// plan settles something, and nobody holds anything else. Consumers that wait for it will
// not send more before it has left.
func (s *leader) mayGrow() bool {
	if !slices.ContainsFunc(s.plan.requests, func(r *request) bool { return r.settles }) {
		return true // whoever sends these may send any number
	}
	return slices.ContainsFunc(s.all(), (*queueState).holds)
}

// holds reports whether a consumer holds a delivery that it does not settle yet.
func (q *queueState) holds() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range q.inflight {
		if d.state == leaseHeld {
			return true
		}
	}
	return false
}

// gather adds requests to the plan until it leaves. It returns one that must
// wait for the next batch.
func (s *leader) gather(held *request) *request {
	wait := s.delay()
	if held != nil || wait <= 0 {
		return held
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case r := <-s.requests:
			if !s.admit(r) {
				return r
			}
			if !s.mayGrow() {
				return nil
			}
		case <-timer.C:
			return nil
		case <-s.stop:
			return nil
		}
	}
}

// admit adds a request to the plan, or answers it if it cannot be. It reports
// false if the request must wait for the next batch.
func (s *leader) admit(r *request) bool {
	if r.call != nil {
		return false
	}
	if err := s.failure.Load(); err != nil {
		r.done <- *err
		return true
	}
	p := s.plan
	if p.sealed || r.alone && (len(p.requests) > 0 || p.durable()) || r.sets && p.waits {
		s.crowdedOut = len(p.requests) == 0
		return false
	}
	plain := p.foresees(r)
	if s.flying != nil && !plain {
		return false
	}
	size := r.size
	if !plain && r.depends {
		more, err := p.depends(r)
		if err != nil {
			r.done <- s.fail(err)
			return true
		}
		size = size.plus(more)
	}
	used := p.used()
	switch limit := s.MaxTx(); {
	case !size.Fits(limit):
		r.done <- s.tooLarge(r, size)
		return true
	case !used.plus(size).Fits(limit):
		s.crowdedOut = len(p.requests) == 0 // its turn comes before more housekeeping
		return false
	}
	switch err := p.add(r); {
	case errors.Is(err, ErrConflict):
		// What it conflicts with may not be visible yet: who is told now would read
		// again what it has read, and be refused again.
		r.conflict = err
	case err != nil:
		r.done <- err
		return true
	}
	if grown := p.used(); !grown.Fits(used.plus(size)) {
		s.log.Error("a transaction takes more of a batch than its bound", "bound", size.String(), "before", used.String(), "after", grown.String())
	}
	p.requests = append(p.requests, r)
	p.plain = p.plain && plain
	p.sealed = r.alone
	return true
}

// launch sends the plan on its way to the disk, or publishes it at once if
// there is nothing to write.
func (s *leader) launch() {
	p := s.plan
	if s.failure.Load() != nil || !p.durable() {
		p.show()
		s.answer(p)
		return
	}
	s.takeOff()
}

// flight is the way of a batch from the writer to its publication. Somewhere on it what
// the batch has written can be read, and is not yet counted in memory.
type flight struct{ over chan struct{} }

// settle waits until all that could be read when it was called is counted.
func (s *leader) settle(ctx context.Context) error {
	f := s.flight.Load()
	if f == nil {
		return nil
	}
	select {
	case <-f.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeOff hands the plan to the writer.
func (s *leader) takeOff() {
	p := s.plan
	p.finish()
	s.flight.Store(&flight{make(chan struct{})})
	s.departed, s.passengers = time.Now(), len(p.requests)
	s.flying, s.plan = p, s.spare
	s.launched <- p
}

// writeLoop is a goroutine that makes plans durable.
func (s *leader) writeLoop() {
	defer close(s.landed)
	for p := range s.launched {
		s.landed <- s.db.Commit(context.Background(), p.writes)
	}
}

// whileFlying plans ahead, if it may, until the batch that is being written has
// landed. It returns a request that must wait until then.
func (s *leader) whileFlying(held *request) *request {
	for flying := s.flying; flying == s.flying; {
		var requests <-chan *request // nil if nothing may be planned
		if held == nil && s.mayPlanAhead() {
			requests = s.requests
		}
		select {
		case err := <-s.landed:
			s.land(err, held)
		case r := <-requests:
			if s.plan.number == 0 {
				s.plan.reset()
			}
			if !s.admit(r) {
				held = r
			}
			if len(s.plan.requests) == 0 {
				s.plan.number = 0 // housekeeping may still come first
			}
		}
	}
	return held
}

// mayPlanAhead reports whether the next batch may be planned while one is being
// written, as far as these two are concerned. Housekeeping comes first in a
// batch and is never planned ahead.
func (s *leader) mayPlanAhead() bool {
	return s.flying.plain && (s.plan.number > 0 || !s.crowdedOut && !s.housekeepingDue())
}

// land ends the flight of a batch. If the next one has been planned it leaves
// first, and is written while the effects of this one are published; unless it
// has yet to wait, or to take on the request that is held.
func (s *leader) land(err error, held *request) {
	p, over := s.flying, s.flight.Load()
	s.flying, s.spare = nil, p
	defer func() {
		s.flight.CompareAndSwap(over, nil)
		close(over.over)
	}()
	if errors.Is(err, driver.ErrTooLarge) {
		s.refused(p, s.plan, err)
		return
	}
	if err != nil {
		s.fail(fmt.Errorf("write batch: %w", err))
	} else {
		s.refusals = 0
		s.written += int64(p.size)
		s.sequence.Store(p.number)
		if s.plan.number > 0 && held == nil && s.delay() <= 0 && s.failure.Load() == nil && s.plan.durable() {
			s.takeOff()
		}
	}
	s.answer(p)
}

// answer publishes a plan whose writes are durable, unless the store has failed,
// and answers its callers.
func (s *leader) answer(p *plan) {
	err := error(nil)
	if failed := s.failure.Load(); failed != nil {
		err = *failed
	} else {
		p.publish()
	}
	for _, r := range p.requests {
		if r.conflict != nil && err == nil {
			r.done <- r.conflict
			continue
		}
		r.done <- err
	}
	p.number = 0
}

// writeNow makes a plan durable and visible while there is no committer yet.
func (s *leader) writeNow(p *plan) error {
	if p.durable() {
		p.finish()
		if err := s.db.Commit(context.Background(), p.writes); err != nil {
			return s.fail(fmt.Errorf("write batch: %w", err))
		}
		s.sequence.Store(p.number)
	} else {
		p.show()
	}
	p.publish()
	p.number = 0
	return nil
}

// alone runs fn in the committer, between two batches, so that nothing
// durable changes while it runs.
func (s *leader) alone(ctx context.Context, fn func() error) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.submit(ctx, &request{call: fn, done: make(chan error, 1)})
}

// space returns ErrDiskFull if a transaction must be refused for lack of free
// space. It asks the backend at most every 100 ms, or after 4 MiB.
func (s *leader) space(now time.Time, grows bool) error {
	if s.opts.MinFree < 0 {
		return nil
	}
	if now.Sub(s.freeChecked) > 100*time.Millisecond || s.written > 4<<20 || s.freeChecked.IsZero() {
		free, err := s.db.Free()
		if err != nil {
			return fmt.Errorf("free space: %w", err)
		}
		s.freeBytes, s.freeChecked, s.written = free, now, 0
	}
	floor := s.opts.MinFree
	if !grows {
		floor /= 4
	}
	if s.freeBytes < floor {
		return fmt.Errorf("%w: %d MiB free, the floor is %d MiB (Options.MinFree); free some space, or let consumers drain the queues",
			ErrDiskFull, max(s.freeBytes, 0)>>20, floor>>20)
	}
	return nil
}
