package pgqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// State is what can be known of a store without opening it.
type State struct {
	Exists bool   // there is a store in the schema
	Leader string // the process that leads it, in words; "" if none does
}

// ReadState returns the state of the store in a schema, and changes nothing. Its
// errors are those of [Open], but for queue.ErrLocked.
func ReadState(ctx context.Context, dsn string, options *Options) (State, error) {
	opts, err := options.withDefaults()
	if err != nil {
		return State{}, err
	}
	st, err := readState(ctx, dsn, opts.Schema)
	if err != nil {
		return State{}, fmt.Errorf("schema %s: %w", opts.Schema, err)
	}
	return st, nil
}

func readState(ctx context.Context, dsn, schema string) (st State, err error) {
	c, err := new(sockets).connect(ctx, dsn, "state "+schema, "")
	if err != nil {
		return st, pgError("connect", err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	if st.Exists, err = recogniseSchema(ctx, c, schema); err != nil || !st.Exists {
		return st, pgError("read state", err)
	}
	st.Leader, err = leaderOf(ctx, c, schema)
	return st, pgError("read state", err)
}

// leaderOf says in words who has the leader's lock of a schema, "" if nobody has.
func leaderOf(ctx context.Context, c *pgx.Conn, schema string) (string, error) {
	leader, _ := lockKeys(schema)
	var locked bool
	err := c.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND (classid::bigint << 32 | objid::bigint) = $1)`, leader).Scan(&locked)
	if err != nil || !locked {
		return "", err
	}
	return holderOf(ctx, c, schema)
}

// holderOf says in words who has begun the present term.
func holderOf(ctx context.Context, c *pgx.Conn, schema string) (string, error) {
	var holder string
	var since time.Time
	err := c.QueryRow(ctx, "SELECT holder, since FROM "+quoted(schema)+".leader").Scan(&holder, &since)
	return fmt.Sprintf("%s leads since %s", holder, since.UTC().Format(time.RFC3339)), err
}
