// Command crawler takes the quotes out of a site and follows its pages; their main
// text is extracted and tagged behind that. Kill it and run it again:
//
//	go run ./examples/crawler crawl
//	go run ./examples/crawler export items quotes --format csv
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/PuerkitoBio/goquery"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

type quote struct {
	Text   string   `json:"text"`
	Author string   `json:"author"`
	Tags   []string `json:"tags"`
}

func main() {
	command.Main(&crawler.Options{
		Seeds:        crawler.Seeds("https://quotes.toscrape.com/"),
		Settings:     crawler.Settings{Links: crawler.LinksNone},
		Functions:    []crawler.Function{{Visit: page}},
		Items:        map[string]any{"quotes": quote{}},
		OnGeneration: report,
	})
}

// page is called with each page. What it decides is in the page's transaction.
func page(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
	quotes := v.Find(".quote")
	if quotes.Length() == 0 {
		out.GiveUp("a page without quotes") // the reason is in "why" and "failures"
	}
	for _, q := range quotes.EachIter() {
		author := q.Find(".author").Text()
		text := strings.Trim(q.Find(".text").Text(), "“”")
		tags := q.Find(".tags a").Map(func(_ int, a *goquery.Selection) string { return a.Text() })
		out.Item("quotes", author+": "+text, quote{text, author, tags})
	}
	out.Follow("li.next a")
	return nil
}

// report is called once for each generation, in the transaction that ends it.
func report(_ context.Context, g pipeline.Generation, tx *queue.Tx) error {
	fmt.Fprintf(os.Stderr, "generation %d: %d pages\n", g.Number, g.Stages[0].Acked)
	tx.Add("reports", "generations", 1)
	return nil
}
