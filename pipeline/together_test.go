package pipeline_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// node is a node of a tree of which each has two children.
type node struct {
	Depth int
	Name  string
}

const treeDepth = 8 // 511 nodes

// family is a pipeline that walks the tree and counts its nodes in a second stage.
func family(s *queue.Store) (*pipeline.Pipeline, *pipeline.Edge[node]) {
	nodes, counted := pipeline.NewEdge[node]("nodes"), pipeline.NewEdge[node]("counted")
	nodes.Key = func(n node) string { return n.Name }
	p := pipeline.New(s, &pipeline.Options{DrainTime: time.Minute})
	pipeline.Handle(p, nodes, func(_ context.Context, n node, out *pipeline.Out) error {
		if out.Generation() != n.Depth {
			return pipeline.Permanent(fmt.Errorf("%s in generation %d", n.Name, out.Generation()))
		}
		for _, c := range []string{"l", "r"} {
			if n.Depth < treeDepth {
				nodes.Emit(out, node{n.Depth + 1, n.Name + c})
			}
		}
		counted.Emit(out, n)
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, counted}})
	pipeline.Handle(p, counted, func(_ context.Context, n node, out *pipeline.Out) error {
		out.Tx().Add("counts", n.Name, 1)
		return nil
	}, nil)
	return p, nodes
}

// TestProcessesRunOnePipelineTogether runs a pipeline where the store is and over the
// network, ends whoever coordinates again and again, and expects what one process alone
// would have left.
func TestProcessesRunOnePipelineTogether(t *testing.T) {
	here, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	server, err := remote.NewServer(remote.ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(here)
	web := httptest.NewUnstartedServer(nil)
	web.Config = remote.NewHTTPServer(server)
	web.Start()
	defer web.Close()

	p, nodes := family(here)
	if err := pipeline.Seed(t.Context(), p, nodes, node{0, "n"}); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() {
			for life := 1; ; life++ {
				s := here
				if i > 0 {
					if s, err = remote.Open(t.Context(), web.URL, &remote.Options{Name: fmt.Sprint("w", i)}); err != nil {
						t.Error(err)
						return
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				if life < 4 {
					// It stops when it has done something.
					go func() {
						_ = s.WaitBarrier(ctx, queue.BarrierID{Queue: "nodes", Epoch: uint32(2 * life)})
						cancel()
					}()
				}
				p, _ := family(s)
				err := p.Run(ctx)
				cancel()
				done, failed := pipeline.Done(t.Context(), s)
				if i > 0 {
					s.Close()
				}
				if err != nil || failed != nil {
					t.Errorf("process %d: %v, %v", i, err, failed)
					return
				}
				if done {
					return
				}
			}
		})
	}
	group.Wait()
	records, err := here.Scan(t.Context(), "counts", "", "", 10_000)
	if err != nil || len(records) != 1<<(treeDepth+1)-1 {
		t.Errorf("%d nodes were counted, %v", len(records), err)
	}
	for _, r := range records {
		if string(r.Value) != "1" {
			t.Errorf("%s was counted %s times", r.Key, r.Value)
		}
	}
	all, err := pipeline.Generations(t.Context(), here, 0, 100)
	if err != nil || len(all) != treeDepth+1 {
		t.Fatalf("%d generations, %v", len(all), err)
	}
	for g, gen := range all {
		if got := gen.Stages[0].Acked; got != 1<<g {
			t.Errorf("generation %d has %d nodes, want %d", g, got, 1<<g)
		}
	}
	if err := here.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
