package queuetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

const (
	sickItems = 70 // more than a block
	wellItems = 2
)

// runDeferral works on items of two groups, one of which is sick: it is deferred for
// an hour when its first item is seen, a barrier passes it, and it comes back before
// the next.
func runDeferral(ctx context.Context, s *queue.Store) error {
	if _, err := s.Get(ctx, "run", "seeded"); errors.Is(err, queue.ErrNotFound) {
		var tx queue.Tx
		tx.Configure("q", queue.Config{MaxAttempts: 4})
		for i := range sickItems {
			tx.Enqueue("q", queue.Item{Key: fmt.Sprint("s", i), Body: fmt.Append(nil, "s", i), Group: "sick", Priority: i % 2})
		}
		for i := range wellItems {
			tx.Enqueue("q", queue.Item{Key: fmt.Sprint("w", i), Body: fmt.Append(nil, "w", i), Group: "well"})
		}
		tx.Barrier("q", []byte("0"))
		tx.Put("run", "seeded", nil)
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	c, err := s.Subscribe(ctx, "q", &queue.SubscribeOptions{Durable: "it"})
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(24 * time.Hour); time.Now().Before(deadline); {
		ds, err := poll(ctx, c, 9)
		if err != nil {
			return err
		}
		var tx queue.Tx
		for _, d := range ds {
			if err := workDeferral(ctx, s, &tx, d); err != nil {
				return err
			}
		}
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
		if _, err := s.Get(ctx, "run", "end"); err == nil {
			synctest.Wait() // housekeeping may meet the fault yet
			_, err = s.Get(ctx, "run", "end")
			return err
		}
		if st, err := s.QueueStats(ctx, "q"); err != nil {
			return err
		} else if st.Totals.Rejoined == sickItems && st.Barriers == 0 && st.Epoch == 1 {
			tx.Reset()
			tx.Barrier("q", []byte("1"))
			if err := s.Commit(ctx, &tx); err != nil {
				return err
			}
		}
		if len(ds) == 0 {
			time.Sleep(10 * time.Minute)
			synctest.Wait()
		}
	}
	return errors.New("it does not end")
}

// workDeferral plans what one delivery comes to.
func workDeferral(ctx context.Context, s *queue.Store, tx *queue.Tx, d *queue.Delivery) error {
	if b := d.Barrier; b != nil {
		tx.Ack(d)
		n := b.Counts
		tx.Put("barriers", string(b.Body), fmt.Appendf(nil, "%d in %d back %d done %d away", n.Enqueued, n.Rejoined, n.Acked, n.Deferred))
		if string(b.Body) == "1" {
			tx.Put("run", "end", nil)
		}
		return nil
	}
	body := string(d.Item.Body)
	if d.Item.Group == "sick" {
		if _, err := s.Get(ctx, "run", "sick"); errors.Is(err, queue.ErrNotFound) {
			tx.DeferGroup("q", "sick", time.Now().Add(time.Hour), "it is sick")
			tx.Put("run", "sick", nil)
			tx.Release(d)
			return nil
		} else if err != nil {
			return err
		}
	}
	if _, err := s.Get(ctx, "done", body); err == nil {
		return fmt.Errorf("%s was acknowledged and came again", body)
	} else if !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	tx.Put("done", body, nil)
	tx.Ack(d)
	return nil
}

// checkDeferral checks how runDeferral has ended.
func checkDeferral(t testing.TB, s *queue.Store) {
	t.Helper()
	ctx := t.Context()
	done, err := s.Scan(ctx, "done", "", "", 1000)
	if err != nil || len(done) != sickItems+wellItems {
		t.Errorf("%d items are done, %v", len(done), err)
	}
	for barrier, want := range map[string]string{
		"0": fmt.Sprintf("%d in 0 back %d done %d away", sickItems+wellItems, wellItems, sickItems),
		"1": fmt.Sprintf("0 in %d back %d done 0 away", sickItems, sickItems),
	} {
		if got, err := s.Get(ctx, "barriers", barrier); err != nil || string(got) != want {
			t.Errorf("barrier %s counts %q, %v, want %q", barrier, got, err, want)
		}
	}
	st, err := s.QueueStats(ctx, "q")
	if err != nil || st.Ready+st.Delayed+st.Leased+st.Later+st.Deferred != 0 || st.Dead != 0 || st.Barriers != 0 {
		t.Errorf("all is done, and the queue has %+v, %v", st, err)
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
}
