package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// narrow is a backend that takes small batches.
type narrow struct{ driver.Store }

func (n narrow) Limits() driver.Limits {
	l := n.Store.Limits()
	l.Writes = 160
	return l
}

// A stage that emits more than a transaction can hold loses nothing and repeats
// nothing, wherever the process dies meanwhile.
func TestASuccessThatIsLargerThanATransaction(t *testing.T) {
	const links = 60
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			died := false
			synctest.Test(t, func(t *testing.T) {
				disk := memqueue.NewDisk()
				died = runLarge(t, disk, links, queuetest.Fault{Method: "Commit", At: k, After: after})
				if died {
					runLarge(t, disk, links, queuetest.Fault{})
				}
				checkLarge(t, disk, links)
			})
			if t.Failed() {
				t.Fatalf("k=%d after=%v", k, after)
			}
			if !died {
				if k < 6 {
					t.Errorf("it took %d commits, which are too few to be in parts", k)
				}
				break
			}
		}
	}
}

func runLarge(t *testing.T, disk *memqueue.Disk, links int, fault queuetest.Fault) (died bool) {
	t.Helper()
	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	faulty := queuetest.NewFaulty(narrow{db}, fault)
	store, err := queue.New(t.Context(), faulty, nil)
	if err != nil {
		db.Close()
		if faulty.Died() {
			return true
		}
		t.Fatal(err)
	}
	defer store.Close()
	pages, texts := pipeline.NewEdge[int]("pages"), pipeline.NewEdge[int]("texts")
	pages.Key = func(n int) string { return fmt.Sprint(n) }
	pages.Group = func(n int) string { return fmt.Sprint(n % 7) }
	p := pipeline.New(store, nil)
	pipeline.Handle(p, pages, func(_ context.Context, n int, out *pipeline.Out) error {
		if n == 0 {
			for i := range links {
				pages.Emit(out, i+1)
				out.PutAhead("skips", fmt.Sprint(i), []byte("too far"))
			}
			texts.Emit(out, n)
		}
		out.Tx().Add("visits", fmt.Sprintf("%d in %d", n, out.Generation()), 1)
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{pages, texts}})
	pipeline.Handle(p, texts, func(_ context.Context, n int, out *pipeline.Out) error {
		out.Tx().Add("texts", fmt.Sprint(n), 1)
		return nil
	}, nil)
	err = pipeline.Seed(t.Context(), p, pages, 0)
	if err == nil {
		err = p.Run(t.Context())
	}
	if err != nil && !faulty.Died() {
		t.Error(err)
	}
	return faulty.Died()
}

func checkLarge(t *testing.T, disk *memqueue.Disk, links int) {
	t.Helper()
	store, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	for table, want := range map[string]int{"visits": links + 1, "texts": 1, "skips": links} {
		all, err := store.Scan(t.Context(), table, "", "", 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != want {
			t.Errorf("%d records in %s, want %d", len(all), table, want)
		}
		for _, r := range all {
			if table == "skips" {
				continue
			}
			if n, err := queue.ParseCounter(r.Value); n != 1 || err != nil {
				t.Errorf("%s %s: %d, %v, want 1", table, r.Key, n, err)
			}
			if g := strings.HasSuffix(r.Key, " in 1"); table == "visits" && g == strings.HasPrefix(r.Key, "0 ") {
				t.Errorf("visit %s is in the wrong generation", r.Key)
			}
		}
	}
	dead, err := store.DeadLetters(t.Context(), "pages", 0, 1)
	if err != nil || len(dead) != 0 {
		t.Errorf("dead letters %v, %v", dead, err)
	}
}

// Where nothing may be committed ahead, what can never be stored is buried.
func TestASuccessThatCannotBeDividedIsBuried(t *testing.T) {
	for name, emit := range map[string]func(e *pipeline.Edge[string], out *pipeline.Out){
		"items without keys": func(e *pipeline.Edge[string], out *pipeline.Out) {
			for range 200 * 64 { // small ones share a write
				e.Emit(out, "")
			}
		},
		"one item": func(e *pipeline.Edge[string], out *pipeline.Out) {
			out.Enqueue(e, queue.Item{Key: "a", Body: make([]byte, 1<<30)})
		},
		"the rest": func(e *pipeline.Edge[string], out *pipeline.Out) {
			out.Enqueue(e, queue.Item{Key: "a"})
			for i := range 200 {
				out.Tx().Put("table", fmt.Sprint(i), nil)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db, err := memqueue.NewDisk().Driver()
				if err != nil {
					t.Fatal(err)
				}
				store, err := queue.New(t.Context(), narrow{db}, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				first, second := pipeline.NewEdge[int]("first"), pipeline.NewEdge[string]("second")
				p := pipeline.New(store, nil)
				pipeline.Handle(p, first, func(_ context.Context, _ int, out *pipeline.Out) error {
					emit(second, out)
					return nil
				}, &pipeline.StageOptions{Feeds: pipeline.Edges{second}})
				pipeline.Handle(p, second, func(context.Context, string, *pipeline.Out) error { return nil }, nil)
				if err := pipeline.Seed(t.Context(), p, first, 1); err != nil {
					t.Fatal(err)
				}
				if err := p.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				dead, err := store.DeadLetters(t.Context(), "first", 0, 10)
				if err != nil || len(dead) != 1 || !strings.Contains(dead[0].Reason, queue.ErrTooLarge.Error()) {
					t.Errorf("dead letters %v, %v", dead, err)
				}
				if _, err := store.Get(t.Context(), "table", "0"); !errors.Is(err, queue.ErrNotFound) {
					t.Errorf("a part of the rest was committed: %v", err)
				}
			})
		})
	}
}
