package cputime

import (
	"syscall"
	"time"
)

// OfThread returns the processor time that the calling thread has used so far; see
// runtime.LockOSThread. Where the system does not tell, it is the time on the clock.
func OfThread() time.Duration { return usedBy(syscall.RUSAGE_THREAD) }
