package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	hosts    = 50
	pageSize = 13 << 10
	links    = 30
)

// sites are what there is to crawl.
type sites struct {
	Seed string   // of the synthetic web
	Gzip string   // of the same from a server that compresses, as most do
	Real string   // an index of real pages
	TLS  string   // an index of large ones, over TLS
	Root string   // the certificate of that, in PEM
	Docs []string // documentation
}

// serve serves the sites until its standard input ends.
func serve(n int, docs string) error {
	listeners := make([]net.Listener, hosts)
	port := "0"
	for i := range listeners {
		l, err := net.Listen("tcp", fmt.Sprintf("127.5.0.%d:%s", i+1, port))
		if err != nil {
			return err
		}
		listeners[i] = l
		_, port, _ = net.SplitHostPort(l.Addr().String())
	}
	url := func(page int) string { return fmt.Sprintf("http://127.5.0.%d:%s/page/%d", page%hosts+1, port, page) }
	web := sync.OnceValue(func() [][]byte { // most of what is crawled is not this
		web := make([][]byte, n)
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range web {
			web[i] = page(i, n, rng, url)
		}
		return web
	})
	mux := http.NewServeMux()
	mux.Handle("/gzip/", newGzipSite(n, url(0)))
	real := realSite{sync.OnceValues(realPages)}
	mux.Handle("/real/", real)
	mux.HandleFunc("/gen/", generated)
	many := &asked{delay: *hostDelay, seen: make([]hostSeen, *manyHosts)}
	mux.HandleFunc("/asked", many.reportTo)
	mux.Handle("/", many)
	mux.HandleFunc("/page/", func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/page/"))
		if err != nil || i < 0 || i >= n {
			http.NotFound(w, r)
			return
		}
		body := web()[i]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	server := &http.Server{Handler: mux}
	for _, l := range listeners {
		go func() { _ = server.Serve(l) }()
	}
	s := sites{Seed: url(0), Gzip: gzipURL(url(0), 0), Real: fmt.Sprintf("http://127.5.0.1:%s/real/", port)}
	var err error
	if s.Docs, err = serveDocs(docs); err != nil {
		return err
	}
	if s.TLS, s.Root, err = serveTLS(real.pages); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// serveDocs serves each package of documentation below dir on a host of its own.
func serveDocs(dir string) (seeds []string, err error) {
	if dir == "" {
		return nil, nil
	}
	for i, root := range []string{
		"python3.11-doc/usr/share/doc/python3.11/html", "postgresql-doc-15/usr/share/doc/postgresql-doc-15/html",
		"apache2-doc/usr/share/doc/apache2-doc/manual",
	} {
		path := filepath.Join(dir, root)
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("documentation: %w", err)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.5.2.%d:0", i+1))
		if err != nil {
			return nil, err
		}
		go func() { _ = http.Serve(l, http.FileServer(http.Dir(path))) }()
		seed := "http://" + l.Addr().String() + "/"
		if strings.Contains(root, "apache2") {
			seed += "en/"
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}

const (
	tlsHosts = 20
	tlsPages = 2_000
)

// serveTLS serves large real pages over TLS and HTTP/2, and an index of them.
func serveTLS(pages func() ([][]byte, error)) (seed, root string, err error) {
	var addresses []net.IP
	for i := range tlsHosts {
		addresses = append(addresses, net.IPv4(127, 5, 1, byte(i+1)))
	}
	certificate, root, err := selfSigned(addresses)
	if err != nil {
		return "", "", err
	}
	large := sync.OnceValues(func() (large [][]byte, err error) {
		all, err := pages()
		for _, p := range all {
			if len(p) > 100<<10 && len(p) < 400<<10 {
				large = append(large, p)
			}
		}
		return large, err
	})
	var urls []string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pages, err := large()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/" {
			for i := range tlsPages {
				fmt.Fprintf(w, "<a href=%slarge/%d>page</a>\n", urls[i%tlsHosts], i)
			}
			return
		}
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/large/"))
		if err != nil || i < 0 || i >= tlsPages {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(pages[i%len(pages)])
	})
	server := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	port := "0"
	for _, ip := range addresses {
		l, err := net.Listen("tcp", net.JoinHostPort(ip.String(), port))
		if err != nil {
			return "", "", err
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		urls = append(urls, "https://"+l.Addr().String()+"/")
		go func() { _ = server.ServeTLS(l, "", "") }()
	}
	return urls[0], root, nil
}

// selfSigned returns a certificate for addresses, and the same in PEM.
func selfSigned(addresses []net.IP) (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: addresses, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(block), nil
}

var words = strings.Fields(`the of and to in is that it was for on are as with his they at be this have from
	or one had by word but not what all were when we there can an your which their said if do will each
	about how up out them then she many some so these would other into has more her two like him see time
	could no make than first been its who now people my made over did down only way find use may water long
	little very after called just where most know river weir crawl queue page barrier`)

// page makes page i: it links to its children in a tree of thirds, so that every
// page can be reached, and to others at random.
func page(i, n int, rng *rand.Rand, url func(int) string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><title>Page %d of the web</title><meta charset=\"utf-8\"></head>\n<body><header><nav><ul>\n", i)
	written := 0
	link := func(to int) {
		if written++; to%2 == i%2 {
			fmt.Fprintf(&b, "<li><a href=\"%s\">Page %d</a></li>\n", url(to), to)
		} else {
			fmt.Fprintf(&b, "<li><a class=\"more\" href=\"%s#part\">About %d</a></li>\n", url(to), to)
		}
	}
	for child := 3*i + 1; child <= 3*i+3 && child < n; child++ {
		link(child)
	}
	for written < links {
		link(rng.IntN(n))
	}
	b.WriteString("</ul></nav></header>\n<main><article>\n")
	for b.Len() < pageSize-40 {
		b.WriteString("<p>")
		for range 40 + rng.IntN(40) {
			b.WriteString(words[rng.IntN(len(words))])
			b.WriteByte(' ')
		}
		b.WriteString("with <em>some</em> words.</p>\n")
	}
	b.WriteString("</article></main></body></html>\n")
	return []byte(b.String())
}
