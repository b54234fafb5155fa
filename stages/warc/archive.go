package warc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrShort is returned when a file of an archive ends before the position that
// the archive was to be continued at: bytes are missing that were once synced.
var ErrShort = errors.New("file of the archive is too short")

const (
	defaultPrefix  = "weir"
	defaultMaxSize = 1 << 30
	suffix         = ".warc.gz"
)

// Archive writes records to a folder of files, so that what the files hold can
// be made to agree with a position that is stored elsewhere, in a transaction.
//
// The files are named after the prefix, the time of creation in UTC and a
// number: weir-20250131235959-00001.warc.gz. Files with such names and the
// prefix of the archive belong to it: see [Archive.Write] for what that means.
// So no two archives may have the same folder and prefix.
//
// An Archive is not safe for concurrent use, by other processes neither.
type Archive struct {
	// Dir is the folder. It is made if need be. As the files in it, it is for its
	// user alone, since pages may be private.
	Dir string
	// Prefix is what file names begin with. Default "weir".
	Prefix string
	// MaxSize is the size of a file, in bytes, at which a new one is begun;
	// pieces are never split, so a file ends up somewhat larger. Default 1 GiB.
	MaxSize int64
	// Info is the body of the warcinfo record that each file begins with:
	// "software", "format", "http-header-user-agent", "robots" and what else
	// section 6.2 names.
	Info []Field

	// settled is what the last Write returned, if it succeeded: there is
	// nothing behind it that would have to be cleared away. begun are the files that it
	// has made.
	settled Position
	begun   []string

	pending []byte // of a writer; kept for the next one

	sync func(*os.File) error // for tests; nil means (*os.File).Sync
}

// Position is where the next record goes. The zero Position is that of an
// archive without files.
type Position struct {
	File   string `json:"file"`   // name in the folder
	Number int    `json:"number"` // of the file, from 1
	Offset int64  `json:"offset"` // bytes
}

// Location is where a record lies.
type Location struct {
	File   string `json:"file"`   // name in the folder
	Offset int64  `json:"offset"` // bytes
	Length int64  `json:"length"` // of all the bytes given for it
}

// Write makes the archive end at that position, appends the pieces, which are
// gzip members, and syncs. It returns where the next piece will go and where
// each of these lies.
//
// The caller stores next together with whatever says that the pieces were
// written, and gives it to the next Write. Called again with the same position
// instead, after a crash or a failure, Write cuts off what had been written
// behind it, removes the files that its last call had begun, puts those aside that another
// process had begun after it, under names that end in .orphan, and writes anew.
// So each piece is in the archive exactly once, once its position is stored.
//
// A file that has reached MaxSize is followed by a new one. So is a file that
// is not there any more: finished or not, it may be moved away. A file that
// is shorter than the position says is an error that wraps [ErrShort].
//
// On an error Write returns at itself and no locations; files that it made are
// removed, and whatever was written to another is cut off by the next call.
func (a *Archive) Write(at Position, pieces [][]byte) (next Position, places []Location, err error) {
	w := writer{archive: a, pos: at}
	err = w.open()
	for _, piece := range pieces {
		if err != nil {
			break
		}
		var place Location
		if place, err = w.append(piece); err == nil {
			places = append(places, place)
		}
	}
	if err = errors.Join(err, w.finish(err == nil)); err != nil {
		err = errors.Join(err, w.undo())
		a.settled, a.begun = Position{}, nil
		return at, nil, fmt.Errorf("warc: write to archive %s: %w", a.Dir, err)
	}
	a.settled, a.begun = w.pos, w.begun
	return w.pos, places, nil
}

// Check returns an error that wraps [ErrShort] if the archive cannot be continued at a
// position because bytes are missing. It changes nothing.
func (a *Archive) Check(at Position) error {
	info, err := os.Stat(a.path(at.File))
	if at.File == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = longEnough(info, at.Offset)
	}
	if err != nil {
		return fmt.Errorf("warc: archive %s: %w", a.Dir, err)
	}
	return nil
}

func longEnough(info fs.FileInfo, offset int64) error {
	if info.Size() < offset {
		return fmt.Errorf("%s has %d bytes where %d were written: %w", info.Name(), info.Size(), offset, ErrShort)
	}
	return nil
}

func (a *Archive) prefix() string {
	if a.Prefix == "" {
		return defaultPrefix
	}
	return a.Prefix
}

func (a *Archive) path(name string) string { return filepath.Join(a.Dir, name) }

func (a *Archive) maxSize() int64 {
	if a.MaxSize <= 0 {
		return defaultMaxSize
	}
	return a.MaxSize
}

// writer is one call of Write.
type writer struct {
	archive *Archive
	pos     Position
	file    *os.File // that pos names; nil if it is not there
	renamed bool     // names in the folder have changed
	begun   []string // files that were made
}

