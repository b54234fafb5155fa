package queuetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CopyLive copies a folder that a store has open to a new one, as the death of
// the process at one moment would leave it, and returns the new one. It copies
// again until no file has come or gone meanwhile, and no small one has changed;
// the caller sees to it that nothing is being committed.
func CopyLive(tb testing.TB, from string) string {
	tb.Helper()
	for range 1000 {
		to := filepath.Join(tb.TempDir(), "copy")
		before, err := inventory(from)
		if err == nil {
			err = os.CopyFS(to, os.DirFS(from))
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
