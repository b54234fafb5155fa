package command_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

// requests is what a server was asked, in order.
type requests struct {
	mu  sync.Mutex
	all []string
}

func (r *requests) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, fmt.Sprintf(format, args...))
}

func (r *requests) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.all, "\n")
}

// plainSite answers every path with a page that links to /next.
func plainSite(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/robots.txt" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, "<html><title>%s</title><a href=/next>next</a>", r.URL.Path)
}

// quick are the flags of a crawl of a site on this machine.
func quick(dir string, more ...string) []string {
	return append([]string{"crawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl"}, more...)
}

// forwardProxy is an HTTP proxy that asks every host at one address.
func forwardProxy(t *testing.T, target string, log *requests, authorization string) *httptest.Server {
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if authorization != "" && r.Header.Get("Proxy-Authorization") != authorization {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		log.add("%s %s", r.Method, r.Host)
		if r.Method == http.MethodConnect {
			pipeTo(w, target)
			return
		}
		resp, err := http.Get("http://" + target + r.URL.RequestURI())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(p.Close)
	return p
}

// pipeTo answers CONNECT with a tunnel.
func pipeTo(w http.ResponseWriter, target string) {
	out, err := net.Dial("tcp", target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	in, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	fmt.Fprint(in, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(out, in); out.Close() }()
	_, _ = io.Copy(in, out)
	in.Close()
}

// socksProxy is a SOCKS5 proxy (RFC 1928, 1929) that connects every host to one
// address.
func socksProxy(t *testing.T, target string, log *requests, user, password string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveSOCKS(c, target, log, user, password)
		}
	}()
	return l.Addr().String()
}

func serveSOCKS(c net.Conn, target string, log *requests, user, password string) {
	defer c.Close()
	in := bufio.NewReader(c)
	read := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	read(int(read(2)[1])) // version, methods
	if user != "" {
		_, _ = c.Write([]byte{5, 2})
		read(1)
		u := string(read(int(read(1)[0])))
		p := string(read(int(read(1)[0])))
		if u != user || p != password {
			_, _ = c.Write([]byte{1, 1})
			return
		}
		_, _ = c.Write([]byte{1, 0})
	} else {
		_, _ = c.Write([]byte{5, 0})
	}
	head := read(4)
	host := ""
	switch head[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = net.IP(read(16)).String()
	}
	port := read(2)
	log.add("CONNECT %s:%d", host, int(port[0])<<8|int(port[1]))
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() { _, _ = io.Copy(out, in) }()
	_, _ = io.Copy(c, out)
}

