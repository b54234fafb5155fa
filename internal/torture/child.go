package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// The child works through trees. Root n has the key "n"; an item's key says
// which children it has. Whoever handles an item enqueues them, records the item
// as done and counts it, in the transaction that acknowledges it. So from the
// keys alone follows what must be in the store:
//
//   - An item is done or waits, and never both. All children of those that are
//     done are there, and no others.
//   - What was said to be done is done, and is never delivered again.
//   - The counter says how many are done.
//   - When the barrier behind a number of roots is delivered, these are done.
//   - A number of roots, with all below them, are a batch. Its completion comes once,
//     when all of it is done.
//   - Roots are planted in transactions that have ids, and each but the first is
//     committed again.
//
// It says "D key" before it works on an item, "A key" when it is settled, and
// "! …" when a promise is broken.

const (
	queueName = "work"
	doneTable = "done"
	endedName = "ended" // completions of batches, and those that were received
	rootsEach = 20      // between two barriers, and in a batch
)

type childOptions struct {
	seed uint64
	fill bool
	step bool
}

func storeOptions() *badgerqueue.Options {
	return &badgerqueue.Options{MemTable: 20 << 20, Queue: queue.Options{MinFree: 48 << 20}}
}

// childrenOf returns the keys of an item's children.
func childrenOf(key string) (keys []string) {
	h := fnv.New64a()
	h.Write([]byte(key))
	depth := strings.Count(key, "/")
	for i := range h.Sum64() >> 7 % uint64(6-depth) {
		keys = append(keys, fmt.Sprint(key, "/", i))
	}
	return keys
}

// recordOf returns what is recorded for an item. Some are as large as to be
// kept in pieces.
func recordOf(key string) []byte {
	h := fnv.New64a()
	h.Write([]byte(key))
	n := 100
	if h.Sum64()%61 == 0 {
		n = 1<<20 + 1000
	}
	return bytes.Repeat([]byte(key+";"), n/(len(key)+1)+1)
}

// worker is the state of a child.
type worker struct {
	ctx context.Context
	s   *queue.Store
	childOptions
	mu sync.Mutex // held while something is said
}

func (w *worker) say(lines ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	os.Stdout.WriteString(strings.Join(lines, "\n") + "\n") // one system call
}

func child(dir string, o childOptions) error {
	s, err := badgerqueue.Open(dir, storeOptions())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	w := &worker{ctx: ctx, s: s, childOptions: o}
	var tx queue.Tx
	tx.Configure(queueName, queue.Config{MaxAttempts: -1, Backoff: queue.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}})
	if err := s.Commit(ctx, &tx); err != nil && !errors.Is(err, queue.ErrDiskFull) {
		return err
	}
	w.say("open")
	var wg sync.WaitGroup
	start := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				cancel(err)
			}
		})
	}
	start(w.produce)
	start(w.generations)
	start(w.batches)
	for i := range 4 {
		start(func() error { return w.consume(rand.New(rand.NewPCG(o.seed, uint64(i)))) })
	}
	if o.step {
		start(w.stepClock)
	}
	wg.Wait()
	return errors.Join(context.Cause(ctx), s.Close())
}

// produce adds roots while few items wait.
func (w *worker) produce() error {
	for range time.Tick(5 * time.Millisecond) {
		stats, err := w.s.QueueStats(w.ctx, queueName)
		if w.ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if stats.Ready+stats.Later > 400 && !w.fill {
			continue
		}
		value, err := w.s.Get(w.ctx, "counters", "roots")
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		n, _ := queue.ParseCounter(value)
		if err := w.repeat(n - rootsEach); err != nil {
			return w.ended(err)
		}
		tx := queue.Tx{ID: plantID(n)}
		for i := range int64(rootsEach) {
			tx.Enqueue(queueName, itemOf(fmt.Sprint(n+i)))
		}
		tx.Barrier(queueName, fmt.Append(nil, n+rootsEach))
		tx.CloseBatch(queueName, batchOf(fmt.Sprint(n)), endedName, queue.Item{})
		tx.Add("counters", "roots", rootsEach)
		if w.fill {
			tx.Put("ballast", fmt.Sprint(n), make([]byte, 1<<20))
		}
		switch err := w.s.Commit(w.ctx, &tx); {
		case errors.Is(err, queue.ErrDiskFull):
			w.say("full")
		case err != nil && !errors.Is(err, queue.ErrTooManyBarriers):
			return err
		}
	}
	return nil
}

func plantID(n int64) string { return fmt.Sprint("roots ", n) }

// repeat commits the transaction that has planted roots from n on once more.
func (w *worker) repeat(n int64) error {
	if n < 0 {
		return nil
	}
	tx := queue.Tx{ID: plantID(n)}
	tx.Add("counters", "roots", 1<<40)
	err := w.s.Commit(w.ctx, &tx)
	if r := tx.Result(); err == nil && (r.Enqueued != rootsEach || len(r.Barriers) != 1) {
		err = fmt.Errorf("the transaction %q, when repeated, has done %+v", tx.ID, r)
	}
	return err
}

func itemOf(key string) queue.Item {
	root, _, _ := strings.Cut(key, "/")
	return queue.Item{Key: key, Group: root[len(root)-1:], Batch: batchOf(key), Body: bytes.Repeat([]byte(key), 20)}
}

