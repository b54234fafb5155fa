package queue

import (
	"context"
	"time"
)

// Store holds queues, tables and everything about them. It is safe for
// concurrent use. A backend's Open returns one, for example
// badgerqueue.Open.
//
// It is here, on a driver, or at the other end of a network: what it promises is the
// same.
type Store struct{ engine Engine }

// NewStore returns a store on an engine. It is for package remote; users call a
// backend's Open, or remote.Open.
func NewStore(e Engine) *Store { return &Store{e} }

// Record is a key of a table with its value.
type Record struct {
	Key   string
	Value []byte
}

// Commit applies the transaction: all of it or nothing. When it returns nil,
// the changes survive a crash and a power cut, and are visible.
//
// After an error there has been no effect, and the same transaction may be
// committed again, with two exceptions. If ctx ends while the transaction is
// being written, Commit returns the context's error and the transaction may
// still happen; this Tx cannot be committed again. If the backend fails, the error
// wraps ErrFailed and the transaction is whole or absent after the next open.
// A transaction with an ID ([Tx].ID) leaves no doubt: [Store.Outcome] says whether it
// has happened, and another Tx with the same ID may be committed in its place, which
// does nothing if it has.
//
// Transactions that are committed at the same time by different goroutines
// share one write to the disk, so many committers are as cheap as one.
func (s *Store) Commit(ctx context.Context, tx *Tx) error {
	return s.engine.Commit(ctx, tx)
}

// Outcome returns the Result of the transaction that was committed with an id, or an
// error that wraps ErrNotFound if there is none among the last [RememberedTxs] that had
// one. It is answered in turn with transactions: when the Commit of a transaction has
// returned, also with the error of its context, Outcome says for good whether it has
// happened.
func (s *Store) Outcome(ctx context.Context, id string) (Result, error) {
	return s.engine.Outcome(ctx, id)
}

// TxSerial returns the number of the next transaction with an id, which is never 0; see
// [Tx].Since.
func (s *Store) TxSerial(ctx context.Context) (uint64, error) {
	return s.engine.TxSerial(ctx)
}

// Batches returns up to limit batches of a queue that are not complete, in order of
// their names, from the one with the name from on.
func (s *Store) Batches(ctx context.Context, queue, from string, limit int) ([]Batch, error) {
	return s.engine.Batches(ctx, queue, from, limit)
}

// Get returns a record of a table. It returns an error that wraps ErrNotFound
// if there is none. The caller owns the slice.
func (s *Store) Get(ctx context.Context, table, key string) ([]byte, error) {
	return s.engine.Get(ctx, table, key)
}

// Scan returns up to limit records of a table whose keys lie in [from, to), in
// order of their keys. An empty to means no upper bound. The next page begins
// at the last key with a zero byte appended; each page sees the table as it
// is when the page is read, so that a slow reader holds nothing up.
func (s *Store) Scan(ctx context.Context, table, from, to string, limit int) ([]Record, error) {
	return s.engine.Scan(ctx, table, from, to, limit)
}

// Subscribe starts a session on a queue, which comes into being with the
// default Config if it does not exist. It returns an error that wraps
// ErrNameInUse if another session holds the durable name.
//
// The session lasts until Close; ctx is for the call alone.
func (s *Store) Subscribe(ctx context.Context, queue string, options *SubscribeOptions) (*Consumer, error) {
	session, err := s.engine.Subscribe(ctx, queue, options)
	if err != nil {
		return nil, err
	}
	return &Consumer{session}, nil
}

// Unsubscribe removes a durable name, so that barriers no longer wait for it.
// It returns an error that wraps ErrNameInUse while a session holds it, and
// ErrNotFound if there is no such name.
func (s *Store) Unsubscribe(ctx context.Context, queue, name string) error {
	return s.engine.Unsubscribe(ctx, queue, name)
}

