package pipeline_test

import (
	"context"
	"errors"
	"fmt"
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

// visitRecord notes the generation of each value that each stage saw, and
// fails the test if a value is seen in two.
type visitRecord struct {
	t    *testing.T
	mu   sync.Mutex
	seen map[string]int
	high map[string]int
}

func newRecord(t *testing.T) *visitRecord {
	return &visitRecord{t: t, seen: make(map[string]int), high: make(map[string]int)}
}

func (r *visitRecord) visit(stage string, n int, out *pipeline.Out) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if out.Generation() < r.high[stage] {
		r.t.Errorf("stage %s saw %d of generation %d after generation %d", stage, n, out.Generation(), r.high[stage])
	}
	r.high[stage] = out.Generation()
	key := fmt.Sprintf("%s/%d", stage, n)
	if g, ok := r.seen[key]; ok && g != out.Generation() {
		r.t.Errorf("%s was in generations %d and %d", key, g, out.Generation())
	}
	r.seen[key] = out.Generation()
}

func depth(n int) (d int) {
	for ; n > 1; n /= 2 {
		d++
	}
	return d
}

// TestFanOutAndFanIn has two branches of different speed that meet again. The
// last stage must get both branches' values of a generation, and no others.
func TestFanOutAndFanIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		rec := newRecord(t)
		nodes := pipeline.NewEdge[int]("nodes")
		left, right, joined := pipeline.NewEdge[int]("left"), pipeline.NewEdge[int]("right"), pipeline.NewEdge[int]("joined")
		p := pipeline.New(store, nil)
		pipeline.Handle(p, nodes, func(_ context.Context, n int, out *pipeline.Out) error {
			rec.visit("nodes", n, out)
			for _, m := range []int{2 * n, 2*n + 1} {
				if m < 64 {
					nodes.Emit(out, m)
				}
			}
			left.Emit(out, n)
			right.Emit(out, n)
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, left, right}})
		branch := func(name string, d time.Duration) pipeline.Func[int] {
			return func(ctx context.Context, n int, out *pipeline.Out) error {
				rec.visit(name, n, out)
				time.Sleep(d)
				joined.Emit(out, n)
				return nil
			}
		}
		pipeline.Handle(p, left, branch("left", time.Millisecond), &pipeline.StageOptions{Feeds: pipeline.Edges{joined}})
		pipeline.Handle(p, right, branch("right", time.Second), &pipeline.StageOptions{Feeds: pipeline.Edges{joined}, Workers: 1})
		var count [8]atomic.Int64
		pipeline.Handle(p, joined, func(_ context.Context, n int, out *pipeline.Out) error {
			rec.visit("joined", n, out)
			if out.Generation() != depth(n) {
				t.Errorf("%d came to the join in generation %d, not %d", n, out.Generation(), depth(n))
			}
			count[out.Generation()].Add(1)
			return nil
		}, nil)
		if err := pipeline.Seed(ctx, p, nodes, 1); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for g := range 6 {
			if got, want := count[g].Load(), int64(2<<g); got != want {
				t.Errorf("the join saw %d values of generation %d, want %d", got, g, want)
			}
		}
	})
}

// TestLoopOverTwoStages has the links come from the second stage.
func TestLoopOverTwoStages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		fetch, parse := pipeline.NewEdge[int]("fetch"), pipeline.NewEdge[int]("parse")
		rec := newRecord(t)
		p := pipeline.New(store, nil)
		pipeline.Handle(p, fetch, func(_ context.Context, n int, out *pipeline.Out) error {
			rec.visit("fetch", n, out)
			parse.Emit(out, n)
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{parse}})
		pipeline.Handle(p, parse, func(_ context.Context, n int, out *pipeline.Out) error {
			rec.visit("parse", n, out)
			time.Sleep(time.Duration(n%3) * time.Millisecond)
			if 2*n < 64 {
				fetch.Emit(out, 2*n)
				fetch.Emit(out, 2*n+1)
			}
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{fetch}})
		if err := pipeline.Seed(ctx, p, fetch, 1); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for n := 1; n < 64; n++ {
			for _, stage := range []string{"fetch", "parse"} {
				if g, ok := rec.seen[fmt.Sprintf("%s/%d", stage, n)]; !ok || g != depth(n) {
					t.Errorf("%s saw %d in generation %d (%v), want %d", stage, n, g, ok, depth(n))
				}
			}
		}
		if gens, err := pipeline.Generations(ctx, store, 0, 100); err != nil || len(gens) != 6 {
			t.Errorf("%d generations, %v, want 6", len(gens), err)
		}
	})
}

// crashing is a driver that fails at one commit: before it, or after it.
type crashing struct {
	driver.Store
	left  int
	after bool
}

var errCrash = errors.New("crash")

func (c *crashing) Commit(ctx context.Context, writes []driver.Write) error {
	c.left--
	if c.left == 0 && !c.after {
		return errCrash
	}
	if err := c.Store.Commit(ctx, writes); err != nil {
		return err
	}
	if c.left == 0 {
		return errCrash
	}
	return nil
}

// TestCrashAtEveryCommit stops a pipeline at its k-th commit, before and after,
// for each k until it gets through, and goes on with a new process each time. No
// crash may change what generations there are, what was in them, or how often
// OnGeneration took effect.
func TestCrashAtEveryCommit(t *testing.T) {
	for _, chain := range []bool{true, false} {
		t.Run(fmt.Sprintf("chain=%v", chain), func(t *testing.T) { testCrashAtEveryCommit(t, chain) })
	}
}

