// Package pgqueue keeps a queue store in a schema of a PostgreSQL database, so
// that another machine can go on with it when this one dies. Where one folder on
// one machine will do, package badgerqueue is simpler and faster.
//
// One process at a time leads a store: it holds an advisory lock, and every
// batch checks in its own transaction that the leader's term has not ended. So a
// process that was paused, cut off or believed dead can never write again once
// another leads. Others wait and take over; see [Lead].
//
// PostgreSQL 14 and later; connections must not go through a pooler that gives
// each transaction another session.
package pgqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// Options are the settings of an open store. Nil and zero fields mean the
// defaults given.
type Options struct {
	// Queue holds the settings that every backend has. MinFree means nothing
	// here, since nobody can ask a server for its free space: a batch for which
	// it has none fails the store with queue.ErrDiskFull, and loses nothing.
	Queue queue.Options

	// Schema is the name of the store within its database: 1 to 63 letters,
	// digits and underscores. Default "weir".
	Schema string

	// Readers is how many connections read at once. There are three besides.
	// Default 4.
	Readers int

	// LeaderTimeout is after how long without a sign of life the server takes
	// a leader for dead. One whose connection breaks is replaced at once.
	// Default 10 s, least 1 s.
	LeaderTimeout time.Duration

	// Standby, if it is set, is told by Lead that this process begins to wait, and
	// why: another leads, this process has lost the store to it, or the server cannot
	// be reached or has no space. What else Lead does goes to the log.
	Standby func(why error)

	// Unsafe opens the store on a server with fsync or full_page_writes off,
	// which may lose or corrupt it when the power fails, with a warning in the
	// log. Without it such a server is refused.
	Unsafe bool
}

func (o *Options) withDefaults() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Schema == "" {
		opts.Schema = "weir"
	}
	if !validSchema(opts.Schema) {
		return opts, fmt.Errorf("%w: Options.Schema is %q, want 1 to 63 letters, digits and underscores", queue.ErrInvalid, opts.Schema)
	}
	if opts.Readers <= 0 {
		opts.Readers = 4
	}
	if opts.LeaderTimeout == 0 {
		opts.LeaderTimeout = 10 * time.Second
	}
	opts.LeaderTimeout = max(opts.LeaderTimeout, time.Second)
	if opts.Queue.Logger == nil {
		opts.Queue.Logger = slog.New(slog.DiscardHandler)
	}
	return opts, nil
}

// Open opens the store in a schema, which is made if it does not exist, and
// leads it. dsn is a URL or a string of keywords as libpq has them, such as
// postgres://user@host/database.
//
// It returns an error that wraps queue.ErrLocked, and says who leads, if another
// process does; queue.ErrVersion if the schema holds something else or was
// written by a newer version; queue.ErrCorrupt if stored bytes are not what was
// written. In these cases it changes nothing.
//
// When the server dies or another process takes over, the store fails, and what
// it then returns wraps queue.ErrFailed, and queue.ErrFenced in the second case.
func Open(ctx context.Context, dsn string, options *Options) (*queue.Store, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s, _, err := openQueue(ctx, dsn, &opts)
	return s, err
}

func openQueue(ctx context.Context, dsn string, opts *Options) (*queue.Store, *store, error) {
	db, err := open(ctx, dsn, *opts)
	if err != nil {
		return nil, nil, fmt.Errorf("open schema %s: %w", opts.Schema, err)
	}
	s, err := queue.New(ctx, db, &opts.Queue)
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("open schema %s: %w", opts.Schema, err)
	}
	return s, db, nil
}

// OpenDriver opens a schema for those who put something between it and a store.
// Its errors are those of Open.
func OpenDriver(ctx context.Context, dsn string, options *Options) (driver.Store, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	db, err := open(ctx, dsn, opts)
	if err != nil {
		return nil, fmt.Errorf("open schema %s: %w", opts.Schema, err)
	}
	return db, nil
}

// standbyInterval is how often a standby asks whether it may lead.
const standbyInterval = time.Second

// Lead waits until this process may lead the store, opens it and calls run, again
// and again: run's context ends when leadership is lost, and when run has returned
// this process is a standby again. Lead returns what run returns while it leads,
// the error of an Open that waiting does not mend, or the context's.
//
// While it waits it asks every second, so that it holds up nothing in the
// database, and goes on when the server cannot be reached, or has no space.
func Lead(ctx context.Context, dsn string, options *Options, run func(ctx context.Context, s *queue.Store) error) error {
	opts, err := options.withDefaults()
	if err != nil {
		return err
	}
	log := opts.Queue.Logger
	for waiting := false; ; {
		s, db, err := openQueue(ctx, dsn, &opts)
		switch {
		case err == nil:
			log.Info("leads the store", "schema", opts.Schema, "term", db.term)
			waiting = false
			err := lead(ctx, s, db, run)
			if !db.isLost() || ctx.Err() != nil {
				return err
			}
			why := *db.broken.Load()
			if isLasting(why) {
				return cmp.Or(err, fmt.Errorf("schema %s: %w", opts.Schema, why))
			}
			log.Warn("has lost the store and is a standby", "schema", opts.Schema, "err", err)
			if opts.Standby != nil {
				opts.Standby(fmt.Errorf("the store is lost: %w", why))
			}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, queue.ErrLocked), errors.Is(err, queue.ErrFenced), isUnreachable(err): // fenced while it opened the store
			if !waiting {
				log.Info("waits to lead the store", "schema", opts.Schema, "err", err)
				if opts.Standby != nil {
					opts.Standby(err)
				}
			}
			waiting = true
		default:
			return err
		}
		select {
		case <-time.After(standbyInterval):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// lead runs one term.
func lead(ctx context.Context, s *queue.Store, db *store, run func(ctx context.Context, s *queue.Store) error) error {
	term, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{})
	go func() {
		select {
		case <-db.lost:
			cancel(*db.broken.Load())
		case <-over:
		}
	}()
	err := run(term, s)
	close(over)
	return errors.Join(err, s.Close())
}
