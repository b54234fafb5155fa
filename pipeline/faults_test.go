package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// run runs a pipeline until it ends, or until no more than an hour has passed.
func run(t *testing.T, p *pipeline.Pipeline) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("the pipeline does not end")
	}
}

func generations(t *testing.T, store *queue.Store) []pipeline.Generation {
	t.Helper()
	gens, err := pipeline.Generations(t.Context(), store, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return gens
}

func TestSeedsBeforeARunThatKeepsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		edge := pipeline.NewEdge[int]("values")
		p := pipeline.New(store, &pipeline.Options{KeepRunning: true})
		pipeline.Handle(p, edge, nothing, nil)
		if err := pipeline.Seed(ctx, p, edge, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(time.Minute)
		if gens := generations(t, store); len(gens) != 1 || gens[0].Stages[0].Acked != 3 {
			t.Errorf("generations %+v, want one with the three seeds", gens)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Each batch of seeds fills the queue, and the one before must have passed, which
// takes the coordinator, before the next has room.
func TestSeedWaitsForSpaceThatTheCoordinatorMakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		edge := pipeline.NewEdge[int]("values")
		edge.Config.HighWaterItems = 2
		p := pipeline.New(store, &pipeline.Options{KeepRunning: true})
		var done atomic.Int64
		pipeline.Handle(p, edge, func(ctx context.Context, _ int, _ *pipeline.Out) error {
			time.Sleep(time.Second)
			done.Add(1)
			return nil
		}, nil)
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		for i := range 10 {
			if err := pipeline.Seed(ctx, p, edge, 2*i, 2*i+1); err != nil {
				t.Fatalf("batch %d: %v", i, err)
			}
		}
		time.Sleep(time.Minute)
		if n := done.Load(); n != 20 {
			t.Errorf("%d of 20 seeds are done", n)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// tight is a backend whose free space can be set.
type tight struct {
	driver.Store
	free atomic.Int64
}

func (d *tight) Free() (int64, error) { return d.free.Load(), nil }

// openTight opens a store on a backend that has enough space.
func openTight(t *testing.T) (*tight, *queue.Store) {
	t.Helper()
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	d := &tight{Store: db}
	d.free.Store(math.MaxInt64)
	store, err := queue.New(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d, store
}

// The disk is full when a generation ends, and again when the next run begins.
// Everybody waits, and what can be settled is.
func TestAFullDiskEndsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const enough, little = math.MaxInt64, 400 << 20
		d, store := openTight(t)
		defer check(t, store)
		edge := pipeline.NewEdge[int]("values")
		p := pipeline.New(store, nil)
		pipeline.Handle(p, edge, func(context.Context, int, *pipeline.Out) error {
			d.free.Store(little)
			time.AfterFunc(5*time.Second, func() { d.free.Store(enough) })
			time.Sleep(time.Second)
			return nil
		}, nil)
		for want := range 2 {
			if err := pipeline.Seed(t.Context(), p, edge, want); err != nil {
				t.Fatal(err)
			}
			if want == 1 {
				d.free.Store(little)
				time.AfterFunc(5*time.Second, func() { d.free.Store(enough) })
				time.Sleep(time.Second)
			}
			run(t, p)
			if gens := generations(t, store); len(gens) != want+1 {
				t.Errorf("%d generations after run %d", len(gens), want)
			}
		}
	})
}

// A disk on which nothing can even be settled keeps no run from stopping, and is told of
// once a minute, not by each worker. What is held goes back with the session.
func TestAFullDiskKeepsNoRunFromStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const enough, nothing = math.MaxInt64, 1 << 20
		d, store := openTight(t)
		defer check(t, store)
		var lines bytes.Buffer
		edge := pipeline.NewEdge[int]("values")
		p := pipeline.New(store, &pipeline.Options{Logger: slog.New(slog.NewTextHandler(&lines, nil))})
		pipeline.Handle(p, edge, func(context.Context, int, *pipeline.Out) error {
			d.free.Store(nothing)
			time.Sleep(time.Second) // the store looks ten times a second
			return nil
		}, &pipeline.StageOptions{MinWorkers: 8, Workers: 8})
		if err := pipeline.Seed(t.Context(), p, edge, 1, 2, 3, 4, 5, 6, 7, 8); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := strings.Count(lines.String(), "waiting for space"); n < 1 || n > 3 {
			t.Errorf("%d lines say so in a minute and a half:\n%s", n, &lines)
		}
		if st, err := store.QueueStats(t.Context(), "values"); err != nil || st.Ready != 8 || st.Leased != 0 {
			t.Errorf("after the run %+v, %v; want all 8 items as they were", st, err)
		}
		d.free.Store(enough)
	})
}

