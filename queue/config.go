package queue

import (
	"cmp"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"
)

// Options are the settings of an open store. Nil and zero fields mean the
// defaults given. They are not stored.
type Options struct {
	// MaxItem bounds an item's body and a record's value, in bytes.
	// Default 4 MiB. A backend may allow less in one transaction.
	MaxItem int

	// MinFree is the free space in bytes below which transactions that would
	// store something new are refused with ErrDiskFull. Default 512 MiB.
	// Below a quarter of it every transaction that writes is refused.
	// Negative means no floor.
	MinFree int64

	// GroupMemory bounds how many groups of a queue are kept in memory,
	// about 400 bytes each, before those whose turn is farthest away are
	// left on disk. Default 65,536.
	GroupMemory int

	// ItemMemory bounds the bytes of waiting items that are kept in memory
	// so that taking them needs no read. Default 32 MiB.
	ItemMemory int

	// SeenMemory is the size in bytes of a filter that knows of most keys that
	// were never enqueued that they were not, which spares a look at the disk.
	// One byte for each key that the store has seen is enough, and with a
	// quarter most are looked up all the same. After an open it is filled in
	// the background, in some seconds for ten million keys. Default 16 MiB.
	// Negative means none.
	SeenMemory int64

	// CommitDelay is how long after the beginning of one batch the next may be
	// kept back for more transactions to join it, as commit_delay does in
	// PostgreSQL: fewer syncs and less processor time for a longer wait. A
	// transaction that comes alone, after one that came alone, never waits, nor
	// does one that settles something when nobody holds anything else.
	// Default 0: none.
	CommitDelay time.Duration

	// WallClock takes the place of time.Now as the clock on the wall. It is for
	// tests of what happens when that is set; see [QueueStats].ClockBehind.
	// Default: time.Now.
	WallClock func() time.Time

	// Logger receives what an operator should know: recovery, lost leases,
	// failures. Default: nothing is logged.
	Logger *slog.Logger

	// OnEvent is called with each Event, one at a time and in order, by the
	// goroutine that commits: it must be quick and must not call the store.
	OnEvent func(Event)
}

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.MaxItem <= 0 {
		opts.MaxItem = 4 << 20
	}
	if opts.MaxItem > maxBody {
		opts.MaxItem = maxBody
	}
	if opts.MinFree == 0 {
		opts.MinFree = 512 << 20
	}
	if opts.GroupMemory <= 0 {
		opts.GroupMemory = 1 << 16
	}
	if opts.ItemMemory <= 0 {
		opts.ItemMemory = 32 << 20
	}
	if opts.SeenMemory == 0 {
		opts.SeenMemory = 16 << 20
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return opts
}

// Config holds the settings of a queue. They are stored, so every process
// that opens the store agrees on them. The zero Config is the default.
type Config struct {
	// MaxAttempts is how often an item may fail before it goes to the dead
	// letters. 0 means 10. Negative means without end.
	MaxAttempts int `json:"maxAttempts,omitempty"`

	// MaxDeaths is how often an item may be blamed for the death of its
	// process, or of its session, before it goes to the dead letters. Such
	// deaths are no failures. Blamed is the item that has been in flight at
	// more of them than any other that was, if there is one. 0 means as often
	// as it may fail. Negative means without end.
	//
	// An item that was in flight at three deaths waits before it is delivered
	// again, for half a second, for up to 16 seconds if there were more, and
	// longer behind others like it: each is tried by itself.
	MaxDeaths int `json:"maxDeaths,omitempty"`

	// Backoff says how long a failed item waits.
	Backoff Backoff `json:"backoff,omitzero"`

	// MaxInFlight bounds the items of the queue that are being worked on at
	// once, by all consumers. 0 means no bound.
	MaxInFlight int `json:"maxInFlight,omitempty"`

	// Groups is the policy of every group that has no settings of its own.
	Groups GroupPolicy `json:"groups,omitzero"`

	// HighWaterItems and HighWaterBytes are the marks above which producers
	// are held back; see ErrQueueFull. 0 means no mark. A queue whose items
	// or bytes reach the mark is full.
	HighWaterItems int64 `json:"highWaterItems,omitempty"`
	HighWaterBytes int64 `json:"highWaterBytes,omitempty"`

	// BarrierOn makes each enqueued item that it matches a barrier, with the
	// item's body. Nil means that only Tx.Barrier makes barriers.
	BarrierOn *Filter `json:"barrierOn,omitempty"`
}

// GroupPolicy limits how the items of one group are delivered.
type GroupPolicy struct {
	// MaxInFlight bounds the items of the group that are being worked on at
	// once. 0 means no bound.
	MaxInFlight int `json:"maxInFlight,omitempty"`

	// MinDelay is the least time between the end of one delivery of the
	// group and the beginning of the next and, where MaxInFlight allows
	// several at once, between their beginnings.
	MinDelay time.Duration `json:"minDelay,omitempty"`

	// Ordered keeps each group in strict order, by priority and then by age: one
	// item at a time, and one that failed holds the others of its group back
	// until it is settled. It waits for its back-off in its place, so it counts
	// as ready. Items without a group are not ordered. A delayed item takes its
	// place when its time comes, and a consumer with a filter sees the order of
	// what matches.
	Ordered bool `json:"ordered,omitempty"`
}