func TestCrawlThroughProxies(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(plainSite))
	defer site.Close()
	target := strings.TrimPrefix(site.URL, "http://")
	t.Setenv("PROXY_PASSWORD", "s3cret")
	var first, second, socks, env, secured requests
	a := forwardProxy(t, target, &first, "")
	b := forwardProxy(t, target, &second, "Basic bWU6czNjcmV0")
	s := socksProxy(t, target, &socks, "me", "s3cret")
	e := forwardProxy(t, target, &env, "")

	t.Run("by turns", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "crawl")
		out := must(t, quick(dir, "--proxy", a.URL, "--proxy", strings.Replace(b.URL, "http://", "http://me:env:PROXY_PASSWORD@", 1), "http://site.test/")...)
		if !strings.Contains(out, "Complete: 2 pages") {
			t.Errorf("%s", out)
		}
		if n, m := strings.Count(first.String(), "GET site.test"), strings.Count(second.String(), "GET site.test"); n == 0 || m == 0 || n+m != 3 {
			t.Errorf("the first proxy was asked %q, the second %q", first.String(), second.String())
		}
		if config := must(t, "config", "--dir", dir); strings.Contains(config, "s3cret") || !strings.Contains(config, "me:env:PROXY_PASSWORD@") {
			t.Errorf("config:\n%s", config)
		}
	})
	t.Run("socks5", func(t *testing.T) {
		out := must(t, quick(filepath.Join(t.TempDir(), "crawl"), "--proxy", "socks5://me:env:PROXY_PASSWORD@"+s, "http://site.test/")...)
		if !strings.Contains(out, "Complete: 2 pages") || !strings.Contains(socks.String(), "CONNECT site.test:80") {
			t.Errorf("%s\nthe proxy was asked %q", out, socks.String())
		}
	})
	t.Run("of the environment", func(t *testing.T) {
		t.Setenv("ALL_PROXY", e.URL)
		t.Setenv("NO_PROXY", "127.0.0.1")
		out := must(t, quick(filepath.Join(t.TempDir(), "crawl"), "http://site.test/")...)
		if !strings.Contains(out, "Complete: 2 pages") || !strings.Contains(env.String(), "GET site.test") {
			t.Errorf("%s\nthe proxy was asked %q", out, env.String())
		}
		before := env.String()
		r := weir(t, quick(filepath.Join(t.TempDir(), "crawl"), "--proxy", "none", site.URL)...)
		if r.code != 0 || env.String() != before {
			t.Errorf("--proxy none: exit code %d\n%s\nthe proxy was asked %q", r.code, r.out, env.String())
		}
	})
	t.Run("https", func(t *testing.T) {
		tlsSite := httptest.NewTLSServer(http.HandlerFunc(plainSite))
		defer tlsSite.Close()
		p := forwardProxy(t, strings.TrimPrefix(tlsSite.URL, "https://"), &secured, "")
		out := must(t, quick(filepath.Join(t.TempDir(), "crawl"), "--insecure", "--proxy", p.URL, "https://site.test/")...)
		if !strings.Contains(out, "Complete: 2 pages") || !strings.Contains(secured.String(), "CONNECT site.test:443") {
			t.Errorf("%s\nthe proxy was asked %q", out, secured.String())
		}
	})
	t.Run("the guard holds", func(t *testing.T) {
		before := first.String()
		r := weir(t, "fetch", "--proxy", a.URL, "--ignore-robots", "http://169.254.1.1/")
		if r.code == 0 || first.String() != before {
			t.Errorf("exit code %d\n%s%s\nthe proxy was asked %q", r.code, r.out, r.err, first.String())
		}
	})
}

