package badgerqueue_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var (
	damageSeed  = flag.Uint64("damage-seed", 1, "seed of the damage tests")
	damageCount = flag.Int("damage-count", 1, "files of each kind to damage, and positions in each file, in each way")
)

// small are options under which a few megabytes fill many tables.
func small() *badgerqueue.Options {
	return &badgerqueue.Options{MemTable: 1 << 20, Queue: queue.Options{MinFree: -1}}
}

// content is what a store should hold.
type content struct {
	keys    []string          // enqueued once, whether settled or not
	waiting []string          // of them, those not settled
	records map[string]string // of table "r"
}

// fillStore puts keyed items and records into a store and settles a third.
func fillStore(tb testing.TB, s *queue.Store, n, bodySize int, rng *rand.Rand) *content {
	tb.Helper()
	ctx := context.Background()
	want := &content{records: make(map[string]string)}
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	per := max(1, 24<<10/bodySize)
	for i := 0; i < n; {
		var tx queue.Tx
		for range min(per, n-i) {
			key := fmt.Sprintf("https://host%02d.example/%06d", i%17, i)
			tx.Enqueue("q", queue.Item{Key: key, Group: fmt.Sprintf("host%02d.example", i%17), Body: noise(bodySize)})
			want.keys = append(want.keys, key)
			i++
		}
		name := fmt.Sprintf("%06d", i)
		value := fmt.Sprint(rng.Uint64())
		tx.Put("r", name, []byte(value))
		want.records[name] = value
		if err := s.Commit(ctx, &tx); err != nil {
			tb.Fatal(err)
		}
	}
	c, err := s.Subscribe(ctx, "q", nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	settled := make(map[string]bool)
	for len(settled) < n/3 {
		ds, err := c.Receive(ctx, min(100, n/3-len(settled)))
		if err != nil {
			tb.Fatal(err)
		}
		var tx queue.Tx
		for _, d := range ds {
			tx.Ack(d)
			settled[d.Item.Key] = true
		}
		if err := s.Commit(ctx, &tx); err != nil {
			tb.Fatal(err)
		}
	}
	for _, key := range want.keys {
		if !settled[key] {
			want.waiting = append(want.waiting, key)
		}
	}
	slices.Sort(want.waiting)
	return want
}

// compare reports whether a store holds what it should, no more and no less.
func (want *content) compare(s *queue.Store) error {
	ctx := context.Background()
	got := make(map[string]string)
	for from := ""; ; {
		page, err := s.Scan(ctx, "r", from, "", 100)
		if err != nil {
			return err
		}
		for _, r := range page {
			got[r.Key] = string(r.Value)
			from = r.Key + "\x00"
		}
		if len(page) < 100 {
			break
		}
	}
	if !maps.Equal(got, want.records) {
		return fmt.Errorf("silent loss: %d records, want %d", len(got), len(want.records))
	}
	for _, key := range want.keys {
		seen, err := s.Seen(ctx, "q", key)
		if err != nil {
			return err
		}
		if !seen {
			return fmt.Errorf("silent loss: key %s has not been seen", key)
		}
	}
	var waiting []string
	for after := (*queue.Waiting)(nil); ; {
		page, err := s.Browse(ctx, "q", after, 100)
		if err != nil {
			return err
		}
		for i := range page {
			waiting = append(waiting, page[i].Item.Key)
			after = &page[i]
		}
		if len(page) < 100 {
			break
		}
	}
	if slices.Sort(waiting); !slices.Equal(waiting, want.waiting) {
		return fmt.Errorf("silent loss: %d items wait, want %d", len(waiting), len(want.waiting))
	}
	return nil
}

// copyFolder copies a store's folder as it is, open or not: what a crash of the
// process would leave.
func copyFolder(tb testing.TB, from string) string {
	tb.Helper()
	to := filepath.Join(memoryDir(tb), "copy")
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a compaction was quicker
		}
		if err != nil {
			return err
		}
		return writeSparse(filepath.Join(to, rel), b)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return to
}

// writeSparse writes a file with a hole for the zeros at its end.
func writeSparse(path string, b []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.TrimRight(b, "\x00"))
	return errors.Join(err, f.Truncate(int64(len(b))), f.Close())
}

