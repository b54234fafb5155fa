package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages"
)

// TestVerdicts has a stage fail once with each kind of error, and looks at what
// became of the item, and when.
func TestVerdicts(t *testing.T) {
	passing := &stages.Error{Op: "fetch", Reason: stages.ReasonTimeout}
	final := &stages.Error{Op: "fetch", Reason: stages.ReasonTooLarge, Permanent: true}
	for _, tt := range []struct {
		name   string
		err    func(now time.Time) error
		buried bool
		wait   time.Duration
	}{
		{"a plain error", func(time.Time) error { return errors.New("no") }, false, time.Second},
		{"an error of a stage that may pass", func(time.Time) error { return passing }, false, time.Second},
		{"one that names a time", func(now time.Time) error {
			return &stages.Error{Op: "fetch", Reason: stages.ReasonRateLimited, RetryAfter: now.Add(time.Hour)}
		}, false, time.Hour},
		{"one whose time has passed", func(now time.Time) error {
			return &stages.Error{Op: "fetch", Reason: stages.ReasonRateLimited, RetryAfter: now.Add(-time.Hour)}
		}, false, 0},
		{"one that is final", func(time.Time) error { return final }, true, 0},
		{"one that is final, wrapped", func(time.Time) error { return fmt.Errorf("page 3: %w", final) }, true, 0},
		{"RetryAfter around one that is final", func(time.Time) error { return pipeline.RetryAfter(time.Minute, final) }, false, time.Minute},
		{"Permanent around one that may pass", func(time.Time) error { return pipeline.Permanent(passing) }, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				edge := pipeline.NewEdge[int]("values")
				edge.Config.Backoff = queue.Backoff{Min: time.Second, Jitter: -1}
				var failed time.Time
				waited := time.Duration(-1)
				p := pipeline.New(store, nil)
				pipeline.Handle(p, edge, func(_ context.Context, _ int, out *pipeline.Out) error {
					if out.Attempt() > 1 {
						waited = time.Since(failed)
						return nil
					}
					failed = time.Now()
					return tt.err(failed)
				}, nil)
				if err := pipeline.Seed(t.Context(), p, edge, 1); err != nil {
					t.Fatal(err)
				}
				if err := p.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				st, err := store.QueueStats(t.Context(), "values")
				if err != nil {
					t.Fatal(err)
				}
				if buried := st.Dead == 1; buried != tt.buried {
					t.Errorf("buried: %v, want %v", buried, tt.buried)
				}
				if !tt.buried && waited != tt.wait {
					t.Errorf("tried again after %v, want %v", waited, tt.wait)
				}
			})
		})
	}
}
