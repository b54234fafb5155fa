// Package lease is how the holder of a lease knows, without asking, that nobody else has
// it yet.
package lease

import (
	"sync/atomic"
	"time"
)

// Holder is the holder's side of a lease, which whoever grants it ends some time after the
// last question from the holder. The zero value has none. It is safe for concurrent use.
type Holder struct{ heard atomic.Pointer[time.Time] }

// Answered notes that a question was answered which was asked at that time. What counts is
// when it was asked: it has not come to the other side before.
func (h *Holder) Answered(asked time.Time) {
	for {
		last := h.heard.Load()
		if last != nil && !asked.After(*last) || h.heard.CompareAndSwap(last, &asked) {
			return
		}
	}
}

// Alive reports whether a lease of that length holds still: a third of it is left at
// least, so that what begins now is over, or under way, before another has it. The
// process may have been stopped, or its machine suspended, when the monotonic clock
// stands still; a wall clock that is set forward only makes the answer false too soon.
func (h *Holder) Alive(length time.Duration) bool {
	last := h.heard.Load()
	if last == nil {
		return false
	}
	now := time.Now()
	gone := max(now.Sub(*last), now.Round(0).Sub(last.Round(0)))
	return gone < length-length/3
}
