package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A machine whose clock has been set back while no process had the store open goes on at
// the store's time: a delay of a minute is a minute, and no more. Each bubble begins at the
// same time, so the second one is an hour behind.
func TestClockGoesOnWhereTheStoreWas(t *testing.T) {
	disk := memqueue.NewDisk()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		s, err := disk.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{Delay: time.Minute})
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s, err := disk.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st, err := s.QueueStats(t.Context(), "q")
		if err != nil || st.ClockBehind < 59*time.Minute || st.ClockBehind > 61*time.Minute {
			t.Errorf("the clock is said to be %v behind, %v; want an hour", st.ClockBehind, err)
		}
		c, err := s.Subscribe(t.Context(), "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		began := time.Now()
		if _, err := c.Receive(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("a delay of a minute took %v", took)
		}
	})
}
