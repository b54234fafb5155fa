//go:build !unix

package extract

import "time"

var began = time.Now()

// cpuTime returns the time on the clock, where processor time is not at hand.
func cpuTime() time.Duration { return time.Since(began) }
