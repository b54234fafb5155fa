// Command links visits all pages of a site. Run it with "go run
// ./examples/first/links crawl -v".
package main

import (
	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

func main() { command.Main(&crawler.Options{Seeds: crawler.Seeds("http://go-colly.org/")}) }
