package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// detailed is an error that has a method for pointers only, as those have that a stage
// returns as a nil pointer by mistake.
type detailed struct{ detail string }

func (d *detailed) Error() string { return d.detail }

// judging is an error whose verdict panics.
type judging struct{}

func (judging) Error() string              { return "judging" }
func (judging) Verdict() (bool, time.Time) { panic("no verdict") }

// secret is a value that cannot be encoded, and says so by a panic.
type secret struct{ what string }

func (s secret) MarshalJSON() ([]byte, error) {
	if s.what != "" {
		panic("will not tell " + s.what)
	}
	return []byte(`{}`), nil
}

// What a stage returns and emits has methods of its own. One that panics fails the attempt,
// and not the process.
func TestPanicsBehindAStage(t *testing.T) {
	for name, c := range map[string]struct {
		stage func(secrets *pipeline.Edge[secret], out *pipeline.Out) error
		want  string
	}{
		"nil pointer as an error": {func(*pipeline.Edge[secret], *pipeline.Out) error {
			var d *detailed
			return d
		}, "stage panicked: runtime error: invalid memory address"},
		"verdict": {func(*pipeline.Edge[secret], *pipeline.Out) error {
			return fmt.Errorf("wrapped: %w", judging{})
		}, "stage panicked: no verdict"},
		"encoding": {func(secrets *pipeline.Edge[secret], out *pipeline.Out) error {
			secrets.Emit(out, secret{"a word"})
			return nil
		}, "stage panicked: will not tell a word"},
	} {
		for _, apart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, apart %v", name, apart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store, err := memqueue.Open(nil)
					if err != nil {
						t.Fatal(err)
					}
					defer check(t, store)
					values, secrets := pipeline.NewEdge[int]("values"), pipeline.NewEdge[secret]("secrets")
					values.Config.MaxAttempts = 1
					p := pipeline.New(store, &pipeline.Options{NoChaining: apart})
					pipeline.Handle(p, values, func(_ context.Context, _ int, out *pipeline.Out) error {
						return c.stage(secrets, out)
					}, &pipeline.StageOptions{Feeds: pipeline.Edges{secrets}})
					pipeline.Handle(p, secrets, func(context.Context, secret, *pipeline.Out) error {
						if name == "encoding" && !apart { // the value fails, so that it must be encoded
							return errors.New("not this one")
						}
						return nil
					}, nil)
					if err := pipeline.Seed(t.Context(), p, values, 1); err != nil {
						t.Fatal(err)
					}
					run(t, p)
					letters, err := store.DeadLetters(t.Context(), "values", 0, 10)
					if err != nil || len(letters) != 1 || !strings.Contains(letters[0].Reason, c.want) {
						t.Errorf("dead letters %+v, %v, want one with %q", letters, err, c.want)
					}
				})
			})
		}
	}
}

// A stage that ends its goroutine, as FailNow of a test does, ends the pipeline with an
// error that says so; before, what it had would have waited for ever.
func TestStageThatEndsItsGoroutine(t *testing.T) {
	for _, where := range []string{"first", "second", "batches"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				first, second := pipeline.NewEdge[int]("first"), pipeline.NewEdge[int]("second")
				batches := pipeline.NewEdge[int]("batches")
				p := pipeline.New(store, nil)
				end := func(stage string) {
					if stage == where {
						runtime.Goexit()
					}
				}
				pipeline.Handle(p, first, func(_ context.Context, n int, out *pipeline.Out) error {
					end("first")
					second.Emit(out, n)
					batches.Emit(out, n)
					return nil
				}, &pipeline.StageOptions{Feeds: pipeline.Edges{second, batches}, Workers: 1})
				pipeline.Handle(p, second, func(context.Context, int, *pipeline.Out) error {
					end("second")
					return nil
				}, &pipeline.StageOptions{Workers: 1})
				pipeline.HandleBatch(p, batches, 3, func(context.Context, []int, *pipeline.Out) error {
					end("batches")
					return nil
				}, nil)
				if err := pipeline.Seed(t.Context(), p, first, 1, 2, 3, 4); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := p.Run(ctx); ctx.Err() != nil || err == nil || !strings.Contains(err.Error(), "runtime.Goexit") {
					t.Errorf("Run returned %v, %v", err, ctx.Err())
				}
				var left int64
				stats, err := store.Stats(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, q := range stats {
					left += q.Ready + q.Delayed
				}
				if left == 0 {
					t.Errorf("nothing is left for the next run: %+v", stats)
				}
			})
		})
	}
}
