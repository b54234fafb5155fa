package crawler

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// A slow host must not hold up the others either. Its generation is not over before it
// has answered, nor, while it has more of that generation, before the pause that follows
// from a slow answer. So when a generation is held up by slow hosts alone, what they have
// of it leaves it, as what belongs to a sick host does (deferred.go): what waits is
// deferred, and a request that is under way is parked. Its address is deferred too, the
// request goes on, and when the answer is there the address comes back, and whoever takes
// it finds the answer.
//
//   - S1. A generation lasts no longer than its other hosts take and a moment: slowStep if
//     it can be seen that nothing of those is left in it, else two of that after their
//     pauses. While they have work there the slow ones work too, and leave nothing,
//     unless they take half of the workers.
//   - S2. A host with a parked request is asked nothing else before that has ended and its
//     pause is over, by whatever process: the host's state says so from the transaction on
//     that parks it. Should the process die, the state holds until the request would have
//     timed out.
//   - S3. A parked answer is used once, or lost with the process, or for want of memory:
//     the record of the deferral stands, and the address is asked for again. Then whoever
//     asks waits for the answer, so a server is asked twice at most for want of memory.
//   - S4. Whatever an address counts (pages, budgets, traps) it counts in the transaction
//     that settles it, and not in those by which it leaves.
//
// A host is slow when an answer takes longer than the patience, which is the pause
// between two requests, a second at least, and Settings.Grace at most. Where nobody else
// was asked within othersWithin nobody waits, and nothing leaves.
const (
	// slowStep is how often it is looked whether somebody waits.
	slowStep = 100 * time.Millisecond
	// othersWithin is how lately another host must have been asked for it to count.
	othersWithin = time.Minute
	// maxParked bounds the requests that are parked at the same time, each of which has a
	// connection.
	maxParked = 512
	// keptFor is how long an answer waits for its address, which another process may have
	// taken.
	keptFor = time.Hour
)

// slowHosts are the requests of a visitor that take long, and what is known of the
// others. The zero value parks nothing until it is opened.
type slowHosts struct {
	store    *queue.Store
	memory   *stages.Budget
	patience time.Duration // 0: whoever asks waits, and nothing is parked
	workers  int

	mu      sync.Mutex
	opened  bool
	running sync.WaitGroup
	idle    chan *errand // to goroutines that have made a request

	errands map[string]*errand   // those that are parked, by key
	asking  map[*errand]struct{} // those that somebody waits for
	resting map[string]bool      // hosts whose pause somebody waits for
	waited  map[string]bool      // keys of answers that were lost for want of memory
	kept    int                  // answers among the errands
	active  [2]activity          // of the two hosts that were last found to be quick
	pause   time.Time            // until when quick hosts are left alone
	looked  time.Time            // when holds was last worked out
	holds   bool                 // slow hosts hold others up

	back  time.Time     // when the first host's time has come that was deferred lately, or zero
	ready []*errand     // parked, deferred and answered
	rings chan struct{} // when there are some
}

type activity struct {
	host string
	at   time.Time
}

// errandOptions say what an errand is.
type errandOptions struct {
	host, key string
	robots    bool          // it is for a robots.txt
	known     bool          // the host is slow
	bound     time.Duration // how long it may take
}

// errand is a request, or the few for a robots.txt, of which somebody wants the answer.
type errand struct {
	of *slowHosts
	errandOptions
	finished chan struct{} // closed at the end
	ctx      context.Context
	cancel   context.CancelFunc
	fn       func(ctx context.Context, may alive) any

	// Guarded by of.mu.
	out       *pipeline.Out // of whoever waits; nil once it is parked
	sent      time.Time     // when the request went, or zero
	until     time.Time     // when it will have ended, of a parked one
	committed bool          // its address is deferred
	done      bool
	ended     time.Time
	answer    any // nil if there was no room for it
	panicked  *panicked
}

// panicked is a panic of a hook, in the goroutine of a request.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) String() string { return fmt.Sprint(p.value) }

// keeper is an answer that takes memory.
type keeper interface{ keep(b *stages.Budget) bool }

// errSlow is returned by ask for a request that is parked, and by rest for a host that is
// not waited for.
type errSlow struct {
	until time.Time
	why   string
}

func (e *errSlow) Error() string { return e.why }

// open lets requests be parked until the function that it returns is called, which ends
// those that are.
func (s *slowHosts) open() (shut func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened, s.idle = true, make(chan *errand)
	s.errands, s.asking = make(map[string]*errand), make(map[*errand]struct{})
	s.resting, s.waited = make(map[string]bool), make(map[string]bool)
	s.ready, s.rings = nil, make(chan struct{}, 1)
	s.kept = 0
	return func() {
		s.mu.Lock()
		s.opened = false
		close(s.idle)
		for _, e := range s.errands {
			e.cancel()
		}
		s.mu.Unlock()
		s.running.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range s.errands {
			e.dropLocked()
		}
	}
}

