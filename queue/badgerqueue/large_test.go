package badgerqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// largeOptions let a value be twice as long as a piece.
func largeOptions() Options {
	return Options{MemTable: 16 << 20, VerifyOnOpen: 1 << 30, Queue: queue.Options{MinFree: -1}}
}

// hidden returns the keys that the store keeps for itself.
func hidden(t *testing.T, d *store) (keys []string) {
	t.Helper()
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(hiddenPrefix)})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if key := string(it.Item().Key()); key != batchKey {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestLargeValues compares a store with a map under random batches of large and
// small values, which now and then is closed, or left as if its process had died.
func TestLargeValues(t *testing.T) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, seed))
	dir := filepath.Join(t.TempDir(), "store")
	d, err := open(dir, largeOptions())
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string][]byte)
	compare := func(step int) {
		t.Helper()
		got := 0
		err := d.Scan(context.Background(), nil, nil, func(key, value []byte) bool {
			got++
			if !bytes.Equal(value, want[string(key)]) {
				t.Errorf("step %d: scan found %d bytes for %s, want %d; the seed is %d", step, len(value), key, len(want[string(key)]), seed)
			}
			return true
		})
		if err != nil || got != len(want) {
			t.Fatalf("step %d: scan found %d keys of %d and returned %v", step, got, len(want), err)
		}
		for key, value := range want {
			if got, err := d.Get(context.Background(), []byte(key)); err != nil || !bytes.Equal(got, value) {
				t.Fatalf("step %d: %s has %d bytes, want %d: %v", step, key, len(got), len(value), err)
			}
		}
		if err := d.Verify(context.Background()); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
	}
	for step := range 40 {
		var batch []driver.Write
		for size := 0; size < d.limits.Bytes/2; {
			w := driver.Write{Key: fmt.Appendf(nil, "k%d", rng.IntN(6))}
			switch rng.IntN(4) {
			case 0:
				w.Delete = true
			case 1:
				w.Value = fmt.Appendf(nil, "%d", step)
			default:
				w.Value = bytes.Repeat(fmt.Appendf(nil, "%08d", rng.IntN(1e8)), (d.large.piece-100+rng.IntN(200))/8)
				if rng.IntN(3) == 0 {
					w.Value = w.Value[:0:0]
					w.Value = bytes.Repeat(fmt.Appendf(nil, "%08d", rng.IntN(1e8)), d.limits.Bytes/2/8)
				}
			}
			if size += len(w.Value) + 100; size > d.limits.Bytes {
				break
			}
			batch = append(batch, w)
		}
		if err := d.Commit(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		for _, w := range batch {
			if w.Delete {
				delete(want, string(w.Key))
			} else {
				want[string(w.Key)] = w.Value
			}
		}
		switch {
		case step%15 == 7:
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		case step%15 == 14:
			dead := d
			t.Cleanup(func() { dead.Close() })
			dir = queuetest.CopyLive(t, dir, t.TempDir())
		default:
			continue
		}
		if d, err = open(dir, largeOptions()); err != nil {
			t.Fatal(err)
		}
		compare(step)
	}
	compare(40)

	// All that is deleted goes, in pieces and all.
	var batch []driver.Write
	for key := range want {
		batch = append(batch, driver.Write{Key: []byte(key), Delete: true})
	}
	for i := range 3 {
		if err := d.Commit(context.Background(), append(batch, driver.Write{Key: []byte("last"), Value: fmt.Append(nil, i)})); err != nil {
			t.Fatal(err)
		}
	}
	if keys := hidden(t, d); len(keys) > 0 || len(d.large.keys) > 0 {
		t.Errorf("left are %q, and %d keys are taken for large", keys, len(d.large.keys))
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// A batch at the limits may hold as many large values as fit, replace others,
// and have keys as long as there are.
func TestLargestBatchWithLargeValues(t *testing.T) {
	for _, mem := range []int64{1 << 20, 16 << 20, 64 << 20} {
		t.Run(fmt.Sprint(mem>>20, "MiB"), func(t *testing.T) {
			opts := largeOptions()
			opts.MemTable = mem
			d, err := open(t.TempDir(), opts)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			for range 3 {
				var batch []driver.Write
				left := d.limits.Bytes
				for left > 1024+d.limits.Overhead {
					n := min(left-1024-d.limits.Overhead, d.large.piece)
					batch = append(batch, driver.Write{Key: fmt.Appendf(nil, "%01024d", len(batch)), Value: make([]byte, n)})
					left -= n + 1024 + d.limits.Overhead
				}
				if err := d.Commit(context.Background(), batch); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// Whatever is wrong with the pieces of a value, other bytes are never taken for
// it.
func TestWrongPiecesAreNoticed(t *testing.T) {
	ctx := context.Background()
	key, other := []byte("key"), []byte("other")
	for what, damage := range map[string]func(txn *badger.Txn, batch uint64) error{
		"a piece missing": func(txn *badger.Txn, batch uint64) error { return txn.Delete(pieceKey(key, batch, 1)) },
		"a piece too long": func(txn *badger.Txn, batch uint64) error {
			return txn.Set(pieceKey(key, batch, 1), make([]byte, 500))
		},
		"a partition cut short": func(txn *badger.Txn, batch uint64) error {
			return txn.SetEntry(badger.NewEntry(key, make([]byte, 7)).WithMeta(inPieces))
		},
		"the partition of another": func(txn *badger.Txn, batch uint64) error {
			return txn.SetEntry(badger.NewEntry(key, partition{batch + 1, 2, 1 << 20}.encode()).WithMeta(inPieces))
		},
	} {
		t.Run(what, func(t *testing.T) {
			d, err := open(t.TempDir(), largeOptions())
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			for i, key := range [][]byte{key, other} {
				if err := d.Commit(ctx, []driver.Write{{Key: key, Value: bytes.Repeat([]byte{byte(i)}, 1<<20)}}); err != nil {
					t.Fatal(err)
				}
			}
			version := d.version.Load() + 1
			txn := d.db.NewTransactionAt(version-1, true)
			defer txn.Discard()
			if err := damage(txn, version-2); err != nil {
				t.Fatal(err)
			}
			if err := txn.CommitAt(version, nil); err != nil {
				t.Fatal(err)
			}
			d.version.Store(version)
			_, getErr := d.Get(ctx, key)
			scanErr := d.Scan(ctx, key, other, func(_, value []byte) bool { return true })
			for call, err := range map[string]error{"Get": getErr, "Scan": scanErr, "Verify": d.Verify(ctx)} {
				if !errors.Is(err, driver.ErrCorrupt) {
					t.Errorf("%s returned %v, want ErrCorrupt", call, err)
				}
			}
		})
	}
}
