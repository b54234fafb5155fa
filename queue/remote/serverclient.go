package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// client is what the server knows of a client.
type client struct {
	s     *Server
	id    string
	by    sharer
	lease time.Duration
	timer *time.Timer

	mu        sync.Mutex
	about     Client
	seen      time.Time // the last sign of life
	spread    time.Time // when the sessions were last told of one
	gone      bool
	sessions  map[string]*session
	beginning map[string]chan struct{}   // sessions, each closed when its call is over
	ended     map[string]bool            // sessions that were ended lately: a request for one may be late
	endings   []string                   // their names, the oldest first
	ordinals  uint64                     // sessions so far
	held      map[uint64]*queue.Delivery // by number
	sampledAt time.Time                  // for Rate,
	sampled   int64                      // Settled then
}

// session is a consumer on behalf of a client.
type session struct {
	consumer *queue.Consumer
	ordinal  uint64
	leased   bool          // it has a lease of its own
	turn     chan struct{} // held by a call that receives
	waiting  atomic.Int32  // calls that want to

	// Those who hold the turn:
	seq  uint64
	last []uint64 // the deliveries that were handed out by the call of that number
	next uint64   // number of the next delivery
}

// The number of a delivery: its session's ordinal and a count, in 53 bits, which a number
// in JSON has. A session that has counted so far ends.
const (
	countBits   = 32
	maxOrdinals = 1 << 21
)

// maxReceiving bounds the calls to receive of one session, and maxReceived what one is given.
const (
	maxReceiving = 16
	maxReceived  = 4096
)

// leastWait is what a call to receive has to find what is there, if it is not to wait.
const leastWait = 50 * time.Millisecond

// open makes a client known.
func (s *Server) open(_ context.Context, call *call, m *openRequest) (any, error) {
	version, err := agree(ofMessage(m.Oldest, m.Version), s.speaks, m.Program, s.opts.Program)
	if err != nil {
		return nil, err
	}
	if len(m.Client) < MinSecret || len(m.Client) > 128 {
		return nil, fmt.Errorf("%w: a client's id has %d to 128 bytes", queue.ErrInvalid, MinSecret)
	}
	if len(m.Name) > maxClientName || len(m.Program) > maxClientName {
		return nil, fmt.Errorf("%w: a client's name of %d bytes and its program's of %d, the limit is %d", queue.ErrTooLarge, len(m.Name), len(m.Program), maxClientName)
	}
	lease := defaultLease
	if m.Lease > 0 {
		lease = s.lease(m.Lease)
	}
	if err := s.admit(m, call, lease); err != nil {
		return nil, err
	}
	return &openReply{
		Version: version, Program: s.opts.Program, Lease: lease.Milliseconds(),
		MaxItem: call.store.MaxItem(), MaxTx: size(call.store.MaxTx()),
	}, nil
}

// maxClientName bounds what a client calls itself and its program, in bytes.
const maxClientName = 1024

// lease returns the lease that a client gets which asks for so many milliseconds.
func (s *Server) lease(ms int64) time.Duration {
	return max(time.Duration(min(ms, s.opts.MaxLease.Milliseconds()))*time.Millisecond, minLease)
}

func (s *Server) admit(m *openRequest, call *call, lease time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients[m.Client] != nil {
		return nil // the call was repeated
	}
	if s.store != call.store {
		return fmt.Errorf("%w: it has just changed", ErrUnavailable)
	}
	if len(s.clients) >= s.opts.MaxClients {
		return fmt.Errorf("%w: it has %d clients", ErrBusy, len(s.clients))
	}
	there := 0
	for _, c := range s.clients {
		if c.by == call.by {
			there++
		}
	}
	if there >= max(s.opts.MaxClients/shareOf, 1) {
		return fmt.Errorf("%w: it has %d clients at %s", ErrBusy, there, call.by)
	}
	c := &client{
		s: s, id: m.Client, by: call.by, lease: lease, seen: call.now, sampledAt: call.now,
		about:    Client{Name: m.Name, Program: m.Program, Address: call.from, Opened: call.now},
		sessions: make(map[string]*session), beginning: make(map[string]chan struct{}), ended: make(map[string]bool), held: make(map[uint64]*queue.Delivery),
	}
	c.timer = time.AfterFunc(lease, c.expire)
	s.clients[m.Client] = c
	s.log.Info("client", "name", m.Name, "program", m.Program, "address", call.from)
	return nil
}

