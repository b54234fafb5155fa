package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// Conserve grows known trees through several queues under workers that are
// slow, fail, panic and lose their leases, on a driver that takes its time. At
// the end each node has been acknowledged exactly once in each queue, or lies
// in the dead letters.
func Conserve(t *testing.T, h Harness, seeds int) {
	for seed := range seeds {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &env{TB: t, ctx: t.Context(), disk: h(t), opts: &queue.Options{GroupMemory: 4, ItemMemory: 512}, wrap: slow}
				e.open()
				defer e.s.Close()
				(&conservation{env: e, seed: uint64(seed), acked: make(map[string]int)}).run()
				e.end()
			})
		})
	}
}

var conserveQueues = []string{"c0", "c1", "c2"}

const (
	conserveRoots  = 4
	conserveDepth  = 3
	conserveFanout = 3
)

type conservation struct {
	*env
	seed uint64

	mu    sync.Mutex
	acked map[string]int // queue/node
}

// doomed nodes fail every time.
func doomed(node string) bool { return strings.HasSuffix(node, ".2.1") }

// expected returns the nodes of the tree below a root that are reached.
func expected(node string, fn func(node string)) {
	fn(node)
	if doomed(node) || strings.Count(node, ".") >= conserveDepth {
		return
	}
	for i := range conserveFanout {
		expected(fmt.Sprint(node, ".", i), fn)
	}
}

func (c *conservation) run() {
	for _, q := range conserveQueues {
		c.configure(q, queue.Config{
			MaxAttempts: 40, Backoff: queue.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond},
			Groups: queue.GroupPolicy{MaxInFlight: 2, MinDelay: time.Millisecond},
		})
	}
	c.commit(func(tx *queue.Tx) {
		for i := range conserveRoots {
			tx.Enqueue("c0", c.node(fmt.Sprint("r", i)))
		}
	})
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	var workers sync.WaitGroup
	for i := range 9 {
		rnd := rand.New(rand.NewPCG(c.seed, uint64(i)))
		workers.Go(func() { c.worker(ctx, conserveQueues[i%3], rnd) })
	}
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var left int64
		all, err := c.s.Stats(ctx)
		if err != nil {
			c.Error(err)
			break
		}
		for _, st := range all {
			left += st.Ready + st.Delayed + st.Leased
		}
		if left == 0 {
			break
		}
		if time.Since(start) > time.Hour {
			c.Errorf("%d items are left: %+v", left, all)
			break
		}
	}
	cancel()
	workers.Wait()
	c.audit()
}

func (c *conservation) node(node string) queue.Item {
	return queue.Item{Key: node, Body: []byte(node), Group: node[len(node)-1:], Priority: len(node) % 3}
}

// worker takes items until ctx ends, one session after another.
func (c *conservation) worker(ctx context.Context, q string, rnd *rand.Rand) {
	for ctx.Err() == nil {
		opts := &queue.SubscribeOptions{Prefetch: 1 + rnd.IntN(4)}
		if rnd.IntN(3) == 0 {
			opts.Lease = 20 * time.Millisecond
		}
		if rnd.IntN(4) == 0 {
			opts.Filter = &queue.Filter{Group: fmt.Sprint(rnd.IntN(3))}
		}
		if rnd.IntN(3) > 0 {
			opts.Affinity = time.Duration(1+rnd.IntN(20)) * time.Millisecond
		}
		sub, err := c.s.Subscribe(ctx, q, opts)
		if err != nil {
			if ctx.Err() == nil {
				c.Errorf("subscribe: %v", err)
			}
			return
		}
		err = c.session(ctx, sub, rnd)
		if err != nil && ctx.Err() == nil && !errors.Is(err, queue.ErrLeaseLost) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errPanic) {
			c.Errorf("session: %v", err)
			return
		}
		sub.Close()
	}
}

var errPanic = errors.New("the worker panicked")

func (c *conservation) session(ctx context.Context, sub *queue.Consumer, rnd *rand.Rand) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errPanic
		}
	}()
	for range 1 + rnd.IntN(10) {
		wait, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		ds, err := sub.Receive(wait, 1+rnd.IntN(4))
		cancel()
		if err != nil {
			return err
		}
		switch rnd.IntN(8) {
		case 0:
			time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond) // may lose its lease
		case 1:
			panic("worker")
		}
		var tx queue.Tx
		var done []string
		for _, d := range ds {
			node := string(d.Item.Body)
			switch {
			case doomed(node) || rnd.IntN(6) == 0:
				tx.Retry(d, errWork)
			case rnd.IntN(10) == 0:
				tx.Release(d)
			default:
				c.finish(&tx, d, node)
				done = append(done, d.Queue+"/"+node)
			}
		}
		if err := c.s.Commit(c.ctx, &tx); err != nil {
			return err
		}
		c.mu.Lock()
		for _, key := range done {
			c.acked[key]++
		}
		c.mu.Unlock()
	}
	return nil
}

// finish plans that a node is done in its queue.
func (c *conservation) finish(tx *queue.Tx, d *queue.Delivery, node string) {
	tx.Ack(d)
	if d.Queue == "c0" && strings.Count(node, ".") < conserveDepth {
		for i := range conserveFanout {
			tx.Enqueue("c0", c.node(fmt.Sprint(node, ".", i)))
		}
	}
	switch d.Queue {
	case "c0":
		tx.Enqueue("c1", c.node(node), c.node(node)) // the second is a duplicate
	case "c1":
		it := c.node(node)
		it.Delay = time.Duration(len(node)) * time.Millisecond
		tx.Enqueue("c2", it)
	}
}

func (c *conservation) audit() {
	n := 0
	for i := range conserveRoots {
		expected(fmt.Sprint("r", i), func(node string) {
			n++
			for _, q := range conserveQueues {
				want := 1
				if doomed(node) {
					want = 0
				}
				if got := c.acked[q+"/"+node]; got != want {
					c.Errorf("%s was acknowledged %d times in %s, want %d", node, got, q, want)
				}
				delete(c.acked, q+"/"+node)
			}
		})
	}
	for key := range c.acked {
		c.Errorf("%s was never enqueued", key)
	}
	for _, l := range c.dead("c0") {
		if !doomed(string(l.Item.Body)) {
			c.Errorf("%q is dead after %d attempts: %s", l.Item.Body, l.Attempts, l.Reason)
		}
		n--
	}
	if st := c.stats("c2"); st.Totals.Acked != int64(n) {
		c.Errorf("%d nodes came to the end, want %d", st.Totals.Acked, n)
	}
}
