// Package remote opens stores over the network, and offers them.
//
// [Open] returns the same type as a backend's Open, and what package queue promises of it
// holds: pipelines, crawls and stage functions run unchanged. [Server] is the other end.
// What they say to each other is in docs/protocol.md.
//
// Two things are as with any store whose sessions have leases: a session ends, with
// [queue.ErrLeaseLost], when the client has been silent for the time of its lease, or
// when another leader has taken the store over; and calls take the time of a round trip.
// A call whose reply was lost is made again, and has happened once. Calls wait for a
// server that cannot be reached, for [Options].Patience.
package remote

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/internal/lease"
	"github.com/seed-301537d8/weir/queue"
)

// Options are the settings of a client. Nil and zero fields mean the defaults given.
type Options struct {
	// Token is the secret that the server asks for.
	Token string

	// Name and Program are what the server lists the client by: which worker it is, and
	// its version.
	Name    string
	Program string

	// Lease is for how long the server keeps what the client holds after its last sign
	// of life, which it gives three times as often. Default 15s; the server has bounds.
	Lease time.Duration

	// Patience is for how long a call is tried again while no server can be reached; of
	// several addresses each is tried once at least.
	// Default 2m; negative means not at all.
	Patience time.Duration

	// TLS is for servers whose certificate no root of the system has signed.
	TLS *tls.Config

	// JSON makes the client speak as others do, for those who want to look at it.
	JSON bool

	// Transport makes the requests. Default: one that speaks HTTP/2, over TLS or not,
	// and uses the proxy of the environment.
	Transport http.RoundTripper

	// OnRetry, if not nil, is told why a call has failed that will be made again; see
	// [Answer]. It may be called by several goroutines at once, and must not block.
	OnRetry func(err error)

	// Logger receives what is tried again. Default: nothing is logged.
	Logger *slog.Logger
}

// Open returns a store that is offered at a URL, or at one of several that are separated
// by commas: those of a leader and its standbys. It returns an error if none of them can
// be reached, or the token is not theirs. Close ends what the client has begun, and gives
// back what it holds.
func Open(ctx context.Context, urls string, options *Options) (*queue.Store, error) {
	e, err := newEngine(urls, options)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", urls, err)
	}
	if err := e.meet(ctx); err != nil {
		e.stop(queue.ErrClosed)
		return nil, fmt.Errorf("open %s: %w", urls, err)
	}
	return queue.NewStore(e), nil
}

// meet asks the server what it is.
func (e *engine) meet(ctx context.Context) error {
	var reply openReply
	if err := e.call(ctx, "limits", &readRequest{}, &reply); err != nil {
		return err
	}
	if _, err := agree(e.speaks, ofMessage(reply.Oldest, reply.Version), e.opts.Program, reply.Program); err != nil {
		return err
	}
	e.maxItem, e.maxTx = reply.MaxItem, queue.Size(reply.MaxTx)
	e.heard(reply.Serial)
	return nil
}

// Workers returns the clients of the server that a store is at, which must be of
// [Open].
func Workers(ctx context.Context, urls string, options *Options) ([]Client, error) {
	e, err := newEngine(urls, options)
	if err != nil {
		return nil, err
	}
	defer e.stop(queue.ErrClosed)
	var reply readReply
	if err := e.call(ctx, "clients", &readRequest{}, &reply); err != nil {
		return nil, fmt.Errorf("clients of %s: %w", urls, err)
	}
	return reply.Clients, nil
}

// engine is a queue.Engine that asks a server.
type engine struct {
	opts    Options
	log     *slog.Logger
	urls    []string // ending in Prefix
	http    *http.Client
	maxItem int
	maxTx   queue.Size
	speaks  versions    // of the protocol
	met     atomic.Bool // a server has answered

	ctx     context.Context // ends with the store
	stop    context.CancelCauseFunc
	closing atomic.Bool
	at      atomic.Int64 // index in urls of the server that answered last

	member   sync.Mutex // held while the client opens
	mu       sync.Mutex
	client   string // the id under which it is open, or ""
	lease    time.Duration
	held     *lease.Holder // as the client of that id
	beating  bool
	doubted  chan struct{} // capacity 1: a sign of life is wanted now
	sessions map[*remoteSession]bool
	untold   []clientRequest // sessions of which the server may not know that they are over
	serial   uint64          // the last TxSerial that was heard of
	serialAt time.Time       // and when

	pause  time.Duration // the first between two attempts at a call
	greet  time.Duration // bounds an attempt as long as no server has answered
	sender sender
	hints  hints
}

func newEngine(urls string, options *Options) (*engine, error) {
	e := &engine{pause: firstPause, greet: greetTime, speaks: versions{oldestVersion, Version}, doubted: make(chan struct{}, 1), sessions: make(map[*remoteSession]bool)}
	if options != nil {
		e.opts = *options
	}
	o := &e.opts
	o.Lease = cmp.Or(o.Lease, defaultLease)
	o.Patience = cmp.Or(o.Patience, 2*time.Minute)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	e.log = o.Logger
	for part := range strings.SplitSeq(urls, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", queue.ErrInvalid, err)
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("%w: %q is no address of a server, as https://host:port is", queue.ErrInvalid, part)
		}
		e.urls = append(e.urls, strings.TrimSuffix(u.String(), "/")+Prefix)
	}
	if o.Transport == nil {
		o.Transport = newTransport(o.TLS)
	}
	e.http = &http.Client{Transport: o.Transport}
	e.ctx, e.stop = context.WithCancelCause(context.Background())
	e.sender.init(e)
	e.hints.init(e)
	return e, nil
}

