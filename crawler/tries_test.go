package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// TestDeathsAreNoFailures has the process die four times while one page is being
// fetched, and the page fail once: it is fetched in the end all the same.
func TestDeathsAreNoFailures(t *testing.T) {
	const deaths = 4
	hits := 0
	reached := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		hits++
		switch {
		case hits <= deaths:
			reached <- struct{}{}
			<-r.Context().Done() // until the dying process lets go
		case hits == deaths+1:
			http.Error(w, "not now", http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<p>Here it is.</p>")
		}
	}))
	defer s.Close()
	disk := memqueue.NewDisk()
	for life := 1; ; life++ {
		store, err := disk.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Delay: -1, AllowPrivate: true, Retries: 1}, Seeds: crawler.Seeds(s.URL), DrainTime: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		if life <= deaths {
			<-reached
			disk = disk.Clone() // what a death at this moment leaves
		}
		if life <= deaths {
			cancel()
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		cancel()
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		if life > deaths {
			if !st.Done || st.Pages != 1 || st.Failures != 0 {
				t.Errorf("status %+v, want one page and no failures", st)
			}
			if err := store.Check(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if life > deaths {
			break
		}
	}
}