// client returns a client that gives a sign of life, for a call that gives it something, or
// lets it keep what it has. The server must be the leader for sure.
func (s *Server) client(ctx context.Context, call *call, id string) (*client, error) {
	c := s.known(ctx, call, id)
	if c == nil {
		return nil, errUnknownClient
	}
	if d, bounded := call.store.Lasts(); bounded {
		if d <= 0 {
			return nil, fmt.Errorf("%w: it has not heard of its database lately", ErrUnavailable)
		}
		call.lasts = max(d.Milliseconds(), 1)
	}
	return c, nil
}

// known returns a client that gives a sign of life, or nil if there is none of that id.
func (s *Server) known(ctx context.Context, call *call, id string) *client {
	s.mu.Lock()
	c := s.clients[id]
	if s.store != call.store {
		c = nil
	}
	s.mu.Unlock()
	if c == nil || !c.alive(ctx, call) {
		return nil
	}
	return c
}

// alive notes a sign of life.
func (c *client) alive(ctx context.Context, call *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return false
	}
	c.seen, c.about.Address = call.now, call.from
	if call.now.Sub(c.spread) < c.lease/10 {
		return true
	}
	c.spread = call.now
	c.timer.Reset(c.lease)
	for _, ss := range c.sessions {
		if !ss.leased {
			_ = ss.consumer.Heartbeat(ctx) // one that has ended is met by its next call
		}
	}
	return true
}

// expire forgets a client whose lease has run out. Its sessions have leases of their own,
// which count what they held as a death.
func (c *client) expire() {
	c.mu.Lock()
	if c.gone { // it has left while the timer went off
		c.mu.Unlock()
		return
	}
	if left := time.Until(c.seen.Add(c.lease)); left > 0 {
		c.timer.Reset(left)
		c.mu.Unlock()
		return
	}
	name, held := c.about.Name, len(c.held)
	c.mu.Unlock()
	c.s.log.Warn("client lost", "name", name, "holding", held, "lease", c.lease)
	c.remove()
	c.forget()
}

func (c *client) remove() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.clients[c.id] == c {
		delete(c.s.clients, c.id)
		c.s.toldLocked()
	}
}

// forget drops what is known of a client that is gone.
func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	c.timer.Stop()
	clear(c.held)
}

func (s *Server) heartbeat(ctx context.Context, call *call, m *clientRequest) (any, error) {
	c, err := s.client(ctx, call, m.Client)
	if err != nil {
		return nil, err
	}
	reply := heartbeatReply{Lasts: call.lasts}
	if m.Session == "" {
		return &reply, nil
	}
	ss, err := c.session(m.Session)
	if err != nil {
		return nil, err
	}
	return &reply, ss.consumer.Heartbeat(ctx)
}

// leave ends a client: what it holds goes back at once.
func (s *Server) leave(ctx context.Context, call *call, m *clientRequest) (any, error) {
	c := s.known(ctx, call, m.Client)
	if c == nil {
		return empty{}, nil // it has left
	}
	c.remove()
	c.mu.Lock()
	all := c.sessions
	c.sessions = make(map[string]*session)
	c.mu.Unlock()
	c.forget()
	for _, ss := range all {
		_ = ss.consumer.Close()
	}
	return empty{}, nil
}

func (s *Server) subscribe(ctx context.Context, call *call, m *subscribeRequest) (any, error) {
	c, err := s.client(ctx, call, m.Client)
	if err != nil {
		return nil, err
	}
	mode, ok := map[string]queue.BarrierMode{"": queue.WithBarriers, "only": queue.OnlyBarriers, "none": queue.NoBarriers}[m.Barriers]
	if !ok || !validSession(m.Session) || m.Lease < 0 {
		return nil, fmt.Errorf("%w: session %.20q with barriers %.20q and a lease of %d ms", queue.ErrInvalid, m.Session, m.Barriers, m.Lease)
	}
	// The same call may come twice: then one does it, and the other waits for it.
	turn, err := c.turnToBegin(ctx, m.Session)
	if err != nil {
		return nil, err
	}
	defer turn()
	if done, err := c.mayBegin(m.Session); done || err != nil {
		return empty{}, err
	}
	lease := c.lease
	if m.Lease > 0 {
		lease = s.lease(m.Lease)
	}
	consumer, err := call.store.Subscribe(ctx, m.Queue, &queue.SubscribeOptions{
		Durable: m.Durable, Barriers: mode, Prefetch: m.Prefetch, Filter: m.Filter, Lease: lease,
		Affinity: fromDelay(m.Affinity),
	})
	if err != nil {
		return nil, err
	}
	if err := c.begin(m.Session, consumer, m.Lease > 0); err != nil {
		_ = consumer.Close()
		return nil, err
	}
	return empty{}, nil
}

