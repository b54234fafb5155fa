package queuetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue/driver"
)

// ErrInjected is what a [Faulty] driver returns when it fails.
var ErrInjected = errors.New("injected failure")

// Fault says which write of a driver fails, and how.
type Fault struct {
	Method string // "Commit", "AppendNotes" or "ResetNotes"
	At     int    // the first call has number 1
	After  bool   // the call takes effect, and fails all the same
}

// Faulty is a driver that dies at one write: that call fails, before or after
// it has taken effect, and every later one fails without effect, as if the
// process had been killed there.
type Faulty struct {
	driver.Store

	mu    sync.Mutex
	fault Fault
	calls map[string]int
	dead  bool
}

// NewFaulty returns a driver that dies at fault. The zero Fault never strikes.
func NewFaulty(db driver.Store, fault Fault) *Faulty {
	return &Faulty{Store: db, fault: fault, calls: make(map[string]int)}
}

// Died reports whether the fault has struck.
func (f *Faulty) Died() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

func (f *Faulty) call(method string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return ErrInjected
	}
	f.calls[method]++
	if method != f.fault.Method || f.calls[method] != f.fault.At {
		return do()
	}
	f.dead = true
	if f.fault.After {
		if err := do(); err != nil {
			return err
		}
	}
	return ErrInjected
}

func (f *Faulty) Commit(ctx context.Context, writes []driver.Write) error {
	return f.call("Commit", func() error { return f.Store.Commit(ctx, writes) })
}

func (f *Faulty) AppendNotes(ctx context.Context, note []byte) error {
	return f.call("AppendNotes", func() error { return f.Store.AppendNotes(ctx, note) })
}

func (f *Faulty) ResetNotes(ctx context.Context, notes [][]byte) error {
	return f.call("ResetNotes", func() error { return f.Store.ResetNotes(ctx, notes) })
}

// slowDriver takes a while to commit, so that time passes between the planning
// of a batch and its publication. In a bubble the time is not real.
type slowDriver struct{ driver.Store }

func slow(db driver.Store) driver.Store { return slowDriver{db} }

func (s slowDriver) Commit(ctx context.Context, writes []driver.Write) error {
	time.Sleep(3 * time.Millisecond)
	return s.Store.Commit(ctx, writes)
}

// fullDriver has as much free space as it is told.
type fullDriver struct {
	driver.Store
	mu   sync.Mutex
	free int64
}

func (f *fullDriver) set(free int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = free
}

func (f *fullDriver) Free() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.free, nil
}

// stingy is a driver that refuses some batches as too large which are within its
// limits. A store that has made a mistake about the size of a batch meets such a
// driver.
type stingy struct {
	driver.Store
	mu   sync.Mutex
	mood func(writes []driver.Write) (refuse bool) // nil refuses none
}

func (d *stingy) set(mood func([]driver.Write) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mood = mood
}

func (d *stingy) Commit(ctx context.Context, writes []driver.Write) error {
	d.mu.Lock()
	refuse := d.mood != nil && d.mood(writes)
	d.mu.Unlock()
	if refuse {
		return driver.ErrTooLarge
	}
	return d.Store.Commit(ctx, writes)
}
