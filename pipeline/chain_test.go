package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// doc is a value with a part that is not encoded: it is there only where the value
// was chained.
type doc struct {
	N    int
	tree *int
}

func liveDoc(n int) doc { return doc{n, &n} }

// chained counts the values that came to a stage with their live part.
type chained struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *chained) note(stage string, d doc) {
	if d.tree == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[string]int)
	}
	c.n[stage]++
}

// chain is a crawl of the numbers below limit with two stages behind it, some of
// which fail, once or for good, in every way that there is. unit is how long a failed
// value waits at first.
func chain(store *queue.Store, limit int, unit time.Duration, options *pipeline.Options) (*pipeline.Pipeline, *pipeline.Edge[int], *chained) {
	seen := new(chained)
	nodes, texts, tags := pipeline.NewEdge[int]("nodes"), pipeline.NewEdge[doc]("texts"), pipeline.NewEdge[doc]("tags")
	nodes.Key = func(n int) string { return fmt.Sprint(n) }
	for _, c := range []*queue.Config{&nodes.Config, &texts.Config, &tags.Config} {
		*c = queue.Config{MaxAttempts: 3, MaxDeaths: 50, Backoff: queue.Backoff{Min: unit, Jitter: -1}}
	}
	p := pipeline.New(store, options)
	record := func(out *pipeline.Out, stage string, n int) {
		out.Tx().Add("done", fmt.Sprint(stage, " ", n), 1)
		out.OnFailure().Add("failed", fmt.Sprint(stage, " ", n), 1)
	}
	pipeline.Handle(p, nodes, func(_ context.Context, n int, out *pipeline.Out) error {
		record(out, "nodes", n)
		for _, child := range []int{2 * n, 2*n + 1} {
			if child < limit {
				nodes.Emit(out, child)
			}
		}
		texts.Emit(out, liveDoc(n))
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, texts}})
	pipeline.Handle(p, texts, func(_ context.Context, d doc, out *pipeline.Out) error {
		seen.note("texts", d)
		record(out, "texts", d.N)
		tags.Emit(out, liveDoc(d.N))
		switch {
		case d.N%7 == 3 && out.Failures() == 0:
			return errors.New("once")
		case d.N%11 == 5:
			return pipeline.Permanent(errors.New("never"))
		case d.N%13 == 6:
			panic("always")
		case d.N%17 == 8 && out.Failures() < 2:
			return pipeline.RetryAfter(60*unit, errors.New("later"))
		case d.N%19 == 9:
			out.Tx().Pause("nowhere") // which the store refuses
		}
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{tags}})
	pipeline.Handle(p, tags, func(_ context.Context, d doc, out *pipeline.Out) error {
		seen.note("tags", d)
		record(out, "tags", d.N)
		if d.N%5 == 2 && out.Failures() == 0 {
			return errors.New("once")
		}
		return nil
	}, nil)
	return p, nodes, seen
}

// summary is everything that a store says about what a chain has done.
func summary(t *testing.T, store *queue.Store) string {
	t.Helper()
	var b strings.Builder
	queues, err := store.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range queues {
		fmt.Fprintf(&b, "%s %+v dead %d barriers %d epoch %d of %d\n", st.Name, st.Totals, st.Dead, st.Barriers, st.Epoch, st.Tail)
		letters, err := store.DeadLetters(t.Context(), st.Name, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, l := range letters {
			lines = append(lines, fmt.Sprintf("  %s after %d: %s, epoch %d\n", l.Item.Body, l.Attempts, l.Reason, l.Epoch))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	}
	for _, table := range []string{"done", "failed"} {
		records, err := store.Scan(t.Context(), table, "", "", 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			fmt.Fprintf(&b, "%s %s %s\n", table, r.Key, r.Value)
		}
	}
	for _, g := range generations(t, store) {
		fmt.Fprintf(&b, "generation %d %+v\n", g.Number, g.Stages)
	}
	return b.String()
}

// C1 and C2: whether values are chained or not, the store says the same of every
// queue, generation, dead letter and record.
func TestNobodyCanTellThatValuesWereChained(t *testing.T) {
	const limit = 300
	for _, strict := range []bool{true, false} {
		var said []string
		for _, apart := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				p, nodes, seen := chain(store, limit, time.Second, &pipeline.Options{NoChaining: apart, Strict: strict})
				if err := pipeline.Seed(t.Context(), p, nodes, 1); err != nil {
					t.Fatal(err)
				}
				run(t, p)
				said = append(said, summary(t, store))
				switch n := seen.n["texts"] + seen.n["tags"]; {
				case apart && n > 0:
					t.Errorf("%v values were chained with NoChaining", seen.n)
				case !apart && n == 0, !apart && strict && (seen.n["texts"] < limit/2 || seen.n["tags"] < limit/4):
					// Where generations overlap, one that waits for an item that is tried
					// again keeps the next one apart.
					t.Errorf("only %v values of %d were chained, strict: %v", seen.n, limit, strict)
				}
			})
		}
		if said[0] != said[1] {
			t.Errorf("strict: %v, chained:\n%s\napart:\n%s", strict, said[0], said[1])
		}
	}
}

