//go:build !windows

package badgerqueue

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// keepOwner gives the files of a store that root has open to the user whose store it is:
// the owner of the lock file, which is made once. Otherwise a service that runs as a user of
// its own could not open its store again after root has looked at it. It stays within
// the folder whatever its owner puts there meanwhile, and changes only plain files and
// folders that are root's.
func keepOwner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(lockFile)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	give := func(name string) (isDir bool, err error) {
		info, err := root.Lstat(name)
		if err != nil {
			return false, err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		plain := info.IsDir() || info.Mode().IsRegular() && st.Nlink == 1
		if !ok || !plain || st.Uid != 0 {
			return info.IsDir(), nil
		}
		return info.IsDir(), root.Lchown(name, int(owner.Uid), int(owner.Gid))
	}
	for name := range ours {
		isDir, err := give(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !isDir {
			continue
		}
		entries, err := fs.ReadDir(root.FS(), name)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if _, err := give(filepath.Join(name, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) { // a table that was just compacted
				return err
			}
		}
	}
	return nil
}