// Subscriptions returns the durable names of a queue.
func (s *Store) Subscriptions(ctx context.Context, queue string) ([]string, error) {
	return s.engine.Subscriptions(ctx, queue)
}

// Direct returns a delivery of an item of a queue that is yet to be enqueued, if such
// an item, without a group, could be delivered at once, and no more than backlog
// items wait before it. The transaction that settles it enqueues it first: with Ack
// nothing is left of it but the counts, with Retry, Release and Bury it is stored as
// they say. Only one transaction may settle it; it is refused with ErrNotDirect if
// the item could not be delivered any more, because of a barrier say. A delivery that
// is not settled leaves nothing.
//
// The caller sets the delivery's Item, which must have no key, group, delay or
// expiry, before it hands it to anything but Ack. The delivery has no ID.
func (s *Store) Direct(ctx context.Context, queue string, backlog int) (d *Delivery, ok bool) {
	return s.engine.Direct(ctx, queue, backlog)
}

// WaitBarrier returns nil when a barrier has been released, at once if that
// was long ago. It returns an error that wraps ErrNotFound for a barrier that
// has not been placed.
func (s *Store) WaitBarrier(ctx context.Context, id BarrierID) error {
	return s.engine.WaitBarrier(ctx, id)
}

// Barriers returns the barriers of a queue in order: those that wait, the
// released one among them, and the last 1,000 that have passed.
func (s *Store) Barriers(ctx context.Context, queue string) ([]Barrier, error) {
	return s.engine.Barriers(ctx, queue)
}

// Holding returns what holds the present barrier of a queue.
func (s *Store) Holding(ctx context.Context, queue string) (Held, error) {
	return s.engine.Holding(ctx, queue)
}

// Browse returns up to limit unsettled items of a queue without leasing them,
// first the ready and leased ones, then the delayed ones, each in the order of
// their epochs, and then the deferred ones. after is the last item of the page before, or nil for the
// first page. Each page is read as the queue is at that moment.
func (s *Store) Browse(ctx context.Context, queue string, after *Waiting, limit int) ([]Waiting, error) {
	return s.engine.Browse(ctx, queue, after, limit)
}

// Find returns the unsettled item of a queue that has a key. It returns an
// error that wraps ErrNotFound if there is none, be it that it is done or that
// it was never enqueued; Seen tells the two apart for keys of mode Once.
func (s *Store) Find(ctx context.Context, queue, key string) (Waiting, error) {
	return s.engine.Find(ctx, queue, key)
}

// Seen reports whether a key is in the queue's seen-set: whether an item with
// it was enqueued with mode Once, and not forgotten, or is live.
func (s *Store) Seen(ctx context.Context, queue, key string) (bool, error) {
	return s.engine.Seen(ctx, queue, key)
}

// DeadLetters returns up to limit dead letters of a queue whose ids are above
// after, in order of their ids. The first page begins with after = 0.
func (s *Store) DeadLetters(ctx context.Context, queue string, after uint64, limit int) ([]DeadLetter, error) {
	return s.engine.DeadLetters(ctx, queue, after, limit)
}

// Deferrals returns up to limit deferred groups of a queue whose names are after a
// given one, in the order of their names. The first page begins after "".
func (s *Store) Deferrals(ctx context.Context, queue, after string, limit int) ([]Deferral, error) {
	return s.engine.Deferrals(ctx, queue, after, limit)
}

// Stats returns the numbers of all queues, ordered by name.
func (s *Store) Stats(ctx context.Context) ([]QueueStats, error) { return s.engine.Stats(ctx) }

// QueueStats returns the numbers of one queue. They hold all that Get or Scan have shown
// before: what a transaction has written can be read a moment before it is counted, so
// QueueStats waits for the one that is being written, which Stats does not.
func (s *Store) QueueStats(ctx context.Context, queue string) (QueueStats, error) {
	return s.engine.QueueStats(ctx, queue)
}