func testCrashAtEveryCommit(t *testing.T, chain bool) {
	const limit = 24
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			crashes := 0
			synctest.Test(t, func(t *testing.T) {
				disk := memqueue.NewDisk()
				for crashed := true; crashed; {
					crashed = crashRun(t, disk, k, after, chain, limit)
					if crashed {
						crashes++
					}
					if crashes > 500 {
						t.Fatalf("k=%d after=%v: no end", k, after)
					}
				}
				checkCrashRun(t, disk, limit, fmt.Sprintf("k=%d after=%v", k, after))
			})
			if t.Failed() {
				t.FailNow()
			}
			if crashes == 0 {
				break
			}
		}
	}
}

// crashRun runs until the k-th commit; every process that follows may do k more
// than the one before, so that there is an end.
func crashRun(t *testing.T, disk *memqueue.Disk, k int, after, chain bool, limit int) (crashed bool) {
	ctx := t.Context()
	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	c := &crashing{Store: db, left: k + generationsSoFar(t, disk), after: after}
	store, err := queue.New(ctx, c, nil)
	if err != nil {
		db.Close()
		if errors.Is(err, errCrash) {
			return true
		}
		t.Fatal(err)
	}
	defer store.Close()
	nodes, pages, visit := tree(limit)
	p := pipeline.New(store, &pipeline.Options{
		NoChaining: !chain,
		OnGeneration: func(_ context.Context, g pipeline.Generation, tx *queue.Tx) error {
			tx.Add("ended", fmt.Sprint(g.Number), 1)
			return nil
		},
	})
	pipeline.Handle(p, nodes, visit, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, pages}})
	pipeline.Handle(p, pages, func(_ context.Context, n int, out *pipeline.Out) error {
		out.Tx().Add("pages", fmt.Sprint(n), 1)
		return nil
	}, nil)
	err = pipeline.Seed(ctx, p, nodes, 1)
	if err == nil {
		err = p.Run(ctx)
	}
	if err != nil && !errors.Is(err, errCrash) && !errors.Is(err, queue.ErrFailed) {
		t.Errorf("k=%d after=%v: %v", k, after, err)
	}
	return err != nil
}

var crashCount sync.Map // disk to number of runs

func generationsSoFar(_ *testing.T, disk *memqueue.Disk) int {
	n, _ := crashCount.LoadOrStore(disk, new(int))
	*n.(*int)++
	return *n.(*int) * 2
}

func checkCrashRun(t *testing.T, disk *memqueue.Disk, limit int, name string) {
	ctx := t.Context()
	store, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	for n := 1; n < limit; n++ {
		value, err := store.Get(ctx, "pages", fmt.Sprint(n))
		if err != nil {
			t.Errorf("%s: page %d: %v", name, n, err)
			continue
		}
		if got, _ := queue.ParseCounter(value); got != 1 {
			t.Errorf("%s: page %d was counted %d times", name, n, got)
		}
		if g, err := store.Get(ctx, "visited", fmt.Sprintf("%04d", n)); err != nil || string(g) != fmt.Sprint(depth(n)) {
			t.Errorf("%s: node %d was in generation %s (%v), want %d", name, n, g, err, depth(n))
		}
	}
	gens, err := pipeline.Generations(ctx, store, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(gens) != depth(limit-1)+1 {
		t.Errorf("%s: %d generations, want %d", name, len(gens), depth(limit-1)+1)
	}
	for _, g := range gens {
		want := int64(min(1<<g.Number, limit-1<<g.Number))
		if g.Stages[0].Acked != want || g.Stages[1].Acked != want {
			t.Errorf("%s: generation %+v, want %d in each stage", name, g, want)
		}
		value, err := store.Get(ctx, "ended", fmt.Sprint(g.Number))
		if n, _ := queue.ParseCounter(value); err != nil || n != 1 {
			t.Errorf("%s: OnGeneration(%d) took effect %d times (%v)", name, g.Number, n, err)
		}
	}
	if done, err := pipeline.Done(ctx, store); err != nil || !done {
		t.Errorf("%s: Done = %v, %v", name, done, err)
	}
}

// A pipeline that is stopped while the coordinator works lets it commit what it
// has begun.
func TestStopWhileAGenerationCompletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		completed := 0
		p := pipeline.New(store, &pipeline.Options{
			OnGeneration: func(context.Context, pipeline.Generation, *queue.Tx) error {
				completed++
				cancel()
				synctest.Wait() // until all else has stopped
				return nil
			},
		})
		first, second := pipeline.NewEdge[int]("first"), pipeline.NewEdge[int]("second")
		pipeline.Handle(p, first, func(_ context.Context, n int, out *pipeline.Out) error {
			second.Emit(out, n)
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{second}})
		pipeline.Handle(p, second, func(context.Context, int, *pipeline.Out) error { return nil }, nil)
		if err := pipeline.Seed(ctx, p, first, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Errorf("the run that was stopped: %v", err)
		}
		if err := p.Run(t.Context()); err != nil {
			t.Errorf("the run after it: %v", err)
		}
		if completed != 1 {
			t.Errorf("OnGeneration was called %d times, want once", completed)
		}
	})
}