// A chained stage that fails does not cost what came before another attempt.
func TestAChainedFailureCostsItsOwnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		pages, texts := pipeline.NewEdge[int]("pages"), pipeline.NewEdge[doc]("texts")
		var mu sync.Mutex
		var calls []string
		call := func(what string) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, what)
		}
		p := pipeline.New(store, nil)
		pipeline.Handle(p, pages, func(_ context.Context, n int, out *pipeline.Out) error {
			call("fetch")
			out.OnCommit(func() { call("fetched") })
			texts.Emit(out, liveDoc(n))
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{texts}})
		pipeline.Handle(p, texts, func(_ context.Context, d doc, out *pipeline.Out) error {
			call(fmt.Sprint("extract ", out.Attempt(), d.tree != nil))
			out.OnCommit(func() { call("extracted") })
			if out.Attempt() == 1 {
				return errors.New("not now")
			}
			return nil
		}, nil)
		if err := pipeline.Seed(t.Context(), p, pages, 1); err != nil {
			t.Fatal(err)
		}
		run(t, p)
		if got, want := strings.Join(calls, ", "), "fetch, extract 1 true, fetched, extract 2 false, extracted"; got != want {
			t.Errorf("calls %s, want %s", got, want)
		}
	})
}

// C3: where a value would not have been delivered at once it is not chained.
func TestWhatIsNotChained(t *testing.T) {
	for name, tt := range map[string]struct {
		want    int // of 20 values
		edge    func(e *pipeline.Edge[doc])
		options pipeline.StageOptions
		batch   int
		slow    time.Duration
		before  func(tx *queue.Tx)
	}{
		"nothing in the way": {want: 20},
		"a slow stage":       {want: 1, slow: time.Second, options: pipeline.StageOptions{Workers: 1}}, // before it is known to be one
		"a serial stage":     {options: pipeline.StageOptions{Serial: true}},
		"a stage of batches": {batch: 4},
		"an unchained stage": {options: pipeline.StageOptions{Unchained: true}},
		"values with keys":   {edge: func(e *pipeline.Edge[doc]) { e.Key = func(d doc) string { return fmt.Sprint(d.N) } }},
		"values with groups": {edge: func(e *pipeline.Edge[doc]) { e.Group = func(doc) string { return "g" } }},
		"a limit":            {edge: func(e *pipeline.Edge[doc]) { e.Config.MaxInFlight = 1000 }},
		"a filter":           {edge: func(e *pipeline.Edge[doc]) { e.Config.BarrierOn = &queue.Filter{Key: "end"} }},
		"a pause":            {before: func(tx *queue.Tx) { tx.Pause("texts") }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				pages, texts := pipeline.NewEdge[int]("pages"), pipeline.NewEdge[doc]("texts")
				if tt.edge != nil {
					tt.edge(texts)
				}
				if tt.before != nil {
					var tx queue.Tx
					tx.Configure("texts", queue.Config{})
					tt.before(&tx)
					if err := store.Commit(t.Context(), &tx); err != nil {
						t.Fatal(err)
					}
					time.AfterFunc(time.Minute, func() {
						var tx queue.Tx
						tx.Resume("texts")
						if err := store.Commit(context.Background(), &tx); err != nil {
							t.Error(err)
						}
					})
				}
				seen := new(chained)
				p := pipeline.New(store, nil)
				pipeline.Handle(p, pages, func(_ context.Context, n int, out *pipeline.Out) error {
					texts.Emit(out, liveDoc(n))
					return nil
				}, &pipeline.StageOptions{Feeds: pipeline.Edges{texts}, Workers: 1})
				pipeline.HandleBatch(p, texts, max(tt.batch, 1), func(_ context.Context, in []doc, _ *pipeline.Out) error {
					for _, d := range in {
						seen.note("texts", d)
					}
					time.Sleep(tt.slow)
					return nil
				}, &tt.options)
				for n := range 20 {
					if err := pipeline.Seed(t.Context(), p, pages, n); err != nil {
						t.Fatal(err)
					}
				}
				run(t, p)
				if seen.n["texts"] != tt.want {
					t.Errorf("%d values were chained, want %d", seen.n["texts"], tt.want)
				}
				if st, err := store.QueueStats(t.Context(), "texts"); err != nil || st.Totals.Acked != 20 {
					t.Errorf("%+v, %v, want 20 values acked", st.Totals, err)
				}
			})
		})
	}
}

