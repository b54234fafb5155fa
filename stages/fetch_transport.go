package stages

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/seed-301537d8/weir/internal/tolerant"
)

// newTransport builds the transport for a crawl of many hosts: few idle
// connections each, all bounded together, and no decompression of its own. With a
// proxy it is for https by tunnels of that proxy alone.
func (f *Fetcher) newTransport(via *url.URL) *http.Transport {
	g := f.guard
	var proxy func(*http.Request) (*url.URL, error)
	if f.Proxy != nil {
		proxy = g.chooseForHTTP
	}
	maxHeader := cmp.Or(f.MaxHeader, 256<<10)
	d := &dialing{guard: g, via: via, maxHeader: int(maxHeader), keep: f.KeepWire, timeout: cmp.Or(f.TLSTimeout, 10*time.Second), sessions: f.Sessions}
	if d.sessions == nil {
		d.sessions = tls.NewLRUClientSessionCache(maxSessions)
	}
	d.transport = &http.Transport{
		Proxy:                  proxy,
		DialContext:            d.plain,
		DialTLSContext:         d.tls,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		TLSHandshakeTimeout:    d.timeout,
		ResponseHeaderTimeout:  cmp.Or(f.HeaderTimeout, 20*time.Second),
		MaxIdleConns:           cmp.Or(f.MaxIdleConns, 1024),
		MaxIdleConnsPerHost:    cmp.Or(f.MaxIdlePerHost, 64),
		IdleConnTimeout:        cmp.Or(f.IdleConnTimeout, 30*time.Second),
		MaxResponseHeaderBytes: maxHeader,
		WriteBufferSize:        2 << 10,
		ReadBufferSize:         8 << 10,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	return d.transport
}

// dialing makes the connections of a transport, on which HTTP/1 is read with
// tolerance; see package tolerant.
type dialing struct {
	guard     *guard
	via       *url.URL // proxy for https, or nil
	transport *http.Transport
	maxHeader int
	keep      bool
	timeout   time.Duration // of a TLS handshake
	sessions  tls.ClientSessionCache

	// A request that gets a connection which another one has given back leaves the
	// one it was making under way, and its turn to the next.
	handshakes handshakes
}

// maxSessions bounds the TLS sessions that are kept, some 2 KiB each.
const maxSessions = 1024

func (d *dialing) plain(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.guard.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return tolerant.Wrap(conn, d.maxHeader, d.keep), nil
}

// tls shakes hands as the transport itself would.
func (d *dialing) tls(ctx context.Context, network, address string) (net.Conn, error) {
	config := new(tls.Config)
	if c := d.transport.TLSClientConfig; c != nil {
		config = c.Clone()
	}
	conn, err := d.connect(ctx, network, address, config)
	if err != nil {
		return nil, err
	}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = d.sessions
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	if p := d.transport.Protocols; p != nil && !p.HTTP2() || d.transport.TLSNextProto != nil && d.transport.TLSNextProto["h2"] == nil {
		config.NextProtos = []string{"http/1.1"}
	}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	tc := tls.Client(conn, config)
	shake, cancel := context.WithTimeoutCause(ctx, d.timeout, &phaseError{"TLS handshake", d.timeout})
	turn := d.handshakes.enter(shake, address)
	err = tc.HandshakeContext(shake)
	turn.leave(err != nil && ctx.Err() == nil)
	if err != nil && shake.Err() != nil && ctx.Err() == nil {
		err = context.Cause(shake)
	}
	cancel()
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(tc.ConnectionState(), err)
	}
	switch {
	case err != nil:
		conn.Close()
		return nil, err
	case tc.ConnectionState().NegotiatedProtocol == "h2":
		return tc, nil
	}
	return tolerant.Wrap(tc, d.maxHeader, d.keep), nil
}

// phaseError is the cause that a watch cancels its context with.
type phaseError struct {
	phase string
	limit time.Duration
}

// Timeout says what it is, as net.Error does.
func (e *phaseError) Timeout() bool   { return true }
func (e *phaseError) Temporary() bool { return true }

func (e *phaseError) Error() string {
	return "no " + e.phase + " within " + e.limit.String()
}

// A watch is the clock of one request: a context that ends when the whole takes
// too long or when its body pauses too long, by one timer for both. (Connecting,
// the handshake and the header are limited by the transport.) It belongs to the
// goroutine that made it; only its timer runs elsewhere.
type watch struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	whole    time.Duration
	deadline time.Time
	paused   time.Time
	idle     atomic.Int64 // a time.Duration; 0 before the body
	timer    *time.Timer
}

