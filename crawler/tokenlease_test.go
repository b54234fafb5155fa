package crawler

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue/memqueue"
)

type answers func(r *http.Request) string

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := f(r)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Proto: "HTTP/1.1", Request: r,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// A page whose token is lost while it is fetched, with the session that held it, comes
// again.
func TestPagesWhoseTokenIsLostComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		var c *Crawler
		asked := 0
		c, err = New(store, &Options{
			Settings: Settings{MaxPages: 2, IgnoreRobots: true, Stages: []Stage{{Name: StageCrawl}}}, Shared: true, Seeds: Seeds("http://a.example/"),
			Transport: func(*http.Transport) http.RoundTripper {
				return answers(func(*http.Request) string {
					if asked++; asked == 1 {
						c.visitor.tokens.close()
					}
					return ""
				})
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if done, err := c.Done(t.Context()); !done || err != nil || asked != 2 {
			t.Errorf("done %v, %v, after %d requests; want done after 2", done, err, asked)
		}
	})
}
