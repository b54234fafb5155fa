package badgerqueue

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// A Badger iterator ends at a block that does not match its checksum, without
// an error: a read would miss keys, and a compaction would leave them out and
// then delete the table. So no block is used before it has been checked. Open
// checks as much as it has time for. A read checks the tables left that it may
// touch, a long scan bit by bit, and a compaction waits for all of them, while a goroutine
// goes through them in the background. Tables made later come from memory.

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

// stretch is how many tables that are left a scan may have begun with before it checks more.
const stretch = 2

// bound returns up to where a scan from a key to end may go before it checks more tables: a
// few of those that are left begin before that. So a scan that its caller ends early, as most
// do, checks what it touches, and not all that lies before end.
func (p *pendingTables) bound(start, end []byte) []byte {
	if p.left.Load() == 0 {
		return end
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var begin [][]byte // the least first keys behind start
	for _, t := range p.tables {
		if bytes.Compare(t.left, start) <= 0 || end != nil && bytes.Compare(t.left, end) >= 0 {
			continue
		}
		i, _ := slices.BinarySearchFunc(begin, t.left, bytes.Compare)
		if begin = slices.Insert(begin, i, t.left); len(begin) > stretch {
			begin = begin[:stretch]
		}
	}
	if len(begin) < stretch {
		return end
	}
	return begin[stretch-1]
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
func (d *store) verifyFiles(ctx context.Context) error {
	for _, info := range d.db.Tables() {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := table.NewFilename(info.ID, d.badgerDir())
		if _, err := verifyTable(path, allBlocks); err != nil && d.hasTable(info.ID) {
			return err
		}
	}
	if _, err := readManifest(d.badgerDir()); err != nil {
		return err
	}
	return d.verifyLargeValues(ctx)
}

// hasTable reports whether no compaction has removed a table.
func (d *store) hasTable(id uint64) bool {
	return slices.ContainsFunc(d.db.Tables(), func(t badger.TableInfo) bool { return t.ID == id })
}
