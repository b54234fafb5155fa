package queue

import (
	"errors"
	"fmt"

	"github.com/seed-301537d8/weir/queue/driver"
)

// Errors from opening a store.
var (
	// ErrLocked is returned when another process has the store open. The
	// message names its process id where that is known.
	ErrLocked = driver.ErrLocked

	// ErrVersion is returned for a store written by a newer version, or for
	// a folder that holds something else.
	ErrVersion = driver.ErrVersion

	// ErrCorrupt is returned when stored bytes are not what was written, by
	// opening a store, by [Store.Check], and by whatever meets the bytes.
	ErrCorrupt = driver.ErrCorrupt
)

// Errors from using a store.
var (
	// ErrFenced is returned, with ErrFailed, by a store that another process
	// has taken over. Nothing of the transaction has happened.
	ErrFenced = driver.ErrFenced

	// ErrClosed is returned by every call on a closed store or consumer.
	ErrClosed = driver.ErrClosed

	// ErrFailed is returned by every call after the backend has failed to
	// commit. What the failed transaction did is unknown until the store is
	// opened again; it is then there whole or not at all.
	ErrFailed = errors.New("store has failed and must be reopened")

	// ErrNotFound is returned for a record, a dead letter or a barrier that
	// does not exist.
	ErrNotFound = driver.ErrNotFound

	// ErrUnknownQueue is returned where a queue is inspected or changed that
	// nobody has subscribed to, configured or enqueued to.
	ErrUnknownQueue = errors.New("unknown queue")

	// ErrQueueInUse is returned when a queue is deleted that has consumers.
	ErrQueueInUse = errors.New("queue has consumers")

	// ErrNameInUse is returned when a durable name is held by a session.
	ErrNameInUse = errors.New("durable name is in use")
)

// Errors from building or committing a transaction. A transaction that
// returns one of them has had no effect.
var (
	// ErrInvalid is returned for an argument that can never be right: an
	// empty or overlong name, a negative duration, a priority out of range.
	ErrInvalid = errors.New("invalid argument")

	// ErrTooLarge is returned for an item over [Options.MaxItem] and for a
	// transaction over the backend's limit.
	ErrTooLarge = driver.ErrTooLarge

	// ErrLeaseLost is returned when a delivery no longer belongs to the
	// session that received it.
	ErrLeaseLost = errors.New("lease lost")

	// ErrSettled is returned when a delivery is settled a second time.
	ErrSettled = errors.New("delivery already settled")

	// ErrForeign is returned when a delivery belongs to another store.
	ErrForeign = errors.New("delivery belongs to another store")

	// ErrBarrier is returned for a settlement that a barrier cannot have,
	// such as Bury.
	ErrBarrier = errors.New("not possible for a barrier")

	// ErrTooManyBarriers is returned when [MaxBarriers] barriers wait.
	ErrTooManyBarriers = errors.New("too many barriers waiting")

	// ErrNotDirect is returned when a transaction settles a delivery of
	// [Store.Direct] and the item could not be delivered at once any more.
	ErrNotDirect = errors.New("item would not be delivered at once")

	// ErrTooManyDeferred is returned when [MaxDeferredGroups] groups of a queue
	// are deferred.
	ErrTooManyDeferred = errors.New("too many groups deferred")

	// ErrForgotten is returned for a transaction with an ID and [Tx].Since of which it is
	// not known any more whether it has happened before.
	ErrForgotten = errors.New("transaction came too late to know whether it has happened")

	// ErrConflict is returned when a record is not what [Tx.Require] says.
	ErrConflict = errors.New("record is not as required")

	// ErrQueueFull is returned when a transaction that settles nothing
	// enqueues to a queue above its high-water mark.
	ErrQueueFull = errors.New("queue is full")

	// ErrDiskFull is returned when a transaction would store something new
	// and free space is below the floor. Settling still works.
	ErrDiskFull = errors.New("disk is nearly full")
)

// invalidf returns an error that wraps ErrInvalid.
func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
