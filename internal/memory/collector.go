package memory

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// How the garbage collector is set. By a percentage alone it runs the more often the
// less is alive, and a crawl for links, of which little is, spent a tenth of its time
// there; by a limit alone it runs without end when as much is alive. So there is a
// limit that follows what is alive: with half as much again, as far as that stays below
// a ceiling, and with an eighth above it, which is where pages are large. Where
// texts are made, which is three megabytes that are dropped for each page, it is as much
// again.
const (
	limitFloor = 112 << 20 // bytes of the Go runtime, of which some are not the heap
	limitSaved = 64 << 20  // the same, while the program saves
	limitRest  = 24 << 20  // of these: stacks, what the runtime needs, and gaps
	limitStep  = 8 << 20
	growth     = 200 // percent of what is alive; the limit is less in all but small heaps
)

// tuned is set by TuneCollector.
var tuned *collection

// TuneCollector sets the garbage collector of the process until it ends: the program
// takes 112 MiB, or one and a half times what is alive, whichever is more. It is called
// once, before SetBudget.
func TuneCollector() {
	debug.SetGCPercent(growth)
	tuned = &collection{limit: limitFloor}
	tuned.ceiling.Store(math.MaxInt64)
	debug.SetMemoryLimit(tuned.limit)
	tuned.next()
}

// SetBudget says how much large pages under way may take, and whether texts are made of
// pages. Where that and 128 MiB are not enough the collector works the harder. Without
// TuneCollector it does nothing.
func SetBudget(bytes int64, texts bool) {
	if tuned != nil {
		tuned.texts.Store(texts)
		tuned.ceiling.Store(bytes + 128<<20)
	}
}

// Save has the program take 64 MiB, or little more than is alive, until done is called,
// for work that need not be fast. Without TuneCollector it does nothing.
func Save() (done func()) {
	if tuned == nil {
		return func() {}
	}
	tuned.saves.Store(true)
	return func() { tuned.saves.Store(false) }
}

// A collection is told when the collector has run, which is when it finds that nobody
// has the token.
type collection struct {
	limit   int64 // the finalizers' own
	ceiling atomic.Int64
	saves   atomic.Bool
	texts   atomic.Bool
}

func (c *collection) next() {
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) { c.over() })
}

func (c *collection) over() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	floor, ceiling := int64(limitFloor), c.ceiling.Load()
	if c.saves.Load() {
		floor, ceiling = limitSaved, limitSaved
	}
	if l := limit(live[0].Value.Uint64(), c.texts.Load(), floor, ceiling); l != c.limit {
		debug.SetMemoryLimit(l)
		c.limit = l
	}
	c.next()
}

// limit returns how much memory the runtime may take when so many bytes are alive, in
// steps, since each change stops the program for some microseconds.
func limit(live uint64, texts bool, floor, ceiling int64) int64 {
	n := int64(live)
	room := n / 2
	if texts {
		room = n
	}
	l := max(min(n+room, ceiling-limitRest), n+n/8) + limitRest
	return max(floor, l-l%limitStep)
}
