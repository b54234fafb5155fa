package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// memoryOf returns how much of the heap is an open store's, less its disk: what becomes
// free when it is closed.
func memoryOf(t *testing.T, fill func(s *queue.Store)) int64 {
	t.Helper()
	disk := memqueue.NewDisk()
	s, err := disk.Open(&queue.Options{SeenMemory: -1, ItemMemory: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	fill(s)
	for range 4 { // plans let go of what they have written
		build(t, s, func(tx *queue.Tx) { tx.Put("t", "k", nil) })
	}
	open := heap()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = nil
	closed := heap()
	if _, err := disk.Driver(); err != nil { // it is still there
		t.Fatal(err)
	}
	return open - closed
}

// What is in flight is bounded by the sessions' prefetch, whatever they receive.
func TestInFlightIsBounded(t *testing.T) {
	const sessions, prefetch, body = 20, 100, 300
	var keep []*queue.Delivery
	used := memoryOf(t, func(s *queue.Store) {
		build(t, s, func(tx *queue.Tx) {
			for range 2 * sessions * prefetch {
				tx.Enqueue("q", queue.Item{Body: make([]byte, body)})
			}
		})
		for range sessions {
			c := subscribe(t, s, "q", &queue.SubscribeOptions{Prefetch: prefetch})
			for c.Holding() < prefetch {
				ds, err := c.Receive(t.Context(), 64)
				if err != nil {
					t.Fatal(err)
				}
				keep = append(keep, ds...)
			}
		}
		if st, err := s.QueueStats(t.Context(), "q"); err != nil || st.Leased != sessions*prefetch {
			t.Errorf("%d items are in flight, %v", st.Leased, err)
		}
		keep = nil
	})
	each := used / (sessions * prefetch)
	t.Logf("an item in flight takes %d bytes, its body of %d among them", each, body)
	if each > 3*body+1200 {
		t.Errorf("an item in flight with a body of %d bytes takes %d", body, each)
	}
}

// notedDisk is a driver that counts the bytes of the notes.
type notedDisk struct {
	driver.Store
	size, most, resets atomic.Int64
}

func (d *notedDisk) note(n int64) {
	for most := d.most.Load(); n > most && !d.most.CompareAndSwap(most, n); most = d.most.Load() {
	}
}

func (d *notedDisk) AppendNotes(ctx context.Context, note []byte) error {
	d.note(d.size.Add(int64(len(note))))
	return d.Store.AppendNotes(ctx, note)
}

func (d *notedDisk) ResetNotes(ctx context.Context, notes [][]byte) error {
	kept := int64(0)
	for _, n := range notes {
		kept += int64(len(n))
	}
	d.size.Store(kept)
	d.note(kept)
	d.resets.Add(1)
	return d.Store.ResetNotes(ctx, notes)
}

// Notes are rewritten when they have grown, so a file of them does not grow with what
// was taken and given back.
func TestNotesAreBounded(t *testing.T) {
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	disk := &notedDisk{Store: db}
	s, err := queue.New(t.Context(), disk, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const items = 200
	group := strings.Repeat("g", queue.MaxGroup)
	build(t, s, func(tx *queue.Tx) {
		for range items {
			tx.Enqueue("q", queue.Item{Group: group})
		}
	})
	c := subscribe(t, s, "q", nil)
	written := 0
	for range 60 {
		ds, err := c.Receive(t.Context(), items)
		if err != nil {
			t.Fatal(err)
		}
		written += 2 * len(ds) * queue.MaxGroup
		build(t, s, func(tx *queue.Tx) { tx.Release(ds...) })
		build(t, s, func(tx *queue.Tx) { tx.Put("t", "k", nil) }) // with which housekeeping comes
	}
	t.Logf("of %d bytes of notes at most %d were there at once; they were rewritten %d times", written, disk.most.Load(), disk.resets.Load())
	if most := disk.most.Load(); most > 2<<20 || written < 4<<20 {
		t.Errorf("the notes have grown to %d bytes, of %d", most, written)
	}
}

// Barriers that wait are on the disk, however large they are.
func TestBarriersThatWaitAreBounded(t *testing.T) {
	const barriers, body, headers = 2000, 2 << 10, queue.MaxHeaders - 100
	for _, way := range []string{"Barrier", "BarrierOn"} {
		used := memoryOf(t, func(s *queue.Store) {
			build(t, s, func(tx *queue.Tx) {
				tx.Configure("q", queue.Config{BarrierOn: &queue.Filter{Headers: map[string]string{"end": "yes"}}})
				tx.Enqueue("q", queue.Item{})
			})
			for range barriers / 100 {
				build(t, s, func(tx *queue.Tx) {
					for range 100 {
						if way == "Barrier" {
							tx.Barrier("q", make([]byte, body))
							continue
						}
						tx.Enqueue("q", queue.Item{Body: make([]byte, body), Headers: map[string]string{"end": "yes", "h": strings.Repeat("x", headers)}})
					}
				})
			}
		})
		each := used / barriers
		t.Logf("%s: a barrier that waits takes %d bytes of memory", way, each)
		if each > 1000 {
			t.Errorf("%s: a barrier that waits takes %d bytes of memory", way, each)
		}
	}
}

// A deferred group takes its name and some bytes, and there is a bound on their number.
func TestDeferredGroupsAreBounded(t *testing.T) {
	groups := 5000
	if *long {
		groups = queue.MaxDeferredGroups
	}
	used := memoryOf(t, func(s *queue.Store) {
		for i := 0; i < groups; i += 1000 {
			build(t, s, func(tx *queue.Tx) {
				for j := i; j < min(i+1000, groups); j++ {
					tx.DeferGroup("q", fmt.Sprintf("group %08d", j), time.Time{}, "sick")
				}
			})
		}
		if !*long {
			return
		}
		var tx queue.Tx
		tx.DeferGroup("q", "one more", time.Time{}, "")
		if err := s.Commit(t.Context(), &tx); !errors.Is(err, queue.ErrTooManyDeferred) {
			t.Errorf("one deferred group too many: %v", err)
		}
		build(t, s, func(tx *queue.Tx) { tx.DeferGroup("q", "group 00000000", time.Time{}, "still") })
	})
	each := used / int64(groups)
	t.Logf("a deferred group takes %d bytes", each)
	if each > 400 {
		t.Errorf("a deferred group takes %d bytes", each)
	}
}

// countedDisk is a driver that counts what is read.
type countedDisk struct {
	driver.Store
	reads atomic.Int64 // calls, and records
}

func (d *countedDisk) Get(ctx context.Context, key []byte) ([]byte, error) {
	d.reads.Add(1)
	return d.Store.Get(ctx, key)
}

func (d *countedDisk) Scan(ctx context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	d.reads.Add(1)
	return d.Store.Scan(ctx, start, end, func(key, value []byte) bool {
		d.reads.Add(1)
		return fn(key, value)
	})
}

// A commit does not look at groups that have nothing to do with it, however many there
// are, in memory and on disk.
func TestCommitDoesNotLookAtOtherGroups(t *testing.T) {
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	disk := &countedDisk{Store: db}
	const groups, commits = 20_000, 500
	s, err := queue.New(t.Context(), disk, &queue.Options{GroupMemory: groups / 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := 0; i < groups; i += 2000 {
		build(t, s, func(tx *queue.Tx) {
			for j := range 2000 {
				tx.Enqueue("q", queue.Item{Group: fmt.Sprint("group ", i+j)})
			}
		})
	}
	commit := func() {
		for i := range commits {
			build(t, s, func(tx *queue.Tx) {
				tx.Put("t", "k", nil)
				tx.Enqueue("q", queue.Item{Group: fmt.Sprint("group ", i%10)})
			})
		}
	}
	commit() // housekeeping has left what is too much to the disk
	disk.reads.Store(0)
	commit()
	t.Logf("%d commits beside %d groups read %d records", commits, groups, disk.reads.Load())
	if n := disk.reads.Load(); n > 5*commits {
		t.Errorf("%d commits read %d records", commits, n)
	}
}

// What a commit costs beside many groups, for docs/benchmarks.md.
func BenchmarkCommitBesideGroups(b *testing.B) {
	for _, groups := range []int{0, 2000, 200_000} {
		b.Run(fmt.Sprint("groups=", groups), func(b *testing.B) {
			s, err := memqueue.Open(nil)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			commit := func(tx *queue.Tx) {
				if err := s.Commit(b.Context(), tx); err != nil {
					b.Fatal(err)
				}
			}
			for i := 0; i < groups; i += 2000 {
				var tx queue.Tx
				for j := range 2000 {
					tx.Enqueue("q", queue.Item{Group: fmt.Sprint("group ", i+j)})
				}
				commit(&tx)
			}
			for b.Loop() {
				var tx queue.Tx
				tx.Put("t", "k", nil)
				tx.Enqueue("q", queue.Item{Group: "group 7"})
				commit(&tx)
			}
		})
	}
}
