package badgerqueue_test

import (
	"io/fs"
	"path/filepath"
)

// freeOnDisk returns what is left of a test's share of the disk.
func freeOnDisk(dir string) (int64, error) {
	share := share()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil {
			if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
				share -= info.Size()
			}
		}
		return nil // files come and go
	})
	return share, err
}