// ask makes a request: fn, which asks its errand right before it sends something whether
// that may go; see [errand.Alive]. It returns what fn has, or, if the request was parked,
// an *errSlow: then the caller defers the address in its transaction, whose end
// the errand is told.
func (s *slowHosts) ask(ctx context.Context, out *pipeline.Out, o errandOptions, fn func(ctx context.Context, may alive) any) (any, error) {
	e := s.begin(ctx, out, o, fn)
	if e == nil {
		return fn(ctx, out), nil
	}
	first := s.patience
	if e.known {
		first = slowStep
	}
	t := time.NewTimer(first)
	defer t.Stop()
	for {
		select {
		case <-e.finished:
			return e.take(), nil
		case <-ctx.Done():
			e.cancel()
			<-e.finished
			return e.take(), nil
		case <-t.C:
			if until, ok := s.park(ctx, e); ok {
				return nil, &errSlow{until, fmt.Sprintf("it has not answered within %v", s.patience)}
			}
			t.Reset(slowStep)
		}
	}
}

// begin starts an errand, or returns the parked one of that key. It returns nil if the
// request is to be made without one.
func (s *slowHosts) begin(ctx context.Context, out *pipeline.Out, o errandOptions, fn func(ctx context.Context, may alive) any) *errand {
	if s == nil || s.patience == 0 || o.host == "" || len(o.host) > queue.MaxGroup {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.opened || s.waited[o.key] {
		delete(s.waited, o.key)
		return nil
	}
	if e := s.errands[o.key]; e != nil {
		delete(s.errands, o.key)
		if e.done {
			s.kept--
		}
		e.out, e.committed, e.known = out, false, true
		s.asking[e] = struct{}{}
		return e
	}
	e := &errand{of: s, errandOptions: o, finished: make(chan struct{}), out: out}
	s.asking[e] = struct{}{}
	// It outlives whoever has begun it.
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	e.fn = fn
	select {
	case s.idle <- e:
	default:
		s.running.Go(func() { s.run(e) })
	}
	return e
}

// run makes requests, from a first one on: whoever has made one has a stack that has
// grown, and is used again.
func (s *slowHosts) run(e *errand) {
	e.run()
	for e := range s.idle {
		e.run()
	}
}

// run makes the request.
func (e *errand) run() {
	var answer any
	failed := &panicked{"runtime.Goexit was called, as FailNow of a test does", nil} // unless fn returns
	defer func() { e.finish(answer, failed) }()
	defer func() {
		if p := recover(); p != nil {
			failed = &panicked{p, debug.Stack()}
		}
	}()
	answer = e.fn(e.ctx, e)
	failed = nil
}

// finish says what has come of the request.
func (e *errand) finish(answer any, failed *panicked) {
	e.cancel()
	s := e.of
	s.mu.Lock()
	defer s.mu.Unlock()
	e.answer, e.panicked, e.done, e.ended = answer, failed, true, time.Now()
	close(e.finished)
	if e.out != nil {
		return // whoever waits takes it
	}
	s.keepLocked(e)
	if e.committed {
		s.ringLocked(e)
	}
}

// ringLocked says that an address may come back.
func (s *slowHosts) ringLocked(e *errand) {
	s.ready = append(s.ready, e)
	select {
	case s.rings <- struct{}{}:
	default:
	}
}

// comesBack notes when addresses that were deferred are to be looked at again.
func (s *slowHosts) comesBack(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back.IsZero() || at.Before(s.back) {
		s.back = at
	}
}

// due reports whether that time has come, once.
func (s *slowHosts) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back.IsZero() || now.Before(s.back) {
		return false
	}
	s.back = time.Time{}
	return true
}

// answered returns the errands whose addresses may come back, once.
func (s *slowHosts) answered() []*errand {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.ready
	s.ready = nil
	return all
}

// keepLocked keeps the answer of a parked request, if there is room.
func (s *slowHosts) keepLocked(e *errand) {
	if s.errands[e.key] != e {
		e.dropLocked()
		return
	}
	for key, old := range s.errands {
		if old.done && old.committed && old != e && e.ended.Sub(old.ended) > keptFor {
			old.dropLocked()
			delete(s.errands, key)
			s.kept--
		}
	}
	if k, ok := e.answer.(keeper); s.kept >= 2*maxParked || ok && !k.keep(s.memory) {
		e.dropLocked()
		delete(s.errands, e.key)
		if len(s.waited) >= 2*maxParked {
			clear(s.waited)
		}
		s.waited[e.key] = true
		return
	}
	s.kept++
}

// dropLocked gives up an answer that nobody will use.
func (e *errand) dropLocked() {
	if r, ok := e.answer.(interface{ Release() }); ok {
		r.Release()
	}
	e.answer = nil
}

