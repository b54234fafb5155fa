package cputime

import (
	"syscall"
	"time"
)

// OfThread returns the processor time that the calling thread has used so far; see
// runtime.LockOSThread. Where the system does not tell, it is the time on the clock.
func OfThread() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		panic(err) // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
