package crawler_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
)

// Answers that are errors reach the functions that ask for them, and are pages then;
// others are failures.
func TestErrorPagesReachFunctions(t *testing.T) {
	busy := 0
	answers := map[string]struct {
		status int
		mime   string
	}{
		"/": {200, "text/html"}, "/gone": {410, "text/html"}, "/missing": {404, "text/html"}, "/text": {404, "text/plain"},
		"/denied": {403, "text/html"}, "/soft": {404, "text/html"}, "/busy": {503, "text/html"},
	}
	site := func(r *http.Request) (int, string, string) {
		a, ok := answers[r.URL.Path]
		if !ok {
			t.Errorf("%s was asked for", r.URL)
		}
		if r.URL.Path == "/busy" {
			if busy++; busy == 2 {
				a.status = 200
			}
		}
		links := ""
		if r.URL.Path == "/" {
			for path := range answers {
				links += fmt.Sprintf(`<a href="%s">x</a>`, path)
			}
		}
		if a.status >= 400 {
			links = `<a href="/not-followed">x</a><a class=next href="/gone">x</a>`
		}
		return a.status, a.mime, fmt.Sprintf("<title>%s</title><h1>%d</h1>%s", r.URL.Path, a.status, links)
	}
	calls := make(map[string][]int)
	options := func() *crawler.Options {
		return &crawler.Options{
			Seeds: crawler.Seeds("http://site.example/"), Items: map[string]any{"books": book{}},
			Settings: crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageExtract}}},
			Functions: []crawler.Function{{Statuses: []int{404, 410, 503}, Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				path := strings.TrimPrefix(v.URL, "http://site.example")
				calls[path] = append(calls[path], v.Status)
				out.Item("books", path, book{Title: v.Text("h1")})
				switch {
				case path == "/soft":
					out.GiveUp("nothing to see")
				case v.Status == 503:
					out.Retry("busy")
				case v.Status >= 400:
					out.Follow("a.next")
				}
				return nil
			}}},
		}
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		want := map[string][]int{"/": {200}, "/gone": {410}, "/missing": {404}, "/soft": {404}, "/busy": {503, 200}}
		if fmt.Sprint(calls) != fmt.Sprint(want) {
			t.Errorf("calls %v, want %v", calls, want)
		}
		pages, failures := records[crawler.Page](t, store, "pages"), records[crawler.Failure](t, store, "failures")
		for path, status := range map[string]int{"/": 200, "/gone": 410, "/missing": 404, "/busy": 200} {
			if p := pages["http://site.example"+path]; p.Status != status || p.Items != 1 || p.Title != path {
				t.Errorf("%s is the page %+v, want status %d and one item", path, p, status)
			}
		}
		for path, reason := range map[string]string{"/text": "http_404", "/denied": "http_403", "/soft": crawler.ReasonJudged} {
			if f := failures["http://site.example"+path]; f.Reason != reason {
				t.Errorf("%s failed with %q, want %s", path, f.Reason, reason)
			}
		}
		if len(pages) != 4 || len(failures) != 3 {
			t.Errorf("%d pages and %d failures, want 4 and 3", len(pages), len(failures))
		}
		if texts := records[crawler.Text](t, store, "texts"); len(texts) != 2 {
			t.Errorf("%d texts, want those of the two pages that are no errors", len(texts))
		}
	})
}

// Each type reaches the function that asks for it, up to its size, and no other.
func TestTypesReachFunctions(t *testing.T) {
	kinds := []struct{ path, mime, body, types string }{
		{"/data.json", "application/json", `{"n":1}`, "application/json"},
		{"/api", "application/vnd.api+json; charset=utf-8", `{"n":2}`, "application/*+json"},
		{"/feed.rss", "application/rss+xml", `<?xml version="1.0"?><rss><channel/></rss>`, "application/rss+xml"},
		{"/feed.atom", "application/atom+xml", `<feed xmlns="http://www.w3.org/2005/Atom"/>`, "application/*+xml"},
		{"/data.xml", "application/xml", `<?xml version="1.0" encoding="ISO-8859-1"?><a>` + "\xe9" + `</a>`, "application/xml"},
		{"/notes.txt", "text/plain; charset=windows-1252", "caf\xe9", "text/plain"},
		{"/table.csv", "text/csv", "a,b\n1,2\n", "text/csv"},
		{"/paper.pdf", "application/pdf", "%PDF-1.7\n\xff\xfe\x00", "application/pdf"},
	}
	site := func(r *http.Request) (int, string, string) {
		if r.URL.Path == "/" {
			return http.StatusOK, "text/html", "<title>list</title>"
		}
		if path, ok := strings.CutPrefix(r.URL.Path, "/large"); ok {
			i := slices.IndexFunc(kinds, func(k struct{ path, mime, body, types string }) bool { return k.path == path })
			return http.StatusOK, kinds[i].mime, kinds[i].body + strings.Repeat(" ", 2000)
		}
		path := strings.TrimPrefix(r.URL.Path, "/unasked")
		i := slices.IndexFunc(kinds, func(k struct{ path, mime, body, types string }) bool { return k.path == path })
		return http.StatusOK, kinds[i].mime, kinds[i].body
	}
	got := make(map[string]string)
	options := func() *crawler.Options {
		o := &crawler.Options{Seeds: crawler.Seeds("http://site.example/"), Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
			for _, k := range kinds {
				out.Request(crawler.Request{URL: k.path, Label: k.path})
				out.Request(crawler.Request{URL: "/large" + k.path, Label: k.path})
			}
			out.Request(crawler.Request{URL: "/unasked/paper.pdf"})
			return nil
		}}}}
		for _, k := range kinds {
			o.Functions = append(o.Functions, crawler.Function{
				Label: k.path, Types: []string{k.types}, MaxBody: 1000,
				Visit: func(_ context.Context, v *crawler.Visit, _ *crawler.Out) error {
					got[v.URL] = string(v.Body)
					return nil
				},
			})
		}
		return o
	}
	crawlStore(t, site, options, func(store *queue.Store) {
		failures := records[crawler.Failure](t, store, "failures")
		for _, k := range kinds {
			want := k.body
			switch k.path {
			case "/notes.txt", "/data.xml":
				want = strings.ReplaceAll(want, "\xe9", "é") // text is UTF-8
			}
			if body := got["http://site.example"+k.path]; body != want {
				t.Errorf("%s reached its function as %q, want %q", k.path, body, want)
			}
			if f := failures["http://site.example/large"+k.path]; f.Reason != "too_large" {
				t.Errorf("%s of 2,000 bytes, where 1,000 are allowed, failed with %q", k.path, f.Reason)
			}
		}
		if len(got) != len(kinds) {
			t.Errorf("%d calls, want %d", len(got), len(kinds))
		}
		e, err := inspect.Explain(t.Context(), store, "http://site.example/unasked/paper.pdf", nil)
		if err != nil || e.Failure == nil || !strings.Contains(e.Failure.Reason, "type") {
			t.Errorf("a PDF that nobody asks for: %+v, %v", e.Failure, err)
		}
	})
}
