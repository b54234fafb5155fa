package crawler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
)

// linkSite is a site of pages that are nothing but links, or redirects ("> /target").
// It notes the order in which it is asked.
type linkSite struct {
	pages map[string]string
	mu    sync.Mutex
	order []string
}

func (s *linkSite) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	links, ok := s.pages[r.URL.Path]
	if r.URL.Path != "/robots.txt" && r.URL.Path != "/sitemap.xml" {
		s.mu.Lock()
		s.order = append(s.order, strings.TrimPrefix(r.URL.Path, "/"))
		s.mu.Unlock()
	}
	to, redirect := strings.CutPrefix(links, "> ")
	switch {
	case !ok:
		http.NotFound(w, r)
	case redirect:
		http.Redirect(w, r, to, http.StatusFound)
	case strings.HasPrefix(links, "<"):
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, links)
	default:
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<title>%s</title>", r.URL.Path)
		for l := range strings.FieldsSeq(links) {
			fmt.Fprintf(w, "<a href=%s>x</a> ", l)
		}
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (s *linkSite) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	order := strings.Join(s.order, " ")
	s.order = nil
	return order
}

// orderSite is crawled by the tests below: five pages link to /popular and /known, one
// of them to /lonely first; /away leads to a page of depth 0.
var orderSite = map[string]string{
	"/": "/p1 /p2 /p3 /p4 /docs/x", "/away": "> /landed", "/landed": "",
	"/p1": "/lonely /known /popular", "/p2": "/known /popular", "/p3": "/popular", "/p4": "/popular", "/docs/x": "/docs/y /popular",
	"/lonely": "", "/known": "", "/popular": "", "/docs/y": "",
	"/robots.txt":  "",
	"/sitemap.xml": `<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><url><loc>http://site.test/p4</loc><priority>0.9</priority></url><url><loc>http://site.test/p3</loc><priority>0.1</priority></url></urlset>`,
}

func TestPriority(t *testing.T) {
	tests := []struct {
		name     string
		settings crawler.Settings
		hook     func(*crawler.Visit, crawler.Request) int
		sitemap  bool
		want     string
	}{
		{"as they are found", crawler.Settings{}, nil, false, "away  landed p1 p2 p3 p4 docs/x lonely known popular docs/y"},
		{"a rule for addresses", crawler.Settings{Priority: []string{`/docs/=20`, `/p[12]$=-5`, `/p1$=-1`}}, nil, false, "away  docs/x landed p3 p4 p2 p1 docs/y popular known lonely"},
		{"depth", crawler.Settings{Priority: []string{crawler.PriorityDepth}}, nil, false, "away  landed p1 p2 p3 p4 docs/x lonely known popular docs/y"},
		{"in-links so far", crawler.Settings{Priority: []string{crawler.PriorityInLinks}}, nil, false, "away  landed p1 p2 p3 p4 docs/x popular known lonely docs/y"},
		{"in-links and a rule", crawler.Settings{Priority: []string{crawler.PriorityInLinks, `/lonely=7`}}, nil, false, "away  landed p1 p2 p3 p4 docs/x popular lonely known docs/y"},
		{"a hook", crawler.Settings{}, func(_ *crawler.Visit, r crawler.Request) int { return int(r.URL[len(r.URL)-1]) - 'a' }, false, "away  docs/x landed p4 p3 p2 p1 docs/y lonely popular known"},
		{"sitemaps", crawler.Settings{Links: crawler.LinksNone}, nil, true, "away  p4 landed p3"},
		{"sitemaps that do not count", crawler.Settings{Links: crawler.LinksNone, Priority: []string{crawler.PriorityDepth}}, nil, true, "away  landed p4 p3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openMemory(t)
				site := &linkSite{pages: orderSite}
				seeds := crawler.Seeds("http://site.test/away", "http://site.test/")
				if test.sitemap {
					seeds = append(seeds, crawler.Request{URL: "http://site.test/sitemap.xml", Sitemap: true})
				}
				crawlInOrder(t, store, site, test.settings, test.hook, seeds)
				if got := site.take(); got != test.want {
					t.Errorf("asked for\n     %s\nwant %s", got, test.want)
				}
			})
		})
	}
}

func crawlInOrder(t *testing.T, store *queue.Store, site *linkSite, s crawler.Settings, hook func(*crawler.Visit, crawler.Request) int, seeds []crawler.Request) {
	t.Helper()
	s.Delay, s.Retries, s.Grace, s.Stages = -1, -1, -1, []crawler.Stage{{Name: crawler.StageCrawl}}
	c, err := crawler.New(store, &crawler.Options{Settings: s, Seeds: seeds, Priority: hook, Transport: always(site)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recrawl(t.Context(), crawler.RecrawlDue); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Of a generation that is too large the best pages are fetched, and the others are left
// out with the reason. The next round takes them, as far as it may.
func TestMaxPagesPerGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		site := &linkSite{pages: orderSite}
		s := crawler.Settings{MaxGenerationPages: 3, Priority: []string{`/p3=9`, `/docs/=8`, `/p1=7`}}
		seeds := crawler.Seeds("http://site.test/")
		crawlInOrder(t, store, site, s, nil, seeds)
		if got, want := site.take(), " p3 docs/x p1 docs/y popular lonely"; got != want {
			t.Errorf("asked for\n     %s\nwant %s", got, want)
		}
		e, err := inspect.Explain(t.Context(), store, "http://site.test/p4", nil)
		if err != nil {
			t.Fatal(err)
		}
		if e.State != inspect.StateSkipped || e.Skip.Reason != "max_pages_per_generation: 3 pages of generation 1 were fetched before it, which is the limit" {
			t.Errorf("p4 is %s, %+v", e.State, e.Skip)
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		if st.LeftOut != 3 || len(st.Limits) != 1 || st.Limits[0].Limit != "max-pages-per-generation" {
			t.Errorf("status: %d left out, %+v", st.LeftOut, st.Limits)
		}
		crawlInOrder(t, store, site, s, nil, seeds) // a round of nothing but these, since nothing is due
		got := strings.Fields(site.take())
		slices.Sort(got)
		if want := "known p2 p4"; strings.Join(got, " ") != want {
			t.Errorf("the next round asked for %q, want %s", got, want)
		}
		crawlInOrder(t, store, site, s, nil, seeds)
		if got := site.take(); got != "" {
			t.Errorf("the round after asked for %q", got)
		}
	})
}

func TestPriorityThatIsNone(t *testing.T) {
	for _, text := range []string{"breadth", "=3", "/a=101", "/a=x", "(=3"} {
		if _, err := crawler.New(nil, &crawler.Options{Settings: crawler.Settings{Priority: []string{text}}}); err == nil || !strings.Contains(err.Error(), "priority") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
