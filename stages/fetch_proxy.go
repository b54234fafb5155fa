package stages

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/net/proxy"
)

// A transport of net/http that has a proxy for https reads what comes through the
// tunnel by itself, where nothing can stand in between. So tunnels are ours: each
// proxy that is chosen for https has a transport of its own, which knows of no proxy,
// and whose connections are tunnels. Of http requests, which name their target, the
// proxy is an ordinary server.

func (f *Fetcher) newGuard() *guard {
	resolver := f.Resolver
	if resolver == nil {
		resolver = NewResolver(nil)
	}
	dialer := &net.Dialer{Timeout: cmp.Or(f.DialTimeout, 10*time.Second), KeepAlive: 30 * time.Second, Resolver: resolver}
	g := &guard{proxy: f.Proxy, resolver: resolver, plain: *dialer, guarded: dialer}
	if !f.AllowPrivate {
		g.rules = ssrf.New(ssrf.WithAnyPort())
		dialer.Control = g.rules.Safe
	}
	return g
}

// guard keeps connections out of private networks, be it directly or by a proxy. All
// transports of a Fetcher share it.
type guard struct {
	proxy   func(*http.Request) (*url.URL, error)
	rules   *ssrf.Guardian // nil: everything is allowed
	plain   net.Dialer     // to proxies, which their user has chosen
	guarded *net.Dialer
	proxies sync.Map // their addresses, host:port

	resolver *net.Resolver
}

// choose returns the proxy of a request. A proxy looks names up itself, so those
// that lead inside are refused here.
func (g *guard) choose(r *http.Request) (*url.URL, error) {
	u, err := g.proxy(r)
	if u == nil || err != nil {
		return u, err
	}
	if g.rules != nil {
		addrs, err := g.resolver.LookupNetIP(r.Context(), "ip", r.URL.Hostname())
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			network := "tcp6"
			if a = a.Unmap(); a.Is4() {
				network = "tcp4"
			}
			if err := g.rules.Safe(network, netip.AddrPortFrom(a, 80).String(), nil); err != nil {
				return nil, err
			}
		}
	}
	g.proxies.Store(proxyAddress(u), true)
	return u, nil
}

// proxyAddress is where a proxy is, host:port.
func proxyAddress(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme])
	return net.JoinHostPort(u.Hostname(), cmp.Or(port, "80"))
}

// chooseForHTTP is choose for a transport: a request for https that has a proxy goes to
// another one.
func (g *guard) chooseForHTTP(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme == "https" {
		return nil, nil
	}
	return g.choose(r)
}

func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if _, ok := g.proxies.Load(address); ok {
		return g.plain.DialContext(ctx, network, address)
	}
	return g.guarded.DialContext(ctx, network, address)
}

// tunnels are the transports for https by a proxy, by its address.
type tunnels struct {
	mu  sync.Mutex
	all map[string]http.RoundTripper
}

// roundTrip makes a request by the transport that is for it.
func (f *Fetcher) roundTrip(r *http.Request) (*http.Response, error) {
	if f.Proxy == nil || r.URL.Scheme != "https" {
		return f.transport.RoundTrip(r)
	}
	u, err := f.guard.choose(r)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return f.transport.RoundTrip(r)
	}
	f.tunnels.mu.Lock()
	via, ok := f.tunnels.all[u.String()]
	if !ok {
		if f.tunnels.all == nil {
			f.tunnels.all = make(map[string]http.RoundTripper)
		}
		via = f.around(f.newTransport(u))
		f.tunnels.all[u.String()] = via
	}
	f.tunnels.mu.Unlock()
	return via.RoundTrip(r)
}

// around is what the Fetcher's user makes of a built-in transport. It has a TLS
// configuration of its own then, which net/http writes to, though the user may have
// given the same to all.
func (f *Fetcher) around(builtin *http.Transport) http.RoundTripper {
	if f.Transport == nil {
		return builtin
	}
	rt := f.Transport(builtin)
	if c := builtin.TLSClientConfig; c != nil {
		builtin.TLSClientConfig = c.Clone()
	}
	return rt
}

// CloseIdle closes the connections that are kept for reuse.
func (f *Fetcher) CloseIdle() {
	f.once.Do(f.init)
	if f.Connections != nil {
		f.Connections.CloseIdle()
		return
	}
	f.tunnels.mu.Lock()
	defer f.tunnels.mu.Unlock()
	closeIdle(f.transport)
	for _, via := range f.tunnels.all {
		closeIdle(via)
	}
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// connect returns the connection on which TLS with address begins, be it a tunnel.
func (d *dialing) connect(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	if d.via == nil {
		return d.guard.dial(ctx, network, address)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.timeout, &phaseError{"answer of the proxy", d.timeout})
	defer cancel()
	conn, err := d.tunnel(ctx, network, address, config)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, &net.OpError{Op: "proxyconnect", Net: network, Err: err}
	}
	return conn, nil
}

// tunnel makes a connection to address through the proxy.
func (d *dialing) tunnel(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	if d.via.Scheme == "socks5" || d.via.Scheme == "socks5h" {
		var auth *proxy.Auth
		if user := d.via.User; user != nil {
			auth = &proxy.Auth{User: user.Username()}
			auth.Password, _ = user.Password()
		}
		socks, err := proxy.SOCKS5(network, proxyAddress(d.via), auth, &d.guard.plain)
		if err != nil {
			return nil, err
		}
		return socks.(proxy.ContextDialer).DialContext(ctx, network, address)
	}
	conn, err := d.guard.plain.DialContext(ctx, network, proxyAddress(d.via))
	if err != nil {
		return nil, err
	}
	if d.via.Scheme == "https" {
		own := config.Clone()
		own.ServerName, own.NextProtos = d.via.Hostname(), nil
		conn = tls.Client(conn, own)
	}
	// Whoever waits for the proxy stops when ctx ends.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err = askForTunnel(conn, address, d.via.User)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// askForTunnel sends a CONNECT (RFC 9110 section 9.3.6) and reads the answer.
func askForTunnel(conn net.Conn, address string, user *url.Userinfo) error {
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: make(http.Header)}
	if user != nil {
		password, _ := user.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		return err
	}
	// A server of TLS says nothing before the client has, so nothing behind the
	// answer is read by this.
	resp, err := http.ReadResponse(bufio.NewReader(conn), r)
	switch {
	case err != nil:
		return fmt.Errorf("answer of the proxy: %w", err)
	case resp.StatusCode != http.StatusOK:
		return errors.New("the proxy answers " + resp.Status)
	}
	return nil
}
