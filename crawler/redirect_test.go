package crawler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
)

// handled is a web that a handler answers.
type handled http.HandlerFunc

func (f handled) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// An address that was put off for its host's sake, and then leads to another page, is no
// reason to fetch that page again.
func TestRedirectAfterADeferral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
		asked := make(map[string]int)
		web := handled(func(w http.ResponseWriter, r *http.Request) {
			address := r.URL.Host + r.URL.Path
			asked[address]++
			w.Header().Set("Content-Type", "text/html")
			switch {
			case address == "sick.example/moved" && asked[address] < 5:
				w.WriteHeader(http.StatusServiceUnavailable)
			case address == "sick.example/moved":
				http.Redirect(w, r, "http://well.example/there", http.StatusFound)
			case address == "well.example/":
				fmt.Fprint(w, "<a href=/there>x</a> <a href=http://sick.example/moved>y</a>")
			}
		})
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{IgnoreRobots: true, Retries: 20, Workers: 1, Scope: scope.Settings{Within: scope.WithinAny}, Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
			Seeds:    crawler.Seeds("http://well.example/"), Transport: always(web),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := asked["well.example/there"]; n != 1 {
			t.Errorf("a page that a redirect leads to was fetched %d times, want once: %v", n, asked)
		}
		st, err := inspect.ReadStatus(t.Context(), store)
		if err != nil || st.Pages != 3 {
			t.Errorf("%d pages are counted, %v; want 3", st.Pages, err)
		}
	})
}

// A site may lead from one spelling of an address to another several times, all of which
// are one page to Settings.Identity: also in a later round, and when it was put off before.
func TestRedirectsOverSeveralSpellings(t *testing.T) {
	for name, fails := range map[string]int{"at once": 0, "put off before": 5} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openMemory(t)
				asked := make(map[string]int)
				web := handled(func(w http.ResponseWriter, r *http.Request) {
					address := r.URL.Host + r.URL.Path
					asked[address]++
					w.Header().Set("Content-Type", "text/html")
					switch {
					case asked[address] <= fails && address == "a.example/page":
						w.WriteHeader(http.StatusServiceUnavailable)
					case address == "a.example/page":
						http.Redirect(w, r, "http://www.a.example/page", http.StatusFound)
					case address == "www.a.example/page":
						http.Redirect(w, r, "http://www.a.example/page/", http.StatusFound)
					case address == "www.a.example/page/":
						fmt.Fprint(w, "<title>Here it is</title>")
					default:
						fmt.Fprint(w, "<a href=/page>x</a>")
					}
				})
				c, err := crawler.New(store, &crawler.Options{
					Settings: crawler.Settings{
						IgnoreRobots: true, Retries: 20, Identity: weburl.Options{StripWWW: true, StripTrailingSlash: true}, Scope: scope.Settings{Within: scope.WithinAny},
						Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
					},
					Seeds: crawler.Seeds("http://a.example/"), Transport: always(web),
				})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				pages := records[crawler.Page](t, store, "pages")
				if p, ok := pages["http://www.a.example/page/"]; !ok || p.Title != "Here it is" {
					t.Errorf("the page is not found; asked %v", asked)
				}
			})
		})
	}
}
