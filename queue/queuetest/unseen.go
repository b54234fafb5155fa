package queuetest

import (
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// visible describes all that can be seen of a store, but for the settings of queues,
// which count for those who ask from the moment at which they are planned.
func (e *env) visible() string {
	e.Helper()
	var b strings.Builder
	show := func(what string, v any, err error) {
		e.must(err)
		fmt.Fprintf(&b, "%s: %+v\n", what, v)
	}
	for _, st := range e.all() {
		st.EnqueueRate, st.AckRate = 0, 0
		show("stats", st, nil)
		page, err := e.s.Browse(e.ctx, st.Name, nil, 100)
		show("items", page, err)
		letters, err := e.s.DeadLetters(e.ctx, st.Name, 0, 100)
		show("dead", letters, err)
		barriers, err := e.s.Barriers(e.ctx, st.Name)
		show("barriers", barriers, err)
		batches, err := e.s.Batches(e.ctx, st.Name, "", 100)
		show("batches", batches, err)
		deferrals, err := e.s.Deferrals(e.ctx, st.Name, "", 100)
		show("deferrals", deferrals, err)
		names, err := e.s.Subscriptions(e.ctx, st.Name)
		show("names", names, err)
		group, err := e.s.GroupSettings(e.ctx, st.Name, "g")
		show("group", group, err)
		seen, err := e.s.Seen(e.ctx, st.Name, "k")
		show("seen", seen, err)
		held, err := e.s.Holding(e.ctx, st.Name)
		held.Barrier = nil // which Barriers has
		show("held", held, err)
	}
	records, err := e.s.Scan(e.ctx, "t", "", "", 100)
	show("records", records, err)
	return b.String()
}

// checkUnseen has a change of each kind wait for the disk, and looks whether anything of
// it shows meanwhile.
func checkUnseen(e *env) {
	prepare := func() (c *queue.Consumer, d *queue.Delivery, dead uint64) {
		e.configure("q", queue.Config{MaxAttempts: 3})
		e.put("doomed", "x")
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("to die"), Priority: 2}, queue.Item{Body: []byte("held"), Priority: 1, Group: "g", Batch: "b"})
			tx.Enqueue("q", queue.Item{Body: []byte("waits"), Group: "g"}, queue.Item{Body: []byte("keyed"), Key: "k", Mode: queue.OnceLive})
			tx.Enqueue("q", queue.Item{Body: []byte("later"), Delay: time.Hour}, queue.Item{Body: []byte("away"), Group: "away"})
			tx.DeferGroup("q", "away", time.Time{}, "sick")
			tx.Put("t", "k", []byte("v"))
			tx.Add("t", "n", 1)
		})
		c = e.subscribe("q", nil)
		first := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.Bury(first, nil) })
		d = e.one(c)
		e.pass(0)
		return c, d, first.ID
	}
	waiting := func(body string) queue.Waiting {
		page, err := e.s.Browse(e.ctx, "q", nil, 100)
		e.must(err)
		for _, w := range page {
			if string(w.Item.Body) == body {
				return w
			}
		}
		e.Fatalf("no item %q", body)
		return queue.Waiting{}
	}
	for name, change := range map[string]func(tx *queue.Tx, d *queue.Delivery, dead uint64){
		"Ack":       func(tx *queue.Tx, d *queue.Delivery, _ uint64) { tx.Ack(d) },
		"Retry":     func(tx *queue.Tx, d *queue.Delivery, _ uint64) { tx.Retry(d, nil) },
		"Release":   func(tx *queue.Tx, d *queue.Delivery, _ uint64) { tx.Release(d); tx.Put("t", "k", nil) },
		"Snooze":    func(tx *queue.Tx, d *queue.Delivery, _ uint64) { tx.Snooze(d, time.Hour) },
		"Defer":     func(tx *queue.Tx, d *queue.Delivery, _ uint64) { tx.Defer(d, time.Time{}, nil) },
		"Bury":      func(tx *queue.Tx, d *queue.Delivery, _ uint64) { tx.Bury(d, nil) },
		"Enqueue":   func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Enqueue("q", item("new"), item("other")) },
		"new queue": func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Enqueue("new", item("new")) },
		"replacement": func(tx *queue.Tx, _ *queue.Delivery, _ uint64) {
			tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.ReplaceLive})
		},
		"Barrier": func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Barrier("q", nil) },
		"Put":     func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Put("t", "k", []byte("w")) },
		"Delete":  func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Delete("t", "k") },
		"Add":     func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Add("t", "n", 1) },
		"SetGroup": func(tx *queue.Tx, _ *queue.Delivery, _ uint64) {
			tx.SetGroup("q", "g", queue.GroupSettings{Paused: true})
		},
		"DelayGroup":  func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.DelayGroup("q", "g", time.Now().Add(time.Hour)) },
		"Pause":       func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Pause("q") },
		"Remove":      func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Remove(waiting("waits"), waiting("later")) },
		"DeferGroup":  func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.DeferGroup("q", "g", time.Time{}, "sick") },
		"RejoinGroup": func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.RejoinGroup("q", "away") },
		"Forget":      func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.Forget("q", "k") },
		"RetryDead":   func(tx *queue.Tx, _ *queue.Delivery, dead uint64) { tx.RetryDead("q", dead) },
		"DropDead":    func(tx *queue.Tx, _ *queue.Delivery, dead uint64) { tx.DropDead("q", dead) },
		"CloseBatch":  func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.CloseBatch("q", "b", "done", item("end")) },
		"end of one":  func(tx *queue.Tx, d *queue.Delivery, _ uint64) { tx.CloseBatch("q", "b", "q", item("end")); tx.Ack(d) },
		"DeleteQueue": func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.DeleteQueue("doomed") },
		"DeleteTable": func(tx *queue.Tx, _ *queue.Delivery, _ uint64) { tx.DeleteTable("t") },
	} {
		c, d, dead := prepare()
		var tx queue.Tx
		change(&tx, d, dead)
		before := e.visible()
		e.gate.shut()
		done := e.submit(&tx)
		during := e.visible()
		e.gate.open()
		e.must(<-done)
		synctest.Wait()
		if during != before {
			e.Errorf("%s shows before it is durable:\n%s\nbefore:\n%s", name, during, before)
		}
		if e.visible() == before {
			e.Errorf("%s does not show at all: the test shows nothing", name)
		}
		e.must(c.Close())
		for _, st := range e.all() {
			e.commit(func(tx *queue.Tx) { tx.DeleteQueue(st.Name) })
		}
		e.commit(func(tx *queue.Tx) { tx.DeleteTable("t") })
	}
}
