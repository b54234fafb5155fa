package pgqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/internal/pgtest"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

// A batch that waits while another begins a term sees that term, whatever isolation the
// role or the database has by default.
func TestFencedInAnyIsolation(t *testing.T) {
	schema := newSchema()
	old, err := pgqueue.Open(t.Context(), dsn()+"&default_transaction_isolation=serializable", options(schema))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	c, err := pgx.Connect(t.Context(), dsn())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	// What takeLead does, step by step.
	var key int64
	if err := c.QueryRow(t.Context(), `SELECT substring(prosrc from 'lock_shared\((-?\d+)\)')::bigint FROM pg_proc
		WHERE proname = 'check_term' AND pronamespace = to_regnamespace($1)`, schema).Scan(&key); err != nil {
		t.Fatal(err)
	}
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock($1)", key); err != nil {
		t.Fatal(err)
	}
	committed := make(chan error, 1)
	go func() { committed <- put(old, "k", "too late") }()
	for waiting := false; !waiting; {
		if err := tx.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
			WHERE locktype = 'advisory' AND NOT granted AND application_name = 'weir batches ' || $1)`, schema).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec(t.Context(), "UPDATE "+schema+".leader SET term = term + 1"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-committed; !errors.Is(err, queue.ErrFenced) {
		t.Errorf("the batch of the term before returned %v, want ErrFenced", err)
	}
}

// A store is on the primary of several servers, and all of its sessions are. When that
// dies nothing is read from another, which may be behind, before that leads a term.
func TestFailoverOfTheServer(t *testing.T) {
	primary, err := pgtest.Start("fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	defer primary.Close()
	standby, err := primary.Standby()
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close()
	if _, err := pgqueue.Open(t.Context(), standby.DSN(), options("s")); err == nil || !strings.Contains(err.Error(), "standby server") || !pgqueue.IsUnreachable(err) {
		t.Errorf("a standby server alone: open returned %v, want that it is one and that time may mend it", err)
	}
	both := fmt.Sprintf("postgres://weir@/postgres?host=%s,%s", standby.Socket(), primary.Socket())
	opts := options("s")
	opts.LeaderTimeout = time.Hour // let reads find out
	s, err := pgqueue.Open(t.Context(), both, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := put(s, "k", "v"); err != nil {
		t.Fatal(err)
	}
	for v := ""; v != "v"; {
		view, err := pgqueue.OpenView(t.Context(), standby.DSN(), options("s"))
		if err != nil {
			continue // the schema is not there yet
		}
		b, _ := view.Get(t.Context(), "t", "k")
		v = string(b)
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := primary.Stop("immediate"); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	if v, err := s.Get(t.Context(), "t", "k"); !errors.Is(err, queue.ErrFailed) {
		t.Errorf("after a failover of the server a record is %q, %v, want ErrFailed", v, err)
	}
	next, err := pgqueue.Open(t.Context(), both, options("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if v, err := next.Get(t.Context(), "t", "k"); err != nil || string(v) != "v" {
		t.Errorf("on the server that took over the record is %q, %v, want v", v, err)
	}
	if err := next.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
