// Package memqueue keeps a queue store in memory: for tests, and for work that
// need not outlive the process. It passes the same conformance suite as the
// durable backends, so code that works with it works with them.
//
// A [Disk] outlives the stores opened on it, which lets a test stop a program
// and start it again.
package memqueue

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/tidwall/btree"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// Open returns an empty store in memory. Nil options mean the defaults.
func Open(options *queue.Options) (*queue.Store, error) {
	return NewDisk().Open(options)
}

// Disk holds what a store has committed. It is safe for concurrent use.
type Disk struct {
	mu    sync.RWMutex
	tree  *btree.BTreeG[pair]
	notes [][]byte
	open  *store // the store that has it, if any
}

type pair struct{ key, value []byte }

// NewDisk returns an empty disk.
func NewDisk() *Disk {
	return &Disk{tree: btree.NewBTreeGOptions(func(a, b pair) bool {
		return bytes.Compare(a.key, b.key) < 0
	}, btree.Options{NoLocks: true})}
}

// Open opens a store on the disk. It returns an error that wraps
// queue.ErrLocked while another store has the disk open.
func (d *Disk) Open(options *queue.Options) (*queue.Store, error) {
	db, err := d.Driver()
	if err != nil {
		return nil, err
	}
	var opts queue.Options
	if options != nil {
		opts = *options
	}
	if opts.SeenMemory == 0 {
		opts.SeenMemory = -1 // looking up a key is not dear here
	}
	s, err := queue.New(context.Background(), db, &opts)
	if err != nil {
		db.Close()
		return nil, err
	}
	return s, nil
}

// Driver opens the disk for those who put something between it and a store.
func (d *Disk) Driver() (driver.Store, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open != nil {
		return nil, fmt.Errorf("open memory store: %w", driver.ErrLocked)
	}
	d.open = &store{disk: d}
	return d.open, nil
}

// Clone returns a copy of the disk as it is now: what a crash at this moment
// would leave. The copy is not open.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Disk{tree: d.tree.Copy(), notes: slices.Clone(d.notes)}
}

// store implements driver.Store. It is closed when the disk has forgotten it.
type store struct{ disk *Disk }

func (s *store) read() (*Disk, error) {
	s.disk.mu.RLock()
	if s.disk.open != s {
		s.disk.mu.RUnlock()
		return nil, driver.ErrClosed
	}
	return s.disk, nil
}

func (s *store) write() (*Disk, error) {
	s.disk.mu.Lock()
	if s.disk.open != s {
		s.disk.mu.Unlock()
		return nil, driver.ErrClosed
	}
	return s.disk, nil
}

func (s *store) Get(_ context.Context, key []byte) ([]byte, error) {
	d, err := s.read()
	if err != nil {
		return nil, err
	}
	defer d.mu.RUnlock()
	p, ok := d.tree.Get(pair{key: key})
	if !ok {
		return nil, driver.ErrNotFound
	}
	return append([]byte{}, p.value...), nil
}

func (s *store) Scan(_ context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	d, err := s.read()
	if err != nil {
		return err
	}
	defer d.mu.RUnlock()
	d.tree.Ascend(pair{key: start}, func(p pair) bool {
		return (end == nil || bytes.Compare(p.key, end) < 0) && fn(p.key, p.value)
	})
	return nil
}

func (s *store) Commit(_ context.Context, writes []driver.Write) error {
	limits := s.Limits()
	size := 0
	for _, w := range writes {
		size += len(w.Key) + len(w.Value) + limits.Overhead
	}
	if len(writes) > limits.Writes || size > limits.Bytes {
		return fmt.Errorf("%w: %d writes of %d bytes", driver.ErrTooLarge, len(writes), size)
	}
	d, err := s.write()
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	for _, w := range writes {
		if w.Delete {
			d.tree.Delete(pair{key: w.Key})
		} else {
			d.tree.Set(pair{bytes.Clone(w.Key), append([]byte{}, w.Value...)})
		}
	}
	return nil
}

func (s *store) AppendNotes(_ context.Context, note []byte) error {
	d, err := s.write()
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.notes = append(d.notes, bytes.Clone(note))
	return nil
}

func (s *store) ReadNotes(_ context.Context, fn func(note []byte)) error {
	d, err := s.read()
	if err != nil {
		return err
	}
	notes := slices.Clone(d.notes)
	d.mu.RUnlock()
	for _, note := range notes {
		fn(note)
	}
	return nil
}

func (s *store) ResetNotes(_ context.Context, notes [][]byte) error {
	d, err := s.write()
	if err != nil {
		return err
	}
	defer d.mu.Unlock()
	d.notes = nil
	for _, note := range notes {
		d.notes = append(d.notes, bytes.Clone(note))
	}
	return nil
}

func (s *store) Limits() driver.Limits {
	return driver.Limits{Writes: 100_000, Bytes: 16 << 20, Overhead: 16}
}

func (s *store) Free() (int64, error) {
	d, err := s.read()
	if err != nil {
		return 0, err
	}
	d.mu.RUnlock()
	return math.MaxInt64, nil
}

func (s *store) Verify(context.Context) error {
	d, err := s.read()
	if err != nil {
		return err
	}
	d.mu.RUnlock()
	return nil
}

func (s *store) Close() error {
	d, err := s.write()
	if err != nil {
		return err
	}
	d.open = nil
	d.mu.Unlock()
	return nil
}