// loginSite wants a login by one of the schemes, and knows nothing of others.
func loginSite(t *testing.T, log *requests) *httptest.Server {
	const nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
	sum := func(parts ...string) string {
		h := md5.Sum([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h[:])
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Get("Authorization")
		host, _, _ := strings.Cut(r.Host, ":")
		ok := false
		switch host {
		case "basic.localhost":
			user, password, _ := r.BasicAuth()
			ok = user == "me" && password == "pass:word"
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		case "bearer.localhost":
			ok = got == "Bearer tok3n"
		case "digest.localhost":
			param := make(map[string]string)
			for part := range strings.SplitSeq(strings.TrimPrefix(got, "Digest "), ", ") {
				name, value, _ := strings.Cut(part, "=")
				param[name] = strings.Trim(value, `"`)
			}
			want := sum(sum("me", "testrealm", "pass:word"), nonce, param["nc"], param["cnonce"], param["qop"], sum(r.Method, r.URL.RequestURI()))
			ok = param["response"] == want && param["uri"] == r.URL.RequestURI()
			w.Header().Set("WWW-Authenticate", `Digest realm="testrealm", qop="auth,auth-int", algorithm=MD5, nonce="`+nonce+`", opaque="5ccc"`)
		default: // a host that must get none of it
			ok = got == ""
		}
		log.add("%s %s %v", host, r.URL.Path, ok)
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path == "/" {
			_, port, _ := net.SplitHostPort(r.Host)
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<a href=/next>n</a><a href="http://open.localhost:%s/">o</a>`, port)
			return
		}
		plainSite(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestLogins(t *testing.T) {
	var log requests
	site := loginSite(t, &log)
	u, err := url.Parse(site.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOGIN_PASSWORD", "pass:word")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("tok3n\nand more\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "crawl")
	port := ":" + u.Port()
	// Every host is this machine, by a proxy that asks the site.
	via := forwardProxyKeeping(t, u.Host)
	args := quick(dir, "--warc", "--scope", "any", "--proxy", via.URL,
		"--auth", "basic.localhost=basic:me:env:LOGIN_PASSWORD", "--auth", "digest.localhost=digest:me:env:LOGIN_PASSWORD",
		"--host", "bearer.localhost auth=bearer:file:"+token,
		"http://basic.localhost"+port, "http://digest.localhost"+port, "http://bearer.localhost"+port)
	r := weir(t, args...)
	if r.code != 0 || !strings.Contains(r.out, "Complete: 8 pages and 0 failures") {
		t.Fatalf("exit code %d\n%s%s\n%s", r.code, r.out, r.err, log.String())
	}
	if text := log.String(); strings.Contains(text, "open.localhost / false") || !strings.Contains(text, "open.localhost / true") {
		t.Errorf("the server saw\n%s", text)
	}
	for _, command := range [][]string{{"config", "--dir", dir}, {"config", "--dir", dir, "--json"}, {"status", "--dir", dir, "--json"}, {"export", "--dir", dir, "pages"}} {
		if out := must(t, command...); strings.Contains(out, "pass:word") || strings.Contains(out, "tok3n") {
			t.Errorf("%v shows a secret:\n%s", command, out)
		}
	}
	for _, word := range []string{"Authorization", "bWU6cGFzczp3b3Jk", "tok3n"} {
		if text := unzipped(t, filepath.Join(dir, "warc")); strings.Contains(text, word) || !strings.Contains(text, "GET /next HTTP/1.1") {
			t.Errorf("the archive has %q, or not the requests", word)
		}
	}
	r = weir(t, "crawl", "--dir", dir, "--auth", "basic.localhost=basic:me:hunter2")
	if r.code != 2 || !strings.Contains(r.err, "--auth") || !strings.Contains(r.err, "env:NAME") || strings.Contains(r.err, "hunter2") {
		t.Errorf("a password on the command line: exit code %d\n%s", r.code, r.err)
	}
}

// unzipped returns what the files of a folder have, uncompressed.
func unzipped(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.gz"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s has no archive: %v", dir, err)
	}
	var all strings.Builder
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&all, z); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// forwardProxyKeeping is a proxy that hands requests on as they are to one address.
func forwardProxyKeeping(t *testing.T, target string) *httptest.Server {
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", target
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(p.Close)
	return p
}

// certificate makes a certificate, signed by another one or by itself, and writes it
// with its key into a file.
func certificate(t *testing.T, name string, ca *tls.Certificate) (*tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: ca == nil, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	file := filepath.Join(t.TempDir(), name+".pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	return &cert, file
}

func TestCertificates(t *testing.T) {
	ca, caFile := certificate(t, "ca", nil)
	server, _ := certificate(t, "server", ca)
	_, client := certificate(t, "client", ca)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	site := httptest.NewUnstartedServer(http.HandlerFunc(plainSite))
	site.TLS = &tls.Config{Certificates: []tls.Certificate{*server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	site.Config.ErrorLog = log.New(io.Discard, "", 0)
	site.StartTLS()
	defer site.Close()
	host := strings.TrimPrefix(site.URL, "https://")
	fetch := func(code int, want string, args ...string) {
		t.Helper()
		r := weir(t, append([]string{"fetch", "--allow-private", "--ignore-robots", site.URL}, args...)...)
		if r.code != code || !strings.Contains(r.out+r.err, want) {
			t.Errorf("%v: exit code %d, want %d and %q\n%s%s", args, r.code, code, want, r.out, r.err)
		}
	}
	fetch(1, "certificate", "--client-cert", client)
	fetch(1, "tls", "--ca-file", caFile)
	fetch(0, "status 200", "--ca-file", caFile, "--client-cert", client)
	fetch(0, "status 200", "--insecure", "--host", host+" client-cert="+client)
	fetch(2, "--client-cert", "--client-cert", filepath.Join(t.TempDir(), "none"))
	fetch(2, "has no certificate in PEM", "--ca-file", filepath.Join("testdata", "help", "weir-crawl.txt"))
}

// A login by a form sets a cookie, without which there is a wall; a file of cookies
// is a login that was made elsewhere.
func TestCookiesOfAFileAndOfALogin(t *testing.T) {
	var log requests
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("session")
		switch {
		case r.URL.Path == "/robots.txt":
			http.NotFound(w, r)
		case err == nil && (c.Value == "fromfile" || c.Value == "renewed"):
			log.add("%s %s", r.URL.Path, c.Value)
			if r.URL.Path == "/" {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: "renewed", Path: "/"})
			}
			plainSite(w, r)
		default:
			http.Redirect(w, r, "/login?to="+r.URL.Path, http.StatusFound)
		}
	}))
	defer site.Close()
	for name, text := range map[string]string{
		"netscape":   "# Netscape HTTP Cookie File\n\n#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tfromfile\n",
		"extension":  `[{"name":"session","value":"fromfile","domain":"127.0.0.1","hostOnly":true,"path":"/","secure":false,"expirationDate":4102444800.5}]`,
		"playwright": `{"cookies":[{"name":"session","value":"fromfile","domain":"127.0.0.1","path":"/","expires":-1,"httpOnly":true}],"origins":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "cookies")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "crawl")
			before := len(log.all)
			if out := must(t, quick(dir, "--cookie-file", file, site.URL+"/")...); !strings.Contains(out, "Complete: 2 pages") {
				t.Errorf("%s", out)
			}
			// The same file again does not bring back what the server has replaced.
			must(t, quick(dir, "--cookie-file", file, site.URL+"/more")...)
			if got := strings.Join(log.all[before:], ", "); got != "/ fromfile, /next renewed, /more renewed" {
				t.Errorf("the server saw %s", got)
			}
		})
	}
	for text, want := range map[string]string{
		"a b\n": "line 1: it has 1 fields", `{"x":1}`: `no list "cookies"`, `[{"name":"a"}]`: "cookie 1: the cookie a has the domain", "[": "unexpected end",
	} {
		file := filepath.Join(t.TempDir(), "cookies")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := weir(t, quick(filepath.Join(t.TempDir(), "crawl"), "--cookie-file", file, site.URL)...)
		if r.code != 2 || !strings.Contains(r.err, "--cookie-file "+file) || !strings.Contains(r.err, want) {
			t.Errorf("%q: exit code %d, want %q\n%s", text, r.code, want, r.err)
		}
	}
}

