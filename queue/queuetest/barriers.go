package queuetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// barrierPromises are B1 to B9 and what is said of barriers besides.
var barrierPromises = []promise{
	{name: "B1: before release every item of the epoch is settled", check: func(e *env) {
		c := e.subscribe("q", nil)
		only := e.subscribe("q", &queue.SubscribeOptions{Barriers: queue.OnlyBarriers})
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("acked"), item("buried"), item("retried"), item("released"))
			tx.Enqueue("q", queue.Item{Body: []byte("expired"), Group: "held", Expires: time.Now().Add(time.Hour)})
			tx.SetGroup("q", "held", queue.GroupSettings{Paused: true})
			tx.Enqueue("q", queue.Item{Body: []byte("delayed"), Delay: time.Minute}, queue.Item{Body: []byte("removed"), Delay: time.Hour})
			tx.Barrier("q", []byte("b"))
		})
		ds := e.receive(c, 10)
		step := func(why string, build func(tx *queue.Tx)) {
			e.Helper()
			e.none(only, "before "+why)
			e.commit(build)
		}
		step("an ack", func(tx *queue.Tx) { tx.Ack(ds[0]) })
		step("a burial", func(tx *queue.Tx) { tx.Bury(ds[1], nil) })
		step("a retry", func(tx *queue.Tx) { tx.RetryAfter(ds[2], time.Second, nil) })
		step("a release", func(tx *queue.Tx) { tx.Release(ds[3]) })
		e.pass(time.Second)
		again := e.receive(c, 10)
		step("the rest is acked", func(tx *queue.Tx) { tx.Ack(again...) })
		e.none(only, "the delayed one is left")
		e.pass(time.Minute)
		e.ack(e.one(c))
		page, err := e.s.Browse(e.ctx, "q", nil, 10)
		e.must(err)
		step("the removal", func(tx *queue.Tx) { tx.Remove(page[len(page)-1]) })
		e.none(only, "the paused one is left")
		e.pass(time.Hour)
		if d := e.tell(only); string(d.Barrier.Body) != "b" || d.Barrier.Released.IsZero() {
			e.Errorf("barrier = %+v", d.Barrier)
		}
	}},
	{name: "B2: nothing of a later epoch is delivered before it opens", check: func(e *env) {
		a, b := e.subscribe("q", nil), e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("0"))
			tx.Barrier("q", nil)
			tx.Enqueue("q", item("1"), queue.Item{Body: []byte("1g"), Group: "g"})
		})
		d := e.one(a)
		e.none(b, "epoch 0 is open")
		e.ack(d)
		da, db := e.tell(a), e.tell(b)
		e.none(b, "nobody has acked")
		e.ack(da)
		e.none(a, "one has not acked")
		e.ack(db)
		got := e.drain(a)
		slices.Sort(got)
		e.wants("epoch 1", got, "1", "1g")
	}},
	{name: "B3: each session present gets it once", check: func(e *env) {
		var cs []*queue.Consumer
		for _, o := range []*queue.SubscribeOptions{nil, {Prefetch: 1}, {Filter: &queue.Filter{Group: "nobody"}}, {Barriers: queue.OnlyBarriers}, {Durable: "name"}} {
			cs = append(cs, e.subscribe("q", o))
		}
		no := e.subscribe("q", &queue.SubscribeOptions{Barriers: queue.NoBarriers})
		e.put("q", "x", "y")
		ds := []*queue.Delivery{e.one(cs[1]), e.one(cs[0])} // the session with Prefetch 1 is full
		e.barrier("q", "b")
		e.ack(ds...)
		var told []*queue.Delivery
		for _, c := range cs {
			told = append(told, e.tell(c))
			e.none(c, "it has been told")
		}
		e.none(no, "it asked for no barriers")
		for i, d := range told {
			if e.stats("q").Epoch != 0 {
				e.Errorf("the epoch opened after %d of %d acks", i, len(told))
			}
			e.ack(d)
		}
		if st := e.stats("q"); st.Epoch != 1 || st.Barriers != 0 {
			e.Errorf("stats = %+v", st)
		}
	}},
	{name: "B3: each durable name gets it until it has acked", check: func(e *env) {
		sub := func() *queue.Consumer { return e.subscribe("q", &queue.SubscribeOptions{Durable: "name"}) }
		e.must(sub().Close())
		e.barrier("q", "b")
		e.put("q", "behind")
		c := e.subscribe("q", nil)
		e.ack(e.tell(c))
		e.none(c, "the name has not acked")
		d := sub()
		e.tell(d)
		e.must(d.Close())
		e.crash()
		e.none(e.subscribe("q", nil), "the name has still not acked")
		e.ack(e.tell(sub()))
		if st := e.stats("q"); st.Epoch != 1 {
			e.Errorf("stats = %+v", st)
		}
	}},
	{name: "B4: a crash neither loses nor doubles the opening of an epoch", check: func(e *env) {
		sub := func() *queue.Consumer { return e.subscribe("q", &queue.SubscribeOptions{Durable: "name"}) }
		e.must(sub().Close())
		e.put("q", "0")
		e.barrier("q", "b0")
		e.put("q", "1")
		e.barrier("q", "b1")
		e.crash()
		c := sub()
		e.ack(e.one(c))
		e.crash() // released
		e.tell(sub())
		e.crash() // delivered
		c = sub()
		d := e.tell(c)
		if string(d.Barrier.Body) != "b0" {
			e.Errorf("barrier %q", d.Barrier.Body)
		}
		e.commit(func(tx *queue.Tx) { tx.Ack(d); tx.Put("t", "b0", nil) })
		e.crash() // acked
		c = sub()
		e.wants("the rest", e.drain(c), "1", "barrier:b1")
		e.crash()
		if st := e.stats("q"); st.Epoch != 2 || st.Barriers != 0 {
			e.Errorf("stats = %+v", st)
		}
	}},
	{name: "B4: an ack of one of two names is not asked for again after a crash", check: func(e *env) {
		sub := func(name string) *queue.Consumer { return e.subscribe("q", &queue.SubscribeOptions{Durable: name}) }
		a := sub("a")
		e.must(sub("b").Close())
		e.barrier("q", "x")
		e.ack(e.tell(a))
		e.crash()
		a = sub("a")
		e.none(a, "it has acked before the crash")
		e.ack(e.tell(sub("b")))
		if st := e.stats("q"); st.Epoch != 1 {
			e.Errorf("stats = %+v", st)
		}
	}},
	{name: "B5: barriers are strictly ordered, and empty epochs are epochs", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Barrier("q", []byte("0"))
			tx.Barrier("q", []byte("1"))
			tx.Enqueue("q", item("x"))
			tx.Barrier("q", []byte("2"))
			tx.Barrier("q", []byte("3"))
			tx.Enqueue("q", item("y"))
		})
		if st := e.stats("q"); st.Barriers != 4 || st.Later != 2 {
			e.Errorf("stats = %+v", st)
		}
		e.wants("order", e.drain(c), "barrier:0", "barrier:1", "x", "barrier:2", "barrier:3", "y")
	}},
	{name: "B6: priority never crosses a barrier", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("low"), Priority: -100})
			tx.Barrier("q", []byte("b"))
			tx.Enqueue("q", queue.Item{Body: []byte("high"), Priority: 100})
		})
		e.wants("order", e.drain(c), "low", "barrier:b", "high")
	}},
	{name: "B7: once all is settled, release happens at once", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "x")
		id := e.barrier("q", "b")
		d := e.one(c)
		told := make(chan *queue.Delivery, 1)
		go func() {
			ds, err := c.Receive(e.ctx, 1)
			if err != nil {
				e.Error(err)
				return
			}
			told <- ds[0]
		}()
		synctest.Wait()
		start := time.Now()
		e.ack(d)
		b := <-told
		if !time.Now().Equal(start) || b.Barrier == nil || b.Barrier.ID != id {
			e.Errorf("%v came after %v", b, time.Since(start))
		}
		if !e.stats("q").Released {
			e.Error("Stats do not say that it is released")
		}
	}},
	{name: "B8: lost leases come back before the barrier", check: func(e *env) {
		a := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Second})
		b := e.subscribe("q", nil)
		e.put("q", "x", "y")
		e.barrier("q", "b")
		e.put("q", "z")
		e.receive(a, 2)
		e.none(b, "two are leased")
		e.pass(2 * time.Second)
		e.wants("order", e.drain(b), "x", "y", "barrier:b", "z")
	}},
	{name: "B9: retried dead letters land after all present barriers", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "x")
		d := e.one(c)
		e.barrier("q", "0")
		e.put("q", "y")
		e.barrier("q", "1")
		e.commit(func(tx *queue.Tx) { tx.Bury(d, nil) })
		e.commit(func(tx *queue.Tx) { tx.RetryDead("q", d.ID) })
		e.wants("order", e.drain(c), "barrier:0", "y", "barrier:1", "x")
	}},
	{name: "a barrier waits for the first consumer if there is none", check: func(e *env) {
		e.barrier("q", "b")
		e.put("q", "x")
		e.pass(time.Hour)
		if st := e.stats("q"); st.Epoch != 0 || !st.Released {
			e.Errorf("stats = %+v", st)
		}
		no := e.subscribe("q", &queue.SubscribeOptions{Barriers: queue.NoBarriers})
		e.none(no, "it cannot ack the barrier")
		first := e.subscribe("q", nil)
		late := e.subscribe("q", nil)
		e.none(late, "the first has it")
		e.wants("first", e.drain(first), "barrier:b", "x")
	}},
	{name: "who comes after the release need not ack, unless all others go", check: func(e *env) {
		a := e.subscribe("q", nil)
		e.barrier("q", "b")
		e.put("q", "x")
		b := e.subscribe("q", nil)
		e.none(b, "it came late")
		d := e.tell(a)
		e.must(a.Close())
		e.wants("now it is on b", e.drain(b), "barrier:b", "x")
		_, err := e.try(func(tx *queue.Tx) { tx.Ack(d) })
		e.is("Ack of who has gone", err, queue.ErrLeaseLost)
	}},
	{name: "a session that goes does not hold the barrier", check: func(e *env) {
		for _, phase := range []string{"pending", "delivered", "lease lost"} {
			q := strings.ReplaceAll(phase, " ", "")
			a := e.subscribe(q, nil)
			b := e.subscribe(q, &queue.SubscribeOptions{Lease: time.Minute})
			e.barrier(q, "b")
			e.put(q, "x")
			if phase != "pending" {
				e.tell(b)
			}
			e.ack(e.tell(a))
			e.none(a, phase)
			if phase == "lease lost" {
				e.pass(2 * time.Minute)
			} else {
				e.must(b.Close())
			}
			e.wants(phase, e.drain(a), "x")
		}
	}},
	{name: "a barrier given back is delivered again", check: func(e *env) {
		c := e.subscribe("q", &queue.SubscribeOptions{Prefetch: 1})
		e.configure("q", queue.Config{MaxAttempts: 1, Backoff: queue.Backoff{Min: time.Second, Jitter: -1}})
		e.barrier("q", "b")
		d := e.tell(c)
		if d.Attempt != 1 {
			e.Errorf("attempt %d", d.Attempt)
		}
		e.commit(func(tx *queue.Tx) { tx.Release(d) })
		if d = e.tell(c); d.Attempt != 1 {
			e.Errorf("attempt %d after Release, which is not counted", d.Attempt)
		}
		for i, want := range []time.Duration{1, 2, 4} {
			e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) })
			start := time.Now()
			d = e.tell(c)
			if took := time.Since(start).Round(time.Second); took != want*time.Second || d.Attempt != i+2 {
				e.Errorf("attempt %d came after %v, want %d after %ds", d.Attempt, took, i+2, int(want))
			}
		}
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, 0, nil) })
		e.none(e.subscribe("q", nil), "it is not theirs")
		d = e.tell(c)
		_, err := e.try(func(tx *queue.Tx) { tx.Bury(d, nil) })
		e.is("Bury of a barrier", err, queue.ErrBarrier)
		e.ack(d)
		_, err = e.try(func(tx *queue.Tx) { tx.Ack(d) })
		e.is("a second Ack", err, queue.ErrSettled)
	}},
	{name: "the ack of a barrier carries anything, and opens the epoch", check: func(e *env) {
		c := e.subscribe("q", &queue.SubscribeOptions{Durable: "coordinator", Barriers: queue.OnlyBarriers})
		e.commit(func(tx *queue.Tx) { tx.Barrier("q", []byte("0")); tx.Enqueue("q", item("x")) })
		d := e.tell(c)
		e.commit(func(tx *queue.Tx) {
			tx.Ack(d)
			tx.Barrier("q", []byte("1"))
			tx.Barrier("next", []byte("0"))
			tx.Put("generations", "0", nil)
		})
		e.crash()
		w := e.subscribe("q", &queue.SubscribeOptions{Barriers: queue.NoBarriers})
		e.wants("epoch 1", e.drain(w), "x")
		if d := e.tell(e.subscribe("q", &queue.SubscribeOptions{Durable: "coordinator"})); string(d.Barrier.Body) != "1" || d.Barrier.Counts.Acked != 1 {
			e.Errorf("barrier = %+v", d.Barrier)
		}
		e.tell(e.subscribe("next", nil))
	}},
	{name: "barriers are delivered while the queue is paused", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { tx.Barrier("q", nil); tx.Enqueue("q", item("x")) })
		e.commit(func(tx *queue.Tx) { tx.Pause("q") })
		e.ack(e.tell(c))
		e.none(c, "paused")
		e.commit(func(tx *queue.Tx) { tx.Resume("q") })
		e.wants("resumed", e.drain(c), "x")
	}},
	{name: "WaitBarrier returns when the barrier has been released", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "x")
		id0, id1 := e.barrier("q", "0"), e.barrier("q", "1")
		if id1.Epoch != id0.Epoch+1 {
			e.Errorf("ids %v and %v", id0, id1)
		}
		e.is("WaitBarrier of none", e.s.WaitBarrier(e.ctx, queue.BarrierID{Queue: "q", Epoch: 2}), queue.ErrNotFound)
		ctx, cancel := context.WithTimeoutCause(e.ctx, time.Second, errWork)
		defer cancel()
		e.is("WaitBarrier", e.s.WaitBarrier(ctx, id0), errWork)
		done := make(chan error, 2)
		go func() { done <- e.s.WaitBarrier(e.ctx, id0) }()
		go func() { done <- e.s.WaitBarrier(e.ctx, id0) }()
		synctest.Wait()
		e.ack(e.one(c))
		e.must(<-done)
		e.must(<-done)
		e.must(e.s.WaitBarrier(e.ctx, id0))
		e.is("WaitBarrier of the next", e.s.WaitBarrier(ctx, id1), errWork)
		e.ack(e.tell(c))
		e.must(e.s.WaitBarrier(e.ctx, id1))
		e.crash()
		e.must(e.s.WaitBarrier(e.ctx, id0))
		e.must(e.s.WaitBarrier(e.ctx, id1))
	}},
	{name: "Barriers lists those that wait and those that have passed, with times and counts", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", item("a"), item("b"), queue.Item{Key: "k"}, queue.Item{Key: "k"}) })
		start := time.Now()
		e.barrier("q", "0")
		e.barrier("q", "1")
		ds := e.receive(c, 5)
		e.pass(time.Second)
		e.commit(func(tx *queue.Tx) { tx.Ack(ds[0], ds[1]); tx.Bury(ds[2], nil) })
		d := e.tell(c)
		e.pass(time.Second)
		list, err := e.s.Barriers(e.ctx, "q")
		e.must(err)
		if len(list) != 2 || list[0].Released.IsZero() || !list[0].Opened.IsZero() || !list[1].Released.IsZero() {
			e.Errorf("while it is released: %+v", list)
		}
		e.ack(d)
		e.reopen()
		list, err = e.s.Barriers(e.ctx, "q")
		e.must(err)
		b := list[0]
		want := queue.Totals{Enqueued: 3, Duplicates: 1, Acked: 2, Buried: 1}
		if string(b.Body) != "0" || b.Counts != want || !b.Placed.Equal(start) ||
			!b.Released.Equal(start.Add(time.Second)) || !b.Opened.Equal(start.Add(2*time.Second)) {
			e.Errorf("passed: %+v", b)
		}
		if len(list) != 2 || string(list[1].Body) != "1" || !list[1].Opened.IsZero() {
			e.Errorf("list = %+v", list)
		}
	}},
	{name: "the history of barriers is bounded", check: func(e *env) {
		c := e.subscribe("q", nil)
		const n = 1050
		for i := range n {
			e.commit(func(tx *queue.Tx) { tx.Barrier("q", fmt.Append(nil, i)) })
			e.ack(e.tell(c))
		}
		list, err := e.s.Barriers(e.ctx, "q")
		e.must(err)
		if len(list) != 1000 || string(list[0].Body) != "50" {
			e.Errorf("%d barriers, the first is %q", len(list), list[0].Body)
		}
	}},
	{name: "Holding says what holds the barrier", check: func(e *env) {
		e.must(e.subscribe("q", &queue.SubscribeOptions{Durable: "name"}).Close())
		c := e.subscribe("q", nil)
		if h, err := e.s.Holding(e.ctx, "q"); err != nil || h.Barrier != nil {
			e.Errorf("without a barrier: %+v, %v", h, err)
		}
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("leased"), item("ready"), queue.Item{Body: []byte("delayed"), Delay: time.Minute})
			tx.Barrier("q", []byte("b"))
			tx.Enqueue("q", item("behind"))
		})
		d := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.Pause("q") })
		h, err := e.s.Holding(e.ctx, "q")
		e.must(err)
		var oldest []string
		for _, w := range h.Oldest {
			oldest = append(oldest, fmt.Sprintf("%s:%s", w.Item.Body, w.State))
		}
		if h.Barrier == nil || string(h.Barrier.Body) != "b" || h.Ready != 1 || h.Delayed != 1 || h.Leased != 1 || !h.Paused {
			e.Errorf("Holding = %+v", h)
		}
		e.wants("oldest", oldest, "leased:leased", "ready:ready", "delayed:delayed")
		e.commit(func(tx *queue.Tx) { tx.Resume("q") })
		e.ack(d)
		e.ack(e.one(c))
		e.ack(e.one(c))
		h, err = e.s.Holding(e.ctx, "q")
		e.must(err)
		if h.Sessions != 1 || !slices.Equal(h.Names, []string{"name"}) || h.Ready+h.Delayed+h.Leased != 0 || len(h.Oldest) != 0 {
			e.Errorf("released: %+v", h)
		}
		e.ack(e.tell(c))
		if h, err = e.s.Holding(e.ctx, "q"); err != nil || h.Sessions != 0 || len(h.Names) != 1 {
			e.Errorf("acked by the session: %+v, %v", h, err)
		}
	}},
	{name: "BarrierOn makes matching items barriers", check: func(e *env) {
		e.configure("q", queue.Config{BarrierOn: &queue.Filter{Headers: map[string]string{"eof": "1"}}})
		e.reopen()
		c := e.subscribe("q", nil)
		r := e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("x"), queue.Item{Body: []byte("end"), Headers: map[string]string{"eof": "1", "n": "7"}}, item("y"))
		})
		if r.Enqueued != 2 || len(r.Barriers) != 1 {
			e.Errorf("Result = %+v", r)
		}
		e.ack(e.one(c))
		d := e.tell(c)
		if string(d.Barrier.Body) != "end" || d.Barrier.Headers["n"] != "7" {
			e.Errorf("barrier = %+v", d.Barrier)
		}
		e.ack(d)
		e.wants("behind", e.drain(c), "y")
	}},
	{name: "at most MaxBarriers wait, counted for each queue", check: func(e *env) {
		for left := queue.MaxBarriers - 1; left > 0; left -= 500 {
			e.commit(func(tx *queue.Tx) {
				for range min(left, 500) {
					tx.Barrier("q", nil)
				}
			})
		}
		e.commit(func(tx *queue.Tx) { tx.Barrier("q", nil); tx.Barrier("other", nil); tx.Barrier("other", nil) })
		_, err := e.try(func(tx *queue.Tx) { tx.Put("t", "k", nil); tx.Barrier("q", nil) })
		e.is("one more", err, queue.ErrTooManyBarriers)
		if e.limits.Bytes > 10<<20 {
			_, err = e.try(func(tx *queue.Tx) {
				for range queue.MaxBarriers + 1 {
					tx.Barrier("new", nil)
				}
			})
			e.is("too many at once in a new queue", err, queue.ErrTooManyBarriers)
		}
		e.ack(e.tell(e.subscribe("q", nil)))
		e.barrier("q", "fits")
	}},
	{name: "a barrier may have a body as large as MaxItem", check: func(e *env) {
		c := e.subscribe("q", &queue.SubscribeOptions{Durable: "name"})
		body := strings.Repeat("x", min(4<<20, e.limits.Bytes/2))
		e.barrier("q", body)
		e.barrier("q", body)
		d := e.tell(c)
		if string(d.Barrier.Body) != body {
			e.Errorf("body of %d bytes", len(d.Barrier.Body))
		}
		e.ack(d)
		e.ack(e.tell(c))
	}},
	{name: "more than a session of each kind may come and go at each phase", check: func(e *env) {
		for phase := range 5 {
			for kind, o := range []*queue.SubscribeOptions{nil, {Durable: "n"}, {Barriers: queue.OnlyBarriers}, {Barriers: queue.NoBarriers}, {Filter: &queue.Filter{Group: "g"}}} {
				q := fmt.Sprintf("q%d%d", phase, kind)
				main := e.subscribe(q, nil)
				var guest *queue.Consumer
				at := func(n int) {
					if phase == n {
						guest = e.subscribe(q, o)
					}
					if phase+1 == n && guest != nil {
						e.must(guest.Close())
						if o != nil && o.Durable != "" {
							e.must(e.s.Unsubscribe(e.ctx, q, o.Durable))
						}
					}
				}
				at(0)
				e.put(q, "x")
				at(1)
				e.barrier(q, "b")
				e.put(q, "y")
				at(2)
				e.ack(e.one(main))
				at(3)
				d := e.tell(main)
				at(4)
				e.ack(d)
				at(5)
				e.wants(q, e.drain(main), "y")
			}
		}
	}},
}
