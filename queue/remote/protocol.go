package remote

import (
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// The messages of the protocol, which docs/protocol.md describes. A call is a POST to
// Prefix and its name. Bodies are JSON, or CBOR (RFC 8949) with the numbers below in
// place of the names.
//
// What changes must be understood by the other side: a field that is added has a zero
// value that means what was before, a field that is removed leaves its number unused, and
// a receiver passes over what it does not know. Version grows when that is not enough.

// Version is the newest version of the protocol that this package speaks; oldestVersion
// is the oldest. See versions.
const (
	Version       = 1
	oldestVersion = 1
)

// Prefix is the path before the name of a call.
const Prefix = "/weir/v1/"

// openRequest makes a client known. Everything it holds is given back when it has not
// sent a heartbeat for the time of the lease.
type openRequest struct {
	Client  string `json:"client" cbor:"1,keyasint,omitempty"` // its own choice, unguessable
	Name    string `json:"name,omitempty" cbor:"2,keyasint,omitempty"`
	Program string `json:"program,omitempty" cbor:"3,keyasint,omitempty"` // and its version
	Version int    `json:"version" cbor:"4,keyasint,omitempty"`           // of the protocol, the newest that the client speaks
	Lease   int64  `json:"lease_ms,omitempty" cbor:"5,keyasint,omitempty"`
	Oldest  int    `json:"oldest,omitempty" cbor:"6,keyasint,omitempty"` // and the oldest, if there are several
}

// openReply has the version that both speak from now on. For limits, which opens nothing,
// it has the newest of the server, and the oldest.
type openReply struct {
	Version int    `json:"version" cbor:"1,keyasint,omitempty"`
	Program string `json:"program" cbor:"2,keyasint,omitempty"`
	Lease   int64  `json:"lease_ms" cbor:"3,keyasint,omitempty"`
	MaxItem int    `json:"max_item" cbor:"4,keyasint,omitempty"`
	MaxTx   size   `json:"max_tx" cbor:"5,keyasint,omitempty"`
	Oldest  int    `json:"oldest,omitempty" cbor:"6,keyasint,omitempty"`
	Serial  uint64 `json:"serial,omitempty" cbor:"7,keyasint,omitempty"`
}

type size struct {
	Writes int `json:"writes" cbor:"1,keyasint,omitempty"`
	Bytes  int `json:"bytes" cbor:"2,keyasint,omitempty"`
}

// clientRequest names a client, for heartbeat and leave, or a session of it, for close. A
// session that has a lease of its own needs heartbeats of its own.
type clientRequest struct {
	Client  string `json:"client" cbor:"1,keyasint,omitempty"`
	Session string `json:"session,omitempty" cbor:"2,keyasint,omitempty"`
}

// empty is the reply that says nothing but that it was done.
type empty struct{}

// subscribeRequest begins a session, whose name is the client's choice. The same name
// again is the same session, so the call may be repeated.
type subscribeRequest struct {
	Client   string        `json:"client" cbor:"1,keyasint,omitempty"`
	Session  string        `json:"session" cbor:"2,keyasint,omitempty"`
	Queue    string        `json:"queue" cbor:"3,keyasint,omitempty"`
	Durable  string        `json:"durable,omitempty" cbor:"4,keyasint,omitempty"`
	Barriers string        `json:"barriers,omitempty" cbor:"5,keyasint,omitempty"` // "", "only", "none"
	Prefetch int           `json:"prefetch,omitempty" cbor:"6,keyasint,omitempty"`
	Filter   *queue.Filter `json:"filter,omitempty" cbor:"7,keyasint,omitempty"`
	Lease    int64         `json:"lease_ms,omitempty" cbor:"8,keyasint,omitempty"` // of the session alone
	Affinity int64         `json:"affinity_us,omitempty" cbor:"9,keyasint,omitempty"`
}

// receiveRequest asks for deliveries. Seq counts the calls of a session that were
// answered: one with the number of the call before gets what that was given and is not
// settled, so that a reply that was lost costs nothing. 0 is for clients that do without.
type receiveRequest struct {
	Client  string `json:"client" cbor:"1,keyasint,omitempty"`
	Session string `json:"session" cbor:"2,keyasint,omitempty"`
	Seq     uint64 `json:"seq,omitempty" cbor:"3,keyasint,omitempty"`
	Max     int    `json:"max,omitempty" cbor:"4,keyasint,omitempty"`
	Wait    int64  `json:"wait_ms,omitempty" cbor:"5,keyasint,omitempty"`
}

type receiveReply struct {
	Deliveries []delivery `json:"deliveries" cbor:"1,keyasint,omitempty"`
	Lasts      int64      `json:"lasts_ms,omitempty" cbor:"2,keyasint,omitempty"` // as of a heartbeat
}

// heartbeatReply says for how long the server leads at least, if another could: what the
// client holds may be another's then, whatever its own lease is.
type heartbeatReply struct {
	Lasts int64 `json:"lasts_ms,omitempty" cbor:"1,keyasint,omitempty"`
}

// delivery is an item or a barrier that a client holds, under the number Delivery.
type delivery struct {
	Delivery uint64   `json:"delivery" cbor:"1,keyasint,omitempty"`
	ID       uint64   `json:"id,omitempty" cbor:"2,keyasint,omitempty"`
	Epoch    uint32   `json:"epoch" cbor:"3,keyasint,omitempty"`
	Attempt  int      `json:"attempt,omitempty" cbor:"4,keyasint,omitempty"`
	Deaths   int      `json:"deaths,omitempty" cbor:"5,keyasint,omitempty"`
	Enqueued int64    `json:"enqueued_ms,omitempty" cbor:"6,keyasint,omitempty"`
	Item     *item    `json:"item,omitempty" cbor:"7,keyasint,omitempty"`
	Barrier  *barrier `json:"barrier,omitempty" cbor:"8,keyasint,omitempty"`
}

// item is a queue.Item. Text may stand in place of Body where that is UTF-8; answers in
// JSON have Text whenever they can.
type item struct {
	Body     []byte            `json:"body,omitempty" cbor:"1,keyasint,omitempty"`
	Text     *string           `json:"text,omitempty" cbor:"-"`
	Key      string            `json:"key,omitempty" cbor:"2,keyasint,omitempty"`
	Mode     queue.Mode        `json:"mode,omitempty" cbor:"3,keyasint,omitempty"`
	Group    string            `json:"group,omitempty" cbor:"4,keyasint,omitempty"`
	Priority int               `json:"priority,omitempty" cbor:"5,keyasint,omitempty"`
	Delay    int64             `json:"delay_us,omitempty" cbor:"6,keyasint,omitempty"`
	Wait     int64             `json:"not_before_in_us,omitempty" cbor:"7,keyasint,omitempty"`
	Expires  int64             `json:"expires_ms,omitempty" cbor:"8,keyasint,omitempty"`
	Headers  map[string]string `json:"headers,omitempty" cbor:"9,keyasint,omitempty"`
	Batch    string            `json:"batch,omitempty" cbor:"10,keyasint,omitempty"`
}

type barrier struct {
	Queue    string            `json:"queue" cbor:"1,keyasint,omitempty"`
	Epoch    uint32            `json:"epoch" cbor:"2,keyasint,omitempty"`
	Body     []byte            `json:"body,omitempty" cbor:"3,keyasint,omitempty"`
	Headers  map[string]string `json:"headers,omitempty" cbor:"4,keyasint,omitempty"`
	Placed   int64             `json:"placed_ms,omitempty" cbor:"5,keyasint,omitempty"`
	Released int64             `json:"released_ms,omitempty" cbor:"6,keyasint,omitempty"`
	Opened   int64             `json:"opened_ms,omitempty" cbor:"7,keyasint,omitempty"`
	Counts   queue.Totals      `json:"counts" cbor:"8,keyasint,omitempty"`
}

// commitRequest holds transactions, each of which happens whole or not at all, and
// independently of the others.
type commitRequest struct {
	Client       string        `json:"client,omitempty" cbor:"1,keyasint,omitempty"`
	Transactions []transaction `json:"transactions" cbor:"2,keyasint,omitempty"`
}

// transaction is a queue.Tx. One with the ID of one that was committed changes nothing
// and is answered as that was.
type transaction struct {
	ID      string   `json:"id,omitempty" cbor:"1,keyasint,omitempty"`
	Changes []change `json:"changes" cbor:"2,keyasint,omitempty"`
	Since   uint64   `json:"since,omitempty" cbor:"3,keyasint,omitempty"`

	unread []byte // in place of Changes: their array, as fastCommit has checked it
}

// change is a queue.Change. In JSON the kind is a name; see kindNames.
type change struct {
	Kind     kind            `json:"do" cbor:"1,keyasint,omitempty"`
	Delivery uint64          `json:"delivery,omitempty" cbor:"2,keyasint,omitempty"`
	Flag     bool            `json:"flag,omitempty" cbor:"3,keyasint,omitempty"`
	Name     string          `json:"name,omitempty" cbor:"4,keyasint,omitempty"` // of the queue or the table
	Key      string          `json:"key,omitempty" cbor:"5,keyasint,omitempty"`  // of the record or the item, or the group
	ID       uint64          `json:"id,omitempty" cbor:"6,keyasint,omitempty"`
	Item     *item           `json:"item,omitempty" cbor:"7,keyasint,omitempty"`
	Value    []byte          `json:"value,omitempty" cbor:"8,keyasint,omitempty"`
	Text     *string         `json:"text,omitempty" cbor:"-"` // in place of Value
	Absent   bool            `json:"absent,omitempty" cbor:"9,keyasint,omitempty"`
	Delta    int64           `json:"delta,omitempty" cbor:"10,keyasint,omitempty"`
	Wait     int64           `json:"wait_us,omitempty" cbor:"11,keyasint,omitempty"` // a delay, or until when
	Error    string          `json:"error,omitempty" cbor:"12,keyasint,omitempty"`
	Stack    string          `json:"stack,omitempty" cbor:"13,keyasint,omitempty"`
	Failed   bool            `json:"failed,omitempty" cbor:"14,keyasint,omitempty"` // there is an error, if an empty one
	Group    *groupSettings  `json:"group,omitempty" cbor:"15,keyasint,omitempty"`
	Config   *queue.Config   `json:"config,omitempty" cbor:"16,keyasint,omitempty"`
	Place    []byte          `json:"place,omitempty" cbor:"17,keyasint,omitempty"`
	To       string          `json:"to,omitempty" cbor:"19,keyasint,omitempty"`
	Direct   *directDelivery `json:"direct,omitempty" cbor:"18,keyasint,omitempty"`
}

// directDelivery settles an item that is not enqueued yet; see queue.Store.Direct.
type directDelivery struct {
	Queue string `json:"queue" cbor:"1,keyasint,omitempty"`
	Epoch uint32 `json:"epoch" cbor:"2,keyasint,omitempty"`
}

type groupSettings struct {
	MaxInFlight int   `json:"max_in_flight,omitempty" cbor:"1,keyasint,omitempty"`
	MinDelay    int64 `json:"min_delay_us,omitempty" cbor:"2,keyasint,omitempty"`
	Wait        int64 `json:"not_before_in_us,omitempty" cbor:"3,keyasint,omitempty"`
	Paused      bool  `json:"paused,omitempty" cbor:"4,keyasint,omitempty"`
}

// statesRequest asks what stages ask of the queues that they feed.
type statesRequest struct {
	Queues []stateRequest `json:"queues" cbor:"1,keyasint,omitempty"`
}

type stateRequest struct {
	Queue   string `json:"queue" cbor:"1,keyasint,omitempty"`
	Backlog int    `json:"backlog,omitempty" cbor:"2,keyasint,omitempty"`
}

type statesReply struct {
	Queues []stateReply `json:"queues" cbor:"1,keyasint,omitempty"`
}

type stateReply struct {
	Full   bool   `json:"full" cbor:"1,keyasint,omitempty"`
	Direct bool   `json:"direct" cbor:"2,keyasint,omitempty"` // see queue.Store.Direct
	Epoch  uint32 `json:"epoch" cbor:"3,keyasint,omitempty"`
}

type commitReply struct {
	Outcomes []outcome `json:"outcomes" cbor:"1,keyasint,omitempty"`
	Serial   uint64    `json:"serial,omitempty" cbor:"2,keyasint,omitempty"`
}

// outcome is what became of a transaction: a result, or an error.
type outcome struct {
	Result *result  `json:"result,omitempty" cbor:"1,keyasint,omitempty"`
	Error  *problem `json:"error,omitempty" cbor:"2,keyasint,omitempty"`
	Held   bool     `json:"held,omitempty" cbor:"3,keyasint,omitempty"` // its id was known, and it has settled nothing
}

// result is a queue.Result.
type result struct {
	Enqueued   int         `json:"enqueued,omitempty" cbor:"1,keyasint,omitempty"`
	Duplicates int         `json:"duplicates,omitempty" cbor:"2,keyasint,omitempty"`
	Replaced   int         `json:"replaced,omitempty" cbor:"3,keyasint,omitempty"`
	Removed    int         `json:"removed,omitempty" cbor:"4,keyasint,omitempty"`
	Buried     int         `json:"buried,omitempty" cbor:"5,keyasint,omitempty"`
	Barriers   []barrierID `json:"barriers,omitempty" cbor:"6,keyasint,omitempty"`
}

type barrierID struct {
	Queue string `json:"queue" cbor:"1,keyasint,omitempty"`
	Epoch uint32 `json:"epoch" cbor:"2,keyasint,omitempty"`
}

// problem is an error. Code is one of errorCodes, and so are those of Also, if it is several
// errors at once.
type problem struct {
	Code    string   `json:"code" cbor:"1,keyasint,omitempty"`
	Message string   `json:"message" cbor:"2,keyasint,omitempty"`
	Also    []string `json:"also,omitempty" cbor:"3,keyasint,omitempty"`
}

// readRequest is for all calls that read: get, scan, stats and so on. Each uses the
// fields that it needs.
type readRequest struct {
	Queue  string       `json:"queue,omitempty" cbor:"1,keyasint,omitempty"`
	Table  string       `json:"table,omitempty" cbor:"2,keyasint,omitempty"`
	Key    string       `json:"key,omitempty" cbor:"3,keyasint,omitempty"`
	From   string       `json:"from,omitempty" cbor:"4,keyasint,omitempty"`
	To     string       `json:"to,omitempty" cbor:"5,keyasint,omitempty"`
	After  uint64       `json:"after,omitempty" cbor:"6,keyasint,omitempty"`
	Place  []byte       `json:"place,omitempty" cbor:"7,keyasint,omitempty"`
	Limit  int          `json:"limit,omitempty" cbor:"8,keyasint,omitempty"`
	Epoch  uint32       `json:"epoch,omitempty" cbor:"9,keyasint,omitempty"`
	Wait   int64        `json:"wait_ms,omitempty" cbor:"10,keyasint,omitempty"`
	Group  string       `json:"group,omitempty" cbor:"11,keyasint,omitempty"`
	Name   string       `json:"name,omitempty" cbor:"12,keyasint,omitempty"`
	ID     string       `json:"id,omitempty" cbor:"13,keyasint,omitempty"`
	Tx     *transaction `json:"transaction,omitempty" cbor:"14,keyasint,omitempty"` // of Client, for size
	Client string       `json:"client,omitempty" cbor:"15,keyasint,omitempty"`
}

// readReply is the answer to a readRequest, with the fields that the call has.
type readReply struct {
	Found    bool               `json:"found,omitempty" cbor:"1,keyasint,omitempty"`
	Value    []byte             `json:"value,omitempty" cbor:"2,keyasint,omitempty"`
	Text     *string            `json:"text,omitempty" cbor:"-"`
	Records  []record           `json:"records,omitempty" cbor:"3,keyasint,omitempty"`
	Stats    []queue.QueueStats `json:"stats,omitempty" cbor:"4,keyasint,omitempty"`
	Passable []bool             `json:"passable,omitempty" cbor:"5,keyasint,omitempty"` // of Stats: see queue.Store.Direct
	Config   *queue.Config      `json:"config,omitempty" cbor:"6,keyasint,omitempty"`
	Group    *groupSettings     `json:"group,omitempty" cbor:"7,keyasint,omitempty"`
	Barriers []barrier          `json:"barriers,omitempty" cbor:"8,keyasint,omitempty"`
	Held     *held              `json:"held,omitempty" cbor:"9,keyasint,omitempty"`
	Waiting  []waiting          `json:"waiting,omitempty" cbor:"10,keyasint,omitempty"`
	Dead     []deadLetter       `json:"dead,omitempty" cbor:"11,keyasint,omitempty"`
	Deferred []queue.Deferral   `json:"deferred,omitempty" cbor:"12,keyasint,omitempty"`
	Names    []string           `json:"names,omitempty" cbor:"13,keyasint,omitempty"`
	Count    int                `json:"count,omitempty" cbor:"14,keyasint,omitempty"`
	Size     *size              `json:"size,omitempty" cbor:"15,keyasint,omitempty"`
	Result   *result            `json:"result,omitempty" cbor:"16,keyasint,omitempty"`
	Batches  []queue.Batch      `json:"batches,omitempty" cbor:"18,keyasint,omitempty"`
	Clients  []Client           `json:"clients,omitempty" cbor:"17,keyasint,omitempty"`
}

type record struct {
	Key   string  `json:"key" cbor:"1,keyasint,omitempty"`
	Value []byte  `json:"value,omitempty" cbor:"2,keyasint,omitempty"`
	Text  *string `json:"text,omitempty" cbor:"-"`
}

// waiting is a queue.Waiting.
type waiting struct {
	ID       uint64      `json:"id" cbor:"1,keyasint,omitempty"`
	Epoch    uint32      `json:"epoch" cbor:"2,keyasint,omitempty"`
	State    queue.State `json:"state" cbor:"3,keyasint,omitempty"`
	Due      int64       `json:"due_ms,omitempty" cbor:"4,keyasint,omitempty"`
	Attempts int         `json:"attempts,omitempty" cbor:"5,keyasint,omitempty"`
	Deaths   int         `json:"deaths,omitempty" cbor:"6,keyasint,omitempty"`
	Failure  string      `json:"failure,omitempty" cbor:"7,keyasint,omitempty"`
	Enqueued int64       `json:"enqueued_ms,omitempty" cbor:"8,keyasint,omitempty"`
	Item     *item       `json:"item" cbor:"9,keyasint,omitempty"`
	Deferred int64       `json:"deferred_ms,omitempty" cbor:"10,keyasint,omitempty"`
	Reason   string      `json:"reason,omitempty" cbor:"11,keyasint,omitempty"`
	Place    []byte      `json:"place" cbor:"12,keyasint,omitempty"`
}

// held is a queue.Held.
type held struct {
	Barrier     *barrier      `json:"barrier,omitempty" cbor:"1,keyasint,omitempty"`
	Ready       int64         `json:"ready" cbor:"2,keyasint,omitempty"`
	Delayed     int64         `json:"delayed" cbor:"3,keyasint,omitempty"`
	Leased      int64         `json:"leased" cbor:"4,keyasint,omitempty"`
	Returning   int           `json:"returning,omitempty" cbor:"5,keyasint,omitempty"`
	Deferred    int64         `json:"deferred,omitempty" cbor:"6,keyasint,omitempty"`
	Paused      bool          `json:"paused,omitempty" cbor:"7,keyasint,omitempty"`
	ClockBehind time.Duration `json:"clock_behind_ns,omitempty" cbor:"8,keyasint,omitempty"`
	Sessions    int           `json:"sessions,omitempty" cbor:"9,keyasint,omitempty"`
	Names       []string      `json:"names,omitempty" cbor:"10,keyasint,omitempty"`
	Oldest      []waiting     `json:"oldest,omitempty" cbor:"11,keyasint,omitempty"`
}

// deadLetter is a queue.DeadLetter.
type deadLetter struct {
	ID       uint64 `json:"id" cbor:"1,keyasint,omitempty"`
	Item     *item  `json:"item" cbor:"2,keyasint,omitempty"`
	Attempts int    `json:"attempts" cbor:"3,keyasint,omitempty"`
	Deaths   int    `json:"deaths,omitempty" cbor:"4,keyasint,omitempty"`
	Enqueued int64  `json:"enqueued_ms" cbor:"5,keyasint,omitempty"`
	Buried   int64  `json:"buried_ms" cbor:"6,keyasint,omitempty"`
	Epoch    uint32 `json:"epoch" cbor:"7,keyasint,omitempty"`
	Reason   string `json:"reason" cbor:"8,keyasint,omitempty"`
	Stack    string `json:"stack,omitempty" cbor:"9,keyasint,omitempty"`
}

// Client is a process that works on a store over the network.
type Client struct {
	Name      string    `json:"name" cbor:"1,keyasint,omitempty"`
	Program   string    `json:"program" cbor:"2,keyasint,omitempty"` // and its version
	Address   string    `json:"address" cbor:"3,keyasint,omitempty"`
	Opened    time.Time `json:"opened" cbor:"4,keyasint,omitempty"`
	Heartbeat time.Time `json:"heartbeat" cbor:"5,keyasint,omitempty"` // the last sign of life
	Sessions  int       `json:"sessions" cbor:"6,keyasint,omitempty"`
	InFlight  int       `json:"in_flight" cbor:"7,keyasint,omitempty"` // deliveries that it holds
	Settled   int64     `json:"settled" cbor:"8,keyasint,omitempty"`   // deliveries, since it opened
	Rate      float64   `json:"rate" cbor:"9,keyasint,omitempty"`      // of that a second, of late
}
