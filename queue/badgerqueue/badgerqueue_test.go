package badgerqueue_test

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// storeDir is a folder with a store.
type storeDir string

// smallOptions make a store small, so that opening it is quick.
var smallOptions = &badgerqueue.Options{MemTable: 8 << 20}

func (d storeDir) Driver() (driver.Store, error) {
	return badgerqueue.OpenDriver(string(d), smallOptions)
}

// Crash copies the folder as it is: what the kernel has of it survives the
// process. A copy during which Badger has moved files is not what any moment
// looked like, and is made again.
func (d storeDir) Crash(t testing.TB) queuetest.Disk {
	for range 100 {
		before := d.files(t)
		to := t.TempDir()
		err := os.CopyFS(to, os.DirFS(string(d)))
		if err == nil && slices.Equal(before, d.files(t)) {
			return storeDir(to)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	t.Fatalf("the files of %s do not come to rest", d)
	return nil
}

func (d storeDir) files(t testing.TB) []string {
	names, err := fs.Glob(os.DirFS(string(d)), "*/*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func harness(t testing.TB) queuetest.Disk { return storeDir(t.TempDir()) }

func TestDriver(t *testing.T) { queuetest.RunDriver(t, harness) }

func TestCrashAtEveryWrite(t *testing.T) { queuetest.CrashAtEveryWrite(t, harness) }

func TestConserve(t *testing.T) { queuetest.Conserve(t, harness, 3) }

func TestModel(t *testing.T) { queuetest.Model(t, harness, 100) }

func TestKill(t *testing.T) {
	queuetest.Kill(t, 100, func(dir string) (*queue.Store, error) {
		return badgerqueue.Open(dir, smallOptions)
	})
}

func TestQueue(t *testing.T) { queuetest.Run(t, harness) }
