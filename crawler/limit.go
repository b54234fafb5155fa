package crawler

import (
	"context"
	"sync"

	"github.com/seed-301537d8/weir/pipeline"
)

// pageLimit lets so many pages be fetched and no more. A page that might be one
// too many waits for those under way, since one of them may come to nothing: a page is
// under way until its transaction is committed, or never will be; see whenKept.
type pageLimit struct {
	max int64 // 0 for any number

	mu       sync.Mutex
	fetched  int64
	underway int64
	changed  chan struct{} // closed when a page under way has ended; nil if nobody waits
}

// reached reports whether the limit has been reached for good.
func (l *pageLimit) reached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.max > 0 && l.fetched >= l.max
}

// begin reports whether another page may be fetched. Then end must be called.
func (l *pageLimit) begin(ctx context.Context) (bool, error) {
	for {
		l.mu.Lock()
		switch {
		case l.max == 0 || l.fetched+l.underway < l.max:
			l.underway++
			l.mu.Unlock()
			return true, nil
		case l.fetched >= l.max:
			l.mu.Unlock()
			return false, nil
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// end says whether the page was fetched.
func (l *pageLimit) end(fetched bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.underway--
	if fetched {
		l.fetched++
	}
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// whenKept calls end once it is known whether a page was kept that is to be: the store
// may refuse its transaction.
func whenKept(out *pipeline.Out, kept bool, end func(kept bool)) {
	if !kept {
		end(false)
		return
	}
	out.OnCommit(func() { end(true) })
	out.OnUndone(func() { end(false) })
}
