//go:build unix

package faults

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// web is a synthetic one: pages 0 to n-1 spread over hosts. Page i leads to 3i+1, 3i+2 and
// 3i+3, home, and to its neighbour, so that what is found first is found again.
type web struct {
	pages int
	hosts []string

	mu    sync.Mutex
	asked map[string][]asking // by host
	count map[int]int         // by page
}

// asking is one request.
type asking struct {
	at   time.Time
	what string
}

func newWeb(t *testing.T, pages, hosts int) *web {
	w := &web{pages: pages, asked: make(map[string][]asking), count: make(map[int]int)}
	for range hosts {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.hosts = append(w.hosts, l.Addr().String())
		server := &http.Server{Handler: w}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { server.Close() })
	}
	return w
}

func (w *web) address(i int) string { return fmt.Sprintf("http://%s/%d", w.hosts[i%len(w.hosts)], i) }

// generation is how many links page i is from page 0.
func (w *web) generation(i int) int {
	n := 0
	for ; i > 0; i = (i - 1) / 3 {
		n++
	}
	return n
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.asked[r.Host] = append(w.asked[r.Host], asking{time.Now(), r.URL.Path})
	i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err == nil {
		w.count[i]++
	}
	w.mu.Unlock()
	if err != nil || i >= w.pages {
		http.NotFound(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(rw, "<html lang=en><title>Page %d</title><article><p>This is page %d, and it leads to others. The old mill stands beside the river, and a grey heron waits for fish.</p></article>", i, i)
	for _, j := range []int{3*i + 1, 3*i + 2, 3*i + 3, 0} {
		if j < w.pages {
			fmt.Fprintf(rw, `<a href="%s">page %d</a> `, w.address(j), j)
		}
	}
}

// haste returns what hosts were asked sooner than delay after what came before. Both
// requests are named.
func (w *web) haste(delay time.Duration) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for host, asked := range w.asked {
		for i := 1; i < len(asked); i++ {
			before, now := asked[i-1], asked[i]
			if gap := now.at.Sub(before.at); gap < delay {
				all = append(all, fmt.Sprintf("%s was asked for %s at %s and %v later for %s", host, before.what, before.at.Format("05.000"), gap, now.what))
			}
		}
	}
	return all
}
