package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// gzipSite is the synthetic web from a server that sends its pages compressed.
type gzipSite struct{ pages func() [][]byte }

// gzipURL returns the address of a page, from that of any page of the plain web.
func gzipURL(seed string, page int) string {
	root, _, _ := strings.Cut(seed, "/page/")
	_, port, _ := strings.Cut(strings.TrimPrefix(root, "http://"), ":")
	return fmt.Sprintf("http://127.5.0.%d:%s/gzip/%d", page%hosts+1, port, page)
}

func newGzipSite(n int, seed string) gzipSite {
	return gzipSite{sync.OnceValue(func() [][]byte {
		all, rng := make([][]byte, n), rand.New(rand.NewPCG(1, 2))
		for i := range all {
			all[i] = page(i, n, rng, func(i int) string { return gzipURL(seed, i) })
		}
		return all
	})}
}

func (s gzipSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pages := s.pages()
	i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/gzip/"))
	if err != nil || i < 0 || i >= len(pages) {
		http.NotFound(w, r)
		return
	}
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		http.Error(w, "the pages are compressed", http.StatusNotAcceptable)
		return
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(pages[i]) // to memory, which does not fail
	_ = z.Close()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes())
}
