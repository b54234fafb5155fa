package periodic

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// Options are the settings of Run. Nil and zero fields mean the defaults given.
type Options struct {
	// Logger receives what could not be enqueued. Default: nothing is logged.
	Logger *slog.Logger
}

// again is after how long what could not be enqueued is tried again.
const again = 10 * time.Second

// Run enqueues what is scheduled until ctx ends, and then returns nil. Any number of
// processes may run it on one store: each time fires once. What cannot be enqueued, as
// the disk is full, is logged and tried again; the time is not lost.
func Run(ctx context.Context, s *queue.Store, options *Options) error {
	log := slog.New(slog.DiscardHandler)
	if options != nil && options.Logger != nil {
		log = options.Logger
	}
	c, err := s.Subscribe(ctx, Queue, &queue.SubscribeOptions{Barriers: queue.NoBarriers})
	if err != nil {
		return orEnd(ctx, err)
	}
	defer c.Close()
	for {
		ds, err := c.Receive(ctx, 64)
		if err != nil {
			return orEnd(ctx, err)
		}
		for _, d := range ds {
			err := fire(ctx, s, d)
			if err == nil || errors.Is(err, queue.ErrLeaseLost) {
				continue
			}
			if ctx.Err() != nil || errors.Is(err, queue.ErrClosed) || errors.Is(err, queue.ErrFailed) {
				return orEnd(ctx, err)
			}
			log.Error("a scheduled item could not be enqueued, and will be tried again", "schedule", d.Item.Key, "err", err)
			if err := later(ctx, s, d, err); err != nil {
				return orEnd(ctx, err)
			}
		}
	}
}

// later has a tick come again. If not even that can be written now, it waits for as long
// and gives the tick back, which writes nothing.
func later(ctx context.Context, s *queue.Store, d *queue.Delivery, cause error) error {
	var tx queue.Tx
	tx.RetryAfter(d, again, cause)
	err := s.Commit(ctx, &tx)
	if err == nil || errors.Is(err, queue.ErrLeaseLost) {
		return nil
	}
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	tx.Reset()
	tx.Release(d)
	if err := s.Commit(ctx, &tx); err != nil && !errors.Is(err, queue.ErrLeaseLost) {
		return err
	}
	return nil
}

// orEnd returns nil if ctx has ended, and err otherwise.
func orEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// fire does what a tick is for.
func fire(ctx context.Context, s *queue.Store, d *queue.Delivery) error {
	name := d.Item.Key
	for {
		var tx queue.Tx
		tx.Ack(d)
		value, err := s.Get(ctx, Table, name)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		if err == nil {
			r, err := decode(value)
			if err != nil {
				return err
			}
			if string(d.Item.Body) == stamp(r.Next) { // or the tick is of an earlier state
				tx.Require(Table, name, value)
				if err := r.fire(&tx, time.Now()); err != nil {
					return err
				}
			}
		}
		if err := s.Commit(ctx, &tx); !errors.Is(err, queue.ErrConflict) {
			return err
		}
	}
}

// fire adds to a transaction what is to be done at a schedule's time, and moves the
// schedule on. The time is that of the store's clock, which never goes back: now, by the
// clock on the wall, may be earlier if that was set.
func (r *record) fire(tx *queue.Tx, now time.Time) error {
	due := r.Next
	if r.Missed == CatchUp || now.Sub(due) <= cmp.Or(r.Grace, time.Minute) {
		tx.Enqueue(r.Queue, r.item(due))
		r.Last = due
		r.Fired++
	}
	if r.Next = r.timing.after(due); !r.Next.IsZero() && !r.Next.After(now) {
		r.Next = r.timing.after(now)
	}
	if r.Next.IsZero() { // its expression names no more times
		tx.Delete(Table, r.Name)
		return nil
	}
	return r.put(tx)
}
