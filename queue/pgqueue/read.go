package pgqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// readers are the sessions for reads, opened when they are first needed. Those
// that look keys up at the same time share statements: while all are busy keys
// gather, and whichever is free next asks for all of them.
type readers struct {
	d     *store
	slots chan *pgx.Conn // nil for one that is not connected

	mu      sync.Mutex
	waiting []*lookup
	active  int // goroutines that look up
}

// A lookup is one key that is asked for.
type lookup struct {
	key   []byte
	value []byte
	err   error
	done  chan struct{}
}

// maxLookups is how many keys one statement asks for.
const maxLookups = 256

func newReaders(d *store) *readers {
	r := &readers{d: d, slots: make(chan *pgx.Conn, d.opts.Readers)}
	for range d.opts.Readers {
		r.slots <- nil
	}
	return r
}

// close ends the sessions. No read is under way, or will be.
func (r *readers) close(ctx context.Context) {
	for range cap(r.slots) {
		if c := <-r.slots; c != nil {
			c.Close(ctx)
		}
	}
}

// with calls fn with a session. If that has ended meanwhile, as idle ones do, fn
// is called once more with another.
func (r *readers) with(ctx context.Context, op string, fn func(c *pgx.Conn) error) error {
	var c *pgx.Conn
	select {
	case c = <-r.slots:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { r.slots <- c }()
	for old := c != nil; ; old = false {
		if c == nil {
			fresh, err := r.d.open.connect(ctx, r.d.dsn, "reads "+r.d.opts.Schema, readSession)
			if err == nil && r.d.snapshot != "" {
				err = r.d.joinSnapshot(ctx, fresh)
			}
			if err != nil {
				return r.d.unreadable(ctx, pgError(op, err))
			}
			c = fresh
		}
		err := fn(c)
		if !c.IsClosed() {
			return err
		}
		c = nil
		if !old || ctx.Err() != nil {
			return r.d.unreadable(ctx, fmt.Errorf("%s: %w: %w", op, errConnection, err))
		}
	}
}

// unreadable returns the error of a read. One of the way to the server, which a session of
// its own has not mended, is the end of the store: whoever leads next may reach it.
func (d *store) unreadable(ctx context.Context, err error) error {
	var e *pgconn.PgError
	if ctx.Err() != nil || !isUnreachable(err) || errors.As(err, &e) && e.Code[:2] == "53" { // no connection is left, say
		return err
	}
	d.fail(err)
	return failed(*d.broken.Load())
}

// failed says of what ends a store that it does.
func failed(err error) error {
	if errors.Is(err, queue.ErrFailed) {
		return err
	}
	return fmt.Errorf("%w: %w", queue.ErrFailed, err)
}

func (d *store) Get(ctx context.Context, key []byte) ([]byte, error) {
	if err := d.enter(); err != nil {
		return nil, failed(err)
	}
	defer d.mu.RUnlock()
	l := &lookup{key: bytes.Clone(key), done: make(chan struct{})}
	r := d.readers
	r.mu.Lock()
	r.waiting = append(r.waiting, l)
	if r.active < d.opts.Readers {
		r.active++
		d.work.Go(r.lookUp)
	}
	r.mu.Unlock()
	select {
	case <-l.done:
		return l.value, l.err
	case <-ctx.Done(): // the statement goes on, for the others
		return nil, context.Cause(ctx)
	}
}

// lookUp answers lookups until there are none.
func (r *readers) lookUp() {
	for {
		r.mu.Lock()
		n := min(len(r.waiting), maxLookups)
		if n == 0 {
			r.active--
			r.mu.Unlock()
			return
		}
		batch := r.waiting[:n:n]
		if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
			r.waiting = nil
		}
		r.mu.Unlock()
		err := r.with(context.Background(), "get", func(c *pgx.Conn) error { return r.lookUpAll(c, batch) })
		for _, l := range batch {
			if err != nil { // whatever the lookup has said of single keys before it failed
				l.value, l.err = nil, err
			}
			close(l.done)
		}
	}
}

func (r *readers) lookUpAll(c *pgx.Conn, batch []*lookup) error {
	keys := make([][]byte, len(batch))
	for i, l := range batch {
		keys[i] = l.key
		l.value, l.err = nil, driver.ErrNotFound
	}
	rows, err := c.Query(context.Background(), `SELECT w.i, found.v FROM unnest($1::bytea[]) WITH ORDINALITY AS w(k, i),
		LATERAL (SELECT v FROM `+r.d.schema+`.kv WHERE kv.k = w.k ORDER BY kv.k, kv.n DESC LIMIT 1) AS found`, keys)
	if err != nil {
		return pgError("get", err)
	}
	var i int64
	var stored []byte
	_, err = pgx.ForEachRow(rows, []any{&i, &stored}, func() error {
		l := batch[i-1]
		var value []byte
		value, l.err = unseal(l.key, stored)
		l.value = bytes.Clone(value)
		return nil
	})
	return pgError("get", err)
}

