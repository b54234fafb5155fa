package queue

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/internal/wire"
)

// Tx is a list of changes that [Store.Commit] applies together or not at all.
// The zero Tx is empty and ready to use. Building one cannot fail: mistakes
// are reported by Commit, before any effect. A Tx is not safe for concurrent
// use, and is committed at most once unless Reset is called.
//
// The changes take effect in the order of the calls. In particular, what is
// enqueued before a call of Barrier lies before the barrier, and what is
// enqueued after it lies behind.
type Tx struct {
	// ID makes it happen once. A transaction with the id of one that was committed
	// changes nothing: its Commit returns nil, and its Result is that of the first, even
	// after a crash, whatever else it holds. So one whose outcome is unknown is built
	// again with the same id and committed again; or [Store.Outcome] is asked. Ids are
	// chosen by callers, who see to it that no two transactions share one: a random
	// UUID, say. An id has up to [MaxTxID] bytes and is compared by a 128-bit keyed hash.
	// The store remembers the last [RememberedTxs]; a transaction with an older id would
	// happen again, but for Since. Empty means none, which spares a write.
	ID string

	// Since is what [Store.TxSerial] returned at some time before the transaction was
	// committed for the first time. If so many others have come since that its ID would
	// not be known any more, Commit returns an error that wraps ErrForgotten and changes
	// nothing, whether it has happened before or not. Zero means that it would happen again.
	Since uint64

	ops       []op
	wait      bool
	committed bool
	result    Result
}

// Result says what a committed transaction has done.
type Result struct {
	Enqueued   int // items stored
	Duplicates int // items not stored because their key was known
	Replaced   int // waiting items that gave way to one with their key
	Removed    int // waiting items that Remove has dropped, and dead letters that DropDead has
	Buried     int // deliveries that went to the dead letters, those out of attempts among them

	// Barriers identifies the barriers placed, in the order of the calls.
	Barriers []BarrierID
}

type opKind uint8

const (
	opAck opKind = iota
	opRetry
	opRelease
	opSnooze
	opDefer
	opBury
	opEnqueue
	opBarrier
	opPut
	opDelete
	opAdd
	opDeferGroup
	opRequire
	opSetGroup
	opDelayGroup
	opConfigure
	opPause
	opRemove
	opRejoinGroup
	opRejoin
	opForget
	opRetryDead
	opDropDead
	opDeleteQueue
	opDeleteTable
	opAddName
	opDropName
	opDirectAck
	opDirectRetry
	opDirectBury
	opCloseBatch
)

// op is one change. Which fields it uses depends on its kind.
type op struct {
	kind     opKind
	explicit bool          // opAck: group not used; opRetry: delay was given; opPause: pause, not resume
	d        *Delivery     // settlements
	err      error         // opRetry, opDefer, opBury
	delay    time.Duration // opRetry, opSnooze
	until    time.Time     // opDefer, opDeferGroup
	name     string        // queue or table
	key      string        // table key, group, batch, identity or durable name
	to       string        // opCloseBatch: a queue
	id       uint64        // item or dead letter
	at       *loc          // opRemove, opRejoin
	item     *Item         // opEnqueue
	value    []byte        // encoded item, encoded reason, record or barrier body
	delta    int64         // opAdd
	group    *GroupSettings
	config   *Config

	// Filled in by Commit, for opEnqueue.
	hash      hash128
	mark      []byte // what was found under hash
	markKnown bool
}

// Ack settles deliveries as done. For a barrier it says that this consumer
// knows; the next epoch opens when everybody does.
func (tx *Tx) Ack(ds ...*Delivery) {
	tx.ops = slices.Grow(tx.ops, len(ds))
	for _, d := range ds {
		tx.settle(op{kind: opAck, d: d})
	}
}

// settle adds the settlement of a delivery.
func (tx *Tx) settle(o op) {
	if o.d != nil && o.d.direct {
		tx.settleDirect(o)
		return
	}
	tx.ops = append(tx.ops, o)
}

