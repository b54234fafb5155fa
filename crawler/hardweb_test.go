package crawler_test

import (
	"io"
	"log"
	"os"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/hardweb"
)

// Every case of the torture site comes out right, all of them in one crawl.
func TestTortureSite(t *testing.T) {
	site, err := hardweb.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	if n := len(site.Cases); n < 150 {
		t.Errorf("%d cases, want 150", n)
	}
	store := openMemory(t)
	c, err := crawler.New(store, &crawler.Options{
		Seeds: crawler.Seeds(site.Seeds()...),
		Settings: crawler.Settings{
			Delay: -1, AllowPrivate: true, Sitemaps: true, Forms: true, UserAgent: "weir/test",
			Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	log.SetOutput(io.Discard) // net/http complains of the cases
	defer log.SetOutput(os.Stderr)
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, tc := range site.Cases {
		t.Run(tc.Name, func(t *testing.T) {
			wrong, err := site.Check(i, func(url string) (hardweb.Outcome, error) {
				e, err := inspect.Explain(t.Context(), store, url, nil)
				if err != nil {
					return hardweb.Outcome{}, err
				}
				return outcomeOf(e), nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

func outcomeOf(e *inspect.Explanation) (o hardweb.Outcome) {
	switch {
	case e.Page != nil:
		o.Page, o.Title, o.Canonical = true, e.Page.Title, e.Page.Canonical
	case e.Failure != nil:
		o.Reason = e.Failure.Reason
	case e.Skip != nil:
		o.Skip = e.Skip.Reason
	}
	return o
}
