// Command titles keeps the title of each page of a site. Run it with "go run
// ./examples/first/titles crawl", then "export items titles".
package main

import (
	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

type title struct{ Title, URL string }

func main() { command.Main(crawler.Scrape[title]("titles", page, "https://crawlee.dev")) }

func page(v *crawler.Visit, out *crawler.Out) {
	out.Item("titles", v.URL, title{v.Text("title"), v.URL})
	out.Follow("a")
}
