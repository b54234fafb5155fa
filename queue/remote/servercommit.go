package remote

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// maxTransactions bounds those of one call.
const maxTransactions = 1024

// commit commits transactions, all at the same time, so that they share a batch.
func (s *Server) commit(ctx context.Context, call *call, m *commitRequest) (any, error) {
	if len(m.Transactions) > maxTransactions {
		return nil, fmt.Errorf("%w: %d transactions in a call, the limit is %d", queue.ErrTooLarge, len(m.Transactions), maxTransactions)
	}
	var c *client
	if m.Client != "" {
		var err error
		c, err = s.client(ctx, call, m.Client)
		if err != nil && !errors.Is(err, errUnknownClient) {
			return nil, err // later, or elsewhere
		} // without a client all that it held is lost
	}
	// What has come whole is done, also if the client has gone meanwhile.
	ctx = context.WithoutCancel(ctx)
	reply := commitReply{Outcomes: make([]outcome, len(m.Transactions))}
	var group sync.WaitGroup
	for i := range m.Transactions {
		t, o := &m.Transactions[i], &reply.Outcomes[i]
		tx, numbers, err := t.tx(ctx, call, c) // here: it takes much of a stack, and no time
		commit := func() {
			result, held, err := s.commitOne(ctx, call, c, t, tx, numbers, err)
			if err != nil {
				o.Error, _ = problemOf(err)
				return
			}
			o.Result, o.Held = toResult(result), held
		}
		if i == len(m.Transactions)-1 {
			commit()
		} else {
			group.Go(commit)
		}
	}
	group.Wait()
	if serial, err := call.store.TxSerial(ctx); err == nil {
		reply.Serial = serial
	}
	return &reply, nil
}

// commitOne commits tx, which t has become unless that was unsound.
func (s *Server) commitOne(ctx context.Context, call *call, c *client, t *transaction, tx *queue.Tx, numbers []uint64, unsound error) (r queue.Result, held bool, err error) {
	err = unsound
	if errors.Is(err, queue.ErrLeaseLost) || errors.Is(err, queue.ErrSettled) || errors.Is(err, queue.ErrNotDirect) {
		// It may be that this is what the transaction itself has done, or that it was before.
		if t.ID == "" {
			return r, false, err
		}
		result, unknown := call.store.Outcome(ctx, t.ID)
		if errors.Is(unknown, queue.ErrNotFound) {
			return r, false, err
		}
		return result, false, unknown
	}
	if err != nil {
		return r, false, err
	}
	if err := call.store.Commit(ctx, tx); err != nil {
		return r, false, err
	}
	if c != nil {
		held = c.settled(numbers)
	}
	return tx.Result(), held, nil
}

// tx builds the transaction, and returns the numbers of the deliveries that it settles.
func (t *transaction) tx(ctx context.Context, call *call, c *client) (*queue.Tx, []uint64, error) {
	tx := &queue.Tx{ID: t.ID, Since: t.Since}
	var numbers []uint64
	find := func(m *change) (*queue.Delivery, error) {
		if m.Direct != nil {
			return direct(ctx, call, m)
		}
		if c == nil {
			return nil, fmt.Errorf("%w: delivery %d: %w", queue.ErrLeaseLost, m.Delivery, errUnknownClient)
		}
		numbers = append(numbers, m.Delivery)
		return c.delivery(m.Delivery)
	}
	n := t.len()
	tx.Grow(n)
	items := itemSpace{left: n}
	err := t.each(func(m *change) error {
		if need := m.needs(); call.role < need {
			return fmt.Errorf("%w: %v needs the role %s, the token has %s", ErrForbidden, m.Kind, need, call.role)
		}
		items.left--
		return m.add(tx, &items, call.now, find)
	})
	if err != nil {
		return nil, nil, err
	}
	return tx, numbers, nil
}

// itemSpace is room for the items of a transaction, which are allocated together.
type itemSpace struct {
	space []queue.Item
	left  int // changes that are to come
}

// with returns an item, alone, in that space.
func (s *itemSpace) with(it queue.Item) []queue.Item {
	if len(s.space) == cap(s.space) {
		s.space = make([]queue.Item, 0, s.left+1)
	}
	s.space = append(s.space, it)
	return s.space[len(s.space)-1:]
}

// direct makes a delivery of an item that is not enqueued yet.
func direct(ctx context.Context, call *call, m *change) (*queue.Delivery, error) {
	d, ok := call.store.Direct(ctx, m.Direct.Queue, math.MaxInt)
	if !ok || d.Epoch != m.Direct.Epoch {
		return nil, fmt.Errorf("%w: %s", queue.ErrNotDirect, m.Direct.Queue)
	}
	if m.Item != nil {
		d.Item = m.Item.item(call.now)
	}
	return d, nil
}

func (s *Server) readOutcome(ctx context.Context, call *call, m *readRequest) (any, error) {
	r, err := call.store.Outcome(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	return &readReply{Found: true, Result: toResult(r)}, nil
}

func (s *Server) states(ctx context.Context, call *call, m *statesRequest) (any, error) {
	reply := statesReply{Queues: make([]stateReply, len(m.Queues))}
	for i, q := range m.Queues {
		d, ok := call.store.Direct(ctx, q.Queue, q.Backlog)
		if reply.Queues[i] = (stateReply{Full: call.store.Full(ctx, q.Queue), Direct: ok}); ok {
			reply.Queues[i].Epoch = d.Epoch
		}
	}
	return &reply, nil
}

func (s *Server) size(ctx context.Context, call *call, m *readRequest) (any, error) {
	if m.Tx == nil {
		return nil, fmt.Errorf("%w: no transaction", queue.ErrInvalid)
	}
	// The size does not depend on what is settled but for its kind.
	var c *client
	if m.Client != "" {
		var err error
		if c, err = s.client(ctx, call, m.Client); err != nil {
			return nil, err
		}
	}
	tx, _, err := m.Tx.tx(ctx, call, c)
	if err != nil {
		return nil, err
	}
	z, err := call.store.Size(ctx, tx)
	if err != nil {
		return nil, err
	}
	return &readReply{Size: (*size)(&z)}, nil
}

// waited reports whether a wait is over without what it was for.
func waited(err error) bool {
	return errors.Is(err, errWaited) || errors.Is(err, context.DeadlineExceeded)
}

func (s *Server) waitBarrier(ctx context.Context, call *call, m *readRequest) (any, error) {
	ctx, cancel := s.wait(ctx, m.Wait, maxWait)
	defer cancel()
	err := call.store.WaitBarrier(ctx, queue.BarrierID{Queue: m.Queue, Epoch: m.Epoch})
	return &readReply{Found: err == nil}, unlessWaited(err)
}

func (s *Server) waitSpace(ctx context.Context, call *call, m *readRequest) (any, error) {
	ctx, cancel := s.wait(ctx, m.Wait, maxWait)
	defer cancel()
	err := call.store.WaitSpace(ctx, m.Queue)
	return &readReply{Found: err == nil}, unlessWaited(err)
}

func (s *Server) drain(ctx context.Context, call *call, m *readRequest) (any, error) {
	ctx, cancel := s.wait(ctx, max(m.Wait, time.Second.Milliseconds()), maxWait)
	defer cancel()
	var err error
	if m.Group == "" {
		err = call.store.Drain(ctx, m.Queue)
	} else {
		err = call.store.DrainGroup(ctx, m.Queue, m.Group)
	}
	return &readReply{Found: err == nil}, unlessWaited(err)
}

func unlessWaited(err error) error {
	if waited(err) {
		return nil
	}
	return err
}
