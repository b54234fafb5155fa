package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

var errWork = errors.New("work failed")

// transactionPromises are about Tx, Commit and tables: P1 and P2.
var transactionPromises = []promise{
	{name: "all changes happen together and survive a crash", check: func(e *env) {
		c := e.subscribe("in", nil)
		e.put("in", "x")
		d := e.one(c)
		r := e.commit(func(tx *queue.Tx) {
			tx.Ack(d)
			tx.Enqueue("out", item("y"), queue.Item{Body: []byte("z"), Key: "k"})
			tx.Barrier("out", []byte("b"))
			tx.Put("table", "key", []byte("record"))
			tx.SetGroup("out", "g", queue.GroupSettings{MaxInFlight: 3})
		})
		if r.Enqueued != 2 || len(r.Barriers) != 1 || r.Barriers[0] != (queue.BarrierID{Queue: "out"}) {
			e.Errorf("Result = %+v", r)
		}
		e.crash()
		e.wants("in", e.waiting("in"))
		e.wants("out", e.waiting("out"), "y:ready", "z:ready")
		if v, err := e.s.Get(e.ctx, "table", "key"); err != nil || string(v) != "record" {
			e.Errorf("Get = %q, %v", v, err)
		}
		if g, err := e.s.GroupSettings(e.ctx, "out", "g"); err != nil || g.MaxInFlight != 3 {
			e.Errorf("GroupSettings = %+v, %v", g, err)
		}
		if seen, err := e.s.Seen(e.ctx, "out", "k"); err != nil || !seen {
			e.Errorf("Seen = %v, %v", seen, err)
		}
	}},
	{name: "a refused transaction has no effect", check: func(e *env) {
		c := e.subscribe("in", nil)
		e.put("in", "x")
		d := e.one(c)
		_, err := e.try(func(tx *queue.Tx) {
			tx.Ack(d)
			tx.Enqueue("out", item("y"))
			tx.Put("table", "key", nil)
			tx.Ack(d)
		})
		e.is("an Ack twice in one transaction", err, queue.ErrSettled)
		if _, err := e.s.QueueStats(e.ctx, "out"); !errors.Is(err, queue.ErrUnknownQueue) {
			e.Errorf("queue out has come into being: %v", err)
		}
		_, err = e.s.Get(e.ctx, "table", "key")
		e.is("Get", err, queue.ErrNotFound)
		e.ack(d)
	}},
	{name: "changes take effect in the order of the calls", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Configure("q", queue.Config{MaxAttempts: 3})
			tx.Enqueue("q", item("before"))
			tx.Barrier("q", nil)
			tx.Enqueue("q", item("behind"))
			tx.Put("t", "k", []byte("1"))
			tx.Put("t", "k", []byte("2"))
			tx.Put("t", "gone", []byte("3"))
			tx.Delete("t", "gone")
		})
		page, err := e.s.Browse(e.ctx, "q", nil, 10)
		e.must(err)
		if len(page) != 2 || page[0].Epoch != 0 || page[1].Epoch != 1 {
			e.Errorf("Browse = %+v", page)
		}
		records, err := e.s.Scan(e.ctx, "t", "", "", 10)
		e.must(err)
		if len(records) != 1 || string(records[0].Value) != "2" {
			e.Errorf("Scan = %+v", records)
		}
	}},
	{name: "a queue that an earlier change makes can be paused by a later one", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("x"))
			tx.Pause("q")
		})
		if !e.stats("q").Paused {
			e.Error("the queue is not paused")
		}
	}},
	{name: "a letter buried in a transaction can be retried by it", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "x")
		d := e.one(c)
		e.commit(func(tx *queue.Tx) {
			tx.Bury(d, errWork)
			tx.RetryDead("q", d.ID)
		})
		e.wants("items", e.drain(c), "x")
		if n := len(e.dead("q")); n != 0 {
			e.Errorf("%d dead letters", n)
		}
	}},
	{name: "the zero Tx commits and does nothing", check: func(e *env) {
		e.commit(func(*queue.Tx) {})
	}},
	{name: "a Tx is committed once unless Reset is called", check: func(e *env) {
		var tx queue.Tx
		tx.Enqueue("q", item("x"))
		if tx.Len() != 1 {
			e.Errorf("Len = %d", tx.Len())
		}
		e.must(e.s.Commit(e.ctx, &tx))
		e.is("a second Commit", e.s.Commit(e.ctx, &tx), queue.ErrInvalid)
		tx.Reset()
		if tx.Len() != 0 || tx.Result().Enqueued != 0 {
			e.Errorf("after Reset: Len = %d, Result = %+v", tx.Len(), tx.Result())
		}
		tx.Enqueue("q", item("y"))
		e.must(e.s.Commit(e.ctx, &tx))
		e.wants("items", e.waiting("q"), "x:ready", "y:ready")
	}},
	{name: "a refused Tx may be committed again", check: func(e *env) {
		e.configure("q", queue.Config{HighWaterItems: 1})
		e.put("q", "x")
		var tx queue.Tx
		tx.Enqueue("q", item("y"))
		e.is("Commit", e.s.Commit(e.ctx, &tx), queue.ErrQueueFull)
		e.configure("q", queue.Config{})
		e.must(e.s.Commit(e.ctx, &tx))
	}},
	{name: "Commit with a context that has ended returns its error and has no effect", check: func(e *env) {
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		e.put("q", "first")
		for range 20 {
			var tx queue.Tx
			tx.Enqueue("q", item("x"))
			e.is("Commit", e.s.Commit(ctx, &tx), context.Canceled)
		}
		e.wants("items", e.waiting("q"), "first:ready")
	}},
	{name: "what is committed is visible when Commit returns", check: func(e *env) {
		c := e.subscribe("q", nil)
		for i := range 50 {
			e.put("q", fmt.Sprint(i))
			if st := e.stats("q"); st.Ready != 1 || st.Totals.Enqueued != int64(i+1) {
				e.Fatalf("stats = %+v", st)
			}
			e.ack(e.one(c))
		}
	}},
	{name: "tables need no declaration, and Scan pages through them in order", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			for _, k := range []string{"b", "a", "c", "a\x00", "d"} {
				tx.Put("t", k, []byte("v"+k))
			}
			tx.Put("ta", "x", nil)
			tx.Put("s", "y", nil)
			tx.Delete("t", "absent")
		})
		var got []string
		from := ""
		for {
			page, err := e.s.Scan(e.ctx, "t", from, "d", 2)
			e.must(err)
			for _, r := range page {
				if string(r.Value) != "v"+r.Key {
					e.Errorf("record %q has value %q", r.Key, r.Value)
				}
				got = append(got, r.Key)
			}
			if len(page) < 2 {
				break
			}
			from = page[len(page)-1].Key + "\x00"
		}
		e.wants("keys", got, "a", "a\x00", "b", "c")
		v, err := e.s.Get(e.ctx, "t", "d")
		e.must(err)
		clear(v)
		if v, err := e.s.Get(e.ctx, "t", "d"); err != nil || string(v) != "vd" {
			e.Errorf("Get = %q, %v; the caller owns the slice", v, err)
		}
	}},
	{name: "many goroutines commit at once", check: func(e *env) {
		done := make(chan error)
		for i := range 20 {
			go func() {
				var tx queue.Tx
				for j := range 10 {
					tx.Reset()
					tx.Enqueue("q", queue.Item{Key: fmt.Sprint(j)}, item(fmt.Sprint(i, j)))
					if err := e.s.Commit(e.ctx, &tx); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range 20 {
			e.must(<-done)
		}
		if st := e.stats("q"); st.Totals.Enqueued != 210 || st.Totals.Duplicates != 190 {
			e.Errorf("totals = %+v", st.Totals)
		}
	}},
}

// identityPromises are about Key and Mode.
var identityPromises = []promise{
	{name: "a key is known however many come after it", opts: &queue.Options{SeenMemory: 1 << 16}, check: func(e *env) {
		const n = 40_000 // more than are remembered
		offer := func(from, to int) (r queue.Result) {
			return e.commit(func(tx *queue.Tx) {
				for i := from; i < to; i++ {
					tx.Enqueue("q", queue.Item{Key: fmt.Sprint("key", i)})
				}
			})
		}
		for i := 0; i < n; i += 1000 {
			if r := offer(i, i+1000); r.Enqueued != 1000 {
				e.Fatalf("%d of 1,000 new keys were stored", r.Enqueued)
			}
		}
		for _, life := range []string{"first", "second"} {
			if r := offer(0, 100); r.Enqueued != 0 || r.Duplicates != 100 {
				e.Errorf("in the %s life %d keys of 100 were stored again", life, r.Enqueued)
			}
			if r := offer(5000, 5100); r.Enqueued != 0 {
				e.Errorf("in the %s life %d of a hundred early keys were stored again", life, r.Enqueued)
			}
			if r := offer(n-100, n); r.Enqueued != 0 {
				e.Errorf("in the %s life %d of the last 100 keys were stored again", life, r.Enqueued)
			}
			e.crash()
		}
		offer(0, 1) // begins the reading of what is stored
		e.pass(0)
		if r := offer(0, 500); r.Enqueued != 0 {
			e.Errorf("after a while %d keys of 500 were stored again", r.Enqueued)
		}
		if r := offer(n, n+500); r.Enqueued != 500 {
			e.Errorf("%d of 500 new keys were stored", r.Enqueued)
		}
	}},
	{name: "Once enqueues a key at most once in the life of the queue", check: func(e *env) {
		c := e.subscribe("q", nil)
		it := queue.Item{Key: "k", Body: []byte("x")}
		add := func(want int) {
			e.Helper()
			r := e.commit(func(tx *queue.Tx) { tx.Enqueue("q", it) })
			if r.Enqueued != want || r.Duplicates != 1-want {
				e.Errorf("Result = %+v, want %d enqueued", r, want)
			}
		}
		add(1)
		add(0)
		e.ack(e.one(c))
		add(0)
		e.crash()
		add(0)
		r := e.commit(func(tx *queue.Tx) { tx.Enqueue("other", it) })
		if r.Enqueued != 1 {
			e.Error("the seen-set of one queue is that of another")
		}
		if st := e.stats("q"); st.Totals.Duplicates != 3 {
			e.Errorf("totals = %+v", st.Totals)
		}
	}},
	{name: "a key twice in one transaction is a duplicate", check: func(e *env) {
		for _, mode := range []queue.Mode{queue.Once, queue.OnceLive} {
			q := fmt.Sprint("q", mode)
			r := e.commit(func(tx *queue.Tx) {
				tx.Enqueue(q, queue.Item{Key: "k", Mode: mode}, queue.Item{Key: "k", Mode: mode}, queue.Item{}, queue.Item{})
			})
			if r.Enqueued != 3 || r.Duplicates != 1 {
				e.Errorf("mode %d: Result = %+v", mode, r)
			}
		}
	}},
	{name: "OnceLive enqueues a key unless an item with it waits or is worked on", check: func(e *env) {
		c := e.subscribe("q", nil)
		add := func(want int, when string) {
			e.Helper()
			r := e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.OnceLive}) })
			if r.Enqueued != want {
				e.Errorf("%s: Result = %+v, want %d enqueued", when, r, want)
			}
		}
		add(1, "new")
		add(0, "ready")
		d := e.one(c)
		add(0, "in flight")
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, time.Hour, nil) })
		add(0, "delayed")
		e.pass(time.Hour)
		add(0, "ready again")
		d = e.one(c)
		r := e.commit(func(tx *queue.Tx) {
			tx.Ack(d)
			tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.OnceLive})
		})
		if r.Enqueued != 1 {
			e.Errorf("after its Ack in the same transaction: %+v", r)
		}
		add(0, "ready a second time")
		d = e.one(c)
		e.commit(func(tx *queue.Tx) { tx.Bury(d, nil) })
		add(1, "buried")
		e.reopen()
		add(0, "reopened")
	}},
	{name: "ReplaceLive takes the place of a waiting item", check: func(e *env) {
		c := e.subscribe("q", nil)
		add := func(body string, delay time.Duration) queue.Result {
			return e.commit(func(tx *queue.Tx) {
				tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.ReplaceLive, Body: []byte(body), Delay: delay})
			})
		}
		add("1", 0)
		if r := add("2", time.Hour); r.Replaced != 1 || r.Enqueued != 1 {
			e.Errorf("Result = %+v", r)
		}
		e.wants("waiting", e.waiting("q"), "2:delayed")
		add("3", 0)
		e.wants("waiting", e.waiting("q"), "3:ready")
		d := e.one(c)
		if r := add("4", 0); r.Replaced != 0 || r.Enqueued != 1 {
			e.Errorf("behind one in flight: %+v", r)
		}
		e.wants("waiting", e.waiting("q"), "3:leased", "4:ready")
		r := e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.ReplaceLive, Body: []byte("5")})
			tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.ReplaceLive, Body: []byte("6")})
		})
		if r.Replaced != 2 {
			e.Errorf("twice in a transaction: %+v", r)
		}
		e.ack(d)
		e.wants("delivered", e.drain(c), "6")
		if st := e.stats("q"); st.Totals.Dropped != 4 {
			e.Errorf("totals = %+v", st.Totals)
		}
	}},
	{name: "modes may be mixed, and Once is for good", check: func(e *env) {
		c := e.subscribe("q", nil)
		n := func(mode queue.Mode) int {
			return e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Key: "k", Mode: mode}) }).Enqueued
		}
		got := []int{n(queue.OnceLive), n(queue.Once)} // the second marks the key for good
		e.ack(e.one(c))
		got = append(got, n(queue.Once), n(queue.OnceLive))
		e.ack(e.one(c))
		got = append(got, n(queue.Once), n(queue.ReplaceLive), n(queue.ReplaceLive))
		if !slices.Equal(got, []int{1, 0, 0, 1, 0, 1, 1}) {
			e.Errorf("enqueued %v", got)
		}
	}},
	{name: "Forget makes mode Once take a key again", check: func(e *env) {
		c := e.subscribe("q", nil)
		add := func() int {
			return e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Key: "k"}) }).Enqueued
		}
		add()
		e.ack(e.one(c))
		e.commit(func(tx *queue.Tx) { tx.Forget("q", "k", "unknown") })
		if seen, _ := e.s.Seen(e.ctx, "q", "k"); seen {
			e.Error("the key is still seen")
		}
		if add() != 1 || add() != 0 {
			e.Error("Forget did not make the key new once")
		}
		r := e.commit(func(tx *queue.Tx) {
			tx.Forget("q", "k")
			tx.Enqueue("q", queue.Item{Key: "k"})
		})
		if r.Enqueued != 1 {
			e.Errorf("in one transaction: %+v", r)
		}
	}},
	{name: "Seen is true for keys enqueued Once and for live ones", check: func(e *env) {
		c := e.subscribe("q", nil)
		seen := func(key string) bool {
			ok, err := e.s.Seen(e.ctx, "q", key)
			e.must(err)
			return ok
		}
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Key: "once"}, queue.Item{Key: "live", Mode: queue.OnceLive})
		})
		if !seen("once") || !seen("live") || seen("never") {
			e.Error("wrong while the items wait")
		}
		e.drain(c)
		if !seen("once") || seen("live") {
			e.Error("wrong after they are done")
		}
	}},
}

