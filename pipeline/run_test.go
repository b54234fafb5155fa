package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

func nothing(context.Context, int, *pipeline.Out) error { return nil }

func TestWiringMistakesAreNamed(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	a, b := pipeline.NewEdge[int]("a"), pipeline.NewEdge[int]("b")
	for _, tt := range []struct {
		name string
		wire func(p *pipeline.Pipeline)
		want string
	}{
		{"no stages", func(*pipeline.Pipeline) {}, "there are no stages"},
		{"unhandled feed", func(p *pipeline.Pipeline) {
			pipeline.Handle(p, a, nothing, &pipeline.StageOptions{Feeds: pipeline.Edges{b}})
		}, "a feeds b, which no stage handles"},
		{"two handlers", func(p *pipeline.Pipeline) { pipeline.Handle(p, a, nothing, nil); pipeline.Handle(p, a, nothing, nil) }, "two stages handle a"},
		{"no function", func(p *pipeline.Pipeline) { pipeline.Handle(p, a, nil, nil) }, "the stage of a is nil"},
		{"no name", func(p *pipeline.Pipeline) { pipeline.Handle(p, pipeline.NewEdge[int](""), nothing, nil) }, "no name"},
		{"workers", func(p *pipeline.Pipeline) { pipeline.Handle(p, a, nothing, &pipeline.StageOptions{Workers: -1}) }, "between 1 and -1 workers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pipeline.New(store, nil)
			tt.wire(p)
			err := p.Run(t.Context())
			if !errors.Is(err, pipeline.ErrWiring) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run: %v, want ErrWiring with %q", err, tt.want)
			}
		})
	}
}

func TestUnfinishedWorkOfAnotherPipelineIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		a, b := pipeline.NewEdge[int]("a"), pipeline.NewEdge[int]("b")
		ctx, cancel := context.WithCancel(t.Context())
		p := pipeline.New(store, nil)
		pipeline.Handle(p, a, func(ctx context.Context, n int, out *pipeline.Out) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}, nil)
		if err := pipeline.Seed(ctx, p, a, 1, 2); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if done, err := p.Done(t.Context()); err != nil || done {
			t.Errorf("Done = %v, %v for a stopped pipeline", done, err)
		}
		other := pipeline.New(store, nil)
		pipeline.Handle(other, a, nothing, &pipeline.StageOptions{Feeds: pipeline.Edges{b}})
		pipeline.Handle(other, b, nothing, nil)
		if err := other.Check(t.Context()); !errors.Is(err, pipeline.ErrTopology) {
			t.Errorf("Check of another pipeline: %v, want ErrTopology", err)
		}
		if err := p.Check(t.Context()); err != nil {
			t.Errorf("Check of the same pipeline: %v", err)
		}
		err = other.Run(t.Context())
		if !errors.Is(err, pipeline.ErrTopology) || !strings.Contains(err.Error(), "stage b is new") {
			t.Errorf("Run of another pipeline: %v, want ErrTopology that names stage b", err)
		}
	})
}

// TestStop checks the two phases of stopping: what finishes within the drain
// time counts, what does not goes back without a failed attempt.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		edge := pipeline.NewEdge[int]("work")
		ctx, cancel := context.WithCancel(t.Context())
		var finished, given atomic.Int64
		wire := func() *pipeline.Pipeline {
			p := pipeline.New(store, &pipeline.Options{DrainTime: 5 * time.Second})
			pipeline.Handle(p, edge, func(ctx context.Context, n int, out *pipeline.Out) error {
				if out.Attempt() != 1 {
					t.Errorf("value %d is delivered for the %dth time", n, out.Attempt())
				}
				select {
				case <-time.After(time.Duration(n) * time.Second):
					finished.Add(1)
					return nil
				case <-ctx.Done():
					given.Add(1)
					return ctx.Err()
				}
			}, &pipeline.StageOptions{MinWorkers: 4})
			return p
		}
		p := wire()
		if err := pipeline.Seed(ctx, p, edge, 2, 4, 20, 30); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 7*time.Second {
			t.Errorf("Run took %v to stop, the drain time is 5s", d)
		}
		if finished.Load() != 2 || given.Load() != 2 {
			t.Errorf("%d values finished and %d went back, want 2 and 2", finished.Load(), given.Load())
		}
		if err := wire().Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if finished.Load() != 4 {
			t.Errorf("%d values finished in the end, want 4", finished.Load())
		}
	})
}

