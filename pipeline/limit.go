package pipeline

import (
	"context"
	"math"
	"runtime/metrics"
	"sync"
	"time"
)

// limiter bounds how many values a stage works on at once. Slots are acquired
// before there is anything to work on, and are busy from the moment there is.
type limiter struct {
	min, max int

	mu       sync.Mutex
	limit    int
	acquired int           // slots in all
	busy     int           // of them
	peak     int           // the most busy since the last adjustment
	changed  chan struct{} // closed when a slot may have become free
}

func newLimiter(min, max int) *limiter {
	return &limiter{min: min, max: max, limit: min, changed: make(chan struct{})}
}

// acquire waits for a free slot and takes up to n of them.
func (l *limiter) acquire(ctx context.Context, n int) (int, error) {
	for {
		l.mu.Lock()
		if free := l.limit - l.acquired; free > 0 {
			got := min(free, n)
			l.acquired += got
			l.mu.Unlock()
			return got, nil
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// begin says that work begins in an acquired slot. It waits for chained values if
// they fill all that there may be.
func (l *limiter) begin() {
	for {
		l.mu.Lock()
		if l.busy < l.max {
			l.beginLocked()
			l.mu.Unlock()
			return
		}
		changed := l.changed
		l.mu.Unlock()
		<-changed
	}
}

// tryBegin takes a slot for a value that is at hand, even if all are acquired for
// values that may come. Whoever has it has a slot of another stage too, whose limit
// follows the processors for both; so this one's need not, and only its maximum
// counts.
func (l *limiter) tryBegin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy >= l.max {
		return false
	}
	l.acquired++
	l.beginLocked()
	return true
}

func (l *limiter) beginLocked() {
	l.busy++
	l.peak = max(l.peak, l.busy)
}

// end gives back a busy slot.
func (l *limiter) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	l.acquired--
	l.signalLocked()
}

// release gives back n slots that did not become busy.
func (l *limiter) release(n int) {
	if n == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acquired -= n
	l.signalLocked()
}

func (l *limiter) signalLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *limiter) now() (busy, limit int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy, l.limit
}

// adjust changes the limit after some time, given how crowded the processors
// were: it grows by a half if all slots were in use and nobody waited for a
// processor, and shrinks by an eighth if everybody did.
func (l *limiter) adjust(c crowd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c == crowded:
		l.limit = max(l.min, l.limit-max(l.limit/8, 1))
	case c == roomy && l.peak >= l.limit:
		l.limit = min(l.max, l.limit+max(l.limit/2, 1))
	}
	l.peak = l.busy
	l.signalLocked()
}

// crowd says how long goroutines that could run waited for a processor.
type crowd int

const (
	busy crowd = iota // neither of the others
	roomy
	crowded
)

// The wait of nine in ten goroutines that tells roomy and crowded.
const (
	roomyWait   = time.Millisecond
	crowdedWait = 10 * time.Millisecond

	adjustEvery = 100 * time.Millisecond
)

// adjust keeps the stages' limits at what the processors can carry. A stage
// that waits, for the network say, leaves them free and grows to its maximum;
// one that computes fills them and stays where more workers would only wait.
func (p *Pipeline) adjust(ctx context.Context) {
	ticker := time.NewTicker(adjustEvery)
	defer ticker.Stop()
	var gauge crowdGauge
	gauge.read()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c := gauge.read()
		for _, s := range p.stages {
			s.limit.adjust(c)
		}
	}
}

// crowdGauge reads the runtime's histogram of scheduling latencies.
type crowdGauge struct{ last []uint64 }

func (g *crowdGauge) read() crowd {
	sample := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return roomy
	}
	h := sample[0].Value.Float64Histogram()
	counts := make([]uint64, len(h.Counts))
	var total uint64
	for i, n := range h.Counts {
		counts[i] = n
		if g.last != nil {
			counts[i] -= g.last[i]
		}
		total += counts[i]
	}
	g.last = append(g.last[:0], h.Counts...)
	wait := quantile(counts, h.Buckets, total, 0.9)
	switch {
	case wait <= roomyWait.Seconds():
		return roomy
	case wait >= crowdedWait.Seconds():
		return crowded
	}
	return busy
}

// quantile returns the lower bound of the bucket that holds it.
func quantile(counts []uint64, buckets []float64, total uint64, q float64) float64 {
	rank := uint64(q * float64(total))
	for i, n := range counts {
		if rank < n {
			return math.Max(buckets[i], 0)
		}
		rank -= n
	}
	return 0
}
