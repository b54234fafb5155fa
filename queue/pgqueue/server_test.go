package pgqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/internal/pgtest"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

func TestUnsafeServerIsRefused(t *testing.T) {
	opts := options(newSchema())
	opts.Unsafe = false
	if _, err := pgqueue.Open(t.Context(), dsn(), opts); err == nil || !strings.Contains(err.Error(), "fsync") {
		t.Errorf("open on a server with fsync=off returned %v", err)
	}
}

func TestOpenRefusesWhatIsNotAStore(t *testing.T) {
	for _, c := range []struct {
		name string
		sql  string // $s is the schema
		want error
		says string
	}{
		{"somebody's schema", "CREATE SCHEMA $s; CREATE TABLE $s.theses (text text)", queue.ErrVersion, "theses"},
		{"somebody's table weir", "CREATE SCHEMA $s; CREATE TABLE $s.weir (text text)", queue.ErrVersion, "weir"},
		{"a newer format", "CREATE SCHEMA $s; CREATE TABLE $s.weir (format int); INSERT INTO $s.weir VALUES (9)", queue.ErrVersion, "newer program"},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := newSchema()
			execute(t, strings.ReplaceAll(c.sql, "$s", schema))
			if _, err := pgqueue.Open(t.Context(), dsn(), options(schema)); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), schema) {
				t.Errorf("open returned %v, want %v with %q and the schema", err, c.want, c.says)
			}
		})
	}
	t.Run("a name that is none", func(t *testing.T) {
		if _, err := pgqueue.Open(t.Context(), dsn(), options(`a"b`)); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("open returned %v, want ErrInvalid", err)
		}
	})
	t.Run("an empty schema", func(t *testing.T) {
		schema := newSchema()
		execute(t, "CREATE SCHEMA "+schema)
		mustOpen(t, schema)
	})
	t.Run("a read-only database", func(t *testing.T) {
		schema := newSchema()
		_, err := pgqueue.Open(t.Context(), dsn()+"&default_transaction_read_only=on", options(schema))
		if err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("open returned %v, want that the database is read-only", err)
		}
	})
	t.Run("no server", func(t *testing.T) {
		_, err := pgqueue.Open(t.Context(), "postgres://weir@/postgres?host="+t.TempDir(), nil)
		if err == nil || errors.Is(err, queue.ErrCorrupt) {
			t.Errorf("open returned %v", err)
		}
	})
}

// What has been done to the rows of a store behind its back is noticed, and
// nothing that was not written is served.
func TestDamage(t *testing.T) {
	for _, c := range []struct {
		name, sql string
	}{
		{"a value changed", "UPDATE $s.kv SET v = set_byte(v, length(v) - 1, 7) WHERE k = '\\x6b31'"},
		{"a value of another key", "UPDATE $s.kv SET v = (SELECT v FROM $s.kv WHERE k = '\\x6b32') WHERE k = '\\x6b31'"},
		{"an empty value", "UPDATE $s.kv SET v = '' WHERE k = '\\x6b31'"},
		{"two values", "INSERT INTO $s.kv SELECT k, n + 1, v FROM $s.kv WHERE k = '\\x6b31'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := newSchema()
			db, err := pgqueue.OpenDriver(t.Context(), dsn(), options(schema))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.Commit(t.Context(), []driver.Write{{Key: []byte("k1"), Value: []byte("one")}, {Key: []byte("k2"), Value: []byte("two")}}); err != nil {
				t.Fatal(err)
			}
			execute(t, strings.ReplaceAll(c.sql, "$s", schema))
			if err := db.Verify(t.Context()); !errors.Is(err, queue.ErrCorrupt) {
				t.Errorf("Verify returned %v, want ErrCorrupt", err)
			}
			if v, err := db.Get(t.Context(), []byte("k1")); !errors.Is(err, queue.ErrCorrupt) && string(v) != "one" {
				t.Errorf("Get returned %q, %v, want ErrCorrupt or what was written", v, err)
			}
		})
	}
	t.Run("a row gone", func(t *testing.T) {
		schema := newSchema()
		s := mustOpen(t, schema)
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{Key: "a"}, queue.Item{Key: "b", Delay: time.Hour})
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		execute(t, fmt.Sprintf("DELETE FROM %s.kv WHERE get_byte(k, 0) = %d", schema, 'd'))
		if err := s.Check(t.Context()); !errors.Is(err, queue.ErrCorrupt) {
			t.Errorf("Check returned %v, want ErrCorrupt", err)
		}
	})
}

