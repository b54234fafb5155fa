package queuetest

import (
	"fmt"
	"math"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// wall is a clock on the wall that is set while a store runs.
type wall struct{ step time.Duration }

func (w *wall) now() time.Time { return time.Now().Add(w.step) }

// onTheWall opens the store anew with such a clock.
func onTheWall(e *env) *wall {
	w := new(wall)
	opts := queue.Options{WallClock: w.now}
	e.opts = &opts
	e.reopen()
	return w
}

// some enqueues ten items, of groups and of none.
func some(e *env, q string) {
	e.commit(func(tx *queue.Tx) {
		for i := range 10 {
			group := ""
			if i%2 == 0 {
				group = fmt.Sprint("g", i%3)
			}
			tx.Enqueue(q, queue.Item{Group: group, Body: fmt.Append(nil, i)})
		}
	})
}

// clockPromises are about the clock on the wall, which is set back and forth.
var clockPromises = []promise{
	{name: "what is ready is delivered when the wall clock is set back", check: func(e *env) {
		w := onTheWall(e)
		for _, filter := range []*queue.Filter{nil, {}} {
			c := e.subscribe("q", &queue.SubscribeOptions{Filter: filter})
			for range 3 {
				some(e, "q")
				w.step -= time.Hour
				if n := len(e.drain(c)); n != 10 {
					e.Errorf("after the step %d of 10 items were delivered", n)
				}
				some(e, "q")
				if n := len(e.drain(c)); n != 10 {
					e.Errorf("of 10 items that were enqueued after the step %d were delivered", n)
				}
			}
			e.must(c.Close())
		}
	}},
	{name: "what is ready is delivered when the wall clock was set back before an open", check: func(e *env) {
		w := onTheWall(e)
		for _, crash := range []bool{false, true} {
			some(e, "q")
			w.step -= time.Hour
			if crash {
				e.crash()
			} else {
				e.reopen()
			}
			c := e.subscribe("q", nil)
			if n := len(e.drain(c)); n != 10 {
				e.Errorf("after an open %d of 10 items were delivered (crash %v)", n, crash)
			}
			some(e, "q")
			if n := len(e.drain(c)); n != 10 {
				e.Errorf("of 10 items that were enqueued after an open %d were delivered", n)
			}
			e.must(c.Close())
		}
	}},
	{name: "a delay is as long as it was to be when the wall clock is set back", check: func(e *env) {
		w := onTheWall(e)
		c := e.subscribe("q", nil)
		e.configure("q", queue.Config{Groups: queue.GroupPolicy{MinDelay: time.Minute}})
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("delayed"), Delay: time.Minute})
			tx.Enqueue("q", queue.Item{Body: []byte("failed")})
			tx.Enqueue("q", queue.Item{Body: []byte("1"), Group: "g"}, queue.Item{Body: []byte("2"), Group: "g"})
			tx.Enqueue("q", queue.Item{Body: []byte("waits"), Group: "h"})
			tx.DelayGroup("q", "h", w.now().Add(time.Minute))
		})
		ds := e.receive(c, 5)
		e.commit(func(tx *queue.Tx) {
			for _, d := range ds {
				if string(d.Item.Body) == "failed" {
					tx.RetryAfter(d, time.Minute, nil)
				} else {
					tx.Ack(d)
				}
			}
		})
		for _, step := range []time.Duration{-time.Hour, time.Hour, -10 * 365 * 24 * time.Hour} {
			w.step += step
			e.none(c, fmt.Sprint("no delay has passed after a step of ", step))
		}
		e.pass(time.Minute - time.Second)
		e.none(c, "a second is left of each delay")
		e.pass(time.Second)
		if got := e.drain(c); len(got) != 4 {
			e.Errorf("after a minute %v were delivered, want 4", got)
		}
	}},
	{name: "an instant that is given after the wall clock was set back is by that clock", here: true, check: func(e *env) {
		w := onTheWall(e)
		e.put("q", "x")
		w.step = -time.Hour
		at := w.now().Add(time.Minute)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("item"), NotBefore: at}, queue.Item{Body: []byte("group"), Group: "g"})
			tx.SetGroup("q", "g", queue.GroupSettings{NotBefore: at})
		})
		g, err := e.s.GroupSettings(e.ctx, "q", "g")
		e.must(err)
		if !g.NotBefore.Equal(at) {
			e.Errorf("the group waits until %v, was set to %v", g.NotBefore, at)
		}
		page, err := e.s.Browse(e.ctx, "q", nil, 10)
		e.must(err)
		if last := page[len(page)-1]; last.State != queue.StateDelayed || !last.Due.Equal(at) {
			e.Errorf("the item is shown as %v until %v, want delayed until %v", last.State, last.Due, at)
		}
		c := e.subscribe("q", nil)
		e.wants("before", e.drain(c), "x")
		e.pass(time.Minute - time.Second)
		e.none(c, "a second is left")
		e.pass(time.Second)
		if got := e.drain(c); len(got) != 2 {
			e.Errorf("after a minute %v were delivered, want 2", got)
		}
	}},
	{name: "what the wall clock has passed over is due within a minute", check: func(e *env) {
		w := onTheWall(e)
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("x"), Delay: time.Hour}, queue.Item{Body: []byte("old"), Expires: w.now().Add(time.Hour), Delay: time.Second})
		})
		got := make(chan *queue.Delivery)
		w.step = 2 * time.Hour
		go func() { got <- e.one(c) }()
		begin := time.Now()
		d := <-got
		if waited := time.Since(begin); string(d.Item.Body) != "x" || waited > time.Minute {
			e.Errorf("%q came after %v", d.Item.Body, waited)
		}
		e.ack(d)
		e.pass(time.Minute)
		if st := e.stats("q"); st.Totals.Expired != 1 {
			e.Errorf("%d items have expired, want 1", st.Totals.Expired)
		}
	}},
	{name: "stats and holding say that the wall clock was set back", check: func(e *env) {
		w := onTheWall(e)
		e.put("q", "x")
		if st := e.stats("q"); st.ClockBehind != 0 {
			e.Errorf("the clock is behind by %v, and was not set", st.ClockBehind)
		}
		w.step = -time.Hour
		for range 2 {
			h, err := e.s.Holding(e.ctx, "q")
			e.must(err)
			if st := e.stats("q"); st.ClockBehind != time.Hour || h.ClockBehind != time.Hour {
				e.Errorf("the clock is behind by %v and %v, was set back by an hour", st.ClockBehind, h.ClockBehind)
			}
			e.reopen()
		}
		e.pass(2 * time.Hour) // of both clocks
		w.step = 0
		if st := e.stats("q"); st.ClockBehind != 0 {
			e.Errorf("the clock is behind by %v, and was set right", st.ClockBehind)
		}
	}},
	{name: "a minimum delay may be as long as a duration can be", check: func(e *env) {
		c := e.subscribe("q", nil)
		for i, group := range []string{"g", "h"} {
			e.commit(func(tx *queue.Tx) {
				tx.SetGroup("q", group, queue.GroupSettings{MinDelay: math.MaxInt64 - time.Duration(i)})
				grouped(tx, "q", group, "1", "2")
			})
			e.ack(e.one(c))
			e.pass(time.Hour)
			e.none(c, "the delay of "+group+" is 292 years")
		}
	}},
}