func TestHeadersTypesAndBudgets(t *testing.T) {
	var log requests
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.add("%s %s %s", r.URL.Path, r.Header.Get("X-Client"), r.Header.Get("X-Api-Key"))
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			for i := range 20 {
				fmt.Fprintf(w, "<a href=/%d>x</a>", i)
			}
			fmt.Fprint(w, "<a href=/a.pdf>p</a><a href=/b.png>p</a>")
		case "/a.pdf":
			w.Header().Set("Content-Type", "application/pdf")
			fmt.Fprint(w, "%PDF-1.4\n1 0 obj <<>> endobj\n")
		case "/b.png":
			w.Header().Set("Content-Type", "image/png")
			fmt.Fprint(w, "\x89PNG\r\n\x1a\n")
		default:
			plainSite(w, r)
		}
	}))
	defer site.Close()
	t.Setenv("API_KEY", "k3y")
	dir := filepath.Join(t.TempDir(), "crawl")
	r := weir(t, quick(dir, "--header", "x-client: weir test", "--header", "X-Api-Key: env:API_KEY", "--types", "application/pdf", "--depth", "1", site.URL)...)
	if r.code != 0 || !strings.Contains(r.out, "Complete: 22 pages and 1 failure") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	for _, line := range log.all {
		if !strings.HasSuffix(line, " weir test k3y") {
			t.Errorf("a request without its headers: %s", line)
		}
	}
	if out := must(t, "status", "--dir", dir, "--json"); !strings.Contains(strings.Join(strings.Fields(out), ""), `"types":[{"type":"application/pdf","pages":1}]`) {
		t.Errorf("status:\n%s", out)
	}
	if out := must(t, "why", "--dir", dir, site.URL+"/a.pdf"); !strings.Contains(out, "application/pdf") {
		t.Errorf("why:\n%s", out)
	}
	t.Run("pages of a host", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "crawl")
		r := weir(t, quick(dir, "--max-pages-per-host", "5", "--per-host", "4", site.URL)...)
		if r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages") || !strings.Contains(r.out, "The limit --max-pages-per-host was reached: 19 URLs left out") {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
		if out := must(t, "why", "--dir", dir, site.URL+"/19"); !strings.Contains(out, "max_pages_per_host") {
			t.Errorf("why:\n%s", out)
		}
		// A host of its own limit goes on from where it was.
		r = weir(t, "crawl", "--dir", dir, "--progress", "off", "--host", strings.TrimPrefix(site.URL, "http://")+" max-pages-per-host=7", site.URL+"/new1", site.URL+"/new2", site.URL+"/new3")
		if r.code != 0 || !strings.Contains(r.out, "Complete: 7 pages") {
			t.Errorf("on: exit code %d\n%s%s", r.code, r.out, r.err)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		r := weir(t, quick(filepath.Join(t.TempDir(), "crawl"), "--max-bytes", "400", site.URL)...)
		if r.code != 0 || !strings.Contains(r.out, "Complete: 2 pages") && !strings.Contains(r.out, "Complete: 1 page") || !strings.Contains(r.out, "--max-bytes") {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
	})
}

