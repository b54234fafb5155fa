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
type gzipSite struct{ pages func() ([][]byte, error) }

// gzipURL returns the address of a page, from that of any page of the plain web.
func gzipURL(seed string, page int) string {
	root, _, _ := strings.Cut(seed, "/page/")
	_, port, _ := strings.Cut(strings.TrimPrefix(root, "http://"), ":")
	return fmt.Sprintf("http://127.5.0.%d:%s/gzip/%d", page%hosts+1, port, page)
}

func newGzipSite(n int, seed string) gzipSite {
	return gzipSite{sync.OnceValues(func() ([][]byte, error) {
		all, rng := make([][]byte, n), rand.New(rand.NewPCG(1, 2))
		for i := range all {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			if _, err := w.Write(page(i, n, rng, func(i int) string { return gzipURL(seed, i) })); err != nil {
				return nil, err
			}
			if err := w.Close(); err != nil {
				return nil, err
			}
			all[i] = b.Bytes()
		}
		return all, nil
	})}
}

func (s gzipSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pages, err := s.pages()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/gzip/"))
	if err != nil || i < 0 || i >= len(pages) {
		http.NotFound(w, r)
		return
	}
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		http.Error(w, "the pages are compressed", http.StatusNotAcceptable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Content-Length", strconv.Itoa(len(pages[i])))
	_, _ = w.Write(pages[i])
}
