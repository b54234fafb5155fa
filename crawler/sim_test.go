package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/internal/websim"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(crawlChild(dir))
	}
	if len(os.Args) == 3 && os.Args[1] == heldStageArg {
		os.Exit(heldStage(os.Args[2]))
	}
	// The compressors of stored values live as long as the process. Made
	// within a bubble of synctest they could not be used in the next one.
	warm(strings.Repeat("warm", 1000))
	os.Exit(m.Run())
}

func warm(s string) {
	b, err := codec.Encode(s)
	if err == nil {
		err = codec.Decode(b, &s)
	}
	if err != nil {
		panic(err)
	}
}

// everywhere lets a crawl of a synthetic web go to all of its hosts, but never
// to the one that is outside.
var everywhere = scope.Settings{Within: scope.WithinAny, Deny: []string{`elsewhere\.example`}}

// The crawls of a synthetic web with a fake clock: days pass in seconds, and
// politeness holds to the nanosecond.
func TestCrawlInFakeTime(t *testing.T) {
	tests := []struct {
		name     string
		web      websim.Options
		depth    int // as in scope.Settings
		settings crawler.Settings
		badger   bool
	}{
		{
			name:     "as by default",
			web:      websim.Options{Seed: 1, Pages: 600, Troubles: true, Slow: true},
			settings: crawler.Settings{Grace: -1},
		},
		{
			name:     "in a folder, strict, three a host, four links deep",
			web:      websim.Options{Seed: 2, Pages: 800, Hosts: 30, Troubles: true, Slow: true, Calendar: true},
			depth:    4,
			settings: crawler.Settings{Grace: -1, PerHost: 3, Delay: 200 * time.Millisecond, Strict: true},
			badger:   true,
		},
		{
			name:     "without delay, records alone",
			web:      websim.Options{Seed: 3, Pages: 3000, Hosts: 7, Troubles: true, Calendar: true},
			depth:    9,
			settings: crawler.Settings{Grace: -1, Delay: -1, PerHost: 4, Workers: 16, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
		},
		{
			name:  "the seed alone",
			web:   websim.Options{Seed: 4, Pages: 100, Troubles: true},
			depth: -1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var store *queue.Store
				var err error
				if test.badger {
					store, err = badgerqueue.Open(dir, &badgerqueue.Options{MemTable: 8 << 20})
				} else {
					store, err = memqueue.Open(nil)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				web := websim.New(test.web)
				crawlWeb(t, store, web, test.depth, test.settings, web.Transport())
				checkPoliteness(t, web, test.settings)
			})
		})
	}
}

