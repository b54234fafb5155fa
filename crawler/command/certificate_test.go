package command

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// writeCertificate writes a certificate that is valid for a time, and its key.
func writeCertificate(t *testing.T, cert, key string, serial int64, valid time.Duration) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
		DNSNames: []string{"crawl.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	put(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	put(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// put writes a file, with a time of change that differs from that of the one before on
// any file system.
func put(t *testing.T, name string, text []byte) {
	t.Helper()
	var before time.Time
	if info, err := os.Stat(name); err == nil {
		before = info.ModTime()
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if !before.IsZero() {
		if err := os.Chtimes(name, time.Time{}, before.Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
}

// serial makes a connection and returns the number of the certificate that it is shown.
func serial(t *testing.T, c *certificate) int64 {
	t.Helper()
	here, there := net.Pipe()
	go func() {
		s := tls.Server(there, &tls.Config{GetCertificate: c.get})
		_ = s.Handshake()
		s.Close()
	}()
	conn := tls.Client(here, &tls.Config{InsecureSkipVerify: true})
	defer conn.Close()
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestCertificateFilesAreReadAgainWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		writeCertificate(t, cert, key, 1, 24*time.Hour)
		c, err := newCertificate(cert, key, log)
		if err != nil {
			t.Fatal(err)
		}
		step := func(what string, want int64, says string) {
			t.Helper()
			said.Reset()
			for range 3 {
				if got := serial(t, c); got != want {
					t.Errorf("%s: certificate %d, want %d", what, got, want)
				}
			}
			if n := strings.Count(said.String(), "\n"); says == "" && n != 0 || says != "" && (n != 1 || !strings.Contains(said.String(), says)) {
				t.Errorf("%s: it is said %q, want %q once", what, said.String(), says)
			}
		}
		step("at first", 1, "")
		writeCertificate(t, cert, key, 2, 24*time.Hour)
		step("a new one", 2, "read again")
		good, err := os.ReadFile(cert)
		if err != nil {
			t.Fatal(err)
		}
		put(t, cert, good[:len(good)/2])
		step("half of a file", 2, "used on")
		put(t, cert, []byte("nonsense"))
		step("nonsense", 2, "")
		put(t, cert, good)
		step("as it was", 2, "read again")
		writeCertificate(t, cert, filepath.Join(dir, "other"), 3, 24*time.Hour)
		step("another's key", 2, "private key does not match")
		put(t, cert, good)
		step("as it was", 2, "read again")
		if err := os.Remove(key); err != nil {
			t.Fatal(err)
		}
		step("no key", 2, filepath.Base(key))
		writeCertificate(t, cert, key, 4, -time.Minute)
		step("one that has expired", 2, "has expired on")
		writeCertificate(t, cert, key, 5, 48*time.Hour)
		step("the next", 5, "read again")
		time.Sleep(49 * time.Hour)
		step("when it has expired", 5, "has expired on")
		if _, err := newCertificate(cert, key, log); err == nil || !strings.Contains(err.Error(), "has expired on 2000-01-03") || !strings.Contains(err.Error(), cert) {
			t.Errorf("a server that begins with it: %v", err)
		}
	})
}
