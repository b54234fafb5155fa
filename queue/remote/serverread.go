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

// fill calls read for up to n things of a page until there are no more, which it reports,
// or the page is full: it has as many as it may, or as many bytes as an answer may. At
// first few are read, since all of them may be large. What is read counts for the call.
func (s *Server) fill(call *call, limit int, read func(n int) (got, bytes int, err error)) (end bool, err error) {
	size := 0
	for n := 4; limit > 0 && size < s.opts.MaxReply; {
		n = min(n, limit)
		got, bytes, err := read(n)
		if err == nil {
			err = call.use.take(bytes)
		}
		if err != nil {
			return false, err
		}
		if got < n {
			return true, nil
		}
		limit, size = limit-got, size+bytes
		if n = min(2*n, 512); 8*bytes > s.opts.MaxReply {
			n = 1
		}
	}
	return false, nil
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
	from := m.From
	reply.Found, err = s.fill(call, limit, func(n int) (got, bytes int, err error) {
		records, err := call.store.Scan(ctx, m.Table, from, m.To, n)
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
		return len(records), bytes, err
	})
	return reply, err
}

func (s *Server) stats(ctx context.Context, call *call, m *readRequest) (any, error) {
	if m.Queue == "" {
		all, err := call.store.Stats(ctx)
		if err != nil {
			return nil, err
		}
		return &readReply{Stats: all}, nil
	}
	st, err := call.store.QueueStats(ctx, m.Queue)
	if err != nil {
		return nil, err
	}
	return &readReply{Stats: []queue.QueueStats{st}}, nil
}

func (s *Server) config(ctx context.Context, call *call, m *readRequest) (any, error) {
	c, err := call.store.Config(ctx, m.Queue)
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
	reply := new(readReply)
	_, err = s.fill(call, limit, func(n int) (got, bytes int, err error) {
		all, err := call.store.Browse(ctx, m.Queue, after, n)
		for i := range all {
			reply.Waiting = append(reply.Waiting, toWaiting(&all[i], call.now, !call.binary))
			bytes += len(all[i].Item.Body)
			after = &all[i]
		}
		return len(all), bytes, err
	})
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
	reply := new(readReply)
	after := m.After
	_, err = s.fill(call, limit, func(n int) (got, bytes int, err error) {
		letters, err := call.store.DeadLetters(ctx, m.Queue, after, n)
		for i := range letters {
			reply.Dead = append(reply.Dead, toDead(&letters[i], call.now, !call.binary))
			bytes += len(letters[i].Item.Body) + len(letters[i].Stack)
			after = letters[i].ID
		}
		return len(letters), bytes, err
	})
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
func (s *Server) bounds(ctx context.Context, call *call, _ *readRequest) (any, error) {
	serial, err := call.store.TxSerial(ctx)
	if err != nil {
		return nil, err
	}
	return &openReply{
		Version: s.speaks.newest, Oldest: s.speaks.oldest, Program: s.opts.Program,
		MaxItem: call.store.MaxItem(), MaxTx: size(call.store.MaxTx()), Serial: serial,
	}, nil
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
