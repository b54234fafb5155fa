package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// affine are the options of a consumer whose groups wait a minute for it.
var affine = &queue.SubscribeOptions{Affinity: time.Minute}

// affinityPromises are about groups that keep to their consumers.
var affinityPromises = []promise{
	{name: "a group keeps to the consumer that had its last delivery", check: func(e *env) {
		a, b, other := e.subscribe("q", affine), e.subscribe("q", affine), e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "g0"); grouped(tx, "q", "h", "h0") })
		e.wants("a", bodies(e.receive(a, 1)), "g0")
		e.wants("b", bodies(e.receive(b, 1)), "h0")
		for i := range 3 {
			e.commit(func(tx *queue.Tx) {
				grouped(tx, "q", "g", fmt.Sprint("g", i+1))
				grouped(tx, "q", "h", fmt.Sprint("h", i+1))
				tx.Enqueue("q", item("free"))
			})
			e.wants("the free one", bodies(e.now(other, 10)), "free")
			e.none(other, "the others are kept")
			e.pass(30 * time.Second)
			e.wants("b", e.drain(b), fmt.Sprint("h", i+1))
			e.wants("a", e.drain(a), fmt.Sprint("g", i+1))
			e.pass(time.Hour) // nothing waits
		}
	}},
	{name: "an item of a group wakes the group's consumer, however many wait before it", check: func(e *env) {
		a, others := e.subscribe("q", affine), make([]*queue.Consumer, 3)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "g0") })
		e.ack(e.receive(a, 1)...)
		ctx, cancel := context.WithCancel(e.ctx)
		var rest sync.WaitGroup
		for i := range others {
			others[i] = e.subscribe("q", affine)
			rest.Go(func() {
				if ds, err := others[i].Receive(ctx, 1); !errors.Is(err, context.Canceled) {
					e.Errorf("received %q, %v", bodies(ds), err)
				}
			})
			synctest.Wait()
		}
		got := make(chan []*queue.Delivery)
		go func() {
			ds, err := a.Receive(e.ctx, 1)
			if err != nil {
				e.Error(err)
			}
			got <- ds
		}()
		synctest.Wait()
		began := time.Now()
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "g1") })
		e.wants("received", bodies(<-got), "g1")
		if waited := time.Since(began); waited > time.Second {
			e.Errorf("it was received after %v", waited)
		}
		cancel()
		rest.Wait()
	}},
	{name: "a group whose consumer does not come goes to another after the time of Affinity", check: func(e *env) {
		a, b := e.subscribe("q", affine), e.subscribe("q", affine)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "g0") })
		e.ack(e.receive(a, 1)...)
		e.commit(func(tx *queue.Tx) {
			grouped(tx, "q", "g", "g1", "g2")
			tx.Enqueue("q", queue.Item{Body: []byte("high"), Group: "g", Priority: 1})
		})
		began := time.Now()
		e.wants("received", bodies(e.receive(b, 1)), "high")
		if waited := time.Since(began); waited < time.Minute || waited > 61*time.Second {
			e.Errorf("the other had it after %v, want a minute", waited)
		}
		e.none(a, "the group is the other's now")
		e.wants("the rest", e.drain(b), "g1", "g2")
	}},
	{name: "the groups of a consumer that ends are free at once", check: func(e *env) {
		leased := &queue.SubscribeOptions{Affinity: 24 * time.Hour, Lease: time.Minute}
		for _, end := range []func(c *queue.Consumer){
			func(c *queue.Consumer) { e.must(c.Close()) },
			func(c *queue.Consumer) { e.pass(2 * time.Minute) },
		} {
			a := e.subscribe("q", leased)
			e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "0") })
			e.ack(e.receive(a, 1)...)
			e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "1") })
			b := e.subscribe("q", affine)
			e.none(b, "it is kept")
			got := make(chan []*queue.Delivery)
			go func() {
				ds, err := b.Receive(e.ctx, 1)
				if err != nil {
					e.Error(err)
				}
				got <- ds
			}()
			synctest.Wait()
			end(a)
			synctest.Wait()
			select {
			case ds := <-got:
				e.wants("received", bodies(ds), "1")
				e.ack(ds...)
			default:
				e.Fatal("nothing was received when the group's consumer had ended")
			}
			e.must(b.Close())
		}
	}},
	{name: "an owner is remembered while its group has nothing, and through a barrier", check: func(e *env) {
		a, b := e.subscribe("q", affine), e.subscribe("q", &queue.SubscribeOptions{Barriers: queue.NoBarriers, Affinity: time.Hour})
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "0") })
		e.ack(e.receive(a, 1)...)
		e.barrier("q", "b")
		e.ack(e.tell(a))
		e.pass(time.Hour)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "1") })
		e.none(b, "it is kept")
		e.wants("a", e.drain(a), "1")
	}},
	{name: "filters and affinity go together", check: func(e *env) {
		filtered := &queue.SubscribeOptions{Affinity: time.Minute, Filter: &queue.Filter{Group: "g"}}
		a, b := e.subscribe("q", filtered), e.subscribe("q", filtered)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "0"); grouped(tx, "q", "h", "other") })
		e.ack(e.receive(a, 1)...)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "1") })
		e.none(b, "it is kept")
		e.wants("a", e.drain(a), "1")
	}},
	{name: "with consumers that come, go and stall each item comes once, and a group changes hands for a reason", check: func(e *env) {
		for seed := range uint64(4) {
			affinityHistory(e, fmt.Sprint("q", seed), rand.New(rand.NewPCG(seed, 22)))
		}
	}},
}

