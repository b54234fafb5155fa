package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A cost is what a measurement took: the rate depends on what else the machine does,
// the processor time hardly.
type cost struct {
	n                  int64 // items, steps, jobs
	took, self, server time.Duration
}

func (c cost) rate() float64 { return float64(c.n) / c.took.Seconds() }

// each returns the processor time of one, in this process and in the server's.
func (c cost) each() (self, server time.Duration) {
	n := time.Duration(max(c.n, 1))
	return c.self / n, c.server / n
}

func (c cost) cpu() float64 { return float64(c.self+c.server) / float64(max(c.n, 1)) }

func (c cost) String() string {
	self, server := c.each()
	return fmt.Sprintf("%.0f/s, %.1f + %.1f µs of processor time", c.rate(), float64(self.Nanoseconds())/1e3, float64(server.Nanoseconds())/1e3)
}

// medianCost is the one in the middle by processor time.
func medianCost(all []cost) cost {
	slices.SortFunc(all, func(a, b cost) int { return cmp.Compare(a.cpu(), b.cpu()) })
	return all[len(all)/2]
}

// measure returns what a function takes that does n things.
func (b *bench) measure(do func() (n int64, err error)) (cost, error) {
	self, server, err := b.processorTime()
	if err != nil {
		return cost{}, err
	}
	begin := time.Now()
	n, err := do()
	c := cost{n: n, took: time.Since(begin)}
	if err != nil {
		return c, err
	}
	self2, server2, err := b.processorTime()
	c.self, c.server = self2-self, server2-server
	return c, err
}

// processorTime returns what this process has used so far, and the server with all its
// processes, those that have ended included.
func (b *bench) processorTime() (self, server time.Duration, err error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, 0, err
	}
	self = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	pid, err := b.server.PID()
	if err != nil {
		return 0, 0, err
	}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, 0, err
	}
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has just ended
		}
		// After the name in parentheses: state, parent, …; times are in hundredths.
		_, rest, _ := strings.Cut(string(text), ") ")
		f := strings.Fields(rest)
		if len(f) < 15 {
			continue
		}
		postmaster := filepath.Base(filepath.Dir(name)) == strconv.Itoa(pid)
		if !postmaster && f[1] != strconv.Itoa(pid) {
			continue
		}
		last := 13 // utime, stime
		if postmaster {
			last = 15 // and those of children that have ended
		}
		for _, ticks := range f[11:last] {
			n, err := strconv.ParseInt(ticks, 10, 64)
			if err != nil {
				return 0, 0, err
			}
			server += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return self, server, nil
}
