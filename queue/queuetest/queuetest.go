// Package queuetest checks that a backend, and the queue on top of it, keep
// their promises. A backend's whole test is a few lines: it says how to make
// an empty disk, and calls
//
//   - [RunDriver], one subtest per sentence of the driver contract;
//   - [Run], one subtest per promise of package queue;
//   - [Model], random histories against a small reference;
//   - [Conserve], a known tree of work under bad workers;
//   - [CrashAtEveryWrite], a crash at the first write, the second, and so on;
//   - [Kill], a child process killed again and again.
//
// Tests that depend on time run in testing/synctest bubbles, so a backend must
// work inside one. Every test ends with [queue.Store.Check].
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// Disk is where a backend keeps a store, and outlives the store.
type Disk interface {
	// Driver opens the disk. After the driver's Close it can be opened again.
	Driver() (driver.Store, error)

	// Crash returns another disk that holds what would be left if the process
	// died now. The disk itself is not touched.
	Crash(t testing.TB) Disk
}

// Front is implemented by a Disk whose stores are to be used by way of something else,
// such as a network.
type Front interface {
	// Front returns a store that is another way to s. Its Close closes s.
	Front(t testing.TB, s *queue.Store) *queue.Store
}

// Harness returns an empty disk, which goes away with the test. It is called
// inside the bubble of tests that run in one.
type Harness func(t testing.TB) Disk

// patience is how long a test waits for what must come. In a bubble it passes
// at once when nothing else can happen, so a hang fails the test by name.
const patience = 48 * time.Hour

// env is what a test works with: one disk with a store open on it.
type env struct {
	testing.TB
	ctx  context.Context
	disk Disk
	opts *queue.Options
	s    *queue.Store

	limits driver.Limits
	gate   gate                            // before the driver's Commit
	wrap   func(driver.Store) driver.Store // around the driver at each open, or nil
	stingy *stingy                         // around that, or nil
	mood   func([]driver.Write) bool       // of stingy while a store is open
}

// newEnv opens a store on an empty disk.
func newEnv(t testing.TB, h Harness, opts *queue.Options) *env {
	t.Helper()
	e := &env{TB: t, ctx: t.Context(), disk: h(t), opts: opts}
	e.open()
	return e
}

// bubble runs a test in a synctest bubble with a store, and checks the store
// at its end.
func bubble(t *testing.T, h Harness, opts *queue.Options, fn func(e *env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, h, opts)
		defer e.s.Close() // a failed test must not leave goroutines in the bubble
		fn(e)
		e.end()
	})
}

func (e *env) open() {
	e.Helper()
	db, err := e.disk.Driver()
	if err != nil {
		e.Fatalf("open disk: %v", err)
	}
	e.limits = db.Limits()
	db = gated{strict(e, db), &e.gate}
	if e.wrap != nil {
		db = e.wrap(db)
	}
	if e.stingy != nil {
		e.stingy.Store, e.stingy.mood = db, nil
		db = e.stingy
	}
	s, err := queue.New(e.ctx, db, watched(e, e.opts))
	if err != nil {
		db.Close()
		e.Fatalf("open store: %v", err)
	}
	if front, ok := e.disk.(Front); ok {
		s = front.Front(e, s)
	}
	e.s = s
	if e.stingy != nil {
		e.stingy.set(e.mood)
	}
}

// end checks and closes the store.
func (e *env) end() {
	e.Helper()
	e.check()
	if err := e.s.Close(); err != nil {
		e.Errorf("Close: %v", err)
	}
}

// check runs Store.Check.
func (e *env) check() {
	e.Helper()
	if err := e.s.Check(e.ctx); err != nil {
		e.Errorf("Check: %v", err)
	}
}

// reopen closes the store in good order and opens it again.
func (e *env) reopen() {
	e.Helper()
	if err := e.s.Close(); err != nil {
		e.Fatalf("Close: %v", err)
	}
	e.open()
}

