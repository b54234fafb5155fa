// Command quotes takes the quotes out of a site, and follows "next". Run it with
// "go run ./examples/first/quotes crawl", then "export items quotes".
package main

import (
	"context"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

type quote struct{ Author, Text string }

func main() {
	command.Main(&crawler.Options{
		Seeds: crawler.Seeds("https://quotes.toscrape.com/tag/humor/"), Settings: crawler.Settings{Links: crawler.LinksNone},
		Items: map[string]any{"quotes": quote{}}, Functions: []crawler.Function{{Visit: page}},
	})
}

func page(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
	for _, q := range v.Find("div.quote").EachIter() {
		out.Item("quotes", "", quote{q.Find("span > small").Text(), q.Find("span.text").Text()})
	}
	out.Follow("li.next a")
	return nil
}
