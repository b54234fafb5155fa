package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// ServerOptions are the settings of a server. Zero fields mean the defaults given.
type ServerOptions struct {
	// Tokens say who may do what. Without one nobody may do anything, unless Open is set.
	Tokens []Token

	// Open lets everybody who can connect do everything. It is for tests.
	Open bool

	// Program is what is said of the server's version.
	Program string

	// MaxLease bounds the leases that clients ask for. Default 5m.
	MaxLease time.Duration

	// MaxMessage bounds a request, in bytes. Default 32 MiB.
	MaxMessage int64

	// MaxReply bounds the bodies and values of an answer, in bytes: one that has as many
	// ends there. Default 8 MiB.
	MaxReply int

	// MaxClients bounds the clients, of which a quarter may be those of one token at one
	// address, and MaxSessions the sessions of one. Default 4,096 and 256.
	MaxClients  int
	MaxSessions int

	// MaxCalls bounds the calls in progress, those that wait among them. A quarter of
	// them may be those of one token at one address. Default 16,384.
	MaxCalls int

	// Patience bounds the time that a client may take to send a request or to read an
	// answer. Default 1m.
	Patience time.Duration

	// Logger receives what clients come and go. Default: nothing is logged.
	Logger *slog.Logger
}

// Defaults of leases.
const (
	defaultLease = 15 * time.Second
	minLease     = 100 * time.Millisecond
	maxWait      = 30 * time.Second // of a call that waits
)

// Server offers a store to clients; see docs/protocol.md. It is an http.Handler for the
// paths that begin with Prefix, safe for concurrent use.
//
// What a client holds is on the server: sessions, and deliveries by number. Invariants:
//
//	N1 A transaction of a client happens at most once, however often its request comes:
//	   it has an id, which the store remembers in the same batch.
//	N2 A delivery that was handed out and whose reply was lost is handed out again with
//	   the next call, since calls have numbers; or it goes back when its session ends.
//	N3 What a client holds has gone back one lease after its last sign of life, and a
//	   transaction that settles it is refused from then on. No clock but the server's
//	   is used for that.
//	N4 A session is known to its client, or ends: the call that begins it and the one that
//	   ends it may come again, late, and in any order.
//	N5 What a server refuses for now, it has not begun: a client that is told to come again
//	   holds what it held.
type Server struct {
	opts  ServerOptions
	log   *slog.Logger
	sums  []tokenSum
	calls map[string]handler
	busy  shares
	again repeats

	speaks versions // of the protocol

	mu      sync.Mutex
	store   *queue.Store // nil while this is no leader
	clients map[string]*client
	left    chan struct{} // closed, and nil again, when a client leaves; nil if nobody waits
}

// NewServer returns a server that offers nothing until [Server.Lead] gives it a store.
func NewServer(o ServerOptions) (*Server, error) {
	o.MaxLease = cmp.Or(o.MaxLease, 5*time.Minute)
	o.MaxMessage = cmp.Or(o.MaxMessage, 32<<20)
	o.MaxReply = cmp.Or(o.MaxReply, 8<<20)
	o.MaxClients = cmp.Or(o.MaxClients, 4096)
	o.MaxSessions = cmp.Or(o.MaxSessions, 256)
	o.MaxCalls = cmp.Or(o.MaxCalls, 16<<10)
	o.Patience = cmp.Or(o.Patience, time.Minute)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	s := &Server{opts: o, log: o.Logger, clients: make(map[string]*client)}
	s.busy = shares{most: o.MaxCalls, of: make(map[sharer]*share)}
	s.speaks = versions{oldestVersion, Version}
	if len(o.Tokens) == 0 && !o.Open {
		return nil, fmt.Errorf("%w: a server without tokens", queue.ErrInvalid)
	}
	for _, t := range o.Tokens {
		sum, err := t.sum()
		if err != nil {
			return nil, err
		}
		s.sums = append(s.sums, sum)
	}
	s.calls = s.handlers()
	return s, nil
}

