package crawler_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

var browser = flag.String("browser", "", "Chromium to load the replayed page with in TestReplayInABrowser")

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
				store, err := memqueue.Open(nil)
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
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

// An archive of several rounds has each body once: what a server calls unmodified, and
// what has the bytes of something else, refers to it. A reader that knows nothing of
// this program finds each answer.
func TestArchiveRefersToWhatItHas(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		web := &counted{handler: pictureSite}
		for range 3 {
			crawlPictures(t, store, web, dir, func(s *crawler.Settings) {
				s.Archive = crawler.ArchiveSettings{Prefix: "pictures", FileSize: 4 << 10, Info: []string{"operator: A. Librarian", "isPartOf: pictures"}}
			})
			time.Sleep(24 * time.Hour)
		}
		hits := web.take()
		answers := 0
		for p, n := range hits {
			if !strings.HasSuffix(p, "/robots.txt") {
				answers += n
			}
		}
		all := readArchive(t, dir)
		checkReferences(t, all)
		bodies := make(map[string]int)
		kinds := make(map[string]int)
		for _, rec := range all {
			kinds[rec.kind+strings.TrimPrefix(rec.fields.Get("WARC-Profile"), "http://netpreserve.org/warc/1.1/")]++
			if rec.kind == "response" {
				bodies[rec.fields.Get("WARC-Payload-Digest")]++
			}
			if rec.kind == "warcinfo" && (!strings.Contains(string(rec.block), "operator: A. Librarian\r\n") || !strings.Contains(string(rec.block), "isPartOf: pictures\r\n")) {
				t.Errorf("the warcinfo lacks what was said of the archive:\n%s", rec.block)
			}
		}
		for digest, n := range bodies {
			if n > 1 {
				t.Errorf("the body %s is stored %d times", digest, n)
			}
		}
		if n := kinds["response"] + kinds["revisit"+"revisit/identical-payload-digest"] + kinds["revisit"+"revisit/server-not-modified"]; n != answers || kinds["request"] != answers {
			t.Errorf("%d answers are in the archive, with %d requests; there were %d: %v", n, kinds["request"], answers, kinds)
		}
		if kinds["revisitrevisit/server-not-modified"] != 2 || kinds["revisitrevisit/identical-payload-digest"] < 2*(len(wantParts)-1) {
			t.Errorf("records by kind: %v", kinds)
		}
		files, err := filepath.Glob(filepath.Join(dir, "pictures-*.warc.gz"))
		if err != nil || len(files) < 3 {
			t.Errorf("files %q, %v", files, err)
		}
		// The index has each answer, with its place.
		n := 0
		err = inspect.WalkCaptures(t.Context(), store, func(c *crawler.Capture) error {
			n++
			rec := readMember(t, filepath.Join(dir, c.File), c.Offset, c.Length)
			if rec.fields.Get("WARC-Target-URI") != c.URL || (rec.kind == "revisit") != (c.Revisit != "") || rec.fields.Get("WARC-Refers-To-Target-URI") != c.RefersTo {
				t.Errorf("%+v: %s %v", c, rec.kind, rec.fields)
			}
			return nil
		})
		if err != nil || n != answers {
			t.Errorf("the index has %d of %d answers, %v", n, answers, err)
		}
	})
}

// archived is a record as the reader of this test has it: standard library and the
// standard, and nothing else.
type archived struct {
	kind   string
	fields textproto.MIMEHeader
	block  []byte
}

func (a *archived) at() string {
	return a.fields.Get("WARC-Target-URI") + " " + a.fields.Get("WARC-Date")
}

func readRecord(r *bufio.Reader) (*archived, error) {
	version, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if version != "WARC/1.1\r\n" {
		return nil, fmt.Errorf("version %q", version)
	}
	fields, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(fields.Get("Content-Length"))
	if err != nil {
		return nil, err
	}
	block := make([]byte, n+4)
	if _, err := io.ReadFull(r, block); err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(block, []byte("\r\n\r\n")) {
		return nil, fmt.Errorf("record does not end as it must")
	}
	return &archived{fields.Get("WARC-Type"), fields, block[:n]}, nil
}