// A damage changes a file, and can be undone. Where it returns nil the file goes.
type damage struct {
	kind  string
	apply func(content []byte, rng *rand.Rand) (damaged []byte, what string)
}

var damages = []damage{
	{kind: "flip", apply: func(b []byte, rng *rand.Rand) ([]byte, string) {
		at, bit := position(b, rng), rng.IntN(8)
		b[at] ^= 1 << bit
		return b, fmt.Sprintf("bit %d of byte %d", bit, at)
	}},
	{kind: "zero", apply: func(b []byte, rng *rand.Rand) ([]byte, string) {
		at := position(b, rng)
		n := min(512, len(b)-at)
		clear(b[at : at+n])
		return b, fmt.Sprintf("%d bytes from %d set to zero", n, at)
	}},
	{kind: "cut", apply: func(b []byte, rng *rand.Rand) ([]byte, string) {
		at := position(b, rng)
		return b[:at], fmt.Sprintf("cut from %d to %d bytes", len(b), at)
	}},
	{kind: "empty", apply: func(b []byte, rng *rand.Rand) ([]byte, string) {
		return []byte{}, fmt.Sprintf("cut from %d bytes to none", len(b))
	}},
	{kind: "remove", apply: func([]byte, *rand.Rand) ([]byte, string) { return nil, "removed" }},
}

// position chooses a byte of a file: anywhere in its data, or in one of its
// ends, where lengths and checksums are.
func position(b []byte, rng *rand.Rand) int {
	n := max(1, len(bytes.TrimRight(b, "\x00")))
	switch rng.IntN(4) {
	case 0:
		return rng.IntN(min(n, 64))
	case 1:
		return n - 1 - rng.IntN(min(n, 64))
	}
	return rng.IntN(n)
}

// harmless says for each kind of file why damage to it may go unnoticed.
var harmless = map[string]string{
	"PID":         "names the holder in messages only",
	"LOCK":        "is locked, never read",
	"NOTES":       "says which attempts a crash cut short; damage ends it early, and an attempt goes uncounted",
	"DISCARD":     "estimates how much of a log of values is garbage; a wrong figure collects it too early or too late",
	"KEYREGISTRY": "begins with 16 bytes of chance that only encryption would use, and is made anew if it is gone",
	"MANIFEST":    "without its last records it describes an older tree, which is used only if its tables are all there and the logs join on to it",
	".mem":        "bytes 8 to 20 are for encryption; after the last batch, and after a cut there, come zeros",
	".vlog":       "is made by Badger, and nothing is put into it",
}

// mustNotice are the kinds of files of which any change must be noticed.
var mustNotice = map[string]bool{".sst": true, "HIGH": true, "WEIR": true}

// mustBe are those whose absence must be noticed too. A log may be without
// batches, or with none that the tables do not have.
var mustBe = map[string]bool{".sst": true, "HIGH": true, "WEIR": true, "NOTES": true, "MANIFEST": true, ".vlog": true}

func kindOf(name string) string {
	if ext := filepath.Ext(name); ext != "" {
		return ext
	}
	return filepath.Base(name)
}

