package queue

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/seed-301537d8/weir/queue/driver"
)

// ErrUnfinished is returned by opening a store that is a copy which was not finished.
var ErrUnfinished = errors.New("the store is a copy that was not finished; run the copy again, or remove it")

// Copied says what [Copy] has copied.
type Copied struct {
	Records int64    // keys of the backend
	Bytes   int64    // of keys and values
	Digest  [32]byte // SHA-256 of all records, in order
}

// Copy copies a whole store from one backend to another, of the same kind or not, and
// compares both in the end. The store goes on from the copy as it would have gone on
// from the original. Both backends are the caller's alone, which closes them.
//
// to must be empty, or hold what a Copy of the same store in the same state has left
// unfinished, which then goes on; an error that wraps ErrInvalid says that it is
// neither. Until the copy is complete and has been compared, it cannot be opened as a
// store (ErrUnfinished). Copy holds about one batch of to in memory. It calls progress,
// if that is not nil, after each batch with what has been copied by this call.
func Copy(ctx context.Context, to, from driver.Store, progress func(Copied)) (Copied, error) {
	c := copier{to: to, from: from, progress: progress}
	if err := c.begin(ctx); err != nil {
		return Copied{}, fmt.Errorf("copy: %w", err)
	}
	if err := c.records(ctx); err != nil {
		return Copied{}, fmt.Errorf("copy: %w", err)
	}
	if err := c.notes(ctx); err != nil {
		return Copied{}, fmt.Errorf("copy notes: %w", err)
	}
	done, err := c.compare(ctx)
	if err != nil {
		return Copied{}, fmt.Errorf("compare the copy: %w", err)
	}
	if err := to.Commit(ctx, []driver.Write{{Key: metaKey("format"), Value: c.format}}); err != nil {
		return Copied{}, fmt.Errorf("copy: %w", err)
	}
	return done, nil
}

// A copier copies keys in their order. The key "format" comes last. Before, it has a
// mark in its place, written with each batch: version 0, which no store has, what is
// being copied, and the last key that has been.
type copier struct {
	to, from driver.Store
	progress func(Copied)
	format   []byte // of the store
	source   [32]byte
	last     []byte
	done     Copied

	batch []driver.Write
	bytes int
}

// Bounds of a batch of a copy, besides those of the backend.
const (
	copyWrites = 10_000
	copyBytes  = 4 << 20
)

// begin makes sure that there is something to copy and room for it, and finds out
// where to begin.
func (c *copier) begin(ctx context.Context) (err error) {
	c.format, err = c.from.Get(ctx, metaKey("format"))
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("%w: there is no store to copy", ErrNotFound)
	}
	if err == nil {
		err = checkFormat(c.format)
	}
	if err != nil {
		return err
	}
	state := sha256.New()
	for _, name := range []string{"format", "secret", "batch"} {
		value, err := c.from.Get(ctx, metaKey(name))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		writeField(state, value)
	}
	state.Sum(c.source[:0])

	mark, err := c.to.Get(ctx, metaKey("format"))
	switch {
	case errors.Is(err, ErrNotFound):
		empty := true
		err := c.to.Scan(ctx, nil, nil, func(_, _ []byte) bool {
			empty = false
			return false
		})
		if err == nil && !empty {
			err = invalidf("the target is neither empty nor a store")
		}
		return err
	case err != nil:
		return err
	case len(mark) == 0 || mark[0] != 0:
		return invalidf("the target holds a store; choose another, or remove it")
	case !bytes.HasPrefix(mark[1:], c.source[:]):
		return invalidf("the target is an unfinished copy of another store, or of this one before it went on; remove it")
	}
	c.last = mark[1+len(c.source):]
	return nil
}

func (c *copier) records(ctx context.Context) error {
	start := []byte(nil)
	if c.last != nil {
		start = append(bytes.Clone(c.last), 0)
	}
	limits := c.to.Limits()
	var failed error
	err := c.from.Scan(ctx, start, nil, func(key, value []byte) bool {
		if bytes.Equal(key, metaKey("format")) {
			return true
		}
		size := len(key) + len(value) + limits.Overhead
		full := len(c.batch) >= min(limits.Writes/2, copyWrites) || c.bytes+size > min(limits.Bytes/2, copyBytes)
		if full && len(c.batch) > 0 {
			if failed = c.write(ctx); failed != nil {
				return false
			}
		}
		c.batch = append(c.batch, driver.Write{Key: bytes.Clone(key), Value: append([]byte{}, value...), New: true})
		c.bytes += size
		return true
	})
	if err == nil {
		err = failed
	}
	if err == nil && len(c.batch) > 0 {
		err = c.write(ctx)
	}
	return err
}

// write writes a batch and the mark behind it.
func (c *copier) write(ctx context.Context) error {
	c.last = c.batch[len(c.batch)-1].Key
	for _, w := range c.batch {
		c.done.Records++
		c.done.Bytes += int64(len(w.Key) + len(w.Value))
	}
	mark := append(append([]byte{0}, c.source[:]...), c.last...)
	c.batch = append(c.batch, driver.Write{Key: metaKey("format"), Value: mark})
	if err := c.to.Commit(ctx, c.batch); err != nil {
		return fmt.Errorf("%d records, %d bytes: %w", len(c.batch), c.bytes, err)
	}
	c.batch, c.bytes = c.batch[:0], 0
	if c.progress != nil {
		c.progress(c.done)
	}
	return nil
}

// notes copies the notes, which fit into memory as they do in a store.
func (c *copier) notes(ctx context.Context) error {
	all, err := readNotes(ctx, c.from)
	if err != nil {
		return err
	}
	return c.to.ResetNotes(ctx, all)
}

func readNotes(ctx context.Context, db driver.Store) (all [][]byte, err error) {
	err = db.ReadNotes(ctx, func(note []byte) { all = append(all, bytes.Clone(note)) })
	return all, err
}

// compare reads both stores.
func (c *copier) compare(ctx context.Context) (Copied, error) {
	want, err := digest(ctx, c.from)
	if err != nil {
		return want, err
	}
	got, err := digest(ctx, c.to)
	if err != nil {
		return want, err
	}
	if got != want {
		return want, fmt.Errorf("%w: the copy has %d records of %d bytes, with digest %x; the original %d of %d, with %x",
			ErrCorrupt, got.Records, got.Bytes, got.Digest[:8], want.Records, want.Bytes, want.Digest[:8])
	}
	return want, nil
}

// digest reads all records and notes of a backend but the key "format".
func digest(ctx context.Context, db driver.Store) (d Copied, err error) {
	h := sha256.New()
	err = db.Scan(ctx, nil, nil, func(key, value []byte) bool {
		if !bytes.Equal(key, metaKey("format")) {
			d.Records++
			d.Bytes += int64(len(key) + len(value))
			writeField(h, key)
			writeField(h, value)
		}
		return ctx.Err() == nil
	})
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return d, err
	}
	notes, err := readNotes(ctx, db)
	for _, note := range notes {
		writeField(h, note)
	}
	h.Sum(d.Digest[:0])
	return d, err
}

// writeField writes a field in such a way that no two rows of fields are the same.
func writeField(h hash.Hash, b []byte) {
	h.Write(binary.AppendUvarint(nil, uint64(len(b))))
	h.Write(b)
}
