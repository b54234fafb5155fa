package crawler_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages/extract"
)

// Documents that are no pages have a text of their own kind.
func TestTextOfOtherDocuments(t *testing.T) {
	site := fakeSite(func(r *http.Request) (int, string, string) {
		switch r.URL.Path {
		case "/":
			return 200, "text/html", "<a href=/a.pdf>a</a> <a href=/broken.pdf>b</a> <a href=/news.rss>c</a> <a href=/notes.txt>d</a> <a href=/picture>e</a>"
		case "/a.pdf", "/broken.pdf":
			return 200, "application/pdf", "%PDF-1.4 " + r.URL.Path
		case "/news.rss":
			return 200, "application/rss+xml; charset=iso-8859-1", "<?xml version='1.0' encoding='iso-8859-1'?><rss><channel><title>News</title><item><title>Caf\xe9 opens</title></item></channel></rss>"
		case "/notes.txt":
			return 200, "text/plain; charset=iso-8859-1", "Caf\xe9.\r\nSecond line."
		case "/picture":
			return 200, "image/png", "\x89PNG\r\n\x1a\n0000"
		}
		return 404, "text/html", ""
	})
	options := func() *crawler.Options {
		return &crawler.Options{
			Seeds:    crawler.Seeds("http://a.example/"),
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}}},
			PDF: func(_ context.Context, file []byte) (*extract.PDF, error) {
				if strings.Contains(string(file), "broken") {
					return nil, errors.New("the file is broken")
				}
				return &extract.PDF{Title: "Salt", Pages: []string{"Page one.", "", "Page three."}}, nil
			},
			Functions: []crawler.Function{{
				Types: []string{"text/html", "text/plain", "application/pdf", "application/rss+xml", "image/png"},
				Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
					out.Follow("a")
					return nil
				},
			}},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		got := make(map[string]crawler.Text)
		err := inspect.WalkResults(t.Context(), store, func(r *inspect.Result) error {
			if r.Text != nil {
				got[strings.TrimPrefix(r.Page.URL, "http://a.example")] = *r.Text
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]crawler.Text{
			"/a.pdf":      {Title: "Salt", Text: "Page one.\n\nPage three.", Type: extract.TypePDF, Method: "pdf"},
			"/broken.pdf": {Method: "none", Note: "extract: the file is broken"},
			"/news.rss":   {Title: "News", Text: "Café opens", Type: extract.TypeFeed, Method: "feed"},
			"/notes.txt":  {Text: "Café.\nSecond line.", Type: extract.TypeText, Method: "plain"},
		} {
			text, ok := got[path]
			text.Language = ""
			if !ok || !reflect.DeepEqual(text, want) {
				t.Errorf("%s: %+v, want %+v", path, text, want)
			}
		}
		if text, ok := got["/picture"]; ok {
			t.Errorf("a picture has a text: %+v", text)
		}
	})
}
