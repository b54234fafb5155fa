package queuetest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CopyLive copies a folder that a store has open to a new one within another, as the
// death of the process at one moment would leave it, and returns the new one. It copies
// again until no file has come or gone meanwhile, and no small one has changed;
// the caller sees to it that nothing is being committed.
func CopyLive(tb testing.TB, from, within string) string {
	tb.Helper()
	for i := range 1000 {
		to := filepath.Join(within, fmt.Sprint("copy", i))
		before, err := inventory(from)
		if err == nil {
			err = copyFolder(to, from)
		}
		if err == nil {
			var after string
			if after, err = inventory(from); err == nil && after == before {
				return to
			}
		}
		if err != nil && !os.IsNotExist(err) {
			tb.Fatal(err)
		}
	}
	tb.Fatalf("%s never stood still long enough to be copied", from)
	return ""
}

// copyFolder copies a folder. Zeros become holes: logs begin as large files of them.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if e.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		return copySparse(target, path)
	})
}

var zeros = make([]byte, 256<<10)

func copySparse(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	buf := make([]byte, len(zeros))
	for at := int64(0); ; {
		n, err := io.ReadFull(src, buf)
		if b := buf[:n]; !bytes.Equal(b, zeros[:n]) {
			if _, err := dst.WriteAt(b, at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return dst.Truncate(at)
		}
		if err != nil {
			return err
		}
	}
}

// inventory lists the files of a folder, with the content of the small ones.
func inventory(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %d\n", path, info.Size())
		if info.Size() < 1<<10 {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%x\n", content)
		}
		return nil
	})
	return b.String(), err
}
