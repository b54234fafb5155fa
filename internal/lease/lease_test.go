package lease

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Holder
		lasts := func(want time.Duration) {
			t.Helper()
			if got := h.Lasts(); got != want {
				t.Errorf("lasts %v, want %v", got, want)
			}
		}
		lasts(0) // it was never granted
		asked := time.Now()
		time.Sleep(time.Second) // the answer takes its time
		h.Answered(asked, Share(6*time.Second))
		lasts(3 * time.Second)
		time.Sleep(4 * time.Second)
		lasts(-time.Second)
		h.Answered(asked.Add(3*time.Second), Share(6*time.Second))
		lasts(2 * time.Second)
		h.Answered(asked, time.Hour) // an answer that comes late
		lasts(2 * time.Second)
	})
}
