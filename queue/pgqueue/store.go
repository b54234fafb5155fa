package pgqueue

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/internal/lease"
	"github.com/seed-301537d8/weir/queue/driver"
)

// store implements driver.Store. It has a session for each of batches, notes,
// leadership, and some for reads.
type store struct {
	dsn    string
	opts   Options
	schema string // quoted
	log    *slog.Logger
	term   int64

	snapshot string // that every read sees; "" unless this is a view's

	commits *pgx.Conn // used by Commit alone
	batch   int64     // number of the last batch; Commit's
	recent  recent    // Commit's

	notesMu sync.Mutex
	notes   *pgx.Conn
	note    int64 // number of the last note

	leading *pgx.Conn // holds the leader's lock; used by the heartbeat alone
	readers *readers

	broken atomic.Pointer[error] // why nothing works any more
	lost   chan struct{}         // closed after broken was set
	open   sockets               // of all sessions
	held   lease.Holder          // of the leader's lock

	mu     sync.RWMutex // held for reading by every call, for writing by Close
	closed bool
	stop   context.CancelFunc
	work   sync.WaitGroup
}

var limits = driver.Limits{Writes: 20_000, Bytes: 16 << 20, Overhead: 64}

func open(ctx context.Context, dsn string, opts Options) (_ *store, err error) {
	d := &store{dsn: dsn, opts: opts, schema: quoted(opts.Schema), log: opts.Queue.Logger, lost: make(chan struct{})}
	d.open.writes = true
	d.readers = newReaders(d)
	running, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	defer func() {
		if err != nil {
			d.stop()
			d.disconnect()
		}
	}()
	if d.leading, err = d.open.connect(ctx, dsn, "leader "+opts.Schema, ""); err != nil {
		return nil, pgError("connect", err)
	}
	asked := time.Now()
	if err := d.takeLead(ctx); err != nil {
		return nil, connError(d.leading, "lead", err)
	}
	d.held.Answered(asked, lease.Share(d.opts.LeaderTimeout))
	if d.commits, err = d.open.connect(ctx, dsn, "batches "+opts.Schema, batchSession); err != nil {
		return nil, pgError("connect", err)
	}
	if d.notes, err = d.open.connect(ctx, dsn, "notes "+opts.Schema, noteSession); err != nil {
		return nil, pgError("connect", err)
	}
	d.batch, d.note = d.term<<32, d.term<<32
	d.work.Go(func() { d.beat(running) })
	return d, nil
}

// takeLead takes the leader's lock, makes the schema if need be, and begins a
// term.
func (d *store) takeLead(ctx context.Context) error {
	c := d.leading
	if err := d.checkServer(ctx); err != nil {
		return err
	}
	leader, batches := lockKeys(d.opts.Schema)
	if err := d.lock(ctx, leader); err != nil {
		return err
	}
	if err := makeSchema(ctx, c, d.opts.Schema); err != nil {
		return err
	}
	tx, err := c.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx)
	// Batches of the leader before that are under way end first, and later ones
	// see the new term.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", batches); err != nil {
		return err
	}
	host, _ := os.Hostname()
	err = tx.QueryRow(ctx, "UPDATE "+d.schema+".leader SET term = term + 1, holder = $1, since = now() RETURNING term",
		fmt.Sprintf("pid %d on %s", os.Getpid(), host)).Scan(&d.term)
	if err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	return d.setTimeout(ctx)
}

// lockPatience is how long an Open waits for the leader's lock: the server may
// take a moment to notice that the process before has died.
const lockPatience = 2 * time.Second

