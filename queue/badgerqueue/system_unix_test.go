//go:build !windows

package badgerqueue_test

import (
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// freeOnDisk returns how many bytes a test may still write: what is free on its
// disk, or what is left of its share.
func freeOnDisk(dir string) (int64, error) {
	if share := share(); share > 0 {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err == nil && unix.Lstat(path, &st) == nil {
				share -= int64(st.Blocks) * 512
			}
			return nil // files come and go
		})
		return share, err
	}
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return int64(st.Bavail) * int64(st.Bsize), err
}
