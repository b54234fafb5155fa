package badgerqueue

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

// Badger maps its tables, and never gives a page back: after a compaction all of a
// store counts as resident memory of the process. It is the system's cache of the files,
// which it takes away when memory is short, but who looks at the process, or limits it,
// cannot tell. So pages of tables beyond Options.MaxMapped leave the process; in the
// cache they stay, and a read maps them again.

// mappedEvery is how often mapped memory is looked at, and mappedShare which part of a
// processor it may take at most to give pages back: what that costs grows with the tables.
const (
	mappedEvery = 50 * time.Millisecond
	mappedShare = 20
)

// limitMapped keeps to Options.MaxMapped until the store is closed.
func (d *store) limitMapped() {
	runtime.LockOSThread() // whose processor time is measured: on a busy machine it waits as well
	defer runtime.UnlockOSThread()
	t := time.NewTimer(mappedEvery)
	defer t.Stop()
	tables := d.tableIDs()
	for {
		select {
		case <-t.C:
		case <-d.stop:
			return
		}
		used := threadTime()
		mapped, err := mappedBytes()
		if err == nil && mapped > d.opts.MaxMapped {
			tables, err = d.unmapPages(tables)
		}
		if err != nil {
			d.log.Info("mapped pages are not given back", "err", err)
			return
		}
		t.Reset(max(mappedEvery, (mappedShare-1)*(threadTime()-used)))
	}
}

// threadTime is the processor time that the thread has used so far.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0 // a kernel without it: then it is done as often as it may be
	}
	return time.Duration(t.Nano())
}

// pageOut keeps to Options.MaxMapped while Badger closes, until ctx ends: the last memtables
// may be the occasion of a compaction, which maps all of what it merges. Nobody can hold a
// table then, and its address may become something else at any moment. So the system is
// asked to page out what is there, which loses nothing whatever it is. A system that cannot
// do that need not.
func (d *store) pageOut(ctx context.Context) {
	if d.opts.MaxMapped <= 0 {
		return
	}
	t := time.NewTicker(mappedEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if mapped, err := mappedBytes(); err != nil || mapped > d.opts.MaxMapped && d.pageOutTables() != nil {
			return
		}
	}
}

// pageOutTables pages out what is at the places of the tables.
func (d *store) pageOutTables() error {
	mappings, err := mappingsOf(d.badgerDir())
	for _, m := range mappings {
		if strings.HasSuffix(m.name, ".sst") {
			_, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_PAGEOUT)
			if errno != 0 && errno != unix.ENOMEM { // it has gone meanwhile
				return errno
			}
		}
	}
	return err
}

// mappedBytes is how much of the files that the process has mapped is resident.
func mappedBytes() (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b)
	if len(fields) < 3 {
		return 0, fmt.Errorf("/proc/self/statm: %q", b)
	}
	pages, err := strconv.ParseInt(string(fields[2]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// unmapPages takes the pages of tables that were there before out of the process's memory,
// and returns those that are there now. The addresses are looked up in /proc, and must not
// become something else meanwhile: MADV_DONTNEED would wipe that out. So only those of
// tables are used that an iterator holds until the end. It holds all that there are when
// it is made, so those that were there before and still are after: a table that has left
// the list does not come back, nor does its number.
//
// Badger reads the index of each table when it lists them, which maps pages of it again.
func (d *store) unmapPages(before map[uint64]bool) (now map[uint64]bool, err error) {
	if err := d.enter(); err != nil {
		return nil, nil // closed, or closing
	}
	defer d.mu.RUnlock()
	defer func() { recovered("unmap", &err, recover()) }()
	txn := d.db.NewTransactionAt(d.version.Load(), false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	now = d.tableIDs()
	mappings, err := mappingsOf(d.badgerDir())
	if err != nil {
		return nil, err
	}
	for _, m := range mappings {
		if id, ok := table.ParseFileID(m.name); !ok || !before[id] || !now[id] {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
			return nil, fmt.Errorf("madvise %s: %w", m.name, errno)
		}
	}
	return now, nil
}

// tableIDs are the numbers of the tables that there are.
func (d *store) tableIDs() map[uint64]bool {
	tables := d.db.Tables()
	ids := make(map[uint64]bool, len(tables))
	for _, t := range tables {
		ids[t.ID] = true
	}
	return ids
}

// A mapping is where a file of a folder lies in the process's memory.
type mapping struct {
	name       string
	start, end uintptr
}

// mappingsOf returns the mappings of files in a folder that have not been removed.
func mappingsOf(dir string) ([]mapping, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []mapping
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// 7f1c00000000-7f1c00200000 rw-s 00000000 fe:00 1234    /path/000001.sst
		line := lines.Text()
		i := strings.IndexByte(line, '/')
		if i < 0 {
			continue
		}
		name, ok := strings.CutPrefix(line[i:], dir+"/")
		if !ok || strings.Contains(name, "/") {
			continue
		}
		from, to, _ := strings.Cut(line[:strings.IndexByte(line, ' ')], "-")
		start, err := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("/proc/self/maps: %q: %w", line, err)
		}
		all = append(all, mapping{name, uintptr(start), uintptr(end)})
	}
	return all, lines.Err()
}
