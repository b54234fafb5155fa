package queue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// held is a driver whose batches can be read while their commits wait.
type held struct {
	driver.Store
	commit chan error
}

func (d held) Commit(ctx context.Context, writes []driver.Write) error {
	err := d.Store.Commit(ctx, writes)
	return errors.Join(err, <-d.commit)
}

// Who has read what a transaction has written finds it counted, though the commit has
// not returned: otherwise something that it has moved from a table to a queue is seen
// in neither.
func TestStatsCountWhatCanBeRead(t *testing.T) {
	for _, outcome := range []error{nil, errors.New("disk on fire")} {
		synctest.Test(t, func(t *testing.T) {
			db, err := memqueue.NewDisk().Driver()
			if err != nil {
				t.Fatal(err)
			}
			d := held{db, make(chan error, 10)}
			d.commit <- nil // a new store writes its version
			s, err := queue.New(t.Context(), d, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			go func() {
				var tx queue.Tx
				tx.Put("moved", "item", []byte("yes"))
				tx.Enqueue("q", queue.Item{Body: []byte("item")})
				_ = s.Commit(t.Context(), &tx)
			}()
			synctest.Wait()
			if _, err := s.Get(t.Context(), "moved", "item"); err != nil {
				t.Fatal(err)
			}
			var st queue.QueueStats
			counted := make(chan error)
			go func() {
				var err error
				st, err = s.QueueStats(t.Context(), "q")
				counted <- err
			}()
			synctest.Wait()
			select {
			case err := <-counted:
				t.Fatalf("%+v, %v, before the transaction is counted", st, err)
			default:
			}
			d.commit <- outcome
			if err := <-counted; outcome == nil && (err != nil || st.Ready != 1) {
				t.Errorf("%d ready, %v; want 1", st.Ready, err)
			} else if outcome != nil && err == nil {
				t.Errorf("%+v of a store that has failed", st)
			}
		})
	}
}

// Who waits for the count of what a stuck backend writes can give up.
func TestStatsEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		d := held{db, make(chan error, 10)}
		d.commit <- nil
		s, err := queue.New(t.Context(), d, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		go func() {
			var tx queue.Tx
			tx.Enqueue("q", queue.Item{Body: []byte("item")})
			_ = s.Commit(t.Context(), &tx)
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if st, err := s.QueueStats(ctx, "q"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%+v, %v, while the transaction is written; want the end of the context", st, err)
		}
		d.commit <- nil
	})
}
