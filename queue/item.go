package queue

import (
	"time"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// Limits on names and on the parts of an item. They are part of the stored
// format and the same for every backend.
const (
	MaxName     = 128  // bytes in the name of a queue, a table or a subscription
	MaxKey      = 2048 // bytes in an item's identity
	MaxGroup    = 255  // bytes in a group's name
	MaxHeaders  = 4096 // bytes in an item's headers, names and values together
	MaxTableKey = 768  // bytes in the key of a record
	MaxPriority = 100  // the highest priority; the lowest is -MaxPriority
	MaxBarriers = 4096 // barriers that may wait in one queue
	maxBody     = 64 << 20
)

// Mode says what enqueueing an item does when its key is known already.
type Mode uint8

const (
	// Once enqueues a key at most once in the life of the queue. A second
	// enqueue is counted as a duplicate and stores nothing, even after the
	// first item is long done. It is the seen-set of a crawl.
	Once Mode = iota

	// OnceLive enqueues a key unless an item with that key is waiting or
	// being worked on.
	OnceLive

	// ReplaceLive takes the place of a waiting item with that key: the old
	// item is dropped and the new one enqueued. If the old item is being
	// worked on, it is left alone and the new one waits behind it; the key is
	// then the new one's alone.
	ReplaceLive
)

// Item is what a producer enqueues. Only Body is required, and even that may
// be empty.
type Item struct {
	// Body is the payload. The store does not look at it.
	Body []byte

	// Key is the identity of the item within its queue; see [Mode]. An
	// empty key has no identity. Keys are compared by a 128-bit keyed hash.
	Key string

	// Mode says what happens if Key is known already. It has no meaning
	// without a key.
	Mode Mode

	// Group names what the item shares a concurrency limit, a delay and a
	// turn with: in a crawl, the host. Items without a group share a turn,
	// but no limits.
	Group string

	// Batch names the batch that the item joins, up to MaxGroup bytes; see
	// [Tx.CloseBatch]. The children of an item join its batch if they are
	// enqueued with its name. An item that becomes a barrier joins none.
	Batch string

	// Priority orders items of one epoch: a higher one is delivered first.
	// It lies between -MaxPriority and MaxPriority.
	Priority int

	// Delay keeps the item from being delivered for that long after the
	// commit. NotBefore does the same until a point in time; the later of
	// the two counts. Resolution is one millisecond.
	Delay     time.Duration
	NotBefore time.Time

	// Expires is when the item is dropped if nobody has taken it by then.
	// The zero time means never. Resolution is one millisecond.
	Expires time.Time

	// Headers are small strings that filters look at.
	Headers map[string]string
}

// Delivery is an item, or a barrier, that a consumer holds until it settles
// it in a transaction or gives it up. Its fields must not be changed. A
// Delivery may be settled from any goroutine.
type Delivery struct {
	// Item is the item as it was enqueued, less Delay and NotBefore.
	Item Item

	// Barrier is set if this is a barrier, and then Item is zero.
	Barrier *Barrier

	// Queue is the name of the queue, Epoch the epoch the item lies in, and
	// ID the item's number, unique in the store and growing with the order
	// of enqueueing. A barrier has ID zero.
	Queue string
	Epoch uint32
	ID    uint64

	// Attempt counts deliveries, this one included, so it starts at 1.
	// Deliveries that were released are not counted.
	Attempt int

	// Deaths is how many of the deliveries before ended with the process, or
	// with a session that vanished; the others failed.
	Deaths int

	// Enqueued is when the item was committed.
	Enqueued time.Time

	handle any     // of an engine elsewhere
	direct bool    // the item is not enqueued yet
	maker  *leader // that has made it, if it is direct
	c      *session
	lease  sched.Lease[ref]
	ref    ref
	state  leaseState // guarded by c.q.mu
	prev   *Delivery  // held deliveries of c; guarded by c.q.mu
	next   *Delivery
}

// leaseState is where a delivery stands between its receipt and its end.
type leaseState uint8

const (
	leaseHeld     leaseState = iota // its consumer has it
	leaseSettling                   // a transaction that settles it is being committed
	leaseSettled                    // a transaction has settled it
	leaseLost                       // its session ended first
)
