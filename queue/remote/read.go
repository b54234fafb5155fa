package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// read makes a call that reads, and names it in its error.
func (e *engine) read(ctx context.Context, name string, m readRequest) (*readReply, error) {
	reply := new(readReply)
	if err := e.call(ctx, name, &m, reply); err != nil {
		return nil, fmt.Errorf("%s %s%s: %w", name, m.Queue, m.Table, err)
	}
	return reply, nil
}

// incomplete is an answer without what was asked for.
func incomplete(name string) error {
	return fmt.Errorf("%w: the answer to %s is not one of a weir server", ErrProtocol, name)
}

// waitFor makes a call that waits, until it has what it was for.
func (e *engine) waitFor(ctx context.Context, name string, m readRequest) error {
	m.Wait = (10 * time.Second).Milliseconds()
	for {
		var reply readReply
		err := e.callFor(ctx, 10*time.Second+callTime, name, &m, &reply)
		if err != nil {
			return fmt.Errorf("%s %s: %w", name, m.Queue, err)
		}
		if reply.Found {
			return nil
		}
	}
}

func (e *engine) Get(ctx context.Context, table, key string) ([]byte, error) {
	reply, err := e.read(ctx, "get", readRequest{Table: table, Key: key})
	if err == nil && !reply.Found {
		err = fmt.Errorf("get %s/%s: %w", table, key, queue.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	if reply.Value == nil {
		reply.Value = either([]byte{}, reply.Text)
	}
	return reply.Value, nil
}

func (e *engine) Scan(ctx context.Context, table, from, to string, limit int) ([]queue.Record, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("scan %s: %w: limit %d", table, queue.ErrInvalid, limit)
	}
	var records []queue.Record
	for len(records) < limit {
		reply, err := e.read(ctx, "scan", readRequest{Table: table, From: from, To: to, Limit: limit - len(records)})
		if err != nil {
			return nil, err
		}
		for _, r := range reply.Records {
			value := either(r.Value, r.Text)
			if value == nil {
				value = []byte{}
			}
			records = append(records, queue.Record{Key: r.Key, Value: value})
			from = r.Key + "\x00"
		}
		if reply.Found || len(reply.Records) == 0 {
			break
		}
	}
	return records, nil
}

func (e *engine) Unsubscribe(ctx context.Context, name, durable string) error {
	_, err := e.read(ctx, "unsubscribe", readRequest{Queue: name, Name: durable, ID: newID()})
	return err
}

func (e *engine) Subscriptions(ctx context.Context, name string) ([]string, error) {
	reply, err := e.read(ctx, "subscriptions", readRequest{Queue: name})
	if err != nil {
		return nil, err
	}
	return reply.Names, nil
}

func (e *engine) WaitBarrier(ctx context.Context, id queue.BarrierID) error {
	return e.waitFor(ctx, "wait_barrier", readRequest{Queue: id.Queue, Epoch: id.Epoch})
}

func (e *engine) Barriers(ctx context.Context, name string) ([]queue.Barrier, error) {
	reply, err := e.read(ctx, "barriers", readRequest{Queue: name})
	if err != nil {
		return nil, err
	}
	var all []queue.Barrier
	for i := range reply.Barriers {
		all = append(all, *reply.Barriers[i].barrier())
	}
	return all, nil
}

func (e *engine) Holding(ctx context.Context, name string) (queue.Held, error) {
	reply, err := e.read(ctx, "holding", readRequest{Queue: name})
	if err != nil {
		return queue.Held{}, err
	}
	if reply.Held == nil {
		return queue.Held{}, incomplete("holding")
	}
	return reply.Held.held(name, time.Now())
}

func (e *engine) Browse(ctx context.Context, name string, after *queue.Waiting, limit int) ([]queue.Waiting, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("browse %s: %w: limit %d", name, queue.ErrInvalid, limit)
	}
	var all []queue.Waiting
	for len(all) < limit {
		m := readRequest{Queue: name, Limit: limit - len(all)}
		if after != nil {
			m.Place = after.Place()
		}
		reply, err := e.read(ctx, "browse", m)
		if err != nil {
			return nil, err
		}
		if len(reply.Waiting) == 0 {
			break
		}
		for i := range reply.Waiting {
			w, err := reply.Waiting[i].waiting(name, time.Now())
			if err != nil {
				return nil, err
			}
			all = append(all, w)
		}
		after = &all[len(all)-1]
	}
	return all, nil
}

func (e *engine) Find(ctx context.Context, name, key string) (queue.Waiting, error) {
	reply, err := e.read(ctx, "find", readRequest{Queue: name, Key: key})
	if err != nil {
		return queue.Waiting{}, err
	}
	if len(reply.Waiting) != 1 {
		return queue.Waiting{}, fmt.Errorf("find %s in %s: %w: %d answers", key, name, ErrProtocol, len(reply.Waiting))
	}
	return reply.Waiting[0].waiting(name, time.Now())
}

