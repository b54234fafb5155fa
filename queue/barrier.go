package queue

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// BarrierID identifies a barrier: it ended that epoch of that queue.
type BarrierID struct {
	Queue string
	Epoch uint32
}

func (id BarrierID) String() string { return fmt.Sprintf("%s/%d", id.Queue, id.Epoch) }

// Barrier is a barrier that has been placed. Every item of its epoch was
// enqueued before it, and nothing behind it is delivered before its epoch is
// finished and the consumers know.
type Barrier struct {
	ID      BarrierID
	Body    []byte
	Headers map[string]string // of the item it was made from, if Config.BarrierOn did

	Placed   time.Time // when it was committed
	Released time.Time // when everything before it was settled; zero if it is not
	Opened   time.Time // when the consumers had acked it and the next epoch opened; zero if not

	// Counts says what has become of the epoch's items.
	Counts Totals
}

// nameRecord is a durable subscription: the first epoch whose barrier it has
// not acked.
type nameRecord struct{ next uint32 }

func (n nameRecord) append(b []byte) []byte { return binary.AppendUvarint(b, uint64(n.next)) }

// passedBarriers is how many barriers of a queue are kept after their next
// epoch has opened.
const passedBarriers = 1000

func decodeBarrier(queue string, epoch uint32, value []byte) (Barrier, barrierRecord, error) {
	rec, err := decodeBarrierRecord(value)
	if err != nil {
		return Barrier{}, rec, fmt.Errorf("%w: barrier %s/%d", err, queue, epoch)
	}
	return Barrier{
		ID: BarrierID{queue, epoch}, Body: rec.Body, Headers: rec.Headers, Counts: rec.Counts,
		Placed: unixMilli(rec.Placed), Released: unixMilli(rec.Released), Opened: unixMilli(rec.Opened),
	}, rec, nil
}

func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// The life of a barrier, and who does what:
//
//	placed     p.placeBarrier, in the plan of Tx.Barrier
//	released   q.releaseLocked, when a publish leaves no item of the epoch
//	           unsettled; the sessions of that moment become its audience
//	delivered  Receive
//	acked      p.ackBarrier, in the plan of Tx.Ack
//	opened     p.openEpoch, in the plan that ends the last condition, or in the
//	           housekeeping after a session has gone
//
// Release is not stored: it follows from the counts, so a crash releases the
// barrier again. Acks are, so it is opened exactly once.

// releaseLocked releases the open epoch's barrier if its time has come.
func (q *queueState) releaseLocked(b *Barrier) {
	q.released = b
	q.audience = 0
	for c := range q.consumers {
		q.joinLocked(c)
	}
	for _, ch := range q.barriers[b.ID.Epoch] {
		close(ch)
	}
	delete(q.barriers, b.ID.Epoch)
}

// joinLocked makes a session part of the audience of the released barrier, if
// it is entitled to it: it was there at the release, or nobody else is left to
// ack it, or it holds a durable name that has not acked it.
func (q *queueState) joinLocked(c *session) {
	if q.released == nil || c.opts.Barriers == NoBarriers || c.barrier != barrierNone {
		return
	}
	c.barrier = barrierPending
	c.tries = 0
	q.audience++
}

// arriveLocked is joinLocked for a session that came after the release.
func (q *queueState) arriveLocked(c *session) {
	if q.released == nil {
		return
	}
	owes := c.opts.Durable != "" && q.names[c.opts.Durable].next <= q.open
	if owes || q.acks == 0 && q.audience == 0 {
		q.joinLocked(c)
	}
}

// departLocked takes an ended session out of the audience. If that leaves
// nobody, and nobody has acked, those who came later take its place.
func (q *queueState) departLocked(c *session) {
	phase := c.barrier
	c.barrier = barrierNone
	if q.released == nil || phase != barrierPending && phase != barrierDelivered {
		return
	}
	q.audience--
	if q.audience == 0 && q.acks == 0 {
		for other := range q.consumers {
			q.joinLocked(other)
		}
	}
	q.s.flag(q) // the epoch may open now
}

