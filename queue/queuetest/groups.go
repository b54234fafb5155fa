package queuetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// grouped enqueues items of a group.
func grouped(tx *queue.Tx, q, group string, bodies ...string) {
	for _, body := range bodies {
		tx.Enqueue(q, queue.Item{Body: []byte(body), Group: group})
	}
}

// groupPromises are about limits, delays and turns of groups.
var groupPromises = []promise{
	{name: "a group whose wait is cut short at once is served, whatever priority it has first", check: func(e *env) {
		drain := func() []string { // from the disk, where lanes are found by their pointers
			e.crash()
			c := e.subscribe("q", nil)
			defer c.Close()
			return e.drain(c)
		}
		far := time.Now().Add(time.Hour)
		delay := func(prio int) func(tx *queue.Tx) {
			return func(tx *queue.Tx) {
				tx.DelayGroup("q", "g", far)
				tx.Enqueue("q", queue.Item{Group: "g", Priority: prio, Body: fmt.Append(nil, prio)})
			}
		}
		undelay := func(tx *queue.Tx) { tx.SetGroup("q", "g", queue.GroupSettings{}) }
		e.commit(func(tx *queue.Tx) { delay(1)(tx); undelay(tx) })
		e.wants("in one transaction", drain(), "1")
		e.twoAtOnce(delay(2), undelay)
		e.wants("one after the other", drain(), "2")
		e.gate.shut()
		e.submit(named("", func(tx *queue.Tx) { tx.Put("t", "k", nil) })) // the next two share a batch
		var a, b queue.Tx
		delay(3)(&a)
		undelay(&b)
		one, two := e.submit(&a), e.submit(&b)
		e.gate.open()
		e.must(<-one)
		e.must(<-two)
		e.wants("together", drain(), "3")
		e.commit(delay(4))
		e.wants("while it waits", drain())
		e.commit(undelay)
		e.wants("later", drain(), "4")
		e.commit(delay(5))
		e.pass(time.Hour)
		e.wants("in its time", drain(), "5")
	}},
	{name: "many groups that wait hold up no other", check: func(e *env) {
		far := time.Now().Add(time.Hour)
		e.commit(func(tx *queue.Tx) {
			for i := range 3000 {
				group := fmt.Sprint("waits ", i)
				tx.DelayGroup("q", group, far)
				tx.Enqueue("q", queue.Item{Group: group})
			}
		})
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Group: "free", Body: []byte("free")}) })
		e.wants("the free one", e.drain(e.subscribe("q", nil)), "free")
	}, opts: &queue.Options{GroupMemory: 100}},
	{name: "groups take turns", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			for i := range 100 {
				grouped(tx, "q", "big", fmt.Sprint("big", i))
			}
			grouped(tx, "q", "small", "small0")
			grouped(tx, "q", "small", "small1")
			tx.Enqueue("q", item("none0"), item("none1"))
		})
		first := bodies(e.receive(c, 6))
		slices.Sort(first)
		e.wants("the first six", first, "big0", "big1", "none0", "none1", "small0", "small1")
	}},
	{name: "within a group the oldest comes first", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			for i := range 5 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
		})
		e.wants("order", e.drain(c), "0", "1", "2", "3", "4")
	}},
	{name: "MaxInFlight bounds the items of a group that are worked on", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 2}})
		e.commit(func(tx *queue.Tx) {
			for i := range 4 {
				grouped(tx, "q", "a", fmt.Sprint("a", i))
				tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, "hi", i), Group: "a", Priority: 1})
			}
			grouped(tx, "q", "b", "b0")
			tx.Enqueue("q", item("x"), item("y"), item("z"))
		})
		ds := e.receive(c, 100)
		got := bodies(ds)
		slices.Sort(got)
		e.wants("first batch", got, "b0", "hi0", "hi1", "x", "y", "z")
		e.none(c, "two of group a are in flight")
		e.commit(func(tx *queue.Tx) { tx.Release(ds[0]) })
		if b := bodies(e.now(c, 10)); len(b) != 1 {
			e.Errorf("after one was given back: %q", b)
		}
	}},
	{name: "MinDelay lies between the end of a delivery and the next", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Second}})
		e.commit(func(tx *queue.Tx) {
			for i := range 4 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
		})
		for i, settle := range []func(*queue.Tx, *queue.Delivery){
			func(tx *queue.Tx, d *queue.Delivery) { tx.Ack(d) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.RetryAfter(d, time.Hour, nil) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.Bury(d, nil) },
		} {
			d := e.one(c)
			e.pass(5 * time.Second)
			e.none(c, "the group is busy")
			e.commit(func(tx *queue.Tx) { settle(tx, d) })
			end := time.Now()
			d = e.one(c)
			if gap := time.Since(end); gap < time.Second || gap > 1100*time.Millisecond {
				e.Errorf("case %d: the next came after %v, want 1s", i, gap)
			}
			e.commit(func(tx *queue.Tx) { tx.Release(d) })
			e.pass(time.Second)
		}
	}},
	{name: "MinDelay lies between the beginnings where several are allowed at once", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MinDelay: time.Second}})
		e.commit(func(tx *queue.Tx) {
			for i := range 3 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
		})
		start := time.Now()
		for range 3 {
			e.one(c)
		}
		if took := time.Since(start).Round(time.Second); took != 2*time.Second {
			e.Errorf("three items began within %v", took)
		}
	}},
	{name: "AckUnused takes back the delay that began with the item", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Minute}})
		e.commit(func(tx *queue.Tx) {
			for i := range 4 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
			grouped(tx, "q", "other", "x")
			tx.Enqueue("q", item("none"))
		})
		ds := e.receive(c, 3)
		e.none(c, "the groups are busy")
		e.pass(time.Second)
		e.commit(func(tx *queue.Tx) { tx.AckUnused(ds...) }) // one without a group among them
		ds = e.now(c, 10)
		e.wants("at once", bodies(ds), "1")
		e.ack(ds...)
		start := time.Now()
		d := e.one(c)
		if took := time.Since(start).Round(time.Second); took != time.Minute {
			e.Errorf("came %v after one that was acked, want a minute", took)
		}
		e.commit(func(tx *queue.Tx) { tx.AckUnused(d) })
		e.wants("the last", bodies(e.now(c, 10)), "3")
	}},
	{name: "AckUnused leaves the delay of an item that was taken later", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MinDelay: time.Minute}})
		e.commit(func(tx *queue.Tx) {
			for i := range 3 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
		})
		first := e.one(c)
		second := e.one(c)
		start := time.Now()
		e.commit(func(tx *queue.Tx) { tx.AckUnused(first) })
		e.none(c, "the second was taken just now")
		e.one(c)
		if took := time.Since(start).Round(time.Second); took != time.Minute {
			e.Errorf("the third came %v after the second, want a minute", took)
		}
		e.ack(second)
	}},
	{name: "a group whose items are not used does not keep others from their turn", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Minute}})
		e.commit(func(tx *queue.Tx) {
			for i := range 50 {
				grouped(tx, "q", "g", fmt.Sprint("g", i))
			}
			grouped(tx, "q", "h", "h0")
		})
		for i := range 3 {
			d := e.one(c)
			if d.Item.Group == "h" {
				return
			}
			if i == 2 {
				e.Errorf("h has not had its turn after three of g")
			}
			e.commit(func(tx *queue.Tx) { tx.AckUnused(d) })
		}
	}},
	{name: "MinDelay survives a crash", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MinDelay: time.Minute}})
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "0"); grouped(tx, "q", "g", "1") })
		e.ack(e.one(c))
		e.pass(20 * time.Second)
		e.crash()
		c = e.subscribe("q", nil)
		start := time.Now()
		e.one(c)
		if took := time.Since(start).Round(time.Second); took != 40*time.Second {
			e.Errorf("came %v after the crash, want 40s", took)
		}
	}},
	{name: "a slow or blocked group never delays another", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Hour}})
		e.commit(func(tx *queue.Tx) {
			for g := range 200 {
				for i := range 3 {
					grouped(tx, "q", fmt.Sprint("slow", g), fmt.Sprint(i))
				}
			}
			tx.SetGroup("q", "fast", queue.GroupSettings{MinDelay: -1, MaxInFlight: -1})
		})
		for {
			ds := e.now(c, 50)
			if len(ds) == 0 {
				break
			}
			e.ack(ds...)
		}
		e.commit(func(tx *queue.Tx) {
			for i := range 20 {
				grouped(tx, "q", "fast", fmt.Sprint("fast", i))
			}
		})
		if got := bodies(e.now(c, 100)); len(got) != 20 || got[0] != "fast0" {
			e.Errorf("received %q", got)
		}
	}},
	{name: "settings of a group take the place of the policy, and go", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1}})
		e.commit(func(tx *queue.Tx) {
			for i := range 9 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
			tx.SetGroup("q", "g", queue.GroupSettings{MaxInFlight: 2})
		})
		count := func(want int, when string) {
			e.Helper()
			ds := e.now(c, 100)
			if len(ds) != want {
				e.Errorf("%s: %d came, want %d", when, len(ds), want)
			}
			if len(ds) > 0 {
				e.commit(func(tx *queue.Tx) { tx.Release(ds...) })
			}
		}
		count(2, "MaxInFlight 2")
		e.reopen()
		c = e.subscribe("q", nil)
		count(2, "reopened")
		e.commit(func(tx *queue.Tx) { tx.SetGroup("q", "g", queue.GroupSettings{MaxInFlight: -1}) })
		count(9, "no limit")
		e.commit(func(tx *queue.Tx) { tx.SetGroup("q", "g", queue.GroupSettings{}) })
		count(1, "the policy again")
	}},
	{name: "NotBefore and Paused hold a group until they are cleared", check: func(e *env) {
		for _, crash := range []bool{false, true} {
			q := fmt.Sprint("q", crash)
			c := e.subscribe(q, nil)
			e.commit(func(tx *queue.Tx) {
				grouped(tx, q, "later", "later")
				tx.SetGroup(q, "later", queue.GroupSettings{NotBefore: time.Now().Add(time.Hour)})
				grouped(tx, q, "paused", "paused")
				tx.SetGroup(q, "paused", queue.GroupSettings{Paused: true})
			})
			if crash {
				e.crash()
				c = e.subscribe(q, nil)
			}
			e.none(c, "both groups are held")
			e.commit(func(tx *queue.Tx) { tx.SetGroup(q, "paused", queue.GroupSettings{}) })
			e.wants("resumed", e.drain(c), "paused")
			start := time.Now()
			e.ack(e.one(c))
			if took := time.Since(start).Round(time.Minute); took != time.Hour {
				e.Errorf("NotBefore held for %v", took)
			}
		}
	}},
	{name: "NotBefore can be brought forward", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			grouped(tx, "q", "g", "x")
			tx.SetGroup("q", "g", queue.GroupSettings{NotBefore: time.Now().Add(time.Hour)})
		})
		e.none(c, "held")
		e.commit(func(tx *queue.Tx) { tx.SetGroup("q", "g", queue.GroupSettings{NotBefore: time.Now().Add(time.Minute)}) })
		start := time.Now()
		e.ack(e.one(c))
		if took := time.Since(start).Round(time.Second); took != time.Minute {
			e.Errorf("held for %v, want 1m", took)
		}
	}},
	{name: "DelayGroup sets NotBefore unless it is later already, and nothing else", check: func(e *env) {
		now := time.Now()
		e.commit(func(tx *queue.Tx) {
			tx.SetGroup("q", "g", queue.GroupSettings{MaxInFlight: 7, Paused: true})
			tx.DelayGroup("q", "g", now.Add(time.Minute))
			tx.DelayGroup("q", "g", now.Add(time.Second))
		})
		g, err := e.s.GroupSettings(e.ctx, "q", "g")
		e.must(err)
		if g.MaxInFlight != 7 || !g.Paused || !g.NotBefore.Equal(now.Add(time.Minute)) {
			e.Errorf("settings = %+v", g)
		}
	}},
	{name: "items without a group share no limits", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Hour}})
		e.put("q", "a", "b", "c")
		e.wants("all", bodies(e.now(c, 10)), "a", "b", "c")
	}},
	{name: "RetryAfter does not hold up the others of a group", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "0"); grouped(tx, "q", "g", "1") })
		d := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, time.Hour, nil) })
		e.wants("now", bodies(e.now(c, 10)), "1")
	}},
	{name: "an item delayed by as long as an empty group is remembered is not lost", check: func(e *env) {
		c := e.subscribe("q", nil)
		for _, delay := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, time.Minute} {
			e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", delay.String()) })
			d := e.one(c)
			e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, delay, nil) })
			e.pass(delay)
			e.wants("after "+delay.String(), e.drain(c), delay.String())
		}
	}},
	{name: "a group's delay begins when a crash, a Close or the end of a session ends its delivery", check: func(e *env) {
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Minute}})
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "1", "2") })
		for name, end := range map[string]func(c *queue.Consumer){
			"crash":   func(*queue.Consumer) { e.crash() },
			"Close":   func(*queue.Consumer) { e.reopen() },
			"session": func(c *queue.Consumer) { e.must(c.Close()) },
			"both": func(c *queue.Consumer) {
				e.must(c.Close())
				e.crash()
			},
		} {
			asks := e.subscribe("q", nil)
			e.one(asks)
			e.pass(10 * time.Second)
			end(asks)
			c := e.subscribe("q", nil)
			e.pass(59 * time.Second)
			e.none(c, name+": whoever had it may have been at work until then, and a second is left of the minute")
			e.must(c.Close())
			e.pass(time.Minute)
		}
	}},
	{name: "an ordered group waits for its item that failed", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 2, Groups: queue.GroupPolicy{Ordered: true}})
		e.commit(func(tx *queue.Tx) {
			grouped(tx, "q", "g", "g1", "g2", "g3")
			grouped(tx, "q", "h", "h1", "h2")
			grouped(tx, "q", "", "1", "2")
		})
		c := e.subscribe("q", nil)
		ds := e.now(c, 10)
		e.wants("one of each group is out", sorted(bodies(ds)), "1", "2", "g1", "h1")
		e.commit(func(tx *queue.Tx) {
			for _, d := range ds {
				if string(d.Item.Body) == "g1" {
					tx.RetryAfter(d, time.Minute, nil)
				} else {
					tx.Ack(d)
				}
			}
		})
		e.wants("the others go on", e.drain(c), "h2")
		e.pass(30 * time.Second)
		e.crash()
		c = e.subscribe("q", nil)
		e.none(c, "g1 waits for half a minute yet")
		e.pass(30 * time.Second)
		d := e.one(c)
		e.wants("after its delay", bodies([]*queue.Delivery{d}), "g1")
		e.none(c, "g1 is being worked on again")
		e.commit(func(tx *queue.Tx) { tx.Retry(d, nil) })
		if n := len(e.dead("q")); n != 1 {
			e.Errorf("%d dead letters, want g1", n)
		}
		e.wants("g1 is settled", e.drain(c), "g2", "g3")
	}},
	{name: "an ordered group keeps its order when a session or a lease ends", check: func(e *env) {
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{Ordered: true}})
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "1", "2") })
		a := e.subscribe("q", nil)
		e.one(a)
		e.must(a.Close())
		b := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Second})
		e.one(b)
		e.pass(2 * time.Second)
		e.wants("order", e.drain(e.subscribe("q", nil)), "1", "2")
	}},
}

