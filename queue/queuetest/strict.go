package queuetest

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// strictDriver fails the test when package queue does what the contract of
// [driver.Store] forbids its caller: a call from within a Scan's function, which
// hangs some backends and not others; a batch over the limits; an empty key or one
// that is too long; two commits, or two writers of notes, at once.
type strictDriver struct {
	driver.Store
	t         testing.TB
	limits    driver.Limits
	committed atomic.Int32 // commits in progress
	noting    atomic.Int32 // calls that write notes in progress
	scanning  atomic.Int32 // goroutines that are within a Scan,
	scanners  sync.Map     // and which
}

func strict(t testing.TB, db driver.Store) driver.Store {
	return &strictDriver{Store: db, t: t, limits: db.Limits()}
}

// goroutine returns what the runtime calls the current goroutine.
func goroutine() string {
	var buf [64]byte
	head := buf[:runtime.Stack(buf[:], false)] // "goroutine 12 [running]: …"
	name, _, _ := bytes.Cut(head, []byte(" ["))
	return string(name)
}

// enter notes a call.
func (d *strictDriver) enter(method string) {
	if d.scanning.Load() == 0 {
		return
	}
	if _, ok := d.scanners.Load(goroutine()); ok {
		d.t.Errorf("%s is called by the function of a Scan, which must not call the store", method)
	}
}

func (d *strictDriver) key(method string, key []byte) {
	if len(key) == 0 || len(key) > 1024 {
		d.t.Errorf("%s of a key of %d bytes, which must have 1 to 1,024", method, len(key))
	}
}

func (d *strictDriver) Get(ctx context.Context, key []byte) ([]byte, error) {
	d.enter("Get")
	d.key("Get", key)
	return d.Store.Get(ctx, key)
}

func (d *strictDriver) Scan(ctx context.Context, start, end []byte, fn func(key, value []byte) bool) error {
	d.enter("Scan")
	// What this goroutine calls until Scan returns is called by fn.
	g := goroutine()
	d.scanners.Store(g, true)
	d.scanning.Add(1)
	defer func() {
		d.scanning.Add(-1)
		d.scanners.Delete(g)
	}()
	return d.Store.Scan(ctx, start, end, fn)
}

func (d *strictDriver) Commit(ctx context.Context, writes []driver.Write) error {
	d.enter("Commit")
	if d.committed.Add(1) > 1 {
		d.t.Error("two Commits at once")
	}
	defer d.committed.Add(-1)
	size := 0
	for i := range writes {
		d.key("Commit", writes[i].Key)
		size += len(writes[i].Key) + len(writes[i].Value) + d.limits.Overhead
	}
	if len(writes) > d.limits.Writes || size > d.limits.Bytes {
		d.t.Errorf("Commit of %d writes of %d bytes, the limits are %d of %d", len(writes), size, d.limits.Writes, d.limits.Bytes)
	}
	d.claims(ctx, writes)
	return d.Store.Commit(ctx, writes)
}

// claims checks what writes say to be new, some of it in a large batch.
func (d *strictDriver) claims(ctx context.Context, writes []driver.Write) {
	present := make(map[string]bool) // after what the batch has written so far
	for i := range writes {
		w := &writes[i]
		there, known := present[string(w.Key)]
		if w.New && !known && (len(writes) < 64 || i%8 == 0) {
			_, err := d.Store.Get(ctx, w.Key)
			there = err == nil
		}
		if w.New && there {
			d.t.Errorf("write of key %q is said to be new, and the key is there", w.Key)
		}
		present[string(w.Key)] = !w.Delete
	}
}

// note notes a call that writes notes.
func (d *strictDriver) note(method string, call func() error) error {
	d.enter(method)
	if d.noting.Add(1) > 1 {
		d.t.Errorf("%s during another call that writes notes", method)
	}
	defer d.noting.Add(-1)
	return call()
}

func (d *strictDriver) AppendNotes(ctx context.Context, note []byte) error {
	return d.note("AppendNotes", func() error { return d.Store.AppendNotes(ctx, note) })
}

func (d *strictDriver) ResetNotes(ctx context.Context, notes [][]byte) error {
	return d.note("ResetNotes", func() error { return d.Store.ResetNotes(ctx, notes) })
}

func (d *strictDriver) ReadNotes(ctx context.Context, fn func(note []byte)) error {
	d.enter("ReadNotes")
	return d.Store.ReadNotes(ctx, fn)
}

func (d *strictDriver) Free() (int64, error) {
	d.enter("Free")
	return d.Store.Free()
}

func (d *strictDriver) Verify(ctx context.Context) error {
	d.enter("Verify")
	return d.Store.Verify(ctx)
}

// watched returns options with which a store fails the test when it logs that a
// transaction took more of a batch than was allowed for.
func watched(t testing.TB, o *queue.Options) *queue.Options {
	var opts queue.Options
	if o != nil {
		opts = *o
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(boundHandler{t})
	}
	if opts.SeenMemory == 0 {
		opts.SeenMemory = 256 << 10 // the default would be cleared at each of thousands of opens
	}
	return &opts
}

// boundHandler fails the test on one record.
type boundHandler struct{ t testing.TB }

func (h boundHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelError
}
func (h boundHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h boundHandler) WithGroup(string) slog.Handler      { return h }
func (h boundHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "a transaction takes more of a batch than its bound" {
		r.Attrs(func(a slog.Attr) bool {
			h.t.Errorf("%s: %s is %v", r.Message, a.Key, a.Value)
			return true
		})
	}
	return nil
}
