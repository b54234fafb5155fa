package pgqueue_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/seed-301537d8/weir/internal/pgtest"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/pgqueue"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// server is the server of all tests. It does not wait for its disk, since it is
// crashed at times, but the machine is not.
var server *pgtest.Server

// What a child process is told: where the server is, and that long is set.
const (
	serverVariable = "WEIR_TEST_POSTGRES"
	longVariable   = "WEIR_TEST_LONG"
)

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		os.Exit(m.Run())
	}
	var err error
	server, err = pgtest.Start("fsync=off", "checkpoint_timeout=1h")
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests need PostgreSQL:", err)
		os.Exit(1)
	}
	os.Setenv(serverVariable, server.DSN())
	if flag.Parse(); *long {
		os.Setenv(longVariable, "yes")
	}
	status := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func dsn() string { return os.Getenv(serverVariable) }

func options(schema string) *pgqueue.Options {
	return &pgqueue.Options{Schema: schema, Unsafe: true, Readers: 2}
}

var schemas atomic.Int64

func newSchema() string { return fmt.Sprintf("s%d_%d", os.Getpid(), schemas.Add(1)) }

// storeSchema is a schema that holds a store.
type storeSchema string

func (d storeSchema) Driver() (driver.Store, error) {
	return pgqueue.OpenDriver(context.Background(), dsn(), options(string(d)))
}

// Crash copies the schema: what the server has confirmed survives the process.
func (d storeSchema) Crash(t testing.TB) queuetest.Disk {
	t.Helper()
	to := storeSchema(newSchema())
	db, err := to.Driver()
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"leader", "kv", "notes"} {
		execute(t, fmt.Sprintf("DELETE FROM %s.%s", to, table))
		execute(t, fmt.Sprintf("INSERT INTO %s.%s SELECT * FROM %s.%s", to, table, d, table))
	}
	return to
}

func execute(t testing.TB, sql string) {
	t.Helper()
	c, err := pgx.Connect(context.Background(), dsn())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func harness(testing.TB) queuetest.Disk { return storeSchema(newSchema()) }

// long runs everything that a backend must pass. Without it a part of that is
// run, which takes seconds.
var long = flag.Bool("long", false, "run all tests of the suite, and longer loops")

func TestDriver(t *testing.T) { queuetest.RunDriver(t, harness) }

func TestConserve(t *testing.T) { queuetest.Conserve(t, harness, 1) }

func TestModel(t *testing.T) {
	if *long {
		queuetest.Model(t, harness, 15)
		return
	}
	queuetest.Model(t, harness, 2)
}

func TestQueue(t *testing.T) {
	if *long {
		queuetest.Run(t, harness)
	}
}

func TestCrashAtEveryWrite(t *testing.T) {
	if *long {
		queuetest.CrashAtEveryWrite(t, harness, 3)
	}
}

func TestKill(t *testing.T) {
	if !*long && os.Getenv(longVariable) == "" {
		return
	}
	queuetest.Kill(t, 5, func(dir string) (*queue.Store, error) {
		return pgqueue.Open(context.Background(), dsn(), options(schemaOf(dir)))
	})
}

// schemaOf returns a schema's name for a folder that a test has been given.
func schemaOf(dir string) string {
	name := []byte(dir)
	for i, b := range name {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' {
			continue
		}
		name[i] = '_'
	}
	return "k" + string(name[max(0, len(name)-40):])
}

func mustOpen(t *testing.T, schema string) *queue.Store {
	t.Helper()
	s, err := pgqueue.Open(t.Context(), dsn(), options(schema))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(s *queue.Store, key, value string) error {
	var tx queue.Tx
	tx.Put("t", key, []byte(value))
	return s.Commit(context.Background(), &tx)
}

// endSessions does to the sessions of a store what a network does that fails: the
// server ends those whose names begin with a role.
func endSessions(t *testing.T, schema, role string) {
	t.Helper()
	execute(t, fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir %s %s'", role, schema))
}
