package queuetest

import (
	"errors"
	"fmt"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

var errSick = errors.New("the host is sick")

// deferred returns the bodies of the deferred items of a queue, in the order of
// Browse.
func (e *env) deferred(q string) []string {
	e.Helper()
	page, err := e.s.Browse(e.ctx, q, nil, 100_000)
	e.must(err)
	var out []string
	for _, w := range page {
		if w.State == queue.StateDeferred {
			out = append(out, string(w.Item.Body))
		}
	}
	if n := e.stats(q).Deferred; n != int64(len(out)) {
		e.Errorf("Browse shows %d deferred items, Stats counts %d", len(out), n)
	}
	return out
}

// deferPromises are about items that no barrier waits for.
var deferPromises = []promise{
	{name: "a barrier passes a deferred item, and counts it", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "a", "b")
		e.barrier("q", "end")
		ds := e.receive(c, 2)
		e.commit(func(tx *queue.Tx) { tx.Ack(ds[0]); tx.Defer(ds[1], time.Time{}, errSick) })
		b := e.tell(c)
		if want := (queue.Totals{Enqueued: 2, Acked: 1, Deferred: 1}); b.Barrier.Counts != want {
			e.Errorf("the barrier counts %+v, want %+v", b.Barrier.Counts, want)
		}
		e.ack(b)
		e.none(c, "an item is deferred")
		st := e.stats("q")
		if st.Ready+st.Delayed+st.Leased+st.Later != 0 || st.Deferred != 1 || st.Bytes == 0 {
			e.Errorf("nothing but a deferred item is left, and the queue has %+v", st)
		}
		e.reopen()
		e.wants("deferred", e.deferred("q"), "b")
	}},
	{name: "a deferred item keeps its history, and Browse and Find show it", check: func(e *env) {
		c := e.subscribe("q", nil)
		at := time.Now().Truncate(time.Millisecond)
		e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Body: []byte("a"), Key: "k", Group: "g", Priority: 3, Headers: map[string]string{"h": "v"}})
		})
		id := e.one(c).ID
		e.crash() // counts an attempt
		c = e.subscribe("q", nil)
		e.pass(time.Minute)
		e.commit(func(tx *queue.Tx) { tx.Defer(e.one(c), time.Time{}, errSick) })
		e.reopen()
		w, err := e.s.Find(e.ctx, "q", "k")
		e.must(err)
		if w.ID != id || w.State != queue.StateDeferred || w.Attempts != 1 || !w.Enqueued.Equal(at) || w.Reason != errSick.Error() ||
			!w.Deferred.Equal(at.Add(time.Minute)) || !w.Due.IsZero() || w.Item.Priority != 3 || w.Item.Group != "g" || w.Item.Headers["h"] != "v" {
			e.Errorf("found %+v", w)
		}
		e.commit(func(tx *queue.Tx) { tx.Rejoin(w) })
		c = e.subscribe("q", nil)
		d := e.one(c)
		if d.ID != id || d.Attempt != 2 || !d.Enqueued.Equal(at) {
			e.Errorf("received %+v", d)
		}
		e.ack(d)
		if _, err := e.s.Find(e.ctx, "q", "k"); !errors.Is(err, queue.ErrNotFound) {
			e.Errorf("Find after Ack returned %v", err)
		}
	}},
	{name: "a deferred item comes back at its time, into the open epoch", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.put("q", "a")
		first := e.barrier("q", "0")
		e.commit(func(tx *queue.Tx) { tx.Defer(e.one(c), time.Now().Add(time.Hour), errSick) })
		e.ack(e.tell(c))
		e.put("q", "b")
		e.barrier("q", "1")
		e.must(e.s.WaitBarrier(e.ctx, first))
		held := e.one(c)
		e.reopen()
		e.pass(time.Hour - time.Millisecond)
		e.wants("deferred", e.deferred("q"), "a")
		e.pass(time.Millisecond)
		e.wants("deferred", e.deferred("q"))
		c = e.subscribe("q", nil)
		e.wants("what is left", e.drain(c), "a", "b", "barrier:1")
		_ = held
		list, err := e.s.Barriers(e.ctx, "q")
		e.must(err)
		if n := list[1].Counts; n.Rejoined != 1 || n.Enqueued != 1 || n.Acked != 2 {
			e.Errorf("the second barrier counts %+v", n)
		}
	}},
	{name: "what comes back when all of the open epoch is settled comes back into the next", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "a"); grouped(tx, "q", "", "x") })
		e.barrier("q", "0")
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "g", time.Time{}, "sick") })
		x := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.Ack(x); tx.RejoinGroup("q", "g") })
		b := e.tell(c)
		e.none(c, "the barrier is not acked")
		e.ack(b)
		e.wants("the next epoch", e.drain(c), "a")
	}},
	{name: "a barrier waits for a group that comes back", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "a"); grouped(tx, "q", "", "x") })
		e.barrier("q", "0")
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "g", time.Time{}, "sick") })
		x := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.RejoinGroup("q", "g"); tx.Ack(x) })
		e.wants("the same epoch", e.drain(c), "a", "barrier:0")
	}},
	{name: "a group is deferred with all its waiting items", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			for i := range 200 {
				tx.Enqueue("q", queue.Item{Body: fmt.Appendf(nil, "a%03d", i), Group: "a", Priority: i % 2, Key: fmt.Sprint(i)})
			}
			tx.Enqueue("q", queue.Item{Body: []byte("delayed"), Group: "a", Delay: time.Minute})
			tx.Enqueue("q", queue.Item{Body: []byte("expires"), Group: "a", Expires: time.Now().Add(time.Minute)})
			tx.Enqueue("q", queue.Item{Body: []byte("live"), Group: "a", Key: "live", Mode: queue.OnceLive})
			grouped(tx, "q", "b", "b")
		})
		e.barrier("q", "0")
		acked, released, retried := e.one(c), e.one(c), e.one(c)
		for _, d := range []*queue.Delivery{acked, released, retried} {
			if d.Item.Group == "b" {
				e.ack(d)
			}
		}
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "a", time.Time{}, "sick") })
		synctest.Wait()
		e.check()
		for _, d := range []*queue.Delivery{acked, released, retried} {
			switch {
			case d.Item.Group == "b":
			case d == acked:
				e.ack(d)
			case d == released:
				e.commit(func(tx *queue.Tx) { tx.Release(d) })
			default:
				e.commit(func(tx *queue.Tx) { tx.Retry(d, errSick) })
			}
		}
		e.check()
		if got := e.drain(c); len(got) == 0 || got[len(got)-1] != "barrier:0" {
			e.Errorf("received %q, want the barrier", got)
		}
		if n := len(e.deferred("q")); n < 201 {
			e.Errorf("%d items are deferred", n)
		}
		list, err := e.s.Deferrals(e.ctx, "q", "", 10)
		e.must(err)
		if len(list) != 1 || list[0].Group != "a" || list[0].Reason != "sick" || list[0].Returning {
			e.Errorf("deferrals: %+v", list)
		}
		w, err := e.s.Find(e.ctx, "q", "100")
		e.must(err)
		if w.State != queue.StateDeferred || w.Reason != "sick" {
			e.Errorf("found %+v", w)
		}
		r := e.commit(func(tx *queue.Tx) {
			tx.Enqueue("q", queue.Item{Key: "100"}, queue.Item{Key: "live", Mode: queue.OnceLive, Group: "a"})
		})
		if r.Duplicates != 2 || r.Enqueued != 0 {
			e.Errorf("keys of deferred items are not known: %+v", r)
		}
		e.crash()
		e.pass(2 * time.Minute)
		e.commit(func(tx *queue.Tx) { tx.RejoinGroup("q", "a") })
		synctest.Wait()
		e.check()
		e.wants("deferred", e.deferred("q"))
		w, err = e.s.Find(e.ctx, "q", "100")
		e.must(err)
		if w.State != queue.StateReady || w.Epoch != 1 {
			e.Errorf("found %+v", w)
		}
		c = e.subscribe("q", nil)
		got := e.drain(c)
		seen := make(map[string]bool)
		for _, b := range got {
			seen[b] = true
		}
		if len(got) < 200 || len(seen) != len(got) || !seen["delayed"] || !seen["live"] || seen["expires"] {
			e.Errorf("%d items came back, %d different ones", len(got), len(seen))
		}
		if list, err = e.s.Deferrals(e.ctx, "q", "", 10); err != nil || len(list) != 0 {
			e.Errorf("deferrals: %+v, %v", list, err)
		}
	}},
	{name: "what is enqueued to a deferred group joins it, or waits behind the barrier", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "g", time.Now().Add(time.Hour), "sick") })
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "a"); grouped(tx, "q", "", "x") })
		e.wants("deferred", e.deferred("q"), "a")
		e.barrier("q", "0")
		e.commit(func(tx *queue.Tx) { grouped(tx, "q", "g", "b"); grouped(tx, "q", "", "y") })
		e.wants("deferred", e.deferred("q"), "a")
		e.barrier("q", "1")
		e.wants("without the group", e.drain(c), "x", "barrier:0", "y", "barrier:1")
		e.wants("deferred", e.deferred("q"), "a", "b")
		e.pass(time.Hour)
		e.wants("at its time", e.drain(c), "a", "b")
		if st := e.stats("q"); st.Totals.Deferred != 1 || st.Totals.Rejoined != 2 || st.Totals.Enqueued != 4 {
			e.Errorf("totals %+v", st.Totals)
		}
	}},
	{name: "a group that is deferred while it comes back is deferred", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.commit(func(tx *queue.Tx) {
			for i := range 100 {
				grouped(tx, "q", "g", fmt.Sprint(i))
			}
			tx.DeferGroup("q", "g", time.Time{}, "sick")
		})
		e.barrier("q", "0")
		e.commit(func(tx *queue.Tx) {
			tx.RejoinGroup("q", "g")
			tx.DeferGroup("q", "g", time.Now().Add(time.Minute), "still")
		})
		e.wants("only the barrier", e.drain(c), "barrier:0")
		e.pass(time.Minute)
		probe := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "g", time.Time{}, "again"); tx.Retry(probe, errSick) })
		synctest.Wait()
		if n := len(e.deferred("q")); n != 100 {
			e.Errorf("%d are deferred", n)
		}
		e.check()
		e.crash()
		e.pass(time.Minute) // the back-off of the one that was retried
		e.commit(func(tx *queue.Tx) { tx.RejoinGroup("q", "g") })
		if got := e.drain(e.subscribe("q", nil)); len(got) != 100 {
			e.Errorf("%d came back", len(got))
		}
	}},
	{name: "deferred items can be removed, replaced and expire", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			for _, b := range []string{"removed", "kept"} {
				grouped(tx, "q", "g", b)
			}
			tx.Enqueue("q", queue.Item{Body: []byte("old"), Group: "g", Key: "k", Mode: queue.ReplaceLive})
			tx.Enqueue("q", queue.Item{Body: []byte("expires"), Group: "g", Expires: time.Now().Add(time.Minute)})
		})
		before, err := e.s.Browse(e.ctx, "q", nil, 10)
		e.must(err)
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "g", time.Time{}, "sick") })
		synctest.Wait()
		e.commit(func(tx *queue.Tx) {
			for _, w := range before {
				if string(w.Item.Body) == "removed" {
					tx.Remove(w)
				}
			}
			tx.Enqueue("q", queue.Item{Body: []byte("new"), Group: "g", Key: "k", Mode: queue.ReplaceLive})
		})
		e.pass(time.Minute)
		if got := e.deferred("q"); len(got) != 2 {
			e.Errorf("deferred: %q, want kept and new", got)
		}
		if st := e.stats("q"); st.Totals.Dropped != 2 || st.Totals.Expired != 1 {
			e.Errorf("totals %+v", st.Totals)
		}
	}},
	{name: "deferred items do not fill a queue", check: func(e *env) {
		e.configure("q", queue.Config{HighWaterItems: 2, HighWaterBytes: 200})
		e.commit(func(tx *queue.Tx) {
			tx.DeferGroup("q", "g", time.Time{}, "sick")
			for range 20 {
				grouped(tx, "q", "g", "twenty of these fill a queue")
			}
		})
		if e.s.Full(e.ctx, "q") {
			e.Errorf("the queue is full of deferred items")
		}
		e.put("q", "x")
	}},
	{name: "Defer is refused for barriers, DeferGroup without a group", check: func(e *env) {
		c := e.subscribe("q", nil)
		e.barrier("q", "0")
		b := e.tell(c)
		_, err := e.try(func(tx *queue.Tx) { tx.Defer(b, time.Time{}, nil) })
		e.is("Defer of a barrier", err, queue.ErrBarrier)
		_, err = e.try(func(tx *queue.Tx) { tx.DeferGroup("q", "", time.Time{}, "") })
		e.is("DeferGroup without a group", err, queue.ErrInvalid)
		_, err = e.try(func(tx *queue.Tx) { tx.RejoinGroup("none", "g") })
		e.is("RejoinGroup of an unknown queue", err, queue.ErrUnknownQueue)
		e.ack(b)
	}},
	{name: "a filter sees what comes back, and not what is deferred", check: func(e *env) {
		c := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Headers: map[string]string{"h": "1"}}})
		e.commit(func(tx *queue.Tx) {
			for i := range 70 {
				tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, i), Group: "g", Headers: map[string]string{"h": fmt.Sprint(i % 2)}})
			}
		})
		first := e.one(c)
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "g", time.Time{}, "sick") })
		e.none(c, "the group is deferred")
		e.commit(func(tx *queue.Tx) { tx.Release(first); tx.RejoinGroup("q", "g") })
		synctest.Wait()
		if got := e.drain(c); len(got) != 35 {
			e.Errorf("received %q", got)
		}
	}},
	{name: "a large group is deferred and comes back in pieces", opts: &queue.Options{ItemMemory: 1 << 10}, check: func(e *env) {
		const n = 6_000 // three pieces
		items := make([]queue.Item, n)
		for i := range items {
			items[i] = queue.Item{Body: fmt.Append(nil, i), Group: "g", Key: fmt.Sprint(i)}
		}
		for len(items) > 0 {
			e.commit(func(tx *queue.Tx) { tx.Enqueue("q", items[:1000]...) })
			items = items[1000:]
		}
		c := e.subscribe("q", nil)
		e.barrier("q", "0")
		e.commit(func(tx *queue.Tx) { tx.DeferGroup("q", "g", time.Time{}, "sick") })
		e.wants("the barrier", e.drain(c), "barrier:0")
		if got := e.stats("q").Deferred; got != n {
			e.Errorf("%d are deferred, want %d", got, n)
		}
		e.check()
		e.commit(func(tx *queue.Tx) { tx.RejoinGroup("q", "g") })
		synctest.Wait()
		if st := e.stats("q"); st.Ready != n || st.Deferred != 0 {
			e.Errorf("%d are ready, %d deferred", st.Ready, st.Deferred)
		}
		got := 0
		for got < n {
			ds := e.receive(c, 1000)
			e.ack(ds...)
			got += len(ds)
		}
		e.none(c, "all have been acked")
	}},
}