// validSession reports whether a session may have a name.
func validSession(name string) bool { return name != "" && len(name) <= 128 }

// turnToBegin waits until no other call begins a session of this name. What it returns ends
// the turn.
func (c *client) turnToBegin(ctx context.Context, name string) (end func(), err error) {
	for {
		c.mu.Lock()
		other := c.beginning[name]
		if other == nil {
			mine := make(chan struct{})
			c.beginning[name] = mine
			c.mu.Unlock()
			return func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				delete(c.beginning, name)
				close(mine)
			}, nil
		}
		c.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// mayBegin reports whether a session has begun already, or returns why it may not.
func (c *client) mayBegin(name string) (done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended[name] || c.gone:
		return false, errEnded
	case c.sessions[name] != nil:
		return true, nil
	case len(c.sessions) >= c.s.opts.MaxSessions || c.ordinals >= maxOrdinals:
		return false, fmt.Errorf("%w: the client has %d sessions, and had %d", ErrBusy, len(c.sessions), c.ordinals)
	}
	return false, nil
}

// errEnded refuses a session that was ended before it could begin.
var errEnded = fmt.Errorf("%w: the session has ended", queue.ErrLeaseLost)

// begin adds a session, unless it has been ended meanwhile.
func (c *client) begin(name string, consumer *queue.Consumer, leased bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || c.ended[name] {
		return errEnded
	}
	c.sessions[name] = &session{consumer: consumer, ordinal: c.ordinals, leased: leased, turn: make(chan struct{}, 1), next: 1}
	c.ordinals++
	return nil
}

func (s *Server) endSession(ctx context.Context, call *call, m *clientRequest) (any, error) {
	if !validSession(m.Session) {
		return nil, fmt.Errorf("%w: session %.20q", queue.ErrInvalid, m.Session)
	}
	c := s.known(ctx, call, m.Client)
	if c == nil {
		return empty{}, nil // it has ended
	}
	c.rememberEnd(m.Session)
	if ss := c.end(m.Session); ss != nil {
		_ = ss.consumer.Close()
	}
	return empty{}, nil
}

// end forgets a session and what it holds. It returns the session, or nil if there is none.
func (c *client) end(name string) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	ss := c.sessions[name]
	if ss == nil {
		return nil
	}
	delete(c.sessions, name)
	for number := range c.held {
		if number>>countBits == ss.ordinal {
			delete(c.held, number)
		}
	}
	return ss
}

// maxEnded is of how many sessions of a client the end is remembered, lest a repeated request
// that comes late begins one anew. It is late by seconds, in which a client ends fewer.
const maxEnded = 4096

func (c *client) rememberEnd(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended[name] {
		return
	}
	if len(c.endings) == maxEnded {
		delete(c.ended, c.endings[0])
		c.endings = c.endings[1:]
	}
	c.ended[name] = true
	c.endings = append(c.endings, name)
}

func (c *client) session(name string) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ss := c.sessions[name]; ss != nil {
		return ss, nil
	}
	return nil, fmt.Errorf("%w: the session is not known here", queue.ErrLeaseLost)
}

