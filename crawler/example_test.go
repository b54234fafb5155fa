package crawler_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A crawl of a small site through all stages. Run returns when nothing is left
// to fetch, to extract or to tag; on a store that lasts, the same program goes
// on after a crash where it was.
func Example() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, `<title>Rivers</title><p>Weirs cross rivers. <a href="/weir">More</a> <a href="/gone">Old</a>`)
		case "/weir":
			fmt.Fprint(w, `<title>The weir</title><p>A weir is a barrier across a river. <a href="/">Back</a>`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()

	ctx := context.Background()
	store, err := memqueue.Open(nil) // badgerqueue.Open("folder", nil) keeps it on disk
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{
		Seeds: crawler.Seeds(site.URL),
		Settings: crawler.Settings{
			Delay:        -1,   // without a pause; the default is a second between requests to a host
			AllowPrivate: true, // the site is on this machine
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		log.Fatal(err)
	}

	err = inspect.WalkResults(ctx, store, func(r *inspect.Result) error {
		word := r.Tags.Sentences[0].Tokens[0]
		fmt.Printf("%s (generation %d): %s/%s …\n", r.Page.Title, r.Page.Generation, word.Text, word.Tag())
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	err = inspect.WalkFailures(ctx, store, func(f *crawler.Failure) error {
		fmt.Printf("one link is broken: %s\n", f.Reason)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// Rivers (generation 0): Weirs/NNS …
	// The weir (generation 1): A/DT …
	// one link is broken: http_404
}
