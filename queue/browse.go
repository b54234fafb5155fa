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
	StateReady   State = iota // waits for a consumer, for its group or behind a barrier
	StateDelayed              // waits for its time
	StateLeased               // a consumer has it
)

func (s State) String() string {
	switch s {
	case StateReady:
		return "ready"
	case StateDelayed:
		return "delayed"
	case StateLeased:
		return "leased"
	}
	return fmt.Sprintf("state %d", s)
}

// Waiting is an unsettled item as Browse and Holding show it.
type Waiting struct {
	Queue    string
	ID       uint64
	Epoch    uint32
	State    State
	Due      time.Time // of a delayed item
	Attempts int       // deliveries so far, a present one not counted
	Enqueued time.Time
	Item     Item

	at loc
}

// Browse returns up to limit unsettled items of a queue without leasing them,
// first the ready and leased ones and then the delayed ones, each in the order
// of their epochs. after is the last item of the page before, or nil for the
// first page. Each page is read as the queue is at that moment.
func (s *Store) Browse(ctx context.Context, queue string, after *Waiting, limit int) ([]Waiting, error) {
	q, err := s.existing("browse", queue)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, fmt.Errorf("browse %s: %w", queue, invalidf("limit %d", limit))
	}
	var page []Waiting
	for _, kind := range []byte{kindReady, kindDelayed} {
		prefix := appendQueue(nil, kind, q.id)
		start := prefix
		if after != nil {
			key := after.at.appendKey(nil)
			if key[0] == kind {
				start = keyAfter(key)
			} else if kind == kindReady {
				continue
			}
		}
		if len(page) == limit {
			break
		}
		more, err := q.browse(ctx, start, prefixEnd(prefix), limit-len(page))
		if err != nil {
			return nil, fmt.Errorf("browse %s: %w", queue, err)
		}
		page = append(page, more...)
	}
	return page, nil
}

// Find returns the unsettled item of a queue that has a key. It returns an
// error that wraps ErrNotFound if there is none, be it that it is done or that
// it was never enqueued; Seen tells the two apart for keys of mode Once.
func (s *Store) Find(ctx context.Context, queue, key string) (Waiting, error) {
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
		key := m.at.appendKey(nil)
		page, err := q.browse(ctx, key, keyAfter(key), 1)
		if err != nil {
			return Waiting{}, err
		}
		if len(page) == 1 {
			return page[0], nil
		}
		if bytes.Equal(value, before) {
			return Waiting{}, ErrNotFound
		}
		before = value
	}
}

func (q *queueState) browse(ctx context.Context, start, end []byte, limit int) ([]Waiting, error) {
	var page []Waiting
	err := q.s.scan(ctx, start, end, func(key, value []byte) error {
		at, err := parseLoc(key)
		if err != nil {
			return err
		}
		item, err := decodeItem(at, slices.Clone(value))
		if err != nil {
			return err
		}
		w := Waiting{
			Queue: q.name, ID: at.id, Epoch: at.epoch, Attempts: item.attempts,
			Enqueued: time.UnixMilli(item.enqueued), Item: item.Item, at: at,
		}
		if at.due != 0 {
			w.State, w.Due = StateDelayed, time.UnixMilli(at.due)
		}
		page = append(page, w)
		if len(page) == limit {
			return errStop
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range page {
		if q.inflight[page[i].ID] != nil {
			page[i].State = StateLeased
		}
	}
	return page, nil
}

// Held says what the present barrier of a queue waits for.
type Held struct {
	// Barrier is the barrier that ends the open epoch, or nil if none has
	// been placed.
	Barrier *Barrier

	// Ready, Delayed and Leased count the unsettled items before it. If all
	// are zero the barrier has been released, and waits for acks.
	Ready, Delayed, Leased int64

	// Paused says that the queue is, so that its ready items stay.
	Paused bool

	// Sessions counts the consumers that have the released barrier and have
	// not acked it; Names lists the durable names that have not. If both are
	// empty and it has been released, it waits for a first consumer.
	Sessions int
	Names    []string

	// Oldest holds the oldest items of each state, ten at most of each.
	Oldest []Waiting
}

// Holding returns what holds the present barrier of a queue.
func (s *Store) Holding(ctx context.Context, queue string) (Held, error) {
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
	leased := int64(len(q.inflight))
	h := Held{
		Ready: q.live - q.delayed - leased, Delayed: q.delayed, Leased: leased,
		Paused: q.paused, Barrier: q.released,
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
		item, err := decodeItem(d.at(), d.ref.value)
		if err != nil {
			return h, err
		}
		h.Oldest = append(h.Oldest, Waiting{
			Queue: q.name, ID: d.ref.id, Epoch: open, State: StateLeased, Attempts: item.attempts,
			Enqueued: time.UnixMilli(item.enqueued), Item: item.Item, at: d.at(),
		})
	}
	for _, kind := range []byte{kindReady, kindDelayed} {
		prefix := appendEpoch(nil, kind, q.id, open)
		limit := holdingItems
		if kind == kindReady {
			limit += len(busy) // those are stored among the ready ones
		}
		page, err := q.browse(ctx, prefix, prefixEnd(prefix), limit)
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