// A run that begins, or whose sessions begin again, while nothing can be stored waits too.
func TestAFullDiskKeepsNoRunFromBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		d := &tight{Store: db}
		d.free.Store(math.MaxInt64)
		store, err := queue.New(t.Context(), d, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		edge := pipeline.NewEdge[int]("values")
		p := pipeline.New(store, nil)
		pipeline.Handle(p, edge, func(context.Context, int, *pipeline.Out) error { return nil }, nil)
		if err := pipeline.Seed(t.Context(), p, edge, 1); err != nil {
			t.Fatal(err)
		}
		d.free.Store(1 << 20)
		time.AfterFunc(time.Minute, func() { d.free.Store(math.MaxInt64) })
		time.Sleep(time.Second)
		run(t, p)
	})
}

// failing is a backend that has no space, and does not know what it has written.
type failing struct {
	driver.Store
	full atomic.Bool
}

func (d *failing) Commit(ctx context.Context, writes []driver.Write) error {
	if d.full.Load() {
		return queue.ErrDiskFull
	}
	return d.Store.Commit(ctx, writes)
}

// A store that has failed for lack of space does not go on by itself: the run ends, and
// says why.
func TestAStoreThatFailsForSpaceEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		d := &failing{Store: db}
		store, err := queue.New(t.Context(), d, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		edge := pipeline.NewEdge[int]("values")
		p := pipeline.New(store, nil)
		pipeline.Handle(p, edge, func(context.Context, int, *pipeline.Out) error {
			d.full.Store(true)
			return nil
		}, nil)
		if err := pipeline.Seed(t.Context(), p, edge, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); !errors.Is(err, queue.ErrDiskFull) || !errors.Is(err, queue.ErrFailed) {
			t.Errorf("Run returned %v, want ErrFailed and ErrDiskFull", err)
		}
	})
}

// What a stage wants and the store refuses every time is the item's fault: it goes
// to the dead letters, with the reason, and the pipeline goes on.
func TestWhatTheStoreRefusesIsBuried(t *testing.T) {
	var crowded queue.Tx
	for range queue.MaxBarriers + 1 {
		crowded.Barrier("elsewhere", nil)
	}
	for name, tt := range map[string]struct {
		want func(tx *queue.Tx)
		err  error
	}{
		"unknown queue":     {func(tx *queue.Tx) { tx.Pause("nowhere") }, queue.ErrUnknownQueue},
		"too many barriers": {func(tx *queue.Tx) { tx.Append(&crowded) }, queue.ErrTooManyBarriers},
		"invalid":           {func(tx *queue.Tx) { tx.Put("", "k", nil) }, queue.ErrInvalid},
		"too large":         {func(tx *queue.Tx) { tx.Put("t", "k", make([]byte, 1<<28)) }, queue.ErrTooLarge},
		"conflict":          {func(tx *queue.Tx) { tx.Require("t", "k", []byte("v")) }, queue.ErrConflict}, // tried again first
		"not a delivery":    {func(tx *queue.Tx) { tx.Ack(new(queue.Delivery)) }, queue.ErrInvalid},
	} {
		for _, batch := range []int{1, 3} {
			t.Run(fmt.Sprint(name, " in calls of ", batch), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, err := memqueue.Open(nil)
					if err != nil {
						t.Fatal(err)
					}
					defer check(t, store)
					edge := pipeline.NewEdge[int]("values")
					p := pipeline.New(store, nil)
					pipeline.HandleBatch(p, edge, batch, func(_ context.Context, in []int, out *pipeline.Out) error {
						for _, v := range in {
							if v == 2 {
								tt.want(out.Tx())
							}
						}
						return nil
					}, nil)
					if err := pipeline.Seed(t.Context(), p, edge, 1, 2, 3); err != nil {
						t.Fatal(err)
					}
					run(t, p)
					letters, err := store.DeadLetters(t.Context(), "values", 0, 10)
					if err != nil || len(letters) != 1 || !strings.Contains(letters[0].Reason, tt.err.Error()) {
						t.Fatalf("dead letters %+v, %v", letters, err)
					}
					if v, err := edge.Value(letters[0].Item.Body); err != nil || v != 2 {
						t.Errorf("%v is buried, %v, want 2", v, err)
					}
					if gens := generations(t, store); len(gens) != 1 || gens[0].Stages[0].Acked != 2 {
						t.Errorf("generations %+v", gens)
					}
				})
			})
		}
	}
}

