package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/internal/lease"
	"github.com/seed-301537d8/weir/queue"
)

// remoteSession is a queue.Session that a server holds.
type remoteSession struct {
	e      *engine
	client string        // the id of the client when it began
	held   *lease.Holder // by it
	name   string
	queue  string
	wait   time.Duration // of a call
	lease  time.Duration // of its own, or 0
	own    lease.Holder  // by it, if it has one

	turn chan struct{} // held by who receives

	// Those who hold the turn:
	seq  uint64            // of the last call that was answered
	over []*queue.Delivery // what was sent beyond what is asked for now

	ctx  context.Context // ends with the session, for its cause
	stop context.CancelCauseFunc

	mu      sync.Mutex
	holding int
}

// handle is what a delivery carries.
type handle struct {
	e       *engine
	session *remoteSession // nil for a direct one
	number  uint64
	barrier bool
	done    atomic.Bool // it is settled
}

func (e *engine) Subscribe(ctx context.Context, name string, options *queue.SubscribeOptions) (queue.Session, error) {
	s, err := e.subscribe(ctx, name, options)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", name, err)
	}
	return s, nil
}

func (e *engine) subscribe(ctx context.Context, name string, options *queue.SubscribeOptions) (*remoteSession, error) {
	var o queue.SubscribeOptions
	if options != nil {
		o = *options
	}
	m := subscribeRequest{
		Session: newID(), Queue: name, Durable: o.Durable, Prefetch: o.Prefetch, Filter: o.Filter, Lease: o.Lease.Milliseconds(),
		Affinity: toDelay(o.Affinity),
	}
	switch {
	case o.Lease < 0:
		return nil, fmt.Errorf("%w: Lease %v is negative", queue.ErrInvalid, o.Lease)
	case o.Barriers > queue.NoBarriers:
		return nil, fmt.Errorf("%w: Barriers %d", queue.ErrInvalid, o.Barriers)
	case o.Barriers == queue.OnlyBarriers:
		m.Barriers = "only"
	case o.Barriers == queue.NoBarriers:
		m.Barriers = "none"
	}
	for try := 0; ; try++ {
		id, err := e.memberID(ctx)
		if err != nil {
			return nil, err
		}
		m.Client = id
		err = e.call(ctx, "subscribe", &m, &empty{})
		if errors.Is(err, errUnknownClient) && try < 3 {
			e.lost(id)
			continue
		}
		if err != nil {
			if ctx.Err() != nil || again(err) { // it may have begun all the same
				e.untell(id, m.Session)
			}
			return nil, err
		}
		s := &remoteSession{e: e, client: id, name: m.Session, queue: name, lease: o.Lease, turn: make(chan struct{}, 1)}
		s.ctx, s.stop = context.WithCancelCause(context.Background())
		e.mu.Lock()
		s.wait = min(e.lease/3, 10*time.Second)
		if s.lease > 0 {
			s.wait = min(s.wait, s.lease/3)
		}
		s.held = e.held
		e.sessions[s] = true
		current := e.client
		e.mu.Unlock()
		if current != id { // it was lost in the same moment
			s.end(queue.ErrLeaseLost)
		}
		return s, nil
	}
}

// end ends the session.
func (s *remoteSession) end(cause error) {
	s.stop(cause)
	s.e.mu.Lock()
	delete(s.e.sessions, s)
	s.e.mu.Unlock()
}

// ended returns why the session has ended, or nil.
func (s *remoteSession) ended() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if s.e.ctx.Err() != nil {
		return queue.ErrClosed
	}
	return nil
}

func (s *remoteSession) Receive(ctx context.Context, most int) ([]*queue.Delivery, error) {
	ds, err := s.receive(ctx, most)
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", s.queue, err)
	}
	return ds, nil
}

