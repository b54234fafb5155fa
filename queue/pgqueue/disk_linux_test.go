package pgqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

// smallSpace makes a store whose table is on a disk of its own, which has the size until
// grow is called. It reports false where that cannot be had.
func smallSpace(t *testing.T) (schema string, grow func(), ok bool) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgdisk") // the server's user must get there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	mount := func(flags uintptr, mib int) error {
		return unix.Mount("weirtest", dir, "tmpfs", flags, fmt.Sprintf("size=%dm", mib))
	}
	if err := mount(0, 8); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI must be able to mount filesystems of its own, or full disks go untested: %v", err)
		}
		t.Logf("NOT TESTED: no mounts here (%v)", err)
		return "", nil, false
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := server.Give(dir); err != nil {
		t.Fatal(err)
	}
	schema = newSchema()
	s := mustOpen(t, schema)
	execute(t, fmt.Sprintf("CREATE TABLESPACE %s LOCATION '%s'", schema, dir))
	t.Cleanup(func() {
		execute(t, "DROP SCHEMA "+schema+" CASCADE")
		execute(t, "DROP TABLESPACE "+schema)
	})
	execute(t, fmt.Sprintf("ALTER TABLE %s.kv SET TABLESPACE %[1]s", schema))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return schema, func() {
		t.Helper()
		if err := mount(unix.MS_REMOUNT, 64); err != nil {
			t.Fatal(err)
		}
	}, true
}

// fillUp puts records until the store refuses one, and returns how many it has taken.
func fillUp(s *queue.Store) (n int, err error) {
	for ; n < 1000; n++ {
		if err = put(s, fmt.Sprintf("%08d", n), string(make([]byte, 50_000))); err != nil {
			return n, err
		}
	}
	return n, nil
}

// A server that has no space for a batch refuses it, by name; nothing is lost, and
// the store goes on when there is space.
func TestServerOutOfDisk(t *testing.T) {
	schema, grow, ok := smallSpace(t)
	if !ok {
		return
	}
	s, err := pgqueue.Open(t.Context(), dsn(), options(schema))
	if err != nil {
		t.Fatal(err)
	}
	n, err := fillUp(s)
	if !errors.Is(err, queue.ErrDiskFull) || !errors.Is(err, queue.ErrFailed) {
		t.Fatalf("commit %d returned %v, want ErrDiskFull and ErrFailed", n, err)
	}
	s.Close()
	grow()
	again, err := pgqueue.Open(context.Background(), dsn(), options(schema))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	records, err := again.Scan(t.Context(), "t", "", "", n+1)
	if err != nil || len(records) != n {
		t.Errorf("%d records are there, %v, want the %d that were acknowledged", len(records), err, n)
	}
	if err := put(again, "more", ""); err != nil {
		t.Error(err)
	}
	if err := again.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A leader whose server has no space any more stands by, and leads again by itself when
// there is some.
func TestALeaderWaitsForSpace(t *testing.T) {
	schema, grow, ok := smallSpace(t)
	if !ok {
		return
	}
	opts := options(schema)
	var why error
	opts.Standby = func(err error) {
		if why == nil {
			why = err
			grow()
		}
	}
	terms, acknowledged := 0, 0
	err := pgqueue.Lead(t.Context(), dsn(), opts, func(_ context.Context, s *queue.Store) error {
		if terms++; terms == 1 {
			n, err := fillUp(s)
			acknowledged = n
			return err
		}
		records, err := s.Scan(t.Context(), "t", "", "", 1000)
		if len(records) != acknowledged {
			t.Errorf("%d records are there, want the %d that were acknowledged", len(records), acknowledged)
		}
		return errors.Join(err, put(s, "more", ""), s.Check(t.Context()))
	})
	if err != nil || terms != 2 || !errors.Is(why, queue.ErrDiskFull) {
		t.Errorf("Lead returned %v after %d terms, and stood by for %v", err, terms, why)
	}
}
