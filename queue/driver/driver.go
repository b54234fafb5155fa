// Package driver defines what a storage backend offers to package queue.
//
// A backend is a durable ordered map with atomic batches and a small log of
// notes. Everything that makes the map a queue (scheduling, identity, leases,
// barriers, counts) lives once, in package queue, so that a backend has no
// policy, no retries and no background work that a caller could observe.
//
// Users do not need this package; they open a backend with, say,
// badgerqueue.Open and work with the *queue.Store that it returns.
//
// The comments of [Store] are the contract, and package queuetest checks each
// sentence of it.
package driver

import (
	"context"
	"errors"
	"time"
)

// Errors that a backend returns, wrapped with its own words or bare. Package
// queue exports them again under the same names.
var (
	// ErrNotFound is returned by Get for a key that is not in the store.
	ErrNotFound = errors.New("not found")

	// ErrTooLarge is returned by Commit for a batch over the limits of
	// Limits. Nothing of such a batch has been written.
	ErrTooLarge = errors.New("larger than the store's limit")

	// ErrLocked is returned by a backend's Open when another process has
	// the store open.
	ErrLocked = errors.New("store is locked by another process")

	// ErrCorrupt is returned when stored bytes are not what was written.
	ErrCorrupt = errors.New("store is corrupt")

	// ErrVersion is returned by a backend's Open for a store written by a
	// newer version of the software, or for a folder that is not a store.
	ErrVersion = errors.New("no store that this program can open")

	// ErrFenced is returned by a backend that several processes may open, one
	// after the other, when another has taken the store over. Nothing of the
	// batch has been written, and nothing can be.
	ErrFenced = errors.New("another process has taken the store over")

	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("store is closed")
)

// A Write sets a key to a value, or deletes it.
type Write struct {
	Key    []byte
	Value  []byte
	Delete bool // Value is ignored

	// New says that the caller knows the key to be absent when the writes
	// before this one are done, those of the same batch included. A backend may
	// use it to look for nothing that would be replaced.
	New bool
}

// Limits says how much one batch may hold.
type Limits struct {
	// Writes is the largest number of writes in one batch.
	Writes int
	// Bytes bounds the sum over a batch of len(Key)+len(Value)+Overhead.
	Bytes int
	// Overhead is what one write costs besides its key and its value.
	Overhead int
}

// A Store is a durable ordered map from byte strings to byte strings.
//
// Keys are ordered as bytes.Compare orders them, are never empty and are at
// most 1,024 bytes long. Get and Scan may be called from any number of
// goroutines at once and during a Commit. Commit, AppendNotes and ResetNotes
// are each called by one goroutine at a time.
type Store interface {
	// Get returns the value of a key. It returns an error that wraps
	// ErrNotFound if the key is absent. The caller owns the slice.
	Get(ctx context.Context, key []byte) ([]byte, error)

	// Scan calls fn for each key k with start <= k < end, in ascending
	// order, until fn returns false. The slices that fn is given are valid
	// only until fn returns, and fn must not call the store.
	//
	// A Scan sees one state of the store: no batch in part, and no write
	// that a power cut could still undo. It sees each batch whose Commit
	// had returned when the Scan began. The same is true of Get.
	//
	// Time may grow with the number of recently deleted keys between start
	// and the last key visited, so callers keep start past what they have
	// deleted and set end as tight as they can.
	Scan(ctx context.Context, start, end []byte, fn func(key, value []byte) bool) error

	// Commit applies the writes together or not at all. When it returns
	// nil they survive the death of the process and the loss of power.
	// Where a batch names a key twice, the later write wins. Commit does
	// not keep the slices after it has returned.
	//
	// A batch over Limits returns an error that wraps ErrTooLarge and has no
	// effect. After any other error it is unknown what the store holds: the
	// caller stops using it, and the next Open finds the batch whole or
	// absent.
	Commit(ctx context.Context, writes []Write) error

	// AppendNotes adds a note to the log of notes. When it returns nil the
	// note survives the death of the process, but not always the loss of
	// power. It is much cheaper than Commit: it does not wait for the disk.
	AppendNotes(ctx context.Context, note []byte) error

	// ReadNotes calls fn for each note since the last ResetNotes, in the
	// order in which they were appended. A note that was cut short by a
	// crash, and what follows it, are left out.
	ReadNotes(ctx context.Context, fn func(note []byte)) error

	// ResetNotes replaces all notes by the given ones. A crash during the
	// call leaves either the old notes or the new ones.
	ResetNotes(ctx context.Context, notes [][]byte) error

	// Limits returns the limits of one batch. They do not change.
	Limits() Limits

	// Free returns how many bytes the backend can still write before the
	// storage is full, less whatever it has promised already. A backend
	// without a limit returns math.MaxInt64.
	Free() (int64, error)

	// Verify reads everything that is stored and returns an error that
	// wraps ErrCorrupt, and names the file, if it is not what was written.
	Verify(ctx context.Context) error

	// Close releases the store. Committed batches and notes are kept. After
	// Close every method returns an error that wraps ErrClosed.
	Close() error
}

// Led is a Store that another process may take over while this one has it open.
type Led interface {
	Store

	// Lasts returns, without a call, for how long this process leads at least, from now
	// on. It is 0 or less if another may lead already, and more again if none does.
	Lasts() time.Duration
}
