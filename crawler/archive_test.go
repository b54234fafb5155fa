package crawler_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages/warc"
)

var crawlAndWARC = []crawler.Stage{{Name: crawler.StageCrawl}, {Name: crawler.StageWARC}}

// checkArchive makes sure that the files of an archive hold each answer that the
// crawl has kept, once, where its record says, and nothing else. It returns the
// answers.
func checkArchive(t *testing.T, store *queue.Store, dir string) map[string]*warc.Record {
	t.Helper()
	answers, bodies := make(map[string]*warc.Record), make(map[string]string)
	places := make(map[string]crawler.Capture)
	files, err := filepath.Glob(filepath.Join(dir, "*.warc.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := warc.NewReader(f)
		for {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			switch digest := rec.Get("WARC-Payload-Digest"); rec.Type {
			case "response":
				if other := bodies[digest]; other != "" && digest != warc.Digest(nil) && rec.Get("WARC-Truncated") == "" {
					t.Errorf("the body of %s is that of %s, and is in the archive twice", rec.TargetURI, other)
				}
				bodies[digest] = rec.TargetURI
			case "revisit":
				if bodies[digest] == "" {
					t.Errorf("the body of %s is not in front of it in the archive", rec.TargetURI)
				}
			default:
				continue
			}
			if answers[rec.TargetURI] != nil {
				t.Errorf("the answer of %s is in the archive twice", rec.TargetURI)
			}
			answers[rec.TargetURI] = rec
			places[rec.TargetURI] = crawler.Capture{File: filepath.Base(name), Offset: r.Offset(), Length: r.Size()}
		}
	}
	captures := make(map[string]*crawler.Capture)
	if err := inspect.WalkCaptures(t.Context(), store, func(c *crawler.Capture) error {
		captures[c.URL] = c
		if p := places[c.URL]; p.File != c.File || p.Offset != c.Offset || p.Length != c.Length {
			t.Errorf("%s is at %+v, and its record says %+v", c.URL, p, c)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for url := range answers {
		if captures[url] == nil {
			t.Errorf("the archive has %s, which has no record", url)
		}
	}
	for url := range records[crawler.Page](t, store, "pages") {
		if captures[url] == nil {
			t.Errorf("the page %s is not in the archive", url)
		}
	}
	return answers
}

func TestArchive(t *testing.T) {
	s := newSite(t)
	store := openMemory(t)
	settings := crawler.Settings{Delay: -1, AllowPrivate: true, Stages: crawlAndWARC}
	if _, err := crawler.New(store, &crawler.Options{Settings: settings, Seeds: crawler.Seeds(s.URL)}); !errors.Is(err, crawler.ErrSettings) {
		t.Errorf("without a folder: %v, want ErrSettings", err)
	}
	dir := filepath.Join(t.TempDir(), "warc")
	c, err := crawler.New(store, &crawler.Options{Settings: settings, Seeds: crawler.Seeds(s.URL), ArchiveDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored, err := crawler.Load(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range stored.Queues() { // whatever is said to be a queue is one
		if _, err := store.QueueStats(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	answers := checkArchive(t, store, dir)
	for path, want := range map[string]string{
		"/":        "HTTP/1.1 200 OK\r\n",
		"/old":     "HTTP/1.1 301 Moved Permanently\r\n",
		"/missing": "HTTP/1.1 404 Not Found\r\n",
		"/flaky":   "HTTP/1.1 200 OK\r\n", // and not the 503 before it
	} {
		if a := answers[s.URL+path]; a == nil || !bytes.HasPrefix(a.Block, []byte(want)) {
			t.Errorf("%s: answer %+v, want %q", path, a, want)
		}
	}
	if len(answers) != 8 {
		t.Errorf("%d answers, want those of 7 pages and one 404", len(answers))
	}
	if a := answers[s.URL+"/a"]; a == nil || !bytes.Contains(a.Block, []byte("\r\n\r\n<html lang=en><title>first</title>")) {
		t.Errorf("answer of /a: %+v", a)
	}
}

// A page that is too large for the queue is archived as far as it goes.
func TestArchiveCutsWhatIsTooLarge(t *testing.T) {
	const size = 4 << 20
	noise := make([]byte, size)
	x := uint64(1)
	for i := range noise { // that no compression makes small
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		noise[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"[x>>58]
	}
	s := serveOne(t, "text/plain", noise)
	store, err := memqueue.Open(&queue.Options{MaxItem: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := t.TempDir()
	c, err := crawler.New(store, &crawler.Options{
		Settings: crawler.Settings{Delay: -1, AllowPrivate: true, Stages: crawlAndWARC}, Seeds: crawler.Seeds(s), ArchiveDir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	answer := checkArchive(t, store, dir)[s]
	if answer == nil {
		t.Fatal("the page is not in the archive")
	}
	if _, body, ok := bytes.Cut(answer.Block, []byte("\r\n\r\n")); !ok || len(body) != 64<<10 || !bytes.HasPrefix(noise, body) {
		t.Errorf("%d bytes of the body are in the archive", len(body))
	}
	if got := answer.Get("WARC-Truncated"); got != "length" {
		t.Errorf("WARC-Truncated %q", got)
	}
}

// While the archive cannot be written the crawl waits for it, and says so.
func TestArchiveThatCannotBeWritten(t *testing.T) {
	s := newSite(t)
	store := openMemory(t)
	blocked := filepath.Join(t.TempDir(), "warc")
	if err := os.WriteFile(blocked, []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said := &saying{what: "archive not written", then: stop}
	settings := crawler.Settings{Delay: -1, AllowPrivate: true, Stages: crawlAndWARC}
	c, err := crawler.New(store, &crawler.Options{
		Settings: settings, Seeds: crawler.Seeds(s.URL), ArchiveDir: blocked, DrainTime: time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(said, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if len(records[crawler.Page](t, store, "pages")) != 0 {
		t.Error("there are pages whose answers are nowhere")
	}
	if done, err := c.Done(t.Context()); err != nil || done {
		t.Errorf("done is %t, %v", done, err)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	c, err = crawler.New(store, &crawler.Options{Settings: settings, ArchiveDir: blocked})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkArchive(t, store, blocked)
}

// A crawl whose archive lacks what the store has of it is refused, and does not wait for ever.
func TestArchiveThatIsOlderThanTheStore(t *testing.T) {
	s := serveOne(t, "text/html", []byte("<title>one</title>"))
	store := openMemory(t)
	dir := t.TempDir()
	run := func(seeds ...string) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		c, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Delay: -1, AllowPrivate: true, Stages: crawlAndWARC}, Seeds: crawler.Seeds(seeds...), ArchiveDir: dir,
			DrainTime: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&saying{what: "archive not written", then: stop}, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		return c.Run(ctx)
	}
	if err := run(s); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.warc.gz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("the archive is %q, %v", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(files[0], info.Size()-1); err != nil {
		t.Fatal(err)
	}
	if err := run(s + "another"); !errors.Is(err, warc.ErrShort) || !strings.Contains(err.Error(), filepath.Base(files[0])) || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("a byte is missing: %v", err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if err := run(s + "another"); err != nil {
		t.Errorf("the file is moved away: %v", err)
	}
}

// saying calls a function when something is written that contains a text.
type saying struct {
	what string
	then func()
}

func (s *saying) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(s.what)) {
		s.then()
	}
	return len(b), nil
}

// serveOne serves one page and no robots.txt, and returns its address.
func serveOne(t *testing.T, contentType string, body []byte) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/page" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/page"
}

func TestStagesThatCannotBe(t *testing.T) {
	store := openMemory(t)
	for _, stages := range [][]crawler.Stage{
		{{Name: crawler.StageCrawl}, {Name: crawler.StageWARC, Command: []string{"cat"}}},
		{{Name: crawler.StageCrawl}, {Name: crawler.StageWARC}, {Name: crawler.StageWARC}},
		{{Name: crawler.StageWARC}},
	} {
		_, err := crawler.New(store, &crawler.Options{
			Settings: crawler.Settings{Stages: stages}, Seeds: crawler.Seeds("http://a.example/"), ArchiveDir: t.TempDir(),
		})
		if !errors.Is(err, crawler.ErrSettings) || errors.Is(err, pipeline.ErrWiring) {
			t.Errorf("%v: %v, want ErrSettings", stages, err)
		}
	}
}
