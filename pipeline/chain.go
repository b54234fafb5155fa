package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// Chaining. A value that a stage has emitted may be handed to the next stage at once,
// in the same worker, as it is: neither encoded nor stored. One transaction then holds
// what all stages of the chain want. Nobody can tell from the store that it was so,
// because of four invariants:
//
//	C1  A chained value is enqueued and acked by that transaction (queue.Store.Direct):
//	    its edge's counts, barriers and generations are those of a value that went
//	    through the queue. It lies in the generation of what it was made from: the
//	    edge's barrier cannot have been placed, since that is not acked yet.
//	C2  A chained stage that fails, panics or runs out of time costs the stages before
//	    it nothing: the same transaction enqueues the value with its failed attempt.
//	    If the store refuses what the chain wants, nothing of it has happened, and what
//	    comes before is committed alone, with the values in their queues.
//	C3  A value is chained only where it would be delivered at once: over no loop, no
//	    barrier, pause or limit; only to a stage that works on single values, has a
//	    worker free, hardly any backlog, and room in all queues that it feeds. Values
//	    with a key or a group are not chained. Nor is a value to a stage that is slow,
//	    since the delivery that it comes from, and that one's group, would wait for it.
//	C4  All of a chain is recorded or none of it, since it is one transaction. Only a
//	    value of a first delivery begins one: after a death the stages run apart, so
//	    that the stage which kills the process is found with what it was killed by.

const (
	chainMost    = 8                      // values in one transaction
	chainBacklog = 4                      // values that wait for each worker, so that those have their turn too
	slowCall     = 200 * time.Millisecond // calls of a stage that is chained, on average
)

// link is a chained value, and what has come of it.
type link struct {
	stage *stage // that has worked on it
	d     *queue.Delivery
	out   *Out
	err   error
	lost  bool    // it has failed and cannot be encoded, so whoever has emitted it fails
	next  []*link // what it led to
}

// mayChain reports whether what the stage emits for deliveries may be chained.
func (s *stage) mayChain(ds []*queue.Delivery) bool {
	return !s.p.opts.NoChaining && !s.serial && len(ds) == 1 && ds[0].Attempt == 1
}

// chain works on what the stage has emitted to stages that can take it at once.
func (s *stage) chain(working context.Context, generation uint32, out *Out, left *int) (links []*link) {
	for i := range out.emitted {
		e := &out.emitted[i]
		if e.live == nil {
			continue
		}
		if next := s.p.stage(e.queue); next != nil {
			if l := next.passBy(working, generation, e, left); l != nil {
				links = append(links, l)
				if !l.lost {
					e.link = l
				}
			}
		}
	}
	return links
}

// passBy works on an emitted value that does not go through the stage's queue. It
// returns nil if the value has to.
func (s *stage) passBy(working context.Context, generation uint32, e *emission, left *int) *link {
	if *left == 0 || working.Err() != nil || s.serial || s.batch > 1 || s.unchained || s.slow() || !s.accepts(e.live) {
		return nil
	}
	for _, f := range s.feeds {
		if !s.p.loops(s.name, f) && s.p.store.Full(working, f) {
			return nil
		}
	}
	d, ok := s.p.store.Direct(working, s.name, chainBacklog*s.maxWorkers)
	if !ok || d.Epoch != generation || !s.limit.tryBegin() {
		return nil
	}
	*left--
	l := &link{stage: s, d: d, out: s.newOut(d, true)}
	func() {
		defer s.limit.end()
		l.err = s.run(working, func(ctx context.Context) error { return s.callLive(ctx, e.live, l.out) })
	}()
	if l.err == nil {
		l.out.returned, l.err = true, l.out.err
	}
	if l.err == nil {
		l.next = s.chain(working, generation, l.out, left)
		l.err = l.out.encode()
	}
	if l.err != nil {
		item, err := e.item()
		d.Item, l.lost = item, err != nil
	}
	return l
}

// add adds what is to happen for a chained value.
func (l *link) add(working context.Context, tx *queue.Tx) {
	tx.Append(l.stage.settle(working, []*queue.Delivery{l.d}, l.out, l.err))
	if l.err != nil {
		return
	}
	for _, n := range l.next {
		n.add(working, tx)
	}
}

// after calls what was to be called after the commit.
func (l *link) after() {
	if l.err != nil {
		if l.out.returned {
			l.out.callUndone()
		}
		undone(l.next)
		return
	}
	l.out.callAfter()
	for _, n := range l.next {
		n.after()
	}
}

// undone is after for a chain that was not committed, and will not be.
func undone(links []*link) {
	for _, l := range links {
		l.out.callUndone()
		undone(l.next)
	}
}

// commitChain commits what a stage and those behind it want. It reports whether the
// delivery is done with; otherwise the store has refused the chain, and nothing has
// happened.
func (s *stage) commitChain(working context.Context, ds []*queue.Delivery, out *Out, links []*link) (done bool, err error) {
	tx := success(ds, out, out.emitted)
	for _, l := range links {
		l.add(working, tx)
	}
	j, entries, ok := joinEntries(out.journal, out.entries, links)
	if !ok {
		return false, nil // as apart
	}
	for {
		err := s.commitTx(working, tx, j, entries)
		switch {
		case err == nil:
			return true, protect(func() error {
				out.callAfter()
				for _, l := range links {
					l.after()
				}
				return nil
			})
		case refused(err):
			s.p.log.Debug("chain refused", "stage", s.name, "id", ds[0].ID, "err", err)
			return false, nil
		case isFull(err):
			if !s.p.pause(working, "stage "+s.name, err) {
				return false, nil // which gives the item back
			}
		case errors.Is(err, errJournal):
			return false, nil // the same
		default:
			return true, fmt.Errorf("commit for %s: %w", s.name, err)
		}
	}
}
