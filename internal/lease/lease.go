// Package lease is how the holder of a lease knows, without asking, that nobody else has
// it yet.
package lease

import (
	"sync/atomic"
	"time"
)

// Holder is the holder's side of a lease, which whoever grants it ends some time after the
// last question from the holder. The zero value has none. It is safe for concurrent use.
type Holder struct{ last atomic.Pointer[answer] }

// answer is one that was given to a question of that time.
type answer struct {
	asked time.Time
	lasts time.Duration
}

// Share is the part of a lease for which its holder counts on it: what begins within it is
// over, or under way, before another has the lease.
func Share(lease time.Duration) time.Duration { return lease - lease/3 }

// Answered notes that a question was answered which was asked at that time, and for how
// long that lasts. What counts is when it was asked: it has not come to the other side
// before.
func (h *Holder) Answered(asked time.Time, lasts time.Duration) {
	for {
		last := h.last.Load()
		if last != nil && !asked.After(last.asked) || h.last.CompareAndSwap(last, &answer{asked, lasts}) {
			return
		}
	}
}

// Doubt notes that the lease may have ended: it holds again when a question has been answered
// that is asked after this.
func (h *Holder) Doubt() { h.Answered(time.Now(), 0) }

// Lasts returns for how long the lease holds yet; 0 or less if another may have it. The
// process may have been stopped, or its machine suspended, when the monotonic clock
// stands still; a wall clock that is set forward only makes it less than it is.
func (h *Holder) Lasts() time.Duration {
	last := h.last.Load()
	if last == nil {
		return 0
	}
	now := time.Now()
	return last.lasts - max(now.Sub(last.asked), now.Round(0).Sub(last.asked.Round(0)))
}