// orderPromises are about Priority, age, Delay, NotBefore and Expires.
var orderPromises = []promise{
	{name: "a delivery is the item as it was enqueued", check: func(e *env) {
		c := e.subscribe("q", nil)
		expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{
				Body: []byte("body"), Key: "key", Mode: queue.OnceLive, Group: "group", Priority: -7,
				Expires: expires, Headers: map[string]string{"a": "1", "": ""},
			}, queue.Item{Priority: -8})
		})
		d := e.one(c)
		it := d.Item
		if string(it.Body) != "body" || it.Key != "key" || it.Mode != queue.OnceLive || it.Group != "group" || it.Priority != -7 ||
			!it.Expires.Equal(expires) || len(it.Headers) != 2 || it.Headers["a"] != "1" {
			e.Errorf("item = %+v", it)
		}
		if d.Queue != "q" || d.Epoch != 0 || d.Attempt != 1 || d.ID == 0 || !d.Enqueued.Equal(time.Now().Truncate(time.Millisecond)) {
			e.Errorf("delivery = %+v", d)
		}
		if d2 := e.one(c); d2.ID <= d.ID || len(d2.Item.Body) != 0 {
			e.Errorf("second delivery = %+v", d2)
		}
	}},
	{name: "a higher priority is delivered first, then age", check: func(e *env) {
		c := e.subscribe("q", nil)
		for i, p := range []int{0, 5, -5, 5, 100, -100, 0} {
			e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Body: []byte(fmt.Sprint(p, "/", i)), Priority: p}) })
		}
		e.wants("order", e.drain(c), "100/4", "5/1", "5/3", "0/0", "0/6", "-5/2", "-100/5")
	}},
	{name: "a batch is taken in order", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "a", "b", "c", "d")
		e.wants("first", bodies(e.receive(c, 3)), "a", "b", "c")
		e.wants("rest", bodies(e.receive(c, 3)), "d")
	}},
	{name: "Delay and NotBefore keep an item back, the later of the two", check: func(e *env) {
		c := e.subscribe("q", nil)
		now := time.Now()
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("2s"), Delay: 2 * time.Second, NotBefore: now.Add(time.Second)})
			tx.Enqueue("q", queue.Item{Body: []byte("1s"), NotBefore: now.Add(time.Second)})
			tx.Enqueue("q", queue.Item{Body: []byte("3s"), Delay: time.Second, NotBefore: now.Add(3 * time.Second)})
			tx.Enqueue("q", queue.Item{Body: []byte("past"), NotBefore: now.Add(-time.Hour)})
		})
		for i, want := range []string{"past", "1s", "2s", "3s"} {
			d := e.one(c)
			if string(d.Item.Body) != want || time.Since(now).Truncate(time.Second) != time.Duration(i)*time.Second {
				e.Errorf("%q came after %v, want %q", d.Item.Body, time.Since(now), want)
			}
			e.ack(d)
		}
	}},
	{name: "an item is never delivered before its time, to the millisecond", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.pass(300 * time.Microsecond)
		due := time.Now().Add(1500*time.Microsecond + 1)
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{NotBefore: due}) })
		d := e.one(c)
		if early := time.Until(due); early > 0 || early < -2*time.Millisecond {
			e.Errorf("delivered %v before its time", early)
		}
		e.ack(d)
	}},
	{name: "a time far away is far away", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{NotBefore: time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC)})
			tx.Enqueue("q", queue.Item{NotBefore: time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC)})
			tx.Enqueue("q", queue.Item{Delay: 1<<63 - 1})
		})
		e.pass(time.Hour)
		e.none(c, "items due in centuries")
		if st := e.stats("q"); st.Delayed != 3 {
			e.Errorf("%d are delayed", st.Delayed)
		}
	}},
	{name: "a delay survives a crash, and runs on meanwhile", check: func(e *env) {
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Delay: time.Minute}) })
		e.pass(30 * time.Second)
		e.crash()
		c := e.subscribe("q", nil)
		start := time.Now()
		e.one(c)
		if took := time.Since(start).Round(time.Second); took != 30*time.Second {
			e.Errorf("came after %v more, want 30s", took)
		}
	}},
	{name: "an item is dropped if nobody has taken it by Expires", check: func(e *env) {
		c := e.subscribe("q", nil)
		at := time.Now().Add(time.Minute)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("ready"), Expires: at}, queue.Item{Body: []byte("delayed"), Expires: at, Delay: time.Hour})
			tx.Enqueue("q", queue.Item{Body: []byte("held"), Priority: 1, Expires: at}, item("stays"))
			tx.Enqueue("q", queue.Item{Body: []byte("grouped"), Group: "g", Expires: at})
		})
		d := e.one(c)
		e.pass(time.Minute)
		e.wants("left", e.waiting("q"), "held:leased", "stays:ready")
		if st := e.stats("q"); st.Totals.Expired != 3 {
			e.Errorf("totals = %+v", st.Totals)
		}
		e.ack(d) // whoever has taken it in time may finish it
		e.wants("rest", e.drain(c), "stays")
	}},
	{name: "an item that expired in flight is dropped when it comes back", check: func(e *env) {
		c := e.subscribe("q", nil)
		for _, how := range []string{"release", "retry", "retry later", "close"} {
			e.commit(func(tx *queue.Tx) {
				tx.Enqueue("q", queue.Item{Body: []byte(how), Expires: time.Now().Add(time.Second)})
			})
			d := e.one(c)
			e.pass(2 * time.Second)
			switch how {
			case "release":
				e.commit(func(tx *queue.Tx) { tx.Release(d) })
			case "retry":
				e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, 0, errWork) })
			case "retry later":
				e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) })
			case "close":
				e.must(c.Close())
				c = e.subscribe("q", nil)
			}
			e.pass(0)
			e.wants(how, e.waiting("q"))
		}
		if st := e.stats("q"); st.Totals.Expired != 4 {
			e.Errorf("totals = %+v", st.Totals)
		}
	}},
	{name: "an item retried within its life expires later", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Expires: time.Now().Add(time.Minute)}) })
		d := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, time.Hour, nil) })
		e.pass(time.Minute)
		e.wants("left", e.waiting("q"))
	}},
	{name: "an item that has expired already is never delivered", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Expires: time.Now()}) })
		e.none(c, "expired at birth")
		e.pass(0)
		e.wants("left", e.waiting("q"))
	}},
	{name: "items expire behind a barrier and while the store is closed", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("holds"))
			tx.Barrier("q", nil)
			tx.Enqueue("q", queue.Item{Body: []byte("later"), Expires: time.Now().Add(time.Minute)})
		})
		e.must(e.s.Close())
		e.pass(time.Minute)
		e.open()
		e.pass(0)
		e.wants("left", e.waiting("q"), "holds:ready")
	}},
	{name: "large items are promoted, retried and recovered in batches that the backend takes", check: func(e *env) {
		const n = 512 // together, nearly twice what a batch may hold
		body := make([]byte, e.limits.Bytes/270)
		for i := 0; i < n; i += 32 {
			e.commit(func(tx *queue.Tx) {
				for range 32 {
					tx.Enqueue("q", queue.Item{Body: body, Delay: time.Minute})
				}
			})
		}
		e.pass(time.Minute)
		if st := e.stats("q"); st.Ready != n {
			e.Fatalf("stats = %+v", st)
		}
		c := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Second})
		for got := 0; got < n; {
			got += len(e.receive(c, n))
		}
		e.pass(2 * time.Second) // the lease is lost
		if st := e.stats("q"); st.Ready != n || st.Totals.Retried != n {
			e.Fatalf("after the lease was lost: %+v", st)
		}
		c = e.subscribe("q", nil)
		for got := 0; got < n; {
			got += len(e.receive(c, n))
		}
		e.crash()
		if st := e.stats("q"); st.Ready != n || st.Totals.Retried != 2*n {
			e.Fatalf("after the crash: %+v", st)
		}
	}},
}
