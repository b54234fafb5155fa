package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// fresh is after how many lives a store is left and another begun.
const fresh = 12

// when chooses how long a life lasts, and whether it may end while the store is
// being opened.
func (t *torture) when(limit time.Duration) (d time.Duration, early bool) {
	return time.Duration(t.rng.Int64N(int64(limit))), t.rng.IntN(4) == 0
}

// repeat runs lives and verifies the store after each, until the time is up.
func (t *torture) repeat(until time.Time, place func(n int) (*world, error), live func(w *world) error) (lives, settled int, err error) {
	var w *world
	for ; time.Now().Before(until) || lives == 0; lives++ {
		if lives%fresh == 0 {
			if w != nil {
				settled += len(w.settled)
			}
			if w, err = place(lives); err != nil {
				return lives, settled, err
			}
		}
		if err := live(w); err != nil {
			return lives, settled + len(w.settled), fmt.Errorf("life %d, in %s: %w", lives, w.dir, err)
		}
		if _, err := w.verify(w.dir); err != nil {
			return lives, settled + len(w.settled), fmt.Errorf("after life %d, in %s, which holds %s: %w", lives, w.dir, listing(w.dir), err)
		}
	}
	return lives, settled + len(w.settled), nil
}

func (t *torture) folder(n int) (*world, error) {
	if n >= fresh {
		os.RemoveAll(filepath.Join(t.dir, fmt.Sprint(n-fresh)))
	}
	return newWorld(filepath.Join(t.dir, fmt.Sprint(n))), nil
}

func killed(t *torture, until time.Time) (string, error) {
	lives, settled, err := t.repeat(until, t.folder, func(w *world) error {
		d, early := t.when(800 * time.Millisecond)
		return w.lifeFor(d, early, program(), nil)
	})
	return fmt.Sprintf("%d kills, %d items settled", lives, settled), err
}

// history runs long lives in which only sessions end.
func history(t *torture, until time.Time) (string, error) {
	lives, settled, err := t.repeat(until, t.folder, func(w *world) error {
		return w.lifeFor(min(max(time.Second, time.Until(until)/2), time.Minute), false, program(), nil)
	})
	return fmt.Sprintf("%d lives, %d items settled", lives, settled), err
}

// crashed returns a store whose process has died, with tables and logs.
func (t *torture) crashed() (*world, error) {
	w := newWorld(filepath.Join(t.dir, "image"))
	for range 2 {
		if err := w.lifeFor(400*time.Millisecond, false, program(), nil); err != nil {
			return nil, err
		}
		if _, err := w.verify(w.dir); err != nil {
			return nil, err
		}
	}
	return w, w.lifeFor(400*time.Millisecond, false, program(), nil)
}

// damaged changes one file of a copy at a time. It is noticed, by an error that
// names the file, or all that was promised still holds; and a store that does
// not open is as it was.
func (t *torture) damaged(until time.Time, change func(path string) (what string, err error)) (string, error) {
	w, err := t.crashed()
	if err != nil {
		return "", err
	}
	tries, noticed := 0, 0
	for time.Now().Before(until) || tries == 0 {
		dir := filepath.Join(t.dir, "copy")
		if err := copyFolder(dir, w.dir); err != nil {
			return "", err
		}
		paths, err := filesOf(dir)
		if err != nil {
			return "", err
		}
		held := listing(dir)
		path := paths[t.rng.IntN(len(paths))]
		what, err := change(path)
		if err != nil {
			return "", err
		}
		before, err := contents(dir)
		if err != nil {
			return "", err
		}
		tries++
		opened, err := w.verify(dir)
		if err == nil {
			continue
		}
		noticed++
		wrong := ""
		if name := filepath.Base(path); !errors.Is(err, queue.ErrCorrupt) {
			wrong = "the error is not ErrCorrupt"
		} else if !strings.Contains(err.Error(), name) && !strings.Contains(err.Error(), "*"+filepath.Ext(name)) {
			wrong = "the error does not name it"
		} else if after, failed := contents(dir); !opened && (failed != nil || !sameFiles(before, after)) {
			wrong = fmt.Sprintf("refused, and yet the folder was changed: it holds %s, %v", listing(dir), failed)
		}
		if wrong != "" {
			return fmt.Sprintf("%d tries", tries), fmt.Errorf("%s, %s, of %s: %s: %w", path, what, held, wrong, err)
		}
	}
	return fmt.Sprintf("%d files changed, %d noticed, the others without effect", tries, noticed), nil
}

// listing returns the names in a folder with the sizes of the files, for messages.
func listing(dir string) string {
	var files []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		files = append(files, fmt.Sprintf("%s (%d)", strings.TrimPrefix(path, dir+"/"), info.Size()))
		return nil
	})
	if err != nil {
		files = append(files, err.Error())
	}
	return strings.Join(files, ", ")
}

func flipped(t *torture, until time.Time) (string, error) {
	return t.damaged(until, func(path string) (string, error) {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		used := len(bytes.TrimRight(b, "\x00"))
		if used == 0 {
			return "empty", nil
		}
		at, bit := t.rng.IntN(used), t.rng.IntN(8)
		b[at] ^= 1 << bit
		return fmt.Sprintf("bit %d of byte %d", bit, at), writeSparse(path, b)
	})
}

func missing(t *torture, until time.Time) (string, error) {
	return t.damaged(until, func(path string) (string, error) { return "removed", os.Remove(path) })
}

func filesOf(dir string) (paths []string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "LOCK" && e.Name() != "PID" {
			paths = append(paths, path)
		}
		return err
	})
	return paths, err
}

func contents(dir string) (map[string][]byte, error) {
	paths, err := filesOf(dir)
	if err != nil {
		return nil, err
	}
	m := make(map[string][]byte)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m[path] = bytes.TrimRight(b, "\x00")
	}
	return m, nil
}

func sameFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for path, content := range a {
		if other, ok := b[path]; !ok || !bytes.Equal(content, other) {
			return false
		}
	}
	return true
}

func copyFolder(to, from string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if e.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return writeSparse(target, b)
	})
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

// clockStepped runs lives in which the wall clock is set back again and again,
// and wants each to settle items after a step.
func clockStepped(t *torture, until time.Time) (string, error) {
	stepping, err := buildStepping(t.dir)
	if err != nil {
		return "", err
	}
	lives, settled, err := t.repeat(until, t.folder, func(w *world) error {
		l, err := w.start(stepping, "-step")
		if err != nil {
			return err
		}
		return l.killAfter(l.stepped, 2*time.Second, nil)
	})
	return fmt.Sprintf("%d lives with a step each 100 ms, %d items settled", lives, settled), err
}

// buildStepping builds this program with a package time whose wall clock can be
// set back, which the Go command allows by an overlay. The monotonic clock stays.
func buildStepping(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOROOT: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	b, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if bytes.Count(b, []byte(now)) != 1 {
		return "", fmt.Errorf("%s is not as this program knows it; teach it this version of Go", source)
	}
	b = bytes.Replace(b, []byte(now), []byte("var WallStep int64\n\n"+now+"\tsec += WallStep\n"), 1)
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(changed, b, 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, fmt.Appendf(nil, `{"Replace": {%q: %q}}`, source, changed), 0o644); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "stepping")
	cmd := exec.Command("go", "build", "-tags", "clockstep", "-overlay", overlay, "-o", binary, "github.com/seed-301537d8/weir/internal/torture")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("within Weir's module: %v: %w: %s", cmd, err, out)
	}
	return binary, nil
}
