package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// stackError is an error that knows where it happened.
type stackError struct{}

func (stackError) Error() string { return "boom" }
func (stackError) Stack() []byte { return []byte("main.go:1") }

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
		e.is("Heartbeat after Close", a.Heartbeat(), queue.ErrClosed)
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
			e.must(a.Heartbeat())
		}
		e.none(b, "the lease was extended")
		e.pass(61 * time.Second)
		back := e.one(b)
		if back.ID != d.ID || back.Attempt != 2 {
			e.Errorf("came back as %v, attempt %d", back, back.Attempt)
		}
		_, err := e.try(func(tx *queue.Tx) { tx.Ack(d) })
		e.is("late Ack", err, queue.ErrLeaseLost)
		e.is("late Heartbeat", a.Heartbeat(), queue.ErrLeaseLost)
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
	{name: "items of lost leases end in the dead letters too", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 2})
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
		_, statsErr := s.QueueStats("q")
		_, configErr := s.Config("q")
		_, holdErr := s.Holding(e.ctx, "q")
		_, recErr := c.Receive(e.ctx, 1)
		for name, err := range map[string]error{
			"Commit": s.Commit(e.ctx, &tx), "Subscribe": subErr, "Get": getErr, "Scan": scanErr, "Browse": browseErr,
			"DeadLetters": deadErr, "Barriers": barriersErr, "QueueStats": statsErr, "Config": configErr, "Holding": holdErr,
			"Receive": recErr, "a waiting Receive": <-waiting, "a waiting WaitBarrier": <-barrier,
			"WaitBarrier": s.WaitBarrier(e.ctx, id), "Check": s.Check(e.ctx), "Close": s.Close(), "Drain": s.Drain(e.ctx, "q"),
			"Unsubscribe": s.Unsubscribe(e.ctx, "q", "n"), "WaitSpace": s.WaitSpace(e.ctx, "q"), "Heartbeat": c.Heartbeat(),
		} {
			e.is(name, err, queue.ErrClosed)
		}
		e.open()
		if ds := e.receive(e.subscribe("q", nil), 1); ds[0].Attempt != 1 {
			e.Errorf("a clean Close counted the attempt: %d", ds[0].Attempt)
		}
	}},
}

