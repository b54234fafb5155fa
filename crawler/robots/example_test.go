package robots_test

import (
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/robots"
)

func ExampleParse() {
	rules := robots.Parse([]byte(`
User-agent: *
Disallow: /

User-agent: weir
Disallow: /private/
Allow: /private/*.html$
Crawl-delay: 2
`), "Weir")

	for _, url := range []string{"/docs/", "/private/a.pdf", "/private/a.html"} {
		rule, allowed := rules.Match(url)
		fmt.Println(url, allowed, rule)
	}
	fmt.Println(rules.CrawlDelay())
	// Output:
	// /docs/ true no rule
	// /private/a.pdf false Disallow: /private/ (line 6)
	// /private/a.html true Allow: /private/*.html$ (line 7)
	// 2s
}

func ExampleDecide() {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	p := robots.Decide(robots.Fetch{Time: now, Status: 503, RetryAfter: 10 * time.Minute}, "Weir", nil)
	d := p.Decide("https://example.com/a")
	fmt.Println(d.Allowed, d.Reason)
	fmt.Println("ask again", p.Expires.Format(time.TimeOnly))
	// Output:
	// false robots.txt is unreachable: status 503
	// ask again 12:10:00
}

func ExampleParseHeader() {
	d := robots.ParseHeader([]string{"otherbot: noindex, weir: nofollow", "noarchive"}, "Weir")
	fmt.Println(d.NoIndex, d.NoFollow, d.NoArchive)
	// Output: false true true
}
