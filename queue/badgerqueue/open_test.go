package badgerqueue_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

func checksum(line string) uint32 { return crc32.ChecksumIEEE([]byte(line)) }

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// holdOpen keeps a store open until it is killed.
func holdOpen(dir string, w io.Writer) error {
	if _, err := badgerqueue.Open(dir, small()); err != nil {
		return err
	}
	fmt.Fprintln(w, "open")
	select {}
}

func TestSecondProcessIsToldWhoHoldsTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c := startChild(t, "hold", dir, w)
	w.Close()
	bufio.NewReader(r).ReadString('\n')
	_, err = badgerqueue.Open(dir, small())
	if pid := fmt.Sprint(c.Process.Pid); !errors.Is(err, queue.ErrLocked) || !strings.Contains(err.Error(), pid) {
		t.Errorf("open returned %v, want ErrLocked with pid %s", err, pid)
	}
	c.Process.Kill()
	c.Wait()
	s, err := badgerqueue.Open(dir, small())
	if err != nil {
		t.Fatalf("after the holder's death: %v", err)
	}
	if _, err := badgerqueue.Open(dir, small()); !errors.Is(err, queue.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second open of one process returned %v, want ErrLocked with pid %d", err, os.Getpid())
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// folderContent returns a folder's files with what is in them.
func folderContent(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	files := make(map[string]string)
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		files[path] = info.Mode().String()
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			files[path] += string(b)
			return err
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

func TestOpenRefusesWhatIsNotAStore(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, dir, name string) {
		t.Helper()
		target := filepath.Join(t.TempDir(), "target")
		write(t, target, "text")
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		make  func(t *testing.T, dir string)
		want  error
		names string
	}{
		{"foreign folder", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "thesis.txt"), "ten years of work")
		}, queue.ErrVersion, "thesis.txt"},
		{"foreign Badger folder", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "MANIFEST"), "Bdgr")
		}, queue.ErrVersion, "MANIFEST"},
		{"newer format", func(t *testing.T, dir string) {
			line := "weir queue store, format 3"
			write(t, filepath.Join(dir, "WEIR"), fmt.Sprintf("%s, checksum %08x\n", line, checksum(line)))
		}, queue.ErrVersion, "newer program"},
		{"lost format", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "HIGH"), "")
		}, queue.ErrCorrupt, "WEIR"},
		{"a link for a file", func(t *testing.T, dir string) {
			for _, name := range []string{"PID", "WEIR.new", "NOTES", "HIGH"} {
				link(t, dir, name)
			}
		}, queue.ErrVersion, "a link"},
		{"a link for the folder of Badger", func(t *testing.T, dir string) {
			link(t, dir, "badger")
		}, queue.ErrVersion, "badger"},
		{"a second name of another's file", func(t *testing.T, dir string) {
			other := filepath.Join(t.TempDir(), "other")
			write(t, other, "text")
			if err := os.Link(other, filepath.Join(dir, "PID")); err != nil {
				t.Fatal(err)
			}
		}, queue.ErrVersion, "PID"},
		{"damaged format", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "WEIR"), "weir queue store, format 2, complete, checksum 00000000\n")
		}, queue.ErrCorrupt, "WEIR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			before := folderContent(t, dir)
			_, err := badgerqueue.Open(dir, small())
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.names) || !strings.Contains(err.Error(), dir) {
				t.Errorf("open returned %v, want %v with %q and the folder", err, c.want, c.names)
			}
			if after := folderContent(t, dir); !maps.Equal(before, after) {
				t.Errorf("the folder was changed: it has %q, had %q", slices.Sorted(maps.Keys(after)), slices.Sorted(maps.Keys(before)))
			}
		})
	}
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, "text")
		if _, err := badgerqueue.Open(path, small()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("open returned %v, want an error that names %s", err, path)
		}
	})
	t.Run("unwritable folder", func(t *testing.T) {
		dir := unwritable(t)
		_, err := badgerqueue.Open(dir, small())
		if err == nil || errors.Is(err, queue.ErrCorrupt) || !strings.Contains(err.Error(), dir) {
			t.Errorf("open returned %v, want an error of the system that names %s", err, dir)
		}
	})
	t.Run("a crash of the first open", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "PID"), "1\n")
		write(t, filepath.Join(dir, "WEIR.new"), "weir que")
		s, err := badgerqueue.Open(dir, small())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// unwritable returns a folder in which this user can write nothing. A path
// below a device is one even for root.
func unwritable(tb testing.TB) string {
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		tb.Fatal(err)
	}
	if f, err := os.Create(filepath.Join(dir, "probe")); err == nil {
		f.Close()
		return filepath.Join(os.DevNull, "store")
	}
	return dir
}

// There is a log of values at any moment, though nothing is in it: its loss tells of
// deleted files. A crash in the midst of an Open does not look like one.
func TestLossOfTheLogOfValuesIsNoticed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	for range 3 {
		s, err := badgerqueue.Open(dir, small())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		logs, err := filepath.Glob(filepath.Join(dir, "badger", "*.vlog"))
		if err != nil || len(logs) == 0 || len(logs) > 2 || filepath.Base(logs[0]) != "000001.vlog" {
			t.Fatalf("logs of values are %q, %v; want the first, and one more at most", logs, err)
		}
		for _, path := range logs[1:] { // as a crash may leave it
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Remove(filepath.Join(dir, "badger", "000001.vlog")); err != nil {
		t.Fatal(err)
	}
	if _, err := badgerqueue.Open(dir, small()); !errors.Is(err, queue.ErrCorrupt) || !strings.Contains(err.Error(), "*.vlog") {
		t.Errorf("open returned %v, want ErrCorrupt with *.vlog", err)
	}
}
