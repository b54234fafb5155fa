package stages

import (
	"context"
	"sync"
)

// handshakes lets one request at a time make a connection over TLS to a host. Others
// that want one wait, since what comes of it may be theirs too: a connection over HTTP/2,
// or at least a session to resume. Invariants:
//
//  1. A host is in busy while a request has its turn, which ends when that request has
//     a connection, new or idle, or has none for good.
//  2. Who waited for one that got a connection takes the next turn, or waits again.
//     Who waited for one that failed waits no more: the time of a host that does not
//     answer would add up.
type handshakes struct {
	mu   sync.Mutex
	busy map[string]*turn // by host and port
}

// A turn is over when done is closed; failed is set before. A nil turn is none.
type turn struct {
	of     *handshakes
	host   string
	once   sync.Once
	done   chan struct{}
	failed bool
}

// enter waits for a turn. It returns nil if there is none to end: ctx is over, or the
// one waited for has failed.
func (h *handshakes) enter(ctx context.Context, host string) *turn {
	for {
		h.mu.Lock()
		before := h.busy[host]
		if before == nil {
			t := &turn{of: h, host: host, done: make(chan struct{})}
			if h.busy == nil {
				h.busy = make(map[string]*turn)
			}
			h.busy[host] = t
			h.mu.Unlock()
			return t
		}
		h.mu.Unlock()
		select {
		case <-before.done:
			if before.failed {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// leave ends the turn; the first call counts.
func (t *turn) leave(failed bool) {
	if t == nil {
		return
	}
	t.once.Do(func() {
		t.of.mu.Lock()
		delete(t.of.busy, t.host)
		t.of.mu.Unlock()
		t.failed = failed
		close(t.done)
	})
}
