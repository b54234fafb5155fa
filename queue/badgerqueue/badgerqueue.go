// Package badgerqueue keeps a queue store in a folder on disk, in Badger. It is
// the backend to use unless there is a reason for another: nothing to install
// or to run, and every commit survives a power cut.
//
// One process at a time has a folder open. When it dies, in whatever way, the
// next Open finds everything that was committed; nothing needs repair.
package badgerqueue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// Options are the settings of an open folder. Nil and zero fields mean the
// defaults given.
type Options struct {
	// Queue holds the settings that every backend has.
	Queue queue.Options

	// MemTable is the size in bytes of a Badger memtable, of which up to
	// four are in memory. A transaction may take about a tenth of it, and an
	// item a twentieth. Default 64 MiB, least 1 MiB.
	MemTable int64

	// VerifyOnOpen says up to how many bytes of tables Open reads and checks
	// before it returns. The rest is checked when it is first read, before it
	// is compacted, and in the background, and a finding fails the store.
	// Default 1 GiB; negative means none.
	VerifyOnOpen int64

	// MaxMapped is how many bytes of mapped files may be resident in the process,
	// its own program and those of other stores among them, before the pages of
	// tables are taken out of its memory, within a twentieth of a second. They stay in
	// the system's cache, and a page that is read again costs about a microsecond.
	// What a compaction is writing comes on top. On Linux alone. 0 means any number.
	MaxMapped int64
}

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.MemTable == 0 {
		opts.MemTable = 64 << 20
	}
	opts.MemTable = max(opts.MemTable, 1<<20)
	if opts.VerifyOnOpen == 0 {
		opts.VerifyOnOpen = 1 << 30
	}
	return opts
}

// Open opens the store in a folder, which is made if it does not exist, and
// recovers it if the process that had it last has died: items that were being
// worked on are ready again.
//
// It returns an error that wraps queue.ErrLocked if another process has the
// folder open, queue.ErrVersion if the folder holds something else, has links
// where a store has files, or was written by a newer version, queue.ErrCorrupt,
// naming the file, if stored bytes are not what was written or are missing, and
// queue.ErrDiskFull if there is no room to open it. In none of these cases does
// it change anything that it has found.
//
// A store of format 1, from before large values were kept with the others, is
// converted, which reads all of it and needs room for the large values twice.
func Open(dir string, options *Options) (*queue.Store, error) {
	opts := options.withDefaults()
	db, err := OpenDriver(dir, &opts)
	if err != nil {
		return nil, err
	}
	s, err := queue.New(context.Background(), db, &opts.Queue)
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return s, nil
}

// OpenDriver opens the folder for those who put something between it and a
// store. Its errors are those of Open.
func OpenDriver(dir string, options *Options) (driver.Store, error) {
	opts := options.withDefaults()
	d, err := open(dir, opts)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("open %s: %w: the user that opens a store must own its files", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return d, nil
}
