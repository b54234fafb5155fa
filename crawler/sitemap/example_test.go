package sitemap_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/sitemap"
)

func ExampleParse() {
	const file = `<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
  <url><loc>https://example.com/</loc><lastmod>2026-05-01</lastmod></url>
  <url><loc>https://example.com/search?q=a&b</loc></url>
  <url><loc>https://example.com/broken`

	result, err := sitemap.Parse(strings.NewReader(file), nil, func(e sitemap.Entry) error {
		fmt.Println(e.Loc, e.LastMod.Format(time.DateOnly))
		return nil
	})
	fmt.Println(result.Kind, result.URLs, errors.Is(err, sitemap.ErrMalformed))
	// Output:
	// https://example.com/ 2026-05-01
	// https://example.com/search?q=a&b 0001-01-01
	// urlset 2 true
}