// The same over real connections, with small delays.
func TestCrawlOverLoopback(t *testing.T) {
	for depth, settings := range map[int]crawler.Settings{
		0: {Delay: -1, PerHost: 8, Grace: -1},
		5: {Delay: 5 * time.Millisecond, Grace: -1},
	} {
		t.Run(fmt.Sprintf("delay %v", settings.Delay), func(t *testing.T) {
			t.Parallel()
			web, err := websim.Listen(websim.Options{Seed: 5, Pages: 700, Hosts: 40, Troubles: true, Calendar: depth > 0})
			if err != nil {
				t.Fatal(err)
			}
			defer web.Close()
			store, err := badgerqueue.Open(t.TempDir(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			settings.AllowPrivate = true
			crawlWeb(t, store, web.Web, depth, settings, nil)
			checkPoliteness(t, web.Web, settings)
		})
	}
}

// crawlWeb crawls a synthetic web to its end and checks what was found.
func crawlWeb(t *testing.T, store *queue.Store, web *websim.Web, depth int, settings crawler.Settings, transport http.RoundTripper) {
	t.Helper()
	ctx := t.Context()
	settings.Scope, settings.MaxBody = everywhere, websim.MaxBody
	settings.Scope.MaxDepth = depth
	var ended []int
	c, err := crawler.New(store, &crawler.Options{
		Settings: settings, Seeds: crawler.Seeds(web.Seed()), Transport: always(transport),
		OnGeneration: func(_ context.Context, g pipeline.Generation, _ *queue.Tx) error {
			ended = append(ended, g.Number)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for i, g := range ended {
		if i != g {
			t.Fatalf("generations ended in the order %v", ended)
		}
	}
	want := web.Expect(expectDepth(depth), c.Settings().Retries+1)
	checkCrawl(t, store, want, len(c.Settings().Stages) > 1)
	counts := web.Counts()
	for u, n := range counts {
		o, ok := want.Outcomes[u]
		if !ok && !strings.HasSuffix(u, "robots.txt") {
			t.Errorf("%s was asked for, and should not have been", u)
		}
		if ok && n != o.Attempts {
			t.Errorf("%s was asked for %d times, want %d", u, n, o.Attempts)
		}
	}
}

// expectDepth is a depth of scope.Settings as websim has it.
func expectDepth(depth int) int {
	switch {
	case depth == 0:
		return -1
	case depth < 0:
		return 0
	}
	return depth
}

// always is an Options.Transport that has no use for the built-in one; of nil it
// is nil.
func always(t http.RoundTripper) func(*http.Transport) http.RoundTripper {
	if t == nil {
		return nil
	}
	return func(*http.Transport) http.RoundTripper { return t }
}

// records reads a table.
func records[T any](t *testing.T, store *queue.Store, table string) map[string]T {
	t.Helper()
	all := make(map[string]T)
	for from := ""; ; {
		page, err := store.Scan(t.Context(), table, from, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			var v T
			if err := tables.Decode(table, r.Key, r.Value, &v); err != nil {
				t.Fatal(err)
			}
			all[r.Key] = v
		}
		if len(page) == 0 {
			return all
		}
		from = page[len(page)-1].Key + "\x00"
	}
}

// checkCrawl fails the test unless a store holds exactly what a crawl should
// have found.
func checkCrawl(t *testing.T, store *queue.Store, want websim.Expected, texts bool) {
	t.Helper()
	ctx := context.Background()
	pages := records[crawler.Page](t, store, "pages")
	failures := records[crawler.Failure](t, store, "failures")
	digests := make(map[string]string)
	for key, p := range pages {
		o, ok := want.Outcomes[p.URL]
		switch {
		case !ok:
			t.Errorf("%s has a page, and should not have been met", key)
		case o.Fail != "":
			t.Errorf("%s has a page, want the failure %s", key, o.Fail)
		case p.Generation != o.Generation || p.Depth > p.Generation:
			t.Errorf("%s is in generation %d at depth %d, want generation %d", key, p.Generation, p.Depth, o.Generation)
		case p.Redirect != o.Redirect:
			t.Errorf("%s redirects to %q, want %q", key, p.Redirect, o.Redirect)
		case p.NoIndex != o.NoIndex:
			t.Errorf("%s has noindex %v, want %v", key, p.NoIndex, o.NoIndex)
		}
		if p.DuplicateOf != "" && pages[p.DuplicateOf].Digest != p.Digest {
			t.Errorf("%s is said to be a duplicate of %s, which has another digest", key, p.DuplicateOf)
		}
		if p.Redirect == "" && digests[p.Digest] == "" {
			digests[p.Digest] = key
		}
	}
	for key, f := range failures {
		o, ok := want.Outcomes[f.URL]
		switch {
		case !ok:
			t.Errorf("%s has a failure, and should not have been met", key)
		case o.Fail == "":
			t.Errorf("%s has the failure %s (%s), want a page", key, f.Reason, f.Detail)
		case f.Reason != o.Fail || !strings.Contains(f.Detail, o.Detail):
			t.Errorf("%s has the failure %s (%s), want %s (%s)", key, f.Reason, f.Detail, o.Fail, o.Detail)
		case f.Generation != o.Generation:
			t.Errorf("%s failed in generation %d, want %d", key, f.Generation, o.Generation)
		}
	}
	for u, o := range want.Outcomes {
		_, page := pages[u]
		_, failure := failures[u]
		if page == failure {
			t.Errorf("%s has page %v, failure %v, want %+v", u, page, failure, o)
		}
	}
	skips := make(map[string]bool)
	err := crawler.WalkSkips(ctx, store, func(s *crawler.Skip) error {
		skips[s.URL] = true
		words := want.Skips[s.URL]
		if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s.Reason, w) }) {
			t.Errorf("%s was skipped since %q, want one of %q", s.URL, s.Reason, words)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(skips) != len(want.Skips) {
		t.Errorf("%d links were skipped, want %d", len(skips), len(want.Skips))
	}
	if texts {
		checkTexts[crawler.Text](t, store, "texts", want)
		checkTexts[crawler.Tags](t, store, "tags", want)
	}
	checkGenerations(t, store, want, texts)
	st, err := inspect.ReadStatus(ctx, store)
	if err != nil {
		t.Fatal(err)
	}
	if !st.Done || st.Pages != int64(len(pages)) || st.Failures != int64(len(failures)) || len(st.Generations) != len(want.Sizes) {
		t.Errorf("status %+v, want %d pages, %d failures, %d generations, done", st, len(pages), len(failures), len(want.Sizes))
	}
	if err := store.Check(ctx); err != nil {
		t.Error(err)
	}
}

func checkTexts[T any](t *testing.T, store *queue.Store, table string, want websim.Expected) {
	t.Helper()
	n := 0
	found := records[T](t, store, table)
	for u, o := range want.Outcomes {
		if _, ok := found[u]; ok != o.Text {
			t.Errorf("%s is in %s: %v, want %v", u, table, ok, o.Text)
		}
		if o.Text {
			n++
		}
	}
	if len(found) != n {
		t.Errorf("%d records in %s, want %d", len(found), table, n)
	}
}

// checkGenerations fails the test unless every generation is recorded, in order
// and with its numbers.
func checkGenerations(t *testing.T, store *queue.Store, want websim.Expected, texts bool) {
	t.Helper()
	if done, err := pipeline.Done(t.Context(), store); err != nil || !done {
		t.Errorf("Done = %v, %v", done, err)
	}
	generations, err := pipeline.Generations(t.Context(), store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(generations) != len(want.Sizes) {
		t.Fatalf("%d generations, want %d", len(generations), len(want.Sizes))
	}
	for i, g := range generations {
		for n, stage := range g.Stages {
			size := want.Texts[i]
			if n == 0 {
				size = want.Sizes[i]
			}
			if g.Number != i || stage.Enqueued != size || stage.Acked != size || stage.Buried+stage.Dropped+stage.Expired != 0 {
				t.Errorf("generation %d, stage %s: %+v, want %d done", g.Number, stage.Name, stage.Totals, size)
			}
		}
		if texts != (len(g.Stages) > 1) {
			t.Errorf("generation %d has the stages %+v", i, g.Stages)
		}
		if i > 0 && g.Finished.Before(generations[i-1].Finished) || g.Finished.Before(g.Started) {
			t.Errorf("generation %d: started %v, finished %v, the one before %v", i, g.Started, g.Finished, generations[i-1].Finished)
		}
	}
}

// checkPoliteness fails the test if a host was asked more than the settings and
// the host itself allow.
func checkPoliteness(t *testing.T, web *websim.Web, s crawler.Settings) {
	t.Helper()
	if s.Delay == 0 {
		s.Delay = crawler.DefaultDelay
	}
	perHost, delay := max(s.PerHost, 1), max(s.Delay, 0)
	for host, traffic := range web.Traffic() {
		huge := slices.ContainsFunc(traffic.Requests, func(r websim.Request) bool { return strings.HasSuffix(r.URL, "/huge") })
		if traffic.Overlap > perHost && !huge {
			t.Errorf("%s had %d requests at once, want at most %d", host, traffic.Overlap, perHost)
		}
		busyUntil := time.Time{}
		for i, r := range traffic.Requests {
			if r.Start.Before(busyUntil) {
				t.Errorf("%s was asked for %v before its host's Retry-After had passed", r.URL, busyUntil.Sub(r.Start))
			}
			if u, err := url.Parse(r.URL); err == nil && u.Path == websim.BusyPath && r.Status == http.StatusServiceUnavailable {
				busyUntil = r.End.Add(websim.RetryAfter)
			}
			if i == 0 || strings.HasSuffix(r.URL, "/the-robots.txt") {
				continue // a redirect of robots.txt is followed at once
			}
			wait := r.Start.Sub(traffic.Requests[i-1].Start)
			if perHost == 1 {
				wait = r.Start.Sub(traffic.Requests[i-1].End)
			}
			least := delay
			if strings.Contains(r.URL, "/patient") && perHost == 1 {
				least = websim.CrawlDelay
			}
			if wait < least {
				t.Errorf("%s was asked for %v after the request before, want %v at the least", r.URL, wait, least)
			}
		}
	}
}
