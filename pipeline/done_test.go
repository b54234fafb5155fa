package pipeline_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// slowToSay is a driver whose batches can be read some time before their commits return.
type slowToSay struct {
	driver.Store
	by atomic.Int64 // a time.Duration
}

func (s *slowToSay) Commit(ctx context.Context, writes []driver.Write) error {
	err := s.Store.Commit(ctx, writes)
	time.Sleep(time.Duration(s.by.Load()))
	return err
}

func openSlowToSay(t *testing.T) (*queue.Store, *slowToSay) {
	t.Helper()
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowToSay{Store: db}
	store, err := queue.New(t.Context(), slow, nil)
	if err != nil {
		t.Fatal(err)
	}
	return store, slow
}

// setAside is a pipeline whose only stage keeps what it is given in a table.
func setAside(s *queue.Store) (*pipeline.Pipeline, *pipeline.Edge[string]) {
	work := pipeline.NewEdge[string]("work")
	p := pipeline.New(s, nil)
	pipeline.Handle(p, work, func(_ context.Context, what string, out *pipeline.Out) error {
		out.Tx().Put("aside", what, nil)
		return nil
	}, nil)
	return p, work
}

// What is in a table or in a queue at every moment is not overlooked while it moves.
func TestDoneAndOverlooksNothingThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store, slow := openSlowToSay(t)
		defer store.Close()
		p, work := setAside(store)
		if err := pipeline.Seed(ctx, p, work, "x"); err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		nothingAside := func() (bool, error) {
			left, err := store.Scan(ctx, "aside", "", "", 1)
			return len(left) == 0, err
		}
		moveBack := func() error {
			x, err := work.Item("x")
			if err != nil {
				return err
			}
			var tx queue.Tx
			tx.Delete("aside", "x")
			tx.Enqueue("work", x)
			return store.Commit(ctx, &tx)
		}
		expect := func(what string, also func() (bool, error)) {
			t.Helper()
			if done, err := pipeline.DoneAnd(ctx, store, also); err != nil || done {
				t.Errorf("%s: done %v, %v", what, done, err)
			}
		}
		expect("it is aside", nothingAside)

		calls := 0
		expect("it moves to the queue and aside again meanwhile", func() (bool, error) {
			if calls++; calls > 1 {
				return nothingAside()
			}
			if err := moveBack(); err != nil {
				return false, err
			}
			nothing, err := nothingAside()
			if err != nil {
				return false, err
			}
			return nothing, p.Run(ctx)
		})
		if calls != 2 {
			t.Errorf("it was looked %d times, want another time after what has happened meanwhile", calls)
		}
		if nothing, err := nothingAside(); err != nil || nothing {
			t.Fatalf("it was not put aside again: %v", err)
		}

		slow.by.Store(int64(3 * time.Second))
		moved := make(chan error)
		go func() { moved <- moveBack() }()
		time.Sleep(time.Second)
		if nothing, err := nothingAside(); err != nil || !nothing {
			t.Fatalf("what is on the disk cannot be read: %v", err)
		}
		expect("it is no longer aside and not yet counted", nothingAside)
		if err := <-moved; err != nil {
			t.Fatal(err)
		}
		expect("it is in the queue", nothingAside)
	})
}

// A process that reads how far another one has come, before the queues count its last
// transaction, does not end a generation that is being collected.
func TestSeedsFromTwoProcessesKeepGenerationsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		store, slow := openSlowToSay(t)
		defer store.Close()
		process := func() (*pipeline.Pipeline, *pipeline.Edge[node]) {
			nodes := pipeline.NewEdge[node]("nodes")
			p := pipeline.New(store, &pipeline.Options{KeepRunning: true})
			pipeline.Handle(p, nodes, func(_ context.Context, n node, out *pipeline.Out) error {
				out.Tx().Put("generations", n.Name, []byte{byte('0' + out.Generation())})
				if n.Depth == 0 {
					time.Sleep(10 * time.Second)
					nodes.Emit(out, node{1, n.Name + "l"})
				}
				return nil
			}, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes}})
			return p, nodes
		}
		one, nodes := process()
		two, same := process()
		ended := make(chan error, 2)
		go func() { ended <- one.Run(ctx) }()
		synctest.Wait()
		slow.by.Store(int64(3 * time.Second))
		seeded := make(chan error, 2)
		go func() { seeded <- pipeline.Seed(ctx, one, nodes, node{0, "a"}) }()
		synctest.Wait() // it can be read, and is not yet counted
		go func() { ended <- two.Run(ctx) }()
		synctest.Wait()
		go func() { seeded <- pipeline.Seed(ctx, two, same, node{1, "b"}) }()
		for range 2 {
			if err := <-seeded; err != nil {
				t.Fatal(err)
			}
		}
		slow.by.Store(0)
		time.Sleep(time.Minute)
		for name, want := range map[string]string{"a": "0", "al": "1", "b": "1"} {
			if got, err := store.Get(ctx, "generations", name); err != nil || string(got) != want {
				t.Errorf("%s was in generation %s, %v; want %s", name, got, err, want)
			}
		}
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}
