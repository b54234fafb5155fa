package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages"
)

// BenchmarkFunction measures what a function that does nothing adds to a visit of
// a page of 13 KB with 30 links: parse, links and record, without network and
// commit, so a crawl has less of it. Visits with and without take turns.
func BenchmarkFunction(b *testing.B) {
	var page strings.Builder
	page.WriteString("<title>A page</title>")
	for i := range 30 {
		fmt.Fprintf(&page, `<p>%s<a href="/page/%d">link %d</a></p>`, strings.Repeat("Words of a page that stand between its links. ", 9), i, i)
	}
	store, err := memqueue.Open(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	body := []byte(page.String())
	visitor := func(functions ...crawler.Function) *crawler.Visitor {
		o := &crawler.Options{Functions: functions, Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}}
		f := &fetched{resp: &stages.FetchResponse{Status: http.StatusOK, Header: http.Header{}, ContentType: "text/html; charset=utf-8", Body: body}}
		return &crawler.Visitor{Store: store, Edges: crawler.NewEdges(o), Options: o, Robots: crawler.AllowAll{}, Fetcher: f}
	}
	without := visitor()
	with := visitor(crawler.Function{Visit: func(context.Context, *crawler.Visit, *crawler.Out) error { return nil }})
	// All processors are busy, as in a crawl, and a round of each kind takes long
	// enough for what the machine does beside to be the same in both.
	const workers, round = 8, 400
	visits := func(v *crawler.Visitor) time.Duration {
		start := cputime.Used()
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for range round / workers {
					if err := v.Visit(b.Context(), crawler.Request{URL: "http://a.example/"}, pipeline.NewOut()); err != nil {
						b.Error(err)
					}
				}
			})
		}
		group.Wait()
		return cputime.Used() - start
	}
	var more, plain []float64
	for b.Loop() {
		p, c := visits(without), visits(with)
		plain = append(plain, p.Seconds()/round)
		more = append(more, 100*(c.Seconds()-p.Seconds())/p.Seconds())
	}
	slices.Sort(more)
	slices.Sort(plain)
	b.ReportMetric(plain[len(plain)/2]*1e6, "µs/visit")
	b.ReportMetric(more[len(more)/2], "%more")
}

// BenchmarkCrawlWithFunction measures what such a function adds to a whole crawl, with
// its store on Badger and its stage crawl alone, in processor time: crawls of 1,000
// pages with and without take turns.
func BenchmarkCrawlWithFunction(b *testing.B) {
	const pages = 1000
	text := strings.Repeat("Words of a page that stand between its links. ", 9)
	site := fakeSite(func(r *http.Request) (int, string, string) {
		n := 0
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		var page strings.Builder
		fmt.Fprintf(&page, "<title>Page %d</title>", n)
		for i := range 30 {
			fmt.Fprintf(&page, `<p>%s<a href="/%d">link %d</a></p>`, text, (n*7+i+1)%pages, i)
		}
		return http.StatusOK, "text/html", page.String()
	})
	crawl := func(functions ...crawler.Function) float64 {
		store, err := badgerqueue.Open(b.TempDir(), &badgerqueue.Options{Queue: queue.Options{CommitDelay: 10 * time.Millisecond}})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		c, err := crawler.New(store, &crawler.Options{
			Seeds: crawler.Seeds("http://a.example/0"), Functions: functions, Transport: always(site),
			Settings: crawler.Settings{Delay: -1, PerHost: 16, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
		})
		if err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		start := cputime.Used()
		if err := c.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		return (cputime.Used() - start).Seconds() / pages
	}
	nothing := crawler.Function{Visit: func(context.Context, *crawler.Visit, *crawler.Out) error { return nil }}
	var more, plain []float64
	for i := 0; b.Loop(); i++ {
		var p, w float64
		if i%2 == 0 { // whoever comes second finds the heap of the first
			p, w = crawl(), crawl(nothing)
		} else {
			w, p = crawl(nothing), crawl()
		}
		plain, more = append(plain, p), append(more, 100*(w-p)/p)
	}
	slices.Sort(more)
	slices.Sort(plain)
	b.ReportMetric(plain[len(plain)/2]*1e6, "µs/page")
	b.ReportMetric(more[len(more)/2], "%more")
}
