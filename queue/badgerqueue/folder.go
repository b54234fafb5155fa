package badgerqueue

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
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
	formatFile = "WEIR"   // that this is a store, and which files it must have
	lockFile   = "LOCK"   // locked by the process that has the store open
	pidFile    = "PID"    // that process's id, for messages
	waterFile  = "HIGH"   // the last batch known to be durable
	notesFile  = "NOTES"  // deliveries in progress
	badgerDir  = "badger" // everything else
)

const (
	newSuffix = ".new" // of what is being made to replace a file or a folder
	oldSuffix = ".old" // of what has been replaced
)

// A format is what formatFile says: the version of what is stored, and the
// state of the folder, from which follows which files must be there.
//
// Of a complete store these are HIGH, NOTES and Badger's manifest; from them
// follow the tables, which the manifest names, and the logs, whose batches lead
// from the tables to the number in HIGH.
type format struct {
	version int
	state   string
}

const (
	formatOfLogs  = 1 // large values in Badger's logs of values; has no states
	formatVersion = 2

	stateNew      = "new"      // being made: nobody has committed anything to it
	stateSwapping = "swapping" // badger.new is to replace badger: see upgrade
	stateComplete = "complete"
)

const formatText = "weir queue store, format "

// String returns the content of formatFile. Its end guards it against damage.
func (f format) String() string {
	line := formatText + strconv.Itoa(f.version)
	if f.state != "" {
		line += ", " + f.state
	}
	return fmt.Sprintf("%s, checksum %08x\n", line, crc32.ChecksumIEEE([]byte(line)))
}

func parseFormat(text string) (format, error) {
	line, sum, _ := strings.Cut(text, ", checksum ")
	rest, ok := strings.CutPrefix(line, formatText)
	version, state, _ := strings.Cut(rest, ", ")
	n, err := strconv.Atoi(version)
	switch {
	case !ok || err != nil || n < 1 || sum != fmt.Sprintf("%08x\n", crc32.ChecksumIEEE([]byte(line))):
		return format{}, fmt.Errorf("%w: file %s does not say what it should", driver.ErrCorrupt, formatFile)
	}
	f := format{n, state}
	switch f {
	case format{formatOfLogs, ""}, format{formatVersion, stateNew}, format{formatVersion, stateSwapping}, format{formatVersion, stateComplete}:
		return f, nil
	}
	return format{}, fmt.Errorf("%w: format %s, this program knows %d; use a newer program", driver.ErrVersion, rest, formatVersion)
}

// folder is a store's folder, locked.
type folder struct {
	dir     string
	lock    *flock.Flock
	format  format // stateNew if there was none
	pid     []byte // what pidFile held before
	named   bool   // pidFile has been written, or begun
	refused bool   // the folder is left as it was found
}

// lockFolder makes the folder if need be, locks it and finds out what it is.
func lockFolder(dir string) (*folder, error) {
	if err := makeFolder(dir, syncDir); err != nil {
		return nil, err
	}
	if _, err := recognise(dir); err != nil {
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
	f.pid, _ = os.ReadFile(filepath.Join(dir, pidFile))
	if f.format, err = recognise(dir); err == nil { // its last owner may have written since
		err = f.writePID([]byte(strconv.Itoa(os.Getpid()) + "\n"))
	}
	if err == nil && f.format.state == stateNew {
		err = f.setFormat(f.format)
	}
	if err != nil {
		f.refused = true
		return nil, errors.Join(err, f.leave())
	}
	return f, nil
}

func errNoFolder(path string) error {
	return &fs.PathError{Op: "open", Path: path, Err: errors.New("not a folder")}
}

// makeFolder makes a folder and those above it, and makes the name of each
// durable, also of one that was there: who made it may not have done so.
func makeFolder(dir string, syncDir func(string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return errNoFolder(dir)
	}
	if err == nil || parent == dir {
		if err := syncDir(parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(parent, syncDir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// ours are the names in a store's folder, and which of them are folders.
var ours = map[string]bool{
	formatFile: false, formatFile + newSuffix: false,
	lockFile:  false,
	pidFile:   false,
	waterFile: false,
	notesFile: false, notesFile + newSuffix: false,
	badgerDir: true, badgerDir + newSuffix: true, badgerDir + oldSuffix: true,
}

// recognise refuses a folder that holds something else, before anything is
// put into it.
func recognise(dir string) (format, error) {
	if err := refuseLinks(dir); err != nil {
		return format{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	if err == nil {
		return parseFormat(string(text))
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return format{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return format{}, err
	}
	for _, e := range entries {
		switch name := strings.TrimSuffix(e.Name(), newSuffix); name {
		case lockFile, pidFile, formatFile: // of an Open that did not get far
		case waterFile, badgerDir:
			return format{}, fmt.Errorf("%w: file %s is missing: the folder holds %s", driver.ErrCorrupt, formatFile, e.Name())
		default:
			return format{}, fmt.Errorf("%w: the folder is not empty and not a queue store (it holds %s); choose another", driver.ErrVersion, e.Name())
		}
	}
	return format{formatVersion, stateNew}, nil
}

// refuseLinks refuses a folder in which somebody has put a link, or a device or
// what else, where the store has a file: writing to it would change what lies
// elsewhere.
func refuseLinks(dir string) error {
	for name, isDir := range ours {
		info, err := os.Lstat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if mode := info.Mode(); isDir && !mode.IsDir() || !isDir && !mode.IsRegular() || !isDir && links(info) > 1 {
			return fmt.Errorf("%w: %s is a link or no plain file, which a store would not have made; choose another folder", driver.ErrVersion, filepath.Join(dir, name))
		}
	}
	return nil
}

// Exists reports whether a folder holds a store, without opening it. It is for
// those who want to look at a store and not to make one. What is no folder is an
// error.
func Exists(dir string) (bool, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return false, errNoFolder(dir)
	}
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

// complete is called when all files are there.
func (f *folder) complete() error {
	if f.format.state == stateComplete {
		return nil
	}
	return f.setFormat(format{formatVersion, stateComplete})
}

func (f *folder) setFormat(to format) error {
	f.format = to
	return replaceFile(filepath.Join(f.dir, formatFile), []byte(to.String()))
}

func (f *folder) leave() error {
	if !f.named {
		return f.lock.Unlock()
	}
	if f.refused && f.pid != nil {
		return errors.Join(f.writePID(f.pid), f.lock.Unlock())
	}
	err := os.Remove(filepath.Join(f.dir, pidFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, f.lock.Unlock())
}

// writePID writes pidFile anew, never through a link.
func (f *folder) writePID(content []byte) error {
	path := filepath.Join(f.dir, pidFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("a store is written to by whoever opens it: %w", err)
	}
	f.named = true
	return writeNewFile(path, bytes.NewReader(content))
}

// replaceFile puts a file in place of another, whole or not at all, durably.
// It follows no link that somebody has put there.
func replaceFile(path string, content []byte) error {
	tmp := path + newSuffix
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNewFile(tmp, bytes.NewReader(content)); err != nil {
		return err
	}
	if err := syncFile(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// writeNewFile makes a file that was not there.
func writeNewFile(path string, content io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// syncFile makes what has been written to a file durable, by whomever.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
