package crawler_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
)

// essay returns a text of sentences, which is another for each number.
func essay(n uint64) []string {
	rng := rand.New(rand.NewPCG(n, 7))
	vocabulary := strings.Fields("river weir fish water page crawl queue barrier host link text word garden road winter summer child teacher letter book house stone bridge market evening morning window paper forest cloud")
	words := make([]string, 400)
	for i := range words {
		words[i] = vocabulary[rng.IntN(len(vocabulary))]
		if i%12 == 11 {
			words[i] += "."
		}
	}
	return words
}

// nearSite has pages that say nearly the same: /b and /exact what /a says, /c something
// else. Each links to a page of its own. After a change, /b says something else too.
type nearSite struct{ changed atomic.Bool }

func (s *nearSite) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "text/html")
	page := func(words []string, link string) {
		fmt.Fprintf(w, "<html lang=en><title>Essay</title><article><h1>Essay</h1><p>%s</p></article><a href=%s>on</a>", strings.Join(words, " "), link)
	}
	like := essay(1)
	like[200] = "otherwise"
	switch p := r.URL.Path; p {
	case "/":
		fmt.Fprint(w, "<title>Front</title><a href=/a>a</a> <a href=/b>b</a> <a href=/c>c</a> <a href=/exact>d</a>")
	case "/a":
		page(essay(1), "/of-a")
	case "/b":
		if s.changed.Load() {
			like = essay(3)
		}
		page(like, "/of-b")
	case "/c":
		page(essay(2), "/of-c")
	case "/exact":
		page(essay(1), "/of-exact")
	case "/of-a", "/of-b", "/of-c", "/of-exact":
		fmt.Fprint(w, "<title>Short</title><p>Too short to say whether it is like another.")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func TestNearDuplicates(t *testing.T) {
	for mode, want := range map[string]map[string]string{
		"":                 {"/b": "/a", "/exact": "/a"},
		crawler.NearSkip:   {"/b": "/a", "/exact": "/a"},
		crawler.NearReport: {"/b": "/a", "/exact": "/a"},
		crawler.NearOff:    {},
	} {
		t.Run("mode "+mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openMemory(t)
				site := new(nearSite)
				c, err := crawler.New(store, &crawler.Options{
					Settings: crawler.Settings{
						NearDuplicates: mode, Grace: -1, // a second between two pages, so that they come one by one
						Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}},
					},
					Seeds: crawler.Seeds("http://site.test/"), Transport: always(site),
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				checkNear(t, store, want)
				for p, of := range map[string]string{"/of-a": "", "/of-b": "/a", "/of-c": "", "/of-exact": "/a"} {
					e, err := inspect.Explain(t.Context(), store, "http://site.test"+p, nil)
					if err != nil {
						t.Fatal(err)
					}
					switch skipped := mode == crawler.NearSkip && of != ""; {
					case skipped && (e.State != inspect.StateSkipped || e.Skip.Reason != "the page is a near duplicate of http://site.test"+of):
						t.Errorf("%s is %s: %+v", p, e.State, e.Skip)
					case !skipped && e.State != inspect.StateFetched:
						t.Errorf("%s is %s, want fetched", p, e.State)
					}
				}
				// A page that changes is compared anew.
				site.changed.Store(true)
				if _, err := c.Recrawl(t.Context(), crawler.RecrawlAll); err != nil {
					t.Fatal(err)
				}
				if err := c.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if mode != crawler.NearOff {
					want = map[string]string{"/exact": "/a"}
				}
				checkNear(t, store, want)
			})
		})
	}
	_, err := crawler.New(nil, &crawler.Options{Settings: crawler.Settings{NearDuplicates: crawler.NearSkip, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}}})
	if err == nil || !strings.Contains(err.Error(), "needs the stage extract") {
		t.Errorf("near duplicates without texts: %v", err)
	}
}

// checkNear fails the test unless exactly these pages are said to be like others.
func checkNear(t *testing.T, store *queue.Store, want map[string]string) {
	t.Helper()
	got := make(map[string]string)
	err := inspect.WalkResults(t.Context(), store, func(r *inspect.Result) error {
		if row := r.Row(); row.NearDuplicateOf != "" {
			got[strings.TrimPrefix(row.URL, "http://site.test")] = strings.TrimPrefix(row.NearDuplicateOf, "http://site.test")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("near duplicates %v, want %v", got, want)
	}
	st, err := inspect.ReadStatus(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if st.NearDuplicates != int64(len(want)) {
		t.Errorf("status counts %d near duplicates, want %d", st.NearDuplicates, len(want))
	}
}
