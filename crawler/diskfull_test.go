package crawler_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// tight is a driver whose free space is what a test says.
type tight struct {
	driver.Store
	free atomic.Int64
}

func (d *tight) Free() (int64, error) { return d.free.Load(), nil }

func openTight(t *testing.T) (*tight, *queue.Store) {
	t.Helper()
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	d := &tight{Store: db}
	d.free.Store(math.MaxInt64)
	store, err := queue.New(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return d, store
}

// A full disk is waited for by all parts of a crawl: none ends it, and no page pays for it.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, store := openTight(t)
				began := time.Now()
				web := handled(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/html")
					switch {
					case strings.HasPrefix(r.URL.Host, "sick") && time.Since(began) < 2*time.Minute:
						w.WriteHeader(http.StatusServiceUnavailable)
					case r.URL.Path == "/robots.txt":
						w.WriteHeader(http.StatusNotFound)
					case r.URL.Path == "/":
						for i := range 100 {
							fmt.Fprintf(w, "<a href=/%d>x</a>", i)
						}
					}
				})
				c, err := crawler.New(store, &crawler.Options{
					Settings: crawler.Settings{Rate: 2, Retries: 5, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, MaxPages: 1000},
					Shared:   shared, Seeds: crawler.Seeds("http://well.example/", "http://sick.example/"), Transport: always(web),
				})
				if err != nil {
					t.Fatal(err)
				}
				// It is full for ten minutes, and then has room for some seconds.
				var turn *time.Timer
				turn = time.AfterFunc(12*time.Second, func() {
					if d.free.Swap(1<<20) > 1<<20 {
						turn.Reset(10 * time.Minute)
						return
					}
					d.free.Store(math.MaxInt64)
					turn.Reset(17 * time.Second)
				})
				defer turn.Stop()
				if err := c.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				st, err := inspect.ReadStatus(t.Context(), store)
				if err != nil || !st.Done || st.Pages != 202 || st.Failures != 0 {
					t.Errorf("done %v with %d pages and %d failures, %v; want done with 202 and none", st.Done, st.Pages, st.Failures, err)
				}
			})
		})
	}
}

// So is one that is full when a round ends and the next is to begin.
func TestAFullDiskBetweenRoundsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, store := openTight(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{IgnoreRobots: true, Every: time.Hour, MinInterval: time.Minute, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			Seeds:    crawler.Seeds("http://a.example/"), Transport: always(list(3)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Minute)
		defer cancel()
		time.AfterFunc(50*time.Minute, func() { d.free.Store(1 << 20) })
		time.AfterFunc(80*time.Minute, func() { d.free.Store(math.MaxInt64) })
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		for number := 1; number <= 2; number++ {
			if r, err := crawler.ReadRound(t.Context(), store, number); err != nil || r.Finished == nil {
				t.Errorf("round %d: %+v, %v; want that it is complete", number, r, err)
			}
		}
	})
}
