package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// The coordinator moves barriers through the pipeline. It subscribes to every
// queue under a durable name, so no barrier passes unseen, and nothing opens
// without it. A queue has passed generation g when its barrier g has been
// released: everything of g in it is settled. passed, which is stored, is all
// the state there is; what follows from it is decided by three rules.
//
// Place. Barrier k is placed in a queue when every feeder has passed k, where
// a feeder over a loop need only have passed k-1. Until then, something of
// generation k may still be emitted to it; from then on, nothing. A queue at
// the head of a loop gets no barrier while its next generation is empty: that
// is how a crawl ends.
//
// Acknowledge. Barrier g of a queue is acknowledged, and so generation g+1 of
// it opened, when the barriers that it must stay behind are placed: k = g in
// the queues that it feeds, k = g+1 over loops. So no stage emits for a
// generation to a queue that is still open for the one before.
//
// Complete. A generation that every queue has passed is complete. Its record,
// OnGeneration and whatever the rules place and acknowledge at that moment are
// one transaction.
//
// Any number of processes may run one pipeline on one store. One of them coordinates, the
// one that has the durable name; see lead. Whatever a coordinator commits, and whoever
// seeds, requires that nobody has committed the like since it read the state (turn), so
// one that was believed dead, and goes on, changes nothing.
//
// By these rules the epoch of each queue is the generation.
type coordinator struct {
	p      *Pipeline
	passed map[string]int // the last generation passed, -1 if none
	tails  map[string]int // the next barrier to place
	since  map[string]int64
	held   map[string]*queue.Delivery // released barriers, not acknowledged; the pipeline's
	saved  savedState
	turn   []byte // the record of the last one that committed; nil if nobody has
}

// coordinatorName is the durable name.
const coordinatorName = "weir/coordinator"

func loadJSON(ctx context.Context, store *queue.Store, key string, v any) (bool, error) {
	b, err := store.Get(ctx, table, key)
	if errors.Is(err, queue.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("record %s/%s: %w", table, key, err)
	}
	return true, nil
}

// coordinator returns the pipeline's coordinator, read from the store if need
// be. The caller has the turn.
func (p *Pipeline) coordinator(ctx context.Context) (*coordinator, error) {
	if p.state != nil {
		return p.state, nil
	}
	c := &coordinator{
		p: p, passed: make(map[string]int), tails: make(map[string]int),
		since: make(map[string]int64), held: p.held,
	}
	var err error
	if c.turn, err = loadTurn(ctx, p.store); err != nil {
		return nil, err
	}
	if c.saved, err = loadState(ctx, p.store); err != nil {
		return nil, err
	}
	for _, s := range p.stages {
		passed := -1
		if _, err := loadJSON(ctx, p.store, "passed/"+s.name, &passed); err != nil {
			return nil, err
		}
		c.passed[s.name] = passed
	}
	p.state = c
	return c, nil
}

// refresh reads where the queues' tails are, which is not before the turn was read: see
// queue.Store.QueueStats.
func (c *coordinator) refresh(ctx context.Context) error {
	for _, s := range c.p.stages {
		st, err := c.p.store.QueueStats(ctx, s.name)
		if errors.Is(err, queue.ErrUnknownQueue) {
			st, err = queue.QueueStats{}, nil
		}
		if err != nil {
			return err
		}
		c.tails[s.name], c.since[s.name] = int(st.Tail), st.SinceBarrier
	}
	return nil
}

// checkTopology returns ErrTopology if the store holds unfinished work of
// another pipeline.
func (p *Pipeline) checkTopology(ctx context.Context) error {
	stored, err := loadTopology(ctx, p.store)
	if err != nil {
		return err
	}
	diff := topologyDiff(stored, p.topology())
	if diff == "" || stored == nil {
		return nil
	}
	if done, err := Done(ctx, p.store); done || err != nil {
		return err
	}
	return fmt.Errorf("%w: %s; run the old one to its end first, or use another folder", ErrTopology, diff)
}

func (p *Pipeline) topology() []savedStage {
	all := make([]savedStage, len(p.stages))
	for i, s := range p.stages {
		all[i] = savedStage{s.name, s.feeds}
	}
	return all
}