// AckUnused is Ack for items that turned out to ask nothing of their group, as an
// address does that robots.txt forbids: the group's minimum delay, which began
// when the item was taken, is taken back.
func (tx *Tx) AckUnused(ds ...*Delivery) {
	for _, d := range ds {
		tx.settle(op{kind: opAck, d: d, explicit: true})
	}
}

// Retry settles a delivery as failed. It is delivered again after the queue's
// back-off, or, if this was its last attempt, goes to the dead letters. The
// text of err is kept with a dead letter; err may be nil.
func (tx *Tx) Retry(d *Delivery, err error) {
	tx.settle(op{kind: opRetry, d: d, err: err})
}

// RetryAfter is Retry with a delay of the caller's choice, which may be zero.
// An item of a group does not hold up the others of the group meanwhile.
func (tx *Tx) RetryAfter(d *Delivery, delay time.Duration, err error) {
	tx.settle(op{kind: opRetry, d: d, err: err, delay: delay, explicit: true})
}

// Release gives deliveries back as if they had not been taken: they keep their
// place, and the attempt is not counted.
func (tx *Tx) Release(ds ...*Delivery) {
	tx.ops = slices.Grow(tx.ops, len(ds))
	for _, d := range ds {
		tx.settle(op{kind: opRelease, d: d})
	}
}

// Defer settles a delivery by taking its item out of its epoch, so that no barrier
// waits for it: the barrier counts it as Deferred. The attempt is not counted. The
// item keeps its id, its key and its attempts, and comes back at the given time, or
// when [Tx.Rejoin] says so; a zero time leaves it to Rejoin alone. It comes back
// into the open epoch, or into the next if all of the open one is settled. The text
// of err, which may be nil, is kept until then. If the item's group is deferred at
// its time, it waits for its group as well.
func (tx *Tx) Defer(d *Delivery, until time.Time, err error) {
	tx.ops = append(tx.ops, op{kind: opDefer, d: d, until: until, err: err})
}

// DeferGroup takes a group out of the queue's epochs, so that no barrier waits for
// it, until the given time or until [Tx.RejoinGroup]; a zero time leaves it to
// RejoinGroup alone. From the commit on nothing of the group is delivered. Its
// waiting items leave the open epoch in the background, thousands in a batch, and
// those that a consumer holds when they are retried or released. What is enqueued to
// the group meanwhile goes to the same place, unless a barrier waits in the queue:
// then it lies behind the barrier, and leaves when its epoch opens. Delays and
// expiry go on: a delayed item comes back when its own time has come as well.
//
// Of a group that is deferred already the time and the reason are replaced.
func (tx *Tx) DeferGroup(queue, group string, until time.Time, reason string) {
	tx.ops = append(tx.ops, op{kind: opDeferGroup, name: queue, key: group, until: until, value: []byte(cut(reason, maxReason/4))})
}

// RejoinGroup ends the deferral of a group: its items come back into the open epoch,
// or into the next if all of the open one is settled. They arrive in the background,
// thousands in a batch, and the epoch's barrier is not released before they have. A
// group that is not deferred is left alone.
func (tx *Tx) RejoinGroup(queue, group string) {
	tx.ops = append(tx.ops, op{kind: opRejoinGroup, name: queue, key: group})
}

// Rejoin brings back items that were deferred, whatever their time; [Store.Browse]
// finds them. One whose group is deferred then waits for its group alone. One that
// is not deferred is left alone.
func (tx *Tx) Rejoin(items ...Waiting) {
	for _, w := range items {
		tx.ops = append(tx.ops, op{kind: opRejoin, name: w.Queue, at: &w.at, id: w.ID, item: &w.Item})
	}
}

