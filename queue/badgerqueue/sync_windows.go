package badgerqueue

import (
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: Windows makes names durable with the file.
func syncDir(string) error { return nil }

// freeSpace returns how many bytes this user can still write where dir is.
func freeSpace(dir string) (int64, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return 0, &os.PathError{Op: "GetDiskFreeSpaceEx", Path: dir, Err: err}
	}
	return int64(min(free, math.MaxInt64)), nil
}

// links returns 1: Windows does not say how many names a file has.
func links(fs.FileInfo) uint64 { return 1 }

// keepOwner does nothing: files have the rights of their folder.
func keepOwner(string) error { return nil }