// configure commits what Run begins with, as far as it is not there: a full disk does
// not keep a pipeline from settling what it has.
func (c *coordinator) configure(ctx context.Context) error {
	var tx queue.Tx
	stored, err := loadTopology(ctx, c.p.store)
	if err != nil {
		return err
	}
	if now := c.p.topology(); !reflect.DeepEqual(stored, now) {
		if err := putJSON(&tx, "topology", now); err != nil {
			return err
		}
	}
	for _, s := range c.p.stages {
		config := c.p.queueConfig(s)
		if stored, err := c.p.store.Config(ctx, s.name); err != nil || !reflect.DeepEqual(stored, config) {
			tx.Configure(s.name, config)
		}
	}
	for {
		err := c.p.store.Commit(ctx, &tx)
		if !isFull(err) || !c.p.pause(ctx, "the pipeline", err) {
			return err
		}
	}
}

// begin gives what was enqueued while nobody ran its barrier. A queue whose barriers
// others place is left to them if more is to come.
func (c *coordinator) begin(ctx context.Context) error {
	if err := c.refresh(ctx); err != nil {
		return err
	}
	var first queue.Tx
	for _, s := range c.p.stages {
		if c.isSource(s.name) && c.since[s.name] > 0 && c.mayPlace(s.name, c.tails[s.name]) {
			first.Barrier(s.name, nil)
		}
	}
	return c.commit(ctx, &first)
}

// commit commits a transaction as soon as there is space on the disk for it. The
// end of ctx ends the wait for space, and nothing else. It returns an error that wraps
// ErrConflict if another process has placed or acknowledged something since the state
// was read: then nothing has happened, and the state is to be read again.
func (c *coordinator) commit(ctx context.Context, tx *queue.Tx) error {
	if tx.Len() == 0 {
		return nil
	}
	next := []byte(rand.Text())
	tx.Require(table, turnKey, c.turn)
	tx.Put(table, turnKey, next)
	for {
		err := c.p.store.Commit(context.WithoutCancel(ctx), tx)
		if err == nil {
			c.turn = next
		}
		if !isFull(err) || !c.p.pause(ctx, "generations", err) {
			return err
		}
	}
}

// topologyDiff says how two topologies differ, or "".
func topologyDiff(old, now []savedStage) string {
	var diffs []string
	find := func(all []savedStage, name string) *savedStage {
		for i := range all {
			if all[i].Queue == name {
				return &all[i]
			}
		}
		return nil
	}
	for _, o := range old {
		if find(now, o.Queue) == nil {
			diffs = append(diffs, fmt.Sprintf("stage %s is gone", o.Queue))
		}
	}
	for _, n := range now {
		o := find(old, n.Queue)
		if o == nil {
			diffs = append(diffs, fmt.Sprintf("stage %s is new", n.Queue))
		} else if !slices.Equal(o.Feeds, n.Feeds) {
			diffs = append(diffs, fmt.Sprintf("stage %s feeds %v and fed %v", n.Queue, n.Feeds, o.Feeds))
		}
	}
	return strings.Join(diffs, "; ")
}

// feeders returns the stages that feed a queue, and those among them that do so
// over a loop.
func (c *coordinator) feeders(name string) (forward, loops []string) {
	for _, s := range c.p.stages {
		if !slices.Contains(s.feeds, name) {
			continue
		}
		if c.p.loops(s.name, name) {
			loops = append(loops, s.name)
		} else {
			forward = append(forward, s.name)
		}
	}
	return forward, loops
}

// isSource reports whether only loops and users feed a queue.
func (c *coordinator) isSource(name string) bool {
	forward, _ := c.feeders(name)
	return len(forward) == 0
}

// mayPlace is the condition of the first rule.
func (c *coordinator) mayPlace(name string, k int) bool {
	forward, loops := c.feeders(name)
	for _, f := range forward {
		if c.passed[f] < k {
			return false
		}
	}
	for _, f := range loops {
		if c.passed[f] < k-1 {
			return false
		}
	}
	return true
}

