package badgerqueue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/seed-301537d8/weir/queue/driver"
)

// A Badger iterator ends at a block that does not match its checksum, without
// an error: a read would miss keys, and a compaction would leave them out and
// then delete the table. So no block is used before it has been checked. Open
// checks as much as it has time for. A read checks the tables left that it may
// touch, and a compaction waits for all of them, while a goroutine goes through
// them in the background. Tables made later come from memory.

// pendingTables are the tables of which not all blocks have been read.
type pendingTables struct {
	left atomic.Int64 // so that reads need not look when there are none

	mu     sync.Mutex
	tables []pendingTable
	err    error // what was found
}

type pendingTable struct {
	path        string
	left, right []byte // its first and last key
}

// set takes the tables in, with the ranges that Badger has read.
func (p *pendingTables) set(paths []string, infos []badger.TableInfo) {
	for _, info := range infos {
		for _, path := range paths {
			if id, ok := table.ParseFileID(path); ok && id == info.ID {
				p.tables = append(p.tables, pendingTable{path, info.Left, info.Right})
			}
		}
	}
	p.left.Store(int64(len(p.tables)))
}

// verify checks the tables that may hold keys of [start, end), all of them if
// both are nil, or until stop is closed.
func (p *pendingTables) verify(start, end []byte, stop <-chan struct{}) error {
	if p.left.Load() == 0 {
		return nil
	}
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if done, err := p.verifyNext(start, end); done || err != nil {
			return err
		}
	}
}

// verifyNext checks one table of the range. It reports true if there is none.
func (p *pendingTables) verifyNext(start, end []byte) (done bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return true, p.err
	}
	i := slices.IndexFunc(p.tables, func(t pendingTable) bool {
		return (end == nil || bytes.Compare(t.left, end) < 0) && bytes.Compare(t.right, start) >= 0
	})
	if i < 0 {
		return true, nil
	}
	if _, p.err = verifyTable(p.tables[i].path, allBlocks); p.err != nil {
		return true, p.err
	}
	p.tables = slices.Delete(p.tables, i, i+1)
	p.left.Store(int64(len(p.tables)))
	return false, nil
}

// verifyRest checks in the background what Open had no time for.
func (d *store) verifyRest() {
	if err := d.pending.verify(nil, nil, d.stop); err != nil {
		d.fail(err)
	}
}

// beforeCompaction is called by Badger's compactors when they have built the
// new tables and not yet put them in place of the old ones. If a table is bad
// it does not return, so that the old tables stay.
func (d *store) beforeCompaction() {
	if err := d.pending.verify(nil, nil, nil); err != nil {
		d.fail(err)
		d.suspend.Do(func() { close(d.suspended) })
		select {}
	}
}

// fail makes every call from now on return the error.
func (d *store) fail(err error) {
	if d.broken.CompareAndSwap(nil, &err) {
		d.log.Error("store is broken", "dir", d.dir, "err", err)
	}
}

// verifyFiles checks everything of an open database that has a checksum.
func (d *store) verifyFiles() error {
	for _, info := range d.db.Tables() {
		path := table.NewFilename(info.ID, d.badgerDir())
		if _, err := verifyTable(path, allBlocks); err != nil && d.hasTable(info.ID) {
			return err
		}
	}
	if _, err := readManifest(d.badgerDir()); err != nil {
		return err
	}
	return d.verifyLargeValues(0)
}

// hasTable reports whether no compaction has removed a table.
func (d *store) hasTable(id uint64) bool {
	return slices.ContainsFunc(d.db.Tables(), func(t badger.TableInfo) bool { return t.ID == id })
}

// verifyLargeValues reads the values that lie in the log of values, which
// Badger checks one by one. Badger only estimates a value's size, so half the
// threshold is far enough below it.
func (d *store) verifyLargeValues(version uint64) error {
	if version == 0 {
		version = d.version.Load()
	}
	defer d.readers.leave(d.readers.enter())
	txn := d.db.NewTransactionAt(version, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	large := d.db.Opts().ValueThreshold / 2
	for it.Rewind(); it.Valid(); it.Next() {
		if it.Item().ValueSize() < large {
			continue
		}
		if err := readValue(it.Item(), func([]byte) {}); err != nil {
			return err
		}
	}
	return nil
}

// asideSuffix marks the copy of a log of values that Badger may cut.
const asideSuffix = ".aside"

// settleDoubts opens Badger although it will cut the end of the newest log of
// values, and puts the log back if what was cut is missed.
//
// Badger refuses a log without a size, which is what a crash leaves between
// making it and giving it one, so those are removed.
func (d *store) settleDoubts(found *inspection) (err error) {
	doubts := found.doubts
	for _, path := range doubts {
		if err := copyFile(path+asideSuffix, path); err != nil {
			return err
		}
	}
	for _, path := range found.empty {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	if d.db, err = openBadger(d.badgerOptions()); err == nil && len(doubts) > 0 {
		err = d.verifyLargeValues(d.db.MaxVersion())
		if err != nil {
			err = errors.Join(err, d.db.Close())
			d.db = nil
		}
	}
	for _, path := range doubts {
		if err != nil {
			err = errors.Join(err, os.Rename(path+asideSuffix, path))
			continue
		}
		err = os.Remove(path + asideSuffix)
	}
	return badgerError("open", err)
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Sync(), dst.Close())
}

// verifyValueLogs checks the logs of values that are no longer written to:
// collecting one that ends early would lose what comes after.
func (d *store) verifyValueLogs() error {
	paths, err := filepath.Glob(filepath.Join(d.badgerDir(), "*.vlog"))
	if err != nil {
		return err
	}
	slices.SortFunc(paths, func(a, b string) int { return logNumber(a) - logNumber(b) })
	for _, path := range paths[:max(len(paths)-1, 0)] {
		if _, whole, err := valueLogEnd(path); err != nil {
			return err
		} else if !whole {
			return fmt.Errorf("%w: log of values %s", driver.ErrCorrupt, path)
		}
	}
	return nil
}
