package remote

import (
	"context"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// What a stage asks before each value, whether a queue has room and whether a value may
// pass it by, must not cost a round trip. So it is answered from what the server said a
// moment ago. Nothing depends on its being exact: a mark may be passed by what is taken
// in that moment, and a direct delivery is checked when it is committed.

const (
	hintAge = 100 * time.Millisecond // an older one is renewed in the background, and one 20 times as old not used
	hintUse = 10 * time.Second       // those that nobody has asked for so long are not renewed
)

// hints are the states of queues as they were a moment ago.
type hints struct {
	e   *engine
	age time.Duration // hintAge

	mu     sync.Mutex
	states map[string]*hint
	asking bool
}

type hint struct {
	stateReply
	backlog int       // that Direct was asked with
	at      time.Time // when it was asked for, zero if it never was
	used    time.Time
}

func (h *hints) init(e *engine) { h.e, h.age, h.states = e, hintAge, make(map[string]*hint) }

// recent returns the state of a queue if it is known, and sees to it that it soon is.
func (h *hints) recent(name string, backlog int) (stateReply, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	st := h.states[name]
	if st == nil {
		st = new(hint)
		h.states[name] = st
	}
	st.used = now
	if backlog >= 0 {
		st.backlog = backlog
	}
	if now.Sub(st.at) > h.age && !h.asking {
		h.asking = true
		go h.renew()
	}
	return st.stateReply, now.Sub(st.at) < 20*h.age
}

// renew asks for the states of all queues that are in use.
func (h *hints) renew() {
	var m statesRequest
	h.mu.Lock()
	now := time.Now()
	for name, st := range h.states {
		if now.Sub(st.used) > hintUse {
			delete(h.states, name)
			continue
		}
		m.Queues = append(m.Queues, stateRequest{name, st.backlog})
	}
	h.mu.Unlock()
	var reply statesReply
	err := h.e.call(h.e.ctx, "states", &m, &reply)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asking = false
	if err != nil || len(reply.Queues) != len(m.Queues) {
		return
	}
	for i, q := range m.Queues {
		if st := h.states[q.Queue]; st != nil {
			st.stateReply, st.at = reply.Queues[i], now
		}
	}
}

// Full asks the server if it has not said so a moment ago.
func (e *engine) Full(ctx context.Context, name string) bool {
	if st, ok := e.hints.recent(name, -1); ok {
		return st.Full
	}
	return e.state(ctx, name, 0).Full
}

// state asks for the state of a queue.
func (e *engine) state(ctx context.Context, name string, backlog int) stateReply {
	var reply statesReply
	err := e.call(ctx, "states", &statesRequest{[]stateRequest{{name, backlog}}}, &reply)
	if err != nil || len(reply.Queues) != 1 {
		return stateReply{}
	}
	return reply.Queues[0]
}

// WaitSpace returns at once if the queue had room a moment ago.
func (e *engine) WaitSpace(ctx context.Context, name string) error {
	if st, ok := e.hints.recent(name, -1); ok && !st.Full {
		return nil
	}
	return e.waitFor(ctx, "wait_space", readRequest{Queue: name})
}

// Direct goes by what was so a moment ago; Commit says whether it still was.
func (e *engine) Direct(ctx context.Context, name string, backlog int) (*queue.Delivery, bool) {
	st, ok := e.hints.recent(name, backlog)
	if !ok {
		st = e.state(ctx, name, backlog)
	}
	if !st.Direct {
		return nil, false
	}
	d := &queue.Delivery{Queue: name, Epoch: st.Epoch, Attempt: 1, Enqueued: time.Now()}
	return queue.NewDelivery(d, &handle{e: e}, true), true
}
