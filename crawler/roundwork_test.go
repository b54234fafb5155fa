package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
)

// Whoever joins in a later round begins at once, and a worker that was there before works
// on it though it had seen the limits reached in the round before.
func TestWorkersInLaterRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hosts = 12
		store := openMemory(t)
		settings := crawler.Settings{
			MaxPages: hosts, MaxBytes: hosts * 200, Every: time.Hour, MinInterval: time.Minute, MaxInterval: time.Hour, Delay: time.Minute,
			Workers: 1, IgnoreRobots: true, Scope: scope.Settings{Within: scope.WithinAny}, Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
		}
		var seeds []crawler.Request
		for i := range hosts {
			seeds = append(seeds, crawler.Request{URL: fmt.Sprintf("http://h%d.example/", i)})
		}
		var mu sync.Mutex
		asked := make(map[string]int)
		transport := func(who string) func(*http.Transport) http.RoundTripper {
			return always(handled(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				asked[who]++
				mu.Unlock()
				time.Sleep(time.Second) // the others have a turn
				fmt.Fprintf(w, "<title>%99s</title><a href=/more>x</a>", r.Host)
			}))
		}
		main, err := crawler.New(store, &crawler.Options{Settings: settings, Shared: true, Seeds: seeds, Transport: transport("main")})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if err := main.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		work := func(name string) {
			group.Go(func() {
				stored, err := crawler.AwaitCrawl(ctx, store)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				c, err := crawler.New(store, &crawler.Options{Settings: stored.Settings, Shared: true, Transport: transport(name)})
				if err != nil {
					t.Error(err)
					return
				}
				if err := c.Work(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		work("early")
		time.Sleep(90 * time.Minute) // after round 1
		work("late")
		time.Sleep(5 * time.Hour)
		cancel()
		group.Wait()
		for number := 1; number <= 5; number++ {
			r, err := crawler.ReadRound(t.Context(), store, number)
			if err != nil {
				t.Fatal(err)
			}
			if n := r.New + r.Same + r.Changed; r.Taken < hosts || n != hosts {
				t.Errorf("round %d visited %d addresses of %d, want %d", number, n, r.Taken, hosts)
			}
		}
		if asked["main"] == 0 || asked["early"] == 0 || asked["late"] == 0 {
			t.Errorf("who has asked: %v; want all three", asked)
		}
	})
}
