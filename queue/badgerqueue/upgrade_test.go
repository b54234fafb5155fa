package badgerqueue_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// format1 returns a store that a program of format 1 has written and not closed.
// Items 0, 5, 10 and 15 and records 4, 9 and 14 lie in three logs of values.
func format1(tb testing.TB) string {
	tb.Helper()
	f, err := os.Open("testdata/format1.tar.gz")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	dir := memoryDir(tb)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return filepath.Join(dir, "format1")
		}
		if err != nil {
			tb.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else if b, failed := io.ReadAll(r); failed != nil {
			err = failed
		} else {
			err = writeSparse(path, b)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func format1Options() *badgerqueue.Options {
	return &badgerqueue.Options{MemTable: 16 << 20, Queue: queue.Options{MinFree: -1}}
}

// openFormat1 opens the store and compares all of its content.
func openFormat1(tb testing.TB, dir string) error {
	tb.Helper()
	s, err := badgerqueue.Open(dir, format1Options())
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Check(tb.Context()); err != nil {
		return err
	}
	waiting, err := s.Browse(tb.Context(), "q", nil, 100)
	if err != nil {
		return err
	}
	if len(waiting) != 18 {
		return fmt.Errorf("%d items wait, want 18", len(waiting))
	}
	for i, w := range waiting {
		n := 100
		if i%5 == 0 {
			n = 1060 << 10
		}
		if !bytes.Equal(w.Item.Body, bytes.Repeat(fmt.Appendf(nil, "item %02d.", i), n/8)) {
			return fmt.Errorf("item %d has the wrong body", i)
		}
		value, err := s.Get(tb.Context(), "t", fmt.Sprintf("%02d", i))
		if err != nil {
			return err
		}
		if !bytes.Equal(value, bytes.Repeat(fmt.Appendf(nil, "record %02d.", i), 10+i%5/4*(105<<10))) {
			return fmt.Errorf("record %d is wrong", i)
		}
	}
	return s.Close()
}

func TestUpgradeFromFormat1(t *testing.T) {
	dir := format1(t)
	for range 2 {
		if err := openFormat1(t, dir); err != nil {
			t.Fatal(err)
		}
	}
	logs, err := filepath.Glob(filepath.Join(dir, "badger", "*.vlog"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range logs { // nothing is left in them
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := openFormat1(t, dir); err != nil {
		t.Error(err)
	}
}

// A log of values that is damaged is noticed, and the store is left as it was.
func TestUpgradeRefusesDamage(t *testing.T) {
	t.Parallel()
	for _, number := range []int{1, 3} {
		for what, damage := range map[string]func(path string) error{
			"missing": os.Remove,
			"cut":     func(path string) error { return os.Truncate(path, 1<<20) },
			"flipped": func(path string) error {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				b[1000] ^= 4
				return writeSparse(path, b)
			},
		} {
			t.Run(fmt.Sprint(what, " ", number), func(t *testing.T) {
				dir := format1(t)
				path := filepath.Join(dir, "badger", fmt.Sprintf("%06d.vlog", number))
				sound, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := damage(path); err != nil {
					t.Fatal(err)
				}
				before := sums(t, dir)
				if err := openFormat1(t, dir); !errors.Is(err, queue.ErrCorrupt) || !strings.Contains(err.Error(), ".vlog") {
					t.Errorf("open returned %v, want ErrCorrupt with *.vlog", err)
				}
				if after := sums(t, dir); !maps.Equal(before, after) {
					t.Errorf("the folder was changed: it has %v, had %v", after, before)
				}
				if err := writeSparse(path, sound); err != nil {
					t.Fatal(err)
				}
				if err := openFormat1(t, dir); err != nil {
					t.Errorf("after it was mended: %v", err)
				}
			})
		}
	}
}

// An upgrade may be cut short at any step, and format 1 may have been while it
// looked at the newest log of values.
func TestUpgradeCutShort(t *testing.T) {
	t.Parallel()
	swapping := func(t *testing.T, dir string) {
		t.Helper()
		line := "weir queue store, format 2, swapping"
		if err := os.WriteFile(filepath.Join(dir, "WEIR"), fmt.Appendf(nil, "%s, checksum %08x\n", line, checksum(line)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	format1Again := func(t *testing.T, badger, old string) {
		t.Helper()
		dir := filepath.Dir(badger)
		must(t, os.RemoveAll(dir))
		must(t, os.CopyFS(dir, os.DirFS(filepath.Dir(old))))
	}
	for name, leave := range map[string]func(t *testing.T, badger, old string){
		"the copy in part": func(t *testing.T, badger, old string) {
			format1Again(t, badger, old)
			must(t, os.Mkdir(badger+".new", 0o755))
			must(t, os.WriteFile(filepath.Join(badger+".new", "MANIFEST"), []byte("Bd"), 0o644))
		},
		"before the first name": func(t *testing.T, badger, old string) {
			must(t, os.Rename(badger, badger+".new"))
			must(t, os.CopyFS(badger, os.DirFS(old)))
			swapping(t, filepath.Dir(badger))
		},
		"between the names": func(t *testing.T, badger, old string) {
			must(t, os.Rename(badger, badger+".new"))
			must(t, os.CopyFS(badger+".old", os.DirFS(old)))
			swapping(t, filepath.Dir(badger))
		},
		"after both names": func(t *testing.T, badger, old string) {
			must(t, os.CopyFS(badger+".old", os.DirFS(old)))
			swapping(t, filepath.Dir(badger))
		},
		"format 1 with a log put aside and cut": func(t *testing.T, badger, old string) {
			format1Again(t, badger, old)
			newest := filepath.Join(badger, "000003.vlog")
			must(t, os.Rename(newest, newest+".aside"))
			must(t, os.WriteFile(newest, make([]byte, 20), 0o644))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, old := format1(t), filepath.Join(format1(t), "badger")
			must(t, openFormat1(t, dir))
			leave(t, filepath.Join(dir, "badger"), old)
			must(t, openFormat1(t, dir))
			for _, left := range []string{"badger.new", "badger.old"} {
				if _, err := os.Stat(filepath.Join(dir, left)); err == nil {
					t.Errorf("%s is left", left)
				}
			}
		})
	}
}
