package badgerqueue_test

import (
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var churn = flag.Int("churn", 6_000, "how many items go through the store whose size must settle")

// However many items go through a store, it takes no more disk than its levels may have:
// what is deleted is given back while it works, and nobody has to stop.
func TestSizeSettles(t *testing.T) {
	const waiting, batch, most = 2_000, 100, 64 << 20
	dir := filepath.Join(t.TempDir(), "store")
	s, err := badgerqueue.Open(dir, &badgerqueue.Options{MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	enqueue := func(tx *queue.Tx, count int) {
		for range count {
			n++
			tx.Enqueue("q", queue.Item{Body: fmt.Appendf(nil, "%300d", n), Key: fmt.Sprint(n % (3 * waiting)), Mode: queue.OnceLive})
		}
	}
	for n < waiting {
		var tx queue.Tx
		enqueue(&tx, batch)
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	c, err := s.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n < *churn {
		items, err := c.Receive(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		var tx queue.Tx
		for _, d := range items {
			tx.Ack(d)
		}
		enqueue(&tx, len(items))
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		if n%(waiting*50) < batch {
			if size := folderSize(t, dir); size > most {
				t.Fatalf("%d bytes on disk after %d items, of which %d wait", size, n, waiting)
			}
		}
	}
	t.Logf("%d bytes on disk after %d items", folderSize(t, dir), n)
}

// folderSize adds the files up; some may go while it does.
func folderSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
