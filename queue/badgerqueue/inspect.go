package badgerqueue

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4/table"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// Badger mends what it takes for the traces of a crash: it cuts logs and a
// manifest at the first thing that it cannot read, and deletes tables that the
// manifest does not name. If bytes have gone bad instead, that is damage done
// in silence; and some broken tables make it panic, or make its iterators end
// early. So the files are inspected before Badger sees them:
//
//   - Every table that the manifest names is there and matches its checksums.
//   - The batches in the tables and in the logs of the memtables follow on one
//     another without a gap, up to the one of the high-water mark. Each batch
//     has the next number, and writes batchKey, so the highest number in the
//     tables says how far they reach.
//
// Together they leave nothing that Badger could cut or delete and that was
// relied on. A manifest that has lost its last records, for one, describes an
// older tree: either its tables are gone, or the logs no longer join on to it,
// or nothing is missing.

// inspection is what was found.
type inspection struct {
	manifest *manifest
	pending  []string // tables whose blocks have not all been read
	logs     []memLog // of memtables, oldest first
	empty    []string // new logs that a crash has left without even a size
}

// inspect changes nothing. water is the number of the last batch known to be
// durable.
func inspect(dir string, water uint64, complete bool, budget int64) (*inspection, error) {
	in := new(inspection)
	var err error
	if in.manifest, err = readManifest(dir); err != nil {
		return nil, err
	}
	if in.manifest == nil {
		if complete || water > 0 {
			return nil, fmt.Errorf("%w: file %s is missing from %s", driver.ErrCorrupt, manifestFile, dir)
		}
		return in, nil
	}
	if err := checkRegistry(dir); err != nil {
		return nil, err
	}
	values, err := valueLogs(dir)
	if err != nil {
		return nil, err
	}
	if complete && len(values) == 0 {
		return nil, fmt.Errorf("%w: the log of values (*%s) is missing from %s: somebody has deleted files", driver.ErrCorrupt, valueLogSuffix, dir)
	}
	reached, err := in.inspectTables(dir, budget)
	if err != nil {
		return nil, err
	}
	return in, in.inspectLogs(dir, reached, water)
}

// prepare makes a sound folder ready for Badger.
//
// Badger refuses a log without a size, which is what a crash leaves between
// making it and giving it one. The logs of values hold none (see large.go), and
// an empty one takes their place first of all, lest Badger looks at what is in them.
// There is one at any moment, so that a folder without is known to have lost files.
//
// What lies in the logs of memtables may be known to the kernel alone, if the
// process before this one has died. It is about to be visible, so it is made
// durable.
func (in *inspection) prepare(dir string) error {
	values, err := valueLogs(dir)
	if err != nil {
		return err
	}
	if len(values) > 0 {
		first := filepath.Join(dir, "000001"+valueLogSuffix)
		if err := replaceFile(first, make([]byte, valueLogHeader)); err != nil {
			return err
		}
		values = slices.DeleteFunc(values, func(path string) bool { return path == first })
	}
	for _, path := range append(values, in.empty...) {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for _, m := range in.logs {
		if m.first > 0 {
			if err := syncFile(m.path); err != nil {
				return err
			}
		}
	}
	return nil
}

// valueLogs returns the paths of Badger's logs of values.
func valueLogs(dir string) ([]string, error) {
	return filepath.Glob(filepath.Join(dir, "*"+valueLogSuffix))
}

// inspectTables checks the tables, all blocks of as many as the budget allows,
// the newest first. It returns the highest version in them.
func (in *inspection) inspectTables(dir string, budget int64) (reached uint64, err error) {
	ids := slices.Sorted(maps.Keys(in.manifest.tables))
	slices.Reverse(ids)
	type job struct {
		path  string
		which blocks
	}
	jobs := make([]job, len(ids))
	for i, id := range ids {
		path := table.NewFilename(id, dir)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			missing := fmt.Errorf("%w: table %s is missing", driver.ErrCorrupt, path)
			if in.manifest.cut {
				missing = fmt.Errorf("%w, or was replaced, which the last records of %s may have said: they are damaged", missing, manifestFile)
			}
			return 0, missing
		}
		if err != nil {
			return 0, err
		}
		jobs[i] = job{path, blocks(info.Size() <= budget)}
		if jobs[i].which == allBlocks {
			budget -= info.Size()
		} else {
			in.pending = append(in.pending, path)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	var next int
	for range min(len(jobs), max(2, runtime.GOMAXPROCS(0))) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := err != nil || i >= len(jobs)
				mu.Unlock()
				if stop {
					return
				}
				version, failed := verifyTable(jobs[i].path, jobs[i].which)
				mu.Lock()
				reached = max(reached, version)
				if failed != nil && err == nil {
					err = failed
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return reached, err
}

// inspectLogs checks that the logs of memtables carry on from the tables to the
// high-water mark.
func (in *inspection) inspectLogs(dir string, reached, water uint64) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return err
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Compare(logNumber(a), logNumber(b)) })
	for i, path := range paths {
		m, err := readMemLog(path)
		if err != nil {
			return err
		}
		in.logs = append(in.logs, m)
		if m.size == 0 {
			in.empty = append(in.empty, path)
		}
		if !m.whole && i < len(paths)-1 {
			return fmt.Errorf("%w: log %s is damaged after batch %d", driver.ErrCorrupt, path, max(m.last, reached))
		}
		if m.first == 0 {
			continue
		}
		if m.first > reached+1 {
			return in.gap(dir, reached+1, m.first-1)
		}
		reached = max(reached, m.last)
	}
	if reached < water {
		return in.gap(dir, reached+1, water)
	}
	return nil
}