// crash goes on with what would be left if the process had died now.
func (e *env) crash() {
	e.Helper()
	disk := e.disk.Crash(e)
	e.s.Close()
	e.disk = disk
	e.open()
}

// must fails the test at once if err is not nil.
func (e *env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// is fails the test if err does not wrap target.
func (e *env) is(what string, err, target error) {
	e.Helper()
	if !errors.Is(err, target) {
		e.Errorf("%s returned %v, want an error that wraps %q", what, err, target)
	}
}

// commit commits the transaction that build makes.
func (e *env) commit(build func(tx *queue.Tx)) queue.Result {
	e.Helper()
	r, err := e.try(build)
	if err != nil {
		e.Fatal(err)
	}
	return r
}

// try is commit for a transaction that may fail.
func (e *env) try(build func(tx *queue.Tx)) (queue.Result, error) {
	ctx, cancel := context.WithTimeout(e.ctx, patience)
	defer cancel()
	var tx queue.Tx
	build(&tx)
	err := e.s.Commit(ctx, &tx)
	return tx.Result(), err
}

// put enqueues items with these bodies.
func (e *env) put(q string, bodies ...string) {
	e.Helper()
	e.commit(func(tx *queue.Tx) {
		for _, b := range bodies {
			tx.Enqueue(q, queue.Item{Body: []byte(b)})
		}
	})
}

func (e *env) configure(q string, c queue.Config) {
	e.Helper()
	e.commit(func(tx *queue.Tx) { tx.Configure(q, c) })
}

func (e *env) barrier(q, body string) queue.BarrierID {
	e.Helper()
	return e.commit(func(tx *queue.Tx) { tx.Barrier(q, []byte(body)) }).Barriers[0]
}

func (e *env) subscribe(q string, o *queue.SubscribeOptions) *queue.Consumer {
	e.Helper()
	c, err := e.s.Subscribe(e.ctx, q, o)
	if err != nil {
		e.Fatal(err)
	}
	return c
}

// receive returns what one Receive does, which must not come up empty.
func (e *env) receive(c *queue.Consumer, max int) []*queue.Delivery {
	e.Helper()
	ctx, cancel := context.WithTimeout(e.ctx, patience)
	defer cancel()
	ds, err := c.Receive(ctx, max)
	if err != nil {
		e.Fatalf("nothing was received in %v: %v", patience, err)
	}
	if len(ds) == 0 || len(ds) > max {
		e.Fatalf("Receive(%d) returned %d deliveries", max, len(ds))
	}
	return ds
}

// one receives one item.
func (e *env) one(c *queue.Consumer) *queue.Delivery {
	e.Helper()
	d := e.receive(c, 1)[0]
	if d.Barrier != nil {
		e.Fatalf("received %v, want an item", d)
	}
	return d
}

// tell receives a barrier.
func (e *env) tell(c *queue.Consumer) *queue.Delivery {
	e.Helper()
	d := e.receive(c, 1)[0]
	if d.Barrier == nil {
		e.Fatalf("received %v (%q), want a barrier", d, d.Item.Body)
	}
	return d
}

// now returns what can be received at this moment, without letting time pass.
func (e *env) now(c *queue.Consumer, max int) []*queue.Delivery {
	e.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	var ds []*queue.Delivery
	var err error
	done := make(chan struct{})
	go func() {
		ds, err = c.Receive(ctx, max)
		close(done)
	}()
	synctest.Wait()
	cancel()
	<-done
	if err != nil && !errors.Is(err, context.Canceled) {
		e.Fatal(err)
	}
	return ds
}

// none fails the test if anything can be received at this moment.
func (e *env) none(c *queue.Consumer, why string) {
	e.Helper()
	if ds := e.now(c, 1); len(ds) > 0 {
		e.Fatalf("%s: received %v (%q)", why, ds[0], ds[0].Item.Body)
	}
}

// drain receives and acks until nothing more comes at this moment, and
// returns the bodies in their order.
func (e *env) drain(c *queue.Consumer) []string {
	e.Helper()
	var got []string
	for {
		ds := e.now(c, 1)
		if len(ds) == 0 {
			return got
		}
		if b := ds[0].Barrier; b != nil {
			got = append(got, "barrier:"+string(b.Body))
		} else {
			got = append(got, string(ds[0].Item.Body))
		}
		e.ack(ds...)
	}
}

func (e *env) ack(ds ...*queue.Delivery) {
	e.Helper()
	e.commit(func(tx *queue.Tx) { tx.Ack(ds...) })
}

// wants compares what was received with what was expected.
func (e *env) wants(what string, got []string, want ...string) {
	e.Helper()
	if !slices.Equal(got, want) {
		e.Errorf("%s: got [%s], want [%s]", what, strings.Join(got, " "), strings.Join(want, " "))
	}
}

// all returns the numbers of all queues.
func (e *env) all() []queue.QueueStats {
	e.Helper()
	all, err := e.s.Stats(e.ctx)
	e.must(err)
	return all
}

// stats returns the numbers of a queue, also while a batch is being written.
func (e *env) stats(q string) queue.QueueStats {
	e.Helper()
	for _, st := range e.all() {
		if st.Name == q {
			return st
		}
	}
	e.Fatalf("there is no queue %s", q)
	panic("unreachable")
}

// pass lets time pass, and what it brings happen.
func (e *env) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// bodies returns the bodies of deliveries.
func bodies(ds []*queue.Delivery) []string {
	var out []string
	for _, d := range ds {
		if d.Barrier != nil {
			out = append(out, "barrier:"+string(d.Barrier.Body))
			continue
		}
		out = append(out, string(d.Item.Body))
	}
	return out
}

// waiting returns the bodies of all unsettled items with their states.
func (e *env) waiting(q string) []string {
	e.Helper()
	page, err := e.s.Browse(e.ctx, q, nil, 10_000)
	if err != nil {
		e.Fatal(err)
	}
	var out []string
	for _, w := range page {
		out = append(out, fmt.Sprintf("%s:%s", w.Item.Body, w.State))
	}
	return out
}

// dead returns the dead letters of a queue.
func (e *env) dead(q string) []queue.DeadLetter {
	e.Helper()
	letters, err := e.s.DeadLetters(e.ctx, q, 0, 10_000)
	if err != nil {
		e.Fatal(err)
	}
	return letters
}

func item(body string) queue.Item { return queue.Item{Body: []byte(body)} }

// promise is one subtest of Run: a sentence and what checks it.
type promise struct {
	name  string
	check func(e *env)
	opts  *queue.Options
	here  bool // it is about the process that has the store: not for a Front, whose clock is another
}

func runPromises(t *testing.T, h Harness, promises []promise) {
	_, front := h(t).(Front)
	for _, p := range promises {
		if front && p.here {
			continue
		}
		t.Run(p.name, func(t *testing.T) { bubble(t, h, p.opts, p.check) })
	}
}

// Run checks the promises of package queue on a backend.
func Run(t *testing.T, h Harness) {
	for _, part := range []struct {
		name     string
		promises []promise
	}{
		{"Transaction", transactionPromises},
		{"Require", requirePromises},
		{"Batch", batchPromises},
		{"Outcome", outcomePromises},
		{"Identity", identityPromises},
		{"Order", orderPromises},
		{"Group", groupPromises},
		{"Affinity", affinityPromises},
		{"Session", sessionPromises},
		{"Clock", clockPromises},
		{"Settle", settlePromises},
		{"Deaths", deathPromises},
		{"Direct", directPromises},
		{"Flow", flowPromises},
		{"Barrier", barrierPromises},
		{"Subscription", subscriptionPromises},
		{"Look", lookPromises},
		{"Refuse", refusePromises},
		{"Oversized", oversizedPromises},
		{"Delete", deletePromises},
		{"Memory", memoryPromises},
		{"Ahead", aheadPromises},
		{"Together", togetherPromises},
		{"Defer", deferPromises},
	} {
		t.Run(part.name, func(t *testing.T) { runPromises(t, h, part.promises) })
	}
}
