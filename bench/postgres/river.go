package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

type job struct {
	Body []byte `json:"body"`
}

func (job) Kind() string { return "job" }

type worker struct {
	river.WorkerDefaults[job]
	done *atomic.Int64
	step func(ctx context.Context, j *river.Job[job]) error
}

func (w *worker) Work(ctx context.Context, j *river.Job[job]) error {
	if w.step != nil {
		if err := w.step(ctx, j); err != nil {
			return err
		}
	}
	w.done.Add(1)
	return nil
}

// jobs returns n jobs of 200 bytes each as JSON.
func jobs(n int) []river.InsertManyParams {
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i].Args = job{make([]byte, 150)}
	}
	return params
}

// river returns how many jobs River works a second, which have been inserted
// before. With steps each inserts ten more and is completed in one transaction,
// which is what a step of a Weir queue is, but for the identity of the items.
func (b *bench) river(steps bool) (cost, error) {
	pool, err := pgxpool.New(b.ctx, b.server.DSN()+"&pool_max_conns=32")
	if err != nil {
		return cost{}, err
	}
	defer pool.Close()
	if _, err := pool.Exec(b.ctx, "DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public"); err != nil {
		return cost{}, err
	}
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return cost{}, err
	}
	if _, err := migrator.Migrate(b.ctx, rivermigrate.DirectionUp, nil); err != nil {
		return cost{}, err
	}
	var done atomic.Int64
	workers := river.NewWorkers()
	w := &worker{done: &done}
	river.AddWorker(workers, w)
	client, err := river.NewClient(driver, &river.Config{
		Queues:            map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1000}},
		Workers:           workers,
		Logger:            slog.New(slog.DiscardHandler),
		FetchCooldown:     time.Millisecond,
		FetchPollInterval: 10 * time.Millisecond,
	})
	if err != nil {
		return cost{}, err
	}
	if steps {
		w.step = func(ctx context.Context, j *river.Job[job]) error {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return err
			}
			defer tx.Rollback(context.WithoutCancel(ctx))
			if _, err := client.InsertManyFastTx(ctx, tx, jobs(10)); err != nil {
				return err
			}
			if _, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, j); err != nil {
				return err
			}
			return tx.Commit(ctx)
		}
	}
	for range int(length.Seconds()*30_000) / 5000 {
		if _, err := client.InsertManyFast(b.ctx, jobs(5000)); err != nil {
			return cost{}, err
		}
	}
	c, err := b.measure(func() (int64, error) {
		if err := client.Start(b.ctx); err != nil {
			return 0, err
		}
		time.Sleep(*length)
		return done.Load(), nil
	})
	if err != nil {
		return c, err
	}
	return c, client.StopAndCancel(b.ctx)
}
