package stages

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
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
