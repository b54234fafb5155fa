package badgerqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/seed-301537d8/weir/queue/driver"
)

// store implements driver.Store on Badger in managed mode: the version of an
// entry is the number of its batch, so Badger's own highest version says how
// far its log reaches.
type store struct {
	dir    string
	opts   Options
	log    *slog.Logger
	folder *folder
	water  *highWater
	notes  *notes
	db     *badger.DB
	limits driver.Limits

	version atomic.Uint64 // of the last durable batch; reads see it
	readers readers
	broken  atomic.Pointer[error] // why nothing works any more
	pending pendingTables

	suspend   sync.Once
	suspended chan struct{} // closed when a compaction was stopped for good

	commitMu     sync.Mutex   // one commit at a time
	deletes      atomic.Int64 // since the last reclamation
	reclaiming   sync.Mutex
	reclaimAfter time.Time // guarded by reclaiming

	mu      sync.RWMutex // held for reading by every call, for writing by Close
	closed  bool
	notesMu sync.Mutex
	stop    chan struct{}
	work    sync.WaitGroup // goroutines of this store
	gc      *time.Timer
}

func open(dir string, opts Options) (*store, error) {
	f, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	d := &store{dir: dir, opts: opts, folder: f, stop: make(chan struct{}), suspended: make(chan struct{}), log: opts.Queue.Logger}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if err := d.openFiles(); err != nil {
		return nil, errors.Join(err, d.closeFiles())
	}
	return d, nil
}

func (d *store) openFiles() error {
	var err error
	if d.water, err = openHighWater(d.dir); err != nil {
		return err
	}
	if d.notes, err = openNotes(d.dir); err != nil {
		return err
	}
	found, err := inspect(d.badgerDir(), d.water, d.opts.VerifyOnOpen)
	if err != nil {
		return err
	}
	if d.opts.Queue.MinFree >= 0 {
		if err := found.checkRoom(d.dir); err != nil {
			return err
		}
	}
	if err := d.settleDoubts(found); err != nil {
		return err
	}
	if got, want := d.db.MaxVersion(), d.water.version; got < want {
		return fmt.Errorf("%w: Badger has kept batches up to %d, and batch %d was committed", driver.ErrCorrupt, got, want)
	}
	d.pending.set(found.pending, d.db.Tables())
	d.version.Store(d.db.MaxVersion())
	d.limits = driver.Limits{
		Writes:   int(d.db.MaxBatchCount()) - 16,
		Bytes:    int(d.db.MaxBatchSize()) - 64<<10,
		Overhead: 32, // Badger counts 10 bytes for the version and 2 for flags
	}
	d.work.Go(d.verifyRest)
	d.gc = time.AfterFunc(gcInterval, d.collect)
	return nil
}

func (d *store) badgerDir() string { return filepath.Join(d.dir, badgerDir) }

// level0 is how many tables, each of a memtable, wait to be compacted together.
const level0 = 10

func (d *store) badgerOptions() badger.Options {
	opts := badger.DefaultOptions(d.badgerDir()).
		WithSyncWrites(true).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithCompression(options.None). // bodies arrive compressed where it pays
		WithBlockCacheSize(0).         // tables are mapped; the system caches them
		WithMetricsEnabled(false).
		WithMemTableSize(d.opts.MemTable).
		WithNumMemtables(2).
		WithNumCompactors(2).
		WithBaseTableSize(max(d.opts.MemTable/8, 1<<20)).
		// Level 1 is rewritten with what level 0 holds, so the more that is, the
		// less often; and a level 1 as large as that makes fewer levels.
		WithNumLevelZeroTables(level0).
		WithNumLevelZeroTablesStall(2 * level0).
		WithBaseLevelSize(level0 * d.opts.MemTable).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithVerifyValueChecksum(true).
		WithValueLogFileSize(max(d.opts.MemTable, 2<<20)).
		WithLogger(badgerLogger{d})
	return opts.WithValueThreshold(min(1<<20, d.opts.MemTable/10))
}

// openBadger turns the panics with which Badger meets some broken files into
// errors.
func openBadger(opts badger.Options) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%w: %v", driver.ErrCorrupt, r)
		}
	}()
	if db, err = badger.OpenManaged(opts); err != nil {
		return nil, err // with some errors comes half a database
	}
	return db, nil
}

