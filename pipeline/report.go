package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// This file says what goes wrong while a pipeline runs, often enough to be seen and
// seldom enough to be read.

const (
	failureEvery = time.Minute // between two lines about failures of one stage
	watchEvery   = time.Minute // between two looks at what does not move
	fullPause    = time.Second // before another attempt to commit on a full disk
)

// failed reports that an attempt has failed: the first of a stage at once, and what
// comes later at most once a minute.
func (s *stage) failed(d *queue.Delivery, err error) {
	s.failures.Lock()
	s.failures.unsaid++
	unsaid := s.failures.unsaid
	quiet := time.Since(s.failures.said) < failureEvery
	if !quiet {
		s.failures.said, s.failures.unsaid = time.Now(), 0
	}
	s.failures.Unlock()
	args := []any{"stage", s.name, "id", d.ID, "attempt", d.Attempt, "err", err}
	if quiet {
		s.p.log.Debug("attempt failed", args...)
		return
	}
	var stack interface{ Stack() []byte }
	if errors.As(err, &stack) {
		args = append(args, "stack", string(stack.Stack()))
	}
	s.p.log.Warn("attempt failed", append(args, "failures", unsaid)...)
}

// pause waits for space on the disk. It reports whether to try again: ctx has not
// ended. Of all who wait one says so, once a minute.
func (p *Pipeline) pause(ctx context.Context, who string, err error) bool {
	p.full.Lock()
	if time.Since(p.full.said) >= failureEvery {
		p.full.said = time.Now()
		p.log.Error("waiting for space on the disk", "who", who, "err", err)
	}
	p.full.Unlock()
	return sleep(ctx, fullPause)
}

// sleep waits, and reports whether it did until the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// watch reports, every minute, what holds a stage up that has items and has done
// none of them since the last time.
func (p *Pipeline) watch(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	settled := make(map[string]int64)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, s := range p.stages {
			st, err := p.store.QueueStats(ctx, s.name)
			if err != nil {
				continue // whoever works with the queue will say so
			}
			n := st.Totals.Acked + st.Totals.Buried + st.Totals.Expired
			before, ok := settled[s.name]
			settled[s.name] = n
			if ok && n == before && st.Ready+st.Delayed+st.Leased > 0 {
				p.reportHeld(ctx, st)
			}
		}
	}
}

// reportHeld says what the open generation of a stage waits for: the numbers, and
// the oldest item that has failed.
func (p *Pipeline) reportHeld(ctx context.Context, st queue.QueueStats) {
	held, err := p.store.Holding(ctx, st.Name)
	if err != nil {
		return
	}
	args := []any{"stage", st.Name, "generation", st.Epoch, "ready", st.Ready, "delayed", st.Delayed, "leased", st.Leased}
	if held.Paused {
		args = append(args, "paused", true)
	}
	for _, w := range held.Oldest {
		if w.Failure == "" && w.Deaths == 0 {
			continue
		}
		args = append(args, "item", w.ID, "attempts", w.Attempts, "deaths", w.Deaths, "failure", w.Failure)
		if !w.Due.IsZero() {
			args = append(args, "again", w.Due.Format(time.RFC3339))
		}
		break
	}
	p.log.Warn("stage has done nothing for a minute", args...)
}