func readMember(t *testing.T, file string, offset, length int64) *archived {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(io.NewSectionReader(f, offset, length)))
	if err != nil {
		t.Fatalf("%s at %d: %v", file, offset, err)
	}
	z.Multistream(false)
	rec, err := readRecord(bufio.NewReader(z))
	if err != nil {
		t.Fatalf("%s at %d: %v", file, offset, err)
	}
	return rec
}

func readArchive(t *testing.T, dir string) (all []*archived) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.warc.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(bufio.NewReader(f))
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(z)
		for {
			rec, err := readRecord(r)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, rec)
		}
	}
	return all
}

// body returns the payload of a response.
func (a *archived) body() []byte {
	_, body, _ := bytes.Cut(a.block, []byte("\r\n\r\n"))
	return body
}

// checkReferences fails the test unless each revisit record leads to the body that it
// stands for.
func checkReferences(t *testing.T, all []*archived) {
	t.Helper()
	responses := make(map[string]*archived)
	for _, rec := range all {
		if rec.kind == "response" {
			responses[rec.at()] = rec
			sum := sha1.Sum(rec.body())
			if want := "sha1:" + base32.StdEncoding.EncodeToString(sum[:]); rec.fields.Get("WARC-Payload-Digest") != want {
				t.Errorf("%s has the digest %s, want %s", rec.at(), rec.fields.Get("WARC-Payload-Digest"), want)
			}
		}
	}
	for _, rec := range all {
		if rec.kind != "revisit" {
			continue
		}
		of := responses[rec.fields.Get("WARC-Refers-To-Target-URI")+" "+rec.fields.Get("WARC-Refers-To-Date")]
		switch {
		case of == nil:
			t.Errorf("%s refers to nothing: %v", rec.at(), rec.fields)
		case of.fields.Get("WARC-Payload-Digest") != rec.fields.Get("WARC-Payload-Digest"):
			t.Errorf("%s refers to another body", rec.at())
		}
		if len(rec.body()) > 0 {
			t.Errorf("%s has a body of %d bytes", rec.at(), len(rec.body()))
		}
	}
}

// The archive of a page is served to a browser, as a proxy would, and nothing is
// missing. The browser is asked for by -browser.
func TestReplayInABrowser(t *testing.T) {
	dir := t.TempDir()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	crawlPictures(t, store, &counted{handler: pictureSite}, dir, nil)
	crawlPictures(t, store, &counted{handler: pictureSite}, dir, nil) // revisits come last
	replay := newReplay(t, readArchive(t, dir))
	proxy := httptest.NewServer(replay)
	defer proxy.Close()
	if *browser == "" {
		// Without one, a client asks for all that a browser would.
		for _, p := range append([]string{"site.test/"}, wantParts...) {
			w := httptest.NewRecorder()
			replay.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+p, nil))
			if want := p != "site.test/missing.png"; (w.Code == http.StatusOK && w.Body.Len() > 0) != want {
				t.Errorf("%s is replayed with status %d and %d bytes", p, w.Code, w.Body.Len())
			}
		}
	} else {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, *browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
			"--no-first-run", "--user-data-dir="+t.TempDir(), "--proxy-server="+strings.TrimPrefix(proxy.URL, "http://"), "--virtual-time-budget=10000", "--dump-dom", "http://site.test/").Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), "<title>loaded 5</title>") {
			t.Errorf("the page is not what it was:\n%s", out)
		}
		for _, p := range []string{"site.test/img/deep.png", "site.test/img/set.png", "cdn.test/own.woff2", "cdn.test/framed.png", "site.test/img/attribute.png", "site.test/img/source.png"} {
			if replay.served[p] == 0 {
				t.Errorf("the browser has not asked for %s", p)
			}
		}
		t.Logf("the browser has asked for %d addresses", len(replay.served))
	}
	if len(replay.missing) > 0 {
		t.Errorf("missing from the archive: %q", replay.missing)
	}
}

// replay answers from an archive, each address with what it answered last.
type replay struct {
	last      map[string]*archived
	responses map[string]*archived

	mu      sync.Mutex
	served  map[string]int
	missing []string
}

