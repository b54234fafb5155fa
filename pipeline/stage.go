package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
)

// Func is a stage: it does something with a value and says what follows from
// it. Returning an error makes the item be tried again after a back-off; see
// [Permanent], [RetryAfter] and [Verdict]. The context ends when the pipeline stops and
// the stage has had [Options].DrainTime to finish; an item whose stage returns
// an error then goes back uncounted. A stage must not change what its value refers
// to: the stage before may have handed it on as it is (see [Options].NoChaining).
type Func[In any] func(ctx context.Context, in In, out *Out) error

// BatchFunc is a stage that works on several values at once, as one does that
// writes to a file or to another database. All of them are acknowledged, and
// what out has collected happens, in one transaction. If it returns an error, or
// panics, it is called again for each of the values alone, and only what it
// returns then counts as an attempt of that value: one that cannot be handled
// does not harm the others. [ErrAgain], [RetryAfter] and a [Verdict] that names
// a time are not about a value and hold for all. Out's Attempt, LastAttempt and ID are those of the first
// value.
type BatchFunc[In any] func(ctx context.Context, in []In, out *Out) error

// stage is a registered stage.
type stage struct {
	p          *Pipeline
	name       string // of its queue
	feeds      []string
	config     queue.Config
	minWorkers int
	maxWorkers int
	batch      int  // values in a call at most
	serial     bool // a call ends with its commit
	unchained  bool
	call       func(ctx context.Context, bodies [][]byte, out *Out) error
	accepts    func(v any) bool // whether callLive takes it
	callLive   func(ctx context.Context, v any, out *Out) error
	timeLimit  time.Duration // negative for none
	affinity   time.Duration
	limit      *limiter // of the present or last run; written under p.mu

	average atomic.Int64 // of how long the latest calls have taken, in nanoseconds

	failures struct {
		sync.Mutex
		said   time.Time // when one was last reported
		unsaid int       // how many there were since
	}
}

// Edges is a list of edges.
type Edges []AnyEdge

// StageOptions are what a stage may have of its own. Nil and zero fields mean the
// defaults given.
type StageOptions struct {
	// Feeds are the edges that the stage emits to, its own among them if it feeds
	// itself. Default: none.
	Feeds Edges

	// Workers bounds how many values the stage works on at once. Default: four for
	// each processor. Between MinWorkers and this bound the number follows the
	// need: it grows while the stage has a backlog and the processors are not the
	// bottleneck, and shrinks when they are.
	Workers int

	// MinWorkers is the least number of values that the stage works on at once, if
	// there are that many. Default 1.
	MinWorkers int

	// Serial makes the stage work on one value, or one batch, at a time, and begin
	// with the next only when the transaction of the one before has been committed.
	// Each call then finds in the store what the one before has left there.
	Serial bool

	// Unchained makes the stage take all its values from its queue; see
	// [Options].NoChaining. It is for stages that are better off with workers of
	// their own, such as those that wait for another process.
	Unchained bool

	// Reserve bounds the memory of values under way: it is called before values from
	// the queue are decoded, with the bytes that their decoded forms take, and may
	// wait. release is called when the stage has returned. An error fails the attempt.
	// What is chained is decoded already, and not asked for. Default: none.
	Reserve func(ctx context.Context, bytes int64) (release func(), err error)

	// Affinity has the values of a group keep to the process that had its last one,
	// while that lives, for the sake of what it remembers of the group: what it might
	// take is left to it for so long, and then to any process. See
	// [queue.SubscribeOptions].Affinity. Default: it is not.
	Affinity time.Duration

	// TimeLimit bounds the time of each call of the stage. When it has passed the
	// call's context ends, with [ErrTimeLimit] as its cause; what the stage then
	// returns is a failed attempt, as ever. A stage that does not look at its
	// context is not stopped. Default: [Options].TimeLimit. Negative means none.
	TimeLimit time.Duration
}

// Handle makes fn the stage that works on an edge. Nil options mean the defaults.
// Mistakes are reported by Run.
func Handle[In any](p *Pipeline, edge *Edge[In], fn Func[In], options *StageOptions) {
	var batch BatchFunc[In]
	if fn != nil {
		batch = func(ctx context.Context, in []In, out *Out) error { return fn(ctx, in[0], out) }
	}
	HandleBatch(p, edge, 1, batch, options)
}

// HandleBatch makes fn the stage that works on an edge, with up to n values in
// each call. A call does not wait for n values: it gets those that are there, so
// batches grow with the backlog. Mistakes are reported by Run.
func HandleBatch[In any](p *Pipeline, edge *Edge[In], n int, fn BatchFunc[In], options *StageOptions) {
	var o StageOptions
	if options != nil {
		o = *options
	}
	s := &stage{
		p: p, name: edge.name, config: edge.Config, batch: n, serial: o.Serial, unchained: o.Unchained,
		minWorkers: cmp.Or(o.MinWorkers, 1), maxWorkers: cmp.Or(o.Workers, 4*runtime.GOMAXPROCS(0)),
		timeLimit: cmp.Or(o.TimeLimit, p.opts.TimeLimit), affinity: o.Affinity,
	}
	if o.Serial {
		s.maxWorkers = cmp.Or(o.Workers, 1)
	}
	for _, e := range o.Feeds {
		s.feeds = append(s.feeds, e.Name())
	}
	slices.Sort(s.feeds)
	s.feeds = slices.Compact(s.feeds)
	s.call = func(ctx context.Context, bodies [][]byte, out *Out) error {
		if o.Reserve != nil {
			var size int64
			for _, body := range bodies {
				size += codec.DecodedSize(body)
			}
			release, err := o.Reserve(ctx, size)
			if err != nil {
				return err
			}
			defer release()
		}
		in := make([]In, len(bodies))
		for i, body := range bodies {
			var err error
			if in[i], err = edge.Value(body); err != nil {
				return Permanent(err)
			}
		}
		return fn(ctx, in, out)
	}
	s.accepts = func(v any) bool { _, ok := v.(In); return ok }
	s.callLive = func(ctx context.Context, v any, out *Out) error { return fn(ctx, []In{v.(In)}, out) }
	switch {
	case edge.name == "":
		p.wiring = append(p.wiring, errors.New("an edge has no name"))
	case fn == nil:
		p.wiring = append(p.wiring, fmt.Errorf("the stage of %s is nil", edge.name))
	case s.minWorkers < 1 || s.maxWorkers < s.minWorkers:
		p.wiring = append(p.wiring, fmt.Errorf("%s has between %d and %d workers", edge.name, s.minWorkers, s.maxWorkers))
	case s.serial && s.maxWorkers > 1:
		p.wiring = append(p.wiring, fmt.Errorf("%s is Serial and has %d workers", edge.name, s.maxWorkers))
	case n < 1:
		p.wiring = append(p.wiring, fmt.Errorf("%s takes batches of %d values", edge.name, n))
	case p.stage(edge.name) != nil:
		p.wiring = append(p.wiring, fmt.Errorf("two stages handle %s", edge.name))
	}
	p.stages = append(p.stages, s)
}
