package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"
)

// killChildren kills a random child of this process with SIGKILL, again and
// again until ctx ends, and counts them. Between two kills at least one item is
// done: else children that start slowly, on a busy machine, might never get to
// the first.
func killChildren(ctx context.Context, every time.Duration, c *counts) error {
	for before := int64(-1); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every/2 + rand.N(every)):
		}
		done := c.done.Load()
		if done == before {
			continue
		}
		pids, err := childProcesses()
		if err != nil {
			return fmt.Errorf("-kill finds children in /proc, which this system lacks: %w", err)
		}
		if len(pids) == 0 {
			continue
		}
		p, err := os.FindProcess(pids[rand.N(len(pids))])
		if err == nil && p.Kill() == nil {
			c.kills.Add(1)
			before = done
		}
	}
}

// childProcesses returns the ids of the living children of this process.
func childProcesses() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent ...; the name may hold anything.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
