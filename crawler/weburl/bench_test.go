package weburl

import (
	"fmt"
	"strings"
	"testing"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// links are what the pages of documentation sites and blogs contain.
var links = []string{
	"../reference/api.html", "guide/install.html#linux", "/docs/v2/", "/search?q=url&page=2",
	"https://example.org/blog/2024/05/a-post-about-things/", "//cdn.example.net/x/y.html",
	"index.html", "?page=3", "/wiki/Caf%C3%A9_%28disambiguation%29", "https://www.example.com/a/b/c/d?x=1&y=2",
	"./install", "/tag/go/", "https://github.com/example/project/blob/main/README.md",
	"http://example.com:80/old/", "/a/b/../c", "https://docs.example.com/en/latest/user/advanced.html",
}

func BenchmarkResolve(b *testing.B) {
	base := mustParse(b, "https://docs.example.com/en/latest/user/intro.html")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := base.Resolve(links[i%len(links)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWHATWG is the parser alone, for comparison.
func BenchmarkWHATWG(b *testing.B) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := whatwg.ParseRef("https://docs.example.com/en/latest/user/intro.html", links[i%len(links)]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResolveHostile resolves links made to take long.
func BenchmarkResolveHostile(b *testing.B) {
	base := mustParse(b, "https://docs.example.com/"+strings.Repeat("a/", 2000))
	for name, href := range map[string]string{
		"dots":        strings.Repeat("a/../", 1500),
		"credentials": "http://" + strings.Repeat("@", 7900) + "example.com/",
		"labels":      "http://" + strings.Repeat("ü.", 1000) + "example/",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				base.Resolve(href)
			}
		})
	}
}

func BenchmarkResolveInternational(b *testing.B) {
	base := mustParse(b, "https://docs.example.com/")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := base.Resolve("https://bücher.example/straße"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	o := &Options{SortQuery: true, DropTracking: true, DropSession: true, StripWWW: true, StripTrailingSlash: true}
	for _, raw := range []string{
		"https://docs.example.com/en/latest/user/intro.html",
		"https://www.example.com/a/?utm_source=x&b=1&a=2",
	} {
		u := mustParse(b, raw)
		b.Run(fmt.Sprint(len(raw)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				u.Canonical(o)
			}
		})
	}
}

func BenchmarkRegistrableDomain(b *testing.B) {
	u := mustParse(b, "https://www.example.co.uk/")
	b.ReportAllocs()
	for b.Loop() {
		u.RegistrableDomain()
	}
}
