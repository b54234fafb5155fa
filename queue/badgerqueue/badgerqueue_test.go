package badgerqueue_test

import (
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// smallOptions make a store small, so that opening it is quick: the smallest in which
// the suite's largest transactions have room.
var smallOptions = &badgerqueue.Options{MemTable: 8 << 20}

// folder is a disk of the suite.
type folder struct {
	dir  string
	opts *badgerqueue.Options
}

func (f folder) Driver() (driver.Store, error) { return badgerqueue.OpenDriver(f.dir, f.opts) }

// Crash copies the folder as it is: what the kernel has of it survives the
// process.
func (f folder) Crash(t testing.TB) queuetest.Disk {
	return folder{queuetest.CopyLive(t, f.dir, memoryDir(t)), f.opts}
}

// harness makes folders in memory, where the system has room there: thousands of stores
// are opened here, and nothing depends on what a power cut leaves. That is for
// TestDriver, TestKill, TestPowerCut and TestDamage, on the disk.
func harness(t testing.TB) queuetest.Disk { return folder{memoryDir(t), smallOptions} }

// smallest is harness for stores with small transactions.
func smallest(t testing.TB) queuetest.Disk {
	return folder{memoryDir(t), &badgerqueue.Options{MemTable: 2 << 20}}
}

func TestDriver(t *testing.T) {
	queuetest.RunDriver(t, func(t testing.TB) queuetest.Disk { return folder{t.TempDir(), smallOptions} })
}

func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	queuetest.CrashAtEveryWrite(t, smallest, 16)
}

func TestConserve(t *testing.T) {
	t.Parallel()
	queuetest.Conserve(t, smallest, 3)
}

func TestModel(t *testing.T) {
	t.Parallel()
	queuetest.Model(t, smallest, 20)
}

func TestKill(t *testing.T) {
	t.Parallel()
	queuetest.Kill(t, 3, func(dir string) (*queue.Store, error) {
		return badgerqueue.Open(dir, smallOptions)
	})
}

func TestQueue(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, harness)
}