func (e *engine) Seen(ctx context.Context, name, key string) (bool, error) {
	reply, err := e.read(ctx, "seen", readRequest{Queue: name, Key: key})
	return err == nil && reply.Found, err
}

func (e *engine) DeadLetters(ctx context.Context, name string, after uint64, limit int) ([]queue.DeadLetter, error) {
	if limit <= 0 {
		return nil, fmt.Errorf("dead letters of %s: %w: limit %d", name, queue.ErrInvalid, limit)
	}
	var all []queue.DeadLetter
	for len(all) < limit {
		reply, err := e.read(ctx, "dead", readRequest{Queue: name, After: after, Limit: limit - len(all)})
		if err != nil {
			return nil, err
		}
		if len(reply.Dead) == 0 {
			break
		}
		for i := range reply.Dead {
			all = append(all, reply.Dead[i].letter(name, time.Now()))
			after = reply.Dead[i].ID
		}
	}
	return all, nil
}

func (e *engine) Deferrals(ctx context.Context, name, after string, limit int) ([]queue.Deferral, error) {
	reply, err := e.read(ctx, "deferrals", readRequest{Queue: name, From: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	return reply.Deferred, nil
}

func (e *engine) Batches(ctx context.Context, name, from string, limit int) ([]queue.Batch, error) {
	reply, err := e.read(ctx, "batches", readRequest{Queue: name, From: from, Limit: limit})
	if err != nil {
		return nil, err
	}
	return reply.Batches, nil
}

func (e *engine) Stats(ctx context.Context) ([]queue.QueueStats, error) {
	reply, err := e.read(ctx, "stats", readRequest{})
	if err != nil {
		return nil, err
	}
	return reply.Stats, nil
}

func (e *engine) QueueStats(ctx context.Context, name string) (queue.QueueStats, error) {
	reply, err := e.read(ctx, "stats", readRequest{Queue: name})
	if err != nil {
		return queue.QueueStats{}, err
	}
	if len(reply.Stats) != 1 {
		return queue.QueueStats{}, fmt.Errorf("stats: %w %q", queue.ErrUnknownQueue, name)
	}
	return reply.Stats[0], nil
}

func (e *engine) Config(ctx context.Context, name string) (queue.Config, error) {
	reply, err := e.read(ctx, "config", readRequest{Queue: name})
	if err != nil {
		return queue.Config{}, err
	}
	if reply.Config == nil {
		return queue.Config{}, incomplete("config")
	}
	return *reply.Config, nil
}

func (e *engine) GroupSettings(ctx context.Context, name, group string) (queue.GroupSettings, error) {
	reply, err := e.read(ctx, "group", readRequest{Queue: name, Group: group})
	if err != nil {
		return queue.GroupSettings{}, err
	}
	return reply.Group.settings(time.Now()), nil
}

func (e *engine) Drain(ctx context.Context, name string) error {
	return e.waitFor(ctx, "drain", readRequest{Queue: name})
}

func (e *engine) DrainGroup(ctx context.Context, name, group string) error {
	if group == "" {
		return fmt.Errorf("drain group of %s: %w: group name is empty", name, queue.ErrInvalid)
	}
	return e.waitFor(ctx, "drain", readRequest{Queue: name, Group: group})
}

// longCall bounds an attempt at a call that does much.
const longCall = time.Hour

func (e *engine) Purge(ctx context.Context, name string) (int, error) {
	var reply readReply
	if err := e.callFor(ctx, longCall, "purge", &readRequest{Queue: name, ID: newID()}, &reply); err != nil {
		return 0, fmt.Errorf("purge %s: %w", name, err)
	}
	return reply.Count, nil
}

func (e *engine) PurgeDead(ctx context.Context, name string) (int, error) {
	var reply readReply
	if err := e.callFor(ctx, longCall, "purge_dead", &readRequest{Queue: name, ID: newID()}, &reply); err != nil {
		return 0, fmt.Errorf("purge dead letters of %s: %w", name, err)
	}
	return reply.Count, nil
}

func (e *engine) MaxItem() int { return e.maxItem }

func (e *engine) MaxTx() queue.Size { return e.maxTx }

func (e *engine) Size(ctx context.Context, tx *queue.Tx) (queue.Size, error) {
	p, err := e.pack(tx)
	if err != nil {
		return queue.Size{}, fmt.Errorf("size: %w", err)
	}
	reply, err := e.read(ctx, "size", readRequest{Tx: &p.t, Client: p.client})
	if err != nil {
		return queue.Size{}, err
	}
	if reply.Size == nil {
		return queue.Size{}, incomplete("size")
	}
	return queue.Size(*reply.Size), nil
}

func (e *engine) Check(ctx context.Context) error {
	if err := e.callFor(ctx, longCall, "check", &readRequest{}, &empty{}); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}