// firstPage and maxPage are how many rows a Scan asks for at first and at most.
const (
	firstPage = 64
	maxPage   = 4096
)

func (d *store) Scan(ctx context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	if err := d.enter(); err != nil {
		return failed(err)
	}
	defer d.mu.RUnlock()
	var stopped error // what fn's caller is told, whatever comes of the session
	err := d.readers.with(ctx, "scan", func(c *pgx.Conn) error {
		seen := false
		stopped = nil
		err := d.inSnapshot(ctx, c, func(tx reader) error {
			_, err := d.scan(ctx, tx, start, end, func(key, value []byte) bool {
				seen = true
				return fn(key, value)
			})
			return err
		})
		if err != nil && seen && c.IsClosed() {
			stopped = d.unreadable(ctx, fmt.Errorf("scan: %w: %w", errConnection, err)) // fn cannot be told all again
			return nil
		}
		return pgError("scan", err)
	})
	if err == nil {
		err = stopped
	}
	return err
}

// A reader is a transaction, or a session in one.
type reader interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// inSnapshot calls fn with a transaction that sees one state.
func (d *store) inSnapshot(ctx context.Context, c *pgx.Conn, fn func(tx reader) error) error {
	if d.snapshot != "" { // the session is in one
		if _, err := c.Exec(ctx, "SAVEPOINT looked"); err != nil {
			return err
		}
		defer c.Exec(context.WithoutCancel(ctx), "ROLLBACK TO SAVEPOINT looked")
		return fn(c)
	}
	tx, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	return fn(tx)
}

// scan reads pages. It returns how many rows it has read.
func (d *store) scan(ctx context.Context, tx reader, start, end []byte, fn func(key, value []byte) bool) (n int64, err error) {
	from := notNil(start)
	for page := firstPage; ; page = min(4*page, maxPage) {
		var rows pgx.Rows
		if end == nil {
			rows, err = tx.Query(ctx, "SELECT k, v FROM "+d.schema+".kv WHERE k >= $1 ORDER BY k LIMIT $2", from, page)
		} else {
			rows, err = tx.Query(ctx, "SELECT k, v FROM "+d.schema+".kv WHERE k >= $1 AND k < $2 ORDER BY k LIMIT $3", from, end, page)
		}
		if err != nil {
			return n, err
		}
		got, more, err := eachPair(rows, fn, &from)
		n += int64(got)
		if err != nil || !more || got < page {
			return n, err
		}
	}
}

// eachPair calls fn for the rows of a page, and sets next behind the last.
func eachPair(rows pgx.Rows, fn func(key, value []byte) bool, next *[]byte) (n int, more bool, err error) {
	defer rows.Close()
	more = true
	for more && rows.Next() {
		pair := rows.RawValues() // in binary, so as they are; valid until Next
		value, err := unseal(pair[0], pair[1])
		if err != nil {
			return n, false, err
		}
		n++
		*next = append(append((*next)[:0:0], pair[0]...), 0)
		more = fn(pair[0], value)
	}
	rows.Close()
	return n, more, rows.Err()
}

// Verify reads every value, and compares what the index finds with what the
// table has.
func (d *store) Verify(ctx context.Context) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	return d.readers.with(ctx, "verify", func(c *pgx.Conn) error {
		return pgError("verify", d.inSnapshot(ctx, c, func(tx reader) error { return d.verify(ctx, tx) }))
	})
}

func (d *store) verify(ctx context.Context, tx reader) error {
	var last, twice []byte
	found, err := d.scan(ctx, tx, nil, nil, func(key, _ []byte) bool {
		if bytes.Equal(key, last) {
			twice = bytes.Clone(key)
		}
		last = append(last[:0], key...)
		return twice == nil
	})
	if err != nil {
		return err
	}
	if twice != nil {
		return fmt.Errorf("%w: table kv: key %q has two values", driver.ErrCorrupt, twice)
	}
	if _, err := tx.Exec(ctx, "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off", pgx.QueryExecModeSimpleProtocol); err != nil {
		return err
	}
	var rows int64
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+d.schema+".kv").Scan(&rows); err != nil {
		return err
	}
	if rows != found {
		return fmt.Errorf("%w: index kv_key finds %d of %d rows of table kv", driver.ErrCorrupt, found, rows)
	}
	return nil
}
