package badgerqueue

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Deleting frees nothing by itself. Badger drops what is deleted when a
// compaction brings the deletion down to it, and compactions come with writes.
// A store that has been drained because its disk is full gets no writes, since
// producers are refused, so it would stay full. It is made smaller here.

const (
	// reclaimRest is how much longer than a reclamation nothing more is
	// reclaimed.
	reclaimRest = 10
	// reclaimDeletes is after how many deletions it is worth to wait for a
	// reclamation before settling is refused.
	reclaimDeletes = 1000
)

// maybeReclaim sees to it that space is won back if the disk is nearly full and
// something has been deleted. It waits for that if settling would be refused
// otherwise, and reports whether it has. Free calls it.
func (d *store) maybeReclaim(free int64) (waited bool) {
	floor := d.opts.Queue.MinFree
	if floor == 0 {
		floor = defaultFloor
	}
	if floor < 0 || free > floor+floor/4 {
		return false
	}
	if free+d.reserve() < 4*d.opts.MemTable+8<<20 {
		// Others have taken even what is kept in reserve, and winning space back
		// needs some: the rest of the log, its table, and a compaction of it.
		return false
	}
	deletes := d.deletes.Load()
	if free < floor/2 && deletes >= reclaimDeletes || free < floor/4 && deletes > 0 {
		d.reclaiming.Lock()
		d.reclaimLocked()
		return true
	}
	if !d.reclaiming.TryLock() {
		if free >= floor/2 {
			return false
		}
		d.awaitReclaim()
		return true
	}
	if deletes == 0 {
		d.reclaiming.Unlock()
		return false
	}
	if time.Now().Before(d.reclaimAfter) {
		d.reclaiming.Unlock()
		return false
	}
	d.work.Go(d.reclaimLocked)
	return false
}

// awaitReclaim waits for a reclamation that is under way: it needs room for a
// while before it gives any.
func (d *store) awaitReclaim() {
	d.reclaiming.Lock()
	defer d.reclaiming.Unlock()
}

func (d *store) reclaimLocked() {
	defer d.reclaiming.Unlock()
	begin := time.Now()
	if err := d.reclaim(); err != nil {
		d.log.Warn("space not won back", "dir", d.dir, "err", err)
	}
	took := time.Since(begin)
	d.reclaimAfter = time.Now().Add(max(time.Second, reclaimRest*took))
	d.log.Info("won back the space of what was deleted", "dir", d.dir, "took", took)
}

// defaultFloor is the default of queue.Options.MinFree.
const defaultFloor = 512 << 20

// reclaim brings all deletions down to what they delete.
func (d *store) reclaim() error {
	d.deletes.Store(0)
	if err := d.rotate(); err != nil {
		return err
	}
	return d.db.Flatten(1)
}

// rotate fills the memtable, so that Badger writes it out with the deletions in
// it, and returns when that is done. There is no other way to make it do so.
func (d *store) rotate() error {
	before, err := d.memLogs()
	if err != nil || len(before) == 0 {
		return err
	}
	newest := before[len(before)-1]
	filler := make([]byte, d.opts.MemTable/16)
	for range 32 {
		logs, err := d.memLogs()
		if err != nil {
			return err
		}
		if len(logs) > 0 && logs[len(logs)-1] != newest {
			break
		}
		if d.broken.Load() != nil {
			return nil
		}
		if err := d.commitFiller(filler); err != nil {
			return err
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		logs, err := d.memLogs()
		if err != nil || len(logs) <= 1 {
			return err
		}
		select {
		case <-d.stop:
			return nil
		case <-tick.C:
		}
	}
}

// memLogs returns the logs of memtables that are not yet tables, oldest first.
func (d *store) memLogs() ([]string, error) {
	return filepath.Glob(filepath.Join(d.badgerDir(), "*.mem"))
}

// commitFiller commits a batch with nothing but a large value for batchKey.
func (d *store) commitFiller(value []byte) error {
	d.commitMu.Lock()
	defer d.commitMu.Unlock()
	version := d.version.Load() + 1
	txn := d.db.NewTransactionAt(version-1, true)
	defer txn.Discard()
	if err := txn.SetEntry(badger.NewEntry([]byte(batchKey), value)); err != nil {
		return err
	}
	if err := txn.CommitAt(version, nil); err != nil {
		err = fmt.Errorf("commit batch %d: %w", version, err)
		d.fail(err)
		return err
	}
	return d.committed(version)
}

// committed notes that a batch is durable. Every batch writes batchKey, and none
// deletes it, so that the highest version in the tables says how far they reach.
func (d *store) committed(version uint64) error {
	d.version.Store(version)
	if v := d.readers.passed(version); v > 0 {
		d.db.SetDiscardTs(v)
	}
	if err := d.broken.Load(); err != nil {
		return fmt.Errorf("commit batch %d: %w", version, *err)
	}
	return d.water.raise(version)
}
