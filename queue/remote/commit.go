package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// Commit sends the transaction, with an id: its own, or a random one. So it is sent again
// when the answer is lost, and happens once.
func (e *engine) Commit(ctx context.Context, tx *queue.Tx) error {
	if err := e.commit(ctx, tx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (e *engine) commit(ctx context.Context, tx *queue.Tx) error {
	if e.ctx.Err() != nil {
		return queue.ErrClosed
	}
	if tx.Spent() {
		return fmt.Errorf("%w: transaction was committed already, or given up; use Reset", queue.ErrInvalid)
	}
	for {
		// Times travel as waits from now, so that what has waited for space is packed anew.
		p, err := e.pack(tx)
		if err != nil {
			return err
		}
		if len(p.t.Changes) == 0 && tx.ID == "" {
			tx.Committed(queue.Result{})
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if p.t.Since = tx.Since; p.t.Since == 0 && len(p.settles) == 0 { // what settles something cannot happen twice
			if p.t.Since, err = e.recentSerial(ctx); err != nil {
				return err
			}
		}
		err = e.sender.send(ctx, p)
		switch {
		case err == nil:
			tx.Committed(p.result.result())
			for _, h := range p.settles {
				if !p.held {
					h.settled()
				}
			}
			return nil
		case p.abandoned:
			tx.Abandoned()
			return err
		case !tx.Waits() || len(p.settles) > 0 || !errors.Is(err, queue.ErrQueueFull):
			return err
		}
		for name := range p.feeds {
			if err := e.waitFor(ctx, "wait_space", readRequest{Queue: name}); err != nil {
				return err
			}
		}
	}
}

// serialAge is for how long what the server has said of its TxSerial is used. Whoever has
// not heard for longer asks, lest too many transactions of others have come since.
const serialAge = time.Second

// recentSerial returns what TxSerial returned a moment ago.
func (e *engine) recentSerial(ctx context.Context) (uint64, error) {
	e.mu.Lock()
	serial, at := e.serial, e.serialAt
	e.mu.Unlock()
	if time.Since(at) < serialAge {
		return serial, nil
	}
	return e.TxSerial(ctx)
}

// TxSerial asks the server. It returns 0 if that is of a version that does not know.
func (e *engine) TxSerial(ctx context.Context) (uint64, error) {
	var reply openReply
	if err := e.call(ctx, "limits", &readRequest{}, &reply); err != nil {
		return 0, err
	}
	e.heard(reply.Serial)
	return reply.Serial, nil
}

// heard notes a TxSerial that the server has said.
func (e *engine) heard(serial uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serial, e.serialAt = max(e.serial, serial), time.Now()
}

// parcel is a transaction on its way.
type parcel struct {
	t       transaction
	client  string // whose deliveries it settles, or ""
	bytes   int
	settles []*handle
	feeds   map[string]bool // queues that it enqueues to, if it waits for space

	done      chan error // capacity 1
	result    *result
	held      bool // what it would have settled
	abandoned bool
}

// pack makes a transaction ready to be sent.
func (e *engine) pack(tx *queue.Tx) (*parcel, error) {
	p := &parcel{done: make(chan error, 1)}
	p.t.ID = tx.ID
	if p.t.ID == "" {
		p.t.ID = newID()
	}
	now := time.Now()
	number := func(d *queue.Delivery) (uint64, error) {
		h, err := e.handleOf(d)
		if err != nil || h.session == nil {
			return 0, err
		}
		if p.client != "" && p.client != h.session.client {
			return 0, fmt.Errorf("%w: of an earlier session", queue.ErrLeaseLost)
		}
		p.client = h.session.client
		p.settles = append(p.settles, h)
		return h.number, nil
	}
	p.t.Changes = make([]change, 0, tx.Len())
	for c := range tx.Changes() {
		if c.Item != nil && len(c.Item.Body) > e.maxItem || len(c.Value) > e.maxItem {
			return nil, fmt.Errorf("%w: more than %d bytes, which is Options.MaxItem of the store", queue.ErrTooLarge, e.maxItem)
		}
		if c.Kind == queue.ChangeEnqueue && tx.Waits() {
			if p.feeds == nil {
				p.feeds = make(map[string]bool)
			}
			p.feeds[c.Name] = true
		}
		m, err := toChange(c, now, number)
		if err != nil {
			return nil, err
		}
		p.t.Changes = append(p.t.Changes, m)
		p.bytes += m.bytes()
	}
	return p, nil
}

// bytes returns about how long a change is in a message.
func (m *change) bytes() int {
	n := 64 + len(m.Name) + len(m.Key) + len(m.To) + len(m.Value) + len(m.Error) + len(m.Stack) + len(m.Place)
	if it := m.Item; it != nil {
		n += len(it.Body) + len(it.Key) + len(it.Group) + len(it.Batch)
		for name, value := range it.Headers {
			n += len(name) + len(value)
		}
	}
	return n
}

// handleOf returns the handle of a delivery that came from this store.
func (e *engine) handleOf(d *queue.Delivery) (*handle, error) {
	if d == nil {
		return nil, fmt.Errorf("%w: delivery is nil", queue.ErrInvalid)
	}
	h, ok := d.Handle().(*handle)
	switch {
	case !ok && d.Queue == "":
		return nil, fmt.Errorf("%w: delivery did not come from Receive", queue.ErrInvalid)
	case !ok || h.e != e:
		return nil, queue.ErrForeign
	}
	return h, nil
}

// sender sends transactions, those that wait at the same time in one call: a page of a
// crawl is a transaction, and a call costs more than what is in it. Invariants:
//
//   - a transaction is sent at once if nothing is under way: it does not wait for company;
//   - if something is, it waits until all of that is answered, or until as many wait. So
//     while one half of a client's transactions is under way the other half gathers, and
//     the two take turns;
//   - calls that take long do not count: what they hold up is sent beside them.
type sender struct {
	e      *engine
	late   time.Duration // lateCall
	gather int           // callParcels: so many go whatever is under way

	mu      sync.Mutex
	waiting []*parcel
	away    int           // parcels in calls that are not late
	busy    int           // calls in progress
	closing bool          // nothing more is sent
	idle    chan struct{} // closed when nothing is in progress any more
}

// Bounds of calls that commit.
const (
	callsAtOnce = 4
	callParcels = 64
	callBytes   = 1 << 20
	lateCall    = 100 * time.Millisecond
)

func (s *sender) init(e *engine) {
	s.e, s.late, s.gather, s.idle = e, lateCall, callParcels, make(chan struct{})
}

// send sends a parcel and waits for the answer, or for the end of ctx.
func (s *sender) send(ctx context.Context, p *parcel) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return queue.ErrClosed
	}
	s.waiting = append(s.waiting, p)
	s.departLocked()
	s.mu.Unlock()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		p.abandoned = !s.takeBack(p)
		return context.Cause(ctx)
	}
}