// batchOf returns the batch of an item: that of the roots that were planted with its own.
func batchOf(key string) string {
	root, _, _ := strings.Cut(key, "/")
	n, _ := strconv.Atoi(root)
	return fmt.Sprintf("%08d", n/rootsEach)
}

// batchRoots returns the roots of a batch.
func batchRoots(batch string) (keys []string) {
	n, _ := strconv.Atoi(batch)
	for i := range rootsEach {
		keys = append(keys, fmt.Sprint(n*rootsEach+i))
	}
	return keys
}

// batches receives the completions of batches.
func (w *worker) batches() error {
	c, err := w.s.Subscribe(w.ctx, endedName, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		ds, err := c.Receive(w.ctx, 1)
		if err != nil {
			return w.ended(err)
		}
		b, _, ok := queue.Complete(&ds[0].Item)
		if !ok || b.Totals.Enqueued != b.Totals.Acked {
			return fmt.Errorf("a batch has ended with %+v", ds[0].Item)
		}
		for _, root := range batchRoots(b.Name) {
			if err := w.allDone(root); err != nil {
				return w.ended(fmt.Errorf("batch %s has ended: %w", b.Name, err))
			}
		}
		var tx queue.Tx
		tx.Ack(ds...)
		tx.Add(endedName, b.Name, 1)
		if err := w.persist(&tx); err != nil {
			return w.ended(err)
		}
	}
}

// allDone returns an error if an item, or one below it, is not done.
func (w *worker) allDone(key string) error {
	if _, err := w.s.Get(w.ctx, doneTable, key); err != nil {
		return fmt.Errorf("%s is not done: %w", key, err)
	}
	for _, child := range childrenOf(key) {
		if err := w.allDone(child); err != nil {
			return err
		}
	}
	return nil
}

// persist commits a transaction, when there is space for it.
func (w *worker) persist(tx *queue.Tx) error {
	for {
		err := w.s.Commit(w.ctx, tx)
		if !errors.Is(err, queue.ErrDiskFull) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// generations receives the barriers.
func (w *worker) generations() error {
	c, err := w.s.Subscribe(w.ctx, queueName, &queue.SubscribeOptions{Durable: "generations", Barriers: queue.OnlyBarriers})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		ds, err := c.Receive(w.ctx, 1)
		if err != nil {
			return w.ended(err)
		}
		var roots int
		if _, err := fmt.Sscan(string(ds[0].Barrier.Body), &roots); err != nil {
			return err
		}
		for i := max(0, roots-rootsEach); i < roots; i++ {
			if _, err := w.s.Get(w.ctx, doneTable, fmt.Sprint(i)); err != nil {
				return w.ended(fmt.Errorf("barrier behind %d roots: root %d is not done: %w", roots, i, err))
			}
		}
		var tx queue.Tx
		tx.Ack(ds...)
		tx.Put("generations", fmt.Sprintf("%08d", roots/rootsEach), nil)
		if err := w.persist(&tx); err != nil {
			return w.ended(err)
		}
	}
}

// ended returns nil for what comes of another's failure.
func (w *worker) ended(err error) error {
	if w.ctx.Err() != nil {
		return nil
	}
	return err
}

// consume works on items in sessions that end at random.
func (w *worker) consume(rng *rand.Rand) error {
	for w.ctx.Err() == nil {
		c, err := w.s.Subscribe(w.ctx, queueName, &queue.SubscribeOptions{Barriers: queue.NoBarriers})
		if err != nil {
			return w.ended(err)
		}
		for range 1 + rng.IntN(50) {
			ds, err := c.Receive(w.ctx, 1+rng.IntN(8))
			if err != nil {
				return w.ended(err)
			}
			if err := w.handle(ds, rng); err != nil {
				return w.ended(err)
			}
		}
		lost, err := c.Receive(w.ctx, 1)
		if err != nil {
			return w.ended(err)
		}
		if err := c.Close(); err != nil {
			return w.ended(err)
		}
		var tx queue.Tx
		tx.Ack(lost...)
		if err := w.s.Commit(w.ctx, &tx); !errors.Is(err, queue.ErrLeaseLost) && !errors.Is(err, queue.ErrDiskFull) && w.ctx.Err() == nil {
			return fmt.Errorf("ack after the session's end: %v, want ErrLeaseLost", err)
		}
	}
	return nil
}

func (w *worker) handle(ds []*queue.Delivery, rng *rand.Rand) error {
	var tx, giveBack queue.Tx
	var delivered, settled []string
	for _, d := range ds {
		delivered = append(delivered, "D "+d.Item.Key)
	}
	w.say(delivered...)
	for _, d := range ds {
		giveBack.Release(d)
		switch rng.IntN(20) {
		case 0:
			tx.Release(d)
			continue
		case 1:
			tx.Retry(d, errors.New("again"))
			continue
		}
		tx.Ack(d)
		tx.Put(doneTable, d.Item.Key, recordOf(d.Item.Key))
		tx.Add("counters", "done", 1)
		for _, key := range childrenOf(d.Item.Key) {
			tx.Enqueue(queueName, itemOf(key))
		}
		settled = append(settled, "A "+d.Item.Key)
	}
	err := w.s.Commit(w.ctx, &tx)
	switch {
	case errors.Is(err, queue.ErrDiskFull), errors.Is(err, queue.ErrTooLarge):
		time.Sleep(5 * time.Millisecond)
		return w.s.Commit(w.ctx, &giveBack)
	case err != nil:
		return err
	}
	if len(settled) > 0 {
		w.say(settled...)
	}
	return nil
}
