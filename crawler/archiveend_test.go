package crawler

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/stages/warc"
)

// A process that was taken for dead writes behind an end that another has moved since. The
// store refuses its transaction, so no position names bytes that the other has cut off.
func TestArchiveOfADeadProcessChangesNothing(t *testing.T) {
	ctx := t.Context()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dir := t.TempDir()
	write := func(url string) *queue.Tx {
		t.Helper()
		record, err := warc.AppendGzip(nil, &warc.Record{Type: "response", ID: warc.NewID(), Date: time.Now(), TargetURI: url})
		if err != nil {
			t.Fatal(err)
		}
		c := &captured{Capture{URL: url, Time: time.Now(), Digest: emptyDigest, Length: int64(len(record))}, record}
		var tx queue.Tx
		if err := NewArchive(store, &Options{ArchiveDir: dir}).write(ctx, []*captured{c}, &tx); err != nil {
			t.Fatal(err)
		}
		return &tx
	}
	first := write("http://a.example/")
	if err := store.Commit(ctx, first); err != nil {
		t.Fatal(err)
	}
	dead, living := write("http://a.example/dead"), write("http://a.example/living/and/longer")
	if err := store.Commit(ctx, living); err != nil {
		t.Fatal(err)
	}
	end, err := store.Get(ctx, tables.Crawl, archiveKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Commit(ctx, dead); !errors.Is(err, queue.ErrConflict) {
		t.Errorf("what a dead process has written is committed: %v, want ErrConflict", err)
	}
	if now, err := store.Get(ctx, tables.Crawl, archiveKey); err != nil || !bytes.Equal(now, end) {
		t.Errorf("the archive ends at %s, %v; want %s", now, err, end)
	}
}
