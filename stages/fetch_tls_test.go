package stages

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
)

// A connection that is made anew resumes the session of the one before, and as long
// as it is open, there is one handshake.
func TestHandshakesAreFewAndShort(t *testing.T) {
	var mu sync.Mutex
	var resumed []bool // of each connection
	closes := true
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if closes {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("Content-Type", "text/html")
	}))
	server.TLS = &tls.Config{VerifyConnection: func(s tls.ConnectionState) error {
		mu.Lock()
		defer mu.Unlock()
		resumed = append(resumed, s.DidResume)
		return nil
	}}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	sessions := tls.NewLRUClientSessionCache(4)
	newFetcher := func() *Fetcher {
		return &Fetcher{AllowPrivate: true, Sessions: sessions, Transport: func(builtin *http.Transport) http.RoundTripper {
			builtin.TLSClientConfig = &tls.Config{RootCAs: roots}
			return builtin
		}}
	}
	fetch := func(f *Fetcher) {
		t.Helper()
		resp, err := f.Fetch(t.Context(), FetchRequest{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		resp.Release()
	}
	check := func(what string, want ...bool) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if len(resumed) != len(want) {
			t.Fatalf("%s: %d handshakes, want %d", what, len(resumed), len(want))
		}
		for i := range want {
			if resumed[i] != want[i] {
				t.Errorf("%s: handshake %d resumed: %v", what, i, resumed[i])
			}
		}
	}
	f := newFetcher()
	defer f.CloseIdle()
	fetch(f)
	fetch(f)
	check("two connections", false, true)
	other := newFetcher()
	defer other.CloseIdle()
	fetch(other)
	check("another fetcher", false, true, true)
	closes = false
	for range 5 {
		fetch(f)
	}
	check("a connection that stays", false, true, true, true)
}

// Many requests that begin at once with a host that nobody is connected to make one
// connection at a time, as the server sees it: over HTTP/2 one for all, over HTTP/1.1
// one each at most, the first with a whole handshake.
func TestOneHandshakeAtATime(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		const requests = 16
		var mu sync.Mutex
		shaking, most, whole, all, served := 0, 0, 0, 0, 0
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			served++
			mu.Unlock()
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, r.Proto)
		}))
		server.EnableHTTP2 = http2
		server.TLS = &tls.Config{
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				mu.Lock()
				defer mu.Unlock()
				shaking++
				most = max(most, shaking)
				return nil, nil
			},
			VerifyConnection: func(s tls.ConnectionState) error {
				mu.Lock()
				defer mu.Unlock()
				all++
				if !s.DidResume {
					whole++
				}
				return nil
			},
		}
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that nobody needs in the end
		server.Listener = answering{server.Listener, func() {
			mu.Lock()
			defer mu.Unlock()
			shaking--
		}}
		server.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		f := &Fetcher{AllowPrivate: true, Transport: func(builtin *http.Transport) http.RoundTripper {
			builtin.TLSClientConfig = &tls.Config{RootCAs: roots}
			return builtin
		}}
		var group errgroup.Group
		for range requests {
			group.Go(func() error {
				resp, err := f.Fetch(t.Context(), FetchRequest{URL: server.URL})
				if err == nil {
					resp.Release()
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		once := most
		mu.Unlock()
		f.CloseIdle() // breaks off what nobody needs
		server.Close()
		if served != requests || once != 1 {
			t.Errorf("HTTP/2 %v: %d requests were served and %d handshakes under way at once, want %d and 1", http2, served, once, requests)
		}
		if http2 && all != 1 {
			t.Errorf("%d connections over HTTP/2, want 1", all)
		}
		if all > requests || whole < 1 {
			t.Errorf("%d connections for %d requests, %d with a whole handshake", all, requests, whole)
		}
	}
}

// answering is a listener that says when the first bytes of a connection are about to
// be written, which are all that a client needs to end a handshake.
type answering struct {
	net.Listener
	first func()
}

func (l answering) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &answeringConn{Conn: conn, first: l.first}, err
}

type answeringConn struct {
	net.Conn
	once  sync.Once
	first func()
}

func (c *answeringConn) Write(b []byte) (int, error) {
	c.once.Do(c.first)
	return c.Conn.Write(b)
}

// A host whose handshakes fail keeps nobody waiting for the failures of others.
func TestFailedHandshakesDoNotQueue(t *testing.T) {
	var h handshakes
	first := h.enter(t.Context(), "example.com:443")
	others := make(chan *turn)
	for range 3 {
		go func() { others <- h.enter(t.Context(), "example.com:443") }()
	}
	if other := h.enter(t.Context(), "example.org:443"); other == nil {
		t.Error("another host has to wait")
	} else {
		other.leave(false)
	}
	first.leave(true)
	for range 3 {
		turn := <-others // nil, or its own if it came after the failure
		turn.leave(true)
	}
	if len(h.busy) != 0 {
		t.Errorf("%d turns are left", len(h.busy))
	}
}