// badgerError says what an error of Badger means.
func badgerError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrCorrupt):
		return err
	case errors.Is(err, badger.ErrKeyNotFound):
		return driver.ErrNotFound
	case errors.Is(err, badger.ErrDBClosed):
		return driver.ErrClosed
	case errors.Is(err, os.ErrPermission), strings.Contains(err.Error(), "no space left"):
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w: %w", op, driver.ErrCorrupt, err)
}

// enter begins a call; the caller defers d.mu.RUnlock if it returns nil.
func (d *store) enter() error {
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return driver.ErrClosed
	}
	if err := d.broken.Load(); err != nil {
		d.mu.RUnlock()
		return *err
	}
	return nil
}

func (d *store) Get(_ context.Context, key []byte) (value []byte, err error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.mu.RUnlock()
	defer func() { recovered("get", &err, recover()) }()
	if d.pending.left.Load() > 0 {
		if err := d.pending.verify(key, append(bytes.Clone(key), 0), nil); err != nil {
			return nil, err
		}
	}
	defer d.readers.leave(d.readers.enter())
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if err != nil {
		return nil, badgerError("get", err)
	}
	value = []byte{}
	err = readValue(item, func(v []byte) { value = append(value, v...) })
	return value, badgerError("get", err)
}

// readValue reads a value. Badger returns an empty one for one that it cannot
// read from the log of values.
func readValue(item *badger.Item, fn func([]byte)) error {
	return item.Value(func(v []byte) error {
		if len(v) == 0 && item.ValueSize() > 0 {
			return fmt.Errorf("%w: a log of values (*.vlog): value of key %q", driver.ErrCorrupt, item.Key())
		}
		fn(v)
		return nil
	})
}

// recovered turns a panic of Badger into an error: a block that went bad after
// it was checked, or a database that has failed.
func recovered(op string, err *error, r any) {
	if r != nil {
		*err = fmt.Errorf("%s: %w: %v", op, driver.ErrCorrupt, r)
	}
}

func (d *store) Scan(_ context.Context, start, end []byte, fn func(key, value []byte) bool) (err error) {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	inCaller := false // whose panics are its own
	defer func() {
		if !inCaller {
			recovered("scan", &err, recover())
		}
	}()
	if err := d.pending.verify(start, end, nil); err != nil {
		return err
	}
	defer d.readers.leave(d.readers.enter())
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{
		PrefetchValues: false,
		Prefix:         commonPrefix(start, end),
	})
	defer it.Close()
	for it.Seek(start); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if end != nil && string(key) >= string(end) {
			return nil
		}
		if key[0] == batchKey[0] && string(key) == batchKey {
			continue
		}
		more := false
		if err := readValue(item, func(value []byte) {
			inCaller = true
			more = fn(key, value)
			inCaller = false
		}); err != nil {
			return badgerError("scan", err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// commonPrefix lets Badger leave out tables that hold nothing of a range.
func commonPrefix(start, end []byte) []byte {
	n := 0
	for n < len(start) && n < len(end) && start[n] == end[n] {
		n++
	}
	return start[:n:n]
}

func (d *store) Commit(_ context.Context, writes []driver.Write) error {
	size := 0
	for i := range writes {
		size += len(writes[i].Key) + len(writes[i].Value) + d.limits.Overhead
	}
	if len(writes) > d.limits.Writes || size > d.limits.Bytes {
		return fmt.Errorf("%w: %d writes of %d bytes", driver.ErrTooLarge, len(writes), size)
	}
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.commitMu.Lock()
	defer d.commitMu.Unlock()
	version := d.version.Load() + 1
	txn := d.db.NewTransactionAt(version-1, true)
	defer txn.Discard()
	entries := make([]badger.Entry, len(writes)+1)
	deletes := int64(0)
	for i := range writes {
		w := &writes[i]
		var err error
		if w.Delete {
			deletes++
			err = txn.Delete(w.Key)
		} else {
			entries[i].Key, entries[i].Value = w.Key, w.Value
			err = txn.SetEntry(&entries[i])
		}
		if err != nil {
			return commitError(err)
		}
	}
	batch := &entries[len(writes)]
	batch.Key = []byte(batchKey)
	if err := txn.SetEntry(batch); err != nil {
		return commitError(err)
	}
	if err := txn.CommitAt(version, nil); err != nil {
		return fmt.Errorf("commit batch %d: %w", version, err)
	}
	d.deletes.Add(deletes)
	return d.committed(version)
}

func commitError(err error) error {
	if errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	}
	return fmt.Errorf("commit: %w", err)
}

// batchKey is written by every batch and never deleted, so that the highest
// version in the tables says how far they reach. Nobody else sees it.
const batchKey = "\xff\xffweir batch"

func (d *store) AppendNotes(_ context.Context, note []byte) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	return d.notes.append(note)
}