// Snooze gives a delivery back for later: it is delivered again after the delay, which
// is not negative, and the attempt is not counted, since nothing has failed. An item of a group does not hold up the others of the group meanwhile, unless
// the queue keeps its groups in strict order ([GroupPolicy.Ordered]); the group's minimum
// delay passes as after an Ack. An item that has expired meanwhile is dropped.
func (tx *Tx) Snooze(d *Delivery, delay time.Duration) {
	tx.settle(op{kind: opSnooze, d: d, delay: delay, explicit: true})
}

// Bury moves a delivery to the dead letters whatever its attempts. The text
// of err is kept with it, and its stack if it or an error that it wraps has a
// method Stack() []byte.
func (tx *Tx) Bury(d *Delivery, err error) {
	tx.settle(op{kind: opBury, d: d, err: err})
}

// Enqueue adds items to the tail epoch of a queue. A queue that does not
// exist yet comes into being with the default [Config]. The items are read by
// Commit, and their bodies may be kept after it: do not change them.
func (tx *Tx) Enqueue(queue string, items ...Item) {
	tx.ops = slices.Grow(tx.ops, len(items))
	for i := range items {
		tx.ops = append(tx.ops, op{kind: opEnqueue, name: queue, item: &items[i]})
	}
}

// Barrier ends the tail epoch of a queue. It is released, with body, when
// everything enqueued so far is settled. Its identity is in [Tx.Result] after
// the commit.
func (tx *Tx) Barrier(queue string, body []byte) {
	tx.ops = append(tx.ops, op{kind: opBarrier, name: queue, value: body})
}

// Put sets a record of a table. Tables need no declaration.
func (tx *Tx) Put(table, key string, value []byte) {
	tx.ops = append(tx.ops, op{kind: opPut, name: table, key: key, value: value})
}

// Delete removes a record of a table. A record that is not there is no error.
func (tx *Tx) Delete(table, key string) {
	tx.ops = append(tx.ops, op{kind: opDelete, name: table, key: key})
}

// Add adds delta to a counter: a record of a table whose value is a decimal
// number, and which is 0 as long as it does not exist. Any number of
// transactions may add to one counter at the same time. [ParseCounter] reads
// what Get and Scan return.
func (tx *Tx) Add(table, key string, delta int64) {
	tx.ops = append(tx.ops, op{kind: opAdd, name: table, key: key, delta: delta})
}

// SetGroup replaces the settings of a group; the zero GroupSettings removes
// them. A minimum delay that is running already is not cut short.
func (tx *Tx) SetGroup(queue, group string, s GroupSettings) {
	tx.ops = append(tx.ops, op{kind: opSetGroup, name: queue, key: group, group: &s})
}

// DelayGroup sets a group's NotBefore to until unless it is later already,
// and leaves its other settings alone.
func (tx *Tx) DelayGroup(queue, group string, until time.Time) {
	tx.ops = append(tx.ops, op{kind: opDelayGroup, name: queue, key: group, group: &GroupSettings{NotBefore: until}})
}

// Configure replaces the settings of a queue, which comes into being if it
// does not exist.
func (tx *Tx) Configure(queue string, c Config) {
	tx.ops = append(tx.ops, op{kind: opConfigure, name: queue, config: &c})
}

// Pause stops the delivery of a queue's items, and Resume starts it again.
// Barriers are delivered all the same.
func (tx *Tx) Pause(queue string) {
	tx.ops = append(tx.ops, op{kind: opPause, name: queue, explicit: true})
}

// Resume undoes Pause.
func (tx *Tx) Resume(queue string) {
	tx.ops = append(tx.ops, op{kind: opPause, name: queue})
}

// Remove drops items that wait; [Store.Browse] finds them. One that is being
// worked on, or gone, is left alone.
func (tx *Tx) Remove(items ...Waiting) {
	for _, w := range items {
		tx.ops = append(tx.ops, op{kind: opRemove, name: w.Queue, at: &w.at, id: w.ID})
	}
}

