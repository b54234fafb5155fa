package crawler_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// webSite answers an address with a page, or with a redirect if to is not "".
type webSite func(target string) (to, page string)

func (f webSite) RoundTrip(r *http.Request) (*http.Response, error) {
	to, page := f(r.URL.RequestURI())
	resp := &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/html"}}, Body: io.NopCloser(strings.NewReader(page)), ContentLength: int64(len(page)),
	}
	switch {
	case r.URL.Path == "/robots.txt":
		resp.StatusCode = http.StatusNotFound
	case to != "":
		resp.StatusCode = http.StatusMovedPermanently
		resp.Header.Set("Location", to)
	}
	return resp, nil
}

func crawlSite(t *testing.T, site webSite, settings crawler.Settings) *queue.Store {
	t.Helper()
	store := openMemory(t)
	settings.Delay, settings.Workers = -1, 1 // what several fetch at once may be over a limit
	settings.Stages = []crawler.Stage{{Name: crawler.StageCrawl}}
	c, err := crawler.New(store, &crawler.Options{Settings: settings, Seeds: crawler.Seeds("http://a.example/"), Transport: always(site)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store
}

// A site that redirects to another spelling of an address, which Settings.Identity
// takes for the same, loses neither the page nor what is behind it.
func TestRedirectToTheSameIdentity(t *testing.T) {
	for _, tt := range []struct {
		name     string
		identity weburl.Options
		from, to string
	}{
		{"slash at the end", weburl.Options{StripTrailingSlash: true}, "/docs", "/docs/"},
		{"no slash at the end", weburl.Options{StripTrailingSlash: true}, "/docs/", "/docs"},
		{"www", weburl.Options{StripWWW: true}, "/docs", "http://www.a.example/docs"},
		{"order of the query", weburl.Options{SortQuery: true}, "/docs?b=1&a=2", "/docs?a=2&b=1"},
		{"tracking", weburl.Options{DropTracking: true}, "/docs?utm_source=x", "/docs"},
		{"session", weburl.Options{DropSession: true}, "/docs", "/docs?PHPSESSID=0123456789abcdef0123456789abcdef"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := func(target string) (to, page string) {
				switch target {
				case "/":
					return "", "<a href='" + tt.from + "'>documentation</a>"
				case tt.from:
					if !strings.Contains(tt.to, "www.") {
						return tt.to, ""
					}
				case "/behind":
					return "", "<title>behind</title>"
				}
				return "", "<title>docs</title><a href=/behind>more</a>"
			}
			seen := site
			if strings.Contains(tt.to, "www.") { // by host
				first := true
				seen = func(target string) (string, string) {
					if target == tt.from && first {
						first = false
						return tt.to, ""
					}
					return site(target)
				}
			}
			store := crawlSite(t, seen, crawler.Settings{Identity: tt.identity})
			var titles []string
			for _, p := range records[crawler.Page](t, store, "pages") {
				if p.Title != "" {
					titles = append(titles, p.Title)
				}
			}
			slices.Sort(titles)
			if want := []string{"behind", "docs"}; !slices.Equal(titles, want) {
				t.Errorf("pages %q, want %q; failures %v", titles, want, records[crawler.Failure](t, store, "failures"))
			}
		})
	}
}

// Sites without end come to their end by a rule, which status counts and why names.
func TestTrapsEnd(t *testing.T) {
	const most = 20
	for _, tt := range []struct {
		rule  string
		page  func(target string, n int) string // the n-th page's links
		traps scope.Traps
	}{
		{"facets", func(_ string, n int) string {
			return fmt.Sprintf("<a href='/shop?color=%d&size=%d&brand=x&sort=y'>x</a><a href='/shop?sort=y&brand=%d&size=0&color=z'>y</a>", n, n+1, n)
		}, scope.Traps{MaxFacets: most}},
		{"session", func(_ string, n int) string {
			return fmt.Sprintf("<a href='/shop?sid=%030xab'>x</a><a href='/cart;jsessionid=%032X'>y</a>", n, n)
		}, scope.Traps{MaxSessions: most / 2}},
		{"calendar", func(_ string, n int) string {
			return fmt.Sprintf("<a href='/events/%04d-%02d-%02d'>x</a>", 2000-n/300, 1+n/28%12, 1+n%28)
		}, scope.Traps{MaxCalendar: most}},
		{"token", func(_ string, n int) string {
			return fmt.Sprintf("<a href='/p/%08x-1c2d-4e3f-8a9b-%012x/'>x</a>", 0x9f3b7a11+n*7919, 0xabcdef12345+n*104729)
		}, scope.Traps{MaxTokens: most}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var mu sync.Mutex
			asked := make(map[string]bool)
			store := crawlSite(t, func(target string) (string, string) {
				mu.Lock()
				defer mu.Unlock()
				asked[target] = true
				if len(asked) > 10*most {
					t.Errorf("%d addresses were asked for", len(asked))
					return "", ""
				}
				return "", tt.page(target, len(asked))
			}, crawler.Settings{Scope: scope.Settings{Traps: tt.traps}})
			// The front page and robots.txt too.
			if n := len(asked) - 2; n < most/2 || n > most {
				t.Errorf("%d addresses of the trap were asked for, want %d at most: %q", n, most, slices.Sorted(maps.Keys(asked)))
			}
			st, err := inspect.ReadStatus(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			if len(st.Traps) != 1 || st.Traps[0].Rule != tt.rule || st.Traps[0].Hits == 0 || !st.Done {
				t.Errorf("status has the traps %+v, done: %v; want %s", st.Traps, st.Done, tt.rule)
			}
			skips := records[crawler.Skip](t, store, "skips")
			if len(skips) == 0 {
				t.Fatal("nothing says what was left out")
			}
			for _, s := range skips {
				e, err := inspect.Explain(t.Context(), store, s.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				if e.Skip == nil || !strings.Contains(e.Skip.Reason, tt.rule) {
					t.Errorf("why says of %s: %+v, want the rule %s", s.URL, e.Skip, tt.rule)
				}
			}
		})
	}
}

// An address that is tried again is counted once, so that a server that fails now and
// then loses no pages to a trap's limit.
func TestTrapsCountNoAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 20
		tried := make(map[string]bool)
		flaky := roundTrip(func(u string) (int, string) {
			if !tried[u] && strings.Contains(u, "/events/") {
				tried[u] = true
				return http.StatusServiceUnavailable, ""
			}
			n := len(tried)
			return http.StatusOK, fmt.Sprintf("<a href='/events/2000-%02d-%02d'>x</a>", 1+n/28%12, 1+n%28)
		})
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{
				Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Grace: -1,
				Scope: scope.Settings{Traps: scope.Traps{MaxCalendar: most}},
			},
			Seeds: crawler.Seeds("http://flaky.example/"), Transport: always(flaky),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st, err := inspect.ReadStatus(t.Context(), store); err != nil || st.Pages != 1+most {
			t.Errorf("%d pages, %v; want %d", st.Pages, err, 1+most)
		}
	})
}

