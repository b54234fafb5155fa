package crawler_test

import (
	"context"
	"net/http"
	"testing"

	"golang.org/x/net/html"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// A function, the crawl and two stages behind it look at one document with one tree,
// and what the first stage says of the language is not found out again.
func TestAPageIsParsedOnce(t *testing.T) {
	site := fakeSite(func(*http.Request) (int, string, string) {
		return http.StatusOK, "text/html", `<html lang=de><title>T</title><p>Ein Satz auf Deutsch. <a href=/>Noch einer.</a></p>`
	})
	var documents []*stages.Document
	var trees []*html.Node
	look := func(d *stages.Document) {
		documents, trees = append(documents, d), append(trees, d.Root())
	}
	crawlStore(t, site, func() *crawler.Options {
		return &crawler.Options{
			Settings: crawler.Settings{
				Delay: -1, AllowPrivate: true, IgnoreRobots: true,
				Stages: []crawler.Stage{
					{Name: crawler.StageCrawl},
					{Name: "first", Func: func(_ context.Context, d *crawler.Doc, _ *crawler.Out) error {
						look(d.Page())
						return nil
					}},
					{Name: crawler.StageExtract, Func: func(_ context.Context, d *crawler.Doc, _ *crawler.Out) error {
						look(d.Page())
						d.Text, d.Language = "A sentence in English, if one looks at its words.", "nl"
						return nil
					}},
					{Name: crawler.StageTag},
				},
			},
			Seeds: crawler.Seeds("http://one.example/"),
			Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, _ *crawler.Out) error {
				look(v.Page())
				return nil
			}}},
		}
	}, func(store *queue.Store) {
		if len(documents) != 3 {
			t.Fatalf("%d looks at the page, want 3", len(documents))
		}
		for i := range documents {
			if documents[i] != documents[0] || trees[i] != trees[0] {
				t.Errorf("look %d: another document or another tree", i)
			}
		}
		err := inspect.WalkResults(t.Context(), store, func(r *inspect.Result) error {
			if r.Tags == nil || r.Tags.Language != "nl" {
				t.Errorf("tags %+v, want them in the language that the stage before has said", r.Tags)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
