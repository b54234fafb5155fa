package stages

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// connectProxy is a proxy that connects whatever it is asked for to one address, and
// counts how often.
func connectProxy(t *testing.T, target string, secure bool) (*url.URL, *atomic.Int64) {
	asked := new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != "Basic bWU6c2VjcmV0" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		asked.Add(1)
		out, err := net.Dial("tcp", target)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		in, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			out.Close()
			return
		}
		io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { io.Copy(out, buf); out.Close() }()
		io.Copy(in, out)
		in.Close()
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("me", "secret")
	return u, asked
}

// What comes through a tunnel is read with the tolerance of a direct connection, and
// requests take turns among proxies though connections are kept.
func TestTunnelsAreReadWithTolerance(t *testing.T) {
	raw := "HTTP/1.1 200 Fine\r\nX-Odd : 1\r\nno colon here\r\nContent-Type: text/html\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"
	site := httptest.NewUnstartedServer(nil)
	site.StartTLS()
	defer site.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", site.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(in)
					if err != nil || r.Host != "site.test" {
						return
					}
					io.WriteString(c, raw)
				}
			}()
		}
	}()
	plain, byPlain := connectProxy(t, l.Addr().String(), false)
	secure, bySecure := connectProxy(t, l.Addr().String(), true)
	turn := 0
	f := local()
	f.KeepWire = true
	f.Proxy = func(*http.Request) (*url.URL, error) {
		turn++
		return []*url.URL{plain, secure}[turn%2], nil
	}
	shared := &tls.Config{InsecureSkipVerify: true} // of all transports: there are several
	f.Transport = func(builtin *http.Transport) http.RoundTripper {
		builtin.TLSClientConfig = shared
		return builtin
	}
	defer f.CloseIdle()
	for range 4 {
		resp, err := f.Fetch(t.Context(), FetchRequest{URL: "https://site.test/"})
		if err != nil {
			t.Fatal(err)
		}
		if string(resp.Body) != "ok" || !strings.HasPrefix(string(resp.RawHeader), "HTTP/1.1 200 Fine\r\nX-Odd : 1\r\nno colon") {
			t.Errorf("got %q with the header %q", resp.Body, resp.RawHeader)
		}
		resp.Release()
	}
	if shared.NextProtos != nil {
		t.Errorf("the configuration of all transports was written to: %v", shared.NextProtos)
	}
	if turn != 4 || byPlain.Load() != 1 || bySecure.Load() != 1 {
		t.Errorf("%d choices, %d and %d tunnels; want 4, 1 and 1", turn, byPlain.Load(), bySecure.Load())
	}
	wrong := *plain
	wrong.User = nil
	g := &Fetcher{AllowPrivate: true, Proxy: http.ProxyURL(&wrong)}
	if _, err := g.Fetch(t.Context(), FetchRequest{URL: "https://site.test/"}); err == nil || !strings.Contains(err.Error(), "407") {
		t.Errorf("by a proxy that wants a password: %v", err)
	}
}
