package queuetest

import (
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// subscriptionPromises are about durable names.
var subscriptionPromises = []promise{
	{name: "one session at a time holds a name", check: func(e *env) {
		o := &queue.SubscribeOptions{Durable: "name"}
		c := e.subscribe("q", o)
		_, err := e.s.Subscribe(e.ctx, "q", o)
		e.is("a second Subscribe", err, queue.ErrNameInUse)
		e.subscribe("other", o)
		e.is("Unsubscribe", e.s.Unsubscribe(e.ctx, "q", "name"), queue.ErrNameInUse)
		e.must(c.Close())
		e.subscribe("q", o)
	}},
	{name: "a name is registered as long as a session holds it", check: func(e *env) {
		o := &queue.SubscribeOptions{Durable: "name"}
		for i := range 200 {
			if i == 0 {
				e.must(e.subscribe("q", o).Close())
			}
			dropped := make(chan error)
			go func() { dropped <- e.s.Unsubscribe(e.ctx, "q", "name") }()
			c := e.subscribe("q", o)
			if err := <-dropped; err != nil {
				e.is("Unsubscribe", err, queue.ErrNameInUse)
			}
			names, err := e.s.Subscriptions(e.ctx, "q")
			e.must(err)
			e.wants("names", names, "name")
			e.must(c.Close())
		}
	}},
	{name: "a name stays until Unsubscribe", check: func(e *env) {
		for _, n := range []string{"b", "a"} {
			e.must(e.subscribe("q", &queue.SubscribeOptions{Durable: n}).Close())
		}
		e.crash()
		names, err := e.s.Subscriptions(e.ctx, "q")
		e.must(err)
		e.wants("names", names, "a", "b")
		e.must(e.s.Unsubscribe(e.ctx, "q", "a"))
		e.is("a second Unsubscribe", e.s.Unsubscribe(e.ctx, "q", "a"), queue.ErrNotFound)
		e.reopen()
		names, err = e.s.Subscriptions(e.ctx, "q")
		e.must(err)
		e.wants("names", names, "b")
	}},
	{name: "Unsubscribe lets a barrier go that waits for the name alone", check: func(e *env) {
		e.must(e.subscribe("q", &queue.SubscribeOptions{Durable: "gone"}).Close())
		c := e.subscribe("q", nil)
		e.barrier("q", "b")
		e.put("q", "x")
		e.ack(e.tell(c))
		e.none(c, "the name has not acked")
		e.must(e.s.Unsubscribe(e.ctx, "q", "gone"))
		e.wants("now", e.drain(c), "x")
	}},
	{name: "Unsubscribe does not open an epoch that nobody has acked", check: func(e *env) {
		e.must(e.subscribe("q", &queue.SubscribeOptions{Durable: "gone"}).Close())
		e.barrier("q", "b")
		e.must(e.s.Unsubscribe(e.ctx, "q", "gone"))
		e.pass(time.Minute)
		e.tell(e.subscribe("q", nil))
	}},
	{name: "a new name owes the barrier that is released", check: func(e *env) {
		a := e.subscribe("q", nil)
		e.barrier("q", "b")
		d := e.tell(a)
		n := e.subscribe("q", &queue.SubscribeOptions{Durable: "new"})
		e.ack(d)
		if st := e.stats("q"); st.Epoch != 0 {
			e.Error("the epoch opened without the name")
		}
		e.ack(e.tell(n))
		if st := e.stats("q"); st.Epoch != 1 {
			e.Errorf("stats = %+v", st)
		}
	}},
	{name: "a name that comes back owes only what it has not acked", check: func(e *env) {
		o := &queue.SubscribeOptions{Durable: "name"}
		other := e.subscribe("q", nil)
		c := e.subscribe("q", o)
		e.commit(func(tx *queue.Tx) { tx.Barrier("q", []byte("0")); tx.Barrier("q", []byte("1")) })
		e.ack(e.tell(c))
		e.must(c.Close())
		c = e.subscribe("q", o)
		e.none(c, "it has acked 0, the other has not")
		e.ack(e.tell(other))
		if d := e.tell(c); string(d.Barrier.Body) != "1" {
			e.Errorf("barrier %q", d.Barrier.Body)
		}
	}},
}
