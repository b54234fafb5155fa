package pipeline

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-301537d8/weir/queue"
)

// turnKey is the record by which those who place barriers know of each other.
const turnKey = "turn"

// loadTurn returns that record, nil if there is none.
func loadTurn(ctx context.Context, store *queue.Store) ([]byte, error) {
	turn, err := store.Get(ctx, table, turnKey)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, nil
	}
	return turn, err
}

// followPause is how often a process that does not coordinate looks whether it may, and
// whether the pipeline is done.
const followPause = 500 * time.Millisecond

// coordinate runs the coordinator until the pipeline is done or ctx ends, in this process
// or in another one: then this process follows, and takes its place when that one is
// gone. begun is called when stages may work.
//
// They may not before what was enqueued while nobody ran has its barrier: what a stage of
// a loop emits would lie before it, in the generation that it comes from.
func (p *Pipeline) coordinate(ctx context.Context, begun func()) error {
	for {
		err := p.lead(ctx, begun)
		switch {
		case ctx.Err() != nil:
			if errors.Is(err, queue.ErrNameInUse) || errors.Is(err, queue.ErrLeaseLost) ||
				errors.Is(err, context.Cause(ctx)) || errors.Is(err, ctx.Err()) {
				return nil
			}
			return err
		case errors.Is(err, queue.ErrLeaseLost):
			p.log.Warn("another process may coordinate the generations now", "err", err)
			continue
		case !errors.Is(err, queue.ErrNameInUse):
			return err
		}
		done, err := p.follow(ctx, begun)
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(followPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// follow looks how far the process is that coordinates. It reports whether the pipeline
// is done.
func (p *Pipeline) follow(ctx context.Context, begun func()) (done bool, err error) {
	if p.enter(ctx) != nil {
		return false, nil
	}
	defer p.leave()
	p.state = nil // it is another's
	c, err := p.coordinator(ctx)
	if err == nil {
		err = c.refresh(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			return false, nil
		}
		return false, err
	}
	if c.hasBegun() {
		begun()
	}
	done, err = Done(ctx, p.store)
	if ctx.Err() != nil {
		return false, nil
	}
	return done && !p.opts.KeepRunning, err
}

// hasBegun reports whether nothing waits for a barrier that begin places, in a queue to
// which a loop leads.
func (c *coordinator) hasBegun() bool {
	for _, s := range c.p.stages {
		_, loops := c.feeders(s.name)
		if len(loops) > 0 && c.isSource(s.name) && c.since[s.name] > 0 && c.mayPlace(s.name, c.tails[s.name]) {
			return false
		}
	}
	return true
}

// lead coordinates for as long as it has the durable name. Its consumers close when the
// rules have been applied for the last time: one that closes gives back the barriers that
// the coordinator holds.
func (p *Pipeline) lead(ctx context.Context, begun func()) error {
	var consumers []*queue.Consumer
	defer clear(p.held)
	for _, s := range p.stages {
		c, err := p.subscribe(ctx, s.name, &queue.SubscribeOptions{
			Durable: coordinatorName, Barriers: queue.OnlyBarriers,
		})
		if err != nil {
			return err
		}
		defer c.Close()
		consumers = append(consumers, c)
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	begun()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	barriers := make(chan *queue.Delivery)
	g, receiving := errgroup.WithContext(ctx)
	for _, c := range consumers {
		g.Go(func() error { return receiveBarriers(receiving, c, barriers) })
	}
	err := p.coordinateBarriers(receiving, barriers)
	cut := receiving.Err() != nil
	cancel()
	return whatEnded(err, cut, g.Wait())
}

// whatEnded returns why a coordinator has ended: its own error, or that of a receiver of
// barriers. One that fails cuts short what the coordinator is at, whose error then says
// nothing but that; and who has lost a session is to follow, not to end.
func whatEnded(err error, cut bool, failed error) error {
	if failed != nil && (err == nil || cut && errors.Is(err, context.Canceled)) {
		return failed
	}
	return err
}

// begin is what a coordinator does first.
func (p *Pipeline) begin(ctx context.Context) error {
	for {
		if err := p.enter(ctx); err != nil {
			return err
		}
		p.state = nil // what is known may be long ago
		c, err := p.coordinator(ctx)
		if err == nil {
			err = c.begin(ctx)
		}
		if err != nil {
			p.state = nil
		}
		p.leave()
		if !errors.Is(err, queue.ErrConflict) {
			return err
		}
	}
}