// gap is the error for batches that were committed and are nowhere. It names
// what may have held them: logs are numbered without gaps, and whoever lost one
// should hear which.
func (in *inspection) gap(dir string, from, to uint64) error {
	begin, end := -1, len(in.logs) // of the logs that the gap is in or next to
	for i, m := range in.logs {
		switch {
		case m.first > to:
			end = min(end, i)
		case m.first > 0:
			begin = i
		}
	}
	var suspects []string
	if begin < 0 {
		// Nothing but tables comes before the gap.
		suspects = append(suspects, "tables (*.sst)", "the last records of "+manifestFile, "the first logs (*.mem)")
	} else if in.manifest.cut {
		suspects = append(suspects, "the last records of "+manifestFile)
	}
	for i := max(begin, 0); i < end; i++ {
		suspects = append(suspects, in.logs[i].path)
		next := logNumber(in.logs[i].path) + 1
		if i+1 == len(in.logs) {
			suspects = append(suspects, logPath(dir, next)+" or a newer log")
		} else {
			for ; next < logNumber(in.logs[i+1].path); next++ {
				suspects = append(suspects, logPath(dir, next))
			}
		}
	}
	return fmt.Errorf("%w: batches %d to %d were committed and are in no file; one of these is missing, cut or damaged: %s",
		driver.ErrCorrupt, from, to, strings.Join(suspects, ", "))
}

// logPath is the path of a memtable's log, as Badger names it.
func logPath(dir string, number int) string {
	return filepath.Join(dir, fmt.Sprintf("%05d.mem", number))
}

func logNumber(path string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	return n
}

// registryText follows 16 bytes of chance in Badger's registry of encryption
// keys, which has no keys here.
const (
	registryFile = "KEYREGISTRY"
	registryIV   = 16
	registryText = "Hello Badger"
)

func checkRegistry(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, registryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Badger makes one
	}
	if err != nil {
		return err
	}
	if len(b) != registryIV+len(registryText) || string(b[registryIV:]) != registryText {
		return fmt.Errorf("%w: file %s", driver.ErrCorrupt, registryFile)
	}
	return nil
}

// checkRoom refuses to open a store on a full disk: Badger writes through
// mappings of files, and a page that the disk has no room for ends the process.
// more is how many bytes are needed besides.
func (in *inspection) checkRoom(dir string, more int64) error {
	need := 4<<20 + more
	for _, m := range in.logs {
		if m.first == 0 {
			continue
		}
		if info, err := os.Stat(m.path); err == nil {
			need += info.Size() // flushed to a table before the log goes
		}
	}
	free, err := freeSpace(dir)
	if err != nil {
		return err
	}
	if free < need {
		return fmt.Errorf("%w: %d MiB free, opening the store may take %d MiB", queue.ErrDiskFull, free>>20, need>>20)
	}
	return nil
}
