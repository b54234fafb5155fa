package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// batches runs a batch stage on the numbers below n, and returns what its calls
// were given, in order.
func batches(t *testing.T, store *queue.Store, n, size int, fn pipeline.BatchFunc[int]) (calls [][]int) {
	t.Helper()
	p := pipeline.New(store, nil)
	edge := pipeline.NewEdge[int]("numbers")
	edge.Config.MaxAttempts = 3
	pipeline.HandleBatch(p, edge, size, func(ctx context.Context, in []int, out *pipeline.Out) error {
		calls = append(calls, slices.Clone(in))
		return fn(ctx, in, out)
	}, &pipeline.StageOptions{Serial: true})
	values := make([]int, n)
	for i := range values {
		values[i] = i
	}
	if err := pipeline.Seed(t.Context(), p, edge, values...); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err := p.Done(t.Context()); err != nil || !done {
		t.Errorf("Done = %v, %v", done, err)
	}
	return calls
}

func memory(t *testing.T) *queue.Store {
	t.Helper()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// A batch has what is there, in order, and is one transaction.
func TestBatchesAreTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory(t)
		defer check(t, store)
		calls := batches(t, store, 25, 10, func(_ context.Context, in []int, out *pipeline.Out) error {
			out.Tx().Add("sums", "all", int64(len(in)))
			return nil
		})
		if len(calls) != 3 || len(calls[0]) != 10 || len(calls[2]) != 5 || !slices.IsSorted(slices.Concat(calls...)) {
			t.Errorf("calls %v, want batches of 10, 10 and 5 in order", calls)
		}
		value, err := store.Get(t.Context(), "sums", "all")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := queue.ParseCounter(value); err != nil || n != 25 {
			t.Errorf("counted %d, %v, want 25", n, err)
		}
	})
}

// One value that cannot be handled does not harm those it is taken with, and
// costs them no attempt, however it fails.
func TestABatchSurvivesOneBadValue(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":     func() error { return errors.New("no") },
		"permanent": func() error { return pipeline.Permanent(errors.New("never")) },
		"panic":     func() error { panic("oh") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory(t)
				defer check(t, store)
				done := make(map[int]int)
				batches(t, store, 10, 10, func(_ context.Context, in []int, out *pipeline.Out) error {
					if slices.Contains(in, 7) {
						return fail()
					}
					if out.Attempt() != 1 {
						t.Errorf("%v has attempt %d", in, out.Attempt())
					}
					out.OnCommit(func() {
						for _, n := range in {
							done[n]++
						}
					})
					return nil
				})
				for n := range 10 {
					if want := map[bool]int{true: 0, false: 1}[n == 7]; done[n] != want {
						t.Errorf("%d was handled %d times, want %d", n, done[n], want)
					}
				}
				dead, err := store.DeadLetters(t.Context(), "numbers", 0, 10)
				if err != nil || len(dead) != 1 || string(dead[0].Item.Body[1:]) != "7" {
					t.Errorf("dead letters %v, %v, want that of 7", dead, err)
				}
			})
		})
	}
}

// RetryAfter and ErrAgain are about time, and hold for the whole batch.
func TestABatchWaitsAsAWhole(t *testing.T) {
	for name, fail := range map[string]error{
		"RetryAfter": pipeline.RetryAfter(time.Hour, errors.New("the other side is away")),
		"ErrAgain":   pipeline.ErrAgain,
		"Snooze":     pipeline.Snooze(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory(t)
				defer check(t, store)
				began, first := time.Now(), true
				calls := batches(t, store, 5, 5, func(context.Context, []int, *pipeline.Out) error {
					if first {
						first = false
						return fail
					}
					return nil
				})
				if len(calls) != 2 || len(calls[1]) != 5 {
					t.Errorf("calls %v, want two of 5 values", calls)
				}
				if waited := time.Since(began) >= time.Hour; waited != (name != "ErrAgain") {
					t.Errorf("took %v", time.Since(began))
				}
			})
		})
	}
}

// A batch whose transaction is too large is committed value by value.
func TestABatchThatIsTooLargeIsCommittedInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory(t)
		defer check(t, store)
		kept := 0
		calls := batches(t, store, 4, 4, func(_ context.Context, in []int, out *pipeline.Out) error {
			if len(in) > 1 { // more than any backend takes
				out.Tx().Put("table", "key", make([]byte, 1<<30))
			}
			out.OnCommit(func() { kept += len(in) })
			return nil
		})
		if len(calls) != 5 || kept != 4 {
			t.Errorf("calls %v, %d values kept, want 1 call of four and 4 of one", calls, kept)
		}
	})
}

// A serial stage finds in the store what the call before has left there, though
// commits take time.
func TestSerialCallsSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory(t)
		defer check(t, store)
		batches(t, store, 50, 3, func(ctx context.Context, in []int, out *pipeline.Out) error {
			before := 0
			if b, err := store.Get(ctx, "place", "next"); err == nil {
				before, _ = strconv.Atoi(string(b))
			} else if !errors.Is(err, queue.ErrNotFound) {
				return err
			}
			if in[0] != before {
				t.Errorf("the call with %v finds %d", in, before)
			}
			out.Tx().Put("place", "next", fmt.Append(nil, in[len(in)-1]+1))
			return nil
		})
	})
}

func TestWiringOfBatches(t *testing.T) {
	store := memory(t)
	defer check(t, store)
	fn := func(context.Context, []int, *pipeline.Out) error { return nil }
	for name, wire := range map[string]func(*pipeline.Pipeline){
		"no values": func(p *pipeline.Pipeline) { pipeline.HandleBatch(p, pipeline.NewEdge[int]("a"), 0, fn, nil) },
		"serial with two workers": func(p *pipeline.Pipeline) {
			pipeline.HandleBatch(p, pipeline.NewEdge[int]("a"), 5, fn, &pipeline.StageOptions{Serial: true, Workers: 2})
		},
	} {
		p := pipeline.New(store, nil)
		wire(p)
		if err := p.Run(t.Context()); !errors.Is(err, pipeline.ErrWiring) {
			t.Errorf("%s: %v, want ErrWiring", name, err)
		}
	}
}