func (s *remoteSession) receive(ctx context.Context, most int) ([]*queue.Delivery, error) {
	if most <= 0 {
		return nil, fmt.Errorf("%w: max %d", queue.ErrInvalid, most)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := s.ended(); err != nil {
			return nil, err
		}
		if len(s.over) > 0 {
			return s.upTo(most), nil
		}
		var reply receiveReply
		err := s.e.callFor(ctx, s.wait+callTime, "receive", &receiveRequest{
			Client: s.client, Session: s.name, Seq: s.seq + 1, Max: most, Wait: s.wait.Milliseconds(),
		}, &reply)
		switch {
		case errors.Is(err, errUnknownClient):
			s.e.lost(s.client)
			s.end(queue.ErrLeaseLost)
			return nil, context.Cause(s.ctx)
		case errors.Is(err, queue.ErrLeaseLost):
			s.end(err)
			return nil, err
		case err != nil:
			return nil, err
		}
		s.seq++
		s.over = s.take(reply.Deliveries)
	}
}

// upTo hands out deliveries that were sent. They may be more than are asked for: the answer
// may be that to an earlier call, which nobody waited for any more.
func (s *remoteSession) upTo(most int) []*queue.Delivery {
	n := min(most, len(s.over))
	ds := s.over[:n:n]
	s.over = s.over[n:]
	return ds
}

// take makes deliveries of what the server has sent.
func (s *remoteSession) take(sent []delivery) []*queue.Delivery {
	ds := make([]*queue.Delivery, len(sent))
	now := time.Now()
	items := 0
	for i := range sent {
		m := &sent[i]
		d := queue.Delivery{Queue: s.queue, Epoch: m.Epoch, ID: m.ID, Attempt: m.Attempt, Deaths: m.Deaths, Enqueued: fromMillis(m.Enqueued)}
		if d.Barrier = m.Barrier.barrier(); d.Barrier == nil {
			d.Item = m.Item.item(now)
			items++
		}
		ds[i] = queue.NewDelivery(&d, &handle{e: s.e, session: s, number: m.Delivery, barrier: d.Barrier != nil}, false)
	}
	s.mu.Lock()
	s.holding += items
	s.mu.Unlock()
	return ds
}

// Alive tells a delivery whether it is still this client's.
func (h *handle) Alive() bool {
	s := h.session
	if s == nil {
		return h.e.ctx.Err() == nil
	}
	return !h.done.Load() && s.ended() == nil && s.held.Lasts() > 0 && (s.lease == 0 || s.own.Lasts() > 0)
}

// settled notes that the session holds a delivery no more.
func (h *handle) settled() {
	h.done.Store(true)
	if h.session == nil || h.barrier {
		return
	}
	h.session.mu.Lock()
	h.session.holding--
	h.session.mu.Unlock()
}

// Heartbeat says whether the session goes on. The client gives signs of life by itself,
// but for a session that has a lease of its own.
func (s *remoteSession) Heartbeat(ctx context.Context) error {
	err := s.ended()
	if err == nil && s.lease > 0 {
		err = s.e.call(ctx, "heartbeat", &clientRequest{s.client, s.name}, new(heartbeatReply))
		if errors.Is(err, errUnknownClient) {
			s.e.lost(s.client)
			err = queue.ErrLeaseLost
		}
		if errors.Is(err, queue.ErrLeaseLost) {
			s.end(err)
		}
	}
	if err != nil {
		return fmt.Errorf("heartbeat on %s: %w", s.queue, err)
	}
	return nil
}

func (s *remoteSession) Holding() int {
	if s.ended() != nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holding
}

// Close ends the session. The server is told once; should it not hear, the session ends
// with the lease of the client.
func (s *remoteSession) Close() error {
	if s.ended() != nil {
		return nil
	}
	s.end(queue.ErrClosed)
	ctx, cancel := context.WithTimeout(s.e.ctx, closeTime)
	defer cancel()
	if err := s.e.call(ctx, "close", &clientRequest{s.client, s.name}, &empty{}); err != nil {
		s.e.untell(s.client, s.name)
		s.e.log.Warn("end of a session: the server does not know yet", "queue", s.queue, "err", err)
	}
	return nil
}
