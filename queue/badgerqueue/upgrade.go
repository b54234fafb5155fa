package badgerqueue

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/seed-301537d8/weir/queue/driver"
)

// A store of format 1 has its large values in Badger's logs of values. When it
// is first opened, a copy of Badger's folder is made in which they are not, and
// takes its place; the tables, which never change, are linked and not copied.
//
//	format 1                 badger counts, badger.new is being made
//	format 2, swapping       badger.new counts, badger is of no use any more
//	format 2, complete       badger counts
//
// So an upgrade that is refused, or cut short, leaves the store as it was.

const (
	valueLogSuffix = ".vlog"
	valueLogHeader = 20 // bytes of an empty one: no key, and no use for a vector
	// asideSuffix marks the copy that format 1 made of a log of values before
	// Badger might cut it. One that is left is the log as it was.
	asideSuffix = ".aside"
)

func (d *store) upgrade() error {
	fresh, old := d.badgerDir()+newSuffix, d.badgerDir()+oldSuffix
	if d.folder.format.version == formatOfLogs {
		if err := d.convert(fresh); err != nil {
			return fmt.Errorf("upgrade from format %d: %w", formatOfLogs, errors.Join(err, os.RemoveAll(fresh)))
		}
		if err := d.folder.setFormat(format{formatVersion, stateSwapping}); err != nil {
			return err
		}
	}
	if _, err := os.Stat(fresh); err == nil {
		if _, err := os.Stat(d.badgerDir()); err == nil {
			if err := errors.Join(os.RemoveAll(old), os.Rename(d.badgerDir(), old)); err != nil {
				return err
			}
		}
		if err := os.Rename(fresh, d.badgerDir()); err != nil {
			return err
		}
	}
	if err := errors.Join(syncDir(d.dir), os.RemoveAll(old)); err != nil {
		return err
	}
	return d.folder.setFormat(format{formatVersion, stateComplete})
}

// convert makes the copy.
func (d *store) convert(fresh string) error {
	water, err := openHighWater(d.dir, true)
	if err != nil {
		return err
	}
	last := water.version
	if err := water.close(); err != nil {
		return err
	}
	notes, err := openNotes(d.dir, true)
	if err != nil {
		return err
	}
	if err := notes.close(); err != nil {
		return err
	}
	found, err := inspect(d.badgerDir(), last, true, math.MaxInt64)
	if err != nil {
		return err
	}
	copied, err := d.planCopy(fresh)
	if err != nil {
		return err
	}
	if d.opts.Queue.MinFree >= 0 {
		if err := found.checkRoom(d.dir, copied.bytes); err != nil {
			return err
		}
	}
	if err := copied.do(fresh); err != nil {
		return err
	}
	db, err := openBadger(d.badgerOptions(fresh))
	if err != nil {
		return badgerError("open", err)
	}
	d.log.Info("upgrading a store of format 1: large values are moved", "dir", d.dir)
	err = errors.Join(d.moveLargeValues(db), db.Close())
	if err != nil {
		return err
	}
	return syncDir(fresh)
}

// A copying says where each file of a copy comes from.
type copying struct {
	link, copy map[string]string // from path to path
	bytes      int64             // needed for the copies, and to move the large values
}

func (d *store) planCopy(fresh string) (*copying, error) {
	c := &copying{make(map[string]string), make(map[string]string), 0}
	entries, err := os.ReadDir(d.badgerDir())
	if err != nil {
		return nil, err
	}
	var values []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		from := filepath.Join(d.badgerDir(), e.Name())
		name, _ := strings.CutSuffix(from, asideSuffix)
		to := filepath.Join(fresh, filepath.Base(name))
		switch filepath.Ext(name) {
		case ".sst":
			c.link[to] = from
		case ".mem":
			if info.Size() > 0 {
				c.copy[to] = from
			}
		case valueLogSuffix:
			if _, err := os.Stat(name + asideSuffix); name == from && err == nil {
				continue
			}
			if info.Size() > 0 {
				values = append(values, to)
				c.link[to] = from
			}
		default:
			if base := filepath.Base(name); base == manifestFile || base == registryFile {
				c.copy[to] = from
			}
		}
		if filepath.Ext(name) != ".sst" {
			c.bytes += info.Size()
		}
	}
	if len(values) > 0 { // Badger cuts the newest
		newest := slices.MaxFunc(values, func(a, b string) int { return cmp.Compare(logNumber(a), logNumber(b)) })
		c.copy[newest] = c.link[newest]
		delete(c.link, newest)
	}
	return c, nil
}

func (c *copying) do(fresh string) error {
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	for to, from := range c.link {
		if os.Link(from, to) != nil { // not every filesystem has links
			c.copy[to] = from
		}
	}
	for to, from := range c.copy {
		if err := copySparse(to, from); err != nil {
			return err
		}
	}
	return nil
}

// copySparse copies a file, with a hole for the zeros at its end, durably.
func copySparse(to, from string) error {
	size, err := os.Stat(from)
	if err != nil {
		return err
	}
	end, err := endOfData(from)
	if err != nil {
		return err
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	err = writeNewFile(to, io.LimitReader(src, end))
	return errors.Join(err, os.Truncate(to, size.Size()), syncFile(to))
}

// moveLargeValues gives pieces to all values that lie in a log of values. One
// that cannot be read is an error.
func (d *store) moveLargeValues(db *badger.DB) (err error) {
	defer func() { recovered("upgrade", &err, recover()) }()
	version := db.MaxVersion()
	l := newLargeValues(d.pieceSize())
	var moved changes
	txn := db.NewTransactionAt(version, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		if item.ValueSize() < smallestLarge {
			continue
		}
		value, err := item.ValueCopy(nil)
		if err != nil || len(value) == 0 {
			return fmt.Errorf("%w: a log of values (*%s): value of key %q (%w)", driver.ErrCorrupt, valueLogSuffix, item.Key(), cmp.Or(err, fs.ErrNotExist))
		}
		if item.EstimatedSize() == int64(len(item.Key())+len(value)) {
			continue // it lies in a table: a pointer is to more than key and value
		}
		version++
		if err := d.moveLargeValue(db, version, &l, item.KeyCopy(nil), value, &moved); err != nil {
			return err
		}
	}
	return nil
}

// smallestLarge is less than the least that a program of format 1 has put into
// a log of values, as Badger estimates it.
const smallestLarge = 1 << 20 / 10 / 2

func (d *store) moveLargeValue(db *badger.DB, version uint64, l *largeValues, key, value []byte, c *changes) error {
	txn := db.NewTransactionAt(version-1, true)
	defer txn.Discard()
	var err error
	if len(value) < l.piece {
		err = txn.SetEntry(badger.NewEntry(key, value))
	} else {
		err = l.set(txn, key, value, version, c)
	}
	if err == nil {
		err = txn.SetEntry(badger.NewEntry([]byte(batchKey), nil))
	}
	if err == nil {
		err = txn.CommitAt(version, nil)
	}
	return err
}
