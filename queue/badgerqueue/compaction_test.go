package badgerqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4/table"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// TestReadVerifiesPendingTables opens a store without checking its tables
// first. A read that may touch a bad block must report it, not miss keys.
func TestReadVerifiesPendingTables(t *testing.T) {
	d, dir, n := openFilled(t)
	closeStore(t, d)
	path := flipTable(t, filepath.Join(dir, badgerDir))
	d, err := open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	err = d.Scan(context.Background(), []byte("a"), []byte("b"), func([]byte, []byte) bool { got++; return true })
	if !errors.Is(err, driver.ErrCorrupt) || !bytes.Contains([]byte(err.Error()), []byte(filepath.Base(path))) {
		t.Errorf("scan over a bad block found %d of %d keys and returned %v, want ErrCorrupt with %s", got, n, err, path)
	}
	d.Close()
}

// TestScanVerifiesAsFarAsItGoes scans a store of which nothing has been checked. A scan that
// ends early checks little; one that meets a bad table says so, and what it found before is
// all that there is before.
func TestScanVerifiesAsFarAsItGoes(t *testing.T) {
	d, _, n := openFilled(t)
	defer d.Close()
	d.work.Wait()                       // the verification of what there was
	for ; len(d.db.Tables()) < 5; n++ { // fewer than are compacted
		if err := commitNoise(d, n); err != nil {
			t.Fatal(err)
		}
	}
	scan := func(most int) (keys []string, err error) {
		err = d.Scan(t.Context(), []byte("a"), []byte("b"), func(key, _ []byte) bool {
			keys = append(keys, string(key))
			return len(keys) != most
		})
		return keys, err
	}
	all, err := scan(0)
	if err != nil || len(all) != n*noiseWrites {
		t.Fatalf("%d keys, %v; want %d", len(all), err, n*noiseWrites)
	}
	tables := d.db.Tables()
	var paths []string
	for _, info := range tables {
		paths = append(paths, table.NewFilename(info.ID, d.badgerDir()))
	}
	reset := func() {
		d.pending.mu.Lock()
		defer d.pending.mu.Unlock()
		d.pending.tables, d.pending.err = nil, nil
		d.pending.set(paths, tables)
	}
	reset()
	if keys, err := scan(1); err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	if left := int(d.pending.left.Load()); left < len(paths)/2 {
		t.Errorf("%d tables of %d are checked for the first key", len(paths)-left, len(paths))
	}
	if keys, err := scan(0); err != nil || !slices.Equal(keys, all) {
		t.Errorf("%d keys, %v, bit by bit; want %d", len(keys), err, len(all))
	}
	for _, path := range paths {
		reset()
		flip(t, path)
		keys, err := scan(0)
		flip(t, path)
		if !errors.Is(err, driver.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(path)) {
			t.Errorf("%s is bad: %v", filepath.Base(path), err)
		}
		if len(keys) > len(all) || !slices.Equal(keys, all[:len(keys)]) {
			t.Errorf("%s is bad: %d keys before it are not the first of all", filepath.Base(path), len(keys))
		}
	}
	reset()
	if keys, err := scan(0); err != nil || !slices.Equal(keys, all) {
		t.Errorf("%d keys, %v, when all are mended; want %d", len(keys), err, len(all))
	}
}

// TestCompactionWaitsForVerification flips a bit in a table that is yet to be
// checked. A compaction that met it would leave out the block and delete the
// table; it must not end, and nothing is lost once the bit is put right.
func TestCompactionWaitsForVerification(t *testing.T) {
	d, dir, n := openFilled(t)
	d.work.Wait() // the verification of what there was
	path := flipTable(t, d.badgerDir())
	d.pending.set([]string{path}, d.db.Tables())
	var err error
	for i := n; err == nil; i++ {
		err = commitNoise(d, i)
	}
	if !errors.Is(err, driver.ErrCorrupt) {
		t.Fatalf("commit failed with %v, want ErrCorrupt", err)
	}
	<-d.suspended
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the table is gone: %v", err)
	}
	if err := d.Close(); !errors.Is(err, errSuspended) {
		t.Fatalf("close returned %v, want errSuspended", err)
	}
	if _, err := open(dir, smallOptions()); !errors.Is(err, driver.ErrLocked) {
		t.Fatalf("open returned %v, want ErrLocked", err)
	}
	// As another process would find it, with the bit put right.
	image := queuetest.CopyLive(t, dir, t.TempDir())
	flip(t, filepath.Join(image, badgerDir, filepath.Base(path)))
	d, err = open(image, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	if err := d.Scan(context.Background(), []byte("a"), []byte("b"), func([]byte, []byte) bool { got++; return true }); err != nil {
		t.Fatal(err)
	}
	if got < n*noiseWrites {
		t.Errorf("found %d keys, want at least %d", got, n*noiseWrites)
	}
	closeStore(t, d)
}

func smallOptions() Options {
	o := Options{MemTable: 1 << 20, VerifyOnOpen: -1, Queue: queue.Options{MinFree: -1}}
	return o.withDefaults()
}

const noiseWrites = 50

// commitNoise writes batch number i.
func commitNoise(d *store, i int) error {
	writes := make([]driver.Write, noiseWrites)
	for j := range writes {
		value := make([]byte, 500)
		for k := range value {
			value[k] = byte(rand.Uint32())
		}
		writes[j] = driver.Write{Key: fmt.Appendf(nil, "a%08d/%02d", i, j), Value: value}
	}
	return d.Commit(context.Background(), append(writes, driver.Write{Key: []byte("batch"), Value: fmt.Append(nil, i)}))
}

// openFilled returns a store with some tables, and how many batches it has.
func openFilled(t *testing.T) (*store, string, int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	d, err := open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; n < 120 || len(d.db.Tables()) == 0; n++ {
		if err := commitNoise(d, n); err != nil {
			t.Fatal(err)
		}
	}
	return d, dir, n
}

func closeStore(t *testing.T, d *store) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// flipTable flips a bit in the first block of a table.
func flipTable(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no tables: %v", err)
	}
	flip(t, paths[0])
	return paths[0]
}

func flip(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], 100); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b[:], 100); err != nil {
		t.Fatal(err)
	}
}
