package queuetest

import (
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// directPromises are about items that are enqueued and settled in one transaction.
var directPromises = []promise{
	{name: "what is acked directly is counted as enqueued and acked, and nothing else is left", check: func(e *env) {
		e.put("q", "x")
		before := e.waiting("q")
		for range 3 {
			d := e.direct("q", "y")
			if d.Attempt != 1 || d.Epoch != 0 || d.Queue != "q" {
				e.Errorf("delivery %+v", d)
			}
			e.ack(d)
		}
		e.wants("what waits", e.waiting("q"), before...)
		e.crash()
		if got, want := e.stats("q").Totals, (queue.Totals{Enqueued: 4, Acked: 3}); got != want {
			e.Errorf("totals %+v, want %+v", got, want)
		}
		id := e.barrier("q", "end")
		e.drain(e.subscribe("q", nil))
		e.must(e.s.WaitBarrier(e.ctx, id))
		list, err := e.s.Barriers(e.ctx, "q")
		if err != nil || len(list) != 1 || list[0].Counts != (queue.Totals{Enqueued: 4, Acked: 4}) {
			e.Errorf("barriers %+v, %v", list, err)
		}
	}},
	{name: "what is not acked directly is stored as if it had been delivered", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 2, Backoff: queue.Backoff{Min: time.Minute, Jitter: -1}})
		retried, delayed, buried, released := e.direct("q", "retried"), e.direct("q", "delayed"), e.direct("q", "buried"), e.direct("q", "released")
		r := e.commit(func(tx *queue.Tx) {
			tx.Retry(retried, errWork)
			tx.RetryAfter(delayed, time.Hour, errWork)
			tx.Bury(buried, errWork)
			tx.Release(released)
		})
		if r.Enqueued != 4 || r.Buried != 1 {
			e.Errorf("result %+v", r)
		}
		e.crash()
		if got, want := e.stats("q").Totals, (queue.Totals{Enqueued: 4, Retried: 2, Buried: 1}); got != want {
			e.Errorf("totals %+v, want %+v", got, want)
		}
		for body, wait := range map[string]time.Duration{"retried": time.Minute, "delayed": time.Hour} {
			w := e.find("q", body)
			if w.Attempts != 1 || w.Failure != errWork.Error() || w.State != queue.StateDelayed || time.Until(w.Due).Round(time.Second) != wait {
				e.Errorf("%+v, want one failed attempt and %v to wait", w, wait)
			}
		}
		if letters := e.dead("q"); len(letters) != 1 || string(letters[0].Item.Body) != "buried" || letters[0].Attempts != 1 || letters[0].Reason != errWork.Error() {
			e.Errorf("dead letters %+v", letters)
		}
		c := e.subscribe("q", nil)
		if d := e.one(c); string(d.Item.Body) != "released" || d.Attempt != 1 {
			e.Errorf("received %+v, want what was released", d)
		}
		d := e.one(c)
		if string(d.Item.Body) != "retried" || d.Attempt != 2 {
			e.Errorf("received %+v, want the second attempt", d)
		}
		e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) })
		if letters := e.dead("q"); len(letters) != 2 {
			e.Errorf("%d dead letters after the last attempt, want 2", len(letters))
		}
	}},
	{name: "the last attempt may be a direct one", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 1})
		d := e.direct("q", "x")
		e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) })
		if letters := e.dead("q"); len(letters) != 1 || letters[0].Attempts != 1 {
			e.Errorf("dead letters %+v", letters)
		}
	}},
	{name: "nothing is direct where it would not be delivered at once", check: func(e *env) {
		none := func(why string) {
			e.Helper()
			if d, ok := e.s.Direct(e.ctx, "q", 1); ok {
				e.Errorf("%s, and there is %v", why, d)
			}
		}
		none("there is no such queue")
		e.put("q", "1")
		e.direct("q", "")
		e.put("q", "2")
		none("two items wait")
		c := e.subscribe("q", nil)
		e.ack(e.receive(c, 10)...)
		e.direct("q", "")
		e.commit(func(tx *queue.Tx) { tx.Pause("q") })
		none("the queue is paused")
		e.commit(func(tx *queue.Tx) { tx.Resume("q") })
		e.configure("q", queue.Config{HighWaterItems: 1})
		e.put("q", "3")
		none("the queue is full")
		e.configure("q", queue.Config{MaxInFlight: 1})
		none("deliveries are limited")
		e.configure("q", queue.Config{BarrierOn: &queue.Filter{Key: "k"}})
		none("items may be barriers")
		e.configure("q", queue.Config{})
		e.direct("q", "")
		e.barrier("q", "b")
		none("a barrier waits")
		e.ack(e.one(c))
		none("a barrier is released")
		e.ack(e.tell(c))
		e.direct("q", "")
	}},
	{name: "a transaction whose item is direct no more is refused whole", check: func(e *env) {
		e.put("q", "1")
		for name, change := range map[string]func(tx *queue.Tx){
			"a barrier":                func(tx *queue.Tx) { tx.Barrier("q", nil) },
			"a barrier that is passed": func(tx *queue.Tx) { tx.Barrier("q", nil) },
			"a limit":                  func(tx *queue.Tx) { tx.Configure("q", queue.Config{MaxInFlight: 1}) },
		} {
			c := e.subscribe("q", nil)
			e.drain(c)
			d := e.direct("q", "x")
			e.commit(change)
			if name == "a barrier that is passed" {
				e.ack(e.tell(c))
			}
			_, err := e.try(func(tx *queue.Tx) { tx.Put("t", "k", nil); tx.Ack(d) })
			e.is("after "+name+", Ack", err, queue.ErrNotDirect)
			e.drain(c)
			e.configure("q", queue.Config{})
			e.must(c.Close())
		}
		d := e.direct("q", "x")
		_, err := e.try(func(tx *queue.Tx) { tx.Put("t", "k", nil); tx.Barrier("q", nil); tx.Ack(d) })
		e.is("behind a barrier of the same transaction, Ack", err, queue.ErrNotDirect)
		if _, err := e.s.Get(e.ctx, "t", "k"); err == nil {
			e.Error("a part of a refused transaction has happened")
		}
	}},
	{name: "an item with a key, a group or a time is never direct", check: func(e *env) {
		e.put("q", "1")
		for _, it := range []queue.Item{{Key: "k"}, {Group: "g"}, {Delay: 1}, {NotBefore: time.Now()}, {Expires: time.Now()}} {
			d := e.direct("q", "")
			d.Item = it
			_, err := e.try(func(tx *queue.Tx) { tx.Ack(d) })
			e.is(fmt.Sprintf("Ack of %+v", it), err, queue.ErrInvalid)
		}
	}},
}

// direct returns a direct delivery of an item.
func (e *env) direct(q, body string) *queue.Delivery {
	e.Helper()
	d, ok := e.s.Direct(e.ctx, q, 1)
	if !ok {
		e.Fatalf("%s cannot be passed by", q)
	}
	d.Item.Body = []byte(body)
	return d
}
