// Command titles keeps the title of each page of a site. Run it with "go run
// ./examples/first/titles crawl", then "export items titles".
package main

import (
	"context"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

type title struct{ Title, URL string }

func main() {
	command.Main(&crawler.Options{
		Seeds: crawler.Seeds("https://crawlee.dev"), Items: map[string]any{"titles": title{}},
		Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
			out.Item("titles", v.URL, title{v.Text("title"), v.URL})
			return nil
		}}},
	})
}