// A server of its own is stopped in immediate mode while a
// store commits, again and again. What was acknowledged is there, once.
func TestServerCrash(t *testing.T) {
	rounds := 2
	if *long {
		rounds = 30
	}
	server, err := pgtest.Start("fsync=off")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var acked atomic.Int64
	lives := 0
	worked := make(chan struct{})
	over := make(chan error, 1)
	go func() {
		over <- pgqueue.Lead(ctx, server.DSN(), options("s"), func(ctx context.Context, s *queue.Store) error {
			lives++
			if err := s.Check(ctx); err != nil {
				return fmt.Errorf("life %d: %w", lives, err)
			}
			n := acked.Load()
			for i := range n {
				if _, err := s.Get(ctx, "t", fmt.Sprintf("%08d", i)); err != nil {
					return fmt.Errorf("life %d: of %d records %d is gone: %w", lives, n, i, err)
				}
			}
			for i := n; ; i++ {
				var tx queue.Tx
				tx.Put("t", fmt.Sprintf("%08d", i), nil)
				tx.Enqueue("q", queue.Item{Key: fmt.Sprint(i)})
				if err := s.Commit(ctx, &tx); err != nil {
					return err
				}
				acked.Store(i + 1)
				if i == n+50 {
					select {
					case worked <- struct{}{}:
					case <-ctx.Done():
					}
				}
			}
		})
	}()
	for range rounds {
		select {
		case <-worked:
		case err := <-over:
			t.Fatalf("Lead returned %v", err)
		}
		if err := server.Stop("immediate"); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-worked:
	case err := <-over:
		t.Fatalf("Lead returned %v", err)
	}
	cancel()
	<-over
	if lives != rounds+1 {
		t.Errorf("%d lives, want %d", lives, rounds+1)
	}
}

// A transaction that somebody holds open for the whole time keeps every dead row
// where it is. No take or commit reads any of them.
func TestOpenTransactionOfAnother(t *testing.T) {
	batches := 1500
	if *long {
		batches = 50_000
	}
	schema := newSchema()
	db, err := pgqueue.OpenDriver(t.Context(), dsn(), options(schema))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := pgx.Connect(t.Context(), dsn())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "SELECT count(*) FROM "+schema+".kv"); err != nil {
		t.Fatal(err)
	}
	// A counter that each batch writes, and items that come and go.
	for i := range batches {
		writes := []driver.Write{
			{Key: []byte("c"), Value: fmt.Append(nil, i)},
			{Key: fmt.Appendf(nil, "i%08d", i), Value: []byte("item")},
		}
		if i >= 10 {
			writes = append(writes, driver.Write{Key: fmt.Appendf(nil, "i%08d", i-10), Delete: true})
		}
		if err := db.Commit(t.Context(), writes); err != nil {
			t.Fatal(err)
		}
	}
	// What each reads, in blocks, says how many rows it has looked at.
	for name, sql := range map[string]string{
		"Get of the counter": `SELECT w.i, found.v FROM unnest(ARRAY['\x63'::bytea]) WITH ORDINALITY AS w(k, i),
			LATERAL (SELECT v FROM $s.kv WHERE kv.k = w.k ORDER BY kv.k, kv.n DESC LIMIT 1) AS found`,
		"Scan from the first item on": fmt.Sprintf(`SELECT k, v FROM $s.kv WHERE k >= convert_to('i%08d', 'UTF8') AND k < 'j' ORDER BY k LIMIT 64`, batches-10),
		"the counter's next put":      fmt.Sprintf(`DELETE FROM $s.kv USING unnest(ARRAY['\x63'::bytea], ARRAY[(1::bigint << 32) + %d]) AS o(k, n) WHERE kv.k = o.k AND kv.n = o.n`, batches),
	} {
		if got := blocksRead(t, strings.ReplaceAll(sql, "$s", schema)); got > 40 {
			t.Errorf("%s reads %d blocks after %d batches, want at most 40", name, got, batches)
		}
	}
}

// blocksRead returns how many blocks a statement reads. Its effects are undone.
func blocksRead(t *testing.T, sql string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	tx, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_bitmapscan = off", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	rows, err := tx.Query(t.Context(), "EXPLAIN (ANALYZE, BUFFERS) "+sql)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range plan {
		_, buffers, ok := strings.Cut(line, "Buffers: shared ")
		if !ok {
			continue
		}
		for _, word := range strings.Fields(buffers) {
			var k int
			if _, err := fmt.Sscanf(word, "hit=%d", &k); err == nil {
				n += k
			} else if _, err := fmt.Sscanf(word, "read=%d", &k); err == nil {
				n += k
			}
		}
		return n // the first line is of the whole plan
	}
	t.Fatalf("no buffers in %s", strings.Join(plan, "\n"))
	return 0
}
