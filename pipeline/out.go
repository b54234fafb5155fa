package pipeline

import (
	"fmt"
	"slices"

	"github.com/seed-301537d8/weir/queue"
)

// Out collects what a stage wants to happen, together with the acknowledgement
// of what it took, if it returns nil. An Out belongs to one call of a stage and
// is not safe for concurrent use.
type Out struct {
	tx      queue.Tx
	failure queue.Tx
	err     error // the first of emission
	emitted []emission
	after   []func() // the commit
	undone  []func() // if there is none
	feeds   []string // declared; nil in tests, where everything may be fed
	chains  bool     // values may be handed on as they are

	returned bool // nil, by the stage

	attempt    int
	failures   int // before this attempt
	last       bool
	unused     bool // the value's group
	journal    *journal
	entries    []any // for the journal
	generation int
	id         uint64
	of         *queue.Delivery // nil in tests
}

// emission is an item for a queue, or a record for a table.
type emission struct {
	queue   string
	encoded queue.Item

	// Of a value that may be chained.
	live any
	make func() (queue.Item, error) // nil once encoded is
	link *link                      // if it was

	table, key string
	value      []byte
}

// item returns the item of the emission, which is made when somebody asks.
func (e *emission) item() (queue.Item, error) {
	if e.make == nil {
		return e.encoded, nil
	}
	var item queue.Item
	err := protect(func() (err error) { item, err = e.make(); return err })
	if err == nil {
		e.encoded, e.make = item, nil
	}
	return item, err
}

// add adds what has been encoded and has not been chained.
func (e *emission) add(tx *queue.Tx) {
	switch {
	case e.link != nil:
	case e.table != "":
		tx.Put(e.table, e.key, e.value)
	default:
		tx.Enqueue(e.queue, e.encoded)
	}
}

// encode makes the items of what is not chained.
func (o *Out) encode() error {
	for i := range o.emitted {
		if e := &o.emitted[i]; e.link == nil {
			if _, err := e.item(); err != nil {
				return err
			}
		}
	}
	return nil
}

// unchain takes back that values were chained.
func (o *Out) unchain() {
	for i := range o.emitted {
		o.emitted[i].link = nil
	}
}

func (o *Out) callAfter() {
	for _, fn := range o.after {
		fn()
	}
}

func (o *Out) callUndone() {
	for _, fn := range o.undone {
		fn()
	}
}

// mayPrecede reports whether the emission does no harm if it happens twice, or
// without the rest.
func (e *emission) mayPrecede() bool {
	return e.table != "" || e.encoded.Key != "" && e.encoded.Mode == queue.Once
}

// NewOut returns an Out for calling a stage in a test: attempt 1, not the last,
// generation 0, and every feed declared.
func NewOut() *Out { return &Out{attempt: 1} }

// Enqueue is Emit for an item that its [Edge] has made.
func (o *Out) Enqueue(e AnyEdge, item queue.Item) {
	if o.declared(e) {
		o.emitted = append(o.emitted, emission{queue: e.Name(), encoded: item})
	}
}

func (o *Out) declared(e AnyEdge) bool {
	if o.feeds != nil && !slices.Contains(o.feeds, e.Name()) {
		o.fail(fmt.Errorf("%w: %s", ErrUndeclared, e.Name()))
		return false
	}
	return true
}

// PutAhead is Emit for a record of a table. It is for records that there are
// many of, and that do no harm without the rest of what the stage wants: where
// all of it is more than a transaction can hold, they are stored first, as are
// items that enter their queue once.
func (o *Out) PutAhead(table, key string, value []byte) {
	o.emitted = append(o.emitted, emission{table: table, key: key, value: value})
}

func (o *Out) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// Err returns the first error of emission. A stage need not ask: the error
// fails its attempt.
func (o *Out) Err() error { return o.err }

// Tx returns changes that are committed with the acknowledgement, if the stage
// returns nil: records of tables, counters, settings of groups. Do not settle what
// the stage was called for, or place barriers, with it. If it settles a delivery of another
// queue whose lease is lost, nothing is committed, and the value comes again.
func (o *Out) Tx() *queue.Tx { return &o.tx }

// OnFailure returns changes that are committed with the retry or the burial, if
// the stage returns an error or panics. What it emitted is dropped then, and so
// is what it has put into Tx.
func (o *Out) OnFailure() *queue.Tx { return &o.failure }

// OnCommit registers a function that is called once the stage has returned nil
// and what it wants, the acknowledgement included, has been committed. It is for
// what lives in memory, such as caches and metrics: it is not called if the
// process dies in between, nor if somebody else has the item by now.
func (o *Out) OnCommit(fn func()) { o.after = append(o.after, fn) }

// OnUndone registers a function that is called once when the stage is done with its value
// and what it wants was not committed, nor will be: the value is somebody else's by now,
// the store has refused the transaction for good, or what was emitted cannot be. It
// is for what must then be given back in another way. If the stage has returned an error
// it is called only if what it wants on failure was not committed either. So after a stage
// that has returned nil either this is called or what is registered with OnCommit; neither
// is if the process dies, or the pipeline ends with an error.
func (o *Out) OnUndone(fn func()) { o.undone = append(o.undone, fn) }

// GroupUnused says that the stage has asked nothing of the value's group, such
// as the host of an address that may not be fetched, so that the group's minimum
// delay, which began when the value was taken, is taken back if the stage
// succeeds. See [queue.Tx.AckUnused].
func (o *Out) GroupUnused() { o.unused = true }

// Reset drops what the stage has emitted, put into Tx, added to a journal and registered
// by OnCommit so far. What is registered by OnUndone stays: it may be for what is taken
// still, and is called as ever if nothing is committed. OnFailure stays as it is.
func (o *Out) Reset() {
	o.tx.Reset()
	o.emitted, o.after, o.err, o.unused, o.journal, o.entries = nil, nil, nil, false, nil, nil
}

// Attempt returns how often the item has been delivered, this time included.
func (o *Out) Attempt() int { return o.attempt }

// Failures returns how often the item has failed before. Deliveries that ended with
// the death of the process, or of a session, are not among them; see
// [queue.Config].
func (o *Out) Failures() int { return o.failures }

// LastAttempt reports whether the item goes to the dead letters if this attempt
// fails. A stage may prefer to store why, and to return nil.
func (o *Out) LastAttempt() bool { return o.last }

// Generation returns the generation that the item belongs to.
func (o *Out) Generation() int { return o.generation }

// Alive reports whether what the stage is called for is still this process's, as far as
// can be known without a call; see [queue.Delivery.Alive]. A stage asks it right before
// it does what no transaction undoes, and returns [ErrAgain] if it is not.
func (o *Out) Alive() bool { return o.of == nil || o.of.Alive() }

// ID returns the item's number, unique in the store and growing with the order
// of enqueueing; 0 if the value was chained (see [Options]).
func (o *Out) ID() uint64 { return o.id }