// Nor to a stage whose output has no room.
func TestNothingIsChainedBeforeAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		pages, texts, tags := pipeline.NewEdge[int]("pages"), pipeline.NewEdge[doc]("texts"), pipeline.NewEdge[int]("tags")
		tags.Config.HighWaterItems = 1
		item, err := tags.Item(0)
		if err != nil {
			t.Fatal(err)
		}
		var tx queue.Tx
		tx.Enqueue("tags", item)
		if err := store.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		seen := new(chained)
		done := 0
		p := pipeline.New(store, nil)
		pipeline.Handle(p, pages, func(_ context.Context, n int, out *pipeline.Out) error {
			texts.Emit(out, liveDoc(n))
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{texts}})
		pipeline.Handle(p, texts, func(_ context.Context, d doc, _ *pipeline.Out) error {
			seen.note("texts", d)
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{tags}})
		pipeline.Handle(p, tags, func(context.Context, int, *pipeline.Out) error {
			time.Sleep(time.Minute)
			done++
			return nil
		}, nil)
		if err := pipeline.Seed(t.Context(), p, pages, 1, 2, 3); err != nil {
			t.Fatal(err)
		}
		run(t, p)
		if n := seen.n["texts"]; n != 0 || done != 1 {
			t.Errorf("%d values were chained while the queue behind was full; it did %d", n, done)
		}
	})
}

// While the stage behind still works on one generation, values of the next one are
// not chained to it: its barrier has not passed.
func TestNothingIsChainedOverABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer check(t, store)
		nodes, texts := pipeline.NewEdge[int]("nodes"), pipeline.NewEdge[doc]("texts")
		seen := new(chained)
		open := make(map[int]int) // texts of each generation that are not done
		p := pipeline.New(store, nil)
		pipeline.Handle(p, nodes, func(_ context.Context, n int, out *pipeline.Out) error {
			if n < 5 {
				nodes.Emit(out, n+1)
			}
			texts.Emit(out, liveDoc(n))
			texts.Emit(out, liveDoc(n))
			return nil
		}, &pipeline.StageOptions{Feeds: pipeline.Edges{nodes, texts}})
		pipeline.Handle(p, texts, func(_ context.Context, d doc, out *pipeline.Out) error {
			seen.note("texts", d)
			for g, left := range maps.All(open) {
				if g < out.Generation() && left > 0 {
					t.Errorf("generation %d begins in texts with %d of generation %d to do", out.Generation(), left, g)
				}
			}
			if out.Attempt() == 1 {
				open[out.Generation()]++
				return pipeline.RetryAfter(time.Hour/20, errors.New("later"))
			}
			open[out.Generation()]--
			return nil
		}, &pipeline.StageOptions{Workers: 1})
		if err := pipeline.Seed(t.Context(), p, nodes, 0); err != nil {
			t.Fatal(err)
		}
		run(t, p)
		if gens := generations(t, store); len(gens) != 6 {
			t.Errorf("%d generations, want 6", len(gens))
		}
	})
}

// C4: after a death the stages run apart, so that the one that kills the process is
// found with its own item, and what came before is not repeated for ever.
func TestAKillerInAChainIsFound(t *testing.T) {
	disk := memqueue.NewDisk()
	fetched, killed := 0, 0
	for life := 0; ; life++ {
		if life > 20 {
			t.Fatal("no end")
		}
		var copied *memqueue.Disk
		synctest.Test(t, func(t *testing.T) {
			store, err := disk.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			ctx, die := context.WithCancel(t.Context())
			defer die()
			pages, texts := pipeline.NewEdge[int]("pages"), pipeline.NewEdge[doc]("texts")
			pages.Config.MaxDeaths, texts.Config.MaxDeaths = 3, 3
			p := pipeline.New(store, &pipeline.Options{DrainTime: 1})
			pipeline.Handle(p, pages, func(_ context.Context, n int, out *pipeline.Out) error {
				fetched++
				texts.Emit(out, liveDoc(n))
				return nil
			}, &pipeline.StageOptions{Feeds: pipeline.Edges{texts}})
			pipeline.Handle(p, texts, func(ctx context.Context, d doc, _ *pipeline.Out) error {
				killed++
				copied = disk.Clone() // what a death at this moment leaves
				die()
				<-ctx.Done()
				return ctx.Err()
			}, nil)
			if life == 0 {
				if err := pipeline.Seed(ctx, p, pages, 1); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Run(ctx); err != nil {
				t.Fatal(err)
			}
		})
		if copied == nil {
			break
		}
		disk = copied
	}
	if fetched != 2 || killed != 4 {
		t.Errorf("the page was fetched %d times and the process killed %d times, want 2, and 4", fetched, killed)
	}
	store, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	if letters, err := store.DeadLetters(t.Context(), "texts", 0, 10); err != nil || len(letters) != 1 || letters[0].Deaths != 3 {
		t.Errorf("dead letters %+v, %v, want the item that kills", letters, err)
	}
}
