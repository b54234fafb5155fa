//go:build unix

package cputime

import (
	"syscall"
	"time"
)

// Used returns the processor time that the process has used so far, its own and what the
// system has spent for it.
func Used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