// deliverBarrierLocked hands the released barrier to a session.
func (q *queueState) deliverBarrierLocked(c *session) *Delivery {
	c.barrier = barrierDelivered
	c.tries++
	d := &Delivery{
		Barrier: q.released, Queue: q.name, Epoch: q.released.ID.Epoch,
		Attempt: c.tries, Enqueued: q.released.Placed, c: c,
	}
	c.holdLocked(d)
	return d
}

// returnBarrierLocked makes a barrier that was not acked pending again.
func (q *queueState) returnBarrierLocked(d *Delivery, delay time.Duration, counted bool) {
	c := d.c
	if c.ended != nil || c.barrier != barrierDelivered {
		return
	}
	if !counted {
		c.tries--
	}
	if delay <= 0 {
		c.barrier = barrierPending
		return
	}
	time.AfterFunc(delay, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if c.ended == nil && c.barrier == barrierDelivered && q.released == d.Barrier {
			c.barrier = barrierPending
			q.wakeLocked()
		}
	})
}

func (s *leader) WaitBarrier(ctx context.Context, id BarrierID) error {
	q, err := s.existing("wait for barrier "+id.String(), id.Queue)
	if err != nil {
		return err
	}
	q.mu.Lock()
	if id.Epoch >= q.tail {
		q.mu.Unlock()
		return fmt.Errorf("wait for barrier %s: %w", id, ErrNotFound)
	}
	if id.Epoch < q.open || q.released != nil && q.released.ID == id {
		q.mu.Unlock()
		return nil
	}
	ch := make(chan struct{})
	q.barriers[id.Epoch] = append(q.barriers[id.Epoch], ch)
	q.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		q.mu.Lock()
		defer q.mu.Unlock()
		for i, x := range q.barriers[id.Epoch] {
			if x == ch {
				q.barriers[id.Epoch] = append(q.barriers[id.Epoch][:i], q.barriers[id.Epoch][i+1:]...)
				break
			}
		}
		return fmt.Errorf("wait for barrier %s: %w", id, context.Cause(ctx))
	case <-q.ended:
		return fmt.Errorf("wait for barrier %s: %w: it was deleted", id, ErrUnknownQueue)
	case <-s.failed:
		return fmt.Errorf("wait for barrier %s: %w", id, s.err())
	case <-s.stop:
		return fmt.Errorf("wait for barrier %s: %w", id, ErrClosed)
	}
}

func (s *leader) Barriers(ctx context.Context, queue string) ([]Barrier, error) {
	q, err := s.existing("barriers", queue)
	if err != nil {
		return nil, err
	}
	prefix := appendQueue(nil, kindBarrier, q.id)
	var barriers []Barrier
	var bad error
	err = s.db.Scan(ctx, prefix, prefixEnd(prefix), func(key, value []byte) bool {
		var b Barrier
		b, _, bad = decodeBarrier(queue, binary.BigEndian.Uint32(key[len(prefix):]), bytes.Clone(value))
		barriers = append(barriers, b)
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, fmt.Errorf("barriers of %s: %w", queue, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range barriers {
		if q.released != nil && barriers[i].ID == q.released.ID {
			barriers[i].Released = q.released.Released
		}
	}
	return barriers, nil
}

func (s *leader) Unsubscribe(ctx context.Context, queue, name string) error {
	_, err := s.existing("unsubscribe", queue)
	if err != nil {
		return err
	}
	r := &request{ops: []op{{kind: opDropName, name: queue, key: name}}, done: make(chan error, 1)}
	if err = s.prepare(ctx, r); err == nil {
		err = s.submit(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("unsubscribe %q from %s: %w", name, queue, err)
	}
	return nil
}

func (s *leader) Subscriptions(ctx context.Context, queue string) ([]string, error) {
	q, err := s.existing("subscriptions", queue)
	if err != nil {
		return nil, err
	}
	prefix := appendQueue(nil, kindName, q.id)
	var names []string
	err = s.db.Scan(ctx, prefix, prefixEnd(prefix), func(key, _ []byte) bool {
		names = append(names, string(key[len(prefix):]))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("subscriptions of %s: %w", queue, err)
	}
	return names, nil
}
