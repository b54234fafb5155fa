// Command quotes takes the quotes out of a site, and follows "next". Run it with
// "go run ./examples/first/quotes crawl", then "export items quotes".
package main

import (
	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

type quote struct{ Author, Text string }

func main() {
	command.Main(crawler.Scrape[quote]("quotes", page, "https://quotes.toscrape.com/tag/humor/"))
}

func page(v *crawler.Visit, out *crawler.Out) {
	for _, q := range v.Find("div.quote").EachIter() {
		out.Item("quotes", "", quote{q.Find("span > small").Text(), q.Find("span.text").Text()})
	}
	out.Follow("li.next a")
}
