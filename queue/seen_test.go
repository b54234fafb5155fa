package queue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// lookups is a driver that counts the keys of items that are looked up.
type lookups struct {
	driver.Store
	marks atomic.Int64
}

func (d *lookups) Get(ctx context.Context, key []byte) ([]byte, error) {
	if key[0] == 'k' {
		d.marks.Add(1)
	}
	return d.Store.Get(ctx, key)
}

// TestItemsWithoutKeysDoNotFillTheFilter: the filter of keys is given up when there
// are too many keys for its memory, and items without keys are none.
func TestItemsWithoutKeysDoNotFillTheFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := memqueue.NewDisk()
		open := func() (*lookups, *queue.Store) {
			db, err := disk.Driver()
			if err != nil {
				t.Fatal(err)
			}
			d := &lookups{Store: db}
			s, err := queue.New(t.Context(), d, &queue.Options{SeenMemory: 1 << 10}) // enough for 4,096 keys
			if err != nil {
				t.Fatal(err)
			}
			return d, s
		}
		_, s := open()
		build(t, s, func(tx *queue.Tx) {
			tx.Enqueue("q", make([]queue.Item, 10_000)...)
			for i := range 100 {
				tx.Enqueue("q", queue.Item{Key: fmt.Sprint("old ", i)})
			}
		})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		d, s := open()
		defer s.Close()
		build(t, s, func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Key: "the first has the filter filled"}) })
		synctest.Wait()
		d.marks.Store(0)
		build(t, s, func(tx *queue.Tx) {
			for i := range 1000 {
				tx.Enqueue("q", queue.Item{Key: fmt.Sprint("new ", i)})
			}
		})
		if n := d.marks.Load(); n > 100 {
			t.Errorf("%d of 1000 new keys were looked up on the disk", n)
		}
	})
}
