package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How the garbage collector is set. By a percentage alone it runs the more often the
// less is alive, and a crawl for links, of which little is, spent a tenth of its time
// there; by a limit alone it runs without end when as much is alive. So there is a
// limit, and where half of what is alive would not fit below it, it is raised.
const (
	limitFloor = 112 << 20 // bytes of the Go runtime, of which some are not the heap
	limitRest  = 24 << 20  // of these: stacks, what the runtime needs, and gaps
	limitStep  = 8 << 20
	growth     = 200 // percent of what is alive; the limit is less in all but small heaps
)

// TuneCollector sets the garbage collector of the process until it ends: the program
// takes 112 MiB, or one and a half times what is alive, whichever is more.
func TuneCollector() {
	debug.SetGCPercent(growth)
	c := &collection{limit: limitFloor}
	debug.SetMemoryLimit(c.limit)
	c.next()
}

// A collection is told when the collector has run, which is when it finds that nobody
// has the collection.
type collection struct{ limit int64 }

func (c *collection) next() { runtime.SetFinalizer(c, (*collection).over) }

func (c *collection) over() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if l := limit(live[0].Value.Uint64()); l != c.limit {
		debug.SetMemoryLimit(l)
		c.limit = l
	}
	c.next()
}

// limit returns how much memory the runtime may take when so many bytes are alive, in
// steps, since each change stops the program for some microseconds.
func limit(live uint64) int64 {
	l := int64(live) + int64(live)/2 + limitRest
	return max(limitFloor, l-l%limitStep)
}
