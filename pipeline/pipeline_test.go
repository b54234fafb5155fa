package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// check fails the test if the store is not consistent, and closes it.
func check(t *testing.T, s *queue.Store) {
	t.Helper()
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// tree is a crawl in miniature: a node n below limit links to 2n and 2n+1.
func tree(limit int) (nodes, pages *pipeline.Edge[int], visit pipeline.Func[int]) {
	nodes, pages = pipeline.NewEdge[int]("nodes"), pipeline.NewEdge[int]("pages")
	nodes.Key = func(n int) string { return fmt.Sprint(n) }
	return nodes, pages, func(_ context.Context, n int, out *pipeline.Out) error {
		for _, m := range []int{2 * n, 2*n + 1} {
			if m < limit {
				nodes.Emit(out, m)
			}
		}
		nodes.Emit(out, n) // a link to itself
		pages.Emit(out, n)
		out.Tx().Put("visited", fmt.Sprintf("%04d", n), fmt.Append(nil, out.Generation()))
		return nil
	}
}

func TestGenerationsAreDepths(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict=%v", strict), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				nodes, pages, visit := tree(500)
				var mu sync.Mutex
				var order []int // generations as the last stage sees them
				var ended []int
				p := pipeline.New(store, &pipeline.Options{
					Strict: strict,
					OnGeneration: func(_ context.Context, g pipeline.Generation, tx *queue.Tx) error {
						ended = append(ended, g.Number)
						tx.Put("ended", fmt.Sprint(g.Number), nil)
						return nil
					},
				})
				pipeline.Handle(p, nodes, visit, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, pages}})
				pipeline.Handle(p, pages, func(_ context.Context, n int, out *pipeline.Out) error {
					mu.Lock()
					defer mu.Unlock()
					order = append(order, out.Generation())
					return nil
				}, nil)
				if err := pipeline.Seed(ctx, p, nodes, 1); err != nil {
					t.Fatal(err)
				}
				if err := p.Run(ctx); err != nil {
					t.Fatal(err)
				}
				if done, err := p.Done(ctx); err != nil || !done {
					t.Errorf("Done = %v, %v after Run", done, err)
				}
				records, err := store.Scan(ctx, "visited", "", "", 1000)
				if err != nil {
					t.Fatal(err)
				}
				if len(records) != 499 {
					t.Errorf("%d nodes visited, want 499", len(records))
				}
				depth := func(n int) (d int) {
					for ; n > 1; n /= 2 {
						d++
					}
					return d
				}
				for i, r := range records {
					if got, want := string(r.Value), fmt.Sprint(depth(i+1)); got != want {
						t.Errorf("node %s was in generation %s, want %s", r.Key, got, want)
					}
				}
				if !sort.IntsAreSorted(order) {
					t.Errorf("the second stage saw generations in the order %v", order)
				}
				generations, err := pipeline.Generations(ctx, store, 0, 100)
				if err != nil {
					t.Fatal(err)
				}
				for g, rec := range generations {
					want := int64(min(1<<g, 499-(1<<g-1)))
					if rec.Number != g || rec.Stages[0].Acked != want || rec.Stages[1].Acked != want {
						t.Errorf("generation record %+v, want %d nodes in each stage", rec, want)
					}
				}
				if len(generations) != 9 || !slices.Equal(ended, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}) {
					t.Errorf("%d generations, OnGeneration for %v, want 9", len(generations), ended)
				}
			})
		})
	}
}

func TestSeedingADonePipelineAddsAGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		disk := memqueue.NewDisk()
		run := func(seeds ...int) []pipeline.Generation {
			store, err := disk.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer check(t, store)
			nodes, pages, visit := tree(8)
			p := pipeline.New(store, nil)
			pipeline.Handle(p, nodes, visit, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, pages}})
			pipeline.Handle(p, pages, func(context.Context, int, *pipeline.Out) error { return nil }, nil)
			if err := pipeline.Seed(ctx, p, nodes, seeds...); err != nil {
				t.Fatal(err)
			}
			if err := p.Run(ctx); err != nil {
				t.Fatal(err)
			}
			gens, err := pipeline.Generations(ctx, store, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			return gens
		}
		if n := len(run(1)); n != 3 {
			t.Errorf("%d generations after the first run, want 3", n)
		}
		if n := len(run(1)); n != 3 {
			t.Errorf("%d generations after a run with nothing new, want 3", n)
		}
		if n := len(run(100)); n != 4 {
			t.Errorf("%d generations after a run with a new seed, want 4", n)
		}
	})
}

func TestFailuresPanicsAndPermanentErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		in := pipeline.NewEdge[string]("in")
		in.Config.MaxAttempts = 3
		p := pipeline.New(store, nil)
		pipeline.Handle(p, in, func(_ context.Context, s string, out *pipeline.Out) error {
			out.Tx().Add("done", s, 1)
			out.OnFailure().Add("failed", s, 1)
			switch {
			case s == "permanent":
				return pipeline.Permanent(errors.New("no use"))
			case s == "panics":
				panic("oops")
			case s == "fails" || s == "fails once" && out.Attempt() == 1:
				return errors.New("failed")
			case s == "undeclared":
				in.Emit(out, "x")
			}
			return nil
		}, nil)
		if err := pipeline.Seed(ctx, p, in, "permanent", "panics", "fails", "fails once", "undeclared", "fine"); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]int64{"permanent": 1, "panics": 3, "fails": 3, "fails once": 1, "undeclared": 3} {
			value, err := store.Get(ctx, "failed", key)
			if err != nil {
				t.Error(err)
			}
			if got, _ := queue.ParseCounter(value); got != want {
				t.Errorf("%s failed %d times, want %d", key, got, want)
			}
		}
		letters, err := store.DeadLetters(ctx, "in", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(letters) != 4 {
			t.Errorf("%d dead letters, want 4: %+v", len(letters), letters)
		}
		for _, l := range letters {
			s, err := in.Value(l.Item.Body)
			if err != nil {
				t.Fatal(err)
			}
			if (s == "panics") != (l.Stack != "") {
				t.Errorf("dead letter %s has the stack %q", s, l.Stack)
			}
		}
	})
}
