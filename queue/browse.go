package queue

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// State is where an unsettled item stands.
type State uint8

const (
	StateReady    State = iota // waits for a consumer, for its group or behind a barrier
	StateDelayed               // waits for its time
	StateLeased                // a consumer has it
	StateDeferred              // lies in no epoch until its time, or until it rejoins
)

func (s State) String() string {
	switch s {
	case StateReady:
		return "ready"
	case StateDelayed:
		return "delayed"
	case StateLeased:
		return "leased"
	case StateDeferred:
		return "deferred"
	}
	return fmt.Sprintf("state %d", s)
}

// Waiting is an unsettled item as Browse and Holding show it.
type Waiting struct {
	Queue    string
	ID       uint64
	Epoch    uint32 // 0 if it is deferred
	State    State
	Due      time.Time // of a delayed item, and of a deferred one with a time of its own
	Attempts int       // deliveries so far, a present one not counted
	Deaths   int       // of them, those that a death has ended; see Config.MaxDeaths
	Failure  string    // the text of the last error, cut to 512 bytes
	Enqueued time.Time
	Item     Item

	// Since when a deferred item, or its group, is, and the reason given.
	Deferred time.Time
	Reason   string

	at loc
}

func (s *leader) Browse(ctx context.Context, queue string, after *Waiting, limit int) ([]Waiting, error) {
	q, err := s.existing("browse", queue)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("browse %s: %w", queue, invalidf("limit %d", limit))
	}
	var page []Waiting
	kinds := []byte{kindReady, kindDelayed, kindAway}
	var from []byte
	if after != nil {
		key := after.at.appendKey(nil)
		kinds = kinds[bytes.IndexByte(kinds, key[0]):]
		if from = keyAfter(key); after.at.block != 0 {
			from = after.at.appendStart(nil)
		}
	}
	for _, kind := range kinds {
		prefix := appendQueue(nil, kind, q.id)
		start := prefix
		if from != nil {
			start, from = from, nil
		}
		if len(page) == limit {
			break
		}
		more, err := q.browse(ctx, start, prefixEnd(prefix), after, limit-len(page))
		if err != nil {
			return nil, fmt.Errorf("browse %s: %w", queue, err)
		}
		page = append(page, more...)
	}
	return page, nil
}

func (s *leader) Find(ctx context.Context, queue, key string) (Waiting, error) {
	q, err := s.existing("find", queue)
	if err != nil {
		return Waiting{}, err
	}
	w, err := q.findItem(ctx, appendMarkKey(nil, q.id, s.secret.hash(key)))
	if err != nil {
		return Waiting{}, fmt.Errorf("find %s in %s: %w", key, queue, err)
	}
	return w, nil
}

// findItem follows a mark to its item. An item that moves in between has
// changed its mark in the same commit, so the mark is read again.
func (q *queueState) findItem(ctx context.Context, markKey []byte) (Waiting, error) {
	var before []byte
	for {
		value, found, err := q.s.lookUp(markKey)
		if err != nil {
			return Waiting{}, err
		}
		if !found {
			return Waiting{}, ErrNotFound
		}
		m, err := decodeMark(q.id, value)
		if err != nil {
			return Waiting{}, err
		}
		at, r, found, err := q.seek(ctx, m.at)
		if err != nil {
			return Waiting{}, err
		}
		if found {
			w, err := q.waiting(at, r)
			if err != nil {
				return w, err
			}
			page := []Waiting{w}
			err = q.describe(page)
			return page[0], err
		}
		if bytes.Equal(value, before) {
			return Waiting{}, ErrNotFound
		}
		before = value
	}
}