// TestDamage damages each file of a store in each way. The damage is reported
// with the file's name, by Open or by Check, or it does no harm; and once it is
// undone the folder is as before.
func TestDamage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		opts   *badgerqueue.Options
		items  int
		body   int
		closed bool
	}{
		{"crashed", small(), 4000, 400, false},
		{"closed", small(), 4000, 400, true},
		{"large values", &badgerqueue.Options{MemTable: 16 << 20, Queue: queue.Options{MinFree: -1}}, 7, 1100 << 10, false},
		{"large values, closed", &badgerqueue.Options{MemTable: 16 << 20, Queue: queue.Options{MinFree: -1}}, 7, 1100 << 10, true},
	} {
		if *damageCount == 1 && c.name != "crashed" && c.name != "large values, closed" {
			continue // the others have little of their own
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			s, err := badgerqueue.Open(dir, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			want := fillStore(t, s, c.items, c.body, rand.New(rand.NewPCG(1, 1)))
			if c.closed {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			image := settledImage(t, dir)
			if !c.closed {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			noticed := make(map[string][2]int)
			for _, name := range filesOf(t, image) {
				for _, d := range damages {
					for i := range *damageCount {
						if i > 0 && (d.kind == "empty" || d.kind == "remove") {
							break
						}
						seed := *damageSeed + uint64(i)
						ok := tryDamage(t, image, name, d, seed, c.opts, want)
						n := noticed[kindOf(name)]
						n[0]++
						if ok {
							n[1]++
						}
						noticed[kindOf(name)] = n
					}
				}
			}
			for kind, n := range noticed {
				t.Logf("%-12s damaged %3d times, noticed %3d times", kind, n[0], n[1])
			}
		})
	}
}

// settledImage copies the folder of a store when no table is being written: one
// that is copied before the manifest names it is no part of the store.
func settledImage(tb testing.TB, dir string) string {
	tb.Helper()
	for {
		image := copyFolder(tb, dir)
		tables, err := filepath.Glob(filepath.Join(image, "badger", "*.sst"))
		if err != nil {
			tb.Fatal(err)
		}
		logs, err := filepath.Glob(filepath.Join(image, "badger", "*.mem"))
		if err != nil {
			tb.Fatal(err)
		}
		f, err := os.Open(filepath.Join(image, "badger", badger.ManifestFilename))
		if err != nil {
			tb.Fatal(err)
		}
		manifest, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions(""))
		f.Close()
		if err == nil && len(manifest.Tables) == len(tables) && len(logs) <= 1 {
			return image
		}
	}
}

func filesOf(tb testing.TB, dir string) (names []string) {
	tb.Helper()
	seen := make(map[string]int)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if kind := kindOf(rel); seen[kind] < *damageCount { // a few of each kind
			seen[kind]++
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return names
}

// tryDamage reports whether the damage was noticed.
func tryDamage(t *testing.T, image, name string, d damage, seed uint64, opts *badgerqueue.Options, want *content) (noticed bool) {
	t.Helper()
	dir := copyFolder(t, image)
	defer os.RemoveAll(filepath.Dir(dir))
	path := filepath.Join(dir, name)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(sound) == 0 && d.kind != "remove" {
		return false
	}
	rng := rand.New(rand.NewPCG(seed, uint64(len(name))))
	damaged, what := d.apply(bytes.Clone(sound), rng)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s, %s: %s; run again with -run '%s' -damage-seed=%d", name, what, fmt.Sprintf(format, args...), t.Name(), seed)
	}
	if damaged != nil && bytes.Equal(damaged, sound) {
		return false
	}
	if damaged == nil {
		err = os.Remove(path)
	} else {
		err = writeSparse(path, damaged)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := sums(t, dir)
	opened, err := examine(dir, opts, want)
	kind := kindOf(name)
	switch {
	case err == nil && (damaged != nil && mustNotice[kind] || damaged == nil && mustBe[kind]):
		fail("nothing noticed")
	case err == nil && harmless[kind] == "":
		fail("no harm done, and nobody knows why")
	case err == nil:
		return false
	case !errors.Is(err, queue.ErrCorrupt):
		fail("error is not ErrCorrupt: %v", err)
	case !strings.Contains(err.Error(), filepath.Base(name)) && !strings.Contains(err.Error(), "*"+kind):
		fail("the error does not name the file: %v", err)
	}
	// A store that does not open is left as it was, and may be mended.
	if after := sums(t, dir); !opened && !maps.Equal(before, after) {
		fail("refused, and yet changed: it has %v, had %v", after, before)
	}
	if damaged != nil {
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, damaged) {
			fail("changed further, or gone: %v", err)
			return true
		}
	}
	if err := writeSparse(path, sound); err != nil {
		t.Fatal(err)
	}
	if _, err := examine(dir, opts, want); err != nil {
		fail("after it was undone: %v", err)
	}
	return true
}

// sums returns the checksums of a folder's files, but for the one that is locked.
func sums(tb testing.TB, dir string) map[string]uint32 {
	tb.Helper()
	sums := make(map[string]uint32)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "LOCK" {
			return err
		}
		b, err := os.ReadFile(path)
		sums[e.Name()] = crc32.ChecksumIEEE(b)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return sums
}

