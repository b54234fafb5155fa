package badgerqueue

import (
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

	version atomic.Uint64         // of the last durable batch; reads see it
	corrupt atomic.Pointer[error] // found by the check in the background
	suspect string                // why the store should be checked before use, or ""

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
	d := &store{dir: dir, opts: opts, folder: f, stop: make(chan struct{}), log: opts.Queue.Logger}
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
	check, err := inspect(filepath.Join(d.dir, badgerDir), d.water, d.opts.VerifyOnOpen)
	if err != nil {
		return err
	}
	d.suspect = check.suspect
	if d.db, err = openBadger(d.badgerOptions()); err != nil {
		return errors.Join(badgerError("open", err), check.restore())
	}
	if got, want := d.db.MaxVersion(), d.water.version; got < want {
		err := fmt.Errorf("%w: the log ends with batch %d, and batch %d was committed; %s", driver.ErrCorrupt, got, want, check.blame())
		closing := d.db.Close()
		d.db = nil
		return errors.Join(err, closing, check.restore())
	}
	check.discard()
	d.version.Store(d.db.MaxVersion())
	d.limits = driver.Limits{
		Writes:   int(d.db.MaxBatchCount()) - 16,
		Bytes:    int(d.db.MaxBatchSize()) - 64<<10,
		Overhead: 32, // Badger counts 10 bytes for the version and 2 for flags
	}
	d.work.Go(func() { d.verifyRest(check.unverified) })
	d.gc = time.AfterFunc(gcInterval, d.collect)
	return nil
}

func (d *store) badgerOptions() badger.Options {
	opts := badger.DefaultOptions(filepath.Join(d.dir, badgerDir)).
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
		WithChecksumVerificationMode(options.OnBlockRead).
		WithVerifyValueChecksum(true).
		WithValueLogFileSize(max(d.opts.MemTable, 2<<20)).
		WithLogger(badgerLogger{d.log})
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
	return badger.OpenManaged(opts)
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
	if err := d.corrupt.Load(); err != nil {
		d.mu.RUnlock()
		return *err
	}
	return nil
}

func (d *store) Get(_ context.Context, key []byte) ([]byte, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.mu.RUnlock()
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if err != nil {
		return nil, badgerError("get", err)
	}
	value, err := item.ValueCopy([]byte{})
	return value, badgerError("get", err)
}

func (d *store) Scan(_ context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
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
		more := false
		if err := item.Value(func(value []byte) error {
			more = fn(key, value)
			return nil
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
	version := d.version.Load() + 1
	txn := d.db.NewTransactionAt(version-1, true)
	defer txn.Discard()
	entries := make([]badger.Entry, len(writes))
	for i := range writes {
		w := &writes[i]
		var err error
		if w.Delete {
			err = txn.Delete(w.Key)
		} else {
			entries[i].Key, entries[i].Value = w.Key, w.Value
			err = txn.SetEntry(&entries[i])
		}
		if errors.Is(err, badger.ErrTxnTooBig) {
			return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
		}
		if err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	if err := txn.CommitAt(version, nil); err != nil {
		return fmt.Errorf("commit batch %d: %w", version, err)
	}
	d.version.Store(version)
	if version > keptVersions {
		// Older versions are in nobody's sight: a read takes far less time.
		d.db.SetDiscardTs(version - keptVersions)
	}
	return d.water.raise(version, d.manifestSize)
}

// keptVersions is how many batches a read may last before entries that they
// have replaced may go.
const keptVersions = 1000

func (d *store) manifestSize() uint32 {
	info, err := os.Stat(filepath.Join(d.dir, badgerDir, "MANIFEST"))
	if err != nil {
		return 0
	}
	return uint32(info.Size())
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
	return d.notes.reset(notes)
}

func (d *store) Limits() driver.Limits { return d.limits }

// Free leaves out what Badger will write whatever happens: the memtables on
// their way to disk and the log of the next one.
func (d *store) Free() (int64, error) {
	if err := d.enter(); err != nil {
		return 0, err
	}
	defer d.mu.RUnlock()
	free, err := freeSpace(d.dir)
	return free - 3*d.opts.MemTable, err
}

func (d *store) Verify(context.Context) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	return verifyOpen(d.db)
}

// gcInterval is how often the log of large values is looked at for space to
// win back.
const gcInterval = 10 * time.Minute

func (d *store) collect() {
	if d.enter() != nil {
		return
	}
	defer d.mu.RUnlock()
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
	if d.db != nil {
		if err := d.db.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close badger: %w", err))
		}
	}
	if d.notes != nil && d.notes.f != nil {
		errs = append(errs, d.notes.close())
	}
	if d.water != nil {
		errs = append(errs, d.water.close())
	}
	return errors.Join(append(errs, d.folder.unlock())...)
}

// badgerLogger hands Badger's messages on.
type badgerLogger struct{ log *slog.Logger }

func (l badgerLogger) message(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
func (l badgerLogger) Errorf(format string, args ...any) {
	l.log.Error("badger", "msg", l.message(format, args))
}
func (l badgerLogger) Warningf(format string, args ...any) {
	l.log.Warn("badger", "msg", l.message(format, args))
}
func (l badgerLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("badger", "msg", l.message(format, args))
	}
}
func (l badgerLogger) Debugf(string, ...any) {}
