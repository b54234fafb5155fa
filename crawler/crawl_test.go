package crawler_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// site serves a small site with the usual troubles, and counts requests.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	hits map[string]int
}

func newSite(t *testing.T) *site {
	s := &site{hits: make(map[string]int)}
	page := func(w http.ResponseWriter, title string, links ...string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<html lang=en><title>%s</title><body><h1>%s</h1><p>This page is about %s and says so in a whole sentence.</p>", title, title, title)
		for _, l := range links {
			fmt.Fprintf(w, "<a href=%q>to %s</a> ", l, l)
		}
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.hits[r.URL.Path]++
		n := s.hits[r.URL.Path]
		s.mu.Unlock()
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /private\n")
		case "/":
			page(w, "home", "/a", "/b#frag", "/missing", "/private/x", "/old", "/flaky", "mailto:x@example.com", "/image.png", "http://elsewhere.example/", "/a/../a")
		case "/a":
			page(w, "first", "/", "/deep")
		case "/b", "/deep":
			page(w, "leaf "+r.URL.Path, "/a")
		case "/old":
			http.Redirect(w, r, "/new", http.StatusMovedPermanently)
		case "/new":
			page(w, "new")
		case "/image.png":
			w.Header().Set("Content-Type", "image/png")
			fmt.Fprint(w, "\x89PNG")
		case "/flaky":
			if n == 1 {
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
			page(w, "flaky")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestCrawl(t *testing.T) {
	s := newSite(t)
	ctx := context.Background()
	store := openMemory(t)
	c, err := crawler.New(store, &crawler.Options{Settings: crawler.Settings{Delay: -1, AllowPrivate: true}, Seeds: crawler.Seeds(s.URL)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if done, err := c.Done(ctx); err != nil || !done {
		t.Errorf("Done = %v, %v", done, err)
	}
	st, err := inspect.ReadStatus(ctx, store)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(st)
	if st.Pages != 7 || st.Failures != 3 || len(st.Generations) != 3 {
		t.Errorf("status %s, want 7 pages, 3 failures, 3 generations", b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for path, n := range s.hits {
		want := 1
		if path == "/flaky" {
			want = 2
		}
		if n != want {
			t.Errorf("%s was fetched %d times, want %d", path, n, want)
		}
		if strings.HasPrefix(path, "/private") {
			t.Errorf("%s was fetched in spite of robots.txt", path)
		}
	}
	if err := store.Check(ctx); err != nil {
		t.Error(err)
	}
}

func TestStagesOfAnUnfinishedCrawlStay(t *testing.T) {
	s := newSite(t)
	store := openMemory(t)
	settings := crawler.Settings{Delay: -1, AllowPrivate: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}
	ctx, stop := context.WithCancel(t.Context())
	c, err := crawler.New(store, &crawler.Options{
		Settings: settings, Seeds: crawler.Seeds(s.URL),
		OnGeneration: func(context.Context, pipeline.Generation, *queue.Tx) error {
			stop()
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	others := settings
	others.Stages = nil
	if c, err := crawler.New(store, &crawler.Options{Settings: others}); err != nil {
		t.Fatal(err)
	} else if err := c.Run(t.Context()); !errors.Is(err, pipeline.ErrTopology) {
		t.Errorf("other stages: %v, want ErrTopology", err)
	}
	if kept, err := crawler.Load(t.Context(), store); err != nil || len(kept.Settings.Stages) != 1 {
		t.Errorf("stored is %+v, %v", kept, err)
	}
	for _, want := range []crawler.Settings{settings, others} { // once complete, they may change
		c, err := crawler.New(store, &crawler.Options{Settings: want})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if done, err := c.Done(t.Context()); err != nil || !done {
			t.Errorf("done is %v, %v", done, err)
		}
	}
}

// A page may have more links, in scope and out of it, than a transaction can
// hold, and longer ones than a record.
func TestPageWithManyLinks(t *testing.T) {
	const links = 9000
	path := "/" + strings.Repeat("of-a-long-path", 20)
	var b strings.Builder
	for i := range links / 2 {
		fmt.Fprintf(&b, "<a href=%s/%d-%x>link %d</a><a href=http://elsewhere.example%s/%d>far</a>\n", path, i, sha256.Sum256([]byte{byte(i), byte(i >> 8)}), i, path, i)
	}
	seed := serveOne(t, "text/html", []byte(b.String()))
	store, err := badgerqueue.Open(t.TempDir(), &badgerqueue.Options{MemTable: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	c, err := crawler.New(store, &crawler.Options{
		Settings: crawler.Settings{Delay: -1, AllowPrivate: true, Scope: scope.Settings{MaxDepth: 1}, MaxPages: 1}, Seeds: crawler.Seeds(seed),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	st, err := inspect.ReadStatus(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if st.Pages != 1 || st.Failures != 0 || st.MaxPages != links/2 || st.Queues[0].Dead != 0 {
		t.Errorf("%d pages, %d failures, %d left out, %d dead letters, want 1, none, %d and none", st.Pages, st.Failures, st.MaxPages, st.Queues[0].Dead, links/2)
	}
	skips := 0
	if err := crawler.WalkSkips(t.Context(), store, func(*crawler.Skip) error { skips++; return nil }); err != nil || skips != links {
		t.Errorf("%d links are recorded as skipped, %v, want %d", skips, err, links)
	}
	page := records[crawler.Page](t, store, "pages")[seed]
	if len(page.Links)+page.Dropped != links || len(page.Links) < 100 {
		t.Errorf("%d links in the record and %d dropped, want %d in all", len(page.Links), page.Dropped, links)
	}
	if page.Title != "" || page.TooLarge {
		t.Errorf("page %+v", page)
	}
}

// roundTrip is an http.RoundTripper that answers by itself.
// What a page leads to and is not followed is found by its address, whether the page leads
// to much or little of its host, and takes few records.
func TestWhatIsNotFollowedIsFoundByItsAddress(t *testing.T) {
	want := make(map[string]string)
	page := func(path string) string {
		var b strings.Builder
		link := func(url string) {
			want[url] = "http://here.example" + path
			fmt.Fprintf(&b, "<a href=%s>x</a>", url)
		}
		for i := range 300 {
			link(fmt.Sprintf("http://large.example%s/%d", path, i))
		}
		for i := range 5 {
			link(fmt.Sprintf("http://small%d.example%s/%d", i, path, i))
		}
		link("http://large.example" + path + "?" + strings.Repeat("long", 150))
		return b.String()
	}
	pages := map[string]string{"/": "<a href=/a>a</a><a href=/b>b</a>", "/a": page("/a"), "/b": page("/b")}
	site := fakeSite(func(r *http.Request) (int, string, string) {
		return http.StatusOK, "text/html", pages[r.URL.Path]
	})
	options := func() *crawler.Options {
		return &crawler.Options{
			Seeds: crawler.Seeds("http://here.example/"), Transport: always(site),
			Settings: crawler.Settings{Delay: -1, IgnoreRobots: true, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		ctx := t.Context()
		for url, from := range want {
			e, err := inspect.Explain(ctx, store, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if e.State != inspect.StateSkipped || e.Skip == nil || e.Skip.From != from || !strings.HasPrefix(e.Skip.Reason, "rejected by --scope host") || !strings.Contains(e.Skip.Reason, "; found ") {
				t.Errorf("%s is %s, %+v", url, e.State, e.Skip)
			}
		}
		if _, ok, err := crawler.FindSkip(ctx, store, "http://large.example/a/300"); ok || err != nil {
			t.Errorf("what no page leads to is found: %v", err)
		}
		found := make(map[string]bool)
		if err := crawler.WalkSkips(ctx, store, func(s *crawler.Skip) error { found[s.URL] = true; return nil }); err != nil || len(found) != len(want) {
			t.Errorf("%d skips, %v, want %d", len(found), err, len(want))
		}
		n := 0
		for _, table := range []string{"skips", "skipsets"} {
			records, err := store.Scan(ctx, table, "", "", 1000)
			if err != nil {
				t.Fatal(err)
			}
			n += len(records)
		}
		if n > 30 {
			t.Errorf("%d links that are not followed take %d records", len(want), n)
		}
	})
}

type roundTrip func(path string) (status int, body string)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/html")
	status, body := f(r.URL.Path)
	w.WriteHeader(status)
	_, _ = w.WriteString(body)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// What a host is not asked for costs no politeness: neither what robots.txt
// forbids, nor what is left when the limit of pages is reached. And the limit is
// met exactly, though pages that are being fetched when it is near come to
// nothing.
func TestRefusalsTakeNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const links = 300
		var page strings.Builder
		for i := range links {
			fmt.Fprintf(&page, "<a href=/private/%d>no</a><a href=/%d>page</a>\n", i, i)
		}
		var asked, pages atomic.Int64
		site := roundTrip(func(path string) (int, string) {
			asked.Add(1)
			switch {
			case path == "/robots.txt":
				return http.StatusOK, "User-agent: *\nDisallow: /private\n"
			case strings.HasSuffix(path, "3"):
				return http.StatusNotFound, ""
			}
			pages.Add(1)
			return http.StatusOK, page.String()
		})
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{MaxPages: 8, PerHost: 4, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			Seeds:    crawler.Seeds("http://a.example/"), Transport: always(site),
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(began), time.Duration(asked.Load())*crawler.DefaultDelay; took > want {
			t.Errorf("took %v, and %d requests take %v", took, asked.Load(), want)
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil {
			t.Fatal(err)
		}
		const refused = 2*links + 1 - 8
		if st.Pages != 8 || pages.Load() != 8 || st.Failures+st.MaxPages != refused {
			t.Errorf("%d pages of %d served, %d failures, %d left out, want 8 and %d", st.Pages, pages.Load(), st.Failures, st.MaxPages, refused)
		}
		reasons := make(map[string]int)
		for _, f := range records[crawler.Failure](t, store, "failures") {
			reasons[f.Reason]++
		}
		if int64(reasons[crawler.ReasonRobots]+reasons["http_404"])+st.MaxPages != refused {
			t.Errorf("reasons %v, %d left out", reasons, st.MaxPages)
		}
	})
}

// A host that fails whatever is asked of it does not keep the crawl from its
// end: after half a day what is left of it is given up, with the reason.
func TestHostThatIsDownIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const links = 200
		var page strings.Builder
		for i := range links {
			fmt.Fprintf(&page, "<a href=/%d>page</a>\n", i)
		}
		var failed atomic.Int64
		site := roundTrip(func(path string) (int, string) {
			switch path {
			case "/robots.txt":
				return http.StatusNotFound, ""
			case "/":
				return http.StatusOK, page.String()
			}
			failed.Add(1)
			return http.StatusInternalServerError, ""
		})
		store := openMemory(t)
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			Seeds:    crawler.Seeds("http://a.example/"), Transport: always(site),
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 5*time.Hour || took > 24*time.Hour || failed.Load() > 50 {
			t.Errorf("took %v and %d requests that failed", took, failed.Load())
		}
		reasons := make(map[string]int)
		for _, f := range records[crawler.Failure](t, store, "failures") {
			reasons[f.Reason]++
		}
		if reasons["http_500"]+reasons[crawler.ReasonHostDown] != links || reasons["http_500"] == 0 {
			t.Errorf("reasons %v, want %d of two kinds", reasons, links)
		}
	})
}
