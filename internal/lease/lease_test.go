package lease

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Holder
		if h.Alive(time.Hour) {
			t.Error("a lease that was never granted holds")
		}
		asked := time.Now()
		time.Sleep(time.Second) // the answer takes its time
		h.Answered(asked)
		time.Sleep(time.Second)
		if !h.Alive(6 * time.Second) {
			t.Error("of a lease of 6s not even 2s have gone")
		}
		time.Sleep(2 * time.Second)
		if h.Alive(6 * time.Second) {
			t.Error("two thirds of the lease have gone")
		}
		h.Answered(asked.Add(3 * time.Second))
		h.Answered(asked) // an answer that comes late
		if !h.Alive(6 * time.Second) {
			t.Error("an older answer has ended the lease")
		}
	})
}