// GroupSettings are the settings of one group. They are stored.
type GroupSettings struct {
	// MaxInFlight and MinDelay take the place of the queue's GroupPolicy
	// where they are not zero. Negative means no limit.
	MaxInFlight int
	MinDelay    time.Duration

	// NotBefore keeps the group's items from being delivered until then.
	NotBefore time.Time

	// Paused keeps them from being delivered until it is cleared.
	Paused bool
}

func (s *GroupSettings) validate() error {
	if !s.NotBefore.IsZero() && s.NotBefore.Year() > 2200 {
		return invalidf("NotBefore %v is too far away", s.NotBefore)
	}
	return nil
}

// Backoff is exponential: attempt n waits Min·2^(n-1), at most Max, less a
// random share of up to Jitter of it.
type Backoff struct {
	Min    time.Duration `json:"min,omitempty"`    // 0 means 1s
	Max    time.Duration `json:"max,omitempty"`    // 0 means 10m
	Jitter float64       `json:"jitter,omitempty"` // 0 means 0.2; negative means none
}

// Delay returns how long an item waits after its attempt-th delivery failed.
func (b Backoff) Delay(attempt int) time.Duration {
	lo, hi, jitter := b.Min, b.Max, b.Jitter
	if lo == 0 {
		lo = time.Second
	}
	if hi == 0 {
		hi = max(10*time.Minute, lo)
	}
	if jitter == 0 {
		jitter = 0.2
	}
	d := hi
	if n := attempt - 1; n < 62 && lo<<n>>n == lo && lo<<n < hi {
		d = lo << n
	}
	if jitter > 0 {
		d -= time.Duration(rand.Float64() * jitter * float64(d))
	}
	return d
}

// DefaultMaxAttempts is what a zero Config.MaxAttempts means.
const DefaultMaxAttempts = 10

// attemptsLeft reports whether an item that has failed n times may be delivered
// again.
func (c *Config) attemptsLeft(n int) bool {
	return c.MaxAttempts < 0 || n < cmp.Or(c.MaxAttempts, DefaultMaxAttempts)
}

// deathsLeft is attemptsLeft for deaths.
func (c *Config) deathsLeft(n int) bool {
	most := cmp.Or(c.MaxDeaths, c.MaxAttempts, DefaultMaxAttempts)
	return most < 0 || n < most
}

func (c *Config) validate() error {
	switch {
	case c.MaxInFlight < 0:
		return invalidf("MaxInFlight %d is negative", c.MaxInFlight)
	case c.Groups.MaxInFlight < 0:
		return invalidf("Groups.MaxInFlight %d is negative", c.Groups.MaxInFlight)
	case c.Groups.MinDelay < 0:
		return invalidf("Groups.MinDelay %v is negative", c.Groups.MinDelay)
	case c.Backoff.Min < 0 || c.Backoff.Max < 0:
		return invalidf("back-off %v to %v is negative", c.Backoff.Min, c.Backoff.Max)
	case c.Backoff.Max != 0 && c.Backoff.Max < c.Backoff.Min:
		return invalidf("back-off has Max %v below Min %v", c.Backoff.Max, c.Backoff.Min)
	case !(c.Backoff.Jitter <= 1) || math.IsInf(c.Backoff.Jitter, -1):
		return invalidf("back-off has Jitter %v, not a number up to 1", c.Backoff.Jitter)
	case c.HighWaterItems < 0 || c.HighWaterBytes < 0:
		return invalidf("high-water marks %d and %d: one is negative", c.HighWaterItems, c.HighWaterBytes)
	}
	if c.BarrierOn != nil {
		return c.BarrierOn.validate()
	}
	return nil
}

// Filter is a predicate on items: all that it names must hold. The zero
// Filter matches every item.
type Filter struct {
	// Headers must be present with these values.
	Headers map[string]string `json:"headers,omitempty"`

	// Group and Key must be equal if they are not empty.
	Group string `json:"group,omitempty"`
	Key   string `json:"key,omitempty"`
}

func (f *Filter) validate() error {
	headers := 0
	for name, value := range f.Headers {
		headers += len(name) + len(value)
	}
	switch { // what no item can have
	case headers > MaxHeaders || len(f.Headers) > maxItemHeaders:
		return invalidf("filter on %d headers of %d bytes, more than %d of %d", len(f.Headers), headers, maxItemHeaders, MaxHeaders)
	case len(f.Key) > MaxKey:
		return invalidf("filter on a key of %d bytes, more than %d", len(f.Key), MaxKey)
	}
	return validGroup(f.Group)
}

// Matches reports whether the filter holds for an item.
func (f *Filter) Matches(it *Item) bool {
	if f.Group != "" && f.Group != it.Group || f.Key != "" && f.Key != it.Key {
		return false
	}
	for name, want := range f.Headers {
		if got, ok := it.Headers[name]; !ok || got != want {
			return false
		}
	}
	return true
}