// shouldPlace is the first rule for the next barrier of a queue.
func (c *coordinator) shouldPlace(name string) bool {
	forward, loops := c.feeders(name)
	switch {
	case len(forward) > 0:
	case len(loops) == 0:
		return false // Seed and the user place these
	case c.since[name] == 0:
		return false
	}
	return c.mayPlace(name, c.tails[name])
}

// mayAck is the second rule.
func (c *coordinator) mayAck(name string, g int) bool {
	for _, f := range c.p.stage(name).feeds {
		k := g
		if c.p.loops(name, f) {
			k = g + 1
		}
		if c.tails[f] <= k && !(c.isSource(f) && c.mayPlace(f, k)) {
			return false
		}
	}
	return !c.p.opts.Strict || !c.isSource(name) || c.saved.Complete >= g
}

// idle reports whether nothing is left anywhere.
func (c *coordinator) idle() bool {
	low, high := math.MaxInt, -1
	for _, s := range c.p.stages {
		if c.since[s.name] > 0 || c.passed[s.name] != c.tails[s.name]-1 {
			return false
		}
		low, high = min(low, c.tails[s.name]), max(high, c.tails[s.name])
	}
	return low == high && c.saved.Complete == high-1
}

// seeded commits seeds of a queue, with a barrier behind them if nothing else
// will place one.
func (c *coordinator) seeded(ctx context.Context, name string, tx *queue.Tx) error {
	if !c.isSource(name) {
		return fmt.Errorf("%w: %s is fed by other stages; seed the edge that feeds them", ErrWiring, name)
	}
	if !c.p.isRunning() {
		return c.p.store.Commit(ctx, tx) // begin will place it
	}
	if err := c.refresh(ctx); err != nil {
		return err
	}
	if c.mayPlace(name, c.tails[name]) {
		tx.Barrier(name, nil)
	}
	c.saved.Done = false
	if err := putJSON(tx, "state", c.saved); err != nil {
		return err
	}
	return c.commit(ctx, tx)
}

// receiveBarriers hands on the barriers of a queue.
func receiveBarriers(ctx context.Context, c *queue.Consumer, barriers chan<- *queue.Delivery) error {
	for {
		ds, err := c.Receive(ctx, 1)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case barriers <- ds[0]:
		case <-ctx.Done():
			return nil
		}
	}
}

func (p *Pipeline) coordinateBarriers(ctx context.Context, barriers <-chan *queue.Delivery) error {
	var d *queue.Delivery
	for {
		done, err := p.apply(ctx, d)
		if ctx.Err() != nil && isFull(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("coordinate generations: %w", err)
		}
		if done && !p.opts.KeepRunning {
			return nil
		}
		select {
		case d = <-barriers:
		case <-ctx.Done():
			return nil
		}
	}
}

// apply lets the rules say what follows from a released barrier, or from the state
// if d is nil. It reports whether the pipeline is done.
func (p *Pipeline) apply(ctx context.Context, d *queue.Delivery) (done bool, err error) {
	if p.enter(ctx) != nil {
		return false, nil
	}
	defer p.leave()
	c, err := p.coordinator(context.WithoutCancel(ctx))
	if err != nil {
		return false, err
	}
	if d != nil {
		p.held[d.Queue] = d
	}
	for {
		err := c.advance(ctx)
		if err == nil {
			return c.saved.Done, nil
		}
		p.state = nil
		if !errors.Is(err, queue.ErrConflict) {
			return false, err
		}
		if c, err = p.coordinator(context.WithoutCancel(ctx)); err != nil {
			return false, err
		}
	}
}

