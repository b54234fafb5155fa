package queue

import "context"

// Remembered is how many entries each of the committer's memories has.
type Remembered struct {
	Marks, Settled, Counters, Lanes, Batches int
	Filter                                   int64 // bytes
}

// Bounds of Remembered, but for Filter, which Options.SeenMemory bounds.
const (
	MaxMarks    = 2 * recentMarksMax
	MaxSettled  = 2 * settledBlocksMax
	MaxLanes    = 2 * knownLanesMax
	MaxCounters = counterCacheMax
	MaxBatches  = 2 * recentBatchesMax
)

func (m *recent[K, V]) size() int { return len(m.young) + len(m.old) }

// Remembered counts what the committer remembers between two batches.
func (store *Store) Remembered(ctx context.Context) (r Remembered, err error) {
	s := store.engine.(*leader)
	err = s.alone(ctx, func() error {
		r = Remembered{Marks: s.recent.size(), Settled: s.settled.size(), Counters: len(s.counters.values), Batches: s.batches.size()}
		for _, q := range s.all() {
			r.Lanes = max(r.Lanes, q.known.size())
		}
		if s.filter != nil {
			r.Filter = 32 * int64(len(s.filter.blocks))
		}
		return nil
	})
	return r, err
}
