package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// QueueStats are the numbers of a queue. Ready + Delayed + Leased + Later + Deferred
// is what is unsettled; a queue with nothing but deferred items has passed all that
// it can pass now, and is not done. The counts are exact, and reading them costs the same
// however much waits.
type QueueStats struct {
	Name     string
	Ready    int64 // items of the open epoch that wait for a consumer or for their group
	Delayed  int64 // items of the open epoch that wait for their time
	Leased   int64 // items that a consumer holds
	Later    int64 // items behind a barrier
	Deferred int64 // items in no epoch: no barrier waits for them
	Dead     int64 // dead letters
	Bytes    int64 // of all unsettled items, as stored

	Epoch    uint32 // the open epoch
	Barriers int    // that wait, the released one among them
	Released bool   // the open epoch is settled and consumers have its barrier
	Tail     uint32 // the epoch that enqueued items go to

	// SinceBarrier counts the items enqueued to the tail epoch so far,
	// whatever has become of them.
	SinceBarrier int64

	Paused    bool
	Full      bool // at or above a high-water mark
	Consumers int  // sessions
	Groups    int  // groups in memory

	// GroupsBusy counts the groups of which a consumer holds an item; items
	// without a group are not counted. The other groups in memory wait for
	// their time, or have been emptied lately.
	GroupsBusy int

	// ClockBehind is by how much the wall clock is behind the latest time that
	// the store has known, or 0 if that is less than a second: it has been set
	// back. Delays and waits go on nevertheless, as durations; see Options.
	ClockBehind time.Duration

	Totals      Totals  // since the queue was made
	EpochTotals Totals  // of the open epoch
	EnqueueRate float64 // items per second, since a call of Stats at least a second ago
	AckRate     float64
}

// rateSample is a point from which rates are measured.
type rateSample struct {
	at       time.Time
	enqueued int64
	acked    int64
}

func (s *leader) Stats(ctx context.Context) ([]QueueStats, error) {
	queues := s.all()
	stats := make([]QueueStats, len(queues))
	for i, q := range queues {
		stats[i] = q.stats()
	}
	slices.SortFunc(stats, func(a, b QueueStats) int { return cmp.Compare(a.Name, b.Name) })
	return stats, nil
}

func (s *leader) QueueStats(ctx context.Context, name string) (QueueStats, error) {
	if err := s.settle(ctx); err != nil {
		return QueueStats{}, fmt.Errorf("stats of %s: %w", name, err)
	}
	q, err := s.existing("stats", name)
	if err != nil {
		return QueueStats{}, err
	}
	return q.stats(), nil
}

func (q *queueState) stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	ready, delayed, leased := q.unsettledLocked()
	st := QueueStats{
		Name: q.name, Ready: ready, Delayed: delayed, Leased: leased,
		Later: q.later, Deferred: q.deferred, Dead: q.visible.dead, Bytes: q.visible.bytes,
		Epoch: q.open, Barriers: int(q.tail - q.open), Released: q.released != nil,
		Tail: q.tail, SinceBarrier: q.sinceBarrier,
		Paused: q.paused, Full: q.fullNowLocked(), Consumers: len(q.consumers), Groups: q.sched.Groups(),
		ClockBehind: q.s.clock.behind(),
		Totals:      q.visible.total, EpochTotals: q.openTotals,
	}
	busy := make(map[string]bool)
	for _, d := range q.inflight {
		if name := d.lease.Lane.Key.Group; name != "" {
			busy[name] = true
		}
	}
	st.GroupsBusy = len(busy)
	now := time.Now()
	if dt := now.Sub(q.sampled.at).Seconds(); dt >= 1 {
		if !q.sampled.at.IsZero() {
			q.rates[0] = float64(st.Totals.Enqueued-q.sampled.enqueued) / dt
			q.rates[1] = float64(st.Totals.Acked-q.sampled.acked) / dt
		}
		q.sampled = rateSample{now, st.Totals.Enqueued, st.Totals.Acked}
	}
	st.EnqueueRate, st.AckRate = q.rates[0], q.rates[1]
	return st
}

// unsettledLocked counts the unsettled items of the open epoch. A receiver may have
// items that became ready in a batch that is durable and not yet published: these
// count as leased, and no more as what they were.
func (q *queueState) unsettledLocked() (ready, delayed, leased int64) {
	leased = int64(len(q.inflight))
	delayed = q.delayed
	if ready = q.live - delayed - leased; ready < 0 {
		delayed, ready = max(delayed+ready, 0), 0
	}
	return ready, delayed, leased
}

func (s *leader) GroupSettings(ctx context.Context, queue, group string) (GroupSettings, error) {
	q, err := s.existing("group settings", queue)
	if err != nil {
		return GroupSettings{}, err
	}
	value, found, err := s.lookUp(appendGroupKey(nil, q.id, group))
	if err == nil && found {
		var rec groupRecord
		if rec, err = decodeGroup(value); err == nil {
			if t := rec.settings.NotBefore; !t.IsZero() {
				rec.settings.NotBefore = t.Add(-s.clock.behind())
			}
			return rec.settings, nil
		}
	}
	if err != nil {
		return GroupSettings{}, fmt.Errorf("settings of group %s of %s: %w", group, queue, err)
	}
	return GroupSettings{}, nil
}

func (s *leader) Config(ctx context.Context, queue string) (Config, error) {
	q, err := s.existing("config", queue)
	if err != nil {
		return Config{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return *q.config, nil
}

func (s *leader) Seen(ctx context.Context, queue, key string) (bool, error) {
	q, err := s.existing("seen", queue)
	if err != nil {
		return false, err
	}
	_, found, err := s.lookUp(appendMarkKey(nil, q.id, s.secret.hash(key)))
	if err != nil {
		return false, fmt.Errorf("seen %s in %s: %w", key, queue, err)
	}
	return found, nil
}