func newWatch(ctx context.Context, whole time.Duration) *watch {
	w := &watch{whole: whole, deadline: time.Now().Add(whole)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(whole, w.expire)
	return w
}

func (w *watch) expire() {
	if idle := time.Duration(w.idle.Load()); idle > 0 && time.Until(w.deadline) > 0 {
		w.cancel(&phaseError{"body", idle})
		return
	}
	w.cancel(&phaseError{"complete answer", w.whole})
}

// body begins the body, each pause of which may last idle at most.
func (w *watch) body(idle time.Duration) {
	w.idle.Store(int64(idle))
	w.again()
}

// again gives the body its time anew.
func (w *watch) again() {
	w.timer.Reset(min(time.Duration(w.idle.Load()), max(time.Until(w.deadline), 0)))
}

// pause stops the clock, and resume lets it go on: waiting for ourselves is
// nothing that the other side can be blamed for.
func (w *watch) pause() {
	w.timer.Stop()
	w.paused = time.Now()
}

func (w *watch) resume() {
	w.deadline = w.deadline.Add(time.Since(w.paused))
	w.again()
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// A tracer takes the times of one request. The transport may call it from
// several goroutines, and from a dial that lost the race after the request is
// over, so everything is under the lock.
type tracer struct {
	start time.Time
	turn  *turn // to get a connection, or nil

	mu       sync.Mutex
	dns      time.Time
	connect  time.Time
	tls      time.Time
	t        Timings
	remote   string
	reused   bool
	conn     *tolerant.Conn // that the answer came on, or nil
	finished bool
}

// header returns the header of the answer that has just come, as it was sent, or
// nil if that is not known.
func (t *tracer) header() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.conn == nil {
		return nil
	}
	return t.conn.Header()
}

func (t *tracer) with(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { t.begin(&t.dns) },
		DNSDone:           func(httptrace.DNSDoneInfo) { t.end(&t.dns, &t.t.DNS) },
		ConnectStart:      func(_, _ string) { t.begin(&t.connect) },
		ConnectDone:       func(_, _ string, err error) { t.end(&t.connect, &t.t.Connect) },
		TLSHandshakeStart: func() { t.begin(&t.tls) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { t.end(&t.tls, &t.t.TLS) },
		GotConn: func(i httptrace.GotConnInfo) {
			t.turn.leave(false)
			t.mu.Lock()
			defer t.mu.Unlock()
			if a := i.Conn.RemoteAddr(); a != nil && !t.finished {
				t.remote, t.reused = a.String(), i.Reused
				t.conn, _ = i.Conn.(*tolerant.Conn)
			}
		},
		GotFirstResponseByte: func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if !t.finished {
				t.t.FirstByte = time.Since(t.start)
			}
		},
	})
}

// answered notes when the answer came of a transport that does not say it.
func (t *tracer) answered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.t.FirstByte == 0 {
		t.t.FirstByte = time.Since(t.start)
	}
}

func (t *tracer) begin(at *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at.IsZero() {
		*at = time.Now()
	}
}

func (t *tracer) end(at *time.Time, d *time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.finished && !at.IsZero() {
		*d = time.Since(*at)
	}
}

func (t *tracer) into(r *FetchResponse) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finished = true
	if t.reused {
		// A dial that was begun for this request and lost to an idle
		// connection is not this request's time.
		t.t.DNS, t.t.Connect, t.t.TLS = 0, 0, 0
	}
	r.Timings, r.Remote, r.Reused = t.t, t.remote, t.reused
	r.Timings.Total = time.Since(t.start)
}

// transportError classifies what the transport, or the reading of a body,
// returned.
func (f *Fetcher) transportError(ctx context.Context, req *http.Request, w *watch, err error) *Error {
	reason, permanent := classify(ctx, w, err)
	detail := err.Error()
	var pe *phaseError
	if reason == ReasonTimeout && errors.As(context.Cause(w.ctx), &pe) {
		detail = pe.Error()
	}
	return f.fail(address(req), reason, permanent, detail, err)
}

func classify(ctx context.Context, w *watch, err error) (reason Reason, permanent bool) {
	var (
		dns     *net.DNSError
		nerr    net.Error
		pe      *phaseError
		opErr   *net.OpError
		certErr *tls.CertificateVerificationError
		hostErr x509.HostnameError
		alert   tls.AlertError
		record  tls.RecordHeaderError
	)
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ReasonTimeout, false
	case ctx.Err() != nil:
		return ReasonCanceled, false
	case errors.As(context.Cause(w.ctx), &pe):
		return ReasonTimeout, false
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return ReasonPrivateAddress, true
	case errors.As(err, &dns):
		if dns.IsTimeout {
			return ReasonTimeout, false
		}
		return ReasonDNS, dns.IsNotFound
	case errors.As(err, &certErr), errors.As(err, &hostErr), errors.As(err, &alert), errors.As(err, &record):
		return ReasonTLS, false
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ReasonTruncated, false
	case errors.Is(err, syscall.ECONNREFUSED):
		return ReasonRefused, false
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return ReasonReset, false
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return ReasonUnreachable, false
	case errors.As(err, &nerr) && nerr.Timeout():
		return ReasonTimeout, false
	case errors.As(err, &opErr) && opErr.Op == "remote error", strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return ReasonTLS, false
	case strings.Contains(err.Error(), "server response headers exceeded"):
		return ReasonTooLarge, true
	case strings.Contains(err.Error(), "http2:"):
		return ReasonProtocol, false
	case strings.Contains(err.Error(), "malformed"), strings.Contains(err.Error(), "invalid"), strings.Contains(err.Error(), "bad Content-Length"),
		strings.Contains(err.Error(), "unsupported transfer encoding"), strings.Contains(err.Error(), "Content-Length header"):
		return ReasonProtocol, true // and will be the next time
	}
	return ReasonNetwork, false
}