// advance applies the rules until they have nothing more to say. The caller
// has the turn.
func (c *coordinator) advance(ctx context.Context) error {
	for {
		if err := c.refresh(ctx); err != nil {
			return err
		}
		var tx queue.Tx
		if err := c.pass(&tx); err != nil {
			return err
		}
		c.place(&tx)
		finished, err := c.finish(context.WithoutCancel(ctx), &tx)
		if err != nil {
			return err
		}
		var acked []string
		for name, d := range c.held {
			if c.mayAck(name, int(d.Epoch)) {
				tx.Ack(d)
				acked = append(acked, name)
			}
		}
		if done := c.idle(); done != c.saved.Done || finished {
			c.saved.Done = done
			if err := putJSON(&tx, "state", c.saved); err != nil {
				return err
			}
		}
		if tx.Len() == 0 {
			return nil
		}
		if err := c.commit(ctx, &tx); err != nil {
			return err
		}
		for _, name := range acked {
			delete(c.held, name)
		}
	}
}

// pass notes which queues have passed a generation.
func (c *coordinator) pass(tx *queue.Tx) error {
	for name, d := range c.held {
		g := int(d.Epoch)
		if c.passed[name] >= g {
			continue
		}
		c.passed[name] = g
		if err := putJSON(tx, "passed/"+name, g); err != nil {
			return err
		}
		part := savedPart{Totals: d.Barrier.Counts}
		if c.isSource(name) {
			part.Started = d.Barrier.Placed
		}
		if g > c.saved.Complete {
			if err := putJSON(tx, partKey(g, name), part); err != nil {
				return err
			}
		}
	}
	return nil
}

// savedPart is what one queue adds to the record of a generation.
type savedPart struct {
	Totals  queue.Totals
	Started time.Time `json:"started,omitzero"`
}

func partKey(g int, name string) string { return fmt.Sprintf("part/%010d/%s", g, name) }

// stranded reports whether all that is left lies in queues to which nothing
// else will come: dead letters that were retried when their generation had
// passed. An empty generation then begins at the sources, whose barriers the
// rules carry on to those queues.
func (c *coordinator) stranded() bool {
	found := false
	for _, s := range c.p.stages {
		switch {
		case c.passed[s.name] != c.saved.Complete, c.tails[s.name] != c.saved.Complete+1:
			return false
		case c.since[s.name] == 0:
		case c.isSource(s.name):
			return false
		default:
			found = true
		}
	}
	return found
}

// place places the barriers whose time has come.
func (c *coordinator) place(tx *queue.Tx) {
	if c.stranded() {
		for _, s := range c.p.stages {
			if c.isSource(s.name) {
				tx.Barrier(s.name, nil)
				c.tails[s.name]++
			}
		}
	}
	for placed := true; placed; {
		placed = false
		for _, s := range c.p.stages {
			if c.shouldPlace(s.name) {
				tx.Barrier(s.name, nil)
				c.tails[s.name]++
				c.since[s.name] = 0
				placed = true
			}
		}
	}
}

// finish completes the next generation, if every queue has passed it. Parts
// that this very transaction stores are read from held barriers.
func (c *coordinator) finish(ctx context.Context, tx *queue.Tx) (bool, error) {
	g := c.saved.Complete + 1
	for _, s := range c.p.stages {
		if c.passed[s.name] < g {
			return false, nil
		}
	}
	gen := Generation{Number: g, Finished: time.Now()}
	for _, s := range c.p.stages {
		var part savedPart
		if d := c.held[s.name]; d != nil && int(d.Epoch) == g {
			part.Totals = d.Barrier.Counts
			if c.isSource(s.name) {
				part.Started = d.Barrier.Placed
			}
		} else if _, err := loadJSON(ctx, c.p.store, partKey(g, s.name), &part); err != nil {
			return false, err
		}
		gen.Stages = append(gen.Stages, StageTotals{s.name, part.Totals})
		if !part.Started.IsZero() && (gen.Started.IsZero() || part.Started.Before(gen.Started)) {
			gen.Started = part.Started
		}
		tx.Delete(table, partKey(g, s.name))
	}
	if err := putJSON(tx, generationKey(g), gen); err != nil {
		return false, err
	}
	if fn := c.p.opts.OnGeneration; fn != nil {
		if err := protect(func() error { return fn(ctx, gen, tx) }); err != nil {
			return false, fmt.Errorf("OnGeneration(%d): %w", g, err)
		}
	}
	c.saved.Complete = g
	c.p.log.Info("generation complete", "generation", g)
	return true, nil
}
