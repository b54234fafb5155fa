package badgerqueue_test

import (
	"os"
	"testing"

	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// disk is a folder.
type disk string

// smallOptions make a store small, so that opening it is quick.
var smallOptions = &badgerqueue.Options{MemTable: 8 << 20}

func (d disk) Driver() (driver.Store, error) { return badgerqueue.OpenDriver(string(d), smallOptions) }

// Crash copies the folder as it is: what the kernel has of it survives the
// process.
func (d disk) Crash(t testing.TB) queuetest.Disk {
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(string(d))); err != nil {
		t.Fatal(err)
	}
	return disk(to)
}

func harness(t testing.TB) queuetest.Disk { return disk(t.TempDir()) }

func TestDriver(t *testing.T) { queuetest.RunDriver(t, harness) }

func TestQueue(t *testing.T) { queuetest.Run(t, harness) }
