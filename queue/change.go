package queue

import (
	"iter"
	"time"
)

// What package remote needs of a transaction, of a delivery and of a waiting item to
// take them to another process. Programs have no use for it.

// ChangeKind says what a [Change] does. Kinds are part of the protocol of package
// remote: new ones are added at the end.
type ChangeKind uint8

const (
	ChangeAck         ChangeKind = iota + 1 // Delivery; Flag: AckUnused
	ChangeRetry                             // Delivery, Err; Flag: Wait is the delay
	ChangeRelease                           // Delivery
	ChangeSnooze                            // Delivery, Wait
	ChangeDefer                             // Delivery, Until, Err
	ChangeBury                              // Delivery, Err
	ChangeEnqueue                           // Name, Item
	ChangeBarrier                           // Name, Value
	ChangePut                               // Name, Key, Value
	ChangeDelete                            // Name, Key
	ChangeAdd                               // Name, Key, Delta
	ChangeRequire                           // Name, Key, Value
	ChangeSetGroup                          // Name, Key, Group
	ChangeDelayGroup                        // Name, Key, Until
	ChangeDeferGroup                        // Name, Key, Until, Value (the reason)
	ChangeRejoinGroup                       // Name, Key
	ChangeConfigure                         // Name, Config
	ChangePause                             // Name; Flag: pause, and not resume
	ChangeRemove                            // Name, Place
	ChangeRejoin                            // Name, Place, Item
	ChangeForget                            // Name, Key
	ChangeRetryDead                         // Name, ID
	ChangeDropDead                          // Name, ID
	ChangeDeleteQueue                       // Name
	ChangeDeleteTable                       // Name
	ChangeCloseBatch                        // Name, Key (the batch), To, Item
)

// changeKinds are the kinds of the ops that a transaction consists of.
var changeKinds = map[opKind]ChangeKind{
	opAck: ChangeAck, opRetry: ChangeRetry, opRelease: ChangeRelease, opSnooze: ChangeSnooze, opDefer: ChangeDefer,
	opBury: ChangeBury, opEnqueue: ChangeEnqueue, opBarrier: ChangeBarrier, opPut: ChangePut, opDelete: ChangeDelete,
	opAdd: ChangeAdd, opRequire: ChangeRequire, opSetGroup: ChangeSetGroup, opDelayGroup: ChangeDelayGroup,
	opDeferGroup: ChangeDeferGroup, opRejoinGroup: ChangeRejoinGroup, opConfigure: ChangeConfigure, opPause: ChangePause,
	opRemove: ChangeRemove, opRejoin: ChangeRejoin, opForget: ChangeForget, opRetryDead: ChangeRetryDead,
	opDropDead: ChangeDropDead, opDeleteQueue: ChangeDeleteQueue, opDeleteTable: ChangeDeleteTable,
	opCloseBatch: ChangeCloseBatch,
	opDirectAck:  ChangeAck, opDirectRetry: ChangeRetry, opDirectBury: ChangeBury,
}

// Change is one change of a transaction: a call of a method of [Tx]. Which fields it
// has depends on its kind.
type Change struct {
	Kind     ChangeKind
	Flag     bool
	Delivery *Delivery
	Err      error
	Wait     time.Duration
	Until    time.Time
	Name     string // queue or table
	Key      string // of a record or an item, or a group or batch
	To       string // a queue
	ID       uint64
	Item     *Item
	Value    []byte
	Delta    int64
	Group    *GroupSettings
	Config   *Config
	Place    []byte // of a waiting item; see [Waiting.Place]
}

// Changes are the changes of the transaction in their order. What they refer to
// belongs to the transaction.
func (tx *Tx) Changes() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for i := range tx.ops {
			if !yield(tx.ops[i].change()) {
				return
			}
		}
	}
}

func (o *op) change() Change {
	c := Change{
		Kind: changeKinds[o.kind], Flag: o.explicit, Delivery: o.d, Err: o.err, Wait: o.delay, Until: o.until,
		Name: o.name, Key: o.key, To: o.to, ID: o.id, Item: o.item, Value: o.value, Delta: o.delta, Group: o.group, Config: o.config,
	}
	switch o.kind {
	case opDelayGroup:
		c.Until, c.Group = o.group.NotBefore, nil
	case opRemove, opRejoin:
		c.Place = o.at.appendPlace(nil)
	case opEnqueue, opDirectAck, opDirectRetry, opDirectBury:
		c.Value = nil // Commit's own
	}
	return c
}

// Waits reports whether WaitIfFull was called.
func (tx *Tx) Waits() bool { return tx.wait }

// Committed tells the transaction that an [Engine] has committed it.
func (tx *Tx) Committed(r Result) { tx.committed, tx.result = true, r }

// Abandoned tells the transaction that an [Engine] has given it up, and that it may
// have happened.
func (tx *Tx) Abandoned() { tx.ops, tx.committed = nil, true }

// Spent reports whether the transaction was committed or given up, and not reset.
func (tx *Tx) Spent() bool { return tx.committed }

// NewDelivery returns a delivery that an [Engine] hands out, with the fields of d. The
// handle is the engine's own; see [Delivery.Handle]. direct says that it is one of
// [Store.Direct].
func NewDelivery(d *Delivery, handle any, direct bool) *Delivery {
	return &Delivery{
		Item: d.Item, Barrier: d.Barrier, Queue: d.Queue, Epoch: d.Epoch, ID: d.ID, Attempt: d.Attempt, Deaths: d.Deaths,
		Enqueued: d.Enqueued, handle: handle, direct: direct,
	}
}

// Handle returns what NewDelivery was given, nil for a delivery of this process.
func (d *Delivery) Handle() any { return d.handle }

// Held reports whether the delivery's session still holds it: no transaction has settled
// it, nor has the session ended.
func (d *Delivery) Held() bool {
	if d.c == nil {
		return false
	}
	d.c.q.mu.Lock()
	defer d.c.q.mu.Unlock()
	return d.state == leaseHeld
}

// Alive reports whether, as far as can be known here without a call, nobody else has been
// given the item: the session has not ended, and whoever can end it from afar, the server
// of a client or the database of a leader, has been heard of so lately that it has not. A
// process that was stopped, or cut off, finds out by it what it has lost, before it does
// what no transaction undoes, such as asking a host. It is false for a delivery that was
// settled.
func (d *Delivery) Alive() bool {
	if h, ok := d.handle.(interface{ Alive() bool }); ok {
		return h.Alive()
	}
	if d.direct {
		return d.maker == nil || d.maker.alive()
	}
	return d.c != nil && d.c.s.alive() && d.Held()
}

// IsDirect reports whether [Store.Direct] has made the delivery.
func (d *Delivery) IsDirect() bool { return d.direct }

// Place says where the item waits, for [WaitingAt].
func (w *Waiting) Place() []byte { return w.at.appendPlace(nil) }

// WaitingAt returns a waiting item that was read elsewhere, by its [Waiting.Place], as
// far as [Tx.Remove], [Tx.Rejoin] and [Store.Browse] need it. Rejoin needs the item.
func WaitingAt(queue string, place []byte, item *Item) (Waiting, error) {
	at, err := parsePlace(place)
	if err != nil {
		return Waiting{}, invalidf("place of an item of %s: %v", queue, err)
	}
	w := Waiting{Queue: queue, ID: at.id, Epoch: at.epoch, at: at}
	if item != nil {
		w.Item = *item
	}
	return w, nil
}