func (d *store) ReadNotes(_ context.Context, fn func(note []byte)) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	return d.notes.read(fn)
}

func (d *store) ResetNotes(_ context.Context, notes [][]byte) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	return d.notes.reset(notes)
}

func (d *store) Limits() driver.Limits { return d.limits }

// Free leaves out what Badger may still write if nothing more is committed:
// see reserve.
func (d *store) Free() (int64, error) {
	if err := d.enter(); err != nil {
		return 0, err
	}
	defer d.mu.RUnlock()
	free, err := freeSpace(d.dir)
	if err == nil && d.maybeReclaim(free-d.reserve()) {
		free, err = freeSpace(d.dir)
	}
	return free - d.reserve(), err
}

// reserve is how many bytes Badger may still allocate for what has been
// committed. All of it goes through mappings of sparse files, where a page for
// which there is no room ends the process, so it must be there. That is
//
//   - the rest of the log of a memtable, which is made large and filled later,
//     a table in the making, and what is written between two looks at Free;
//   - what the compactors read, since the new tables are made before the old
//     ones go: for one, level 0 with the memtables on their way to it and the
//     level below; for the other, a table of some deeper level with the ten or
//     so below it, as large as tables get. It cannot be more than there is, and
//     of a small store all there is may be compacted at once. That is reserved
//     from the start, lest the reserve grow while the store is drained for want
//     of space.
func (d *store) reserve() int64 {
	mem := d.opts.MemTable
	logs, _ := d.memLogs()
	file := 4 * d.db.Opts().BaseTableSize
	var total, first int64
	for _, l := range d.db.Levels() {
		total += l.Size
		if l.Level == 0 || l.IsBaseLevel {
			first += l.Size
		}
		file = max(file, l.TargetFileSize)
	}
	return 2*mem + 8<<20 + int64(len(logs))*mem + min(total, max(first+12*file, smallStore))
}

// smallStore is up to what size, in bytes, room to rewrite a whole store is kept
// in reserve.
const smallStore = 256 << 20

func (d *store) Verify(context.Context) (err error) {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	defer func() { recovered("verify", &err, recover()) }()
	return d.verifyFiles()
}

// gcInterval is how often the log of large values is looked at for space to
// win back.
const gcInterval = 10 * time.Minute

func (d *store) collect() {
	if d.enter() != nil {
		return
	}
	defer d.mu.RUnlock()
	if err := d.verifyValueLogs(); err != nil {
		d.log.Error("value log not collected", "dir", d.dir, "err", err)
		return
	}
	if err := d.db.RunValueLogGC(0.5); err != nil && !errors.Is(err, badger.ErrNoRewrite) && !errors.Is(err, badger.ErrRejected) {
		d.log.Warn("value log not collected", "dir", d.dir, "err", err)
	}
	d.gc.Reset(gcInterval)
}

func (d *store) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return driver.ErrClosed
	}
	d.closed = true
	close(d.stop)
	d.gc.Stop()
	d.mu.Unlock()
	d.work.Wait()
	return d.closeFiles()
}

func (d *store) closeFiles() error {
	var errs []error
	suspended := false
	if d.db != nil {
		err := d.closeBadger()
		suspended = errors.Is(err, errSuspended)
		errs = append(errs, err)
	}
	if d.notes != nil && d.notes.f != nil {
		errs = append(errs, d.notes.close())
	}
	if d.water != nil {
		errs = append(errs, d.water.close())
	}
	if !suspended {
		errs = append(errs, d.folder.unlock())
	}
	return errors.Join(errs...)
}

// errSuspended is returned where a compaction that would do damage has been
// stopped, and Badger with it. The folder stays locked, since this process
// still has a hand in it.
var errSuspended = errors.New("a compaction was stopped to keep a corrupt table; the folder stays locked until the process ends")

func (d *store) closeBadger() error {
	done := make(chan error, 1)
	go func() { done <- d.db.Close() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("close badger: %w", err)
		}
		return nil
	case <-d.suspended:
		return errSuspended
	}
}
