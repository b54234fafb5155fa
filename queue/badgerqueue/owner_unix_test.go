//go:build !windows

package badgerqueue

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/seed-301537d8/weir/queue"
)

// Root looks at the store of a service that runs as a user of its own, also at one that was
// killed, and the service can go on with it. (Without root's rights the user is ourselves.)
func TestFilesKeepTheirOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	uid := os.Getuid()
	s, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	enqueue := func(s *queue.Store) {
		t.Helper()
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{Body: []byte("an item")})
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	enqueue(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	walk := func(do func(path string, info fs.FileInfo)) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil {
				do(path, info)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if uid == 0 {
		uid = 61234
		walk(func(path string, _ fs.FileInfo) {
			if err := os.Chown(path, uid, uid); err != nil {
				t.Fatal(err)
			}
		})
	}
	// What is not the store's is left alone, and what a link leads to as well.
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, badgerDir, "link")); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, nil); err != nil {
		t.Fatal(err)
	}
	enqueue(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files := 0
	walk(func(path string, info fs.FileInfo) {
		if info.Mode().Type()&fs.ModeSymlink != 0 {
			return
		}
		files++
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != uid {
			t.Errorf("%s is of user %d, want %d", path, got, uid)
		}
	})
	if files < 6 {
		t.Errorf("%d files and folders of a store", files)
	}
	info, err := os.Stat(outside)
	if err != nil {
		t.Fatal(err)
	}
	if got := int(info.Sys().(*syscall.Stat_t).Uid); got != os.Getuid() {
		t.Errorf("what a link in the folder leads to is of user %d", got)
	}
}
