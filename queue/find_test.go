package queue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

func TestFindFollowsAnItem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		commit := func(tx *queue.Tx) {
			t.Helper()
			if err := s.Commit(ctx, tx); err != nil {
				t.Fatal(err)
			}
		}
		state := func(key string) string {
			t.Helper()
			w, err := s.Find(ctx, "q", key)
			if errors.Is(err, queue.ErrNotFound) {
				return "none"
			}
			if err != nil {
				t.Fatal(err)
			}
			if w.Item.Key != key {
				t.Errorf("Find(%q) returned the item %q", key, w.Item.Key)
			}
			return w.State.String()
		}
		if _, err := s.Find(ctx, "q", "a"); !errors.Is(err, queue.ErrUnknownQueue) {
			t.Errorf("Find in a queue that does not exist: %v", err)
		}
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{Key: "a", Group: "g"}, queue.Item{Key: "b", Delay: time.Hour})
		commit(&tx)
		if a, b, c := state("a"), state("b"), state("c"); a != "ready" || b != "delayed" || c != "none" {
			t.Errorf("states %s, %s, %s, want ready, delayed, none", a, b, c)
		}
		c, err := s.Subscribe(ctx, "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := state("a"); got != "leased" {
			t.Errorf("a received item is %s, want leased", got)
		}
		if st, err := s.QueueStats(ctx, "q"); err != nil || st.GroupsBusy != 1 {
			t.Errorf("GroupsBusy = %d, %v, want 1", st.GroupsBusy, err)
		}
		tx.Reset()
		tx.RetryAfter(ds[0], time.Minute, errors.New("failed"))
		commit(&tx)
		if got := state("a"); got != "delayed" {
			t.Errorf("a retried item is %s, want delayed", got)
		}
		time.Sleep(2 * time.Minute) // of the bubble's own time
		if ds, err = c.Receive(ctx, 1); err != nil {
			t.Fatal(err)
		}
		tx.Reset()
		tx.Ack(ds...)
		commit(&tx)
		if got := state("a"); got != "none" {
			t.Errorf("an acked item is %s, want none", got)
		}
		if err := s.Check(ctx); err != nil {
			t.Error(err)
		}
	})
}
