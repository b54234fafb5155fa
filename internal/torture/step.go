//go:build clockstep

package main

import "time"

// stepClock sets the wall clock back by an hour again and again, and a little
// forward, as long as the child lives.
func (w *worker) stepClock() error {
	for range time.Tick(100 * time.Millisecond) {
		if w.ctx.Err() != nil {
			return nil
		}
		time.WallStep -= 3600
		w.say("step")
	}
	return nil
}
