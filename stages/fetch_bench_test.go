package stages

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// BenchmarkFetch measures small pages from loopback at 64 requests in flight,
// beside a bare net/http loop that reads the same pages and keeps nothing.
// Server and client share the processors.
func BenchmarkFetch(b *testing.B) {
	page := []byte("<!doctype html><title>T</title>" + strings.Repeat("<p>Some text of the page.</p>\n", 60))
	url := serve(b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	b.Run("bare", func(b *testing.B) {
		tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
		defer tr.CloseIdleConnections()
		client := &http.Client{Transport: tr}
		inFlight(b, 64, func() error {
			resp, err := client.Get(url)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(io.Discard, resp.Body)
			return err
		})
	})
	b.Run("fetcher", func(b *testing.B) {
		f := local()
		defer f.CloseIdle()
		inFlight(b, 64, func() error {
			_, err := f.Fetch(b.Context(), FetchRequest{URL: url})
			return err
		})
	})
}

// inFlight calls do once per iteration from n goroutines.
func inFlight(b *testing.B, n int, do func() error) {
	work := make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for range work {
				if err := do(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pages/s")
}
