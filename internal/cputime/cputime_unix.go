//go:build unix

package cputime

import (
	"syscall"
	"time"
)

// Used returns the processor time that the process has used so far, its own and what the
// system has spent for it.
func Used() time.Duration { return usedBy(syscall.RUSAGE_SELF) }

func usedBy(who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic(err) // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