// Stages may be asked at any time; the race detector looks on.
func TestStagesWhileARunBegins(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	edge := pipeline.NewEdge[int]("values")
	p := pipeline.New(store, nil)
	pipeline.Handle(p, edge, nothing, nil)
	for i := range 20 {
		if err := pipeline.Seed(t.Context(), p, edge, i); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var asking sync.WaitGroup
		asking.Go(func() {
			for ctx.Err() == nil {
				p.Stages()
			}
		})
		if err := p.Run(t.Context()); err != nil {
			t.Error(err)
		}
		cancel()
		asking.Wait()
	}
}

func TestTimeLimit(t *testing.T) {
	hang := func(ctx context.Context, _ int, _ *pipeline.Out) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for name, tt := range map[string]struct {
		options pipeline.Options
		stage   pipeline.StageOptions
		want    time.Duration
	}{
		"by default":      {want: 10 * time.Minute},
		"of the pipeline": {options: pipeline.Options{TimeLimit: time.Second}, want: time.Second},
		"of the stage":    {options: pipeline.Options{TimeLimit: -1}, stage: pipeline.StageOptions{TimeLimit: time.Minute}, want: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				edge := pipeline.NewEdge[int]("values")
				edge.Config.MaxAttempts = 1
				p := pipeline.New(store, &tt.options)
				pipeline.Handle(p, edge, hang, &tt.stage)
				if err := pipeline.Seed(t.Context(), p, edge, 1); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				run(t, p)
				if took := time.Since(start); took != tt.want {
					t.Errorf("given up after %v, want %v", took, tt.want)
				}
				letters, err := store.DeadLetters(t.Context(), "values", 0, 10)
				if err != nil || len(letters) != 1 || !strings.Contains(letters[0].Reason, pipeline.ErrTimeLimit.Error()) {
					t.Errorf("dead letters %+v, %v", letters, err)
				}
			})
		})
	}
}

// What fails is said once with where it happened, then once a minute; and what a
// stage waits for that does nothing is said every minute.
func TestNothingFailsOrWaitsInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		var lines bytes.Buffer
		log := slog.New(slog.NewTextHandler(&lines, nil))
		edge := pipeline.NewEdge[int]("values")
		edge.Config.MaxAttempts = 20
		edge.Config.Backoff = queue.Backoff{Max: 10 * time.Minute, Jitter: -1}
		p := pipeline.New(store, &pipeline.Options{Logger: log})
		pipeline.Handle(p, edge, func(context.Context, int, *pipeline.Out) error { panic("out of ideas") }, nil)
		if err := pipeline.Seed(t.Context(), p, edge, 1, 2); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		var failures, waits int
		for line := range strings.Lines(lines.String()) {
			switch {
			case strings.Contains(line, "attempt failed"):
				if failures++; failures == 1 && !strings.Contains(line, "faults_test.go") {
					t.Errorf("the first failure is reported without its stack: %s", line)
				}
			case strings.Contains(line, "has done nothing for a minute"):
				if waits++; !strings.Contains(line, "stage=values generation=0") || !strings.Contains(line, "out of ideas") {
					t.Errorf("the wait is reported without its reason: %s", line)
				}
			}
		}
		if failures < 3 || failures > 30 || waits < 28 || waits > 30 {
			t.Errorf("%d lines about failures and %d about waiting in half an hour:\n%s", failures, waits, &lines)
		}
		held, err := store.Holding(t.Context(), "values")
		if err != nil || len(held.Oldest) == 0 || !strings.Contains(held.Oldest[0].Failure, "out of ideas") {
			t.Errorf("holding %+v, %v, want the last error", held, err)
		}
	})
}
