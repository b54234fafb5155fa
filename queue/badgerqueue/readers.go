package badgerqueue

import "sync/atomic"

// readers knows up to which version nobody reads any more, so that older
// entries may go at once: a key that every batch writes would otherwise be read
// past all its former values.
//
// Reads belong to one of two generations. When the last read of the older one
// has ended, the committer begins a new generation, and all reads that are left
// began after the turn before: at its version or later.
type readers struct {
	current atomic.Uint32
	active  [2]atomic.Int64
	turned  uint64 // version at the last turn; the committer's
}

// enter begins a read, before it looks up the version. It returns what leave
// needs.
func (r *readers) enter() uint32 {
	for {
		g := r.current.Load()
		r.active[g].Add(1)
		if r.current.Load() == g {
			return g
		}
		r.active[g].Add(-1) // a turn came in between
	}
}

func (r *readers) leave(g uint32) { r.active[g].Add(-1) }

// passed is called by the committer when a version has become current. It
// returns the version below which no read is or will be, or 0.
func (r *readers) passed(version uint64) uint64 {
	g := r.current.Load()
	if r.active[1-g].Load() != 0 {
		return 0
	}
	free := r.turned
	r.turned = version
	r.current.Store(1 - g)
	return free
}