// TestBackPressure has a last stage that is a hundred times slower than the
// first, and looks at how long the queue between them gets.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		in, slow := pipeline.NewEdge[int]("in"), pipeline.NewEdge[int]("slow")
		slow.Config.HighWaterItems = 20
		var most int64
		p := pipeline.New(store, nil)
		pipeline.Handle(p, in, func(_ context.Context, n int, out *pipeline.Out) error {
			slow.Emit(out, n)
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{slow}, Workers: 4})
		pipeline.Handle(p, slow, func(_ context.Context, n int, out *pipeline.Out) error {
			st, err := store.QueueStats(t.Context(), "slow")
			if err != nil {
				return err
			}
			most = max(most, st.Ready+st.Delayed+st.Leased+st.Later)
			time.Sleep(100 * time.Millisecond)
			return nil
		}, &pipeline.StageOptions{Workers: 1})
		values := make([]int, 1000)
		for i := range values {
			values[i] = i
		}
		if err := pipeline.Seed(t.Context(), p, in, values...); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if most < 20 || most > 20+2*64+8 {
			t.Errorf("up to %d values waited for the slow stage, the mark is 20", most)
		}
	})
}

func TestRunRefusesASecondRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		edge := pipeline.NewEdge[int]("a")
		p := pipeline.New(store, &pipeline.Options{KeepRunning: true})
		pipeline.Handle(p, edge, nothing, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()
		synctest.Wait()
		if err := p.Run(ctx); !errors.Is(err, pipeline.ErrRunning) {
			t.Errorf("second Run: %v, want ErrRunning", err)
		}
		// A running pipeline takes seeds as they come.
		for n := range 3 {
			if err := pipeline.Seed(ctx, p, edge, n); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if gens, err := pipeline.Generations(ctx, store, 0, 10); err != nil || len(gens) != 3 {
			t.Errorf("%d generations after three seeds, %v, want 3", len(gens), err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What is registered with OnCommit is called when the stage's success has been
// committed, and for no other end; with OnUndone, when that has not after it was wanted.
func TestOnCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		ctx := t.Context()
		var mu sync.Mutex // of calls
		var calls []string
		numbers := pipeline.NewEdge[int]("numbers")
		p := pipeline.New(store, nil)
		pipeline.Handle(p, numbers, func(_ context.Context, n int, out *pipeline.Out) error {
			name := fmt.Sprintf("%d/%d", n, out.Attempt())
			out.OnCommit(func() {
				if _, err := store.Get(ctx, "done", name); err != nil {
					t.Errorf("%s was called before the commit: %v", name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, name)
			})
			out.OnUndone(func() {
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, name+" undone")
			})
			out.Tx().Put("done", name, nil)
			switch {
			case n == 1 && out.Attempt() == 1:
				return errors.New("once")
			case n == 2:
				return pipeline.Permanent(errors.New("never"))
			case n == 3:
				out.Tx().Put("done", "", nil) // cannot be stored
			case n == 4 && out.Attempt() == 1:
				numbers.Emit(out, 5) // is not among what it feeds
			}
			return nil
		}, &pipeline.StageOptions{Workers: 1})
		if err := pipeline.Seed(ctx, p, numbers, 0, 1, 2, 3, 4); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		slices.Sort(calls)
		if want := []string{"0/1", "1/2", "3/1 undone", "4/1 undone", "4/2"}; !slices.Equal(calls, want) {
			t.Errorf("called for %q, want %q", calls, want)
		}
	})
}

// Values from a queue are decoded when there is room for them, and what was reserved is
// given back when the stage has returned.
func TestReserve(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := pipeline.New(store, nil)
	edge := pipeline.NewEdge[string]("long")
	text := strings.Repeat("some words ", 10_000) // which is compressed
	var mu sync.Mutex
	var held, most int64
	room := make(chan struct{}, 2)
	seen := 0
	pipeline.Handle(p, edge, func(_ context.Context, in string, _ *pipeline.Out) error {
		mu.Lock()
		defer mu.Unlock()
		if seen++; in != text || held < int64(len(text)) {
			t.Errorf("%d bytes of value with %d reserved", len(in), held)
		}
		return nil
	}, &pipeline.StageOptions{Workers: 8, MinWorkers: 8, Reserve: func(ctx context.Context, bytes int64) (func(), error) {
		room <- struct{}{}
		mu.Lock()
		defer mu.Unlock()
		held += bytes
		most = max(most, held)
		return func() {
			mu.Lock()
			defer mu.Unlock()
			held -= bytes
			<-room
		}, nil
	}})
	if err := pipeline.Seed(t.Context(), p, edge, slices.Repeat([]string{text}, 20)...); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seen != 20 || held != 0 || most > 2*int64(len(text)+16) {
		t.Errorf("%d values, %d bytes still reserved, %d at most; want 20, 0 and two values", seen, held, most)
	}
}
