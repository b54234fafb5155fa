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

// A server that has no space for a batch refuses it, by name; nothing is lost, and
// the store goes on when there is space.
func TestServerOutOfDisk(t *testing.T) {
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
		return
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := server.Give(dir); err != nil {
		t.Fatal(err)
	}
	schema := newSchema()
	s := mustOpen(t, schema)
	execute(t, fmt.Sprintf("CREATE TABLESPACE %s LOCATION '%s'", schema, dir))
	t.Cleanup(func() {
		execute(t, "DROP SCHEMA "+schema+" CASCADE")
		execute(t, "DROP TABLESPACE "+schema)
	})
	execute(t, fmt.Sprintf("ALTER TABLE %s.kv SET TABLESPACE %[1]s", schema))

	n := 0
	for ; err == nil && n < 1000; n++ {
		err = put(s, fmt.Sprintf("%08d", n), string(make([]byte, 50_000)))
	}
	n-- // the last was refused
	if !errors.Is(err, queue.ErrDiskFull) || !errors.Is(err, queue.ErrFailed) {
		t.Fatalf("commit %d returned %v, want ErrDiskFull and ErrFailed", n, err)
	}
	s.Close()
	if err := mount(unix.MS_REMOUNT, 64); err != nil {
		t.Fatal(err)
	}
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
