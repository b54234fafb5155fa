package badgerqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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
	large        largeValues  // guarded by commitMu
	deletes      atomic.Int64 // since the last reclamation
	reclaiming   sync.Mutex
	reclaimAfter time.Time // guarded by reclaiming

	mu      sync.RWMutex // held for reading by every call, for writing by Close
	closed  bool
	notesMu sync.Mutex
	stop    chan struct{}
	work    sync.WaitGroup // goroutines of this store
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
	err = d.openFiles()
	if err == nil {
		return d, nil
	}
	d.folder.refused = true
	return nil, errors.Join(err, d.closeFiles())
}

// openFiles looks at everything before it changes anything.
func (d *store) openFiles() (err error) {
	if d.folder.format.version == formatOfLogs || d.folder.format.state == stateSwapping {
		if err := d.upgrade(); err != nil {
			return err
		}
	}
	complete := d.folder.format.state == stateComplete
	if d.water, err = openHighWater(d.dir, complete); err != nil {
		return err
	}
	if d.notes, err = openNotes(d.dir, complete); err != nil {
		return err
	}
	found, err := inspect(d.badgerDir(), d.water.version, complete, d.opts.VerifyOnOpen)
	if err != nil {
		return err
	}
	if d.opts.Queue.MinFree >= 0 {
		if err := found.checkRoom(d.dir, 0); err != nil {
			return err
		}
	}
	if err := found.prepare(d.badgerDir()); err != nil {
		return err
	}
	if d.db, err = openBadger(d.badgerOptions(d.badgerDir())); err != nil {
		return badgerError("open", err)
	}
	if got, want := d.db.MaxVersion(), d.water.version; got < want {
		return fmt.Errorf("%w: Badger has kept batches up to %d, and batch %d was committed", driver.ErrCorrupt, got, want)
	}
	d.pending.set(found.pending, d.db.Tables())
	d.version.Store(d.db.MaxVersion())
	d.large = newLargeValues(d.pieceSize())
	if err := d.loadLargeValues(); err != nil {
		return err
	}
	writes, size := largeReserve(d.db.MaxBatchSize(), d.large.piece)
	d.limits = driver.Limits{
		Writes:   int(d.db.MaxBatchCount()) - 16 - writes,
		Bytes:    int(d.db.MaxBatchSize() - 32<<10 - size),
		Overhead: 32, // Badger counts 10 bytes for the version and 2 for flags
	}
	if err := d.folder.complete(); err != nil {
		return err
	}
	if err := keepOwner(d.dir); err != nil {
		return err
	}
	d.work.Go(d.verifyRest)
	if d.opts.MaxMapped > 0 {
		d.work.Go(d.limitMapped)
	}
	return nil
}

func (d *store) loadLargeValues() (err error) {
	defer func() { recovered("open", &err, recover()) }()
	if err := d.pending.verify([]byte(indexPrefix), []byte(piecePrefix), nil); err != nil {
		return err
	}
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	return d.large.load(txn)
}

// pieceSize is from what length on values are cut to pieces, and above which
// Badger would put them into its log of values.
func (d *store) pieceSize() int { return int(min(1<<20, d.opts.MemTable/10)) }

func (d *store) badgerDir() string { return filepath.Join(d.dir, badgerDir) }

// level0 is how many tables, each of a memtable, wait to be compacted together.
const level0 = 10

func (d *store) badgerOptions(dir string) badger.Options {
	return badger.DefaultOptions(dir).
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
		WithValueThreshold(int64(d.pieceSize())).
		WithValueLogFileSize(1 << 20). // nothing is put into it
		WithBypassLockGuard(true).     // the folder has a lock
		WithLogger(badgerLogger{d})
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
	err = d.readValue(txn, item, func(v []byte) { value = append(value, v...) })
	return value, badgerError("get", err)
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
	defer d.readers.leave(d.readers.enter())
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	for {
		upTo := d.pending.bound(start, end)
		if err := d.pending.verify(start, upTo, nil); err != nil {
			return err
		}
		if more, err := d.scan(txn, start, upTo, fn); !more || err != nil || bytes.Equal(upTo, end) {
			return err
		}
		start = upTo
	}
}

// scan is Scan of a range whose tables have been checked. It reports whether fn wants more.
// What lies behind the range may be met, and is not used.
func (d *store) scan(txn *badger.Txn, start, end []byte, fn func(key, value []byte) bool) (more bool, err error) {
	inCaller := false // whose panics are its own
	defer func() {
		if !inCaller {
			recovered("scan", &err, recover())
		}
	}()
	it := txn.NewIterator(badger.IteratorOptions{
		PrefetchValues: false,
		Prefix:         commonPrefix(start, end),
	})
	defer it.Close()
	for it.Seek(start); it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if end != nil && string(key) >= string(end) {
			return true, nil
		}
		if key[0] == hiddenPrefix[0] && strings.HasPrefix(string(key), hiddenPrefix) {
			continue
		}
		if err := d.readValue(txn, item, func(value []byte) {
			inCaller = true
			more = fn(key, value)
			inCaller = false
		}); err != nil {
			return false, badgerError("scan", err)
		}
		if !more {
			return false, nil
		}
	}
	return true, nil
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
	var large changes
	for i := range writes {
		w := &writes[i]
		err := d.large.supersede(txn, w.Key, &large)
		switch {
		case err != nil:
		case w.Delete:
			deletes++
			err = txn.Delete(w.Key)
		case len(w.Value) < d.large.piece:
			entries[i].Key, entries[i].Value = w.Key, w.Value
			err = txn.SetEntry(&entries[i])
		case !names(writes[i+1:], w.Key):
			err = d.large.set(txn, w.Key, w.Value, version, &large)
		}
		if err != nil {
			return commitError(err)
		}
	}
	if err := d.large.sweep(txn, &large); err != nil {
		return commitError(err)
	}
	batch := &entries[len(writes)]
	batch.Key = []byte(batchKey)
	if err := txn.SetEntry(batch); err != nil {
		return commitError(err)
	}
	if err := d.commitAt(txn, version); err != nil {
		return fmt.Errorf("commit batch %d: %w", version, err)
	}
	d.large.apply(&large)
	d.deletes.Add(deletes + int64(large.deleted))
	return d.committed(version)
}

// commitAt commits a transaction. Badger's writes may wait for a compaction that has
// met a bad table and never ends; then it returns why that is.
func (d *store) commitAt(txn *badger.Txn, version uint64) error {
	done := make(chan error, 1)
	if err := txn.CommitAt(version, func(err error) { done <- err }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-d.suspended:
		return *d.broken.Load()
	}
}

// names reports whether one of the writes is to a key.
func names(writes []driver.Write, key []byte) bool {
	return slices.ContainsFunc(writes, func(w driver.Write) bool { return bytes.Equal(w.Key, key) })
}

func commitError(err error) error {
	if errors.Is(err, badger.ErrTxnTooBig) {
		return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
	}
	return fmt.Errorf("commit: %w", err)
}

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
	return errors.Join(d.notes.reset(notes), keepOwner(d.dir))
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

func (d *store) Verify(ctx context.Context) (err error) {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	defer func() { recovered("verify", &err, recover()) }()
	return d.verifyFiles(ctx)
}

func (d *store) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return driver.ErrClosed
	}
	d.closed = true
	close(d.stop)
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
		errs = append(errs, keepOwner(d.dir), d.folder.leave())
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
	closing, stop := context.WithCancel(context.Background())
	var paging sync.WaitGroup
	paging.Go(func() { d.pageOut(closing) })
	defer func() { stop(); paging.Wait() }()
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