// open makes the archive end at w.pos.
func (w *writer) open() error {
	a := w.archive
	if p := a.prefix(); strings.ContainsAny(p, `/\:`) {
		return fmt.Errorf("prefix %q is not part of a file name", p)
	}
	if err := a.makeDir(a.Dir); err != nil {
		return err
	}
	if w.pos != a.settled || w.pos == (Position{}) {
		if err := w.putAside(w.pos.Number); err != nil {
			return err
		}
	}
	if w.pos.File == "" {
		return nil
	}
	if filepath.Base(w.pos.File) != w.pos.File || w.pos.Offset < 0 {
		return fmt.Errorf("%+v is not a position", w.pos)
	}
	f, err := os.OpenFile(a.path(w.pos.File), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w.file = f
	return cutAt(f, w.pos.Offset)
}

// cutAt makes f end at offset, and the next write to f go there.
func cutAt(f *os.File, offset int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := longEnough(info, offset); err != nil {
		return err
	}
	if info.Size() > offset {
		if err := f.Truncate(offset); err != nil {
			return err
		}
	}
	_, err = f.Seek(offset, 0)
	return err
}

// append writes one piece, to a new file if the present one is full.
func (w *writer) append(piece []byte) (Location, error) {
	if w.file == nil || w.pos.Offset >= w.archive.maxSize() {
		if err := w.begin(); err != nil {
			return Location{}, err
		}
	}
	place := Location{w.pos.File, w.pos.Offset, int64(len(piece))}
	w.pos.Offset += place.Length
	return place, w.put(piece)
}

// writeAtOnce is how much is gathered before it is given to the system, in bytes.
const writeAtOnce = 256 << 10

// put has b written by the next flush, or before.
func (w *writer) put(b []byte) error {
	a := w.archive
	if len(a.pending)+len(b) > writeAtOnce {
		if err := w.flush(); err != nil {
			return err
		}
		if len(b) > writeAtOnce {
			_, err := w.file.Write(b)
			return err
		}
	}
	if a.pending == nil {
		a.pending = make([]byte, 0, writeAtOnce)
	}
	a.pending = append(a.pending, b...)
	return nil
}

func (w *writer) flush() error {
	b := w.archive.pending
	w.archive.pending = b[:0]
	if len(b) == 0 {
		return nil
	}
	_, err := w.file.Write(b)
	return err
}

// begin closes the present file and makes the next one.
func (w *writer) begin() error {
	if err := w.close(true); err != nil {
		return err
	}
	a, number, now := w.archive, w.pos.Number+1, time.Now().UTC()
	name := fmt.Sprintf("%s-%s-%05d%s", a.prefix(), now.Format("20060102150405"), number, suffix)
	info, err := a.infoRecord(name, now)
	if err != nil {
		return err
	}
	// Files of this number were put aside by open, so one that is there now is
	// somebody else's.
	w.file, err = os.OpenFile(a.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w.renamed, w.begun = true, append(w.begun, a.path(name))
	w.pos = Position{File: name, Number: number, Offset: int64(len(info))}
	return w.put(info)
}

// infoRecord returns the warcinfo record of a file.
func (a *Archive) infoRecord(name string, now time.Time) ([]byte, error) {
	var block []byte
	for _, f := range a.Info {
		block = appendField(block, f.Name, f.Value)
	}
	return AppendGzip(nil, &Record{
		Type:        "warcinfo",
		ID:          NewID(),
		Date:        now,
		ContentType: "application/warc-fields",
		Fields:      []Field{{"WARC-Filename", name}},
		Block:       block,
	})
}

// undo removes the files that a failed call has made, so that one that is tried
// again and again, on a full disk say, leaves no trail.
func (w *writer) undo() error {
	var errs []error
	for _, name := range w.begun {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}

// finish closes what is open, and if all went well makes it durable.
func (w *writer) finish(sync bool) error {
	err := w.close(sync)
	if sync && err == nil && w.renamed {
		err = w.archive.syncDir(w.archive.Dir)
	}
	return err
}

// close closes the file, if there is one, after syncing it if that is wanted.
func (w *writer) close(sync bool) error {
	if w.file == nil {
		return nil
	}
	var err error
	if sync {
		if err = w.flush(); err == nil {
			err = w.archive.syncFile(w.file)
		}
	}
	w.archive.pending = w.archive.pending[:0]
	err = errors.Join(err, w.file.Close())
	w.file = nil
	return err
}

// orphan is added to the names of files that are put aside.
const orphan = ".orphan"

// putAside renames the files of the archive with a higher number: they were begun by a
// Write whose position was never stored. Or they are all there is of an archive whose
// position was lost, so they are not deleted, unless the last call has made them.
func (w *writer) putAside(number int) error {
	entries, err := os.ReadDir(w.archive.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		n, ok := fileNumber(e.Name(), w.archive.prefix())
		if !ok || n <= number || !e.Type().IsRegular() {
			continue
		}
		name := w.archive.path(e.Name())
		if slices.Contains(w.archive.begun, name) {
			if err := os.Remove(name); err != nil {
				return err
			}
			w.renamed = true
			continue
		}
		if err := os.Rename(name, name+orphan); err != nil {
			return err
		}
		w.renamed = true
	}
	return nil
}

// nameEnd is what follows the prefix in the names of files.
var nameEnd = regexp.MustCompile(`^-[0-9]{14}-([0-9]{5,9})\.warc\.gz$`)

// fileNumber returns the number in the name of a file of an archive, and
// whether it is such a name.
func fileNumber(name, prefix string) (int, bool) {
	end, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	m := nameEnd.FindStringSubmatch(end)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil && n > 0 && fmt.Sprintf("%05d", n) == m[1]
}

// makeDir makes the folder and those above it, and their names durable, as far as they
// are not there.
func (a *Archive) makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := a.makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return a.syncDir(above)
}

// syncFile makes a file durable.
func (a *Archive) syncFile(f *os.File) error {
	if a.sync != nil {
		return a.sync(f)
	}
	return f.Sync()
}

// syncDir makes the names in a folder durable. Windows makes them durable with
// the file, and cannot sync a folder.
func (a *Archive) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(a.syncFile(d), d.Close())
}