// Config returns the settings of a queue.
func (s *Store) Config(ctx context.Context, queue string) (Config, error) {
	return s.engine.Config(ctx, queue)
}

// GroupSettings returns the stored settings of a group, zero if there are none.
func (s *Store) GroupSettings(ctx context.Context, queue, group string) (GroupSettings, error) {
	return s.engine.GroupSettings(ctx, queue, group)
}

// Lasts returns for how long at least the store is this process's from now on, if another
// could take it over: 0 or less means that one may have. bounded is false if none can, or
// if the store is elsewhere. It asks nobody.
func (s *Store) Lasts() (d time.Duration, bounded bool) {
	if e, ok := s.engine.(interface{ Lasts() (time.Duration, bool) }); ok {
		return e.Lasts()
	}
	return 0, false
}

// Full reports whether a queue is at or above one of its high-water marks. A
// queue that does not exist is not, and neither is one of a server that cannot be asked.
func (s *Store) Full(ctx context.Context, queue string) bool { return s.engine.Full(ctx, queue) }

// WaitSpace returns nil when a queue is below its high-water marks. It is for
// those who would rather not begin work whose output has no room.
func (s *Store) WaitSpace(ctx context.Context, name string) error {
	return s.engine.WaitSpace(ctx, name)
}

// Drain pauses a queue and returns when no consumer holds any of its items, or
// when ctx ends; the queue stays paused either way.
func (s *Store) Drain(ctx context.Context, queue string) error {
	return s.engine.Drain(ctx, queue)
}

// DrainGroup pauses a group and returns when no consumer holds any of its
// items, or when ctx ends; the group stays paused either way.
func (s *Store) DrainGroup(ctx context.Context, queue, group string) error {
	return s.engine.DrainGroup(ctx, queue, group)
}

// Purge drops the items of a queue that wait, in every epoch, and returns how many
// there were. Those that a consumer holds are left alone, and so is what is enqueued
// after the call; barriers, dead letters, settings and the memory of keys stay.
//
// It removes them in many small transactions, each of which is whole, so others go
// on meanwhile. After an error, or a crash, some are gone and the others are as they
// were; calling Purge again goes on.
func (s *Store) Purge(ctx context.Context, queue string) (int, error) {
	return s.engine.Purge(ctx, queue)
}

// PurgeDead drops the dead letters of a queue, but not those that come after the
// call, and returns how many there were. It works as Purge does.
func (s *Store) PurgeDead(ctx context.Context, queue string) (int, error) {
	return s.engine.PurgeDead(ctx, queue)
}

// MaxItem returns how large an item's body or a record's value may be, in
// bytes: Options.MaxItem, or less if that is all the backend takes.
func (s *Store) MaxItem() int { return s.engine.MaxItem() }

// MaxTx returns the largest size that a transaction may have.
func (s *Store) MaxTx() Size { return s.engine.MaxTx() }

// Size returns a bound on what a transaction would take of a batch if it were
// committed now; one that exceeds [Store.MaxTx] is refused with ErrTooLarge. It
// returns the error with which Commit would refuse an invalid transaction. The
// bound depends on what is stored for few changes only: items that become barriers,
// dead letters that are retried, settings. Size does not change the transaction and
// takes about as long as Commit without the disk.
func (s *Store) Size(ctx context.Context, tx *Tx) (Size, error) {
	return s.engine.Size(ctx, tx)
}

// Check verifies everything against everything: the backend's own checksums,
// every count against the items, every index against what it points to, and
// what is in memory against what is stored. It returns an error that wraps
// ErrCorrupt and names up to 20 findings. Transactions wait while it runs,
// which takes some seconds per million items.
func (s *Store) Check(ctx context.Context) error {
	return s.engine.Check(ctx)
}

// Close ends every session, gives back what they hold without counting the
// attempt, waits for transactions in progress and closes the backend.
// Transactions not begun return ErrClosed. A second Close returns ErrClosed.
func (s *Store) Close() error { return s.engine.Close() }
