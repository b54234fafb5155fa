package badgerqueue

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"

	"github.com/seed-301537d8/weir/queue/driver"
)

// What is in a store's folder.
const (
	formatFile = "WEIR"   // formatText and a version: says that this is a store
	lockFile   = "LOCK"   // locked by the process that has the store open
	pidFile    = "PID"    // that process's id, for messages
	waterFile  = "HIGH"   // the last batch known to be durable
	notesFile  = "NOTES"  // deliveries in progress
	badgerDir  = "badger" // everything else
)

const (
	formatText    = "weir queue store, format "
	formatVersion = 1
	newSuffix     = ".new" // of a file that is being replaced
)

// formatLine is the content of formatFile. Its end guards the version against
// damage.
func formatLine(version int) string {
	line := fmt.Sprintf("%s%d", formatText, version)
	return fmt.Sprintf("%s, checksum %08x\n", line, crc32.ChecksumIEEE([]byte(line)))
}

// folder is a store's folder, locked.
type folder struct {
	dir  string
	lock *flock.Flock
}

// lockFolder makes the folder if need be, locks it and checks what it is.
func lockFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := recognise(dir); err != nil {
		return nil, err
	}
	f := &folder{dir: dir, lock: flock.New(filepath.Join(dir, lockFile))}
	locked, err := f.lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !locked {
		return nil, fmt.Errorf("%w%s", driver.ErrLocked, holder(dir))
	}
	if err := f.settle(); err != nil {
		f.unlock()
		return nil, err
	}
	return f, nil
}

// recognise refuses a folder that holds something else, before anything is
// put into it.
func recognise(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if name := e.Name(); name != lockFile && name != pidFile && name != formatFile+newSuffix {
				return fmt.Errorf("%w: the folder is not empty and not a queue store (it holds %s); choose another", driver.ErrVersion, name)
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	line, _ := strings.CutPrefix(string(text), formatText)
	version, _, _ := strings.Cut(line, ",")
	n, err := strconv.Atoi(version)
	switch {
	case err != nil || n < 1 || string(text) != formatLine(n):
		return fmt.Errorf("%w: file %s does not say what it should", driver.ErrCorrupt, formatFile)
	case n > formatVersion:
		return fmt.Errorf("%w: format %d, this program knows %d; use a newer program", driver.ErrVersion, n, formatVersion)
	}
	return nil
}

// Exists reports whether a folder holds a store, without opening it. It is for
// those who want to look at a store and not to make one.
func Exists(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// holder names the process that has the folder open, if it can be known.
func holder(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, pidFile))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return ": pid " + pid
	}
	return ""
}

// settle marks the folder as a store, open by this process.
func (f *folder) settle() error {
	if err := os.WriteFile(filepath.Join(f.dir, pidFile), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return err
	}
	path := filepath.Join(f.dir, formatFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return replaceFile(path, []byte(formatLine(formatVersion)))
}

func (f *folder) unlock() error {
	err := os.Remove(filepath.Join(f.dir, pidFile))
	return errors.Join(err, f.lock.Unlock())
}

// replaceFile puts a file in place of another, whole or not at all, durably.
func replaceFile(path string, content []byte) error {
	tmp := path + newSuffix
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