// take is the end of an errand for whoever has waited.
func (e *errand) take() any {
	s := e.of
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asking, e)
	if !e.known && !e.sent.IsZero() && e.ended.Sub(e.sent) < s.patience {
		s.noteLocked(e.host, e.ended)
	}
	if e.panicked != nil {
		panic(e.panicked)
	}
	return e.answer
}

// noteLocked notes that a quick host has answered.
func (s *slowHosts) noteLocked(host string, at time.Time) {
	if s.active[0].host != host {
		s.active[1] = s.active[0]
	}
	s.active[0] = activity{host, at}
}

// Alive reports whether something may be sent for the errand, and notes that it is.
func (e *errand) Alive() bool {
	e.of.mu.Lock()
	defer e.of.mu.Unlock()
	now := time.Now()
	if e.sent.IsZero() {
		e.sent = now
	}
	if e.out == nil {
		return now.Before(e.until)
	}
	return e.out.Alive()
}

// park parks a request if somebody waits for it who should not have to. The caller's
// transaction then defers the address.
func (s *slowHosts) park(ctx context.Context, e *errand) (until time.Time, ok bool) {
	if !s.held(ctx, e.host) {
		return until, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.opened || e.done || e.sent.IsZero() || !e.slow(now) || len(s.errands)-s.kept >= maxParked || s.errands[e.key] != nil {
		return until, false
	}
	out := e.out
	e.out, e.until = nil, now.Add(e.bound)
	delete(s.asking, e)
	s.errands[e.key] = e
	out.OnCommit(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if e.committed = true; e.done {
			s.ringLocked(e)
		}
	})
	out.OnUndone(func() { // the address is somebody else's
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.errands[e.key] == e {
			delete(s.errands, e.key)
			if e.done {
				s.kept--
			}
			e.dropLocked()
			e.cancel()
		}
	})
	return e.until, true
}

// slow reports whether an errand is one of a slow host, as far as is known by now.
func (e *errand) slow(now time.Time) bool {
	return !e.sent.IsZero() && (e.known || now.Sub(e.sent) >= e.of.patience)
}

// rest waits for the pause of a slow host to be over, which rests returns, or zero. It
// returns an *errSlow if its addresses are to leave their generation, and another error
// if the address is to be given back for a while.
func (s *slowHosts) rest(ctx context.Context, out *pipeline.Out, host string, rests func() (time.Time, error)) error {
	until, err := rests()
	if err != nil || until.IsZero() {
		return err
	}
	s.mu.Lock()
	if !s.opened || s.patience == 0 || s.resting[host] {
		if s.resting[host] {
			until = time.Now().Add(5 * slowStep) // one waits for it
		}
		s.mu.Unlock()
		out.Tx().DelayGroup(StageCrawl, host, until)
		return pipeline.ErrAgain
	}
	s.resting[host] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.resting, host)
	}()
	t := time.NewTimer(slowStep)
	defer t.Stop()
	for !until.IsZero() {
		left := time.Until(until)
		if s.held(ctx, host) && left > slowStep {
			return &errSlow{until, "it answers slowly, and is left alone for as long"}
		}
		t.Reset(max(min(slowStep, left), 1))
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if until, err = rests(); err != nil { // an answer may have come
			return err
		}
	}
	return nil
}

// quick notes until when a host is left alone with which all is well: until then it may
// have more of the generation.
func (s *slowHosts) quick(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if until.After(s.pause) {
		s.pause = until
	}
}

// held reports whether a host holds others up: the generation, or the workers.
func (s *slowHosts) held(ctx context.Context, host string) bool {
	now := time.Now()
	s.mu.Lock()
	other := s.active[0]
	if other.host == host {
		other = s.active[1]
	}
	nobody := other.at.IsZero() || now.Sub(other.at) > othersWithin
	look := now.Sub(s.looked) >= slowStep/2
	if look {
		s.looked = now
	}
	holds := s.holds
	s.mu.Unlock()
	if nobody {
		return false
	}
	if !look {
		return holds
	}
	st, err := s.store.QueueStats(ctx, StageCrawl)
	if err != nil {
		return false // whoever reads or writes next will say it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = s.holdLocked(&st, now)
	return s.holds
}

// holdLocked reports whether slow hosts hold others up.
func (s *slowHosts) holdLocked(st *queue.QueueStats, now time.Time) bool {
	slow, quick := len(s.resting), false
	for e := range s.asking {
		if e.slow(now) {
			slow++
		} else {
			quick = true
		}
	}
	nextWaits, few := st.Later > 0, min(s.workers, 8)
	switch {
	case slow > s.workers/2:
		return true
	case nextWaits && st.Ready+st.Delayed+st.Leased <= int64(slow):
		return true // nothing is left in the generation but theirs
	case quick || now.Sub(s.pause) < 2*slowStep:
		return false
	}
	return nextWaits || st.Ready > 0 && slow >= (few+1)/2
}
