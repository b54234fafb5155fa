package remote_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// A server that cannot show who it is is refused at once, with what is wrong and what to do.
func TestServersThatAreNotTrusted(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	local := []net.IP{net.IPv4(127, 0, 0, 1)}
	for _, c := range []struct {
		name        string
		from, until time.Time
		ips         []net.IP
		names       []string
		trusted     bool
		says        []string
	}{
		{"expired", now.Add(-48 * time.Hour), now.Add(-24 * time.Hour), local, nil, true,
			[]string{`"127.0.0.1"`, "has expired on " + now.Add(-24*time.Hour).UTC().Format("2006-01-02 15:04 UTC"), "here it is " + now.UTC().Format("2006-01-02"), "renew it on the server"}},
		{"not valid yet", now.Add(24 * time.Hour), now.Add(48 * time.Hour), local, nil, true,
			[]string{"is valid from " + now.Add(24*time.Hour).UTC().Format("2006-01-02"), "set the clock"}},
		{"of another name", now.Add(-time.Hour), now.Add(time.Hour), nil, []string{"crawl.example", "b.example"}, true,
			[]string{`"crawl.example b.example"`, "is not for 127.0.0.1", "use a name that it has"}},
		{"of an unknown signer", now.Add(-time.Hour), now.Add(time.Hour), local, nil, false,
			[]string{"nobody whom this machine trusts", "--ca FILE"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			template := &x509.Certificate{
				SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "crawl"}, NotBefore: c.from, NotAfter: c.until,
				IPAddresses: c.ips, DNSNames: c.names, IsCA: true, BasicConstraintsValid: true,
			}
			der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			web := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }))
			web.Config.ErrorLog = log.New(io.Discard, "", 0)
			web.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
			web.StartTLS()
			defer web.Close()
			pool := x509.NewCertPool()
			if c.trusted {
				pool.AddCert(leaf)
			}
			// With an hour of patience: it is not waited for.
			_, err = remote.Open(t.Context(), web.URL, &remote.Options{TLS: &tls.Config{RootCAs: pool}, Patience: time.Hour})
			if !errors.Is(err, remote.ErrUnavailable) {
				t.Fatalf("Open: %v", err)
			}
			for _, word := range append(c.says, strings.TrimPrefix(web.URL, "https://")) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("Open: %v\nthere is no %q", err, word)
				}
			}
		})
	}
}

// Of several servers those that are trusted are used.
func TestOneOfTheServersIsTrusted(t *testing.T) {
	web, _, _ := serve(t, true, nil)
	other := httptest.NewUnstartedServer(http.NotFoundHandler())
	other.Config.ErrorLog = log.New(io.Discard, "", 0)
	other.TLS = &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	other.StartTLS()
	defer other.Close()
	s, err := remote.Open(t.Context(), other.URL+","+web.URL, &remote.Options{TLS: trusting(web), Token: adminToken, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var tx queue.Tx
	tx.Enqueue("q", queue.Item{Body: bytes.Repeat([]byte("x"), 10)})
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Error(err)
	}
}

// selfSigned makes a certificate that nobody trusts.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A server and a client of which one uses TLS and the other does not say so.
func TestOneSideUsesTLS(t *testing.T) {
	plain, _, _ := serve(t, false, nil)
	_, err := remote.Open(t.Context(), strings.Replace(plain.URL, "http:", "https:", 1), &remote.Options{Patience: -1})
	if !errors.Is(err, remote.ErrUnavailable) || !strings.Contains(err.Error(), "http://") {
		t.Errorf("https to a server without TLS: %v", err)
	}
	secure, _, _ := serve(t, true, nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	_, err = remote.Open(t.Context(), strings.Replace(secure.URL, "https:", "http:", 1), &remote.Options{Patience: -1})
	if err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("http to a server with TLS: %v", err)
	}
}
