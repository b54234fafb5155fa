package inspect_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// offline answers requests in place of the network.
type offline map[string]string

func (site offline) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Request: r}
	body, ok := site[r.URL.Path]
	if !ok {
		resp.StatusCode = http.StatusNotFound
	}
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp, nil
}

// A tool of one's own looks at what a crawl has stored, be it weir's or another
// program's: here at how far it is, its pages, and what became of an address.
func Example() {
	ctx := context.Background()
	store, err := memqueue.Open(nil) // or badgerqueue, in the folder of a crawl
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	options := &crawler.Options{
		Seeds:    crawler.Seeds("https://example.com/"),
		Settings: crawler.Settings{Delay: -1},
		Transport: func(*http.Transport) http.RoundTripper {
			return offline{"/": `<title>Home</title><a href="/gone">x</a>`}
		},
	}
	c, err := crawler.New(store, options)
	if err != nil {
		log.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		log.Fatal(err)
	}

	st, err := inspect.ReadStatus(ctx, store)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.Pages, "page and", st.Failures, "failure; done:", st.Done)
	err = inspect.WalkResults(ctx, store, func(r *inspect.Result) error {
		fmt.Println(r.Page.URL, r.Page.Title)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	e, err := inspect.Explain(ctx, store, "https://example.com/gone", options)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.State, e.Failure.Reason, "on", e.Failure.Referrer)
	// Output:
	// 1 page and 1 failure; done: true
	// https://example.com/ Home
	// failed http_404 on https://example.com/
}
