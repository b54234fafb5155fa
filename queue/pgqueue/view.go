package pgqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/tidwall/btree"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// OpenView opens the store in a schema as it is at this moment, to look at it
// while another process leads it, or none. It is the store that a leader would find
// that takes over now: what is being worked on is ready again. What others commit
// later is not seen, and what is committed to it is kept in memory and lost with it;
// nothing is written to the database, which may be a read-only standby server.
//
// A view holds a transaction open. As long as it does vacuum can remove nothing that
// has become obsolete since, so close it soon.
//
// It returns an error that wraps queue.ErrNotFound if there is no store, and else the
// errors of [Open], but for queue.ErrLocked.
func OpenView(ctx context.Context, dsn string, options *Options) (*queue.Store, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	v, err := newView(ctx, dsn, opts)
	if err != nil {
		return nil, fmt.Errorf("look at schema %s: %w", opts.Schema, err)
	}
	if opts.Queue.SeenMemory == 0 {
		opts.Queue.SeenMemory = -1 // to learn all keys takes longer than to look some up
	}
	s, err := queue.New(ctx, v, &opts.Queue)
	if err != nil {
		v.Close()
		return nil, fmt.Errorf("look at schema %s: %w", opts.Schema, err)
	}
	return s, nil
}

// view implements driver.Store: a snapshot of what is stored, below what has been
// written to the view.
type view struct {
	*store // whose Commit, AppendNotes and ResetNotes are never called

	mu    sync.Mutex
	tree  *btree.BTreeG[driver.Write] // what has been written, by key
	notes [][]byte
}

func newView(ctx context.Context, dsn string, opts Options) (_ *view, err error) {
	d := &store{dsn: dsn, opts: opts, schema: quoted(opts.Schema), log: opts.Queue.Logger, lost: make(chan struct{}), stop: func() {}}
	d.readers = newReaders(d)
	defer func() {
		if err != nil {
			d.disconnect()
		}
	}()
	// The session whose snapshot the others share as long as its transaction is open.
	if d.notes, err = d.open.connect(ctx, dsn, "view "+opts.Schema, readSession); err != nil {
		return nil, pgError("connect", err)
	}
	exists, err := recogniseSchema(ctx, d.notes, opts.Schema)
	if err != nil {
		return nil, pgError("read", err)
	}
	if !exists {
		return nil, fmt.Errorf("%w: there is no store", queue.ErrNotFound)
	}
	if _, err := d.notes.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
		return nil, pgError("read", err)
	}
	if err := d.notes.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&d.snapshot); err != nil {
		return nil, pgError("read", err)
	}
	v := &view{store: d, tree: btree.NewBTreeGOptions(func(a, b driver.Write) bool {
		return bytes.Compare(a.Key, b.Key) < 0
	}, btree.Options{NoLocks: true})}
	err = d.ReadNotes(ctx, func(note []byte) { v.notes = append(v.notes, bytes.Clone(note)) })
	return v, err
}

// joinSnapshot makes a session see what the view sees.
func (d *store) joinSnapshot(ctx context.Context, c *pgx.Conn) error {
	_, err := c.PgConn().Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '"+d.snapshot+"'").ReadAll()
	return err
}

func (v *view) written() *btree.BTreeG[driver.Write] {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.tree.Copy()
}

func (v *view) Get(ctx context.Context, key []byte) ([]byte, error) {
	w, ok := v.written().Get(driver.Write{Key: key})
	switch {
	case ok && w.Delete:
		return nil, driver.ErrNotFound
	case ok:
		return bytes.Clone(w.Value), nil
	}
	return v.store.Get(ctx, key)
}

func (v *view) Scan(ctx context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	over := v.written().Iter()
	defer over.Release()
	left := over.Seek(driver.Write{Key: start})
	more := true
	// upTo passes on what was written before a key, or to its end, and returns whether
	// the key itself was written.
	upTo := func(key []byte) (same bool) {
		for ; left && more; left = over.Next() {
			w := over.Item()
			if end != nil && bytes.Compare(w.Key, end) >= 0 {
				left = false
				return same
			}
			if key != nil {
				if c := bytes.Compare(w.Key, key); c > 0 {
					return same
				} else if c == 0 {
					same = true
				}
			}
			if !w.Delete {
				more = fn(w.Key, w.Value)
			}
		}
		return same
	}
	err := v.store.Scan(ctx, start, end, func(key, value []byte) bool {
		if same := upTo(key); !same && more {
			more = fn(key, value)
		}
		return more
	})
	if err == nil && more {
		upTo(nil)
	}
	return err
}

func (v *view) Commit(_ context.Context, writes []driver.Write) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, w := range writes {
		v.tree.Set(driver.Write{Key: bytes.Clone(w.Key), Value: append([]byte{}, w.Value...), Delete: w.Delete})
	}
	return nil
}

func (v *view) AppendNotes(_ context.Context, note []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(v.notes, bytes.Clone(note))
	return nil
}

func (v *view) ReadNotes(_ context.Context, fn func(note []byte)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, note := range v.notes {
		fn(note)
	}
	return nil
}

func (v *view) ResetNotes(_ context.Context, notes [][]byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = nil
	for _, note := range notes {
		v.notes = append(v.notes, bytes.Clone(note))
	}
	return nil
}

// IsUnreachable reports whether an error is one of the network, or of a server that
// is starting or stopping: time may mend it. [Lead] waits at such an error.
func IsUnreachable(err error) bool {
	return err != nil && !errors.Is(err, queue.ErrInvalid) && isUnreachable(err)
}