// Forget makes a queue forget that keys were ever enqueued, so that mode Once
// takes them again.
func (tx *Tx) Forget(queue string, keys ...string) {
	for _, key := range keys {
		tx.ops = append(tx.ops, op{kind: opForget, name: queue, key: key})
	}
}

// RetryDead enqueues dead letters again, with a new id and no attempts, in
// the tail epoch: behind every barrier that waits. One whose key is live
// again stays where it is and counts as a duplicate; one that does not exist
// is passed over.
func (tx *Tx) RetryDead(queue string, ids ...uint64) {
	for _, id := range ids {
		tx.ops = append(tx.ops, op{kind: opRetryDead, name: queue, id: id})
	}
}

// DropDead removes dead letters. One that does not exist is passed over.
func (tx *Tx) DropDead(queue string, ids ...uint64) {
	for _, id := range ids {
		tx.ops = append(tx.ops, op{kind: opDropDead, name: queue, id: id})
	}
}

// WaitIfFull makes Commit wait while a queue that the transaction enqueues to
// is above its high-water mark, instead of returning [ErrQueueFull]. It has no
// effect on a transaction that settles a delivery: that one never waits, so
// that nobody waits while holding what others wait for.
func (tx *Tx) WaitIfFull() { tx.wait = true }

// Result returns what the transaction did, once Commit has returned nil.
func (tx *Tx) Result() Result { return tx.result }

// Len returns how many changes the transaction holds.
func (tx *Tx) Len() int { return len(tx.ops) }

// Append adds the changes of another transaction behind those of tx, and leaves
// the other as it is. Only one of the two may then be committed. The id is that of tx
// if it has one.
func (tx *Tx) Append(other *Tx) {
	tx.ID = cmp.Or(tx.ID, other.ID)
	tx.ops = append(tx.ops, other.ops...)
	tx.wait = tx.wait || other.wait
}

// Grow makes room for n more changes, so that adding them allocates once.
func (tx *Tx) Grow(n int) { tx.ops = slices.Grow(tx.ops, n) }

// Reset empties the transaction for another use.
func (tx *Tx) Reset() {
	clear(tx.ops)
	*tx = Tx{ops: tx.ops[:0]}
}

func validName(what, name string) error {
	switch {
	case name == "":
		return invalidf("%s name is empty", what)
	case len(name) > MaxName:
		return invalidf("%s name %.20q… has %d bytes, more than %d", what, name, len(name), MaxName)
	case strings.IndexByte(name, 0) >= 0:
		return invalidf("%s name %q holds a zero byte", what, name)
	}
	return nil
}

func validGroup(group string) error {
	if len(group) > MaxGroup {
		return invalidf("group %.20q… has %d bytes, more than %d", group, len(group), MaxGroup)
	}
	if strings.IndexByte(group, 0) >= 0 {
		return invalidf("group %q holds a zero byte", group)
	}
	return nil
}

func validItem(it *Item, maxItem int) error {
	if err := validGroup(it.Group); err != nil {
		return err
	}
	if err := validBatch(it.Batch); err != nil {
		return err
	}
	headers := 0
	for name, value := range it.Headers {
		headers += len(name) + len(value)
	}
	switch {
	case len(it.Body) > maxItem:
		return fmt.Errorf("%w: body of %d bytes, Options.MaxItem is %d", ErrTooLarge, len(it.Body), maxItem)
	case len(it.Key) > MaxKey:
		return fmt.Errorf("%w: key of %d bytes, MaxKey is %d", ErrTooLarge, len(it.Key), MaxKey)
	case headers > MaxHeaders || len(it.Headers) > maxItemHeaders:
		return fmt.Errorf("%w: %d headers of %d bytes, the limit is %d of %d", ErrTooLarge, len(it.Headers), headers, maxItemHeaders, MaxHeaders)
	case it.Priority > MaxPriority || it.Priority < -MaxPriority:
		return invalidf("priority %d is not between %d and %d", it.Priority, -MaxPriority, MaxPriority)
	case it.Delay < 0:
		return invalidf("delay %v is negative", it.Delay)
	case it.Mode > ReplaceLive:
		return invalidf("mode %d", it.Mode)
	case !it.Expires.IsZero() && it.Expires.UnixMilli() <= 0, !it.NotBefore.IsZero() && it.NotBefore.UnixMilli() <= 0:
		return invalidf("time before 1970")
	}
	return nil
}

