//go:build !linux

package cputime

import "time"

var start = time.Now()

// OfThread returns the processor time that the calling thread has used so far; see
// runtime.LockOSThread. Where the system does not tell, as here, it is the time on the
// clock.
func OfThread() time.Duration { return time.Since(start) }