// settlePromises are about Ack, Retry, Release, Bury and the dead letters.
var settlePromises = []promise{
	{name: "an acked item is gone, after a crash too", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "1", "2")
		e.ack(e.one(c))
		e.crash()
		e.wants("left", e.drain(e.subscribe("q", nil)), "2")
	}},
	{name: "an unacked item is delivered again at once after a crash, and counted", check: func(e *env) {
		e.put("q", "x")
		for attempt := 1; attempt <= 3; attempt++ {
			if d := e.one(e.subscribe("q", nil)); d.Attempt != attempt {
				e.Errorf("attempt %d, want %d", d.Attempt, attempt)
			}
			e.crash()
		}
	}},
	{name: "P9: an item that kills the process ends in the dead letters", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 3})
		e.put("q", "poison", "good")
		for range 3 {
			d := e.one(e.subscribe("q", nil))
			if string(d.Item.Body) != "poison" {
				e.Fatalf("received %q", d.Item.Body)
			}
			e.crash()
		}
		letters := e.dead("q")
		if len(letters) != 1 || letters[0].Attempts != 3 || string(letters[0].Item.Body) != "poison" || letters[0].Reason == "" {
			e.Errorf("dead letters = %+v", letters)
		}
		e.wants("left", e.drain(e.subscribe("q", nil)), "good")
	}},
	{name: "Retry delivers again after an exponential back-off", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{MaxAttempts: -1, Backoff: queue.Backoff{Min: time.Second, Max: 5 * time.Second, Jitter: -1}})
		e.put("q", "x")
		d := e.one(c)
		for i, want := range []time.Duration{1, 2, 4, 5, 5} {
			e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) })
			start := time.Now()
			d = e.one(c)
			if took := time.Since(start).Round(10 * time.Millisecond); took != want*time.Second {
				e.Errorf("attempt %d waited %v, want %vs", i+1, took, int(want))
			}
			if d.Attempt != i+2 {
				e.Errorf("attempt %d, want %d", d.Attempt, i+2)
			}
		}
	}},
	{name: "back-off is jittered by up to its share, downwards", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Backoff: queue.Backoff{Min: 100 * time.Second, Jitter: 0.5}})
		e.commit(func(tx *queue.Tx) {
			for range 50 {
				tx.Enqueue("q", queue.Item{})
			}
		})
		ds := e.receive(c, 50)
		e.commit(func(tx *queue.Tx) {
			for _, d := range ds {
				tx.Retry(d, nil)
			}
		})
		page, err := e.s.Browse(e.ctx, "q", nil, 50)
		e.must(err)
		waits := map[time.Duration]bool{}
		for _, w := range page {
			wait := time.Until(w.Due)
			waits[wait] = true
			if wait < 50*time.Second || wait > 100*time.Second+time.Millisecond {
				e.Errorf("an item waits %v, want 50s to 100s", wait)
			}
		}
		if len(waits) < 25 {
			e.Errorf("50 items share %d delays", len(waits))
		}
	}},
	{name: "RetryAfter takes the caller's delay, which may be zero", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "1", "2")
		d := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, 0, nil) })
		if d := e.one(c); string(d.Item.Body) != "1" || d.Attempt != 2 {
			e.Errorf("received %q, attempt %d", d.Item.Body, d.Attempt)
		} else {
			e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, 7*time.Second, nil) })
		}
		e.wants("meanwhile", e.drain(c), "2")
		start := time.Now()
		e.one(c)
		if took := time.Since(start).Round(time.Second); took != 7*time.Second {
			e.Errorf("came after %v", took)
		}
	}},
	{name: "after MaxAttempts an item goes to the dead letters", check: func(e *env) {
		c := e.subscribe("q", nil)
		for _, c := range []struct{ set, want int }{{0, 10}, {1, 1}, {4, 4}} {
			q := fmt.Sprint("q", c.set)
			e.configure(q, queue.Config{MaxAttempts: c.set, Backoff: queue.Backoff{Min: 1, Max: 1}})
			e.put(q, "x")
			sub := e.subscribe(q, nil)
			for n := 1; ; n++ {
				d := e.one(sub)
				if r := e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) }); r.Buried == 1 {
					if n != c.want {
						e.Errorf("MaxAttempts %d: buried after %d deliveries", c.set, n)
					}
					break
				}
			}
		}
		_ = c
	}},
	{name: "Release gives back to its place, uncounted", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "1", "2", "3")
		ds := e.receive(c, 2)
		e.commit(func(tx *queue.Tx) { tx.Release(ds...) })
		back := e.receive(c, 3)
		e.wants("order", bodies(back), "1", "2", "3")
		if back[0].Attempt != 1 {
			e.Errorf("attempt %d", back[0].Attempt)
		}
		e.commit(func(tx *queue.Tx) { tx.Release(back[0]) })
		e.crash()
		for _, d := range e.receive(e.subscribe("q", nil), 3) {
			want := 2
			if string(d.Item.Body) == "1" {
				want = 1
			}
			if d.Attempt != want {
				e.Errorf("%q: attempt %d after the crash, want %d", d.Item.Body, d.Attempt, want)
			}
		}
	}},
	{name: "Bury keeps the error, its stack and the item", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("x"), Key: "k", Group: "g", Priority: 3, Headers: map[string]string{"h": "v"}})
		})
		d := e.one(c)
		e.pass(time.Second)
		r := e.commit(func(tx *queue.Tx) { tx.Bury(d, fmt.Errorf("wrapped: %w", stackError{})) })
		if r.Buried != 1 {
			e.Errorf("Result = %+v", r)
		}
		e.reopen()
		l := e.dead("q")[0]
		if l.ID != d.ID || l.Queue != "q" || l.Attempts != 1 || l.Reason != "wrapped: boom" || l.Stack != "main.go:1" ||
			!l.Enqueued.Equal(d.Enqueued) || !l.Buried.Equal(l.Enqueued.Add(time.Second)) ||
			string(l.Item.Body) != "x" || l.Item.Key != "k" || l.Item.Group != "g" || l.Item.Priority != 3 || l.Item.Headers["h"] != "v" {
			e.Errorf("dead letter = %+v", l)
		}
	}},
	{name: "dead letters are listed in pages, retried and dropped", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "0", "1", "2", "3", "4")
		ds := e.receive(c, 5)
		e.commit(func(tx *queue.Tx) {
			for _, d := range ds {
				tx.Bury(d, nil)
			}
		})
		var ids []uint64
		for after := uint64(0); ; {
			page, err := e.s.DeadLetters(e.ctx, "q", after, 2)
			e.must(err)
			for _, l := range page {
				ids = append(ids, l.ID)
				after = l.ID
			}
			if len(page) < 2 {
				break
			}
		}
		if len(ids) != 5 || !slices.IsSorted(ids) {
			e.Fatalf("ids = %v", ids)
		}
		r := e.commit(func(tx *queue.Tx) {
			tx.DropDead("q", ids[0], ids[0], 999)
			tx.RetryDead("q", ids[1], ids[1], 999, ids[0])
			tx.DropDead("q", ids[1])
		})
		if r.Enqueued != 1 {
			e.Errorf("Result = %+v", r)
		}
		if st := e.stats("q"); st.Dead != 3 || len(e.dead("q")) != 3 {
			e.Errorf("%d dead letters", st.Dead)
		}
		d := e.one(c)
		if string(d.Item.Body) != "1" || d.Attempt != 1 || d.ID <= ids[4] {
			e.Errorf("retried as %q, attempt %d, id %d", d.Item.Body, d.Attempt, d.ID)
		}
	}},
	{name: "a dead letter whose key is live again stays and counts as a duplicate", check: func(e *env) {
		c := e.subscribe("q", nil)
		it := queue.Item{Key: "k", Mode: queue.OnceLive}
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", it) })
		d := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.Bury(d, nil) })
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", it) })
		if r := e.commit(func(tx *queue.Tx) { tx.RetryDead("q", d.ID) }); r.Duplicates != 1 || r.Enqueued != 0 {
			e.Errorf("Result = %+v", r)
		}
		e.drain(c)
		if r := e.commit(func(tx *queue.Tx) { tx.RetryDead("q", d.ID) }); r.Enqueued != 1 {
			e.Errorf("Result = %+v", r)
		}
		if n := e.commit(func(tx *queue.Tx) { tx.Enqueue("q", it) }).Enqueued; n != 0 {
			e.Error("the key of a retried letter is not live")
		}
	}},
	{name: "a second settlement returns ErrSettled", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "1", "2", "3", "4")
		for i, settle := range []func(*queue.Tx, *queue.Delivery){
			func(tx *queue.Tx, d *queue.Delivery) { tx.Ack(d) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.RetryAfter(d, time.Hour, nil) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.Bury(d, nil) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.Release(d) },
		} {
			d := e.one(c)
			e.commit(func(tx *queue.Tx) { settle(tx, d) })
			_, err := e.try(func(tx *queue.Tx) { tx.Ack(d) })
			e.is(fmt.Sprint("second settlement ", i), err, queue.ErrSettled)
		}
	}},
	{name: "a delivery of another store returns ErrForeign", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "x")
		d := e.one(c)
		old := e.s
		e.reopen()
		_, err := e.try(func(tx *queue.Tx) { tx.Ack(d) })
		e.is("Ack", err, queue.ErrForeign)
		_, err = e.try(func(tx *queue.Tx) { tx.Ack(&queue.Delivery{}) })
		e.is("Ack of a made-up delivery", err, queue.ErrInvalid)
		_ = old
	}},
	{name: "one bad delivery leaves the others as they are", check: func(e *env) {
		a, b := e.subscribe("q", nil), e.subscribe("q", nil)
		e.put("q", "1", "2")
		d1, d2 := e.one(a), e.one(b)
		e.must(b.Close())
		_, err := e.try(func(tx *queue.Tx) { tx.Ack(d1, d2) })
		e.is("Ack", err, queue.ErrLeaseLost)
		if a.Holding() != 1 {
			e.Errorf("the session holds %d", a.Holding())
		}
		e.ack(d1)
		e.wants("left", e.waiting("q"), "2:ready")
	}},
	{name: "a failed item keeps its group, priority and key", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("x"), Key: "k", Group: "g", Priority: 9, Headers: map[string]string{"a": "b"}})
		})
		d := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.Retry(d, nil) })
		d = e.one(c)
		if it := d.Item; it.Key != "k" || it.Group != "g" || it.Priority != 9 || it.Headers["a"] != "b" || d.Attempt != 2 {
			e.Errorf("delivery = %+v", d)
		}
	}},
}
