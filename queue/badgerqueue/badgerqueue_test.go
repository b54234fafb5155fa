package badgerqueue_test

import (
	"testing"

	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// testDir is a folder.
type testDir string

// smallOptions make a store small, so that opening it is quick.
var smallOptions = &badgerqueue.Options{MemTable: 8 << 20}

func (d testDir) Driver() (driver.Store, error) {
	return badgerqueue.OpenDriver(string(d), smallOptions)
}

// Crash copies the folder as it is: what the kernel has of it survives the
// process.
func (d testDir) Crash(t testing.TB) queuetest.Disk { return testDir(queuetest.CopyLive(t, string(d))) }

func harness(t testing.TB) queuetest.Disk { return testDir(t.TempDir()) }

func TestDriver(t *testing.T) { queuetest.RunDriver(t, harness) }

func TestQueue(t *testing.T) { queuetest.Run(t, harness) }
