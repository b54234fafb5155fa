package badgerqueue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue/driver"
)

// highWater is a file that says which batch was the last to become durable.
// Badger cuts its log at the first entry that does not check, without an error,
// since it cannot know whether that entry was ever synced. This file knows. It
// is written after each batch and synced once a second, so it may lag behind
// after a power cut, and never runs ahead.
type highWater struct {
	f *os.File

	mu      sync.Mutex
	version uint64 // of the last durable batch
	dirty   bool
	timer   *time.Timer
	closed  bool
}

// The file holds version and a checksum: 8+4 bytes.
const highWaterSize = 12

// openHighWater opens the file, which a complete store must have.
func openHighWater(dir string, complete bool) (*highWater, error) {
	path := filepath.Join(dir, waterFile)
	flags := os.O_RDWR
	if !complete {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if complete && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: file %s is missing", driver.ErrCorrupt, waterFile)
	}
	if err != nil {
		return nil, err
	}
	h := &highWater{f: f}
	var b [highWaterSize]byte
	n, err := f.ReadAt(b[:], 0)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		if _, err := os.Stat(filepath.Join(dir, badgerDir, "MANIFEST")); err == nil {
			f.Close()
			return nil, fmt.Errorf("%w: file %s is empty or missing", driver.ErrCorrupt, waterFile)
		} else if !errors.Is(err, fs.ErrNotExist) {
			f.Close()
			return nil, err
		}
		// Badger's files will be durable at once, and so must this one be.
		if err := errors.Join(h.write(), f.Sync(), syncDir(dir)); err != nil {
			f.Close()
			return nil, err
		}
		return h, nil
	case n == highWaterSize && crc32.ChecksumIEEE(b[:8]) == binary.BigEndian.Uint32(b[8:]):
		h.version = binary.BigEndian.Uint64(b[:])
		return h, nil
	case err != nil && !errors.Is(err, io.EOF):
		f.Close()
		return nil, err
	}
	f.Close()
	return nil, fmt.Errorf("%w: file %s", driver.ErrCorrupt, waterFile)
}

// write puts the record into the file. It is 12 bytes within one sector.
func (h *highWater) write() error {
	var b [highWaterSize]byte
	binary.BigEndian.PutUint64(b[:], h.version)
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[:8]))
	_, err := h.f.WriteAt(b[:], 0)
	return err
}

// raise records that a batch is durable.
func (h *highWater) raise(version uint64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version = version
	if !h.dirty {
		h.dirty = true
		if h.timer == nil {
			h.timer = time.AfterFunc(time.Second, h.sync)
		} else {
			h.timer.Reset(time.Second)
		}
	}
	return h.write()
}

func (h *highWater) sync() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.dirty = false
		h.f.Sync() // best effort: without it the file lags behind
	}
}

func (h *highWater) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	return errors.Join(h.f.Sync(), h.f.Close())
}
