package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// flowPromises are about high-water marks, pausing and draining, and failure.
var flowPromises = []promise{
	{name: "a queue at its mark refuses those who settle nothing", check: func(e *env) {
		c := e.subscribe("q", nil)
		in := e.subscribe("in", nil)
		e.configure("q", queue.Config{HighWaterItems: 2})
		e.put("q", "1", "2", "3") // one transaction may go past the mark
		if !e.s.Full(e.ctx, "q") || e.s.Full(e.ctx, "unknown") || !e.stats("q").Full {
			e.Error("Full is wrong")
		}
		_, err := e.try(func(tx *queue.Tx) { tx.Put("t", "k", nil); tx.Enqueue("q", item("4")) })
		e.is("Commit", err, queue.ErrQueueFull)
		_, err = e.s.Get(e.ctx, "t", "k")
		e.is("Get", err, queue.ErrNotFound)
		e.put("in", "x")
		d := e.one(in)
		e.commit(func(tx *queue.Tx) { tx.WaitIfFull(); tx.Ack(d); tx.Enqueue("q", item("4")) })
		e.wants("all", e.drain(c), "1", "2", "3", "4")
	}},
	{name: "a mark in bytes", check: func(e *env) {
		e.configure("q", queue.Config{HighWaterBytes: 100})
		e.put("q", strings.Repeat("x", 50))
		e.put("q", strings.Repeat("x", 50))
		_, err := e.try(func(tx *queue.Tx) { tx.Enqueue("q", item("")) })
		e.is("Commit", err, queue.ErrQueueFull)
	}},
	{name: "WaitIfFull waits for space", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{HighWaterItems: 1})
		e.put("q", "0")
		done := make(chan error)
		for i := range 3 {
			go func() {
				_, err := e.try(func(tx *queue.Tx) { tx.WaitIfFull(); tx.Enqueue("q", item(fmt.Sprint(i))) })
				done <- err
			}()
		}
		synctest.Wait()
		for range 4 {
			if n := e.stats("q").Ready; n != 1 {
				e.Errorf("%d items are ready", n)
			}
			e.ack(e.one(c))
			synctest.Wait()
		}
		for range 3 {
			e.must(<-done)
		}
		e.put("q", "x")
		ctx, cancel := context.WithTimeoutCause(e.ctx, time.Second, errWork)
		defer cancel()
		var tx queue.Tx
		tx.WaitIfFull()
		tx.Enqueue("q", item("y"))
		e.is("Commit", e.s.Commit(ctx, &tx), errWork)
		e.is("WaitSpace", e.s.WaitSpace(ctx, "q"), errWork)
		e.configure("q", queue.Config{})
		e.must(e.s.WaitSpace(e.ctx, "q"))
		e.wants("left", e.waiting("q"), "x:ready")
	}},
	{name: "a transaction that waited does not forget what became known meanwhile", check: func(e *env) {
		// The marks of more keys than the committer remembers are written
		// between the transaction's first try and its second.
		many := func(prefix string, n int) {
			for from := 0; from < n; from += 1000 {
				e.commit(func(tx *queue.Tx) {
					for i := from; i < min(n, from+1000); i++ {
						tx.Enqueue("q", queue.Item{Key: fmt.Sprint(prefix, i)})
					}
				})
			}
		}
		e.configure("full", queue.Config{HighWaterItems: 1})
		e.put("full", "x")
		many("a", 16<<10-400)
		done := make(chan queue.Result)
		go func() {
			done <- e.commit(func(tx *queue.Tx) {
				tx.WaitIfFull()
				tx.Enqueue("q", queue.Item{Key: "key"})
				tx.Enqueue("full", item("y"))
			})
		}()
		synctest.Wait()
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Key: "key"})
			for i := range 800 {
				tx.Enqueue("q", queue.Item{Key: fmt.Sprint("b", i)})
			}
		})
		many("c", 16<<10)
		e.configure("full", queue.Config{})
		if r := <-done; r.Duplicates != 1 {
			e.Errorf("a key was taken twice: %+v", r)
		}
	}},
	{name: "Pause and Resume survive a restart", check: func(e *env) {
		e.put("q", "x")
		e.commit(func(tx *queue.Tx) { tx.Pause("q") })
		e.crash()
		c := e.subscribe("q", nil)
		e.none(c, "paused")
		e.commit(func(tx *queue.Tx) { tx.Configure("q", queue.Config{MaxAttempts: 2}) })
		e.none(c, "Configure does not resume")
		e.commit(func(tx *queue.Tx) { tx.Resume("q") })
		e.wants("resumed", e.drain(c), "x")
		if cfg, err := e.s.Config(e.ctx, "q"); err != nil || cfg.MaxAttempts != 2 {
			e.Errorf("Config = %+v, %v", cfg, err)
		}
	}},
	{name: "Resume wakes those who wait", check: func(e *env) {
		e.put("q", "x")
		e.commit(func(tx *queue.Tx) { tx.Pause("q") })
		c := e.subscribe("q", nil)
		got := make(chan error)
		go func() { _, err := c.Receive(e.ctx, 1); got <- err }()
		synctest.Wait()
		e.commit(func(tx *queue.Tx) { tx.Resume("q") })
		e.must(<-got)
	}},
	{name: "Drain pauses and returns when nothing is held", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "1", "2", "3")
		ds := e.receive(c, 2)
		done := make(chan error, 1)
		go func() { done <- e.s.Drain(e.ctx, "q") }()
		synctest.Wait()
		e.none(c, "the queue is draining")
		e.ack(ds[0])
		synctest.Wait()
		if len(done) > 0 {
			e.Error("Drain returned while an item is held")
		}
		e.must(c.Close())
		e.must(<-done)
		e.must(e.s.Drain(e.ctx, "q"))
		if !e.stats("q").Paused {
			e.Error("the queue is not paused")
		}
	}},
	{name: "DrainGroup drains one group and leaves its other settings", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.SetGroup("q", "g", queue.GroupSettings{MaxInFlight: 5})
			grouped(tx, "q", "g", "g0")
			grouped(tx, "q", "g", "g1")
		})
		d := e.one(c)
		ctx, cancel := context.WithTimeoutCause(e.ctx, time.Second, errWork)
		defer cancel()
		e.is("DrainGroup", e.s.DrainGroup(ctx, "q", "g"), errWork)
		e.put("q", "other")
		e.wants("others go on", e.drain(c), "other")
		e.ack(d)
		e.must(e.s.DrainGroup(e.ctx, "q", "g"))
		if g, err := e.s.GroupSettings(e.ctx, "q", "g"); err != nil || !g.Paused || g.MaxInFlight != 5 {
			e.Errorf("settings = %+v, %v", g, err)
		}
	}},
	{name: "a nearly full disk refuses what is new, and drains", opts: &queue.Options{MinFree: 1000}, check: func(e *env) {
		var full *fullDriver
		e.wrap = func(db driver.Store) driver.Store {
			full = &fullDriver{Store: db, free: math.MaxInt64}
			return full
		}
		e.reopen()
		e.put("q", "x", "y")
		c := e.subscribe("q", nil)
		lost := e.subscribe("q", &queue.SubscribeOptions{Lease: time.Second, Prefetch: 1})
		e.one(lost)
		full.set(500)
		e.pass(time.Second / 2)
		_, err := e.try(func(tx *queue.Tx) { tx.Enqueue("q", item("z")) })
		e.is("Enqueue", err, queue.ErrDiskFull)
		d := e.one(c)
		e.ack(d)
		full.set(100)
		e.pass(time.Hour) // the store must not spin meanwhile
		full.set(math.MaxInt64)
		e.pass(time.Second)
		e.wants("after space was made", e.drain(c), "x")
		e.put("q", "z")
	}},
	{name: "ErrFailed comes from every call after the backend has failed", check: func(e *env) {
		disk := e.disk
		e.must(e.s.Close())
		var f *Faulty
		e.wrap = func(db driver.Store) driver.Store {
			f = NewFaulty(db, Fault{Method: "Commit", At: 4})
			return f
		}
		e.open()
		c := e.subscribe("q", nil)
		e.put("q", "x")
		got := make(chan error, 3)
		id := e.barrier("q", "b")
		d := e.one(c)
		go func() { _, err := c.Receive(e.ctx, 1); got <- err }()
		go func() { got <- e.s.WaitBarrier(e.ctx, id) }()
		go func() { got <- e.s.Drain(e.ctx, "q") }()
		synctest.Wait()
		if !f.Died() {
			var tx queue.Tx
			tx.Ack(d)
			e.is("Commit", e.s.Commit(e.ctx, &tx), queue.ErrFailed)
		}
		for range 3 {
			e.is("a waiting call", <-got, queue.ErrFailed)
		}
		_, err := e.try(func(tx *queue.Tx) { tx.Put("t", "k", nil) })
		e.is("a later Commit", err, queue.ErrFailed)
		if _, front := e.disk.(Front); !front { // through which the error comes as text
			e.is("its cause", err, ErrInjected)
		}
		_, err = c.Receive(e.ctx, 1)
		e.is("Receive", err, queue.ErrFailed)
		_, err = e.s.Subscribe(e.ctx, "q", nil)
		e.is("Subscribe", err, queue.ErrFailed)
		_, err = e.s.Get(e.ctx, "t", "k")
		e.is("Get", err, queue.ErrFailed)
		e.is("Check", e.s.Check(e.ctx), queue.ErrFailed)
		e.s.Close()
		e.wrap, e.disk = nil, disk
		e.open()
		e.wants("after reopening", e.waiting("q"), "x:ready")
	}},
}

