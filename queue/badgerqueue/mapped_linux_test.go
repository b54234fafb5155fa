package badgerqueue

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMappedPagesLeaveTheProcess reads all tables, which maps their pages, and has them
// taken away, also while others read, write and compact: that may cost time, and nothing
// else.
func TestMappedPagesLeaveTheProcess(t *testing.T) {
	d, dir, n := openFilled(t)
	closeStore(t, d)
	o := smallOptions()
	d, err := open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, d)
	count := func() (keys int) {
		t.Helper()
		if err := d.Scan(context.Background(), []byte("a"), []byte("b"), func(_, v []byte) bool {
			if len(v) == 500 {
				keys++
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	if got := count(); got != n*noiseWrites {
		t.Fatalf("%d keys, want %d", got, n*noiseWrites)
	}
	if before := residentTables(t, d); before < 1<<20 {
		t.Fatalf("%d bytes of tables are resident after all were read", before)
	}
	tables, err := d.unmapPages(d.tableIDs())
	if err != nil {
		t.Fatal(err)
	}
	for residentTables(t, d) > 64<<10 { // until they have gone, or the test's time is over: a compaction may read yet
		if tables, err = d.unmapPages(tables); err != nil {
			t.Fatal(err)
		}
	}

	done := make(chan error, 1)
	const more = 200 // batches, of which some memtables and compactions come
	go func() {
		var err error
		for i := n; i < n+more && err == nil; i++ {
			err = commitNoise(d, i)
		}
		done <- err
	}()
	for writing := true; writing; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			writing = false
		default:
			if tables, err = d.unmapPages(tables); err != nil {
				t.Fatal(err)
			}
			if got := count(); got < n*noiseWrites {
				t.Fatalf("%d keys, and there were %d before", got, n*noiseWrites)
			}
		}
	}
	if got := count(); got != (n+more)*noiseWrites {
		t.Errorf("%d keys in the end, want %d", got, (n+more)*noiseWrites)
	}
	if err := d.Verify(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestMappedMemoryIsLimited opens a store with a limit that the program's own pages
// exceed, so that tables never stay.
func TestMappedMemoryIsLimited(t *testing.T) {
	d, dir, _ := openFilled(t)
	closeStore(t, d)
	o := smallOptions()
	o.MaxMapped = 1
	d, err := open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, d)
	if err := d.Scan(context.Background(), nil, nil, func(_, _ []byte) bool { return true }); err != nil {
		t.Fatal(err)
	}
	for residentTables(t, d) > 64<<10 { // until they have gone, or the test's time is over
	}
}

// TestPagingOutLosesNothing asks for the tables' pages to be paged out while a store reads,
// writes, compacts and closes.
func TestPagingOutLosesNothing(t *testing.T) {
	d, dir, n := openFilled(t)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := d.pageOutTables(); err != nil && !errors.Is(err, unix.EINVAL) { // of a system that cannot
				stopped <- err
				return
			}
		}
	}()
	const more = 200
	for i := n; i < n+more; i++ {
		if err := commitNoise(d, i); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, d)
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	d, err := open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, d)
	keys := 0
	if err := d.Scan(context.Background(), []byte("a"), []byte("b"), func(_, v []byte) bool {
		keys += len(v) / 500
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := (n + more) * noiseWrites; keys != want {
		t.Errorf("%d keys, want %d", keys, want)
	}
	if err := d.Verify(context.Background()); err != nil {
		t.Error(err)
	}
}

// residentTables is how many bytes of a store's tables the process has.
func residentTables(t *testing.T, d *store) (total int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inTable := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if i := strings.IndexByte(line, '/'); i > 0 {
			inTable = filepath.Dir(line[i:]) == d.badgerDir() && strings.HasSuffix(line, ".sst")
		} else if strings.HasPrefix(line, "VmFlags") {
			inTable = false
		}
		kib := 0
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &kib); err == nil && inTable {
			total += kib << 10
		}
	}
	return total
}
