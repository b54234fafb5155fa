package queuetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// member returns an item of a batch.
func member(batch, body string) queue.Item { return queue.Item{Batch: batch, Body: []byte(body)} }

// batches describes the batches of a queue that are not complete.
func (e *env) batches(q string) []string {
	e.Helper()
	list, err := e.s.Batches(e.ctx, q, "", 1000)
	e.must(err)
	var out []string
	for _, b := range list {
		out = append(out, fmt.Sprintf("%s:%d:%v", b.Name, b.Unsettled, b.Closed))
	}
	return out
}

// completions describes what waits in a queue, which are completions.
func (e *env) completions(q string) []string {
	e.Helper()
	page, err := e.s.Browse(e.ctx, q, nil, 1000)
	e.must(err)
	var out []string
	for _, w := range page {
		b, from, ok := queue.Complete(&w.Item)
		if !ok {
			e.Errorf("%q in %s is no completion: %v", w.Item.Body, q, w.Item.Headers)
		}
		out = append(out, fmt.Sprintf("%s of %s/%s: %d=%d+%d+%d+%d", w.Item.Body, from, b.Name,
			b.Totals.Enqueued, b.Totals.Acked, b.Totals.Buried, b.Totals.Expired, b.Totals.Dropped))
	}
	return out
}

