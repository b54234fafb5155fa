package queuetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// eod makes each item with this header a barrier.
var eod = &queue.Filter{Headers: map[string]string{"eod": "1"}}

// survives commits a transaction that may be too large, and goes on with a store
// that must be as well as before, now and after it was opened again.
func (e *env) survives(what string, build func(tx *queue.Tx)) {
	e.Helper()
	if _, err := e.try(build); err != nil && !errors.Is(err, queue.ErrTooLarge) {
		e.Fatalf("%s: %v", what, err)
	}
	e.commit(func(tx *queue.Tx) { tx.Put("alive", what, nil) })
	e.check()
	e.reopen()
	e.commit(func(tx *queue.Tx) { tx.Put("alive", what, []byte("again")) })
}

// oversizedPromises are about transactions near the limit of a batch, and beyond.
var oversizedPromises = []promise{
	{name: "items that become barriers", check: func(e *env) {
		e.configure("q", queue.Config{BarrierOn: eod})
		e.put("other", "x")
		size := min(e.s.MaxItem(), e.limits.Bytes/3)
		for _, n := range []int{1, 2, 3, 4} {
			e.survives(fmt.Sprint(n, " large bodies"), func(tx *queue.Tx) {
				for range n {
					tx.Enqueue("q", queue.Item{Body: make([]byte, size), Headers: eod.Headers})
				}
			})
		}
		headers := map[string]string{"eod": "1", "html": strings.Repeat("<&>\x00", 1000)}
		for _, n := range []int{500, 1000, 4000} {
			e.survives(fmt.Sprint(n, " large headers"), func(tx *queue.Tx) {
				for range n {
					tx.Enqueue(fmt.Sprint("q", n), queue.Item{Headers: headers})
				}
				tx.Configure(fmt.Sprint("q", n), queue.Config{BarrierOn: eod})
			})
		}
	}},
	{name: "items that become barriers by the settings of their own transaction", check: func(e *env) {
		e.survives("settings and items", func(tx *queue.Tx) {
			tx.Configure("q", queue.Config{BarrierOn: eod})
			for range queue.MaxBarriers {
				tx.Enqueue("q", queue.Item{Body: make([]byte, 2000), Headers: eod.Headers}, item("between"))
			}
		})
		_, err := e.try(func(tx *queue.Tx) {
			tx.Configure("p", queue.Config{BarrierOn: eod})
			for range queue.MaxBarriers + 1 {
				tx.Enqueue("p", queue.Item{Headers: eod.Headers})
			}
		})
		e.is("one barrier too many", err, queue.ErrTooManyBarriers)
	}},
	{name: "settings with a large filter", check: func(e *env) {
		for what, f := range map[string]queue.Filter{
			"a header": {Headers: map[string]string{"a": strings.Repeat("x", 12<<20)}},
			"a key":    {Key: strings.Repeat("x", 12<<20)},
		} {
			_, err := e.try(func(tx *queue.Tx) { tx.Configure("q", queue.Config{BarrierOn: &f}) })
			e.is("a filter on "+what+" that no item can have", err, queue.ErrInvalid)
		}
		largest := queue.Filter{Key: strings.Repeat("k", queue.MaxKey), Group: strings.Repeat("g", queue.MaxGroup), Headers: map[string]string{"h": strings.Repeat("v", queue.MaxHeaders-1)}}
		e.configure("q", queue.Config{BarrierOn: &largest})
		e.survives("many settings", func(tx *queue.Tx) {
			for range 3000 {
				tx.Configure("q", queue.Config{BarrierOn: &largest})
				tx.Pause("q")
			}
		})
	}},
	{name: "dead letters retried in the transaction that buries them", check: func(e *env) {
		size := min(e.s.MaxItem(), e.limits.Bytes/6)
		for range 5 {
			e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Body: make([]byte, size)}) })
		}
		for n := range 5 {
			c := e.subscribe("q", nil)
			var ds []*queue.Delivery
			for len(ds) < 5 {
				ds = append(ds, e.receive(c, 5)...)
			}
			e.survives(fmt.Sprint(n, " dead letters"), func(tx *queue.Tx) {
				for _, d := range ds[:n] {
					tx.Bury(d, errors.New("x"))
					tx.RetryDead("q", d.ID)
				}
			})
		}
	}},
	{name: "a name that leaves opens an epoch with a large barrier", check: func(e *env) {
		e.commit(func(tx *queue.Tx) { tx.Barrier("q", make([]byte, e.s.MaxItem())) })
		e.subscribe("q", &queue.SubscribeOptions{Durable: "away", Barriers: queue.OnlyBarriers}).Close()
		c := e.subscribe("q", nil)
		e.ack(e.tell(c))
		e.gate.shut()
		var first, second queue.Tx
		first.Put("t", "first", nil)
		one := e.submit(&first)
		left := make(chan error, 1)
		go func() { left <- e.s.Unsubscribe(e.ctx, "q", "away") }()
		second.Put("t", "large", make([]byte, e.s.MaxItem()))
		two := e.submit(&second)
		third := e.submit(&queue.Tx{})
		e.gate.open()
		for _, done := range []<-chan error{one, left, two, third} {
			e.must(<-done)
		}
		synctest.Wait()
		if st := e.stats("q"); st.Epoch != 1 {
			e.Errorf("the epoch is %d, want 1", st.Epoch)
		}
	}},
	{name: "settings of a group whose items have every priority", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			for p := -queue.MaxPriority; p <= queue.MaxPriority; p++ {
				tx.Enqueue("q", queue.Item{Group: "g", Priority: p})
			}
		})
		e.commit(func(tx *queue.Tx) { tx.DelayGroup("q", "g", time.Now().Add(time.Hour)) })
		e.survives("settings", func(tx *queue.Tx) {
			for i := range 1000 {
				tx.SetGroup("q", "g", queue.GroupSettings{NotBefore: time.Now().Add(time.Hour - time.Duration(i)*time.Second)})
			}
		})
	}},
	{name: "a batch that the driver refuses costs only the transaction that is too large", check: func(e *env) {
		e.stingy, e.mood = new(stingy), func(writes []driver.Write) bool {
			for _, w := range writes {
				if bytes.Contains(w.Value, []byte("too large")) {
					return true
				}
			}
			return false
		}
		e.s.Close()
		e.open()
		e.configure("q", queue.Config{MaxAttempts: 3, Groups: queue.GroupPolicy{MinDelay: time.Second}})
		e.commit(func(tx *queue.Tx) {
			for i := range 6 {
				tx.Enqueue("q", queue.Item{Body: []byte{byte('a' + i)}, Group: "g" + fmt.Sprint(i), Key: fmt.Sprint(i), Mode: queue.Mode(i % 3)})
			}
			tx.Enqueue("p", item("only"))
			tx.Add("t", "counter", 1)
		})
		name, other := e.subscribe("p", nil), e.subscribe("p", nil)
		c := e.subscribe("q", nil)
		ds := e.receive(c, 6)
		e.ack(e.one(name))
		e.barrier("p", "end")
		end := e.tell(name)

		e.gate.shut()
		submit := func(build func(tx *queue.Tx)) <-chan error {
			var tx queue.Tx
			build(&tx)
			return e.submit(&tx)
		}
		first := submit(func(tx *queue.Tx) { tx.Put("t", "first", nil) })
		good := []<-chan error{
			submit(func(tx *queue.Tx) { tx.Ack(ds[0]); tx.Add("t", "counter", 10) }),
			submit(func(tx *queue.Tx) { tx.Bury(ds[1], errors.New("bad")) }),
			submit(func(tx *queue.Tx) { tx.Enqueue("new", item("x")); tx.Barrier("new", nil) }),
			submit(func(tx *queue.Tx) { tx.Ack(end) }),
			submit(func(tx *queue.Tx) { tx.RetryAfter(ds[2], time.Hour, nil) }),
		}
		large := submit(func(tx *queue.Tx) {
			tx.Ack(ds[3])
			tx.Configure("q", queue.Config{MaxAttempts: 1})
			tx.Put("t", "large", []byte("too large"))
		})
		good = append(good,
			submit(func(tx *queue.Tx) { tx.Retry(ds[4], errors.New("again")); tx.Add("t", "counter", 100) }),
			submit(func(tx *queue.Tx) { tx.Ack(ds[5]) }),
		)
		e.gate.open()
		e.must(<-first)
		e.is("the large transaction", <-large, queue.ErrTooLarge)
		for i, done := range good {
			if err := <-done; err != nil {
				e.Errorf("transaction %d: %v", i, err)
			}
		}
		if _, err := e.s.Get(e.ctx, "t", "large"); !errors.Is(err, queue.ErrNotFound) {
			e.Errorf("the refused record is %v", err)
		}
		if v, err := e.s.Get(e.ctx, "t", "counter"); err != nil || string(v) != "111" {
			e.Errorf("the counter is %q, %v", v, err)
		}
		if cfg, err := e.s.Config(e.ctx, "q"); err != nil || cfg.MaxAttempts != 3 {
			e.Errorf("the settings are %+v, %v", cfg, err)
		}
		if st := e.stats("q"); st.Leased != 1 || st.Totals.Acked != 2 || st.Dead != 1 || st.Delayed != 2 {
			e.Errorf("counts are %+v", st)
		}
		e.ack(ds[3]) // it is still held
		if st := e.stats("p"); st.Epoch != 0 {
			e.Error("the epoch opened before everybody had the barrier")
		}
		e.ack(e.tell(other))
		if st := e.stats("p"); st.Epoch != 1 {
			e.Errorf("the epoch is %d, want 1", st.Epoch)
		}
		e.check()
		e.crash()
	}},
}