// Lead makes the server offer a store, which stays the caller's. Clients of an earlier
// one are forgotten. A nil store makes it refuse all calls with ErrUnavailable, as a
// standby does.
func (s *Server) Lead(store *queue.Store) {
	s.mu.Lock()
	old := s.clients
	s.store, s.clients = store, make(map[string]*client)
	s.toldLocked()
	s.mu.Unlock()
	for _, c := range old {
		c.forget()
	}
}

// Clients returns who works on the store now, in the order of their names.
func (s *Server) Clients() []Client {
	s.mu.Lock()
	all := make([]*client, 0, len(s.clients))
	for _, c := range s.clients {
		all = append(all, c)
	}
	s.mu.Unlock()
	list := make([]Client, 0, len(all))
	for _, c := range all {
		list = append(list, c.describe())
	}
	sortClients(list)
	return list
}

// WaitClients returns nil when no client works on the store, be it that the last one has
// left or that its lease has run out, or the cause of ctx's end.
func (s *Server) WaitClients(ctx context.Context) error {
	for {
		s.mu.Lock()
		n := len(s.clients)
		if s.left == nil {
			s.left = make(chan struct{})
		}
		left := s.left
		s.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-left:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// toldLocked wakes those who wait for clients to leave.
func (s *Server) toldLocked() {
	if s.left != nil {
		close(s.left)
		s.left = nil
	}
}

// leader returns the store that is offered.
func (s *Server) leader() (*queue.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		return nil, fmt.Errorf("%w: it is a standby", ErrUnavailable)
	}
	return s.store, nil
}

// call is a request on its way through the server.
type call struct {
	store  *queue.Store
	role   Role
	binary bool
	from   string // the address of the client
	by     sharer
	use    *use // what it has of the share of by
	reads  bool // it changes nothing
	now    time.Time
	lasts  int64 // for how many milliseconds the store is the server's at least; 0 if as long as it is open
}

// handler answers a call of one name.
type handler struct {
	role   Role
	handle func(ctx context.Context, c *call, read func(any) error) (any, error)
}

// handles makes a handler of a function with a message.
func handles[M any](role Role, fn func(ctx context.Context, c *call, m *M) (any, error)) handler {
	return handler{role, func(ctx context.Context, c *call, read func(any) error) (any, error) {
		m := new(M)
		if err := read(m); err != nil {
			return nil, err
		}
		return fn(ctx, c, m)
	}}
}

// ServeHTTP answers a call.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	binary := isBinary(r.Header.Get("Content-Type"))
	c := new(call)
	reply, err := s.serve(w, r, binary, c)
	if c.use != nil {
		defer c.use.end() // when the answer has been taken, which counts too
	}
	status := http.StatusOK
	if err != nil {
		reply, status = problemOf(err)
	}
	body, err := encode(reply, binary)
	if err == nil && c.reads {
		if busy := c.use.take(len(body)); busy != nil {
			reply, status = problemOf(busy)
			body, err = encode(reply, binary)
		}
	}
	if err != nil {
		s.log.Error("an answer cannot be encoded", "call", r.URL.Path, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.opts.Patience))
	w.Header().Set("Content-Type", typeJSON)
	if binary {
		w.Header().Set("Content-Type", typeCBOR)
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("Connection", "close") // a stranger keeps none
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client asks again
}

// serve carries out a call, and fills in c as far as it comes.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, binary bool, c *call) (any, error) {
	// It holds for what is left of a body too, which is passed over when a call is refused.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.opts.Patience))
	name, ok := strings.CutPrefix(r.URL.Path, Prefix)
	h, known := s.calls[name]
	if !ok || !known {
		return nil, fmt.Errorf("%w: there is no call %.200q here; this server is %s and speaks %v of the protocol; if the call is of a newer one, upgrade the server",
			ErrProtocol, r.URL.Path, cmp.Or(s.opts.Program, "weir"), s.speaks)
	}
	role, token, err := s.authorize(r)
	if err != nil {
		return nil, err
	}
	if role < h.role {
		return nil, fmt.Errorf("%w: %s needs the role %s, the token has %s", ErrForbidden, name, h.role, role)
	}
	if r.Method != http.MethodPost {
		return nil, fmt.Errorf("%w: %s must be a POST", ErrProtocol, name)
	}
	by := sharer{place(r.RemoteAddr), token}
	use, err := s.busy.begin(by)
	if err != nil {
		return nil, err
	}
	*c = call{role: role, binary: binary, from: r.RemoteAddr, by: by, use: use, reads: h.role == RoleRead, now: time.Now()}
	if c.store, err = s.leader(); err != nil {
		return nil, err
	}
	reply, err := h.handle(r.Context(), c, func(m any) error {
		b, err := readBody(&counted{r.Body, use}, s.opts.MaxMessage, r.ContentLength)
		if err != nil {
			return err
		}
		if r.ProtoMajor == 1 { // else it is of the body alone
			_ = control.SetReadDeadline(time.Time{})
		}
		objects, done := 0, false
		if binary && len(b) < 1<<20 {
			objects, done = fastCommit(b, m)
		}
		weight := objects * objectWeight
		if !done {
			weight = weigh(b, binary)
		}
		if weight > maxReading {
			return fmt.Errorf("%w: message that takes %d MiB of memory, the limit is %d", queue.ErrTooLarge, weight>>20, maxReading>>20)
		}
		if err := use.take(weight); err != nil {
			return err
		}
		if done {
			return nil
		}
		return unmarshal(b, binary, m)
	})
	if err != nil && r.Context().Err() != nil && errors.Is(err, r.Context().Err()) {
		return nil, fmt.Errorf("%w: the call was given up", ErrUnavailable)
	}
	return reply, err
}

