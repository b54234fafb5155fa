package crawler

import (
	"context"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// Traps count the addresses of each scope.Pattern that were fetched, in the
// transactions of the pages, and refuse those over its limit. What several
// workers fetch at the same moment may be over it by as many; those of a host that
// is asked one thing at a time (Settings.PerHost) are not. Where other processes count
// too the store is read each time.
type traps struct {
	store  *queue.Store
	limits scope.Traps
	shared bool

	mu     sync.Mutex   // held while a count changes
	recent cache[int64] // what was counted lately, by pattern
}

// trapped returns why an address is not to be fetched, or "". kind is that of the
// pattern that it is of, if it is of any.
func (t *traps) trapped(ctx context.Context, u weburl.URL) (why string, p scope.Pattern, err error) {
	p, ok := t.limits.Pattern(u, time.Now())
	if !ok {
		return "", p, nil
	}
	if p.Limit == 0 {
		return p.String(), p, nil
	}
	n, ok := t.recent.get(p.Key)
	if !ok || t.shared {
		if n, err = tables.Counter(ctx, t.store, tables.Patterns, tables.Key(p.Key)); err != nil {
			return "", p, err
		}
		t.recent.put(p.Key, n)
	}
	if n >= int64(p.Limit) {
		return p.String(), p, nil
	}
	return "", p, nil
}

// begin notes that an address is asked for: at once in memory, since its host's next
// address may come before whoever waits for the commit of this one has had a turn.
func (t *traps) begin(p scope.Pattern) { t.add(p, 1) }

// end counts an address that was asked for, if that has settled it: one that comes again
// is counted then.
func (t *traps) end(p scope.Pattern, out *pipeline.Out, settled bool) {
	switch {
	case p.Key == "":
	case settled:
		out.Tx().Add(tables.Patterns, tables.Key(p.Key), 1)
		out.OnUndone(func() { t.add(p, -1) })
	default:
		t.add(p, -1)
	}
}

// add changes what is remembered of a pattern.
func (t *traps) add(p scope.Pattern, by int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.recent.get(p.Key); ok {
		t.recent.put(p.Key, n+by)
	}
}

// countTrap counts a refusal.
func countTrap(out *pipeline.Out, rule string) { countTraps(out, rule, 1) }

// countTraps counts so many.
func countTraps(out *pipeline.Out, rule string, n int64) {
	if n > 0 {
		out.Tx().Add(tables.Crawl, tables.CounterTrap+rule, n)
	}
}
