package queue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// TestVersion1 opens a store as the first version wrote it: each item alone, marks
// that know of no blocks, and queues and barriers in JSON.
func TestVersion1(t *testing.T) {
	ctx := t.Context()
	disk := memqueue.NewDisk()
	s, err := disk.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	build(t, s, func(tx *queue.Tx) {
		for i := range 100 {
			want = append(want, fmt.Sprint("item ", i))
			tx.Enqueue("q", queue.Item{Key: fmt.Sprint("key ", i), Body: []byte(want[i]), Group: fmt.Sprint("g", i%2)})
		}
		tx.Barrier("p", []byte("end"))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := disk.Driver()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(ctx, toVersion1(t, db)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	if s, err = disk.Open(nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
	if w, err := s.Find(ctx, "q", "key 40"); err != nil || string(w.Item.Body) != "item 40" {
		t.Errorf("found %+v, %v", w, err)
	}
	if c, err := s.Config(ctx, "q"); err != nil || c.MaxAttempts != 3 || c.BarrierOn == nil || c.BarrierOn.Headers["eod"] != "1" {
		t.Errorf("settings are %+v, %v", c, err)
	}
	if bs, err := s.Barriers(ctx, "p"); err != nil || len(bs) != 1 || string(bs[0].Body) != "end" || bs[0].Headers["h"] != "v" {
		t.Errorf("barriers are %+v, %v", bs, err)
	}
	build(t, s, func(tx *queue.Tx) {
		tx.Enqueue("q", queue.Item{Key: "key 3"}, queue.Item{Key: "new", Body: []byte("new")})
	})
	c, err := s.Subscribe(ctx, "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 101 {
		ds, err := c.Receive(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range ds {
			got = append(got, string(d.Item.Body))
		}
		build(t, s, func(tx *queue.Tx) { tx.Ack(ds...) })
	}
	want = append(want, "new")
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("received %q", got)
	}
	if err := errors.Join(s.Check(ctx), s.Close()); err != nil {
		t.Error(err)
	}

	// A program of the first version would not understand it now.
	if db, err = disk.Driver(); err != nil {
		t.Fatal(err)
	}
	if v, err := db.Get(ctx, []byte("mformat")); err != nil || len(v) != 1 || v[0] != 3 {
		t.Errorf("format is %v, %v, want 3", v, err)
	}
	if err := db.Commit(ctx, []driver.Write{{Key: []byte("mformat"), Value: []byte{4}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.New(ctx, db, nil); !errors.Is(err, queue.ErrVersion) {
		t.Errorf("a store of format 4 opens with %v", err)
	}
}

// toVersion1 returns what makes the first version's store of one whose items are
// in blocks.
func toVersion1(t *testing.T, db driver.Store) []driver.Write {
	t.Helper()
	writes := []driver.Write{{Key: []byte("mformat"), Value: []byte{1}}}
	uvarint := func(b *[]byte) uint64 {
		v, n := binary.Uvarint(*b)
		*b = (*b)[n:]
		return v
	}
	writes = append(writes,
		driver.Write{Key: []byte("q\x00\x01"), Value: []byte(`{"name":"q","config":{"maxAttempts":3,"barrierOn":{"headers":{"eod":"1"}}}}`)},
		driver.Write{Key: []byte("q\x00\x02"), Value: []byte(`{"name":"p","config":{}}`)},
		driver.Write{Key: []byte("b\x00\x02\x00\x00\x00\x00"), Value: []byte(`{"body":"ZW5k","headers":{"h":"v"},"placed":5}`)})
	err := db.Scan(context.Background(), []byte("c"), []byte("l"), func(key, value []byte) bool {
		key, value = slices.Clone(key), slices.Clone(value)
		switch {
		case key[0] == 'c' || key[0] == 'e':
			// The totals of deferred items came with the third version.
			numbers := map[byte]int{'c': 4 + 7, 'e': 2 + 7}[key[0]]
			rest := value
			for range numbers {
				uvarint(&rest)
			}
			writes = append(writes, driver.Write{Key: key, Value: value[:len(value)-len(rest)]})
		case key[0] == 'i':
			if key[len(key)-1] != 1 || value[0] != 0x20 {
				t.Errorf("%q is no block", key)
			}
			writes = append(writes, driver.Write{Key: key, Delete: true})
			id := binary.BigEndian.Uint64(key[len(key)-9:])
			for rest := value[1:]; len(rest) > 0; {
				id += uvarint(&rest)
				n := uvarint(&rest)
				alone := binary.BigEndian.AppendUint64(slices.Clone(key[:len(key)-9]), id)
				writes = append(writes, driver.Write{Key: alone, Value: rest[:n]})
				rest = rest[n:]
			}
		case key[0] == 'k':
			if value[0] != 3 {
				t.Errorf("mark %q has flags %d", key, value[0])
			}
			rest := value[2:]
			old := binary.AppendUvarint([]byte{1, value[1]}, uvarint(&rest))
			uvarint(&rest)
			writes = append(writes, driver.Write{Key: key, Value: append(old, rest...)})
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return writes
}