// lookPromises are about Browse, Stats, Remove, Config and events.
var lookPromises = []promise{
	{name: "Browse pages through all unsettled items without leasing them", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			for i := range 7 {
				tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, i), Group: fmt.Sprint(i % 2)})
				tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, "d", i), Delay: time.Hour})
			}
			tx.Barrier("q", nil)
			tx.Enqueue("q", item("later"))
		})
		e.one(c)
		seen := map[string]queue.State{}
		var last *queue.Waiting
		for {
			page, err := e.s.Browse(e.ctx, "q", last, 4)
			e.must(err)
			for _, w := range page {
				if _, twice := seen[string(w.Item.Body)]; twice {
					e.Errorf("%q twice", w.Item.Body)
				}
				seen[string(w.Item.Body)] = w.State
			}
			if len(page) < 4 {
				break
			}
			last = &page[3]
		}
		counts := map[queue.State]int{}
		for _, s := range seen {
			counts[s]++
		}
		if len(seen) != 15 || counts[queue.StateLeased] != 1 || counts[queue.StateDelayed] != 7 {
			e.Errorf("%d items, %v", len(seen), counts)
		}
	}},
	{name: "Remove drops waiting items and leaves others alone", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("leased"), Priority: 1}, item("ready"), queue.Item{Body: []byte("delayed"), Delay: time.Minute})
			tx.Enqueue("q", queue.Item{Body: []byte("due"), Delay: time.Second, Key: "k", Mode: queue.OnceLive})
			tx.Enqueue("q", queue.Item{Body: []byte("done"), Priority: 2})
		})
		done := e.one(c)
		leased := e.one(c)
		page, err := e.s.Browse(e.ctx, "q", nil, 10)
		e.must(err)
		e.ack(done)
		e.pass(time.Second) // one of the delayed items is ready now
		e.commit(func(tx *queue.Tx) { tx.Remove(page...); tx.Remove(page...) })
		e.wants("left", e.waiting("q"), "leased:leased")
		if st := e.stats("q"); st.Totals.Dropped != 3 {
			e.Errorf("totals = %+v", st.Totals)
		}
		e.none(c, "all was removed")
		e.ack(leased)
		if n := e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.OnceLive}) }).Enqueued; n != 1 {
			e.Error("the key of a removed item is still live")
		}
	}},
	{name: "Stats are exact", check: func(e *env) {
		c := e.subscribe("q", nil)
		want := func(when string, ready, delayed, leased, later, dead int64) {
			e.Helper()
			st := e.stats("q")
			if st.Ready != ready || st.Delayed != delayed || st.Leased != leased || st.Later != later || st.Dead != dead {
				e.Errorf("%s: %+v", when, st)
			}
		}
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", item("1"), item("2"), item("3"), item("4"), queue.Item{Delay: time.Minute})
			tx.Barrier("q", nil)
			tx.Enqueue("q", item("5"), queue.Item{Delay: time.Minute})
		})
		want("enqueued", 4, 1, 0, 2, 0)
		ds := e.receive(c, 4)
		want("taken", 0, 1, 4, 2, 0)
		e.commit(func(tx *queue.Tx) {
			tx.Ack(ds[0])
			tx.Bury(ds[1], nil)
			tx.Retry(ds[2], nil)
			tx.Release(ds[3])
		})
		want("settled", 1, 2, 0, 2, 1)
		e.reopen()
		want("reopened", 1, 2, 0, 2, 1)
		if st := e.stats("q"); st.Totals != (queue.Totals{Enqueued: 7, Acked: 1, Buried: 1, Retried: 1}) || st.Bytes <= 0 || st.Barriers != 1 {
			e.Errorf("stats = %+v", st)
		}
		e.put("a", "x")
		all := e.all()
		if len(all) != 2 || all[0].Name != "a" || all[1].Name != "q" {
			e.Errorf("Stats = %+v", all)
		}
		c = e.subscribe("q", nil)
		e.pass(time.Hour)
		e.drain(c)
		want("drained", 0, 0, 0, 0, 1)
		if b := e.stats("q").Bytes; b != 0 {
			e.Errorf("%d bytes of nothing", b)
		}
	}},
	{name: "Config is stored", check: func(e *env) {
		cfg := queue.Config{MaxAttempts: 3, MaxInFlight: 4, HighWaterItems: 5, HighWaterBytes: 6, Backoff: queue.Backoff{Min: 1, Max: 2, Jitter: 0.5}, Groups: queue.GroupPolicy{MaxInFlight: 7, MinDelay: 8}}
		e.configure("q", cfg)
		e.crash()
		if got, err := e.s.Config(e.ctx, "q"); err != nil || got != cfg {
			e.Errorf("Config = %+v, %v", got, err)
		}
	}},
	{name: "events tell what has happened, in order", check: func(e *env) {
		var got []string
		opts := &queue.Options{OnEvent: func(ev queue.Event) {
			got = append(got, fmt.Sprint(ev.Kind, " ", ev.Queue, " ", ev.Epoch))
			if ev.Kind == queue.EventBuried {
				panic("a hook that panics is not the store's end")
			}
		}}
		e.opts = opts
		e.reopen()
		c := e.subscribe("q", nil)
		e.put("q", "x")
		d := e.one(c)
		e.barrier("q", "b")
		e.commit(func(tx *queue.Tx) { tx.Bury(d, errWork) })
		e.ack(e.tell(c))
		e.must(e.s.Close())
		e.wants("events", got, "item buried q 0", "barrier released q 0", "epoch opened q 1")
		e.open()
	}},
}

