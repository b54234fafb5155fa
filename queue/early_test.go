package queue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// hooked calls a function when a batch is durable and not yet published.
type hooked struct {
	driver.Store
	committed func()
}

func (h *hooked) Commit(ctx context.Context, writes []driver.Write) error {
	err := h.Store.Commit(ctx, writes)
	if h.committed != nil {
		h.committed()
	}
	return err
}

// TestCountsWhileAnItemIsReadBeforePublication has a receiver take items from the
// disk, new ones and one that was delayed, in the moment between the commit of their
// batch and its publication.
func TestCountsWhileAnItemIsReadBeforePublication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		disk := memqueue.NewDisk()
		first, err := disk.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		build(t, first, func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("one")}, queue.Item{Delay: time.Second})
		})
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		db, err := disk.Driver()
		if err != nil {
			t.Fatal(err)
		}
		h := &hooked{Store: db}
		s, err := queue.New(ctx, h, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := s.Subscribe(ctx, "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		leased := 0
		h.committed = func() {
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			if ds, err := c.Receive(short, 5); err == nil {
				leased += len(ds)
			}
			if st := stats(t, s)[0]; st.Ready < 0 || st.Delayed < 0 || st.Leased != int64(leased) {
				t.Errorf("%d items are leased, and the counts are %+v", leased, st)
			}
		}
		build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Body: []byte("two")}) })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		h.committed = nil
		if st, err := s.QueueStats(ctx, "q"); err != nil || leased == 0 || st.Ready+st.Delayed+st.Leased != 3 {
			t.Errorf("at the end %d are leased, and the counts are %+v, %v", leased, st, err)
		}
	})
}

// TestItemReadBeforePublicationIsDeliveredOnce has a receiver read an item from
// disk in the moment between its commit and its publication.
func TestItemReadBeforePublicationIsDeliveredOnce(t *testing.T) {
	ctx := t.Context()
	disk := memqueue.NewDisk()
	first, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	build(t, first, func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Body: []byte("one")}) })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	h := &hooked{Store: db}
	s, err := queue.New(ctx, h, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.Subscribe(ctx, "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	var early []*queue.Delivery
	h.committed = func() {
		h.committed = nil
		if early, err = c.Receive(ctx, 10); err != nil {
			t.Error(err)
		}
		if st := stats(t, s)[0]; st.Ready != 0 || st.Delayed != 0 || st.Leased != 2 {
			t.Errorf("before publication %+v, want 2 leased and none ready", st)
		}
	}
	build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Body: []byte("two")}) })
	if len(early) != 2 {
		t.Fatalf("%d items were received before publication, want both", len(early))
	}
	if st, err := s.QueueStats(ctx, "q"); err != nil || st.Ready != 0 || st.Leased != 2 {
		t.Errorf("after publication %+v, %v, want 2 leased and none ready", st, err)
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
	build(t, s, func(tx *queue.Tx) { tx.Release(early...) })
	again, err := c.Receive(ctx, 10)
	if err != nil || len(again) != 2 {
		t.Errorf("%d items after the release, %v, want 2", len(again), err)
	}
	build(t, s, func(tx *queue.Tx) { tx.Ack(again...) })
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
}

func build(t *testing.T, s *queue.Store, fill func(*queue.Tx)) {
	t.Helper()
	var tx queue.Tx
	fill(&tx)
	commit(t, s, &tx)
}

// stats returns the numbers of all queues.
func stats(t *testing.T, s *queue.Store) []queue.QueueStats {
	t.Helper()
	all, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}