// A run ends when its time is over, and another one goes on.
func TestMaxTime(t *testing.T) {
	s := newSite(t, "/b")
	dir := filepath.Join(t.TempDir(), "crawl")
	// A page that never ends is cut off, when the time is over and pages under way
	// have had theirs.
	r := program(t, &crawler.Options{DrainTime: 10 * time.Millisecond}, s.crawlArgs(dir, "--max-time", "300ms")...)
	close(s.gate["/b"])
	if r.code != 3 || !strings.Contains(r.out, "--max-time") || !strings.Contains(r.out, "Go on with") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := weir(t, "crawl", "--dir", dir, "--progress", "off", "--max-time", "unlimited"); r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures") {
		t.Errorf("resumed: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// What a file, flags and the default choose is shown with its origin, stored, and
// goes back when the file does not have it any more.
func TestConfigFile(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	file := filepath.Join(t.TempDir(), "crawl.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# of a test\ndir: " + dir + "\nprogress: off\nallow-private: true\ndelay: 1ms\ndepth: 0\nseeds:\n  - " + s.URL + "/\nhost:\n  example.com:\n    delay: 5s\n    header: {X-A: b}\nstages: [crawl]\n")
	out := must(t, "crawl", "-c", file, "--workers", "7")
	if !strings.Contains(out, "Complete: 1 page ") {
		t.Fatalf("%s", out)
	}
	config := must(t, "config", "--dir", dir)
	for setting, want := range map[string]string{"delay: 1ms": file + ":5", "depth: 0": file + ":6", "workers: 7": "--workers", "timeout: 1m": "default", "host:": file + ":9", "stages: [crawl]": file + ":13"} {
		found := false
		for line := range strings.Lines(config) {
			if strings.HasPrefix(line, setting+" ") && strings.HasSuffix(line, "# "+want+"\n") {
				found = true
			}
		}
		if !found {
			t.Errorf("no %q from %q in\n%s", setting, want, config)
		}
	}
	// What it writes is a file that says the same.
	again := filepath.Join(t.TempDir(), "again.yaml")
	if err := os.WriteFile(again, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	values := func(args ...string) string {
		var b strings.Builder
		for _, row := range lines[[]struct {
			Name   string
			Values []string
		}](t, must(t, append(args, "--json")...))[0] {
			fmt.Fprintln(&b, row.Name, row.Values)
		}
		return b.String()
	}
	if a, b := values("config", "--dir", dir), values("config", "--dir", filepath.Join(t.TempDir(), "none"), "-c", again); a != b {
		t.Errorf("the settings are\n%s\nand read again\n%s", a, b)
	}
	write("allow-private: true\ndelay: 1ms\nstages: [crawl]\n")
	r := weir(t, "crawl", "-c", file, "--dir", dir, "--progress", "off", s.URL+"/a")
	if r.code != 0 || !strings.Contains(r.err, "--depth: was 0, now unlimited (for links found from now on)") || strings.Contains(r.err, "--delay: was") || strings.Contains(r.err, "--workers") {
		t.Errorf("without depth: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// What config writes is read by --config again, also when nothing was chosen, and has
// the seeds of the file that it was given.
func TestConfigCanBeReadAgain(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	file := filepath.Join(t.TempDir(), "crawl.yaml")
	for _, text := range []string{
		"",
		"host: []\n",
		"host: {}\n",
		"host:\n",
		"seeds:\n  - https://a.example/?q=1\n  - {url: https://b.example/d/, scope: path, depth: 0}\n  - {url: https://c.example/, depth: unlimited}\n  - {url: https://d.example/, scope: any, depth: 3}\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		first := must(t, "config", "--dir", none, "-c", file)
		if err := os.WriteFile(file, []byte(first), 0o600); err != nil {
			t.Fatal(err)
		}
		second := must(t, "config", "--dir", none, "-c", file)
		values := func(config string) string {
			var b strings.Builder
			for line := range strings.Lines(config) {
				setting, _, _ := strings.Cut(line, " # ") // its origin
				fmt.Fprintln(&b, strings.TrimSpace(setting))
			}
			return b.String()
		}
		if values(first) != values(second) {
			t.Errorf("of %q it writes\n%s\nand of that\n%s", text, first, second)
		}
		for _, seed := range []string{`"https://a.example/?q=1"`, `{url: "https://b.example/d/", scope: path, depth: 0}`, `{url: "https://c.example/", depth: unlimited}`, `{url: "https://d.example/", scope: any, depth: 3}`} {
			if strings.Contains(text, "seeds") && !strings.Contains(second, "  - "+seed+"\n") {
				t.Errorf("no seed %s in\n%s", seed, second)
			}
		}
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	out := must(t, "crawl", "--dry-run", "--dir", dir, "--allow-private", "--delay", "0", "--deny", "/b$", s.URL, s.URL+"/private/x")
	for _, want := range []string{"would begin with 2 seeds", "+ " + s.URL + "/a", "- " + s.URL + "/b", "--deny", "robots.txt: Disallow: /private", "failed    robots"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	file := filepath.Join(t.TempDir(), "seeds")
	if err := os.WriteFile(file, []byte("# of a file\n"+strings.Repeat(s.URL+"/ depth=1\n", 12)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must(t, "crawl", "--dry-run", "--dir", dir, "--allow-private", "--delay", "0", "--seeds", file); !strings.Contains(out, "more than 10 seeds") || !strings.Contains(out, "at most 1 links from a seed") {
		t.Errorf("seeds of a file:\n%s", out)
	}
	if strings.Contains(out, "(--links") || strings.Contains(out, "(--text") {
		t.Errorf("it names flags that weir crawl has not:\n%s", out)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made")
	}
	if s.count("/a") != 0 {
		t.Error("a link was followed")
	}
}

// A port on which nobody listens is told at the first attempt, long before it is
// given up, and so is a certificate that nobody vouches for.
func TestWhatIsWrongWithASeedIsToldAtOnce(t *testing.T) {
	tlsSite := httptest.NewUnstartedServer(http.HandlerFunc(plainSite))
	tlsSite.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsSite.StartTLS()
	defer tlsSite.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	l.Close()
	for seed, want := range map[string]string{closed: "refused", tlsSite.URL: "certificate"} {
		ctx, cancel := context.WithCancel(t.Context())
		told := &watched{want: want, seen: cancel}
		args := append([]string{"weir"}, quick(filepath.Join(t.TempDir(), "crawl"), seed)...)
		code := command.Run(ctx, nil, args, strings.NewReader(""), io.Discard, told)
		if code != 130 || strings.Count(told.text.String(), "robots.txt is unreachable") != 1 {
			t.Errorf("%s: exit code %d\n%s", seed, code, told.text.String())
		}
		cancel()
	}
}

// watched calls seen when it is written what it waits for.
type watched struct {
	want string
	seen func()
	mu   sync.Mutex
	text strings.Builder
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(b)
	if strings.Contains(w.text.String(), w.want) {
		w.seen()
	}
	return len(b), nil
}

func TestWhatACrawlLacksIsSaid(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	must(t, s.crawlArgs(dir, "--stages", "crawl")...)
	expect := func(code int, want string, args ...string) {
		t.Helper()
		if r := weir(t, args...); r.code != code || !strings.Contains(r.out+r.err, want) {
			t.Errorf("weir %v: exit code %d, want %d and %q\n%s%s", args, r.code, code, want, r.out, r.err)
		}
	}
	expect(1, "keeps no archive", "export", "--dir", dir, "captures")
	expect(1, "fetches no requisites of pages", "export", "--dir", dir, "assets")
	expect(1, "has no stage tag", "export", "--dir", dir, "pages", "--format", "conllu")
	expect(0, "The archive (--warc) begins with what is fetched from now on", "crawl", "--dir", dir, "--progress", "off", "--warc")
	expect(0, "", "export", "--dir", dir, "captures")
	expect(0, "it is an asset (image)", "why", "--dir", dir, s.URL+"/logo.png")
	missing := filepath.Join(t.TempDir(), "no", "pages.jsonl")
	r := weir(t, "export", "--dir", dir, "pages", "-o", missing)
	if r.code != 1 || !strings.Contains(r.err, "write "+missing+": ") || strings.Contains(r.err, ".pages.jsonl.") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}

func TestVersionManAndCompletion(t *testing.T) {
	if a, b := must(t, "--version"), must(t, "version"); a != b || !strings.HasPrefix(a, "weir ") {
		t.Errorf("--version says %q, version %q", a, b)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := must(t, "completion", shell); !strings.Contains(out, "weir") {
			t.Errorf("completion for %s:\n%s", shell, out)
		}
	}
	if out := must(t, "__complete", "crawl", "--mode", ""); !strings.Contains(out, "balanced\n") {
		t.Errorf("the modes are completed as\n%s", out)
	}
	page := must(t, "man", "crawl")
	for _, st := range crawler.AllSettings() {
		if !strings.Contains(page, `\-\-`+st.Name) && !strings.Contains(page, "--"+st.Name) {
			t.Errorf("the manual of crawl has no --%s", st.Name)
		}
	}
	dir := filepath.Join(t.TempDir(), "man1")
	must(t, "man", "--output", dir)
	for _, name := range []string{"weir.1", "weir-crawl.1", "weir-dead-retry.1"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// Of a message that comes a thousand times some are written, and the others counted.
func TestLogs(t *testing.T) {
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "log")
	r := weir(t, s.crawlArgs(filepath.Join(t.TempDir(), "crawl"), "--log-file", file, "--log-format", "json", "--log-level", "debug")...)
	if r.code != 0 || strings.Contains(r.err, "level") {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := lines[struct {
		Time  time.Time
		Level string
		Msg   string
	}](t, string(b))
	if len(rows) == 0 || rows[0].Time.IsZero() || rows[0].Level == "" || rows[0].Msg == "" {
		t.Errorf("the log is\n%s", b)
	}
}

// A user name in an address of a page is told of, and not sent.
func TestLoginsInLinksAreSaid(t *testing.T) {
	var log requests
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.add("%s %s", r.URL.Path, r.Header.Get("Authorization"))
		with := "http://me:s3cret@" + r.Host
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<a href="%s/a">a</a><a href=/b>b</a><a href="mailto:me@a.example">m</a><a href="/@me">m</a>`, with)
		case "/b":
			http.Redirect(w, r, with+"/c", http.StatusFound)
		default:
			plainSite(w, r)
		}
	}))
	defer site.Close()
	dir := filepath.Join(t.TempDir(), "crawl")
	r := weir(t, quick(dir, site.URL)...)
	if r.code != 0 || strings.Count(r.out, "with a user name or password in the address, which are not sent") != 2 || strings.Contains(r.out+r.err+log.String(), "s3cret") || strings.Contains(log.String(), "Basic") {
		t.Errorf("exit code %d\n%s%s%s", r.code, r.out, r.err, log.String())
	}
	if out := must(t, "why", "--dir", dir, site.URL+"/a"); !strings.Contains(out, "user name or password") {
		t.Errorf("why:\n%s", out)
	}
}
