package queue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A consumer that waits for what is there but not for it to take must sleep
// until something changes. In a bubble time stands still as long as anybody is
// busy, so a consumer that asks again and again never lets the minute pass.
func TestWaitingConsumersSleep(t *testing.T) {
	for _, test := range []struct {
		name    string
		config  queue.Config
		options queue.SubscribeOptions
		holds   int // items that the consumer has taken before
	}{
		{name: "barriers only", options: queue.SubscribeOptions{Barriers: queue.OnlyBarriers}},
		{name: "filter that matches nothing", options: queue.SubscribeOptions{Filter: &queue.Filter{Key: "none"}}},
		{name: "prefetch limit reached", options: queue.SubscribeOptions{Prefetch: 1}, holds: 1},
		{name: "queue limit reached", config: queue.Config{MaxInFlight: 1}, holds: 1},
		{name: "group limit reached", config: queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1}}, holds: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			busy := time.AfterFunc(10*time.Second, func() { panic("a waiting consumer is busy") })
			defer busy.Stop()
			synctest.Test(t, func(t *testing.T) {
				s := open(t)
				var tx queue.Tx
				tx.Configure("q", test.config)
				tx.Enqueue("q", queue.Item{Group: "g"}, queue.Item{Group: "g"}, queue.Item{Group: "g"})
				commit(t, s, &tx)
				c := subscribe(t, s, "q", &test.options)
				for range test.holds {
					receive(t, c)
				}
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					time.Sleep(time.Minute)
					cancel()
				}()
				if ds, err := c.Receive(ctx, 1); err == nil {
					t.Errorf("received %v", ds[0])
				}
			})
		})
	}
}

// What is due already is not handed over by a timer that is due when it is made: in a bubble
// those run at once, and not when everybody waits.
func TestNoTimerIsDueWhenItIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{})
		tx.Pause("q")
		commit(t, s, &tx)
		c := subscribe(t, s, "q", nil)
		got := make(chan time.Time, 1)
		go func() {
			if _, err := c.Receive(t.Context(), 1); err != nil {
				t.Error(err)
			}
			got <- time.Now()
		}()
		synctest.Wait()
		begun := time.Now()
		queue.ArmDue(s, "q")
		synctest.Wait()
		if len(got) != 0 {
			t.Error("it is handed over while time stands still")
		}
		if at := <-got; at.Sub(begun) > time.Microsecond {
			t.Errorf("it is handed over after %v", at.Sub(begun))
		}
	})
}

// What a filter matches may wait for its group while other items are ready.
func TestFilterWaitsForGroupDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		var tx queue.Tx
		tx.SetGroup("q", "slow", queue.GroupSettings{MinDelay: time.Minute})
		tx.Enqueue("q", queue.Item{Key: "other"}, queue.Item{Group: "slow"}, queue.Item{Group: "slow"})
		commit(t, s, &tx)
		c := subscribe(t, s, "q", &queue.SubscribeOptions{Filter: &queue.Filter{Group: "slow"}})
		begin := time.Now()
		tx.Reset()
		tx.Ack(receive(t, c))
		commit(t, s, &tx)
		receive(t, c)
		if waited := time.Since(begin); waited != time.Minute {
			t.Errorf("the second item of a group with a delay of a minute came after %v", waited)
		}
	})
}

func open(t *testing.T) *queue.Store {
	t.Helper()
	s, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func subscribe(t *testing.T, s *queue.Store, name string, options *queue.SubscribeOptions) *queue.Consumer {
	t.Helper()
	c, err := s.Subscribe(t.Context(), name, options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func receive(t *testing.T, c *queue.Consumer) *queue.Delivery {
	t.Helper()
	ds, err := c.Receive(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return ds[0]
}

func commit(t *testing.T, s *queue.Store, tx *queue.Tx) {
	t.Helper()
	if err := s.Commit(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
}