// memoryPromises are about queues that do not fit into memory: P5.
var memoryPromises = []promise{
	{name: "groups beyond GroupMemory stay on disk and are served in turn", opts: &queue.Options{GroupMemory: 8, ItemMemory: 1 << 10}, check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: time.Second}})
		const groups, each = 100, 3
		for i := range each {
			for g := range groups {
				e.commit(func(tx *queue.Tx) { grouped(tx, "q", fmt.Sprintf("g%03d", g), fmt.Sprintf("g%03d/%d", g, i)) })
			}
		}
		e.pass(0)
		if n := e.stats("q").Groups; n > 3*8 {
			e.Errorf("%d groups are in memory, GroupMemory is 8", n)
		}
		start := time.Now()
		seen := map[string]int{}
		for len(seen) < groups*each {
			d := e.one(c)
			seen[string(d.Item.Body)]++
			e.ack(d)
			if len(seen)%50 == 0 {
				e.check()
			}
		}
		if took := time.Since(start); took > 4*time.Second {
			e.Errorf("%d groups of %d with 1s between took %v", groups, each, took)
		}
		e.none(c, "all are done")
	}},
	{name: "a group left on disk is found when its settings are relaxed", opts: &queue.Options{GroupMemory: 8}, check: func(e *env) {
		for _, crash := range []bool{false, true} {
			q := fmt.Sprint("q", crash)
			c := e.subscribe(q, nil)
			hold := queue.GroupSettings{NotBefore: time.Now().Add(24 * time.Hour)}
			for g := range 50 {
				e.commit(func(tx *queue.Tx) {
					grouped(tx, q, fmt.Sprint("g", g), fmt.Sprint(g))
					tx.SetGroup(q, fmt.Sprint("g", g), hold)
				})
				e.none(c, "held")
			}
			e.pass(time.Minute)
			for g := range 50 {
				e.commit(func(tx *queue.Tx) { tx.SetGroup(q, fmt.Sprint("g", g), queue.GroupSettings{}) })
			}
			if crash {
				e.crash()
				c = e.subscribe(q, nil)
			}
			if got := e.drain(c); len(got) != 50 {
				e.Errorf("crash %v: %d of 50 groups were served", crash, len(got))
			}
		}
	}},
	{name: "a retried item of a group left on disk comes back", opts: &queue.Options{GroupMemory: 2}, check: func(e *env) {
		c := e.subscribe("q", nil)
		const groups = 30
		for i := range 3 {
			for g := range groups {
				e.commit(func(tx *queue.Tx) { grouped(tx, "q", fmt.Sprint("g", g), fmt.Sprint(g, "/", i)) })
			}
		}
		for range groups {
			d := e.one(c)
			e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, 3*time.Second, nil) })
		}
		for i := range groups { // others make the retried ones' groups leave memory
			e.commit(func(tx *queue.Tx) { grouped(tx, "q", fmt.Sprint("h", i), fmt.Sprint("h", i)) })
			e.pass(time.Millisecond)
		}
		e.check()
		e.pass(3 * time.Second)
		e.check()
		e.crash()
		e.check()
		c = e.subscribe("q", nil)
		if got := e.drain(c); len(got) != 4*groups {
			e.Errorf("%d of %d items came", len(got), 4*groups)
		}
	}},
	{name: "an item retried in a long queue survives a crash", check: func(e *env) {
		c := e.subscribe("q", nil)
		const n = 20_000
		e.putNumbered("q", n)
		d := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(d, time.Minute, nil) })
		for got := 1; got < n-100; {
			ds := e.receive(c, min(100, n-100-got))
			got += len(ds)
			e.ack(ds...)
		}
		e.pass(time.Minute)
		e.check()
		e.crash()
		e.check()
		c = e.subscribe("q", nil)
		if got := e.drain(c); len(got) != 101 {
			e.Errorf("%d items came after the crash, want the 100 not taken and the retried one", len(got))
		}
	}},
	{name: "items beyond ItemMemory stay on disk and keep their order", opts: &queue.Options{ItemMemory: 1 << 10}, check: func(e *env) {
		c := e.subscribe("q", nil)
		var want []string
		for i := range 500 {
			body := fmt.Sprintf("%0100d", i)
			want = append(want, body)
			e.put("q", body)
		}
		e.wants("order", e.drain(c), want...)
	}},
	{name: "a slow driver makes no difference", opts: &queue.Options{GroupMemory: 4}, check: func(e *env) {
		e.must(e.s.Close())
		e.wrap = slow
		e.open()
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MaxInFlight: 1}})
		for round := range 3 {
			for g := range 20 {
				e.commit(func(tx *queue.Tx) { grouped(tx, "q", fmt.Sprint("g", g), fmt.Sprint(round)) })
			}
			for range 10 {
				e.ack(e.one(c))
			}
			e.check()
			e.pass(7 * time.Second) // empty groups are forgotten
			e.check()
		}
		if got := e.drain(c); len(got) != 30 {
			e.Errorf("%d of 30 items came", len(got))
		}
		e.pass(7 * time.Second)
	}},
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