// transport makes requests by default: HTTP/2, without TLS as well, with pings that find
// out that a connection is dead. Over TLS, and to a proxy, HTTP/1.1 will do.
type transport struct{ plain, secure *http.Transport }

func newTransport(config *tls.Config) *transport {
	t := &transport{new(http.Transport), new(http.Transport)}
	for _, to := range []*http.Transport{t.plain, t.secure} {
		*to = http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, Protocols: new(http.Protocols),
			HTTP2:                 &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
			ResponseHeaderTimeout: maxWait + 15*time.Second, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
			DialContext: (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 10 * time.Second}).DialContext,
		}
	}
	t.plain.Protocols.SetUnencryptedHTTP2(true)
	t.secure.Protocols.SetHTTP2(true)
	t.secure.Protocols.SetHTTP1(true)
	return t
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return t.secure.RoundTrip(r)
	}
	if proxy, err := t.plain.Proxy(r); proxy != nil && err == nil {
		return t.secure.RoundTrip(r) // by HTTP/1.1, which a proxy speaks
	}
	return t.plain.RoundTrip(r)
}

// CloseIdleConnections is called by http.Client.
func (t *transport) CloseIdleConnections() {
	t.plain.CloseIdleConnections()
	t.secure.CloseIdleConnections()
}

// newID returns 128 random bits as text.
func newID() string { return rand.Text() }

// memberID returns the id under which the client is open, and opens it if need be.
func (e *engine) memberID(ctx context.Context) (string, error) {
	e.member.Lock()
	defer e.member.Unlock()
	e.mu.Lock()
	id := e.client
	e.mu.Unlock()
	if id != "" {
		return id, nil
	}
	id = newID()
	var reply openReply
	err := e.call(ctx, "open", &openRequest{
		Client: id, Name: e.opts.Name, Program: e.opts.Program, Version: e.speaks.newest, Oldest: e.speaks.oldest, Lease: e.opts.Lease.Milliseconds(),
	}, &reply)
	if err != nil {
		return "", err
	}
	// A standby that has taken over may be of another version.
	if _, err := agree(e.speaks, ofMessage(0, reply.Version), e.opts.Program, reply.Program); err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.client, e.lease, e.held = id, time.Duration(reply.Lease)*time.Millisecond, new(lease.Holder)
	if !e.beating {
		e.beating = true
		go e.beat()
	}
	return id, nil
}

// beat gives signs of life until the store is closed.
func (e *engine) beat() {
	for {
		e.mu.Lock()
		id, lease := e.client, e.lease
		e.mu.Unlock()
		usual := false
		select {
		case <-time.After(lease / 3):
			usual = true
		case <-e.doubted: // not at once, as a server that fails would be asked again and again
			select {
			case <-time.After(doubtPause):
			case <-e.ctx.Done():
			}
		case <-e.ctx.Done():
		}
		if e.ctx.Err() != nil {
			return
		}
		if id == "" {
			continue
		}
		// One that is late is as good as none; the next goes elsewhere perhaps.
		ctx, cancel := context.WithTimeout(e.ctx, lease/2)
		err := e.call(ctx, "heartbeat", &clientRequest{Client: id}, new(heartbeatReply))
		cancel()
		if errors.Is(err, errUnknownClient) {
			e.lost(id)
		}
		if usual && err == nil {
			e.tell(id, lease/3)
		}
	}
}

// doubtPause is between a call that has failed and the sign of life that tells whether what
// is held here still is.
const doubtPause = 50 * time.Millisecond

// untell notes a session that the server may have, and nobody here: without its being told
// that one would live as long as the client.
func (e *engine) untell(client, session string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.untold = append(e.untold, clientRequest{client, session})
}

// tell ends such sessions of the client of an id. Those of others have ended with it.
func (e *engine) tell(id string, limit time.Duration) {
	e.mu.Lock()
	all := e.untold
	e.untold = nil
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(e.ctx, limit)
	defer cancel()
	for _, m := range all {
		if m.Client == id && e.call(ctx, "close", &m, &empty{}) != nil {
			e.untell(m.Client, m.Session)
		}
	}
}

// lost ends what the client held under an id that no server knows any more.
func (e *engine) lost(id string) {
	e.mu.Lock()
	if e.client == id {
		e.client = ""
		e.log.Warn("lease lost: the server gave back what was held here")
	}
	var ended []*remoteSession
	for s := range e.sessions {
		if s.client == id {
			ended = append(ended, s)
		}
	}
	e.mu.Unlock()
	for _, s := range ended {
		s.end(queue.ErrLeaseLost)
	}
}

// Close ends the sessions and everything that is in progress.
func (e *engine) Close() error {
	if !e.closing.CompareAndSwap(false, true) {
		return fmt.Errorf("close store: %w", queue.ErrClosed)
	}
	e.sender.close()
	e.mu.Lock()
	id := e.client
	e.client = ""
	var all []*remoteSession
	for s := range e.sessions {
		all = append(all, s)
	}
	e.mu.Unlock()
	if id != "" {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		// If it fails, the lease ends all the same.
		_ = e.once(ctx, e.urls[e.at.Load()], "leave", &clientRequest{Client: id}, &empty{})
	}
	for _, s := range all {
		s.end(queue.ErrClosed)
	}
	e.stop(queue.ErrClosed)
	e.http.CloseIdleConnections()
	return nil
}

// closeTime bounds what is said at the end of a session or a client.
const closeTime = 5 * time.Second
