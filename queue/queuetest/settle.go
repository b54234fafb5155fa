package queuetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// stackError is an error that knows where it happened.
type stackError struct{}

func (stackError) Error() string { return "boom" }
func (stackError) Stack() []byte { return []byte("main.go:1") }

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
	{name: "a snoozed item comes later, and the attempt is not counted", check: func(e *env) {
		for _, group := range []string{"", "g"} {
			for _, ordered := range []bool{false, true} {
				q := fmt.Sprint("q", group, ordered)
				e.configure(q, queue.Config{MaxAttempts: 1, MaxDeaths: 1, Groups: queue.GroupPolicy{Ordered: ordered}})
				e.commit(func(tx *queue.Tx) { grouped(tx, q, group, "a"); grouped(tx, q, group, "b") })
				c := e.subscribe(q, nil)
				for range 3 {
					d := e.one(c)
					if string(d.Item.Body) != "a" || d.Attempt != 1 {
						e.Fatalf("%s: received %s, attempt %d, want a at its first", q, d.Item.Body, d.Attempt)
					}
					before := e.stats(q).Totals
					e.commit(func(tx *queue.Tx) { tx.Snooze(d, time.Minute) })
					if after := e.stats(q).Totals; after != before {
						e.Errorf("%s: the totals are %+v, were %+v", q, after, before)
					}
					e.check()
					if ordered && group != "" {
						e.none(c, "its group is in strict order")
					} else {
						b := e.now(c, 10)
						e.wants("what comes meanwhile", bodies(b), "b")
						e.commit(func(tx *queue.Tx) { tx.Release(b...); tx.Pause(q) })
					}
					e.pass(time.Minute)
					e.commit(func(tx *queue.Tx) { tx.Resume(q) })
					e.crash() // counts nothing that the snooze has not
					e.check()
					c = e.subscribe(q, nil)
				}
				got := e.drain(c)
				slices.Sort(got)
				e.wants("left of "+q, got, "a", "b")
			}
		}
	}},
	{name: "snoozing for no time brings an item back at once, and an expired item is dropped", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("x"), Expires: time.Now().Add(time.Minute)})
		})
		c := e.subscribe("q", nil)
		d := e.one(c)
		_, err := e.try(func(tx *queue.Tx) { tx.Snooze(d, -1) })
		e.is("a negative delay", err, queue.ErrInvalid)
		e.commit(func(tx *queue.Tx) { tx.Snooze(d, 0) })
		if d = e.one(c); d.Attempt != 1 {
			e.Errorf("attempt %d", d.Attempt)
		}
		e.pass(time.Hour)
		e.commit(func(tx *queue.Tx) { tx.Snooze(d, time.Hour) })
		e.pass(time.Second)
		e.wants("left", e.waiting("q"))
		if n := e.stats("q").Totals.Expired; n != 1 {
			e.Errorf("%d have expired, want 1", n)
		}
	}},
	{name: "a snoozed barrier comes later, and a direct item is enqueued with the delay", check: func(e *env) {
		e.barrier("q", "b")
		c := e.subscribe("q", nil)
		told := e.tell(c)
		e.commit(func(tx *queue.Tx) { tx.Snooze(told, time.Hour) })
		e.none(c, "the barrier is snoozed")
		if told = e.tell(c); told.Attempt != 1 {
			e.Errorf("the barrier comes with attempt %d", told.Attempt)
		}
		e.ack(told)
		d, ok := e.s.Direct(e.ctx, "q", 1)
		if !ok {
			e.Fatal("no direct delivery")
		}
		d.Item.Body = []byte("x")
		e.commit(func(tx *queue.Tx) { tx.Snooze(d, time.Hour) })
		e.wants("what waits", e.waiting("q"), "x:delayed")
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
		if len(letters) != 1 || letters[0].Attempts != 3 || letters[0].Deaths != 3 || string(letters[0].Item.Body) != "poison" || letters[0].Reason == "" {
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
