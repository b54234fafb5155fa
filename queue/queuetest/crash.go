package queuetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

var crashStepFlag = flag.Int("crash-step", 0, "try every so many-th write of CrashAtEveryWrite, instead of the default")

// crashRun is what is run until it dies, and then from the beginning: it finds in
// the store how far it has come.
type crashRun struct {
	name  string
	run   func(ctx context.Context, s *queue.Store) error
	check func(t testing.TB, s *queue.Store) // how it must have ended
}

var crashRuns = []crashRun{
	{"Crawl", func(ctx context.Context, s *queue.Store) error { return (&crawl{s: s}).run(ctx) }, checkCrawl},
	{"Defer", runDeferral, checkDeferral},
}

// CrashAtEveryWrite runs a small crawl in generations, and then other things, on a
// driver that dies at its first Commit, its second, and so on until a run comes
// through, each time before and after the write has taken effect; then the same for
// notes. After each death the store is opened again on the same disk, and all must
// end as if nothing had happened. A step of more than one tries every so many-th write
// alone, for a backend that is slow to open; the flag -crash-step overrides it.
func CrashAtEveryWrite(t *testing.T, h Harness, step int) {
	if *crashStepFlag > 0 {
		step = *crashStepFlag
	}
	for _, what := range crashRuns {
		for _, method := range []string{"Commit", "AppendNotes", "ResetNotes"} {
			for _, after := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/after=%v", what.name, method, after), func(t *testing.T) {
					died := true
					for k := 1; died; k += step {
						synctest.Test(t, func(t *testing.T) {
							died = crashAt(t, h, what, Fault{Method: method, At: k, After: after})
						})
						if t.Failed() {
							t.Fatalf("%s number %d", method, k)
						}
					}
				})
			}
		}
	}
}

// crashAt runs something with one fault and reports whether it has struck.
func crashAt(t *testing.T, h Harness, what crashRun, fault Fault) bool {
	disk := h(t)
	died := false
	for life := 0; ; life++ {
		if life > 2 {
			t.Fatalf("%s does not end", what.name)
		}
		db, err := disk.Driver()
		if err != nil {
			t.Fatal(err)
		}
		db = strict(t, db)
		f := NewFaulty(db, fault)
		if died {
			f = NewFaulty(db, Fault{})
		}
		s, err := queue.New(t.Context(), f, watched(t, &queue.Options{GroupMemory: 2}))
		if err == nil {
			err = what.run(t.Context(), s)
			if err == nil {
				what.check(t, s)
			}
			if closeErr := s.Close(); err == nil {
				err = closeErr
			}
		} else {
			db.Close()
		}
		synctest.Wait()
		switch {
		case f.Died():
			died = true
			if err != nil && !errors.Is(err, ErrInjected) {
				t.Fatalf("it failed with %v, not with what the driver returned", err)
			}
		case err != nil:
			t.Fatal(err)
		default:
			return died
		}
	}
}

// crawl is a pipeline of two queues over a known tree. Links found by one
// generation are the next; a coordinator closes each with barriers.
type crawl struct{ s *queue.Store }

const crawlDepth = 3

// The tree: node "r.1.0" has parent "r.1". All nodes link to "r.0" besides,
// which must be crawled once. Node "r.1.1" fails every time, "r.0.1" at first.
func children(node string) []string {
	if strings.Count(node, ".") >= crawlDepth {
		return []string{"r.0"}
	}
	return []string{node + ".0", node + ".1", "r.0"}
}

