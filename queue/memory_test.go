package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// TestWhatTheCommitterRemembersIsBounded has it meet ever new keys, groups, batches,
// counters and blocks, and one item of each block settled, which is what it has to remember.
func TestWhatTheCommitterRemembersIsBounded(t *testing.T) {
	ctx := t.Context()
	const seen = 1 << 12
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	s, err := queue.New(ctx, db, &queue.Options{SeenMemory: seen, GroupMemory: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Subscribe(ctx, "blocks", &queue.SubscribeOptions{Prefetch: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var most queue.Remembered
	const each = 1000
	rounds := 35
	if *long {
		rounds = 70 // more lanes than are known at once
	}
	for round := range rounds {
		build(t, s, func(tx *queue.Tx) {
			for i := range each {
				n := fmt.Sprint(round, " ", i)
				tx.Enqueue("q", queue.Item{Key: n, Group: n, Batch: n})
				tx.Add("t", n, 1)
				tx.Enqueue("blocks", queue.Item{Group: fmt.Sprint(i)}, queue.Item{Group: fmt.Sprint(i)})
			}
		})
		held := make(map[string]*queue.Delivery)
		for n := 0; n < 2*each; {
			ds, err := c.Receive(ctx, 2*each)
			if err != nil {
				t.Fatal(err)
			}
			n += len(ds)
			for _, d := range ds {
				held[d.Item.Group] = d
			}
		}
		build(t, s, func(tx *queue.Tx) {
			for _, d := range held {
				tx.Ack(d)
			}
		})
		r, err := s.Remembered(ctx)
		if err != nil {
			t.Fatal(err)
		}
		most.Marks, most.Settled = max(most.Marks, r.Marks), max(most.Settled, r.Settled)
		most.Lanes, most.Counters, most.Filter = max(most.Lanes, r.Lanes), max(most.Counters, r.Counters), max(most.Filter, r.Filter)
		most.Batches = max(most.Batches, r.Batches)
	}
	t.Logf("after %d keys, groups, counters and blocks at most %+v are remembered", rounds*each, most)
	if most.Marks > queue.MaxMarks || most.Settled > queue.MaxSettled || most.Lanes > queue.MaxLanes || most.Counters > queue.MaxCounters || most.Batches > queue.MaxBatches || most.Filter > seen {
		t.Errorf("at most %+v are remembered", most)
	}
	if most.Marks < queue.MaxMarks/2 || most.Settled < queue.MaxSettled/2 || most.Lanes < queue.MaxLanes/2 || most.Batches < queue.MaxBatches/2 {
		t.Errorf("only %+v are remembered: this is no adversary", most)
	}
}

// passing is a driver that notes where scans of lane records begin, and what of
// them has been deleted.
type passing struct {
	driver.Store
	mu      sync.Mutex
	deleted [][]byte
	passed  int // deleted records that scans have passed over
	scans   int
}

func (d *passing) Scan(ctx context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	if start[0] == 'l' {
		var last []byte
		err := d.Store.Scan(ctx, start, end, func(key, value []byte) bool {
			last = bytes.Clone(key)
			return fn(key, value)
		})
		d.mu.Lock()
		defer d.mu.Unlock()
		d.scans++
		for _, key := range d.deleted {
			if bytes.Compare(key, start) >= 0 && last != nil && bytes.Compare(key, last) < 0 {
				d.passed++
			}
		}
		return err
	}
	return d.Store.Scan(ctx, start, end, fn)
}

func (d *passing) Commit(ctx context.Context, writes []driver.Write) error {
	d.mu.Lock()
	for _, w := range writes {
		if w.Delete && w.Key[0] == 'l' {
			d.deleted = append(d.deleted, bytes.Clone(w.Key))
		}
	}
	d.mu.Unlock()
	return d.Store.Commit(ctx, writes)
}

// TestSweepingPassesOverNothingTwice: the records of lanes that finished epochs leave
// are removed in many batches, and a scan for the next ones must not pass over the
// tombstones of those before.
func TestSweepingPassesOverNothingTwice(t *testing.T) {
	ctx := t.Context()
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	d := &passing{Store: db}
	s, err := queue.New(ctx, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Subscribe(ctx, "q", &queue.SubscribeOptions{Prefetch: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const epochs, lanes = 4, 5000
	for epoch := range epochs {
		build(t, s, func(tx *queue.Tx) {
			for i := range lanes {
				tx.Enqueue("q", queue.Item{Group: fmt.Sprint("group ", i)})
			}
			tx.Barrier("q", nil)
		})
		for n := 0; n <= lanes; {
			ds, err := c.Receive(ctx, lanes)
			if err != nil {
				t.Fatal(err)
			}
			n += len(ds)
			build(t, s, func(tx *queue.Tx) { tx.Ack(ds...) })
		}
		build(t, s, func(tx *queue.Tx) { tx.Put("t", fmt.Sprint(epoch), nil) })
	}
	for range 200 { // each batch removes a piece
		build(t, s, func(tx *queue.Tx) { tx.Put("t", "k", nil) })
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t.Logf("%d records of lanes were removed with %d scans, which passed over %d", len(d.deleted), d.scans, d.passed)
	if len(d.deleted) < (epochs-1)*lanes {
		t.Errorf("%d records of lanes were removed, want at least %d", len(d.deleted), (epochs-1)*lanes)
	}
	if d.passed > 0 {
		t.Errorf("scans passed %d times over what had been removed", d.passed)
	}
}
