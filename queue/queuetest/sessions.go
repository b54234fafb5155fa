package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// sessionPromises are about consumers: leases, prefetch, filters, wake-ups.
var sessionPromises = []promise{
	{name: "Receive waits for an item", check: func(e *env) {
		c := e.subscribe("q", nil)
		got := make(chan []*queue.Delivery)
		go func() {
			ds, err := c.Receive(e.ctx, 5)
			if err != nil {
				e.Error(err)
			}
			got <- ds
		}()
		synctest.Wait()
		e.put("q", "x")
		e.wants("received", bodies(<-got), "x")
	}},
	{name: "Receive returns the context's error", check: func(e *env) {
		c := e.subscribe("q", nil)
		ctx, cancel := context.WithTimeoutCause(e.ctx, time.Second, errWork)
		defer cancel()
		_, err := c.Receive(ctx, 1)
		e.is("Receive", err, errWork)
		_, err = c.Receive(ctx, 1)
		e.is("Receive with an ended context", err, errWork)
	}},
	{name: "what a closed consumer holds goes back at once, uncounted, to its place", check: func(e *env) {
		a, b := e.subscribe("q", nil), e.subscribe("q", nil)
		e.put("q", "1", "2", "3")
		ds := e.receive(a, 2)
		e.must(a.Close())
		e.must(a.Close())
		back := e.receive(b, 3)
		e.wants("order", bodies(back), "1", "2", "3")
		if back[0].Attempt != 1 {
			e.Errorf("attempt %d was counted", back[0].Attempt)
		}
		_, err := e.try(func(tx *queue.Tx) { tx.Ack(ds[0]); tx.Put("t", "k", nil) })
		e.is("Ack after Close", err, queue.ErrLeaseLost)
		_, err = e.s.Get(e.ctx, "t", "k")
		e.is("Get of what was in that transaction", err, queue.ErrNotFound)
		_, err = a.Receive(e.ctx, 1)
		e.is("Receive after Close", err, queue.ErrClosed)
		e.is("Heartbeat after Close", a.Heartbeat(e.ctx), queue.ErrClosed)
		e.ack(back...)
	}},
	{name: "Close wakes those who wait in Receive", check: func(e *env) {
		c := e.subscribe("q", nil)
		got := make(chan error, 3)
		for range 3 {
			go func() { _, err := c.Receive(e.ctx, 1); got <- err }()
		}
		synctest.Wait()
		e.must(c.Close())
		for range 3 {
			e.is("Receive", <-got, queue.ErrClosed)
		}
	}},
	{name: "a lease that is not extended is lost, and the attempt counted", check: func(e *env) {
		a := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Minute})
		b := e.subscribe("q", nil)
		e.put("q", "x")
		d := e.one(a)
		for range 3 {
			e.pass(50 * time.Second)
			e.must(a.Heartbeat(e.ctx))
		}
		e.none(b, "the lease was extended")
		e.pass(61 * time.Second)
		back := e.one(b)
		if back.ID != d.ID || back.Attempt != 2 {
			e.Errorf("came back as %v, attempt %d", back, back.Attempt)
		}
		_, err := e.try(func(tx *queue.Tx) { tx.Ack(d) })
		e.is("late Ack", err, queue.ErrLeaseLost)
		e.is("late Heartbeat", a.Heartbeat(e.ctx), queue.ErrLeaseLost)
		_, err = a.Receive(e.ctx, 1)
		e.is("late Receive", err, queue.ErrLeaseLost)
		e.ack(back)
		e.must(a.Close())
	}},
	{name: "Receive extends the lease", check: func(e *env) {
		a := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Minute})
		for range 5 {
			e.put("q", "x")
			e.pass(40 * time.Second)
			e.ack(e.one(a))
		}
	}},
	{name: "a lease lasts while Receive waits", check: func(e *env) {
		a := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Minute})
		b := e.subscribe("q", nil)
		e.put("q", "held")
		e.one(a)
		ctx, cancel := context.WithCancel(e.ctx)
		got := make(chan error)
		go func() { _, err := a.Receive(ctx, 1); got <- err }()
		e.pass(10*time.Minute + 30*time.Second)
		e.none(b, "the session waits in Receive")
		cancel()
		e.is("Receive", <-got, context.Canceled)
		e.pass(59 * time.Second)
		e.none(b, "the lease began when Receive ended")
		e.pass(2 * time.Second)
		e.is("Heartbeat", a.Heartbeat(e.ctx), queue.ErrLeaseLost)
		e.ack(e.one(b))
	}},
	{name: "an item that comes at the moment when a lease would end is received", check: func(e *env) {
		for range 50 {
			c := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Minute})
			got := make(chan error)
			go func() {
				ds, err := c.Receive(e.ctx, 1)
				if err == nil {
					var tx queue.Tx
					tx.Ack(ds...)
					err = e.s.Commit(e.ctx, &tx)
				}
				got <- err
			}()
			time.Sleep(time.Minute)
			e.put("q", "x")
			if err := <-got; err != nil {
				e.Fatal(err)
			}
			e.must(c.Close())
		}
	}},
	{name: "a heartbeat at the moment when a lease would end keeps it, or says that it has ended", check: func(e *env) {
		for range 50 {
			c := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Minute})
			e.put("q", "x")
			d := e.one(c)
			time.Sleep(time.Minute)
			kept := c.Heartbeat(e.ctx)
			_, err := e.try(func(tx *queue.Tx) { tx.Ack(d) })
			if kept == nil && err != nil {
				e.Fatal("Ack after a heartbeat in time:", err)
			}
			if err != nil {
				e.ack(e.one(e.subscribe("q", nil)))
			}
			e.must(c.Close())
		}
	}},
	{name: "items of lost leases end in the dead letters too", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 1, MaxDeaths: 2})
		e.put("q", "x")
		for range 2 {
			c := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Second})
			e.one(c)
			e.pass(2 * time.Second)
		}
		letters := e.dead("q")
		if len(letters) != 1 || letters[0].Attempts != 2 || !strings.Contains(letters[0].Reason, queue.ErrLeaseLost.Error()) {
			e.Errorf("dead letters = %+v", letters)
		}
	}},
	{name: "Prefetch bounds what a session holds", check: func(e *env) {
		c := e.subscribe("q", &queue.SubscribeOptions{Prefetch: 2})
		e.put("q", "1", "2", "3")
		ds := e.receive(c, 10)
		if len(ds) != 2 || c.Holding() != 2 {
			e.Errorf("received %d, holds %d", len(ds), c.Holding())
		}
		e.none(c, "the session is full")
		e.ack(ds[0])
		e.wants("after an Ack", bodies(e.now(c, 10)), "3")
	}},
	{name: "an item that a full session leaves wakes another", check: func(e *env) {
		a := e.subscribe("q", &queue.SubscribeOptions{Prefetch: 1})
		b := e.subscribe("q", nil)
		got := make(chan string, 2)
		for _, c := range []*queue.Consumer{a, b} {
			go func() {
				ds, err := c.Receive(e.ctx, 10)
				if err != nil {
					e.Error(err)
				}
				got <- strings.Join(bodies(ds), " ")
			}()
			synctest.Wait()
		}
		e.put("q", "1", "2")
		synctest.Wait()
		if len(got) != 2 {
			e.Fatalf("%d receivers have woken up, want 2", len(got))
		}
		<-got
		<-got
	}},
	{name: "a wake-up is never lost among many receivers", check: func(e *env) {
		// Sessions with room for one, some of whose receivers give up.
		const n = 40
		got := make(chan *queue.Delivery, n)
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		for i := range 10 {
			c := e.subscribe("q", &queue.SubscribeOptions{Prefetch: 1 + i%2})
			for j := range 3 {
				go func() {
					for {
						wait, stop := context.WithTimeout(ctx, time.Duration(1+(i+j)%3)*time.Millisecond)
						ds, err := c.Receive(wait, 1+j)
						stop()
						if ctx.Err() != nil {
							return
						}
						if err != nil && !errors.Is(err, context.DeadlineExceeded) {
							e.Error(err)
							return
						}
						if len(ds) == 0 {
							continue
						}
						for _, d := range ds {
							got <- d
						}
						var tx queue.Tx
						tx.Ack(ds...)
						if err := e.s.Commit(e.ctx, &tx); err != nil {
							e.Error(err)
						}
					}
				}()
			}
		}
		for i := range n {
			e.put("q", fmt.Sprint(i))
			time.Sleep(time.Duration(i%4) * 250 * time.Microsecond)
		}
		for range n {
			select {
			case <-got:
			case <-time.After(time.Minute):
				e.Fatal("items wait although receivers do")
			}
		}
		cancel()
		synctest.Wait()
	}},
	{name: "consumers that wait for something else do not keep the store busy", check: func(e *env) {
		// Each of these waits while an item is ready that it cannot take. A
		// store that spins would never let this bubble's time pass.
		e.put("q", "ready")
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Group: "g", Body: []byte("delayed"), Delay: time.Second})
		})
		full := e.subscribe("q", &queue.SubscribeOptions{Prefetch: 1})
		held := e.one(full)
		e.put("q", "more")
		only := e.subscribe("q", &queue.SubscribeOptions{Barriers: queue.OnlyBarriers})
		filtered := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Group: "nobody"}})
		ctx, cancel := context.WithTimeout(e.ctx, time.Minute)
		defer cancel()
		done := make(chan error)
		for _, c := range []*queue.Consumer{full, only, filtered} {
			go func() { _, err := c.Receive(ctx, 1); done <- err }()
		}
		for range 3 {
			e.is("Receive", <-done, context.DeadlineExceeded)
		}
		e.ack(held)
	}},
	{name: "the queue's MaxInFlight bounds all consumers together", check: func(e *env) {
		a, b := e.subscribe("q", nil), e.subscribe("q", nil)
		e.configure("q", queue.Config{MaxInFlight: 2})
		e.put("q", "1", "2", "3")
		da, db := e.one(a), e.one(b)
		e.none(a, "two are in flight")
		e.ack(da)
		e.wants("after an Ack", bodies(e.now(b, 5)), "3")
		e.ack(db)
	}},
	{name: "a faster consumer gets more, a slow one is not starved", check: func(e *env) {
		slowC := e.subscribe("q", &queue.SubscribeOptions{Prefetch: 1})
		fast := e.subscribe("q", &queue.SubscribeOptions{Prefetch: 1})
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		var counts [2]int
		done := make(chan struct{})
		for i, c := range []*queue.Consumer{slowC, fast} {
			go func() {
				defer func() { done <- struct{}{} }()
				for {
					ds, err := c.Receive(ctx, 1)
					if err != nil {
						return
					}
					time.Sleep([]time.Duration{100 * time.Millisecond, 10 * time.Millisecond}[i])
					var tx queue.Tx
					tx.Ack(ds...)
					if e.s.Commit(e.ctx, &tx) != nil {
						return
					}
					counts[i]++
				}
			}()
		}
		for i := range 110 {
			e.put("q", fmt.Sprint(i))
		}
		e.pass(5 * time.Second)
		cancel()
		<-done
		<-done
		if counts[0]+counts[1] != 110 || counts[0] < 5 || counts[1] < 90 {
			e.Errorf("slow and fast did %v of 110", counts)
		}
	}},
	{name: "a filter restricts what a session receives", check: func(e *env) {
		byHeader := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Headers: map[string]string{"lang": "de"}}})
		byGroup := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Group: "g"}})
		byKey := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Key: "k"}})
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("plain"), queue.Item{Body: []byte("de"), Headers: map[string]string{"lang": "de", "x": "y"}})
			tx.Enqueue("q", queue.Item{Body: []byte("fr"), Headers: map[string]string{"lang": "fr"}})
			tx.Enqueue("q", queue.Item{Body: []byte("g"), Group: "g"}, queue.Item{Body: []byte("k"), Key: "k"})
		})
		e.wants("header", e.drain(byHeader), "de")
		e.wants("group", e.drain(byGroup), "g")
		e.wants("key", e.drain(byKey), "k")
		e.wants("left", e.waiting("q"), "plain:ready", "fr:ready")
	}},
	{name: "a filtered session sees items in the order of priority and age", check: func(e *env) {
		f := &queue.SubscribeOptions{Filter: &queue.Filter{Headers: map[string]string{"f": ""}}}
		c := e.subscribe("q", f)
		add := func(body string, priority int) {
			e.commit(func(tx *queue.Tx) {
				tx.Enqueue("q", queue.Item{Body: []byte(body), Priority: priority, Headers: map[string]string{"f": ""}})
			})
		}
		add("1", 0)
		add("2", 0)
		add("3", 0)
		d := e.one(c) // the pass has been made
		add("high", 5)
		e.commit(func(tx *queue.Tx) { tx.Release(d) })
		e.wants("order", e.drain(c), "high", "1", "2", "3")
	}},
	{name: "an item done by another is not delivered to a filtered session", check: func(e *env) {
		f := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Group: "g"}})
		all := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			for i := range 4 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
		})
		d := e.one(f) // it has looked at all four
		ds := e.receive(all, 2)
		e.ack(ds[0])
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(ds[1], 0, nil) })
		e.ack(d)
		back := e.receive(f, 10)
		e.wants("the rest", bodies(back), "2", "3")
		if back[0].Attempt != 2 || back[1].Attempt != 1 {
			e.Errorf("attempts %d and %d, want 2 and 1", back[0].Attempt, back[1].Attempt)
		}
	}},
	{name: "filters respect limits, and see groups whose time comes", check: func(e *env) {
		c := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Group: "g"}})
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Second}})
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("plain"))
			for i := range 3 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
		})
		start := time.Now()
		for i := range 3 {
			d := e.one(c)
			if took := time.Since(start).Round(time.Second); took != time.Duration(i)*time.Second {
				e.Errorf("item %d came after %v", i, took)
			}
			e.none(c, "one is in flight")
			e.ack(d)
		}
	}},
	{name: "a filter finds its items in a long queue", check: func(e *env) {
		for i := range 5 {
			e.commit(func(tx *queue.Tx) {
				for j := range 1000 {
					tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, i*1000+j), Group: fmt.Sprint("g", j%10)})
				}
				tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, "needle", i), Key: fmt.Sprint(i), Headers: map[string]string{"n": "1"}})
			})
		}
		c := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Headers: map[string]string{"n": "1"}}})
		e.wants("needles", e.drain(c), "needle0", "needle1", "needle2", "needle3", "needle4")
		for i := range 3 {
			e.commit(func(tx *queue.Tx) {
				tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, i), Priority: 1, Headers: map[string]string{"n": "1"}})
			})
			e.wants("later ones", e.drain(c), fmt.Sprint(i))
		}
	}},
	{name: "ErrClosed comes from every call after Close", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "x")
		d := e.one(c)
		s := e.s
		waiting := make(chan error, 1)
		go func() { _, err := c.Receive(e.ctx, 1); waiting <- err }()
		barrier := make(chan error, 1)
		id := e.barrier("q", "b")
		go func() { barrier <- s.WaitBarrier(e.ctx, id) }()
		synctest.Wait()
		e.must(s.Close())
		var tx queue.Tx
		tx.Ack(d)
		_, subErr := s.Subscribe(e.ctx, "q", nil)
		_, getErr := s.Get(e.ctx, "t", "k")
		_, scanErr := s.Scan(e.ctx, "t", "", "", 1)
		_, browseErr := s.Browse(e.ctx, "q", nil, 1)
		_, deadErr := s.DeadLetters(e.ctx, "q", 0, 1)
		_, barriersErr := s.Barriers(e.ctx, "q")
		_, statsErr := s.QueueStats(e.ctx, "q")
		_, configErr := s.Config(e.ctx, "q")
		_, holdErr := s.Holding(e.ctx, "q")
		_, recErr := c.Receive(e.ctx, 1)
		for name, err := range map[string]error{
			"Commit": s.Commit(e.ctx, &tx), "Subscribe": subErr, "Get": getErr, "Scan": scanErr, "Browse": browseErr,
			"DeadLetters": deadErr, "Barriers": barriersErr, "QueueStats": statsErr, "Config": configErr, "Holding": holdErr,
			"Receive": recErr, "a waiting Receive": <-waiting, "a waiting WaitBarrier": <-barrier,
			"WaitBarrier": s.WaitBarrier(e.ctx, id), "Check": s.Check(e.ctx), "Close": s.Close(), "Drain": s.Drain(e.ctx, "q"),
			"Unsubscribe": s.Unsubscribe(e.ctx, "q", "n"), "WaitSpace": s.WaitSpace(e.ctx, "q"), "Heartbeat": c.Heartbeat(e.ctx),
		} {
			e.is(name, err, queue.ErrClosed)
		}
		e.open()
		if ds := e.receive(e.subscribe("q", nil), 1); ds[0].Attempt != 1 {
			e.Errorf("a clean Close counted the attempt: %d", ds[0].Attempt)
		}
	}},
}
