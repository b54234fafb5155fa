package queue

import (
	"sync"
	"time"
)

// clock is the time of a store, by which everything is due. It goes on as the
// monotonic clock does, forward with the wall clock when that steps forward, or has
// gone on while the machine slept, and never back: when the wall clock is set back
// by an hour, what was due in a minute is due in a minute. The last time is stored
// with every batch, and the clock begins there if the wall clock is behind it at the
// next open. So of the time while a store is closed, what the wall clock was set back
// by does not count.
//
// Instants that a caller gives are by the wall clock. Those that keep something
// from happening before are turned into store time when they come; expiry is by the
// wall clock, and so are the times that are only shown.
type clock struct {
	wall func() time.Time

	mu   sync.Mutex
	base time.Time // a reading of the monotonic clock,
	at   int64     // and the store's time then, Unix nanoseconds
}

// begin sets the clock to the present, but not before last.
func (c *clock) begin(wall func() time.Time, last int64) {
	c.wall = wall
	c.base = time.Now()
	c.at = max(last, c.base.UnixNano())
	if wall != nil {
		c.at = max(last, wall().UnixNano())
	}
}

// clockSlack is by how much the wall clock may be behind without being said to be.
const clockSlack = time.Second

// read returns the store's time and the wall clock's.
func (c *clock) read() (now, wall int64) {
	t := time.Now()
	wall = t.UnixNano()
	if c.wall != nil {
		wall = c.wall().UnixNano()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now = c.at + int64(t.Sub(c.base))
	if wall > now {
		c.at, c.base, now = wall, t, wall
	}
	return now, wall
}

// behind is how far the wall clock is behind the store's time, or 0 if that is
// little.
func (c *clock) behind() time.Duration { return lag(c.read()) }

func lag(now, wall int64) time.Duration {
	if d := time.Duration(now - wall); d >= clockSlack {
		return d
	}
	return 0
}

// now is the store's time in Unix nanoseconds.
func (s *leader) now() int64 {
	now, _ := s.clock.read()
	return now
}

// wallMS is the wall clock's time in Unix milliseconds.
func (s *leader) wallMS() int64 {
	_, wall := s.clock.read()
	return wall / 1e6
}
