package weburl_test

import (
	"errors"
	"fmt"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

func ExampleParse() {
	u, err := weburl.Parse("HTTP://User:Secret@Example.COM:80/a/../%7ejoe#top")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(u)
	// Output: http://example.com/~joe
}

func ExampleURL_Resolve() {
	page, err := weburl.Parse("https://example.com/docs/intro.html")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, href := range []string{"guide.html#install", " /search?q=go\n", `..\about`, "mailto:me@example.com"} {
		link, err := page.Resolve(href)
		if errors.Is(err, weburl.NotHTTP) {
			fmt.Println("skipped:", err)
			continue
		}
		fmt.Println(link)
	}
	// Output:
	// https://example.com/docs/guide.html
	// https://example.com/search?q=go
	// https://example.com/about
	// skipped: weburl: "mailto:me@example.com": scheme is not http or https: mailto
}

func ExampleCanonical() {
	key, err := weburl.Canonical("https://www.example.com/shop/?b=2&utm_source=mail&a=1", &weburl.Options{
		SortQuery:          true,
		DropTracking:       true,
		StripWWW:           true,
		StripTrailingSlash: true,
	})
	fmt.Println(key, err)
	// Output: https://example.com/shop?a=1&b=2 <nil>
}

func ExampleURL_RegistrableDomain() {
	u, err := weburl.Parse("https://www.news.example.co.uk:8443/today")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(u.RegistrableDomain(), u.Host())
	// Output: example.co.uk www.news.example.co.uk:8443
}
