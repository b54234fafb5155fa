package crawler_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/base32"
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

// An archive of several rounds has each body once: what a server calls unmodified, and
// what has the bytes of something else, refers to it. A reader that knows nothing of
// this program finds each answer.
func TestArchiveRefersToWhatItHas(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store := openMemory(t)
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
	store := openMemory(t)
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
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, *browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
			"--no-first-run", "--user-data-dir="+t.TempDir(), "--proxy-server="+strings.TrimPrefix(proxy.URL, "http://"), "--virtual-time-budget=10000", "--dump-dom", "http://site.test/")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		if !strings.Contains(string(out), "<title>loaded 5</title>") {
			t.Errorf("the page is not what it was:\n%s\n%s", out, errs.String())
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
		archiving := func(store *queue.Store) (*crawler.Crawler, error) {
			return crawler.New(store, &crawler.Options{
				Settings: crawler.Settings{
					Requisites: crawler.RequisitesAll, Delay: -1, Grace: -1,
					Archive: crawler.ArchiveSettings{FileSize: 4 << 10},
					Stages:  []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageWARC}},
				},
				Seeds: crawler.Seeds("http://site.test/"), Transport: always(web), ArchiveDir: dir,
			})
		}
		crashes := 0
		for round := range 3 {
			for done := false; !done; {
				done = crashOnce(t, disk, round, 5+rng.IntN(25), rng.IntN(2) == 0, archiving)
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

var browser = flag.String("browser", "", "Chromium to load the replayed page with in TestReplayInABrowser")
