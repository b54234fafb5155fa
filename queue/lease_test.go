package queue_test

import (
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// A timer that has fired may wait for the queue's lock while the lease that it is
// to end is extended.
func TestTimerOfAnExtendedLease(t *testing.T) {
	s := open(t)
	c := subscribe(t, s, "q", &queue.SubscribeOptions{Lease: time.Hour})
	queue.FireLate(c)
	if err := c.Heartbeat(t.Context()); err != nil {
		t.Errorf("a lease of an hour was extended, and has ended at once: %v", err)
	}
}
