package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

func TestRiversAreKeptAndTheNextPageAsked(t *testing.T) {
	v := crawler.NewVisit("http://api.example/rivers", []byte(`{"rivers":[{"name":"Danube","length_km":2850}],"next":3}`))
	v.ContentType = "application/json"
	out := crawler.NewOut(v)
	if err := rivers(t.Context(), v, out); err != nil || out.Err() != nil {
		t.Fatal(err, out.Err())
	}
	items, requests := out.Items("rivers"), out.Requests()
	if len(items) != 1 || items[0] != (river{"Danube", 2850}) {
		t.Errorf("items %v", items)
	}
	if len(requests) != 1 || string(requests[0].Body) != `{"page":3}` || requests[0].Method != http.MethodPost {
		t.Errorf("requests %+v", requests)
	}
}

func TestCrawlIsKilledAndResumed(t *testing.T) {
	const pages, each = 60, 5
	t.Setenv("API_TOKEN", "secret")
	site := killtest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q query
		switch {
		case r.URL.Path == "/robots.txt":
			http.NotFound(w, r)
			return
		case r.Method != http.MethodPost, r.Header.Get("Authorization") != "Bearer secret":
			http.Error(w, "ask by POST, with a token", http.StatusForbidden)
			return
		case json.NewDecoder(r.Body).Decode(&q) != nil:
			http.Error(w, "no JSON", http.StatusBadRequest)
			return
		}
		a := answer{Next: (q.Page + 1) % (pages + 1)}
		for i := range each {
			a.Rivers = append(a.Rivers, river{fmt.Sprintf("River %d.%d", q.Page, i), float64(q.Page)})
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(a); err != nil {
			t.Error(err)
		}
	}))
	t.Setenv("API", site.URL)
	p := killtest.New(t)
	p.Crawl(site, 5, 6, nil)
	if n := len(killtest.Export[river](p, "items", "rivers")); n != pages*each {
		t.Errorf("%d rivers, want %d", n, pages*each)
	}
	if rows := killtest.Export[inspect.PageRow](p, "pages"); len(rows) != pages {
		t.Errorf("%d pages, want %d", len(rows), pages)
	}
}
