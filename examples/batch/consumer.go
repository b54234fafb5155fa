package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

var errKilled = errors.New("consumer killed")

// consumer is one of those who compete for the lines. It keeps nothing from one
// transaction to the next, so it may be killed at any moment and replaced by
// another.
type consumer struct {
	*job
	name string

	mu  sync.Mutex
	end context.CancelCauseFunc // ends the present session; guarded by mu
}

// run starts a new session whenever one is killed.
func (c *consumer) run(ctx context.Context, s *queue.Store) error {
	for {
		life, end := context.WithCancelCause(ctx)
		c.mu.Lock()
		c.end = end
		c.mu.Unlock()
		err := c.session(life, s)
		killed := context.Cause(life) == errKilled
		end(nil)
		switch {
		case killed && (errors.Is(err, errKilled) || errors.Is(err, queue.ErrLeaseLost) || errors.Is(err, queue.ErrClosed)):
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
}

func (c *consumer) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		c.end(errKilled)
	}
}

// session receives lines and barriers until ctx ends. That also closes the
// session on the spot, whatever it is at, as the death of a process would: what
// it holds goes back to the queue, and a commit that comes later finds its
// leases lost and does nothing.
func (c *consumer) session(ctx context.Context, s *queue.Store) error {
	in, err := s.Subscribe(ctx, salesQueue, nil)
	if err != nil {
		return err
	}
	defer in.Close()
	stop := context.AfterFunc(ctx, func() {
		c.returned.Add(int64(in.Holding()))
		in.Close()
	})
	defer stop()

	today := ""
	for {
		ds, err := in.Receive(ctx, c.batch)
		if err != nil {
			return err
		}
		var tx queue.Tx
		if b := ds[0].Barrier; b != nil {
			tx.Put(tableTold, string(b.Body)+"/"+c.name, nil)
			tx.Ack(ds[0])
		} else {
			date := c.date(int(ds[0].Epoch)) // each day is one epoch
			if date != today {
				if err := c.checkOpen(ctx, s, int(ds[0].Epoch)); err != nil {
					return err
				}
				today = date
			}
			if err := c.addUp(ctx, &tx, date, ds); err != nil {
				return err
			}
		}
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
	}
}

// addUp settles lines of one day, and adds their sums to the totals.
// A batch never holds lines of two days, since a barrier lies between them.
func (c *consumer) addUp(ctx context.Context, tx *queue.Tx, date string, ds []*queue.Delivery) error {
	sums := newTotals()
	for _, d := range ds {
		sale, err := parseSale(string(d.Item.Body))
		if err == nil && sale.date != date {
			err = fmt.Errorf("sales line %q was delivered on %s", d.Item.Body, date)
		}
		if err != nil {
			tx.Bury(d, err)
			continue
		}
		sums.add(sale)
		tx.Ack(d)
	}
	sums.addTo(tx, date)
	if c.work == 0 {
		return nil
	}
	select {
	case <-time.After(c.work):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// checkOpen verifies what the barrier promises: when the first line of a day is
// delivered, the report of the day before is stored.
func (c *consumer) checkOpen(ctx context.Context, s *queue.Store, day int) error {
	if day == 0 {
		return nil
	}
	if _, err := s.Get(ctx, tableReports, c.date(day-1)); err != nil {
		return fmt.Errorf("%s has opened before %s was closed: %w", c.date(day), c.date(day-1), err)
	}
	return nil
}

// killConsumers ends the session of a random consumer again and again, about
// once in each interval.
func (j *job) killConsumers(ctx context.Context, consumers []*consumer) error {
	for {
		select {
		case <-time.After(rand.N(2 * j.kill)):
			consumers[rand.IntN(len(consumers))].kill()
			j.kills.Add(1)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