func (d *store) lock(ctx context.Context, key int64) error {
	for end := time.Now().Add(lockPatience); ; {
		locked := false
		if err := d.leading.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&locked); err != nil {
			return err
		}
		if locked {
			return nil
		}
		if !time.Now().Before(end) {
			return fmt.Errorf("%w%s", driver.ErrLocked, d.holder(ctx))
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// checkServer refuses a server that does not keep what it has confirmed.
func (d *store) checkServer(ctx context.Context) error {
	var version string
	var number int
	if err := d.leading.QueryRow(ctx, "SELECT version(), current_setting('server_version_num')::int").Scan(&version, &number); err != nil {
		return err
	}
	if number < 140000 || strings.Contains(version, "CockroachDB") {
		return fmt.Errorf("the server is %s, want PostgreSQL 14 or later with its advisory locks", version)
	}
	var off []string
	for _, name := range []string{"fsync", "full_page_writes"} {
		var value string
		if err := d.leading.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return err
		}
		if value == "off" {
			off = append(off, name)
		}
	}
	if len(off) == 0 {
		return nil
	}
	what := strings.Join(off, " and ")
	if !d.opts.Unsafe {
		return fmt.Errorf("the server has %s off and may lose or corrupt what it has confirmed; switch it on, or set Options.Unsafe", what)
	}
	d.log.Warn("THE SERVER MAY LOSE OR CORRUPT THE STORE: it has "+what+" off", "schema", d.opts.Schema)
	return nil
}

// holder says who leads, as far as it can be known.
func (d *store) holder(ctx context.Context) string {
	words, err := holderOf(ctx, d.leading, d.opts.Schema)
	if err != nil {
		return ""
	}
	return ": " + words
}

// beat gives signs of life, and finds out that another leads.
func (d *store) beat(ctx context.Context) {
	tick := time.NewTicker(d.opts.LeaderTimeout / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		err := d.within(ctx, d.checkTerm)
		if err != nil && d.leading.IsClosed() {
			// Perhaps the server took this process for dead because it was stopped.
			// That is no reason to end if nobody else leads.
			asked = time.Now()
			err = d.within(ctx, d.leadAgain)
		}
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			d.held.Answered(asked, lease.Share(d.opts.LeaderTimeout))
		}
		if err != nil {
			d.fail(connError(d.leading, "heartbeat", err))
			return
		}
	}
}

// within calls fn with as much time as the server gives a leader: one that has no answer
// by then is cut off, and leads no more.
func (d *store) within(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.opts.LeaderTimeout)
	defer cancel()
	return fn(ctx)
}

// Lasts implements driver.Led: the server ends the session of a leader that is silent.
func (d *store) Lasts() time.Duration {
	if d.isLost() {
		return 0
	}
	return d.held.Lasts()
}

// checkTerm returns an error that wraps ErrFenced if another has begun a term.
func (d *store) checkTerm(ctx context.Context) error {
	var term int64
	if err := d.leading.QueryRow(ctx, "SELECT term FROM "+d.schema+".leader").Scan(&term); err != nil {
		return err
	}
	if term != d.term {
		return fmt.Errorf("%w: term %d has ended, it is %d%s", driver.ErrFenced, d.term, term, d.holder(ctx))
	}
	return nil
}

// leadAgain takes the lock with another session, within the same term.
func (d *store) leadAgain(ctx context.Context) error {
	c, err := d.open.connect(ctx, d.dsn, "leader "+d.opts.Schema, "")
	if err != nil {
		return err
	}
	d.leading = c
	if err := d.checkTerm(ctx); err != nil {
		return err
	}
	leader, _ := lockKeys(d.opts.Schema)
	locked := false
	if err := c.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", leader).Scan(&locked); err != nil {
		return err
	}
	if !locked {
		return fmt.Errorf("%w: another has the leader's lock", driver.ErrFenced)
	}
	if err := d.checkTerm(ctx); err != nil { // it may have come and gone
		return err
	}
	return d.setTimeout(ctx)
}

// setTimeout makes the server end the leader's session when it gives no sign of
// life.
func (d *store) setTimeout(ctx context.Context) error {
	_, err := d.leading.Exec(ctx, fmt.Sprintf("SET idle_session_timeout = %d", d.opts.LeaderTimeout.Milliseconds()))
	return err
}

// fail makes every call from now on return the error.
func (d *store) fail(err error) {
	if d.broken.CompareAndSwap(nil, &err) {
		d.log.Error("the store is lost", "schema", d.opts.Schema, "err", err)
		close(d.lost)
		// What waits for a server that is cut off would wait for ever.
		d.open.close()
	}
}

