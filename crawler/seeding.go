package crawler

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// The scope of a crawl is made of all its seeds, so workers begin when all are there. A
// process that adds seeds holds a mark meanwhile, an item of a queue, and workers wait
// while there is any:
//
//   - Each process has a mark of its own, which goes when it has added its seeds.
//   - The mark of one that dies stays, and nobody has it. It goes with that of the next
//     process that has added its seeds: it may be the same one, begun again.
const seedingQueue = "weir/seeding"

// seedingPause is how long a mark is waited for that another process may have taken away.
const seedingPause = time.Second

// seeding is the mark of this process. The zero value has none.
type seeding struct {
	mu       sync.Mutex
	consumer *queue.Consumer // nil without a mark
	mark     *queue.Delivery
}

// begin takes a mark, unless there is one.
func (s *seeding) begin(ctx context.Context, store *queue.Store) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer != nil {
		return nil
	}
	var tx queue.Tx
	tx.Configure(seedingQueue, queue.Config{MaxAttempts: -1, MaxDeaths: -1})
	if err := store.Commit(ctx, &tx); err != nil {
		return err
	}
	c, err := store.Subscribe(ctx, seedingQueue, &queue.SubscribeOptions{Barriers: queue.NoBarriers, Prefetch: 1})
	if err != nil {
		return err
	}
	for {
		tx.Reset()
		tx.Enqueue(seedingQueue, queue.Item{})
		if err = store.Commit(ctx, &tx); err != nil {
			break
		}
		wait, cancel := context.WithTimeout(ctx, seedingPause)
		var ds []*queue.Delivery
		ds, err = c.Receive(wait, 1)
		cancel()
		if err == nil {
			s.consumer, s.mark = c, ds[0]
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			break
		}
		// Whoever was done just now has taken it for that of a dead process.
	}
	return errors.Join(err, c.Close())
}

// end takes the mark away, with those that nobody has.
func (s *seeding) end(ctx context.Context, store *queue.Store) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.consumer == nil {
		return nil
	}
	waiting, err := store.Browse(ctx, seedingQueue, nil, movedAtOnce)
	if err != nil {
		return err
	}
	var tx queue.Tx
	tx.Ack(s.mark)
	tx.Remove(waiting...)
	err = commit(ctx, store, &tx)
	if errors.Is(err, queue.ErrLeaseLost) { // the store was away, and it is as if it had died
		tx.Reset()
		tx.Remove(waiting...)
		err = commit(ctx, store, &tx)
	}
	return errors.Join(err, s.closeLocked())
}

// close leaves the mark as that of a process that has died.
func (s *seeding) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked()
}

func (s *seeding) closeLocked() error {
	c := s.consumer
	s.consumer, s.mark = nil, nil
	if c == nil {
		return nil
	}
	return c.Close()
}

// seedsAreAdded reports whether some process has a mark, or has died with one.
func seedsAreAdded(ctx context.Context, store *queue.Store) (bool, error) {
	st, err := store.QueueStats(ctx, seedingQueue)
	if errors.Is(err, queue.ErrUnknownQueue) {
		return false, nil
	}
	return st.Ready+st.Delayed+st.Leased+st.Later > 0, err
}
