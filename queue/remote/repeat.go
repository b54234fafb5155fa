package remote

import (
	"context"
	"slices"
	"sync"
)

// A call that would not do the same twice, as one that removes a name, has an id: the
// same id again is answered as the first was, unless that was to come again: then nothing has
// been decided. Transactions have the store for that.

// maxRepeats is how many answers are remembered: the last ones.
const maxRepeats = 1024

// repeats remembers the answers to calls with an id.
type repeats struct {
	mu    sync.Mutex
	known map[string]*repeated
	order []string // oldest first
}

type repeated struct {
	done  chan struct{} // closed when there is an answer
	reply any
	err   error
}

// once calls fn if no call with the id has been made, and returns what that one has.
func (r *repeats) once(ctx context.Context, id string, fn func() (any, error)) (any, error) {
	if id == "" {
		return fn()
	}
	r.mu.Lock()
	first := r.known[id]
	if first != nil {
		r.mu.Unlock()
		select {
		case <-first.done:
			return first.reply, first.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	first = &repeated{done: make(chan struct{})}
	if r.known == nil {
		r.known = make(map[string]*repeated)
	}
	r.known[id], r.order = first, append(r.order, id)
	if len(r.order) > maxRepeats {
		delete(r.known, r.order[0])
		r.order = r.order[1:]
	}
	r.mu.Unlock()
	first.reply, first.err = fn()
	if first.err != nil && again(first.err) {
		r.forget(id, first)
	}
	close(first.done)
	return first.reply, first.err
}

// forget forgets a call, so that the same id again makes it.
func (r *repeats) forget(id string, call *repeated) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[id] == call {
		delete(r.known, id)
		r.order = slices.DeleteFunc(r.order, func(other string) bool { return other == id })
	}
}
