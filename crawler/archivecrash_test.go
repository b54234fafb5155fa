package crawler_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages/warc"
)

// checkCaptures makes sure that what the store says of answers is in the files, whatever
// lies behind them; seen are those that need not be looked at again. Dirs are the folders of
// archives by their names.
func checkCaptures(t *testing.T, store *queue.Store, dirs map[string]string, seen map[string]bool) {
	t.Helper()
	err := inspect.WalkCaptures(t.Context(), store, func(c *crawler.Capture) error {
		if seen[c.URL] {
			return nil
		}
		seen[c.URL] = true
		f, err := os.Open(filepath.Join(dirs[c.Archive], c.File))
		if err != nil {
			return err
		}
		defer f.Close()
		record := make([]byte, c.Length)
		if _, err := f.ReadAt(record, c.Offset); err != nil {
			return fmt.Errorf("%+v: %w", c, err)
		}
		rec, err := warc.NewReader(bytes.NewReader(record)).Next()
		if err != nil {
			return fmt.Errorf("%+v: %w", c, err)
		}
		if rec.TargetURI != c.URL || rec.Get("WARC-Payload-Digest") != c.Digest {
			t.Errorf("%s %s lies where the store has %+v", rec.Type, rec.TargetURI, c)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// countCaptures returns how many answers the store says that an archive has.
func countCaptures(t *testing.T, store *queue.Store, archive string) (n int) {
	t.Helper()
	if err := inspect.WalkCaptures(t.Context(), store, func(c *crawler.Capture) error {
		if c.Archive == archive {
			n++
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	return n
}

// countRecords returns how many answers are in the files of an archive.
func countRecords(t *testing.T, dir string) (n int) {
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
		for r := warc.NewReader(f); ; {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if rec.Type == "response" || rec.Type == "revisit" {
				n++
			}
		}
	}
	return n
}

// archivedSite is a site whose pages /2 and /3 are alike.
var archivedSite = always(roundTrip(func(path string) (status int, body string) {
	switch path {
	case "/":
		for i := range 7 {
			body += fmt.Sprintf("<a href=/%d>to</a>", i)
		}
		return 200, body
	case "/2", "/3":
		return 200, "<title>alike</title>"
	case "/5", "/robots.txt":
		return 404, path
	}
	return 200, path
}))

// A process dies at one of its commits, each in turn: before it, when the answers that it
// holds are in the files already, or behind it. What the store has then is in the files,
// and in the end they hold what the store has and nothing else.
func TestArchiveAgreesWithTheStoreWhereverTheProcessDies(t *testing.T) {
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			died := false
			t.Run(fmt.Sprintf("commit %d, after %v", k, after), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "warc")
				synctest.Test(t, func(t *testing.T) {
					disk := memqueue.NewDisk()
					begin := func(store *queue.Store) (*crawler.Crawler, error) {
						return crawler.New(store, &crawler.Options{
							Settings: crawler.Settings{
								Delay: -1, Workers: 4, PerHost: 4, Stages: crawlAndWARC, Archive: crawler.ArchiveSettings{FileSize: 2 << 10},
							},
							Seeds: crawler.Seeds("http://site.test/"), Transport: archivedSite, ArchiveDir: dir,
						})
					}
					if died = !crashOnce(t, disk, 0, k, after, begin); died {
						store, err := disk.Open(nil)
						if err != nil {
							t.Fatal(err)
						}
						checkCaptures(t, store, map[string]string{"": dir}, make(map[string]bool))
						if err := store.Close(); err != nil {
							t.Fatal(err)
						}
						crashOnce(t, disk, 0, 1<<30, false, begin)
					}
					store, err := disk.Open(nil)
					if err != nil {
						t.Fatal(err)
					}
					defer store.Close()
					if answers := checkArchive(t, store, dir); len(answers) != 8 {
						t.Errorf("%d answers, want 8", len(answers))
					}
				})
			})
			if t.Failed() {
				return
			}
			if !died {
				break
			}
		}
	}
}
