package crawler_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// A page that is allowed to be large, and that hardly compresses, is more than
// an item of the queue may be. It is recorded all the same.
func TestPageTooLargeForTheNextStage(t *testing.T) {
	body := []byte("<!doctype html><title>Large</title><p>")
	rng := rand.New(rand.NewPCG(1, 1))
	for len(body) < 9<<20 {
		body = append(body, byte('a'+rng.IntN(26)), byte('A'+rng.IntN(26)), byte('0'+rng.IntN(10)))
	}
	body = append(body, "<a href=/next>next</a>"...)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/":
			_, _ = w.Write(body)
		case "/next":
			_, _ = w.Write([]byte("<title>Next</title><p>A page behind the large one."))
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	store, err := badgerqueue.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{Settings: crawler.Settings{Delay: -1, AllowPrivate: true}, Seeds: crawler.Seeds(server.URL)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, failures := records[crawler.Page](t, store, "pages"), records[crawler.Failure](t, store, "failures")
	if !pages[server.URL+"/"].TooLarge || pages[server.URL+"/next"].URL == "" || len(failures) > 0 {
		t.Errorf("want two pages, the first too large; got %d pages, failures %+v", len(pages), failures)
	}
	letters, err := store.DeadLetters(t.Context(), "crawl", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		t.Errorf("dead letter: %s", l.Reason)
	}
}