// batchPromises are about batches and their completions.
var batchPromises = []promise{
	{name: "a batch ends when all that has joined it is settled, and what that has spawned", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", member("b", "1"), member("b", "2"), item("of none"), member("other", "3"))
			tx.CloseBatch("q", "b", "done", queue.Item{Body: []byte("end"), Group: "g", Priority: 7, Headers: map[string]string{"mine": "too"}})
		})
		c := e.subscribe("q", nil)
		ds := e.receive(c, 4)
		e.commit(func(tx *queue.Tx) { tx.Ack(ds[0]); tx.Enqueue("q", member(ds[0].Item.Batch, "child")) })
		e.ack(ds[1:]...)
		e.wants("batches", e.batches("q"), "b:1:true", "other:0:false")
		e.wants("done", e.completions("done"))
		e.ack(e.one(c))
		e.wants("batches", e.batches("q"), "other:0:false")
		e.wants("done", e.completions("done"), "end of q/b: 3=3+0+0+0")
		d := e.one(e.subscribe("done", nil))
		if it := d.Item; it.Group != "g" || it.Priority != 7 || it.Headers["mine"] != "too" || it.Batch != "" {
			e.Errorf("the completion is %+v", it)
		}
	}},
	{name: "the changes of a transaction count together, whatever their order", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.CloseBatch("q", "b", "done", item("end"))
			tx.Enqueue("q", member("b", "0"))
		})
		c := e.subscribe("q", nil)
		for i := range 3 {
			d := e.one(c)
			e.commit(func(tx *queue.Tx) {
				if i == 1 { // the other way round
					tx.Enqueue("q", member("b", "child"))
					tx.Ack(d)
					return
				}
				tx.Ack(d)
				tx.Enqueue("q", member("b", "child"))
			})
			e.wants("done", e.completions("done"))
		}
		e.ack(e.one(c))
		e.wants("done", e.completions("done"), "end of q/b: 4=4+0+0+0")
	}},
	{name: "a batch is not complete before it is closed", check: func(e *env) {
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", member("b", "1")) })
		c := e.subscribe("q", nil)
		e.ack(e.one(c))
		e.wants("batches", e.batches("q"), "b:0:false")
		e.crash()
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", member("b", "2")) })
		e.ack(e.one(e.subscribe("q", nil)))
		e.commit(func(tx *queue.Tx) { tx.CloseBatch("q", "b", "q", item("end")) })
		e.wants("q", e.completions("q"), "end of q/b: 2=2+0+0+0")
		e.wants("batches", e.batches("q"))
	}},
	{name: "every way in which an item is settled ends a batch", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 1, MaxDeaths: 1})
		for i, way := range []struct {
			item    queue.Item
			expires time.Duration
			settle  func(d *queue.Delivery)
			want    string
		}{
			{settle: func(d *queue.Delivery) { e.ack(d) }, want: "1+0+0+0"},
			{settle: func(d *queue.Delivery) { e.commit(func(tx *queue.Tx) { tx.AckUnused(d) }) }, want: "1+0+0+0"},
			{settle: func(d *queue.Delivery) { e.commit(func(tx *queue.Tx) { tx.Bury(d, errModel) }) }, want: "0+1+0+0"},
			{settle: func(d *queue.Delivery) { e.commit(func(tx *queue.Tx) { tx.Retry(d, errModel) }) }, want: "0+1+0+0"},
			{expires: time.Second, want: "0+0+1+0"},
			{expires: time.Minute, settle: func(d *queue.Delivery) {
				e.pass(2 * time.Minute)
				e.commit(func(tx *queue.Tx) { tx.Snooze(d, time.Second) })
			}, want: "0+0+1+0"},
			{expires: time.Hour, settle: func(d *queue.Delivery) {
				e.pass(2 * time.Hour)
				e.commit(func(tx *queue.Tx) { tx.Defer(d, time.Time{}, nil) })
			}, want: "0+0+1+0"},
			{item: queue.Item{Delay: time.Hour}, settle: func(*queue.Delivery) {
				page, err := e.s.Browse(e.ctx, "q", nil, 10)
				e.must(err)
				e.commit(func(tx *queue.Tx) { tx.Remove(page...) })
			}, want: "0+0+0+1"},
			{item: queue.Item{Key: "k", Mode: queue.ReplaceLive}, settle: func(*queue.Delivery) {
				e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Key: "k", Mode: queue.ReplaceLive, Delay: time.Second}) })
				e.pass(time.Minute)
				e.drain(e.subscribe("q", nil))
			}, want: "0+0+0+1"},
		} {
			batch := fmt.Sprint("b", i)
			way.item.Batch = batch
			if way.expires > 0 {
				way.item.Expires = time.Now().Add(way.expires)
			}
			e.commit(func(tx *queue.Tx) {
				tx.Enqueue("q", way.item)
				tx.CloseBatch("q", batch, "done", item("end"))
			})
			var d *queue.Delivery
			c := e.subscribe("q", nil)
			if waiting := way.item.Delay > 0 || way.item.Key != "" || way.settle == nil; waiting {
				c.Close() // it is to be settled while it waits
			} else {
				d = e.one(c)
			}
			if way.settle != nil {
				way.settle(d)
			}
			e.pass(time.Minute)
			e.wants(fmt.Sprint("way ", i), e.completions("done"), "end of q/"+batch+": 1="+way.want)
			e.wants("batches", e.batches("q"))
			c.Close()
			done := e.subscribe("done", nil)
			e.ack(e.one(done))
			done.Close()
		}
	}},
	{name: "death of the process ends a batch if it buries the last item", check: func(e *env) {
		e.configure("q", queue.Config{MaxDeaths: 1})
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", member("b", "1"))
			tx.CloseBatch("q", "b", "done", item("end"))
		})
		e.one(e.subscribe("q", nil))
		e.crash()
		e.wants("done", e.completions("done"), "end of q/b: 1=0+1+0+0")
		e.crash()
		e.wants("done", e.completions("done"), "end of q/b: 1=0+1+0+0")
		// What is retried is of no batch any more.
		e.commit(func(tx *queue.Tx) { tx.RetryDead("q", e.dead("q")[0].ID) })
		e.wants("batches", e.batches("q"))
	}},
	{name: "what waits, is retried, snoozed or deferred is unsettled", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", member("b", "1"))
			tx.CloseBatch("q", "b", "done", item("end"))
		})
		c := e.subscribe("q", nil)
		for _, settle := range []func(tx *queue.Tx, d *queue.Delivery){
			func(tx *queue.Tx, d *queue.Delivery) { tx.Release(d) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.RetryAfter(d, time.Second, errModel) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.Snooze(d, time.Second) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.Defer(d, time.Now().Add(time.Second), nil) },
		} {
			d := e.one(c)
			e.commit(func(tx *queue.Tx) { settle(tx, d) })
			e.wants("batches", e.batches("q"), "b:1:true")
			e.wants("done", e.completions("done"))
		}
		e.ack(e.one(c))
		e.wants("done", e.completions("done"), "end of q/b: 1=1+0+0+0")
	}},
	{name: "batches in one queue know nothing of each other, nor of barriers", check: func(e *env) {
		const batches = 30
		e.commit(func(tx *queue.Tx) {
			for i := range 3 * batches {
				tx.Enqueue("q", member(fmt.Sprintf("b%02d", i%batches), fmt.Sprint(i)))
			}
			for i := range batches {
				tx.CloseBatch("q", fmt.Sprintf("b%02d", i), "done", item(fmt.Sprint("end ", i)))
			}
			tx.Barrier("q", nil)
		})
		c := e.subscribe("q", nil)
		ds := e.receive(c, 3*batches)
		e.ack(ds[:2*batches+5]...)
		if n := len(e.completions("done")); n != 5 {
			e.Errorf("%d batches are complete, want 5", n)
		}
		e.crash()
		c = e.subscribe("q", nil)
		for range batches - 5 {
			e.ack(e.one(c))
		}
		e.ack(e.tell(c))
		if n := len(e.completions("done")); n != batches {
			e.Errorf("%d batches are complete, want %d", n, batches)
		}
		e.wants("batches", e.batches("q"))
	}},
	{name: "a batch of a name may follow another", check: func(e *env) {
		for life := range 3 {
			e.commit(func(tx *queue.Tx) {
				tx.Enqueue("q", member("b", "1"))
				tx.CloseBatch("q", "b", "done", item("first"))
				tx.CloseBatch("q", "b", "done", item("end")) // takes its place
			})
			c := e.subscribe("q", nil)
			d := e.one(c)
			e.commit(func(tx *queue.Tx) {
				tx.Ack(d)
				tx.CloseBatch("q", "empty", "done", item("nothing"))
			})
			e.wants(fmt.Sprint("life ", life), e.completions("done"), "end of q/b: 1=1+0+0+0", "nothing of q/empty: 0=0+0+0+0")
			e.drain(e.subscribe("done", nil))
			e.crash()
		}
	}},
	{name: "duplicates and barriers join no batch", check: func(e *env) {
		e.configure("q", queue.Config{BarrierOn: &queue.Filter{Headers: map[string]string{"end": ""}}})
		e.commit(func(tx *queue.Tx) {
			for range 3 {
				tx.Enqueue("q", queue.Item{Key: "k", Batch: "b"})
			}
			tx.Enqueue("q", queue.Item{Headers: map[string]string{"end": ""}, Batch: "b"})
			tx.CloseBatch("q", "b", "q", queue.Item{Headers: map[string]string{"end": ""}})
		})
		e.wants("batches", e.batches("q"), "b:1:true")
		c := e.subscribe("q", nil)
		e.ack(e.one(c))
		e.ack(e.tell(c))
		e.wants("q", e.completions("q"), " of q/b: 1=1+0+0+0") // an item all the same
	}},
	{name: "an item that passes by joins its batch, and leaves it", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", member("b", "1"))
			tx.CloseBatch("q", "b", "done", item("end"))
		})
		first := e.one(e.subscribe("q", nil))
		for _, settle := range []func(tx *queue.Tx, d *queue.Delivery){
			func(tx *queue.Tx, d *queue.Delivery) { tx.Ack(d) },
			func(tx *queue.Tx, d *queue.Delivery) { tx.Bury(d, errModel) },
		} {
			d, ok := e.s.Direct(e.ctx, "q", 0)
			if !ok {
				e.Fatal("no direct delivery")
			}
			d.Item = member("b", "child")
			e.commit(func(tx *queue.Tx) { settle(tx, d) })
			e.wants("batches", e.batches("q"), "b:1:true")
		}
		e.ack(first)
		e.wants("done", e.completions("done"), "end of q/b: 3=2+1+0+0")
	}},
	{name: "the queue of the completion may be gone, and the batch goes with its own", check: func(e *env) {
		open := func() {
			e.commit(func(tx *queue.Tx) {
				tx.Enqueue("q", member("b", "1"))
				tx.CloseBatch("q", "b", "done", item("end"))
			})
		}
		open()
		e.commit(func(tx *queue.Tx) { tx.DeleteQueue("done") })
		e.drain(e.subscribe("q", nil))
		e.wants("done", e.completions("done"), "end of q/b: 1=1+0+0+0")
		e.crash()
		open()
		d := e.one(e.subscribe("q", nil))
		e.commit(func(tx *queue.Tx) { tx.Ack(d); tx.DeleteQueue("done") })
		e.wants("q", e.completions("q"), "end of q/b: 1=1+0+0+0")
		e.crash()
		open()
		e.commit(func(tx *queue.Tx) { tx.DeleteQueue("q") })
		open()
		e.wants("batches", e.batches("q"), "b:1:true")
		_, err := e.try(func(tx *queue.Tx) { tx.CloseBatch("q", "b", "done", item("end")); tx.DeleteQueue("done") })
		e.is("a transaction that deletes where a batch is to end", err, queue.ErrInvalid)
	}},
	{name: "names and completions have their bounds", check: func(e *env) {
		long := strings.Repeat("\xff", queue.MaxGroup)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("\xfe", member(long, "1"))
			tx.CloseBatch("\xfe", long, "done", item("end"))
		})
		e.drain(e.subscribe("\xfe", nil))
		e.wants("done", e.completions("done"), "end of \xfe/"+long+": 1=1+0+0+0")
		for what, build := range map[string]func(tx *queue.Tx){
			"long name":          func(tx *queue.Tx) { tx.CloseBatch("q", long+"x", "done", item("end")) },
			"no name":            func(tx *queue.Tx) { tx.CloseBatch("q", "", "done", item("end")) },
			"zero byte":          func(tx *queue.Tx) { tx.Enqueue("q", member("a\x00b", "1")) },
			"no queue":           func(tx *queue.Tx) { tx.CloseBatch("q", "b", "", item("end")) },
			"delayed completion": func(tx *queue.Tx) { tx.CloseBatch("q", "b", "done", queue.Item{Delay: 1}) },
			"batch of batches":   func(tx *queue.Tx) { tx.CloseBatch("q", "b", "done", member("c", "end")) },
		} {
			_, err := e.try(build)
			e.is(what, err, queue.ErrInvalid)
		}
		_, err := e.try(func(tx *queue.Tx) {
			tx.CloseBatch("q", "b", "done", queue.Item{Body: make([]byte, queue.MaxCompletion)})
		})
		e.is("large completion", err, queue.ErrTooLarge)
	}},
}
