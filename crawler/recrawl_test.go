package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

func recrawler(t *testing.T, store *queue.Store, site *changingSite, change func(*crawler.Settings)) *crawler.Crawler {
	t.Helper()
	s := crawler.Settings{Sitemaps: true, Delay: -1, Retries: 1, Grace: -1, Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}}}
	if change != nil {
		change(&s)
	}
	c, err := crawler.New(store, &crawler.Options{Settings: s, Seeds: crawler.Seeds("http://site.test/"), Transport: always(site)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// changesOf returns the changes of a round, without those of round 0, in words.
func changesOf(t *testing.T, store *queue.Store, round int) (all []string, diffs map[string]string) {
	t.Helper()
	diffs = make(map[string]string)
	err := inspect.WalkChanges(t.Context(), store, inspect.Since{Round: round}, func(c *inspect.ChangeRow) error {
		if c.Round != round {
			return inspect.ErrStop
		}
		path := strings.TrimPrefix(c.URL, "http://site.test")
		words := c.Kind + " " + path
		if c.Reason != "" {
			words += " " + c.Reason
		}
		if c.To != "" {
			words += " to " + strings.TrimPrefix(c.To, "http://site.test")
		}
		if c.SameText {
			words += " same text"
		}
		if len(c.LinksNew)+len(c.LinksGone) > 0 {
			words += fmt.Sprintf(" +%d-%d", len(c.LinksNew), len(c.LinksGone))
		}
		all = append(all, words)
		diffs[path] = c.Diff
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all, diffs
}

func wantList(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// wantChanges are the changes of each round of the script.
var wantChanges = map[int][]string{
	1:  {"changed /around same text", "changed /often"},
	2:  {"changed /around same text", "changed /often", "vanished /gone http_410", "vanished /soft soft_404"},
	3:  {"changed / +1-1", "changed /around same text", "changed /often", "moved /moved to /moved-to", "new /late", "new /later", "new /moved-to"},
	4:  {"changed /around same text", "changed /listed", "changed /often", "vanished /home soft_404 to /"},
	5:  {"changed /around same text", "changed /often", "new /gone"},
	6:  {"changed /around same text", "changed /often", "failed /flaky http_500"},
	7:  {"changed /around same text", "changed /often"},
	8:  {"changed /around same text", "changed /often"},
	9:  {"changed /around same text", "changed /often"},
	10: {"changed /around same text", "changed /often"},
}

// A site changes over ten rounds, each of which visits all that is known: what it is
// asked, what is said to have changed, and what is remembered.
func TestRecrawlOfAChangingSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		store := openMemory(t)
		site := new(changingSite)
		c := recrawler(t, store, site, func(s *crawler.Settings) { s.History = 4 })
		if begun, err := c.Recrawl(ctx, crawler.RecrawlAll); err != nil || begun {
			t.Fatalf("a round begins before the crawl: %v, %v", begun, err)
		}
		if err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
		first := site.take()
		wantList(t, "round 0", first, "/ 200", "/same 200", "/dated 200", "/often 200", "/around 200", "/gone 200", "/soft 200", "/moved 200", "/home 200",
			"/flaky 200", "/listed 200", "/missing 404", "/leads 302", "/sitemap.xml 200")
		for round := 1; round <= 10; round++ {
			time.Sleep(24 * time.Hour)
			site.set(round)
			if begun, err := c.Recrawl(ctx, crawler.RecrawlAll); err != nil || !begun {
				t.Fatalf("round %d does not begin: %v, %v", round, begun, err)
			}
			if err := c.Run(ctx); err != nil {
				t.Fatal(err)
			}
			seen := site.take()
			switch round {
			case 1:
				wantList(t, "round 1", seen, "/ 304 if", "/same 304 if", "/dated 304 if", "/often 200", "/around 200", "/gone 200", "/soft 200", "/moved 200", "/home 200",
					"/flaky 304 if", "/listed 304 if", "/missing 404", "/leads 302", "/sitemap.xml 200")
			case 3:
				wantList(t, "round 3", seen, "/ 200 if", "/same 304 if", "/dated 304 if", "/often 200", "/around 200", "/gone 410", "/soft 200", "/moved 301", "/moved-to 200", "/home 200",
					"/late 200", "/later 200", "/flaky 304 if", "/listed 304 if", "/missing 404", "/leads 302", "/sitemap.xml 200")
			case 6:
				if n := strings.Count(strings.Join(seen, ","), "/flaky 500 if"); n != 2 {
					t.Errorf("/flaky was tried %d times in round 6, want 2", n)
				}
			}
			changes, diffs := changesOf(t, store, round)
			wantList(t, fmt.Sprintf("changes of round %d", round), changes, wantChanges[round]...)
			for _, line := range []string{fmt.Sprintf("-The number of the day is %d,", round-1), fmt.Sprintf("+The number of the day is %d,", round), " This paragraph, about Often"} {
				if !strings.Contains(diffs["/often"], "\n"+line) {
					t.Errorf("round %d: the difference of /often lacks %q:\n%s", round, line, diffs["/often"])
				}
			}
			if diffs["/around"] != "" {
				t.Errorf("round %d: the text of /around is said to differ:\n%s", round, diffs["/around"])
			}
			checkRound(t, store, round, len(seen))
			checkCounts(t, store)
		}
		checkHistories(t, store, 10, 4)
		// What is too old by the setting is gone, and no more than that.
		for round := 1; round <= 10; round++ {
			changes, _ := changesOf(t, store, round)
			has := slices.Contains(changes, "changed /often")
			if has != (round > 6) {
				t.Errorf("round %d has the change of /often: %v", round, has)
			}
		}
	})
}

// checkRound fails the test unless the record of a round agrees with the visits that
// histories have of it, and its generations with no other's.
func checkRound(t *testing.T, store *queue.Store, number, requests int) {
	t.Helper()
	var rounds []crawler.Round
	if err := inspect.WalkRounds(t.Context(), store, func(r *crawler.Round) error { rounds = append(rounds, *r); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(rounds) != number+1 {
		t.Fatalf("%d rounds, want %d", len(rounds), number+1)
	}
	for i, r := range rounds {
		if r.Number != i || r.Finished == nil || r.Finished.Before(r.Started) {
			t.Errorf("round %d: %+v", i, r)
		}
		if i > 0 && (r.First != rounds[i-1].Last+1 || r.Started.Before(*rounds[i-1].Finished)) {
			t.Errorf("round %d begins with generation %d, the one before ends with %d", i, r.First, rounds[i-1].Last)
		}
	}
	r := rounds[number]
	visits := map[string]int64{}
	for _, h := range records[crawler.History](t, store, "history") {
		for _, m := range h.Visits {
			if m.Round == number {
				visits[m.Outcome]++
			}
		}
	}
	want := map[string]int64{crawler.VisitNew: r.New, crawler.VisitSame: r.Same, crawler.VisitChanged: r.Changed, crawler.VisitMoved: r.Moved, crawler.VisitVanished: r.Vanished, crawler.VisitFailed: r.Failed}
	for outcome, n := range want {
		if visits[outcome] != n {
			t.Errorf("round %d has %d visits %q, and histories have %d", number, n, outcome, visits[outcome])
		}
	}
}

// checkCounts fails the test unless the counters agree with the tables.
func checkCounts(t *testing.T, store *queue.Store) {
	t.Helper()
	st, err := inspect.ReadStatus(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	pages := records[crawler.Page](t, store, "pages")
	redirects := 0
	for _, p := range pages {
		if p.Redirect != "" {
			redirects++
		}
	}
	failures := records[crawler.Failure](t, store, "failures")
	if st.Pages != int64(len(pages)) || st.Failures != int64(len(failures)) || st.Redirects != int64(redirects) || !st.Done {
		t.Errorf("status says %d pages, %d redirects, %d failures, done %v; there are %d, %d, %d", st.Pages, st.Redirects, st.Failures, st.Done, len(pages), redirects, len(failures))
	}
	if err := store.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// checkHistories fails the test unless each address that is known has one visit a
// round, of the last ones that are kept.
func checkHistories(t *testing.T, store *queue.Store, rounds, kept int) {
	t.Helper()
	known := records[crawler.Page](t, store, "pages")
	histories := records[crawler.History](t, store, "history")
	for key := range known {
		h, ok := histories[key]
		if !ok {
			t.Errorf("%s has no history", key)
			continue
		}
		if len(h.Visits) > kept || len(h.Changes) > kept {
			t.Errorf("%s remembers %d visits and %d changes, want %d at most", key, len(h.Visits), len(h.Changes), kept)
		}
		next := max(h.First.Round, rounds-kept+1)
		for _, m := range h.Visits {
			if m.Round != next {
				t.Errorf("%s has a visit of round %d, want %d: %+v", key, m.Round, next, h.Visits)
				break
			}
			next++
		}
		if next != rounds+1 {
			t.Errorf("%s has visits up to round %d, want %d", key, next-1, rounds)
		}
	}
}

// daysOf returns on which days the site was asked for a path, from what it noted.
func daysOf(notes []string, path string) (days []int) {
	for _, n := range notes {
		day, rest, _ := strings.Cut(n, " ")
		if rest == path {
			var d int
			fmt.Sscan(day, &d)
			if !slices.Contains(days, d) {
				days = append(days, d)
			}
		}
	}
	return days
}

// A crawl that keeps itself fresh visits what changes each day and the rest less and
// less often, and believes a sitemap that says otherwise. That it is stopped and goes
// on, in a round or between two, makes no difference.
func TestCrawlKeepsItselfFresh(t *testing.T) {
	for _, stops := range [][]time.Duration{{13 * 24 * time.Hour}, {36 * time.Hour, 24*time.Hour + time.Second/2, 150 * time.Hour, 200 * time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			store := openMemory(t)
			site := &changingSite{every: 24 * time.Hour, start: time.Now()}
			var mu sync.Mutex
			var notes []string
			site.watch = func(path string) {
				mu.Lock()
				defer mu.Unlock()
				notes = append(notes, fmt.Sprintf("%d %s", int((time.Since(site.start)+time.Hour)/(24*time.Hour)), path))
			}
			end := site.start.Add(13*24*time.Hour - time.Hour)
			for i := 0; time.Now().Before(end); i++ {
				ctx, cancel := context.WithDeadline(t.Context(), site.start.Add(13*24*time.Hour-time.Hour))
				if i < len(stops)-1 {
					ctx, cancel = context.WithTimeout(ctx, stops[i])
				}
				c := recrawler(t, store, site, func(s *crawler.Settings) {
					s.Every = 24 * time.Hour
					s.Delay = time.Second // so that a round takes a while
				})
				if err := c.Run(ctx); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
			mu.Lock()
			defer mu.Unlock()
			for path, want := range map[string][]int{
				"/often":       {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
				"/sitemap.xml": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
				"/same":        {0, 1, 3, 5, 8},        // after 24, 36, 54, 81 and 121.5 hours, to the nearest day
				"/around":      {0, 1, 3, 5, 8},        // its text is the same
				"/listed":      {0, 1, 3, 4, 6, 8, 11}, // the sitemap says of day 4 that it has changed
			} {
				if got := daysOf(notes, path); !slices.Equal(got, want) {
					t.Errorf("%s was visited on the days %v, want %v", path, got, want)
				}
			}
			checkCounts(t, store)
		})
	}
}

// What is due is bounded by the settings, and so is a round.
func TestRecrawlSettings(t *testing.T) {
	visits := func(t *testing.T, which string, after time.Duration, change func(*crawler.Settings)) []string {
		var seen []string
		synctest.Test(t, func(t *testing.T) {
			store := openMemory(t)
			site := new(changingSite)
			if err := recrawler(t, store, site, nil).Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			site.take()
			time.Sleep(after)
			c := recrawler(t, store, site, change)
			if err := c.Begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Recrawl(t.Context(), which); err != nil {
				t.Fatal(err)
			}
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen = site.take()
			checkCounts(t, store)
		})
		return seen
	}
	all := 14
	tests := []struct {
		name   string
		which  string
		after  time.Duration
		change func(*crawler.Settings)
		want   int
	}{
		{"all at once", crawler.RecrawlAll, 0, nil, all},
		{"due after a day", crawler.RecrawlDue, 24 * time.Hour, nil, all},
		{"not due before", crawler.RecrawlDue, 23 * time.Hour, nil, 1}, // the sitemap
		{"the longest interval", crawler.RecrawlDue, 5 * time.Hour, func(s *crawler.Settings) { s.MaxInterval = 5 * time.Hour }, all},
		{"the shortest interval", crawler.RecrawlDue, 47 * time.Hour, func(s *crawler.Settings) { s.MinInterval = 48 * time.Hour }, 1},
		{"a limit of pages is one of the round", crawler.RecrawlAll, 0, func(s *crawler.Settings) { s.MaxPages = 5; s.Workers = 1 }, 6}, // /missing is no page
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if seen := visits(t, test.which, test.after, test.change); len(seen) != test.want && test.want != 6 || len(seen) > test.want {
				t.Errorf("%d requests, want %d: %v", len(seen), test.want, seen)
			}
		})
	}
	// A stage that is new needs the page itself, whatever the server remembers.
	seen := visits(t, crawler.RecrawlAll, time.Hour, func(s *crawler.Settings) {
		s.Stages = append(s.Stages, crawler.Stage{Name: crawler.StageTag})
	})
	if s := strings.Join(seen, ", "); strings.Contains(s, "if") || !strings.Contains(s, "/same 200") {
		t.Errorf("a crawl with another stage was content with what it had: %s", s)
	}
	if _, err := crawler.New(nil, &crawler.Options{Settings: crawler.Settings{MinInterval: 2 * time.Hour, MaxInterval: time.Hour}}); err == nil || !strings.Contains(err.Error(), "MinInterval (min-interval) is 2h0m0s, longer than MaxInterval (max-interval), 1h0m0s") {
		t.Errorf("intervals the wrong way round: %v", err)
	}
}

// weighing is a driver that adds up what it is given to write.
type weighing struct {
	driver.Store
	mu     sync.Mutex
	bytes  int
	writes int
}

func (w *weighing) Commit(ctx context.Context, writes []driver.Write) error {
	w.mu.Lock()
	w.writes += len(writes)
	for _, wr := range writes {
		w.bytes += len(wr.Key) + len(wr.Value)
	}
	w.mu.Unlock()
	return w.Store.Commit(ctx, writes)
}

func (w *weighing) take() (writes, bytes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	writes, bytes = w.writes, w.bytes
	w.writes, w.bytes = 0, 0
	return writes, bytes
}

// A page that is not modified costs one small commit, however large it is.
func TestNotModifiedIsASmallCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		scale := &weighing{Store: db}
		store, err := queue.New(t.Context(), scale, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		const pages = 40
		asked := 0
		site := roundTripper(func(r *http.Request) *http.Response {
			w := httptest.NewRecorder()
			w.Header().Set("ETag", `"1"`)
			switch {
			case r.URL.Path == "/robots.txt":
				w.WriteHeader(http.StatusNotFound)
			case r.Header.Get("If-None-Match") == `"1"`:
				asked++
				w.WriteHeader(http.StatusNotModified)
			default:
				w.Header().Set("Content-Type", "text/html")
				for i := range 300 {
					fmt.Fprintf(w, "<a href=/page-with-a-long-name-%d>%s number %d</a>\n", i%pages, strings.Repeat("word ", i%17), i)
				}
			}
			return w.Result()
		})
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Delay: -1, Grace: -1, Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}}},
			Seeds:    crawler.Seeds("http://site.test/"), Transport: always(site),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, whole := scale.take()
		if _, err := c.Recrawl(t.Context(), crawler.RecrawlAll); err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		writes, bytes := scale.take()
		if asked != pages+1 {
			t.Fatalf("%d pages were not modified, want %d", asked, pages+1)
		}
		if bytes > asked*1200 || writes > asked*12 || bytes > whole*3/5 {
			t.Errorf("%d pages that were not modified took %d writes of %d bytes; the crawl took %d bytes", asked, writes, bytes, whole)
		}
		t.Logf("%d writes and %d bytes a page; %d bytes of a page that is new", writes/asked, bytes/asked, whole/asked)
	})
}

type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := f(r)
	resp.Request = r
	return resp, nil
}

// A round that one process begins is one for those that work beside it: whoever finds a
// page that is new notes the round.
func TestRoundsOfSeveralProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		site := &changingSite{every: 10 * time.Minute, start: time.Now()}
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Minute) // up to round 3
		defer cancel()
		every := func(s *crawler.Settings) {
			s.Every, s.Delay = 10*time.Minute, time.Second
			s.MinInterval, s.MaxInterval = time.Minute, 10*time.Minute
		}
		var workers sync.WaitGroup
		for range 2 {
			workers.Go(func() {
				if _, err := crawler.AwaitCrawl(ctx, store); err != nil {
					t.Error(err)
					return
				}
				if err := recrawler(t, store, site, every).Work(ctx); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			})
		}
		if err := recrawler(t, store, site, every).Run(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		workers.Wait()
		for round := 1; round <= 3; round++ {
			changes, _ := changesOf(t, store, round)
			wantList(t, fmt.Sprintf("changes of round %d", round), changes, wantChanges[round]...)
			checkRound(t, store, 3, 0)
		}
	})
}
