package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// takeAtOnce is how many values a stage takes with one call.
const takeAtOnce = 64

// work takes values and starts the stage on each, until taking ends; then it
// waits for those at work. A slot of the limiter is held while the stage runs,
// not while its result is committed, so that computing stages do not wait for
// the disk; the session's prefetch bounds both together.
func (s *stage) work(taking, working context.Context) error {
	c, err := s.p.store.Subscribe(taking, s.name, &queue.SubscribeOptions{
		Barriers: queue.NoBarriers,
		Prefetch: 2*s.maxWorkers + takeAtOnce,
	})
	if err != nil {
		if taking.Err() != nil {
			return nil
		}
		return err
	}
	defer c.Close()
	ctx, stop := context.WithCancelCause(taking)
	defer stop(nil)
	var group sync.WaitGroup
	defer group.Wait()
	for {
		n, err := s.limit.acquire(ctx, takeAtOnce)
		if err != nil {
			return failure(ctx, taking)
		}
		ds, err := s.take(ctx, c, n)
		if s.limit.release(n - len(ds)); err != nil {
			if ctx.Err() != nil {
				return failure(ctx, taking)
			}
			return err
		}
		for _, d := range ds {
			group.Go(func() {
				if err := s.handle(working, d); err != nil {
					stop(err)
				}
			})
		}
	}
}

// failure returns why a context ended, or nil if it is that taking has.
func failure(ctx, taking context.Context) error {
	if taking.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

// take waits until the queues that the stage feeds have room, and for values.
// Loops are exempt: they live on disk, and a stage that waited for itself would
// wait for ever.
func (s *stage) take(ctx context.Context, c *queue.Consumer, n int) ([]*queue.Delivery, error) {
	for _, f := range s.feeds {
		if s.p.loops(s.name, f) {
			continue
		}
		if err := s.p.store.WaitSpace(ctx, f); err != nil {
			return nil, err
		}
	}
	return c.Receive(ctx, n)
}

// handle runs the stage on one value and commits what comes of it. It returns
// an error only if the pipeline cannot go on.
func (s *stage) handle(working context.Context, d *queue.Delivery) error {
	out := &Out{
		feeds: s.feeds, attempt: d.Attempt, generation: int(d.Epoch), id: d.ID,
		last: s.lastAttempt(d.Attempt),
	}
	if out.feeds == nil {
		out.feeds = []string{}
	}
	err := protect(func() error { return s.call(working, d.Item.Body, out) })
	s.limit.release(1)
	if err == nil {
		err = out.err
	}
	committed, failed := s.commit(working, d, s.settle(working, d, out, err))
	if err != nil || !committed {
		return failed
	}
	return protect(func() error {
		for _, fn := range out.after {
			fn()
		}
		return nil
	})
}

func (s *stage) lastAttempt(attempt int) bool {
	switch n := s.config.MaxAttempts; {
	case n < 0:
		return false
	case n == 0:
		return attempt >= queue.DefaultMaxAttempts
	default:
		return attempt >= n
	}
}

// settle builds the transaction for what a stage has returned.
func (s *stage) settle(working context.Context, d *queue.Delivery, out *Out, err error) *queue.Tx {
	var permanent *permanentError
	var retry *retryError
	switch {
	case err == nil:
		tx := out.Tx()
		for _, e := range out.emitted {
			tx.Enqueue(e.queue, e.item)
		}
		tx.Ack(d)
		return tx
	case errors.Is(err, ErrAgain):
		tx := out.Tx()
		tx.Release(d)
		return tx
	case working.Err() != nil:
		var tx queue.Tx
		tx.Release(d)
		return &tx
	}
	s.p.log.Debug("attempt failed", "stage", s.name, "id", d.ID, "attempt", d.Attempt, "err", err)
	tx := out.OnFailure()
	switch {
	case errors.As(err, &permanent):
		tx.Bury(d, err)
	case errors.As(err, &retry):
		tx.RetryAfter(d, retry.after, err)
	default:
		tx.Retry(d, err)
	}
	return tx
}

// fullPause is how long a stage waits before it tries again to commit on a full
// disk.
const fullPause = time.Second

// commit commits the transaction that settles d, or another that does, whatever
// it takes. It reports whether it was tx that was committed.
func (s *stage) commit(working context.Context, d *queue.Delivery, tx *queue.Tx) (committed bool, err error) {
	ctx := context.WithoutCancel(working)
	wanted := tx
	for {
		err := s.p.store.Commit(ctx, tx)
		switch {
		case err == nil:
			return tx == wanted, nil
		case errors.Is(err, queue.ErrLeaseLost):
			return false, nil // somebody else has the item by now
		case errors.Is(err, queue.ErrTooLarge), errors.Is(err, queue.ErrInvalid):
			// What the stage wants can never be stored.
			s.p.log.Warn("item buried", "stage", s.name, "id", d.ID, "err", err)
			tx = new(queue.Tx)
			tx.Bury(d, err)
		case errors.Is(err, queue.ErrDiskFull):
			s.p.log.Error("waiting for space on the disk", "stage", s.name, "err", err)
			select {
			case <-time.After(fullPause):
			case <-working.Done():
				tx = new(queue.Tx)
				tx.Release(d)
			}
		default:
			return false, fmt.Errorf("commit for %s: %w", s.name, err)
		}
	}
}