// An address that is deferred after it was asked for counts once in its pattern, when it
// is settled.
func TestDeferredAddressesCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		well := time.Now().Add(time.Minute)
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}, Grace: time.Second, Retries: 20, IgnoreRobots: true},
			Seeds:    crawler.Seeds("http://sick.example/2000/01/02"),
			Transport: always(roundTrip(func(string) (int, string) {
				if time.Now().Before(well) {
					return http.StatusServiceUnavailable, ""
				}
				return http.StatusOK, "a day"
			})),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		found, err := store.Scan(t.Context(), "patterns", "", "", 10)
		if err != nil || len(found) != 1 || string(found[0].Value) != "1" {
			t.Errorf("patterns %s, %v; want one that counts 1", found, err)
		}
		if p := records[crawler.Page](t, store, "pages"); len(p) != 1 {
			t.Errorf("%d pages, want 1", len(p))
		}
	})
}

// Several processes keep the limits of patterns together: what one has fetched counts for
// the others.
func TestTrapsEndForAllWorkers(t *testing.T) {
	const limit = 7
	store := openMemory(t)
	o := &crawler.Options{Shared: true, Settings: crawler.Settings{IgnoreRobots: true, Scope: scope.Settings{Within: scope.WithinAny, Traps: scope.Traps{MaxCalendar: limit}}}}
	var workers [3]*crawler.Visitor
	for i := range workers {
		workers[i] = &crawler.Visitor{Store: store, Edges: crawler.NewEdges(o), Options: o, Fetcher: &fetched{resp: htmlPage("http://a.example/", "a day")}}
	}
	for day := range 4 * limit {
		out := pipeline.NewOut()
		r := crawler.Request{URL: time.Now().AddDate(0, 0, -day).Format("http://a.example/2006/01/02"), Depth: 1}
		if err := workers[day%len(workers)].Visit(t.Context(), r, out); err != nil {
			t.Fatal(err)
		}
		if err := store.Commit(t.Context(), out.Tx()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(records[crawler.Page](t, store, "pages")); n != limit {
		t.Errorf("%d days were fetched, want %d", n, limit)
	}
}

// What is wrong with an address by itself, and sitemaps without end, are counted by rule
// as well, and why names it.
func TestEveryTrapIsCountedAndNamed(t *testing.T) {
	x := func(n int, s string) string { return strings.Repeat(s, n) }
	links := map[string]string{ // by the rule that leaves them out
		"length":           "/" + x(3000, "a"),
		"segments":         "/" + x(30, "s%d/"),
		"path-loop":        "/a/b/a/b/a/b/a/b/",
		"repeated-segment": "/r/1/r/2/r/3/r/4/r/5/r/6/r",
		"params":           "/p?" + x(40, "p%d=1&"),
		"repeated-param":   "/q?" + x(9, "q=1&"),
	}
	var page strings.Builder
	for rule, href := range links {
		for i := strings.Count(href, "%d"); i > 0; i-- {
			href = strings.Replace(href, "%d", fmt.Sprint(i), 1)
		}
		links[rule] = href
		fmt.Fprintf(&page, "<a href='%s'>x</a>", href)
	}
	store := crawlSite(t, func(target string) (string, string) {
		if n, ok := strings.CutPrefix(target, "/sitemap"); ok {
			return "", "<sitemapindex><sitemap><loc>http://a.example/sitemap" + n + "x</loc></sitemap></sitemapindex>"
		}
		return "", page.String()
	}, crawler.Settings{Sitemaps: true})
	links["sitemap-nesting"] = "/sitemap.xmlxxxx"
	st, err := inspect.ReadStatus(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	hits := make(map[string]int64)
	for _, trap := range st.Traps {
		hits[trap.Rule] = trap.Hits
	}
	for rule, href := range links {
		if hits[rule] == 0 {
			t.Errorf("status counts no %s: %v", rule, hits)
		}
		e, err := inspect.Explain(t.Context(), store, "http://a.example"+href, nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.Skip == nil || e.Skip.Reason == "" {
			t.Errorf("why %s: %s, %+v", rule, e.State, e.Skip)
		}
	}
}
