package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-301537d8/weir/queue"
)

// maxPage bounds what a page of anything has.
const maxPage = 10_000

// page returns how many a page may have, and refuses what is none.
func page(limit int) (int, error) {
	if limit <= 0 {
		return 0, fmt.Errorf("%w: limit %d", queue.ErrInvalid, limit)
	}
	return min(limit, maxPage), nil
}

func (s *Server) get(ctx context.Context, call *call, m *readRequest) (any, error) {
	value, err := call.store.Get(ctx, m.Table, m.Key)
	if errors.Is(err, queue.ErrNotFound) {
		return &readReply{}, nil
	}
	if err != nil {
		return nil, err
	}
	reply := &readReply{Found: true, Value: value}
	if !call.binary {
		if reply.Text = text(value); reply.Text != nil {
			reply.Value = nil
		}
	}
	return reply, nil
}

// scan returns a page of records. It ends early where an answer would be too large:
// the next begins behind its last key, as ever, so an end is known by an empty page.
func (s *Server) scan(ctx context.Context, call *call, m *readRequest) (any, error) {
	limit, err := page(m.Limit)
	if err != nil {
		return nil, err
	}
	reply := new(readReply)
	for from, bytes := m.From, 0; len(reply.Records) < limit && bytes < s.opts.MaxReply; {
		n := min(limit-len(reply.Records), 256)
		records, err := call.store.Scan(ctx, m.Table, from, m.To, n)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			rec := record{Key: r.Key, Value: r.Value}
			if !call.binary {
				if rec.Text = text(r.Value); rec.Text != nil {
					rec.Value = nil
				}
			}
			reply.Records = append(reply.Records, rec)
			bytes += len(r.Value)
			from = r.Key + "\x00"
		}
		if reply.Found = len(records) < n; reply.Found { // there are no more
			break
		}
	}
	return reply, nil
}

func (s *Server) stats(_ context.Context, call *call, m *readRequest) (any, error) {
	if m.Queue == "" {
		return &readReply{Stats: call.store.Stats()}, nil
	}
	st, err := call.store.QueueStats(m.Queue)
	if err != nil {
		return nil, err
	}
	return &readReply{Stats: []queue.QueueStats{st}}, nil
}

func (s *Server) config(_ context.Context, call *call, m *readRequest) (any, error) {
	c, err := call.store.Config(m.Queue)
	if err != nil {
		return nil, err
	}
	return &readReply{Config: &c}, nil
}

func (s *Server) group(ctx context.Context, call *call, m *readRequest) (any, error) {
	g, err := call.store.GroupSettings(ctx, m.Queue, m.Group)
	if err != nil {
		return nil, err
	}
	return &readReply{Group: toGroup(g, call.now)}, nil
}

func (s *Server) seen(ctx context.Context, call *call, m *readRequest) (any, error) {
	found, err := call.store.Seen(ctx, m.Queue, m.Key)
	return &readReply{Found: found}, err
}

func (s *Server) barriers(ctx context.Context, call *call, m *readRequest) (any, error) {
	all, err := call.store.Barriers(ctx, m.Queue)
	reply := new(readReply)
	for i := range all {
		reply.Barriers = append(reply.Barriers, *toBarrier(&all[i]))
	}
	return reply, err
}

func (s *Server) holding(ctx context.Context, call *call, m *readRequest) (any, error) {
	h, err := call.store.Holding(ctx, m.Queue)
	if err != nil {
		return nil, err
	}
	return &readReply{Held: toHeld(&h, call.now, !call.binary)}, nil
}

func (s *Server) browse(ctx context.Context, call *call, m *readRequest) (any, error) {
	limit, err := page(m.Limit)
	if err != nil {
		return nil, err
	}
	var after *queue.Waiting
	if m.Place != nil {
		w, err := queue.WaitingAt(m.Queue, m.Place, nil)
		if err != nil {
			return nil, err
		}
		after = &w
	}
	all, err := call.store.Browse(ctx, m.Queue, after, min(limit, 1000))
	reply := new(readReply)
	for i := range all {
		reply.Waiting = append(reply.Waiting, toWaiting(&all[i], call.now, !call.binary))
	}
	return reply, err
}

func (s *Server) find(ctx context.Context, call *call, m *readRequest) (any, error) {
	w, err := call.store.Find(ctx, m.Queue, m.Key)
	if err != nil {
		return nil, err
	}
	return &readReply{Found: true, Waiting: []waiting{toWaiting(&w, call.now, !call.binary)}}, nil
}

func (s *Server) dead(ctx context.Context, call *call, m *readRequest) (any, error) {
	limit, err := page(m.Limit)
	if err != nil {
		return nil, err
	}
	letters, err := call.store.DeadLetters(ctx, m.Queue, m.After, min(limit, 1000))
	reply := new(readReply)
	for i := range letters {
		reply.Dead = append(reply.Dead, toDead(&letters[i], call.now, !call.binary))
	}
	return reply, err
}

func (s *Server) deferrals(ctx context.Context, call *call, m *readRequest) (any, error) {
	limit, err := page(m.Limit)
	if err != nil {
		return nil, err
	}
	all, err := call.store.Deferrals(ctx, m.Queue, m.From, limit)
	return &readReply{Deferred: all}, err
}

func (s *Server) batches(ctx context.Context, call *call, m *readRequest) (any, error) {
	limit, err := page(m.Limit)
	if err != nil {
		return nil, err
	}
	all, err := call.store.Batches(ctx, m.Queue, m.From, limit)
	return &readReply{Batches: all}, err
}

func (s *Server) subscriptions(ctx context.Context, call *call, m *readRequest) (any, error) {
	names, err := call.store.Subscriptions(ctx, m.Queue)
	return &readReply{Names: names}, err
}

func (s *Server) listClients(context.Context, *call, *readRequest) (any, error) {
	return &readReply{Clients: s.Clients()}, nil
}

// bounds is for those who only read and do not open.
func (s *Server) bounds(_ context.Context, call *call, _ *readRequest) (any, error) {
	return &openReply{Version: Version, Program: s.opts.Program, MaxItem: call.store.MaxItem(), MaxTx: size(call.store.MaxTx())}, nil
}

func (s *Server) unsubscribe(ctx context.Context, call *call, m *readRequest) (any, error) {
	return s.again.once(ctx, m.ID, func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		return empty{}, call.store.Unsubscribe(ctx, m.Queue, m.Name)
	})
}

func (s *Server) purge(ctx context.Context, call *call, m *readRequest) (any, error) {
	return s.again.once(ctx, m.ID, func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		n, err := call.store.Purge(ctx, m.Queue)
		return &readReply{Count: n}, err
	})
}

func (s *Server) purgeDead(ctx context.Context, call *call, m *readRequest) (any, error) {
	return s.again.once(ctx, m.ID, func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		n, err := call.store.PurgeDead(ctx, m.Queue)
		return &readReply{Count: n}, err
	})
}

func (s *Server) check(ctx context.Context, call *call, _ *readRequest) (any, error) {
	return empty{}, call.store.Check(ctx)
}
