//go:build unix

package remote_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// BenchmarkPages is a crawl whose workers only pretend to fetch: each page is taken, has
// 30 links of which half are known, a record, and is acknowledged, in one transaction.
// What the network adds is the difference between the two, of both its ends.
func BenchmarkPages(b *testing.B) {
	for _, network := range []bool{false, true} {
		b.Run(map[bool]string{false: "here", true: "network"}[network], func(b *testing.B) {
			store, err := memqueue.Open(nil)
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			server, err := remote.NewServer(remote.ServerOptions{Open: true})
			if err != nil {
				b.Fatal(err)
			}
			server.Lead(store)
			web := httptest.NewUnstartedServer(nil)
			web.Config = remote.NewHTTPServer(server)
			web.Start()
			defer web.Close()
			var tx queue.Tx
			for i := range 10_000 {
				tx.Enqueue("crawl", link(-i-1))
			}
			if err := store.Commit(b.Context(), &tx); err != nil {
				b.Fatal(err)
			}
			var left, found atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			begin, cpu := time.Now(), cputime.Used()
			var group sync.WaitGroup
			for w := range 4 {
				s := store
				if network {
					if s, err = remote.Open(b.Context(), web.URL, &remote.Options{Name: fmt.Sprint(w)}); err != nil {
						b.Fatal(err)
					}
					defer s.Close()
				}
				c, err := s.Subscribe(b.Context(), "crawl", nil)
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				for range 16 {
					group.Go(func() {
						for left.Load() > 0 {
							if err := pretend(b.Context(), s, c, &left, &found); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
			}
			group.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "pages/s")
			b.ReportMetric(float64((cputime.Used()-cpu).Microseconds())/float64(b.N), "cpu-µs/page")
		})
	}
}

func link(i int) queue.Item {
	url := fmt.Sprintf("https://host%d.example.com/a/page/of/some/length/%d", i%1000, i)
	return queue.Item{Key: url, Body: []byte(`{"url":"` + url + `"}`)}
}

var pageRecord = make([]byte, 600)

// pretend takes some pages and commits each.
func pretend(ctx context.Context, s *queue.Store, c *queue.Consumer, left, found *atomic.Int64) error {
	ds, err := c.Receive(ctx, 8)
	if err != nil {
		return err
	}
	for _, d := range ds {
		var tx queue.Tx
		first := int(found.Add(15)) - 15
		for i := range 15 {
			tx.Enqueue("crawl", link(first+i), link(max(first-100-i, 0)))
		}
		tx.Put("pages", d.Item.Key, pageRecord)
		tx.Add("crawl", "pages", 1)
		tx.Ack(d)
		if err := s.Commit(ctx, &tx); err != nil {
			return err
		}
		left.Add(-1)
	}
	return nil
}
