package command_test

import (
	"context"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

// The main of a program that notes the titles of pages, with all of weir's commands:
// "titles crawl", "titles status", "titles export items titles" and so on.
func Example() {
	command.Main(&crawler.Options{
		Seeds: crawler.Seeds("https://example.com/"),
		Items: map[string]any{"titles": ""},
		Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
			out.Item("titles", v.URL, v.Text("title"))
			return nil
		}}},
	})
}
