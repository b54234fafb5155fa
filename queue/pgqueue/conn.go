package pgqueue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// plans keeps the planner to the one good plan, whatever the statistics of a
// table say that has just grown from nothing.
const plans = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SET enable_bitmapscan = off; SET enable_material = off; SET jit = off; SET plan_cache_mode = force_generic_plan;`

// everySession is what all sessions set, whatever the server, the database and the role say.
// Nothing ends them but their end. In a stricter isolation than READ COMMITTED a batch that
// has waited for the beginning of a term would look for its own term in the state from
// before, and find it. A machine that has gone without a word is noticed in seconds, and not
// in hours: until then its sessions hold what they hold, a view the rows that are dead, and
// the midst of a batch the beginning of the next term.
const everySession = `SET default_transaction_isolation = 'read committed';
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0; SET statement_timeout = 0; SET lock_timeout = 0;
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';` // since PostgreSQL 17

// What else the sessions of a store set.
const (
	batchSession = plans + `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');`
	noteSession  = plans + `SET synchronous_commit = off;`
	readSession  = plans + `SET default_transaction_read_only = on;`
)

// sockets are the connections of a store, so that whoever waits for one that is cut off
// can be told. The zero value has none.
//
// Where a connection string names several servers, or a name has several addresses, all go
// to the one that the first has found: another may be behind it.
type sockets struct {
	writes bool // standby servers, which only read, are not for it

	mu     sync.Mutex
	all    map[net.Conn]bool
	closed bool
	server string // its address, "" before the first session is open
}

var errElsewhere = errors.New("another server than the one that the store's first session found")

// close closes all, and those to come.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.all {
		_ = c.Close()
	}
}

// dial makes dial's connections known, and sets last to the address of each.
func (s *sockets) dial(dial pgconn.DialFunc, last *string) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		s.mu.Lock()
		elsewhere := s.server != "" && s.server != address
		s.mu.Unlock()
		if elsewhere {
			return nil, errElsewhere
		}
		*last = address
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		if s.all == nil {
			s.all = make(map[net.Conn]bool)
		}
		s.all[c] = true
		return &socket{c, s}, nil
	}
}

type socket struct {
	net.Conn
	of *sockets
}

func (c *socket) Close() error {
	c.of.mu.Lock()
	delete(c.of.all, c.Conn)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// isPrimary refuses a standby server; the next one that the connection string names is
// tried then. Servers tell since PostgreSQL 14.
func isPrimary(_ context.Context, c *pgconn.PgConn) error {
	if c.ParameterStatus("in_hot_standby") == "on" {
		return errors.New("it is a standby server, which is read-only; name its primary, or promote it")
	}
	return nil
}

// connectTime is how long it may take to open a session, unless the connection string
// says so (connect_timeout).
const connectTime = 15 * time.Second

// connect opens a session.
func (s *sockets) connect(ctx context.Context, dsn, role, settings string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("%w: connection string: %w", queue.ErrInvalid, err)
	}
	config.RuntimeParams["application_name"] = "weir " + role
	address := ""
	config.DialFunc = s.dial(config.DialFunc, &address)
	if s.writes {
		config.ValidateConnect = isPrimary
	}
	if _, ok := ctx.Deadline(); !ok && config.ConnectTimeout == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, connectTime)
		defer cancel()
	}
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, &connectError{err}
	}
	if _, err := c.PgConn().Exec(ctx, everySession+settings).ReadAll(); err != nil {
		c.Close(ctx)
		return nil, fmt.Errorf("settings of the session: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == "" {
		s.server = address
	}
	return c, nil
}

// A connectError is that of pgx, which tries each address with TLS and without it where
// sslmode leaves that open, and tells of all attempts, each on a line. Those that say the
// same are told once, and that a server has no TLS only where nothing else is wrong.
type connectError struct{ err error }

func (e *connectError) Unwrap() error { return e.err }

func (e *connectError) Error() string {
	what, attempts, ok := strings.Cut(e.err.Error(), ":\n\t")
	if !ok {
		return e.err.Error()
	}
	var all, others []string
	for line := range strings.SplitSeq(attempts, "\n\t") {
		if slices.Contains(all, line) {
			continue
		}
		all = append(all, line)
		if !strings.HasSuffix(line, "server refused TLS connection") {
			others = append(others, line)
		}
	}
	if len(others) > 0 {
		all = others
	}
	return what + ": " + strings.Join(all, "; ")
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// pgError says what an error of PostgreSQL means.
func pgError(op string, err error) error {
	if err == nil {
		return nil
	}
	var meaning error
	advice := ""
	switch sqlState(err) {
	case stateFenced:
		meaning = driver.ErrFenced
	case stateCorrupt, "XX001", "XX002": // data_corrupted, index_corrupted
		meaning = driver.ErrCorrupt
	case "53100": // disk_full
		meaning, advice = queue.ErrDiskFull, " (of the database server; nothing of the batch was stored)"
	case "28P01", "28000": // invalid_password, invalid_authorization_specification
		advice = "; give the password in PGPASSWORD, ~/.pgpass or PGPASSFILE, and look at the server's pg_hba.conf"
	case "3D000": // invalid_catalog_name
		advice = "; make the database with createdb, or name another"
	case "25006": // read_only_sql_transaction
		advice = "; the database is read-only: a standby server, or default_transaction_read_only"
	case "42501": // insufficient_privilege
		advice = "; to look, a role needs USAGE of the schema and SELECT of its tables; to crawl, it must have made the schema, or have CREATE on the database"
	}
	if meaning != nil {
		return fmt.Errorf("%s: %w%s: %w", op, meaning, advice, err)
	}
	return fmt.Errorf("%s: %w%s", op, err, advice)
}

// isUnreachable reports whether an error is one of the network or of a server
// that is starting or stopping, which time may mend.
func isUnreachable(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch e.Code[:2] {
		case "57", "08", "53": // operator_intervention, connection_exception, insufficient_resources
			return true
		}
		return false
	}
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connecting) || errors.As(err, &network) || errors.Is(err, errConnection)
}

// isLasting reports whether an error is one that no waiting mends: rights that are missing, a
// schema that has gone, a database that is read-only, rows that are not what was written.
func isLasting(err error) bool {
	if errors.Is(err, driver.ErrCorrupt) {
		return true
	}
	state := sqlState(err)
	if len(state) != 5 || errors.Is(err, driver.ErrFenced) {
		return false
	}
	switch state[:2] {
	case "22", "23", "25", "28", "3D", "3F", "42": // data, constraint, transaction state, authorization, catalog, schema, access rule
		return true
	}
	return false
}

// errConnection wraps errors of connections that have gone.
var errConnection = errors.New("connection lost")

// connError returns the error of a call on a connection.
func connError(c *pgx.Conn, op string, err error) error {
	if err != nil && c.IsClosed() {
		err = fmt.Errorf("%w: %w", errConnection, err)
	}
	return pgError(op, err)
}
