package badgerqueue_test

import (
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// storeDir is a folder.
type storeDir string

// smallOptions make a store small, so that opening it is quick.
var smallOptions = &badgerqueue.Options{MemTable: 8 << 20}

func (d storeDir) Driver() (driver.Store, error) {
	return badgerqueue.OpenDriver(string(d), smallOptions)
}

// Crash copies the folder as it is: what the kernel has of it survives the
// process.
func (d storeDir) Crash(t testing.TB) queuetest.Disk {
	return storeDir(queuetest.CopyLive(t, string(d)))
}

func harness(t testing.TB) queuetest.Disk { return storeDir(t.TempDir()) }

func TestDriver(t *testing.T) { queuetest.RunDriver(t, harness) }

func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	queuetest.CrashAtEveryWrite(t, harness, 4)
}

func TestConserve(t *testing.T) {
	t.Parallel()
	queuetest.Conserve(t, harness, 3)
}

func TestModel(t *testing.T) {
	t.Parallel()
	queuetest.Model(t, harness, 40)
}

func TestKill(t *testing.T) {
	t.Parallel()
	queuetest.Kill(t, 5, func(dir string) (*queue.Store, error) {
		return badgerqueue.Open(dir, smallOptions)
	})
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, harness)
}