// examine opens a store, checks it and compares what it holds.
func examine(dir string, opts *badgerqueue.Options, want *content) (opened bool, err error) {
	s, err := badgerqueue.Open(dir, opts)
	if err != nil {
		return false, err
	}
	defer s.Close()
	if err := s.Check(context.Background()); err != nil {
		return true, err
	}
	return true, want.compare(s)
}

// A batch that was being written when the process died may be the first of its
// log. What is before it lies in tables, and the store is whole.
func TestTornFirstBatchOfALog(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	put := func(s *queue.Store, key string) {
		t.Helper()
		var tx queue.Tx
		tx.Put("t", key, []byte(key))
		if err := s.Commit(ctx, &tx); err != nil {
			t.Fatal(err)
		}
	}
	s, err := badgerqueue.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	put(s, "before")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = badgerqueue.Open(dir, small()); err != nil {
		t.Fatal(err)
	}
	water, err := os.ReadFile(filepath.Join(dir, "HIGH"))
	if err != nil {
		t.Fatal(err)
	}
	put(s, "during")
	image := copyFolder(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(image, "HIGH"), water, 0o644); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(image, "badger", "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %q, %v", logs, err)
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	written := len(bytes.TrimRight(b, "\x00"))
	clear(b[written-20:])
	if err := writeSparse(logs[0], b); err != nil {
		t.Fatal(err)
	}
	if s, err = badgerqueue.Open(image, small()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Get(ctx, "t", "before"); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(ctx, "t", "during"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("what was being written: %v", err)
	}
	if err := s.Check(ctx); err != nil {
		t.Error(err)
	}
}

// TestGapOfLogsNamesTheLog removes and empties each of several logs, which a
// crash leaves where tables are written more slowly than batches come.
func TestGapOfLogsNamesTheLog(t *testing.T) {
	dir := t.TempDir()
	s, err := badgerqueue.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	// The one log of the store, cut where it ended after each ten batches, is four.
	const header, logs = 20, 4
	var image string
	var ends []int
	var b []byte
	for i := range logs {
		for j := range 10 {
			var tx queue.Tx
			tx.Put("t", fmt.Sprint(10*i+j), []byte("value"))
			if err := s.Commit(t.Context(), &tx); err != nil {
				t.Fatal(err)
			}
		}
		image = copyFolder(t, dir)
		if b, err = os.ReadFile(filepath.Join(image, "badger", "00001.mem")); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(bytes.TrimRight(b, "\x00")))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := func(i int) string { return fmt.Sprintf("%05d.mem", i+1) }
	for i, end := range ends {
		log := b[:end]
		if i > 0 {
			log = append(bytes.Clone(b[:header]), b[ends[i-1]:end]...)
		}
		if err := writeSparse(filepath.Join(image, "badger", name(i)), log); err != nil {
			t.Fatal(err)
		}
	}
	empty := func(path string) error { return os.WriteFile(path, nil, 0o644) }
	for i := range logs {
		for kind, damage := range map[string]func(string) error{"removed": os.Remove, "emptied": empty} {
			copied := copyFolder(t, image)
			if err := damage(filepath.Join(copied, "badger", name(i))); err != nil {
				t.Fatal(err)
			}
			s, err := badgerqueue.Open(copied, small())
			if err == nil {
				s.Close()
			}
			// Of the first one nobody knows whether tables followed on it.
			if !errors.Is(err, queue.ErrCorrupt) || !strings.Contains(err.Error(), name(i)) && !(i == 0 && strings.Contains(err.Error(), "first logs (*.mem)")) {
				t.Errorf("%s, %s: %v", name(i), kind, err)
			} else if n := strings.Count(err.Error(), ".mem"); n > 3 {
				t.Errorf("%s, %s: so many suspects help nobody: %v", name(i), kind, err)
			}
		}
	}
	if s, err = badgerqueue.Open(image, small()); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Scan(t.Context(), "t", "", "", 1000)
	if err != nil || len(got) != 10*logs {
		t.Errorf("four sound logs hold %d records, %v", len(got), err)
	}
}