func newReplay(t *testing.T, all []*archived) *replay {
	t.Helper()
	checkReferences(t, all)
	r := &replay{last: make(map[string]*archived), responses: make(map[string]*archived), served: make(map[string]int)}
	for _, rec := range all {
		if rec.kind == "response" || rec.kind == "revisit" {
			r.last[rec.fields.Get("WARC-Target-URI")] = rec
		}
		if rec.kind == "response" {
			r.responses[rec.at()] = rec
		}
	}
	return r
}

func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rec := p.last[r.URL.String()]
	if rec == nil {
		if r.URL.Host == "site.test" || r.URL.Host == "cdn.test" { // and not what the browser wants for itself
			p.missing = append(p.missing, r.URL.String())
		}
		http.NotFound(w, r)
		return
	}
	p.served[r.URL.Host+r.URL.Path]++
	if rec.kind == "revisit" {
		rec = p.responses[rec.fields.Get("WARC-Refers-To-Target-URI")+" "+rec.fields.Get("WARC-Refers-To-Date")]
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(rec.block)), r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// The archive of three rounds, with parts of pages, by a process that dies over and
// over: each answer that was settled is in it once, whatever it refers to is there, and
// no part was visited twice in a round.
func TestArchiveOfRoundsSurvivesCrashes(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 4))
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := memqueue.NewDisk()
		web := &counted{handler: pictureSite}
		crashes := 0
		for round := range 3 {
			for done := false; !done; {
				done = crawlPicturesOnce(t, disk, web, dir, round, 5+rng.IntN(25), rng.IntN(2) == 0)
				if !done {
					crashes++
				}
				if crashes > 1000 {
					t.Fatal("no end")
				}
			}
			time.Sleep(24 * time.Hour)
		}
		store, err := disk.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		all := readArchive(t, dir)
		checkReferences(t, all)
		inFiles := make(map[string]int)
		for _, rec := range all {
			if rec.kind == "response" || rec.kind == "revisit" {
				inFiles[rec.at()]++
			}
		}
		inIndex := 0
		err = inspect.WalkCaptures(t.Context(), store, func(c *crawler.Capture) error {
			inIndex++
			at := c.URL + " " + c.Time.Format(time.RFC3339Nano)
			if inFiles[at] != 1 {
				t.Errorf("%s is in the files %d times", at, inFiles[at])
			}
			return nil
		})
		// Two pages and their parts but for the one that robots.txt forbids, each round.
		if want := 3 * (2 + len(wantParts)); err != nil || inIndex != want || len(inFiles) != want {
			t.Errorf("%d answers in the index, %d in the files, want %d (%v)", inIndex, len(inFiles), want, err)
		}
		for key, a := range records[crawler.Asset](t, store, "assets") {
			if a.Round != 2 {
				t.Errorf("%s was last visited in round %d", key, a.Round)
			}
		}
		if err := store.Check(t.Context()); err != nil {
			t.Error(err)
		}
		t.Logf("%d crashes", crashes)
	})
}

func crawlPicturesOnce(t *testing.T, disk *memqueue.Disk, web *counted, dir string, round, commits int, after bool) bool {
	ctx := t.Context()
	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	store, err := queue.New(ctx, &crashing{Store: db, left: commits, after: after}, nil)
	if err != nil {
		db.Close()
		if !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		return false
	}
	defer store.Close()
	err = func() error {
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{
				Requisites: crawler.RequisitesAll, Delay: -1, Grace: -1,
				Archive: crawler.ArchiveSettings{FileSize: 4 << 10},
				Stages:  []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageWARC}},
			},
			Seeds: crawler.Seeds("http://site.test/"), Transport: always(web), ArchiveDir: dir,
		})
		if err != nil {
			return err
		}
		if round > 0 {
			if r, err := crawler.ReadRound(ctx, store, round); err == nil && r.Finished != nil {
				return nil
			}
			if _, err := c.Recrawl(ctx, crawler.RecrawlAll); err != nil {
				return err
			}
		}
		return c.Run(ctx)
	}()
	if err != nil && !errors.Is(err, errCrash) && !errors.Is(err, queue.ErrFailed) {
		t.Fatal(err)
	}
	return err == nil
}