func (d *store) isLost() bool { return d.broken.Load() != nil }

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

// write calls one of the store's functions, in a transaction of its own. An error is the
// end of the store: it may have been written or not, and where PostgreSQL itself says
// that it has not, as without space, nobody can go on from what was planned.
func (d *store) write(ctx context.Context, c *pgx.Conn, op, sql string, args ...any) error {
	_, err := c.Exec(ctx, sql, args...)
	if err == nil {
		return nil
	}
	err = connError(c, op, err)
	if why := d.broken.Load(); why != nil {
		return fmt.Errorf("%s: %w", op, *why) // which has closed the connection perhaps
	}
	d.fail(err)
	return err
}

func (d *store) Commit(ctx context.Context, writes []driver.Write) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	size := 0
	for i := range writes {
		size += len(writes[i].Key) + len(writes[i].Value) + limits.Overhead
	}
	if len(writes) > limits.Writes || size > limits.Bytes {
		return fmt.Errorf("%w: %d writes of %d bytes", driver.ErrTooLarge, len(writes), size)
	}
	if len(writes) == 0 {
		return nil
	}
	d.batch++
	b := d.recent.plan(writes, size)
	if err := d.write(ctx, d.commits, "commit", "SELECT "+d.schema+".commit_batch($1, $2, $3, $4, $5, $6, $7)",
		d.term, d.batch, b.oldKeys, b.oldNumbers, b.coldKeys, b.newKeys, b.newValues); err != nil {
		return err
	}
	d.recent.apply(b, d.batch)
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends a value as it is stored under a key.
func seal(b, key, value []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value))
	return append(b, value...)
}

// unseal returns the value that is stored under a key.
func unseal(key, stored []byte) ([]byte, error) {
	if len(stored) < 4 || binary.BigEndian.Uint32(stored) != crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, stored[4:]) {
		return nil, fmt.Errorf("%w: table kv: the value of key %q does not match its checksum", driver.ErrCorrupt, key)
	}
	return stored[4:], nil
}

func (d *store) AppendNotes(ctx context.Context, note []byte) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	d.note++
	return d.write(ctx, d.notes, "append notes", "SELECT "+d.schema+".append_note($1, $2, $3)", d.term, d.note, notNil(note))
}

// notNil makes an empty value of nil, which would be NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (d *store) ReadNotes(ctx context.Context, fn func(note []byte)) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	rows, err := d.notes.Query(ctx, "SELECT note FROM "+d.schema+".notes ORDER BY n")
	if err != nil {
		return connError(d.notes, "read notes", err)
	}
	var note []byte
	_, err = pgx.ForEachRow(rows, []any{&note}, func() error {
		fn(note)
		return nil
	})
	return connError(d.notes, "read notes", err)
}

func (d *store) ResetNotes(ctx context.Context, notes [][]byte) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.notesMu.Lock()
	defer d.notesMu.Unlock()
	all := make([][]byte, len(notes))
	for i, note := range notes {
		all[i] = notNil(note)
	}
	first := d.note
	d.note += int64(len(notes))
	return d.write(ctx, d.notes, "reset notes", "SELECT "+d.schema+".reset_notes($1, $2, $3)", d.term, first, all)
}

func (d *store) Limits() driver.Limits { return limits }

// Free does not know: no server says how much it can still write.
func (d *store) Free() (int64, error) {
	if err := d.enter(); err != nil {
		return 0, err
	}
	d.mu.RUnlock()
	return math.MaxInt64, nil
}

func (d *store) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return driver.ErrClosed
	}
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.work.Wait()
	d.disconnect()
	return nil
}

// disconnect ends all sessions, that of the leader's lock last.
func (d *store) disconnect() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	d.readers.close(ctx)
	if d.leading != nil && !d.leading.IsClosed() {
		// The server gives the lock free at some time after the session's end.
		leader, _ := lockKeys(d.opts.Schema)
		d.leading.Exec(ctx, "SELECT pg_advisory_unlock($1)", leader)
	}
	for _, c := range []*pgx.Conn{d.notes, d.commits, d.leading} {
		if c != nil {
			c.Close(ctx)
		}
	}
}
