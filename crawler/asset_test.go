package crawler_test

import (
	"encoding/base64"
	"fmt"
	"maps"
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

// onePixel is a picture that a browser takes.
var onePixel, _ = base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

// picturePage is a page with parts of every kind, here and on another host. Its script
// says in the title how many of its pictures have loaded, and which have not.
const picturePage = `<!doctype html><html lang=en><head><title>loading</title>
<link rel=stylesheet href=/css/main.css><link rel=stylesheet href=http://cdn.test/fonts.css>
<style>@import "/css/imported.css"; h1 { background: url(/img/inline.png) }</style>
</head><body background=/img/body.png>
<h1>Pictures</h1><p style="background: url('/img/attribute.png')">This page has pictures of every kind, and leads to <a href=/second>another</a>.</p>
<div class=css>x</div><div class=import>x</div><div class=deep>x</div>
<img src=/img/plain.png><img src=http://cdn.test/logo.png><a href=/img/linked.png><img src=/img/linked.png></a>
<img src=/img/one.png srcset="/img/one.png 1x, /img/two.png 2x">
<picture><source srcset="/img/source.png" type="image/png"><img src=/img/fallback.png></picture>
<video poster=/img/poster.png src=/media/film.webm preload=metadata><track default src=/media/film.vtt></video><audio src=/media/sound.ogg preload=metadata></audio>
<iframe src=http://cdn.test/frame.html></iframe><object data=/img/object.png type=image/png></object>
<script src=/js/main.js></script></body></html>`

const pictureScript = `addEventListener("load", () => {
	const bad = [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src);
	document.title = "loaded " + document.images.length + (bad.length ? " without " + bad : "");
});`

// pictureSite answers for two hosts.
func pictureSite(w http.ResponseWriter, r *http.Request) {
	set := func(mediaType, body string) {
		w.Header().Set("Content-Type", mediaType)
		fmt.Fprint(w, body)
	}
	at := r.Host + r.URL.Path
	switch {
	case at == "site.test/":
		set("text/html", picturePage)
	case at == "site.test/second":
		set("text/html", `<html lang=en><title>Second</title><p>Another page with the same picture.</p><img src=/img/plain.png><img src=/private/no.png><img src=/missing.png><link rel=icon href=/icon.png>`)
	case at == "site.test/robots.txt":
		set("text/plain", "User-agent: *\nDisallow: /private/\n")
	case at == "site.test/css/main.css":
		w.Header().Set("ETag", `"main"`)
		if r.Header.Get("If-None-Match") == `"main"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		set("text/css", `@import url(more.css); .css { background: url("../img/css.png") } /* url(no.png) */`)
	case at == "site.test/css/more.css":
		set("text/css", `@import "deep.css"; .import { background: image-set("../img/set.png" 1x) }`)
	case at == "site.test/css/deep.css":
		set("text/css", `.deep { background: url(../img/deep.png) }`)
	case at == "site.test/css/imported.css":
		set("text/css", `body { margin: 1em }`)
	case at == "cdn.test/fonts.css":
		set("text/css", `@font-face { font-family: "Own"; src: url(/own.woff2) format("woff2") } p { font-family: "Own" }`)
	case at == "cdn.test/frame.html":
		set("text/html", `<html><p>A frame with a picture.<img src=/framed.png><a href=/not-followed>x</a>`)
	case at == "site.test/js/main.js":
		set("text/javascript", pictureScript)
	case at == "site.test/media/film.vtt":
		set("text/vtt", "WEBVTT\n")
	case strings.HasPrefix(at, "site.test/media/"), at == "cdn.test/own.woff2":
		set("application/octet-stream", "bytes of "+at)
	case strings.HasSuffix(at, ".png") && at != "site.test/missing.png":
		set("image/png", string(onePixel)+strings.Repeat(" ", len(at))) // each but for a few is a picture of its own
	case at == "site.test/favicon.ico":
		set("image/x-icon", string(onePixel))
	default:
		http.NotFound(w, r)
	}
}

// wantParts are the parts of the pages of the site, wherever they are.
var wantParts = []string{
	"cdn.test/fonts.css", "cdn.test/frame.html", "cdn.test/framed.png", "cdn.test/logo.png", "cdn.test/own.woff2",
	"site.test/css/deep.css", "site.test/css/imported.css", "site.test/css/main.css", "site.test/css/more.css", "site.test/favicon.ico",
	"site.test/icon.png", "site.test/img/attribute.png", "site.test/img/body.png", "site.test/img/css.png", "site.test/img/deep.png",
	"site.test/img/fallback.png", "site.test/img/inline.png", "site.test/img/linked.png", "site.test/img/object.png", "site.test/img/one.png",
	"site.test/img/plain.png", "site.test/img/poster.png", "site.test/img/set.png", "site.test/img/source.png", "site.test/img/two.png",
	"site.test/js/main.js", "site.test/media/film.vtt", "site.test/media/film.webm", "site.test/media/sound.ogg", "site.test/missing.png",
}

// counted is a transport in memory that counts what it is asked.
type counted struct {
	handler http.HandlerFunc
	mu      sync.Mutex
	hits    map[string]int
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	if c.hits == nil {
		c.hits = make(map[string]int)
	}
	c.hits[r.URL.Host+r.URL.Path]++
	c.mu.Unlock()
	w := httptest.NewRecorder()
	r.Host = r.URL.Host
	c.handler(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (c *counted) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	hits := c.hits
	c.hits = nil
	return hits
}

// crawlPictures crawls the site once, or a round of it again.
func crawlPictures(t *testing.T, store *queue.Store, web *counted, dir string, change func(*crawler.Settings)) {
	t.Helper()
	s := crawler.Settings{
		Requisites: crawler.RequisitesAll, Delay: -1, PerHost: 1, Retries: -1, Grace: -1,
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageWARC}},
	}
	if change != nil {
		change(&s)
	}
	c, err := crawler.New(store, &crawler.Options{Settings: s, Seeds: crawler.Seeds("http://site.test/"), Transport: always(web), ArchiveDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Recrawl(t.Context(), crawler.RecrawlAll); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done, err := c.Done(t.Context()); err != nil || !done {
		t.Fatalf("Done = %v, %v", done, err)
	}
}

// All that pages need is fetched, once, is no page, and is known for what it is.
func TestRequisites(t *testing.T) {
	tests := []struct {
		name   string
		change func(*crawler.Settings)
		pages  []string
		parts  func(string) bool
	}{
		{"wherever they are", nil, []string{"site.test/", "site.test/second"}, func(string) bool { return true }},
		{
			"on the site", func(s *crawler.Settings) { s.Requisites = crawler.RequisitesSite },
			[]string{"site.test/", "site.test/second"}, func(p string) bool { return strings.HasPrefix(p, "site.test/") },
		},
		{
			"of as many pages as are wanted", func(s *crawler.Settings) { s.MaxPages = 1 },
			[]string{"site.test/"}, func(p string) bool { return p != "site.test/icon.png" && p != "site.test/missing.png" },
		},
		{
			"but for those that are denied", func(s *crawler.Settings) { s.Scope.Deny = []string{`cdn\.test/frame`} },
			[]string{"site.test/", "site.test/second"}, func(p string) bool { return !strings.HasPrefix(p, "cdn.test/frame") },
		},
		{"none", func(s *crawler.Settings) { s.Requisites = ""; s.Scope.Deny = []string{`\.png`} }, []string{"site.test/", "site.test/second"}, func(string) bool { return false }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				store := openMemory(t)
				web := &counted{handler: pictureSite}
				crawlPictures(t, store, web, dir, test.change)
				want := slices.Clone(test.pages)
				parts := 0
				for _, p := range wantParts {
					if test.parts(p) {
						want = append(want, p)
						parts++
					}
				}
				hits := web.take()
				delete(hits, "site.test/robots.txt")
				delete(hits, "cdn.test/robots.txt")
				for p, n := range hits {
					if n != 1 {
						t.Errorf("%s was asked for %d times", p, n)
					}
				}
				wantList(t, "requests", slices.Sorted(maps.Keys(hits)), want...)
				st, err := inspect.ReadStatus(t.Context(), store)
				if err != nil {
					t.Fatal(err)
				}
				if st.Pages != int64(len(test.pages)) || st.Failures != 0 {
					t.Errorf("%d pages, %d failures, want %d and none", st.Pages, st.Failures, len(test.pages))
				}
				if n := len(records[crawler.Asset](t, store, "assets")); int64(n) != st.Assets || parts > n {
					t.Errorf("%d assets, %d by the counter, want %d", n, st.Assets, parts)
				}
				if err := store.Check(t.Context()); err != nil {
					t.Error(err)
				}
				if test.change != nil {
					return
				}
				for address, want := range map[string]string{
					"http://site.test/img/linked.png": "asset", "http://cdn.test/framed.png": "asset", "http://site.test/private/no.png": "asset robots",
					"http://site.test/missing.png": "asset http_404", "http://site.test/": "fetched",
				} {
					e, err := inspect.Explain(t.Context(), store, address, nil)
					if err != nil {
						t.Fatal(err)
					}
					got := e.State
					if e.Asset != nil && e.Asset.Reason != "" {
						got += " " + e.Asset.Reason
					}
					if got != want {
						t.Errorf("%s is %q, want %q", address, got, want)
					}
				}
			})
		})
	}
}
