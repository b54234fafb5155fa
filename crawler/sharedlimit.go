package crawler

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
)

// sharedLimit is a pageLimit that several processes keep together, for limits of which
// there are too many for tokens: those of a host, or of a generation. What was fetched is
// counted in the transactions of the pages. A page begins only if all that are under way,
// wherever, could be kept with it, so the limit is exact whoever dies. Near the limit the
// others wait a moment and look again.
type sharedLimit struct {
	max      int64
	underway func(ctx context.Context) (int, error)   // pages that may be under way, this one among them
	fetched  func(ctx context.Context) (int64, error) // pages that were kept
}

// sharedPause is how long a page waits, at most, that might be one too many.
const sharedPause = time.Second

// begin reports whether the page may be fetched. It returns pipeline.Snooze if that cannot
// be said yet.
func (l sharedLimit) begin(ctx context.Context) (bool, error) {
	// In this order: a page that is kept in between counts twice, and never not at all.
	underway, err := l.underway(ctx)
	if err != nil {
		return false, err
	}
	n, err := l.fetched(ctx)
	switch {
	case err != nil:
		return false, err
	case n >= l.max:
		return false, nil
	case l.max-n < int64(underway):
		return false, pipeline.Snooze(sharedPause/10 + rand.N(sharedPause))
	}
	return true, nil
}