// takeBack removes a parcel that has not been sent.
func (s *sender) takeBack(p *parcel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.waiting {
		if q == p {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// close lets nothing more be sent, and waits for what is in progress, for a while.
func (s *sender) close() {
	s.mu.Lock()
	s.closing = true
	s.restLocked()
	s.mu.Unlock()
	select {
	case <-s.idle:
	case <-time.After(closeTime):
	}
}

func (s *sender) restLocked() {
	if s.closing && s.busy == 0 {
		select {
		case <-s.idle:
		default:
			close(s.idle)
		}
	}
}

// departLocked begins the calls that may begin.
func (s *sender) departLocked() {
	for s.busy < callsAtOnce {
		batch := s.takeLocked()
		if batch == nil {
			return
		}
		s.busy++
		go s.run(batch)
	}
}

// run makes a call, and more while there is something to send.
func (s *sender) run(batch []*parcel) {
	for batch != nil {
		batch = s.callAndTake(batch)
	}
}

// callAndTake makes a call, and takes what is to go into the next.
func (s *sender) callAndTake(batch []*parcel) []*parcel {
	away := len(batch)
	late := time.AfterFunc(s.late, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.away, away = s.away-away, 0
		s.departLocked()
	})
	s.call(batch)
	late.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, away = s.away-away, 0
	next := s.takeLocked()
	if next == nil {
		s.busy--
		s.restLocked()
	}
	return next
}

// takeLocked takes what goes into a call, parcels of one client, or nothing if none may
// begin now.
func (s *sender) takeLocked() []*parcel {
	if len(s.waiting) == 0 || len(s.waiting) < min(s.away, s.gather) {
		return nil
	}
	var batch []*parcel
	client, bytes := "", 0
	kept := s.waiting[:0]
	for _, p := range s.waiting {
		fits := len(batch) == 0 || len(batch) < callParcels && bytes+p.bytes <= callBytes
		if !fits || p.client != "" && client != "" && p.client != client {
			kept = append(kept, p)
			continue
		}
		if p.client != "" {
			client = p.client
		}
		bytes += p.bytes
		batch = append(batch, p)
	}
	clear(s.waiting[len(kept):])
	s.waiting = kept
	s.away += len(batch)
	return batch
}

// call commits parcels, and again those that the server could not.
func (s *sender) call(batch []*parcel) {
	begun := time.Now()
	for pause := s.e.pause; ; pause = min(2*pause, lastPause) {
		failed, err := s.attempt(batch)
		if len(failed) == 0 {
			return
		}
		if time.Since(begun) < s.e.opts.Patience {
			select {
			case <-time.After(pause):
				batch = failed
				continue
			case <-s.e.ctx.Done():
				err = queue.ErrClosed
			}
		}
		for _, p := range failed {
			p.done <- err
		}
		return
	}
}

// attempt makes a call that commits parcels, and answers them. It returns those that may
// be committed later, and why they were not. If the server refuses the call as a whole each
// of several is sent alone, so that none is refused for what another has.
func (s *sender) attempt(batch []*parcel) (failed []*parcel, why error) {
	m := commitRequest{Transactions: make([]transaction, len(batch))}
	for i, p := range batch {
		m.Transactions[i] = p.t
		if p.client != "" {
			m.Client = p.client
		}
	}
	var reply commitReply
	err := s.e.call(context.Background(), "commit", &m, &reply)
	if err == nil {
		s.e.heard(reply.Serial)
	}
	if err == nil && len(reply.Outcomes) != len(batch) {
		err = fmt.Errorf("%w: %d answers to %d transactions", ErrProtocol, len(reply.Outcomes), len(batch))
	}
	if len(batch) > 1 && (errors.Is(err, queue.ErrTooLarge) || errors.Is(err, queue.ErrInvalid) || errors.Is(err, ErrProtocol)) {
		for i := range batch {
			left, err := s.attempt(batch[i : i+1])
			if len(left) > 0 {
				failed, why = append(failed, left...), err
			}
		}
		return failed, why
	}
	for i, p := range batch {
		switch {
		case err != nil:
			p.done <- err
		case reply.Outcomes[i].Error == nil:
			p.result, p.held = reply.Outcomes[i].Result, reply.Outcomes[i].Held
			p.done <- nil
		default:
			err := reply.Outcomes[i].Error.err()
			if again(err) {
				failed, why = append(failed, p), err
				continue
			}
			p.done <- err
		}
	}
	return failed, why
}

// Outcome returns what became of a transaction with an id.
func (e *engine) Outcome(ctx context.Context, id string) (queue.Result, error) {
	var reply readReply
	if err := e.call(ctx, "outcome", &readRequest{ID: id}, &reply); err != nil {
		return queue.Result{}, fmt.Errorf("outcome of transaction %.80q: %w", id, err)
	}
	return reply.Result.result(), nil
}