// wait returns a context for a call that may wait, for so many milliseconds at most.
func (s *Server) wait(ctx context.Context, ms int64, most time.Duration) (context.Context, context.CancelFunc) {
	d := min(time.Duration(max(ms, 0))*time.Millisecond, maxWait, most)
	return context.WithTimeoutCause(ctx, d, errWaited)
}

// errWaited ends a wait that has lasted as long as it may.
var errWaited = errors.New("waited as long as it may")

// handlers are all calls of the protocol.
func (s *Server) handlers() map[string]handler {
	return map[string]handler{
		"open":      handles(RoleWork, s.open),
		"heartbeat": handles(RoleWork, s.heartbeat),
		"leave":     handles(RoleWork, s.leave),
		"subscribe": handles(RoleWork, s.subscribe),
		"receive":   handles(RoleWork, s.receive),
		"close":     handles(RoleWork, s.endSession),
		"commit":    handles(RoleWork, s.commit),
		"states":    handles(RoleWork, s.states),

		"outcome":       handles(RoleRead, s.readOutcome),
		"get":           handles(RoleRead, s.get),
		"scan":          handles(RoleRead, s.scan),
		"stats":         handles(RoleRead, s.stats),
		"config":        handles(RoleRead, s.config),
		"group":         handles(RoleRead, s.group),
		"seen":          handles(RoleRead, s.seen),
		"barriers":      handles(RoleRead, s.barriers),
		"wait_barrier":  handles(RoleRead, s.waitBarrier),
		"wait_space":    handles(RoleRead, s.waitSpace),
		"holding":       handles(RoleRead, s.holding),
		"browse":        handles(RoleRead, s.browse),
		"find":          handles(RoleRead, s.find),
		"dead":          handles(RoleRead, s.dead),
		"deferrals":     handles(RoleRead, s.deferrals),
		"batches":       handles(RoleRead, s.batches),
		"subscriptions": handles(RoleRead, s.subscriptions),
		"clients":       handles(RoleRead, s.listClients),
		"limits":        handles(RoleRead, s.bounds),
		"size":          handles(RoleWork, s.size),
		"unsubscribe":   handles(RoleAdmin, s.unsubscribe),
		"drain":         handles(RoleAdmin, s.drain),
		"purge":         handles(RoleAdmin, s.purge),
		"purge_dead":    handles(RoleAdmin, s.purgeDead),
		"check":         handles(RoleAdmin, s.check),
	}
}

// NewHTTPServer returns a server for a handler with limits that slow clients meet, and those
// with many connections, and HTTP/2 with and without TLS.
func NewHTTPServer(h http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	open := &connections{of: make(map[string]int)}
	return &http.Server{
		Handler: h, Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 1000, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: time.Minute,
		},
		ConnState: open.changed,
	}
}
