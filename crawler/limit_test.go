package crawler_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// watchedStore is a driver that counts its batches, and refuses those that refuse says.
type watchedStore struct {
	driver.Store
	batches atomic.Int64
	refuse  func(writes []driver.Write) bool // may be nil
}

func (s *watchedStore) Commit(ctx context.Context, writes []driver.Write) error {
	s.batches.Add(1)
	if s.refuse != nil && s.refuse(writes) {
		return driver.ErrTooLarge
	}
	return s.Store.Commit(ctx, writes)
}

// openWatched returns a store on a driver that is watched.
func openWatched(t *testing.T, refuse func(writes []driver.Write) bool) (*queue.Store, *watchedStore) {
	t.Helper()
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	watched := &watchedStore{Store: db, refuse: refuse}
	store, err := queue.New(t.Context(), watched, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store, watched
}

// A page whose transaction the store refuses for good is no page, and counts for no limit.
func TestRefusedPagesCountForNoLimit(t *testing.T) {
	const want = 4
	site := func(link string) fakeSite {
		return func(r *http.Request) (int, string, string) {
			body := strings.Repeat("x", 1000)
			if r.URL.Path == "/" {
				for i := range 10 {
					body += fmt.Sprintf(" <a href="+link+">x</a>", i)
				}
			}
			return http.StatusOK, "text/html", body
		}
	}
	for _, tt := range []struct {
		name, link string
		s          crawler.Settings
	}{
		{"max-pages", "/%d", crawler.Settings{MaxPages: want}},
		{"max-pages-per-host", "/%d", crawler.Settings{MaxHostPages: want}},
		{"max-pages-per-generation", "/%d", crawler.Settings{MaxGenerationPages: want - 1}},
		{"max-bytes", "/%d", crawler.Settings{MaxBytes: 1000 + 10*20 + 3*1000 - 500}},
		{"max-bytes-per-host", "/%d", crawler.Settings{MaxHostBytes: 1000 + 10*20 + 3*1000 - 500}},
		{"a trap", "/p?PHPSESSID=%032d", crawler.Settings{Scope: scope.Settings{Traps: scope.Traps{MaxSessions: want - 1}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var refused string // the first page that was
				store, _ := openWatched(t, func(writes []driver.Write) bool {
					return slices.ContainsFunc(writes, func(w driver.Write) bool {
						// Its record, whose table is named in its key.
						if _, page, ok := bytes.Cut(w.Key, []byte("tpages\x00http://a.example/")); ok && len(page) > 0 && (refused == "" || refused == string(page)) {
							refused = string(page)
							return true
						}
						return false
					})
				})
				tt.s.Stages, tt.s.Workers = []crawler.Stage{{Name: crawler.StageCrawl}}, 1
				c, err := crawler.New(store, &crawler.Options{Settings: tt.s, Seeds: crawler.Seeds("http://a.example/"), Transport: always(site(tt.link))})
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Run(t.Context()); err != nil {
					t.Fatal(err)
				}
				if pages := records[crawler.Page](t, store, "pages"); refused == "" || len(pages) != want {
					t.Errorf("%d pages after %q was refused, want %d", len(pages), refused, want)
				}
			})
		})
	}
}