// receive hands out deliveries; see receiveRequest.
func (s *Server) receive(ctx context.Context, call *call, m *receiveRequest) (any, error) {
	c, err := s.client(ctx, call, m.Client)
	if err != nil {
		return nil, err
	}
	ss, err := c.session(m.Session)
	if err != nil {
		return nil, err
	}
	// One call waits, and perhaps some whose callers have given up.
	if ss.waiting.Add(1) > maxReceiving {
		ss.waiting.Add(-1)
		return nil, fmt.Errorf("%w: %d calls wait for the session", ErrBusy, maxReceiving)
	}
	defer ss.waiting.Add(-1)
	// A lease goes on while a call waits, so the wait is a part of a lease only.
	given := ctx
	ctx, cancel := s.wait(ctx, max(m.Wait, leastWait.Milliseconds()), c.lease/3)
	defer cancel()
	select {
	case ss.turn <- struct{}{}:
		defer func() { <-ss.turn }()
	case <-ctx.Done():
		if given.Err() != nil {
			return nil, context.Cause(given)
		}
		return nil, fmt.Errorf("%w: another call receives from the session", ErrBusy)
	}
	switch {
	case m.Seq == 0:
	case m.Seq == ss.seq:
		return &receiveReply{Deliveries: c.describeHeld(ss.last, !call.binary), Lasts: call.lasts}, nil
	case m.Seq != ss.seq+1:
		return nil, fmt.Errorf("%w: call %d of a session that has had %d", ErrProtocol, m.Seq, ss.seq)
	}
	if ss.next >= 1<<countBits-maxReceived {
		if c.end(m.Session) != nil {
			_ = ss.consumer.Close()
		}
		return nil, fmt.Errorf("%w: the session has had %d deliveries", queue.ErrLeaseLost, ss.next-1) // its client begins another
	}
	ds, err := ss.consumer.Receive(ctx, min(max(m.Max, 1), maxReceived))
	if errors.Is(err, queue.ErrLeaseLost) {
		c.end(m.Session) // its client begins another
	}
	if err != nil && !errors.Is(err, errWaited) {
		return nil, err
	}
	if len(ds) > 0 && given.Err() != nil && giveBack(call.store, ds) {
		return nil, context.Cause(given) // nobody waits for the answer
	}
	ds = s.fit(call.store, ds)
	numbers, err := c.hand(ss, ds)
	if err != nil {
		return nil, err
	}
	if m.Seq != 0 {
		ss.seq, ss.last = m.Seq, numbers
	}
	return &receiveReply{Deliveries: c.describeHeld(numbers, !call.binary), Lasts: call.lasts}, nil
}

// fit gives back what is too much for one answer.
func (s *Server) fit(store *queue.Store, ds []*queue.Delivery) []*queue.Delivery {
	sum := 0
	for i, d := range ds {
		if sum += len(d.Item.Body); sum > s.opts.MaxReply && i > 0 {
			if giveBack(store, ds[i:]) {
				return ds[:i]
			}
			return ds // they are held, and must be handed out
		}
	}
	return ds
}

// giveBack releases deliveries that are not barriers. It reports whether it did.
func giveBack(store *queue.Store, ds []*queue.Delivery) bool {
	var tx queue.Tx
	tx.Release(ds...)
	return ds[0].Barrier == nil && store.Commit(context.Background(), &tx) == nil
}

// hand numbers deliveries.
func (c *client) hand(ss *session, ds []*queue.Delivery) ([]uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil, errUnknownClient
	}
	numbers := make([]uint64, len(ds))
	for i, d := range ds {
		numbers[i] = ss.ordinal<<countBits | ss.next
		ss.next++
		c.held[numbers[i]] = d
	}
	return numbers, nil
}

// describeHeld returns what is sent of those deliveries that are held. A client that has
// settled one has had it, so nothing need be kept of that.
func (c *client) describeHeld(numbers []uint64, asText bool) []delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent := make([]delivery, 0, len(numbers))
	for _, n := range numbers {
		if d := c.held[n]; d != nil {
			sent = append(sent, toDelivery(d, n, asText))
		}
	}
	return sent
}

// delivery returns what is held under a number. It is one error if it was settled and
// another if its session is over.
func (c *client) delivery(number uint64) (*queue.Delivery, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.held[number]; d != nil {
		return d, nil
	}
	for _, ss := range c.sessions {
		if ss.ordinal == number>>countBits {
			return nil, fmt.Errorf("%w: delivery %d", queue.ErrSettled, number)
		}
	}
	return nil, fmt.Errorf("%w: delivery %d", queue.ErrLeaseLost, number)
}

// settled notes that a transaction has settled deliveries. It reports whether they are
// held all the same, because the transaction had happened before.
func (c *client) settled(numbers []uint64) (held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range numbers {
		switch d := c.held[n]; {
		case d == nil:
		case d.Held():
			held = true
		default:
			delete(c.held, n)
			c.about.Settled++
		}
	}
	return held
}

// describe says what the client does.
func (c *client) describe() Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if dt := now.Sub(c.sampledAt); dt >= time.Second {
		c.about.Rate = float64(c.about.Settled-c.sampled) / dt.Seconds()
		c.sampledAt, c.sampled = now, c.about.Settled
	}
	about := c.about
	about.Sessions, about.InFlight = len(c.sessions), len(c.held)
	about.Heartbeat = c.seen
	return about
}

func sortClients(list []Client) {
	slices.SortFunc(list, func(a, b Client) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
	})
}