// affinityHistory has a few consumers work through the items of some groups, one of each
// group at a time.
func affinityHistory(e *env, q string, rnd *rand.Rand) {
	const items, groups, keep = 120, 8, 5 * time.Second
	e.configure(q, queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: 100 * time.Millisecond}})
	var mu sync.Mutex
	var (
		rest    = items
		since   = make(map[string]time.Time) // from when a group might have been served
		last    = make(map[string]int)       // who had it
		alive   = make(map[int]bool)
		seen    = make(map[string]int)
		working sync.WaitGroup
	)
	for i := range items {
		e.commit(func(tx *queue.Tx) { grouped(tx, q, fmt.Sprint("g", i%groups), fmt.Sprint(i)) })
	}
	finished, finish := context.WithCancel(e.ctx)
	defer finish()
	work := func(n int, pace time.Duration, lives int) {
		c := e.subscribe(q, &queue.SubscribeOptions{Affinity: keep})
		mu.Lock()
		alive[n] = true
		mu.Unlock()
		for range lives {
			ds, err := c.Receive(finished, 3)
			if err != nil {
				break
			}
			now := time.Now()
			mu.Lock()
			for _, d := range ds {
				g := d.Item.Group
				if before, ok := last[g]; ok && before != n && alive[before] {
					if waited := now.Sub(since[g]); waited < keep {
						e.Errorf("%s went from consumer %d, which lives, to %d after %v", g, before, n, waited)
					}
				}
				last[g] = n
				seen[string(d.Item.Body)]++
			}
			mu.Unlock()
			time.Sleep(pace)
			for _, d := range ds {
				mu.Lock()
				since[d.Item.Group] = time.Now()
				mu.Unlock()
				e.ack(d)
			}
			time.Sleep(pace)
			mu.Lock()
			rest -= len(ds)
			if rest == 0 {
				finish()
			}
			mu.Unlock()
		}
		mu.Lock()
		alive[n] = false
		mu.Unlock()
		e.must(c.Close())
	}
	began := time.Now()
	paces := []time.Duration{time.Millisecond, 50 * time.Millisecond, 7 * time.Second}
	for n := range 3 { // these stay: one is quick, one works, one stalls
		pace := paces[n]
		working.Go(func() { work(n, pace, items) })
	}
	for n := range 6 {
		pace, lives := paces[rnd.IntN(3)], 1+rnd.IntN(8)
		working.Go(func() {
			time.Sleep(time.Duration(n) * time.Second)
			work(3+n, pace, lives)
		})
	}
	working.Wait()
	if len(seen) != items {
		e.Errorf("%d items of %d came", len(seen), items)
	}
	for body, n := range seen {
		if n != 1 {
			e.Errorf("item %s came %d times", body, n)
		}
	}
	// What stalls holds three groups for seven seconds, and keeps them for five.
	if took := time.Since(began); took > 5*time.Minute {
		e.Errorf("it took %v", took)
	}
}
