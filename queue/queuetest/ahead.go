package queuetest

import (
	"context"
	"slices"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// submit commits a transaction in a goroutine, and returns when the store has
// done with it what it can without the driver.
func (e *env) submit(tx *queue.Tx) <-chan error {
	done := make(chan error, 1)
	go func() { done <- e.s.Commit(e.ctx, tx) }()
	synctest.Wait()
	return done
}

// twoAtOnce commits two transactions, the second of which is submitted while
// the first is being written.
func (e *env) twoAtOnce(first, second func(tx *queue.Tx)) (queue.Result, queue.Result) {
	e.Helper()
	var a, b queue.Tx
	first(&a)
	second(&b)
	e.gate.shut()
	one, two := e.submit(&a), e.submit(&b)
	e.gate.open()
	e.must(<-one)
	e.must(<-two)
	return a.Result(), b.Result()
}

// aheadPromises are about transactions that come while one is being written: a
// store may plan them before that one is durable.
var aheadPromises = []promise{
	{name: "nothing of any change shows before it is durable", check: checkUnseen},
	{name: "a transaction is seen when it is durable, and not before", check: func(e *env) {
		e.put("q", "a")
		c := e.subscribe("q", nil)
		a := e.one(c)
		e.gate.shut()
		var first, second queue.Tx
		first.Enqueue("q", item("b"))
		first.Put("t", "first", nil)
		second.Enqueue("q", item("c"))
		second.Put("t", "second", nil)
		second.Ack(a)
		one, two := e.submit(&first), e.submit(&second)
		if st := e.stats("q"); st.Ready != 0 || st.Leased != 1 || st.Totals.Enqueued != 1 {
			e.Errorf("before the first is durable: %+v", st)
		}
		e.none(c, "nothing is durable")
		e.gate.letOne()
		e.must(<-one)
		synctest.Wait()
		if st := e.stats("q"); st.Ready != 1 || st.Leased != 1 || st.Totals.Enqueued != 2 || st.Totals.Acked != 0 {
			e.Errorf("when the first is durable: %+v", st)
		}
		e.wants("what waits when the first is durable", bodies(e.now(c, 10)), "b")
		if _, err := e.s.Get(e.ctx, "t", "second"); err == nil {
			e.Error("the second was there before it was durable")
		}
		select {
		case err := <-two:
			e.Errorf("the second was answered before it was durable: %v", err)
		default:
		}
		e.gate.open()
		e.must(<-two)
		e.wants("what waits at the end", bodies(e.now(c, 10)), "c")
	}},
	{name: "a name that is removed while a session takes it is registered again", check: func(e *env) {
		o := &queue.SubscribeOptions{Durable: "name"}
		e.must(e.subscribe("q", o).Close())
		e.gate.shut()
		var tx queue.Tx
		tx.Put("t", "k", nil)
		done := e.submit(&tx)
		subscribed, removed := make(chan *queue.Consumer), make(chan error)
		go func() { subscribed <- e.subscribe("q", o) }()
		synctest.Wait()
		go func() { removed <- e.s.Unsubscribe(e.ctx, "q", "name") }()
		synctest.Wait()
		e.gate.open() // both are in one batch, the removal last
		e.must(<-done)
		c := <-subscribed
		e.must(<-removed)
		names, err := e.s.Subscriptions(e.ctx, "q")
		e.must(err)
		e.wants("names", names, "name")
		e.barrier("q", "b")
		e.ack(e.tell(c))
	}},
	{name: "a crash between two transactions leaves the first alone", check: func(e *env) {
		e.put("q", "a")
		a := e.one(e.subscribe("q", nil))
		e.gate.shut()
		var first, second queue.Tx
		first.Enqueue("q", item("b"))
		second.Enqueue("q", item("c"))
		second.Ack(a)
		one, two := e.submit(&first), e.submit(&second)
		e.gate.letOne()
		e.must(<-one)
		disk := e.disk.Crash(e)
		e.gate.open()
		e.must(<-two)
		e.must(e.s.Close())
		e.disk = disk
		e.open()
		got := e.waiting("q")
		slices.Sort(got)
		e.wants("what waits after the crash", got, "a:ready", "b:ready")
	}},
	{name: "a key that is being stored is known", check: func(e *env) {
		once := func(body string) func(tx *queue.Tx) {
			return func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Body: []byte(body), Key: "k"}) }
		}
		e.put("q", "other")
		a, b := e.twoAtOnce(once("a"), once("b"))
		if a.Enqueued != 1 || b.Enqueued != 0 || b.Duplicates != 1 {
			e.Errorf("got %+v and %+v", a, b)
		}
	}},
	{name: "a counter that is being added to is added to again", check: func(e *env) {
		for range 2 {
			e.twoAtOnce(func(tx *queue.Tx) { tx.Add("t", "n", 1) }, func(tx *queue.Tx) { tx.Add("t", "n", 10) })
		}
		value, err := e.s.Get(e.ctx, "t", "n")
		e.must(err)
		if string(value) != "22" {
			e.Errorf("the counter is %s, want 22", value)
		}
		e.twoAtOnce(func(tx *queue.Tx) { tx.Put("t", "n", []byte("100")) }, func(tx *queue.Tx) { tx.Add("t", "n", 5) })
		if value, err = e.s.Get(e.ctx, "t", "n"); err != nil || string(value) != "105" {
			e.Errorf("the counter is %s, %v, want 105", value, err)
		}
	}},
	{name: "a group that is being delayed stays delayed", check: func(e *env) {
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MinDelay: time.Second}})
		e.commit(func(tx *queue.Tx) {
			grouped(tx, "q", "g", "a")
			grouped(tx, "q", "g", "b")
		})
		a := e.one(e.subscribe("q", nil))
		until := time.Now().Add(time.Hour)
		e.twoAtOnce(func(tx *queue.Tx) { tx.DelayGroup("q", "g", until) }, func(tx *queue.Tx) { tx.Ack(a) })
		for range 2 {
			c := e.subscribe("q", nil)
			e.pass(time.Until(until) - time.Second)
			e.none(c, "the group is delayed")
			until = time.Now().Add(time.Second)
			e.crash()
		}
	}},
	{name: "a group that is being forgotten for being idle comes back", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "a") })
		e.ack(e.one(c))
		e.gate.shut()
		e.pass(time.Hour) // the lane of the group is dropped some time
		var tx queue.Tx
		grouped(&tx, "q", "g", "b")
		done := e.submit(&tx)
		e.gate.open()
		e.must(<-done)
		e.wants("what comes", bodies(e.now(c, 10)), "b")
		e.crash()
		e.wants("what comes after a crash", bodies(e.now(e.subscribe("q", nil), 10)), "b")
	}},
	{name: "an epoch that is being opened takes what comes", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.barrier("q", "end")
		end := e.tell(c)
		e.twoAtOnce(func(tx *queue.Tx) { tx.Ack(end) }, func(tx *queue.Tx) { tx.Enqueue("q", item("a")) })
		e.wants("what comes", bodies(e.now(c, 10)), "a")
	}},
	{name: "a queue that is being made takes what comes", check: func(e *env) {
		e.twoAtOnce(func(tx *queue.Tx) { tx.Enqueue("new", item("a")) }, func(tx *queue.Tx) { tx.Enqueue("new", item("b")) })
		e.wants("what waits", e.waiting("new"), "a:ready", "b:ready")
	}},
	{name: "CommitDelay lets transactions gather", opts: &queue.Options{CommitDelay: time.Second}, check: func(e *env) {
		begin := time.Now()
		e.put("q", "a")
		e.put("q", "b")
		if took := time.Since(begin); took != 0 {
			e.Errorf("two that came alone took %v", took)
		}
		e.gate.shut()
		var txs [3]queue.Tx
		var done []<-chan error
		for i := range txs {
			txs[i].Enqueue("q", item(string(rune('c'+i))))
			done = append(done, e.submit(&txs[i]))
		}
		e.gate.letOne()
		e.must(<-done[0])
		e.pass(900 * time.Millisecond)
		if n := e.stats("q").Ready; n != 3 {
			e.Errorf("%d items are there before the delay is over, want 3", n)
		}
		e.gate.open()
		e.must(<-done[1])
		e.must(<-done[2])
		if took := time.Since(begin); took != time.Second {
			e.Errorf("all took %v, want one delay", took)
		}
	}},
	{name: "CommitDelay keeps nothing back when all that is held is settled", opts: &queue.Options{CommitDelay: time.Second}, check: func(e *env) {
		e.put("q", "a", "b", "c", "d")
		e.pass(time.Second)
		c := e.subscribe("q", nil)
		held := e.now(c, 4)
		e.gate.shut()
		begin := time.Now()
		var done []<-chan error
		for _, d := range held {
			var tx queue.Tx
			tx.Ack(d)
			done = append(done, e.submit(&tx))
		}
		e.gate.letOne()
		e.must(<-done[0])
		e.gate.open()
		for _, d := range done[1:] {
			e.must(<-d)
		}
		if took := time.Since(begin); took != 0 {
			e.Errorf("all took %v", took)
		}
	}},
	{name: "a transaction whose context had ended before may be committed again", check: func(e *env) {
		ended, cancel := context.WithCancel(e.ctx)
		cancel()
		var tx queue.Tx
		tx.Enqueue("q", item("a"))
		e.is("Commit with a context that has ended", e.s.Commit(ended, &tx), context.Canceled)
		e.must(e.s.Commit(e.ctx, &tx))
		e.wants("what waits", e.waiting("q"), "a:ready")
	}},
	{name: "a transaction whose context ended while it was written is not committed again", check: func(e *env) {
		e.gate.shut()
		ctx, cancel := context.WithCancel(e.ctx)
		var tx queue.Tx
		tx.Enqueue("q", item("a"))
		done := make(chan error, 1)
		go func() { done <- e.s.Commit(ctx, &tx) }()
		synctest.Wait()
		cancel()
		e.is("Commit whose context ends", <-done, context.Canceled)
		e.gate.open()
		e.is("the second Commit", e.s.Commit(e.ctx, &tx), queue.ErrInvalid)
		tx.Reset()
		tx.Enqueue("q", item("b"))
		e.must(e.s.Commit(e.ctx, &tx))
		e.wants("what waits", e.waiting("q"), "a:ready", "b:ready")
	}},
	{name: "the store can be closed while a transaction is being written", check: func(e *env) {
		e.put("q", "a")
		e.gate.shut()
		var first, second queue.Tx
		first.Enqueue("q", item("b"))
		second.Enqueue("q", item("c"))
		one, two := e.submit(&first), e.submit(&second)
		closed := make(chan error)
		go func() { closed <- e.s.Close() }()
		synctest.Wait()
		e.gate.open()
		e.must(<-one)
		err := <-two
		e.must(<-closed)
		e.open()
		want := []string{"a:ready", "b:ready"}
		if err == nil {
			want = append(want, "c:ready")
		}
		e.wants("what waits", e.waiting("q"), want...)
	}},
}