// browse returns the items with keys in [start, end), less those of after's block
// that are not behind it. after may be nil.
func (q *queueState) browse(ctx context.Context, start, end []byte, after *Waiting, limit int) ([]Waiting, error) {
	var page []Waiting
	err := q.s.scanEntries(ctx, start, end, func(e *entry) error {
		return e.each(func(at loc, r ref) error {
			if after != nil && at.block != 0 && at.block == after.at.block && at.id <= after.at.id {
				return nil
			}
			w, err := q.waiting(at, r.clone())
			if err != nil {
				return err
			}
			page = append(page, w)
			if len(page) == limit {
				return errStop
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return page, q.describe(page)
}

// describe completes what cannot be seen of items alone: who is leased, and why who
// is deferred.
func (q *queueState) describe(page []Waiting) error {
	q.mu.Lock()
	for i := range page {
		q.markLeasedLocked(&page[i])
	}
	q.mu.Unlock()
	for i := range page {
		if page[i].at.epoch == deferredEpoch {
			if err := q.describeDeferred(&page[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// seek returns the unsettled item that was at a place at some time, and where it
// lies.
func (q *queueState) seek(ctx context.Context, at loc) (loc, ref, bool, error) {
	r, found, err := q.s.readItem(ctx, at)
	if found || err != nil {
		return at, r, found, err
	}
	q.mu.Lock()
	open, defers := q.open, q.shownCounts.defers
	q.mu.Unlock()
	if !defers {
		return at, r, false, nil
	}
	for _, at := range at.elsewhere(open) {
		if r, found, err = q.s.readItem(ctx, at); found || err != nil {
			return at, r, found, err
		}
	}
	return at, r, false, nil
}

// waiting describes the unsettled item at a place.
func (q *queueState) waiting(at loc, r ref) (Waiting, error) {
	item, err := decodeItem(at, r.value)
	w := Waiting{
		Queue: q.name, ID: at.id, Epoch: at.epoch, Attempts: item.attempts, Deaths: item.deaths, Failure: item.failure,
		Enqueued: time.UnixMilli(item.enqueued), Item: item.Item, at: at,
	}
	if at.due != 0 {
		w.State, w.Due = StateDelayed, time.UnixMilli(at.due).Add(-q.s.clock.behind())
	}
	return w, err
}

func (q *queueState) markLeasedLocked(w *Waiting) {
	if q.inflight[w.ID] != nil {
		w.State = StateLeased
	}
}

// Held says what the present barrier of a queue waits for.
type Held struct {
	// Barrier is the barrier that ends the open epoch, or nil if none has
	// been placed.
	Barrier *Barrier

	// Ready, Delayed and Leased count the unsettled items before it. If all
	// are zero the barrier has been released, and waits for acks.
	Ready, Delayed, Leased int64

	// Returning counts the groups that were deferred and have not come back yet,
	// which the barrier waits for. Deferred counts the queue's deferred items,
	// which it does not wait for.
	Returning int
	Deferred  int64

	// Paused says that the queue is, so that its ready items stay.
	Paused bool

	// ClockBehind is by how much the wall clock has been set back; see
	// QueueStats.
	ClockBehind time.Duration

	// Sessions counts the consumers that have the released barrier and have
	// not acked it; Names lists the durable names that have not. If both are
	// empty and it has been released, it waits for a first consumer.
	Sessions int
	Names    []string

	// Oldest holds the oldest items of each state, ten at most of each.
	Oldest []Waiting
}

func (s *leader) Holding(ctx context.Context, queue string) (Held, error) {
	q, err := s.existing("holding", queue)
	if err != nil {
		return Held{}, err
	}
	h, err := q.holding(ctx)
	if err != nil {
		return Held{}, fmt.Errorf("holding %s: %w", queue, err)
	}
	return h, nil
}

const holdingItems = 10

func (q *queueState) holding(ctx context.Context) (Held, error) {
	q.mu.Lock()
	open, tail := q.open, q.tail
	ready, delayed, leased := q.unsettledLocked()
	h := Held{
		Ready: ready, Delayed: delayed, Leased: leased,
		Paused: q.paused, Barrier: q.released, ClockBehind: q.s.clock.behind(),
		Returning: q.returning, Deferred: q.deferred,
	}
	if q.released != nil {
		h.Sessions = q.audience
		for name, n := range q.names {
			if n.next <= open {
				h.Names = append(h.Names, name)
			}
		}
	}
	busy := make([]*Delivery, 0, len(q.inflight))
	for _, d := range q.inflight {
		busy = append(busy, d)
	}
	q.mu.Unlock()
	slices.Sort(h.Names)

	if h.Barrier == nil && tail > open {
		value, found, err := q.s.lookUp(appendEpoch(nil, kindBarrier, q.id, open))
		if err != nil {
			return h, err
		}
		if found { // it may have passed by now
			b, _, err := decodeBarrier(q.name, open, value)
			if err != nil {
				return h, err
			}
			h.Barrier = &b
		}
	}
	slices.SortFunc(busy, func(a, b *Delivery) int { return cmp.Compare(a.ref.id, b.ref.id) })
	for _, d := range busy[:min(len(busy), holdingItems)] {
		w, err := q.waiting(d.at(), d.ref)
		if err != nil {
			return h, err
		}
		w.State = StateLeased
		h.Oldest = append(h.Oldest, w)
	}
	for _, kind := range []byte{kindReady, kindDelayed} {
		prefix := appendEpoch(nil, kind, q.id, open)
		limit := holdingItems
		if kind == kindReady {
			limit += len(busy) // those are stored among the ready ones
		}
		page, err := q.browse(ctx, prefix, prefixEnd(prefix), nil, limit)
		if err != nil {
			return h, err
		}
		n := 0
		for _, w := range page {
			if w.State != StateLeased && n < holdingItems {
				h.Oldest = append(h.Oldest, w)
				n++
			}
		}
	}
	return h, nil
}
