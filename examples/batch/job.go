package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

const (
	salesQueue = "sales"
	publisher  = "publisher" // the durable name that barriers wait for
)

// job is the nightly batch: what the files hold, and how it is worked on. The
// first may not change once the job has begun; the second may with each run.
type job struct {
	sales

	consumers int
	batch     int           // lines that a consumer takes at once
	work      time.Duration // that a consumer pretends to work on them
	kill      time.Duration // between two kills of consumers on average; 0 means none
	ahead     int64         // high-water mark: lines in the queue before the publisher waits
	out       io.Writer     // for progress

	// What has happened in this run.
	kills    atomic.Int64 // of consumers
	returned atomic.Int64 // lines that killed consumers held
}

// errDone is the cause with which a job ends that has reached its end.
var errDone = errors.New("job done")

// run works until the last day is over, and takes up a job that an earlier run
// has left. It returns the cause if ctx ends before.
func (j *job) run(ctx context.Context, s *queue.Store) error {
	if err := j.begin(ctx, s); err != nil {
		return err
	}
	switch _, err := s.Get(ctx, tableJob, "end"); {
	case err == nil:
		return nil
	case !errors.Is(err, queue.ErrNotFound):
		return err
	}
	// The name must be known before the first barrier can be released.
	barriers, err := s.Subscribe(ctx, salesQueue, &queue.SubscribeOptions{
		Durable: publisher, Barriers: queue.OnlyBarriers,
	})
	if err != nil {
		return err
	}
	defer barriers.Close()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	start := func(part func() error) {
		wg.Go(func() {
			if err := part(); err != nil {
				cancel(err)
			}
		})
	}
	consumers := make([]*consumer, j.consumers)
	for i := range consumers {
		c := &consumer{job: j, name: fmt.Sprintf("consumer-%02d", i+1)}
		consumers[i] = c
		start(func() error { return c.run(ctx, s) })
	}
	start(func() error { return j.publish(ctx, s) })
	start(func() error { return j.closeDays(ctx, s, barriers) })
	start(func() error { return j.printProgress(ctx, s) })
	if j.kill > 0 {
		start(func() error { return j.killConsumers(ctx, consumers) })
	}
	wg.Wait()
	if err := context.Cause(ctx); err != errDone {
		return err
	}
	return nil
}

// begin stores the job's settings, or compares them with those stored.
func (j *job) begin(ctx context.Context, s *queue.Store) error {
	var stored sales
	err := getJSON(ctx, s, tableJob, "settings", &stored)
	if err == nil {
		if stored.dir = j.dir; stored != j.sales {
			return fmt.Errorf("the folder holds a job of %d stores, %d lines, %d days and seed %d: give the same numbers, or another folder",
				stored.Stores, stored.Lines, stored.Days, stored.Seed)
		}
	} else if !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	var tx queue.Tx
	putJSON(&tx, tableJob, "settings", j.sales)
	tx.Configure(salesQueue, queue.Config{
		// A delivery is counted when the program is killed in the middle of
		// it. Here that says nothing about the line, so it is no reason to
		// give one up.
		MaxAttempts:    -1,
		HighWaterItems: j.ahead,
	})
	return s.Commit(ctx, &tx)
}

// printProgress prints a line each second.
func (j *job) printProgress(ctx context.Context, s *queue.Store) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		q, err := s.QueueStats(ctx, salesQueue)
		if err != nil {
			return err
		}
		day := int(q.Epoch)
		if day >= j.Days {
			continue
		}
		perDay := int64(j.Stores) * int64(j.Lines)
		fmt.Fprintf(j.out, "%s: %d of %d lines added up, %d of later days waiting, %d consumers killed with %d lines in hand\n",
			j.date(day), q.Totals.Acked-int64(day)*perDay, perDay, q.Later, j.kills.Load(), j.returned.Load())
	}
}