func (c *crawl) run(ctx context.Context) error {
	if _, err := c.s.Get(ctx, "crawl", "seeded"); errors.Is(err, queue.ErrNotFound) {
		var tx queue.Tx
		tx.Configure("pages", queue.Config{MaxAttempts: 4, Backoff: queue.Backoff{Min: time.Second}, Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: 10 * time.Millisecond}})
		tx.Enqueue("pages", page("r"))
		tx.Barrier("pages", []byte("0"))
		tx.Put("crawl", "seeded", nil)
		if err := c.s.Commit(ctx, &tx); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	subs := make([]*queue.Consumer, 3)
	for i, sub := range []struct {
		queue string
		opts  queue.SubscribeOptions
	}{
		{"pages", queue.SubscribeOptions{Barriers: queue.NoBarriers}},
		{"pages", queue.SubscribeOptions{Durable: "coordinator", Barriers: queue.OnlyBarriers}},
		{"tags", queue.SubscribeOptions{Durable: "tagger"}},
	} {
		var err error
		if subs[i], err = c.s.Subscribe(ctx, sub.queue, &sub.opts); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(time.Hour); time.Now().Before(deadline); {
		idle := true
		for _, sub := range subs {
			ds, err := poll(ctx, sub, 2)
			if err != nil {
				return err
			}
			if len(ds) == 0 {
				continue
			}
			idle = false
			var tx queue.Tx
			for i, d := range ds {
				if i == 1 && d.ID%3 == 0 {
					tx.Release(d)
					continue
				}
				if err := c.work(ctx, &tx, d); err != nil {
					return err
				}
			}
			if err := c.s.Commit(ctx, &tx); err != nil {
				return err
			}
		}
		if _, err := c.s.Get(ctx, "crawl", "end"); err == nil && idle {
			return nil
		}
		if idle {
			time.Sleep(100 * time.Millisecond)
		}
	}
	return errors.New("the crawl does not end")
}

func page(node string) queue.Item {
	return queue.Item{Key: node, Body: []byte(node), Group: "host" + node[len(node)-1:]}
}

// work plans what one delivery comes to.
func (c *crawl) work(ctx context.Context, tx *queue.Tx, d *queue.Delivery) error {
	if d.Barrier != nil {
		return c.generation(tx, d)
	}
	node := string(d.Item.Body)
	table := d.Queue
	if _, err := c.s.Get(ctx, table, node); err == nil {
		return fmt.Errorf("%s of %s was acknowledged and came again", node, d.Queue)
	} else if !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	if node == "r.1.1" || node == "r.0.1" && d.Attempt == 1 {
		tx.Retry(d, errWork)
		return nil
	}
	if d.Queue == "pages" {
		for _, child := range children(node) {
			tx.Enqueue("pages", page(child))
		}
		tx.Enqueue("tags", item(node))
	}
	tx.Put(table, node, strconv.AppendUint(nil, uint64(d.Epoch), 10))
	tx.Ack(d)
	return nil
}

// generation plans the end of a generation.
func (c *crawl) generation(tx *queue.Tx, d *queue.Delivery) error {
	g := string(d.Barrier.Body)
	tx.Ack(d)
	n := d.Barrier.Counts
	tx.Put("generations", d.Queue+"/"+g, fmt.Appendf(nil, "%d %d %d", n.Enqueued, n.Acked, n.Buried))
	if d.Queue == "tags" {
		if n.Enqueued == 0 {
			tx.Put("crawl", "end", nil)
		}
		return nil
	}
	tx.Barrier("tags", []byte(g))
	if n.Enqueued > 0 {
		tx.Barrier("pages", fmt.Append(nil, d.Epoch+1))
	}
	return nil
}

// poll returns what can be received at this moment in a bubble.
func poll(ctx context.Context, c *queue.Consumer, max int) (ds []*queue.Delivery, err error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		ds, err = c.Receive(ctx, max)
		close(done)
	}()
	synctest.Wait()
	cancel()
	<-done
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return ds, err
}

// checkCrawl checks how a crawl has ended.
func checkCrawl(t testing.TB, s *queue.Store) {
	t.Helper()
	ctx := t.Context()
	want := map[string]int{"r": 0} // node to depth, first found
	order := []string{"r"}
	for i := 0; i < len(order); i++ {
		if order[i] == "r.1.1" {
			continue
		}
		for _, child := range children(order[i]) {
			if _, ok := want[child]; !ok {
				want[child] = want[order[i]] + 1
				order = append(order, child)
			}
		}
	}
	perDepth := map[int]int{}
	for node, depth := range want {
		perDepth[depth]++
		for _, table := range []string{"pages", "tags"} {
			v, err := s.Get(ctx, table, node)
			switch {
			case node == "r.1.1":
				if err == nil {
					t.Errorf("%s has a record although it fails every time", node)
				}
			case err != nil:
				t.Errorf("%s is missing from %s: %v", node, table, err)
			case string(v) != strconv.Itoa(depth):
				t.Errorf("%s was worked on in generation %s of %s, want %d", node, v, table, depth)
			}
		}
	}
	for g := 0; g <= crawlDepth+1; g++ {
		buried := 0
		if g == 2 {
			buried = 1 // r.1.1
		}
		for _, q := range []string{"pages", "tags"} {
			wantRecord := fmt.Sprintf("%d %d %d", perDepth[g], perDepth[g]-buried, buried)
			if q == "tags" {
				wantRecord = fmt.Sprintf("%d %d 0", perDepth[g]-buried, perDepth[g]-buried)
			}
			if v, err := s.Get(ctx, "generations", fmt.Sprintf("%s/%d", q, g)); err != nil || string(v) != wantRecord {
				t.Errorf("generation %d of %s: %q, %v, want %q", g, q, v, err, wantRecord)
			}
		}
	}
	all, err := s.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range all {
		if st.Ready+st.Delayed+st.Leased+st.Later != 0 || st.Barriers != 0 {
			t.Errorf("the crawl has ended, and %s has %+v", st.Name, st)
		}
	}
	letters, err := s.DeadLetters(ctx, "pages", 0, 10)
	if err != nil || len(letters) != 1 || string(letters[0].Item.Body) != "r.1.1" || letters[0].Attempts-letters[0].Deaths != 4 {
		t.Errorf("dead letters = %+v, %v", letters, err)
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
}
