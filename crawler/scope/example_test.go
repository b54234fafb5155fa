package scope_test

import (
	"fmt"

	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
)

func ExampleSettings() {
	seed, err := weburl.Parse("https://example.com/")
	if err != nil {
		fmt.Println(err)
		return
	}
	settings := &scope.Settings{Within: scope.WithinDomain, Deny: []string{`\.pdf$`}}
	s, err := settings.New([]weburl.URL{seed})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, href := range []string{"/docs/", "//docs.example.com/", "/manual.pdf", "https://example.org/"} {
		u, err := seed.Resolve(href)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(u, s.Decide(u, 1))
	}
	// Output:
	// https://example.com/docs/ accepted: no rule matches
	// https://docs.example.com/ accepted: no rule matches
	// https://example.com/manual.pdf rejected by --deny: reject if URL matches \.pdf$; found \.pdf$
	// https://example.org/ rejected by --scope domain: reject unless domain is example.com; found example.org
}

func ExampleNew() {
	s, err := scope.New(
		scope.Rule{Action: scope.Accept, Kind: scope.Prefix, Values: []string{"https://example.com/docs/"}},
		scope.Rule{Action: scope.Reject, Kind: scope.Host, Values: []string{"example.com"}},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	u, err := weburl.Parse("https://example.com/shop/")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Decide(u, 1))
	// Output: rejected by rule 2: reject if host is example.com; found example.com
}
