package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// request is a transaction on its way through the committer.
type request struct {
	ops      []op
	result   Result
	done     chan error // capacity 1; answered exactly once per submit
	settles  bool
	grows    bool
	writes   int // bounds from op.cost
	bytes    int
	sequence uint64      // batches published before the marks were looked up
	full     *queueState // set with ErrQueueFull

	call func() error // runs alone between batches, instead of tx
}

// commitLoop is the committer. Each turn takes the requests that wait and
// commits them as one batch, together with the housekeeping of flagged queues.
// While a batch is on its way to the disk the next requests gather, so that
// batches grow with the load and a single caller never waits for company.
func (s *Store) commitLoop() {
	defer close(s.done)
	var held *request // taken, but did not fit into the batch
	for {
		var first *request
		if held != nil {
			first, held = held, nil
		} else {
			select {
			case first = <-s.requests:
			case <-s.kick:
			case <-s.stop:
				s.refuseWaiting()
				return
			}
		}
		if first != nil && first.call != nil {
			first.done <- first.call()
			continue
		}
		held = s.commitBatch(first)
	}
}

// refuseWaiting answers what has been submitted and not begun.
func (s *Store) refuseWaiting() {
	for {
		select {
		case r := <-s.requests:
			r.done <- ErrClosed
		default:
			return
		}
	}
}

// commitBatch plans, commits and publishes one batch that begins with first,
// which may be nil. It returns a request that it took and has not begun.
func (s *Store) commitBatch(first *request) (held *request) {
	if err := s.err(); err != nil && errors.Is(err, ErrFailed) {
		if first != nil {
			first.done <- err
		}
		return nil
	}
	p := s.plan
	p.reset(time.Now())
	if !s.crowdedOut {
		if err := p.housekeep(); err != nil {
			err = s.fail(err)
			if first != nil {
				first.done <- err
			}
			return nil
		}
	}
	s.crowdedOut = false
	writes, bytes := 0, 0
	if !p.roomy() {
		writes, bytes = p.used()
	}
	for r := first; r != nil; {
		if r.call != nil || writes+r.writes > s.groupWrites() || bytes+r.bytes > s.groupBytes() {
			held = r
			s.crowdedOut = r == first // its turn comes before more housekeeping
			break
		}
		if err := p.add(r); err != nil {
			r.done <- err
			if s.failure.Load() != nil {
				break
			}
		} else {
			writes, bytes = writes+r.writes, bytes+r.bytes
			p.requests = append(p.requests, r)
		}
		select {
		case r = <-s.requests:
		default:
			r = nil
		}
	}
	err := s.write(p)
	for _, r := range p.requests {
		r.done <- err
	}
	return held
}

// write makes a plan durable and then visible.
func (s *Store) write(p *plan) error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	if !p.durable() {
		p.publish()
		return nil
	}
	p.finish()
	if err := s.db.Commit(context.Background(), p.writes); err != nil {
		return s.fail(fmt.Errorf("write batch: %w", err))
	}
	s.written += int64(p.size)
	s.sequence.Add(1)
	p.publish()
	return nil
}

// alone runs fn in the committer, between two batches, so that nothing
// durable changes while it runs.
func (s *Store) alone(ctx context.Context, fn func() error) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.submit(ctx, &request{call: fn, done: make(chan error, 1)})
}

// space returns ErrDiskFull if a transaction must be refused for lack of free
// space. It asks the backend at most every 100 ms, or after 4 MiB.
func (s *Store) space(now time.Time, grows bool) error {
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
			ErrDiskFull, s.freeBytes>>20, floor>>20)
	}
	return nil
}