// refusePromises are about bad input: each kind has its sentinel, and no
// effect.
var refusePromises = []promise{
	{name: "a transaction with a bad argument", opts: &queue.Options{MaxItem: 1000}, check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "x")
		d := e.one(c)
		long := strings.Repeat("x", 5000)
		headers := map[string]string{}
		for i := range 100 {
			headers[fmt.Sprint(i)] = ""
		}
		enqueue := func(it queue.Item) func(*queue.Tx) {
			return func(tx *queue.Tx) { tx.Enqueue("q", it) }
		}
		configure := func(c queue.Config) func(*queue.Tx) {
			return func(tx *queue.Tx) { tx.Configure("q", c) }
		}
		for _, bad := range []struct {
			name  string
			build func(tx *queue.Tx)
			want  error
		}{
			{"empty queue name", func(tx *queue.Tx) { tx.Enqueue("", item("")) }, queue.ErrInvalid},
			{"long queue name", func(tx *queue.Tx) { tx.Enqueue(long, item("")) }, queue.ErrInvalid},
			{"zero byte in a queue name", func(tx *queue.Tx) { tx.Barrier("a\x00b", nil) }, queue.ErrInvalid},
			{"empty table name", func(tx *queue.Tx) { tx.Put("", "k", nil) }, queue.ErrInvalid},
			{"empty key of a table", func(tx *queue.Tx) { tx.Put("t", "", nil) }, queue.ErrInvalid},
			{"long key of a table", func(tx *queue.Tx) { tx.Delete("t", long[:queue.MaxTableKey+1]) }, queue.ErrInvalid},
			{"large record", func(tx *queue.Tx) { tx.Put("t", "k", make([]byte, 1001)) }, queue.ErrTooLarge},
			{"large body", enqueue(queue.Item{Body: make([]byte, 1001)}), queue.ErrTooLarge},
			{"large barrier", func(tx *queue.Tx) { tx.Barrier("q", make([]byte, 1001)) }, queue.ErrTooLarge},
			{"long key", enqueue(queue.Item{Key: long[:queue.MaxKey+1]}), queue.ErrTooLarge},
			{"long headers", enqueue(queue.Item{Headers: map[string]string{"h": long}}), queue.ErrTooLarge},
			{"many headers", enqueue(queue.Item{Headers: headers}), queue.ErrTooLarge},
			{"long group", enqueue(queue.Item{Group: long[:queue.MaxGroup+1]}), queue.ErrInvalid},
			{"zero byte in a group", enqueue(queue.Item{Group: "a\x00"}), queue.ErrInvalid},
			{"high priority", enqueue(queue.Item{Priority: queue.MaxPriority + 1}), queue.ErrInvalid},
			{"low priority", enqueue(queue.Item{Priority: -queue.MaxPriority - 1}), queue.ErrInvalid},
			{"negative delay", enqueue(queue.Item{Delay: -1}), queue.ErrInvalid},
			{"unknown mode", enqueue(queue.Item{Key: "k", Mode: 3}), queue.ErrInvalid},
			{"expiry before 1970", enqueue(queue.Item{Expires: time.Unix(-5, 0)}), queue.ErrInvalid},
			{"time before 1970", enqueue(queue.Item{NotBefore: time.Unix(-5, 0)}), queue.ErrInvalid},
			{"empty group name", func(tx *queue.Tx) { tx.SetGroup("q", "", queue.GroupSettings{Paused: true}) }, queue.ErrInvalid},
			{"group time far away", func(tx *queue.Tx) {
				tx.DelayGroup("q", "g", time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC))
			}, queue.ErrInvalid},
			{"empty key to forget", func(tx *queue.Tx) { tx.Forget("q", "") }, queue.ErrInvalid},
			{"negative MaxInFlight", configure(queue.Config{MaxInFlight: -1}), queue.ErrInvalid},
			{"negative group limit", configure(queue.Config{Groups: queue.GroupPolicy{MaxInFlight: -1}}), queue.ErrInvalid},
			{"negative group delay", configure(queue.Config{Groups: queue.GroupPolicy{MinDelay: -1}}), queue.ErrInvalid},
			{"negative back-off", configure(queue.Config{Backoff: queue.Backoff{Min: -1}}), queue.ErrInvalid},
			{"back-off upside down", configure(queue.Config{Backoff: queue.Backoff{Min: 2, Max: 1}}), queue.ErrInvalid},
			{"jitter above 1", configure(queue.Config{Backoff: queue.Backoff{Jitter: 1.5}}), queue.ErrInvalid},
			{"jitter not a number", configure(queue.Config{Backoff: queue.Backoff{Jitter: math.NaN()}}), queue.ErrInvalid},
			{"negative mark", configure(queue.Config{HighWaterBytes: -1}), queue.ErrInvalid},
			{"negative retry delay", func(tx *queue.Tx) { tx.RetryAfter(d, -1, nil) }, queue.ErrInvalid},
			{"no delivery", func(tx *queue.Tx) { tx.Ack(nil) }, queue.ErrInvalid},
			{"unknown queue to pause", func(tx *queue.Tx) { tx.Pause("unknown") }, queue.ErrUnknownQueue},
			{"unknown queue to resume", func(tx *queue.Tx) { tx.Resume("unknown") }, queue.ErrUnknownQueue},
			{"unknown queue to forget in", func(tx *queue.Tx) { tx.Forget("unknown", "k") }, queue.ErrUnknownQueue},
			{"unknown queue of dead letters", func(tx *queue.Tx) { tx.RetryDead("unknown", 1) }, queue.ErrUnknownQueue},
			{"unknown queue of dead letters to drop", func(tx *queue.Tx) { tx.DropDead("unknown", 1) }, queue.ErrUnknownQueue},
			{"more than a batch holds", func(tx *queue.Tx) {
				for range 200_000 {
					tx.Delete("t", "k")
				}
			}, queue.ErrTooLarge},
		} {
			_, err := e.try(func(tx *queue.Tx) {
				tx.Ack(d)
				tx.Put("t", "before", nil)
				tx.Enqueue("new", item("x"))
				bad.build(tx)
				tx.Put("t", "after", nil)
			})
			e.is(bad.name, err, bad.want)
		}
		if records, err := e.s.Scan(e.ctx, "t", "", "", 10); err != nil || len(records) != 0 {
			e.Errorf("refused transactions have left %v, %v", records, err)
		}
		if _, err := e.s.QueueStats(e.ctx, "new"); !errors.Is(err, queue.ErrUnknownQueue) {
			e.Errorf("refused transactions have made a queue: %v", err)
		}
		e.ack(d)
	}},
	{name: "a call with a bad argument", check: func(e *env) {
		c := e.subscribe("q", nil)
		sub := func(o queue.SubscribeOptions) error {
			_, err := e.s.Subscribe(e.ctx, "q", &o)
			return err
		}
		_, recErr := c.Receive(e.ctx, 0)
		_, nameErr := e.s.Subscribe(e.ctx, "", nil)
		_, scanErr := e.s.Scan(e.ctx, "t", "", "", 0)
		_, getErr := e.s.Get(e.ctx, "", "k")
		_, browseErr := e.s.Browse(e.ctx, "q", nil, 0)
		_, deadErr := e.s.DeadLetters(e.ctx, "q", 0, 0)
		for name, err := range map[string]error{
			"Receive of none": recErr, "Subscribe without a name": nameErr, "Scan of none": scanErr,
			"Get without a table": getErr, "Browse of none": browseErr, "DeadLetters of none": deadErr,
			"negative Prefetch": sub(queue.SubscribeOptions{Prefetch: -1}), "negative Lease": sub(queue.SubscribeOptions{Lease: -1}),
			"unknown barrier mode": sub(queue.SubscribeOptions{Barriers: 3}), "long durable name": sub(queue.SubscribeOptions{Durable: strings.Repeat("x", 200)}),
			"durable without barriers": sub(queue.SubscribeOptions{Durable: "n", Barriers: queue.NoBarriers}),
			"bad filter":               sub(queue.SubscribeOptions{Filter: &queue.Filter{Group: "\x00"}}),
			"DrainGroup of none":       e.s.DrainGroup(e.ctx, "q", ""),
		} {
			e.is(name, err, queue.ErrInvalid)
		}
		names, err := e.s.Subscriptions(e.ctx, "q")
		if err != nil || len(names) != 0 {
			e.Errorf("refused subscriptions have left names %v, %v", names, err)
		}
	}},
	{name: "a queue that does not exist", check: func(e *env) {
		_, browseErr := e.s.Browse(e.ctx, "u", nil, 1)
		_, deadErr := e.s.DeadLetters(e.ctx, "u", 0, 1)
		_, barriersErr := e.s.Barriers(e.ctx, "u")
		_, statsErr := e.s.QueueStats(e.ctx, "u")
		_, configErr := e.s.Config(e.ctx, "u")
		_, holdErr := e.s.Holding(e.ctx, "u")
		_, seenErr := e.s.Seen(e.ctx, "u", "k")
		_, subsErr := e.s.Subscriptions(e.ctx, "u")
		_, groupErr := e.s.GroupSettings(e.ctx, "u", "g")
		for name, err := range map[string]error{
			"Browse": browseErr, "DeadLetters": deadErr, "Barriers": barriersErr, "QueueStats": statsErr, "Config": configErr,
			"Holding": holdErr, "Seen": seenErr, "Subscriptions": subsErr, "GroupSettings": groupErr, "Drain": e.s.Drain(e.ctx, "u"),
			"Unsubscribe": e.s.Unsubscribe(e.ctx, "u", "n"), "WaitBarrier": e.s.WaitBarrier(e.ctx, queue.BarrierID{Queue: "u"}),
		} {
			e.is(name, err, queue.ErrUnknownQueue)
		}
		if n := len(e.all()); n != 0 {
			e.Errorf("%d queues have come into being", n)
		}
	}},
}
