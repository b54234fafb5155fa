package pipeline_test

import (
	"context"
	"testing"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A chain that cannot be committed, as its stages write to different journals, is dropped:
// what the chained stage has registered with OnUndone is called, and its value comes again
// from its queue, once.
func TestADroppedChainIsUndone(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	var calls, undone, committed int
	entries := make(map[string]int)
	journal := func(name string) *pipeline.Journal[int] {
		return pipeline.NewJournal(func(_ context.Context, all []int, _ *queue.Tx) error {
			entries[name] += len(all)
			return nil
		})
	}
	first, second := journal("first"), journal("second")
	a, b := pipeline.NewEdge[int]("a"), pipeline.NewEdge[int]("b")
	p := pipeline.New(store, nil)
	pipeline.Handle(p, a, func(_ context.Context, n int, out *pipeline.Out) error {
		first.Add(out, n)
		b.Emit(out, n)
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{b}})
	pipeline.Handle(p, b, func(_ context.Context, n int, out *pipeline.Out) error {
		calls++
		second.Add(out, n)
		out.OnUndone(func() { undone++ })
		out.OnCommit(func() { committed++ })
		return nil
	}, nil)
	if err := pipeline.Seed(t.Context(), p, a, 1); err != nil {
		t.Fatal(err)
	}
	run(t, p)
	if calls != 2 || undone != 1 || committed != 1 || entries["first"] != 1 || entries["second"] != 1 {
		t.Errorf("%d calls, %d undone, %d committed, entries %v; want 2, 1, 1 and one in each", calls, undone, committed, entries)
	}
}

// What a stage settles beside its own value may be lost by itself, as it is of another
// session. Then the value comes again, and does not stay with a stage that is done with it.
func TestAValueComesAgainIfAnotherDeliveryIsLost(t *testing.T) {
	for _, noChaining := range []bool{false, true} {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		var tx queue.Tx
		tx.Configure("tokens", queue.Config{})
		tx.Enqueue("tokens", make([]queue.Item, 3)...)
		if err := store.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		calls, undone := 0, 0
		a, b := pipeline.NewEdge[int]("a"), pipeline.NewEdge[int]("b")
		p := pipeline.New(store, &pipeline.Options{NoChaining: noChaining})
		pipeline.Handle(p, a, func(ctx context.Context, n int, out *pipeline.Out) error {
			c, err := store.Subscribe(ctx, "tokens", &queue.SubscribeOptions{Barriers: queue.NoBarriers})
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			ds, err := c.Receive(ctx, 1)
			if err != nil {
				return err
			}
			out.Tx().Ack(ds...)
			out.OnUndone(func() { undone++ })
			b.Emit(out, n)
			if calls++; calls == 1 {
				return c.Close()
			}
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{b}, Workers: 1})
		pipeline.Handle(p, b, func(context.Context, int, *pipeline.Out) error { return nil }, nil)
		if err := pipeline.Seed(t.Context(), p, a, 1); err != nil {
			t.Fatal(err)
		}
		run(t, p)
		if calls != 2 || undone != 1 {
			t.Errorf("%d calls, %d undone, want 2 and 1", calls, undone)
		}
	}
}
