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
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// tape is what a journal writes to: it outlives the process, and so does whatever was
// written to it and belongs to no transaction.
type tape struct {
	t       *testing.T
	store   *queue.Store
	entries []int
	end     int // of the last call
	most    int // entries in one group
	fail    func() error
}

func (p *tape) write(ctx context.Context, entries []int, tx *queue.Tx) error {
	end, err := storedEnd(ctx, p.store)
	if err != nil {
		return err
	}
	if end > len(p.entries) {
		p.t.Errorf("the store has an end of %d, and %d entries were written", end, len(p.entries))
	}
	time.Sleep(time.Millisecond) // others gather meanwhile
	p.most = max(p.most, len(entries))
	p.entries = append(p.entries[:end], entries...)
	if p.fail != nil {
		if err := p.fail(); err != nil {
			return err
		}
	}
	p.end = len(p.entries)
	tx.Put("journal", "end", strconv.AppendInt(nil, int64(p.end), 10))
	return nil
}

func storedEnd(ctx context.Context, store *queue.Store) (int, error) {
	b, err := store.Get(ctx, "journal", "end")
	if errors.Is(err, queue.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

const journalValues = 40

// refusedValue says that the store refuses what the stage wants for a value.
func refusedValue(n int) bool { return n%10 == 3 }

// runJournal runs a stage that writes each of its values to a journal and hands it on to
// another, which may be chained and writes its negative.
func runJournal(t *testing.T, disk *memqueue.Disk, p *tape, fault queuetest.Fault, wrap func(driver.Store) driver.Store) (died bool) {
	t.Helper()
	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	faulty := queuetest.NewFaulty(wrap(db), fault)
	store, err := queue.New(t.Context(), faulty, nil)
	if err != nil {
		db.Close()
		if faulty.Died() {
			return true
		}
		t.Fatal(err)
	}
	defer store.Close()
	p.store = store
	values, texts := pipeline.NewEdge[int]("values"), pipeline.NewEdge[int]("texts")
	values.Config.MaxAttempts = 2
	values.Key = func(n int) string { return fmt.Sprint(n) }
	journal := pipeline.NewJournal(p.write)
	pl := pipeline.New(store, &pipeline.Options{DrainTime: time.Second})
	pipeline.Handle(pl, values, func(_ context.Context, n int, out *pipeline.Out) error {
		journal.Add(out, n)
		if refusedValue(n) {
			out.Tx().Require("nothing", "is here", []byte("x"))
		}
		if n == 5 && out.Attempt() == 1 {
			return errors.New("another time") // the entry is dropped
		}
		out.Tx().Add("visits", fmt.Sprint(n), 1)
		texts.Emit(out, n)
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{texts}, Workers: 16, MinWorkers: 16})
	pipeline.Handle(pl, texts, func(_ context.Context, n int, out *pipeline.Out) error {
		journal.Add(out, -n)
		if n == 7 && out.Attempt() == 1 {
			return errors.New("another time")
		}
		out.Tx().Add("visits", fmt.Sprint(-n), 1)
		return nil
	}, nil)
	seeds := make([]int, journalValues)
	for i := range seeds {
		seeds[i] = i + 1
	}
	err = pipeline.Seed(t.Context(), pl, values, seeds...)
	if err == nil {
		err = pl.Run(t.Context())
	}
	if err != nil && !faulty.Died() {
		t.Error(err)
	}
	return faulty.Died()
}

// checkJournal makes sure that what lies in front of the journal's end is what the store
// has, once.
func checkJournal(t *testing.T, disk *memqueue.Disk, p *tape, done bool) {
	t.Helper()
	store, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	end, err := storedEnd(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if end > len(p.entries) {
		t.Fatalf("the journal ends at %d, and has %d entries", end, len(p.entries))
	}
	if done && end != len(p.entries) {
		t.Errorf("%d entries lie behind the end when all is done", len(p.entries)-end)
	}
	written := slices.Sorted(slices.Values(p.entries[:end]))
	var stored []int
	visits, err := store.Scan(t.Context(), "visits", "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range visits {
		n, err := strconv.Atoi(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, n)
		if c, err := queue.ParseCounter(v.Value); c != 1 || err != nil {
			t.Errorf("%d visits of %d, %v", c, n, err)
		}
	}
	slices.Sort(stored)
	if !slices.Equal(written, stored) {
		t.Errorf("written  %v\nin store %v", written, stored)
	}
	if !done {
		return
	}
	var want []int
	for n := 1; n <= journalValues; n++ {
		if !refusedValue(n) {
			want = append(want, n, -n)
		}
	}
	slices.Sort(want)
	if !slices.Equal(stored, want) {
		t.Errorf("in store %v\nwant     %v", stored, want)
	}
}

// A journal has what the store has, once, wherever the process dies: between a write and
// its commit, right after the commit, or elsewhere; whatever the store refuses, and where
// groups are too large for it.
func TestJournalAgreesWithTheStore(t *testing.T) {
	for name, wrap := range map[string]func(driver.Store) driver.Store{
		"large batches": func(db driver.Store) driver.Store { return db },
		"small batches": func(db driver.Store) driver.Store { return narrow{db} },
	} {
		t.Run(name, func(t *testing.T) {
			for _, after := range []bool{false, true} {
				for k := 1; ; k++ {
					died, most := false, 0
					synctest.Test(t, func(t *testing.T) {
						disk, p := memqueue.NewDisk(), &tape{t: t}
						died = runJournal(t, disk, p, queuetest.Fault{Method: "Commit", At: k, After: after}, wrap)
						if died {
							checkJournal(t, disk, p, false)
							runJournal(t, disk, p, queuetest.Fault{}, wrap)
						}
						checkJournal(t, disk, p, true)
						most = p.most
					})
					if t.Failed() {
						t.Fatalf("k=%d after=%v", k, after)
					}
					if most < 4 {
						t.Errorf("at most %d entries were written at once", most)
					}
					if !died {
						break
					}
				}
			}
		})
	}
}

// While a journal cannot be written the values wait for it; when the pipeline stops
// meanwhile they go back as they were.
func TestJournalThatCannotBeWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		mended bool
		err    error
		want   error
	}{
		"for a while":      {true, pipeline.RetryAfter(time.Second, errors.New("no space")), nil},
		"until it stops":   {false, pipeline.RetryAfter(time.Second, errors.New("no space")), nil},
		"nor ever will be": {false, errNever, errNever},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer check(t, store)
				begin, failures := time.Now(), 0
				p := &tape{t: t, store: store}
				p.fail = func() error {
					if tt.mended && time.Since(begin) > 10*time.Second {
						return nil
					}
					failures++
					return tt.err
				}
				values := pipeline.NewEdge[int]("values")
				journal := pipeline.NewJournal(p.write)
				pl := pipeline.New(store, nil)
				pipeline.Handle(pl, values, func(_ context.Context, n int, out *pipeline.Out) error {
					journal.Add(out, n)
					return nil
				}, &pipeline.StageOptions{Workers: 2})
				if err := pipeline.Seed(t.Context(), pl, values, 1, 2, 3); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := pl.Run(ctx); !errors.Is(err, tt.want) {
					t.Fatalf("Run: %v, want %v", err, tt.want)
				}
				if failures == 0 {
					t.Error("nothing has failed")
				}
				done, waiting := 0, 3
				if tt.mended {
					done, waiting = 3, 0
				}
				stats, err := store.QueueStats(t.Context(), "values")
				if err != nil {
					t.Fatal(err)
				}
				if end, err := storedEnd(t.Context(), store); err != nil || end != done || int(stats.Totals.Acked) != done {
					t.Errorf("%d entries, %v, %d acked, want %d", end, err, stats.Totals.Acked, done)
				}
				if n, err := pipeline.Done(t.Context(), store); err != nil || n != (waiting == 0) {
					t.Errorf("done is %v, %v", n, err)
				}
			})
		})
	}
}

var errNever = errors.New("never")

// A call of a stage has one journal, since there is one order for each.
func TestTwoJournals(t *testing.T) {
	none := func(context.Context, []int, *queue.Tx) error { return nil }
	a, b, out := pipeline.NewJournal(none), pipeline.NewJournal(none), pipeline.NewOut()
	a.Add(out, 1)
	a.Add(out, 2)
	if err := out.Err(); err != nil {
		t.Error(err)
	}
	if b.Add(out, 3); out.Err() == nil {
		t.Error("a second journal is taken")
	}
}
