//go:build !windows

package badgerqueue_test

import (
	"io/fs"
	"path/filepath"
	"time"

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

// cpuTime returns the processor time that this process has used.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