// validate checks everything about an op that needs no state.
func (o *op) validate(s *leader) error {
	switch o.kind {
	case opAck, opRetry, opRelease, opSnooze, opDefer, opBury:
		switch {
		case o.d != nil && o.d.handle != nil:
			return ErrForeign
		case o.d == nil || o.d.c == nil:
			return invalidf("delivery did not come from Receive")
		case o.d.c.s != s:
			return ErrForeign
		case o.delay < 0:
			return invalidf("delay %v is negative", o.delay)
		case o.kind == opBury && o.d.Barrier != nil:
			return fmt.Errorf("bury: %w", ErrBarrier)
		case o.kind == opDefer && o.d.Barrier != nil:
			return fmt.Errorf("defer: %w", ErrBarrier)
		}
		return nil
	case opDeleteTable:
		return validName("table", o.name)
	case opPut, opDelete, opAdd, opRequire:
		if err := validName("table", o.name); err != nil {
			return err
		}
		if len(o.key) == 0 || len(o.key) > MaxTableKey {
			return invalidf("key of table %s has %d bytes, not 1 to %d", o.name, len(o.key), MaxTableKey)
		}
		if len(o.value) > s.opts.MaxItem {
			return fmt.Errorf("%w: record of %d bytes, Options.MaxItem is %d", ErrTooLarge, len(o.value), s.opts.MaxItem)
		}
		return nil
	}
	if err := validName("queue", o.name); err != nil {
		return err
	}
	switch o.kind {
	case opDirectAck, opDirectRetry, opDirectBury:
		return o.validateDirect(s)
	case opEnqueue:
		return validItem(o.item, s.opts.MaxItem)
	case opBarrier:
		if len(o.value) > s.opts.MaxItem {
			return fmt.Errorf("%w: barrier of %d bytes, Options.MaxItem is %d", ErrTooLarge, len(o.value), s.opts.MaxItem)
		}
	case opSetGroup, opDelayGroup:
		if o.key == "" {
			return invalidf("group name is empty")
		}
		if err := validGroup(o.key); err != nil {
			return err
		}
		return o.group.validate()
	case opDeferGroup, opRejoinGroup:
		if o.key == "" {
			return invalidf("group name is empty")
		}
		return validGroup(o.key)
	case opCloseBatch:
		return o.validateBatch(s)
	case opConfigure:
		return o.config.validate()
	case opForget:
		if o.key == "" {
			return invalidf("key is empty")
		}
	}
	return nil
}

// settles reports whether the transaction settles a delivery.
func (tx *Tx) settles() bool {
	for i := range tx.ops {
		if tx.ops[i].kind <= opBury {
			return true
		}
	}
	return false
}

// grows reports whether the op stores something new.
func (o *op) grows() bool {
	switch o.kind {
	case opEnqueue, opBarrier, opPut, opAdd, opConfigure, opSetGroup, opDelayGroup, opDeferGroup, opDirectRetry, opCloseBatch:
		return true
	}
	return false
}

// maxReason bounds what is kept of an error and of its stack.
const maxReason = 8 << 10

// appendReason appends the text of err and its stack, each with its length in
// front, cut to what is kept.
func appendReason(b []byte, err error) []byte {
	if err == nil {
		return append(b, 0, 0)
	}
	stack := ""
	var s interface{ Stack() []byte }
	if errors.As(err, &s) {
		stack = string(s.Stack())
	}
	b = wire.AppendString(b, cut(err.Error(), maxReason/4))
	return wire.AppendString(b, cut(stack, maxReason*3/4))
}

func cut(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}
