package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// togetherPromises are about items that were enqueued together. They are stored
// together, which must not show: each has a life of its own.
var togetherPromises = []promise{
	{name: "items enqueued together are acked in any order, with crashes in between", check: func(e *env) {
		rnd := rand.New(rand.NewPCG(1, 2))
		left := e.putNumbered("q", 300)
		for lives := 0; len(left) > 0; lives++ {
			c := e.subscribe("q", nil)
			var held []*queue.Delivery
			for len(held) < len(left) {
				held = append(held, e.receive(c, 1000)...)
			}
			e.wants(fmt.Sprint("items of life ", lives), bodies(held), left...)
			rnd.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
			for n := 0; n < 60 && n < len(held); {
				some := held[n:min(n+1+rnd.IntN(7), len(held))]
				e.ack(some...)
				n += len(some)
				for _, body := range bodies(some) {
					left = slices.DeleteFunc(left, func(s string) bool { return s == body })
				}
			}
			e.check()
			e.must(c.Close()) // no attempt is counted
			if lives%2 == 0 {
				e.crash()
			} else {
				e.reopen()
			}
			e.check()
		}
		if st := e.stats("q"); st.Ready+st.Leased+st.Delayed != 0 || st.Bytes != 0 || st.Totals.Acked != 300 {
			e.Errorf("in the end %+v", st)
		}
	}},
	{name: "an item held in a long queue survives a crash", check: func(e *env) {
		c := e.subscribe("q", nil)
		const n = 20_000
		e.putNumbered("q", n)
		var held *queue.Delivery
		for got := 0; got < n-100; {
			ds := e.receive(c, min(100, n-100-got))
			got += len(ds)
			if held == nil {
				held = ds[70]
				ds = slices.Delete(ds, 70, 71)
			}
			e.ack(ds...)
		}
		e.pass(time.Second)
		e.check()
		e.crash()
		e.check()
		got := e.drain(e.subscribe("q", nil))
		if len(got) != 101 || got[0] != string(held.Item.Body) {
			e.Errorf("%d items came after the crash, %q first, want the 100 not taken and %q before them", len(got), got[0], held.Item.Body)
		}
	}},
	{name: "an item is held while many others are settled", check: func(e *env) {
		e.put("q", "a", "b")
		c := e.subscribe("q", nil)
		ds := e.receive(c, 2)
		e.ack(ds[0])
		const n = 40_000 // more than are remembered
		for i := 0; i < n; {
			e.commit(func(tx *queue.Tx) {
				for range 1000 {
					grouped(tx, "other", fmt.Sprint(i), "")
					i++
				}
			})
		}
		other := e.subscribe("other", nil)
		for got := 0; got < n; {
			some := e.receive(other, 1000)
			got += len(some)
			e.ack(some...)
		}
		e.ack(ds[1])
		e.check()
		e.crash()
		e.none(e.subscribe("q", nil), "both have been acknowledged")
	}},
	{name: "attempts of items enqueued together are counted one by one", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 3, Backoff: queue.Backoff{Min: time.Second, Max: time.Second, Jitter: -1}})
		want := e.putNumbered("q", 100)
		c := e.subscribe("q", nil)
		ds := e.receive(c, 40)
		e.commit(func(tx *queue.Tx) {
			tx.Retry(ds[3], errors.New("once")) // comes back in a second
			tx.RetryAfter(ds[5], 0, errors.New("once"))
			tx.Bury(ds[7], errors.New("for good"))
			tx.Release(ds[9])
			tx.Ack(ds[11])
		})
		e.check()
		e.crash() // interrupts what is held
		e.check()
		want = slices.DeleteFunc(want, func(s string) bool { return s == want[7] || s == want[11] })
		attempts := make(map[int]int)
		c = e.subscribe("q", nil)
		e.pass(time.Second)
		var got []*queue.Delivery
		for len(got) < len(want) {
			got = append(got, e.receive(c, 1000)...)
		}
		for _, d := range got {
			attempts[d.Attempt]++
		}
		found := bodies(got)
		slices.Sort(found)
		slices.Sort(want)
		e.wants("items after the crash", found, want...)
		if attempts[1] != 61 || attempts[2] != 37 {
			e.Errorf("deliveries by attempt: %v, want 61 first ones and 37 second ones", attempts)
		}
		if dead := e.dead("q"); len(dead) != 1 || string(dead[0].Item.Body) != string(ds[7].Item.Body) {
			e.Errorf("dead letters: %+v", dead)
		}
	}},
	{name: "items enqueued together are browsed, found and removed one by one", check: func(e *env) {
		var items []queue.Item
		for i := range 150 {
			items = append(items, queue.Item{Key: fmt.Sprint("key", i), Body: fmt.Appendf(nil, "%03d", i)})
		}
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", items...) })
		c := e.subscribe("q", nil)
		e.ack(e.receive(c, 10)...)
		held := e.receive(c, 10)
		for limit := 1; limit < 70; limit += 17 {
			var got []string
			for after := (*queue.Waiting)(nil); ; {
				page, err := e.s.Browse(e.ctx, "q", after, limit)
				e.must(err)
				for _, w := range page {
					if leased := len(got) < len(held); leased != (w.State == queue.StateLeased) {
						e.Errorf("item %s is %v", w.Item.Body, w.State)
					}
					got = append(got, string(w.Item.Body))
				}
				if len(page) < limit {
					break
				}
				after = &page[len(page)-1]
			}
			if len(got) != 140 || !slices.IsSorted(got) || got[0] != "010" {
				e.Errorf("pages of %d have %d items: %s", limit, len(got), strings.Join(got, " "))
			}
		}
		_, err := e.s.Find(e.ctx, "q", "key5")
		e.is("Find of what is acked", err, queue.ErrNotFound)
		w, err := e.s.Find(e.ctx, "q", "key77")
		e.must(err)
		if string(w.Item.Body) != "077" || w.State != queue.StateReady {
			e.Errorf("found %+v", w)
		}
		e.commit(func(tx *queue.Tx) { tx.Remove(w) })
		_, err = e.s.Find(e.ctx, "q", "key77")
		e.is("Find of what was removed", err, queue.ErrNotFound)
		stale, err := e.s.Find(e.ctx, "q", "key15") // before it is retried, which moves it
		e.must(err)
		e.commit(func(tx *queue.Tx) { tx.RetryAfter(held[5], 0, nil) })
		if w, err := e.s.Find(e.ctx, "q", "key15"); err != nil || string(w.Item.Body) != "015" || w.Attempts != 1 {
			e.Errorf("found %+v, %v", w, err)
		}
		e.commit(func(tx *queue.Tx) { tx.Remove(stale) })
		_, err = e.s.Find(e.ctx, "q", "key15")
		e.is("Find of what was retried and removed", err, queue.ErrNotFound)
		if seen, err := e.s.Seen(e.ctx, "q", "key77"); err != nil || !seen {
			e.Errorf("Seen: %v, %v", seen, err)
		}
	}},
	{name: "a filter finds its items among those enqueued together", check: func(e *env) {
		var items []queue.Item
		var want, rest []string
		for i := range 200 {
			it := queue.Item{Body: fmt.Appendf(nil, "%03d", i)}
			if i%9 == 4 {
				it.Headers = map[string]string{"kind": "pdf"}
				want = append(want, string(it.Body))
			} else {
				rest = append(rest, string(it.Body))
			}
			items = append(items, it)
		}
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", items...) })
		pdf := e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Headers: map[string]string{"kind": "pdf"}}})
		first := e.receive(pdf, 5)
		e.wants("the first of the filter", bodies(first), want[:5]...)
		e.ack(first[0], first[3])
		e.must(pdf.Close())
		e.crash()
		pdf = e.subscribe("q", &queue.SubscribeOptions{Filter: &queue.Filter{Headers: map[string]string{"kind": "pdf"}}})
		e.wants("the others of the filter", e.drain(pdf), append([]string{want[1], want[2]}, want[4:]...)...)
		e.wants("the rest", e.drain(e.subscribe("q", nil)), rest...)
	}},
	{name: "items of any size are enqueued together", check: func(e *env) {
		var items []queue.Item
		var want []string
		for i := range 80 {
			body := []byte(fmt.Sprintf("%03d", i) + strings.Repeat("x", i*i*3))
			items, want = append(items, queue.Item{Body: body}), append(want, string(body[:3]))
		}
		e.commit(func(tx *queue.Tx) { tx.Enqueue("q", items...) })
		e.crash()
		e.check()
		c := e.subscribe("q", nil)
		var got []string
		for len(got) < len(items) {
			for _, d := range e.receive(c, 7) {
				i := len(got)
				if got = append(got, string(d.Item.Body[:3])); !slices.Equal(d.Item.Body, items[i].Body) {
					e.Errorf("item %d came with %d bytes, want %d", i, len(d.Item.Body), len(items[i].Body))
				}
				e.ack(d)
			}
		}
		e.wants("order", got, want...)
	}},
	{name: "items enqueued together in turns with others keep their order", check: func(e *env) {
		want := make(map[string][]string)
		e.commit(func(tx *queue.Tx) {
			for i := range 300 {
				it := queue.Item{Body: fmt.Append(nil, i), Group: fmt.Sprint("g", i%3)}
				switch i % 7 {
				case 2: // stored alone
					it.Expires = time.Now().Add(time.Hour)
				case 5:
					it.Key, it.Mode = fmt.Sprint("k", i), queue.OnceLive
				}
				tx.Enqueue("q", it)
				want[it.Group] = append(want[it.Group], string(it.Body))
			}
		})
		e.crash()
		got := make(map[string][]string)
		c := e.subscribe("q", nil)
		ctx, cancel := context.WithTimeout(e.ctx, time.Second)
		defer cancel()
		for {
			ds, err := c.Receive(ctx, 11)
			if err != nil {
				break
			}
			for _, d := range ds {
				got[d.Item.Group] = append(got[d.Item.Group], string(d.Item.Body))
			}
			e.ack(ds...)
		}
		for g := range want {
			e.wants("order of "+g, got[g], want[g]...)
		}
	}},
}

// putNumbered enqueues n items in transactions of up to 1,000 and returns their
// bodies, which sort in their order.
func (e *env) putNumbered(q string, n int) (want []string) {
	e.Helper()
	for len(want) < n {
		var some []string
		for len(want)+len(some) < n && len(some) < 1000 {
			some = append(some, fmt.Sprintf("%06d", len(want)+len(some)))
		}
		e.put(q, some...)
		want = append(want, some...)
	}
	return want
}
