package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

func TestRetriedDeadLettersOfALaterStageComeToAnEnd(t *testing.T) {
	for _, strict := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			store, err := memqueue.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer check(t, store)
			failing := true
			run := func() {
				t.Helper()
				nodes, pages, visit := tree(8)
				p := pipeline.New(store, &pipeline.Options{Strict: strict})
				pipeline.Handle(p, nodes, visit, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, pages}})
				pipeline.Handle(p, pages, func(_ context.Context, n int, _ *pipeline.Out) error {
					if failing && n == 3 {
						return pipeline.Permanent(errors.New("no"))
					}
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
			}
			run()
			letters, err := store.DeadLetters(ctx, "pages", 0, 10)
			if err != nil || len(letters) != 1 {
				t.Fatalf("%d dead letters, %v, want 1", len(letters), err)
			}
			var tx queue.Tx
			tx.RetryDead("pages", letters[0].ID)
			if err := store.Commit(ctx, &tx); err != nil {
				t.Fatal(err)
			}
			if done, err := pipeline.Done(ctx, store); err != nil || done {
				t.Errorf("Done = %v, %v with a dead letter to work on", done, err)
			}
			failing = false
			run()
			gens, err := pipeline.Generations(ctx, store, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(gens); n != 4 || gens[3].Stages[0].Enqueued != 0 || gens[3].Stages[1].Acked != 1 {
				t.Errorf("generations %+v, want a fourth with the dead letter alone", gens)
			}
		})
	}
}
