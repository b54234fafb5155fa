package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
)

// sizedDriver notes the largest batch, and what a crash behind each would leave.
type sizedDriver struct {
	driver.Store
	mu      sync.Mutex
	crashes func() Disk // nil if nobody wants to know
	disks   []Disk
	largest int
}

func (d *sizedDriver) Commit(ctx context.Context, writes []driver.Write) error {
	err := d.Store.Commit(ctx, writes)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.crashes != nil {
		d.disks, d.largest = append(d.disks, d.crashes()), max(d.largest, len(writes))
	}
	return err
}

// fill puts some of everything into a queue.
func (e *env) fill(q string) {
	e.Helper()
	e.configure(q, queue.Config{MaxAttempts: 1, BarrierOn: eod})
	e.subscribe(q, &queue.SubscribeOptions{Durable: "name"}).Close()
	e.commit(func(tx *queue.Tx) {
		for i := range 200 {
			tx.Enqueue(q, queue.Item{Body: []byte(strconv.Itoa(i)), Key: strconv.Itoa(i), Mode: queue.Mode(i % 3), Group: fmt.Sprint("g", i%7), Priority: i % 2})
		}
		tx.Enqueue(q, queue.Item{Body: []byte("late"), Delay: time.Hour}, queue.Item{Body: []byte("ends"), Expires: time.Now().Add(time.Hour)})
		tx.Enqueue(q, queue.Item{Headers: eod.Headers}, item("behind"))
		tx.SetGroup(q, "g1", queue.GroupSettings{MaxInFlight: 3})
	})
	c := e.subscribe(q, nil)
	for _, d := range e.receive(c, 20) {
		e.commit(func(tx *queue.Tx) { tx.Retry(d, errors.New("bad")) })
	}
	c.Close()
}

// deletePromises are about what is deleted: queues, tables, and what waits in them.
var deletePromises = []promise{
	{name: "a deleted queue is gone, and one of its name knows nothing of it", check: func(e *env) {
		e.put("other", "x")
		e.fill("q")
		e.commit(func(tx *queue.Tx) { tx.DeleteQueue("q"); tx.Put("t", "k", nil); tx.Enqueue("other", item("y")) })
		for _, life := range []string{"at once", "after a crash"} {
			if _, err := e.s.QueueStats(e.ctx, "q"); !errors.Is(err, queue.ErrUnknownQueue) {
				e.Errorf("%s: statistics of the queue: %v", life, err)
			}
			if n := len(e.all()); n != 1 {
				e.Errorf("%s: there are %d queues, want 1", life, n)
			}
			e.crash()
		}
		r := e.commit(func(tx *queue.Tx) { tx.Enqueue("q", queue.Item{Key: "3", Body: []byte("new")}) })
		if r.Enqueued != 1 {
			e.Errorf("a key of the old queue: %+v", r)
		}
		c := e.subscribe("q", nil)
		e.wants("the new queue", e.drain(c), "new")
		if st := e.stats("q"); st.Totals.Enqueued != 1 || st.Dead != 0 || st.Barriers != 0 {
			e.Errorf("the new queue has %+v", st)
		}
		if names, err := e.s.Subscriptions(e.ctx, "q"); err != nil || len(names) > 0 {
			e.Errorf("the new queue has names %q, %v", names, err)
		}
		e.wants("the other queue", e.drain(e.subscribe("other", nil)), "x", "y")
	}},
	{name: "numbers of deleted queues are used again", check: func(e *env) {
		for i := range 9 {
			e.fill("q")
			e.commit(func(tx *queue.Tx) { tx.DeleteQueue("q") })
			if i%3 == 0 {
				e.crash()
			}
			synctest.Wait() // all is swept
			e.check()
		}
		e.put("q", "x")
		e.commit(func(tx *queue.Tx) { tx.DeleteQueue("q") })
		synctest.Wait()
		e.must(e.s.Close())
		raw, err := e.disk.Driver()
		e.must(err)
		records := 0
		e.must(raw.Scan(e.ctx, []byte{0}, nil, func(key, _ []byte) bool {
			if key[0] != 'm' && key[0] != 'o' { // but for what is known of the store, and of transactions
				e.Errorf("record %q is left", key)
			}
			records++
			return records < 20
		}))
		e.must(raw.Close())
		e.open()
	}},
	{name: "sweeping survives crashes and keeps batches small", opts: &queue.Options{}, check: func(e *env) {
		var d *sizedDriver
		e.wrap = func(db driver.Store) driver.Store {
			d = &sizedDriver{Store: db}
			return d
		}
		e.reopen()
		for round := range 3 {
			e.commit(func(tx *queue.Tx) {
				for i := range 1000 {
					tx.Enqueue("q", queue.Item{Key: fmt.Sprint(round, " ", i), Expires: time.Now().Add(time.Hour), Group: strconv.Itoa(i)})
					tx.Put("t", fmt.Sprint(round, " ", i), make([]byte, 100))
				}
			})
		}
		d.crashes = func() Disk { return e.disk.Crash(e) }
		e.commit(func(tx *queue.Tx) { tx.DeleteQueue("q"); tx.DeleteTable("t") })
		synctest.Wait()
		d.crashes = nil
		if d.largest > 5000 {
			e.Errorf("a batch of sweeping has %d writes", d.largest)
		}
		if len(d.disks) < 5 {
			e.Errorf("all was swept with %d batches", len(d.disks))
		}
		e.check()
		for i, disk := range d.disks {
			e.must(e.s.Close())
			e.disk = disk
			e.open()
			if _, err := e.s.QueueStats(e.ctx, "q"); !errors.Is(err, queue.ErrUnknownQueue) {
				e.Errorf("crash %d: statistics of the queue: %v", i, err)
			}
			if records, err := e.s.Scan(e.ctx, "t", "", "", 10); err != nil || len(records) > 0 {
				e.Errorf("crash %d: the deleted table has %d records, %v", i, len(records), err)
			}
			e.put("q", "x")
			e.commit(func(tx *queue.Tx) { tx.Put("t", "k", []byte("new")) })
			synctest.Wait()
			if records, err := e.s.Scan(e.ctx, "t", "", "", 10); err != nil || len(records) != 1 {
				e.Errorf("crash %d: the new table has %d records, %v", i, len(records), err)
			}
			e.wants("the new queue", e.waiting("q"), "x:ready")
			e.check()
		}
	}},
	{name: "a queue with consumers is not deleted, nor one that the transaction changes", check: func(e *env) {
		e.put("q", "x")
		c := e.subscribe("q", nil)
		d := e.one(c)
		for _, bad := range []struct {
			what  string
			want  error
			build func(tx *queue.Tx)
		}{
			{"a queue with a consumer", queue.ErrQueueInUse, func(tx *queue.Tx) { tx.DeleteQueue("q") }},
			{"a queue that is not there", queue.ErrUnknownQueue, func(tx *queue.Tx) { tx.DeleteQueue("p") }},
			{"a queue and its item", queue.ErrInvalid, func(tx *queue.Tx) { tx.Ack(d); tx.DeleteQueue("q") }},
			{"a queue and one like it", queue.ErrInvalid, func(tx *queue.Tx) { tx.DeleteQueue("q"); tx.Enqueue("q", item("y")) }},
			{"a queue twice", queue.ErrInvalid, func(tx *queue.Tx) { tx.DeleteQueue("q"); tx.DeleteQueue("q") }},
			{"a table and its record", queue.ErrInvalid, func(tx *queue.Tx) { tx.DeleteTable("t"); tx.Put("t", "k", nil) }},
			{"a table without a name", queue.ErrInvalid, func(tx *queue.Tx) { tx.DeleteTable("") }},
		} {
			_, err := e.try(bad.build)
			e.is(bad.what, err, bad.want)
		}
		e.ack(d)
		e.commit(func(tx *queue.Tx) { tx.Enqueue("o", item("z")) })
		_, err := e.try(func(tx *queue.Tx) { tx.Ack(d); tx.DeleteQueue("o") })
		e.is("a queue, with a delivery that is settled already", err, queue.ErrSettled)
		e.wants("the queue that is not deleted", e.drain(e.subscribe("o", nil)), "z")
		e.wants("the queue", e.drain(c))
	}},
	{name: "nobody waits for a deleted queue", check: func(e *env) {
		e.configure("q", queue.Config{HighWaterItems: 1})
		id := e.barrier("q", "end")
		e.put("q", "x")
		waits := make(chan error, 2)
		go func() { waits <- e.s.WaitBarrier(e.ctx, queue.BarrierID{Queue: "q", Epoch: id.Epoch}) }()
		go func() { waits <- e.s.WaitSpace(e.ctx, "q") }()
		e.must(<-waits)
		e.commit(func(tx *queue.Tx) { tx.Barrier("q", nil) })
		go func() { waits <- e.s.WaitBarrier(e.ctx, queue.BarrierID{Queue: "q", Epoch: 1}) }()
		synctest.Wait()
		e.commit(func(tx *queue.Tx) { tx.DeleteQueue("q") })
		for range 2 {
			if err := <-waits; err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
				e.Error(err)
			}
		}
	}},
	{name: "a deleted table is empty, and can be written again", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			for i := range 5000 {
				tx.Put("t", strconv.Itoa(i), []byte("old"))
			}
			tx.Put("tt", "k", []byte("kept"))
			tx.Add("t", "counter", 7)
		})
		e.gate.shut()
		var tx, later queue.Tx
		tx.DeleteTable("t")
		done := e.submit(&tx)
		later.Put("t", "7", []byte("new"))
		later.Add("t", "counter", 1)
		put := e.submit(&later)
		e.gate.letOne()
		e.must(<-done)
		synctest.Wait()
		if _, err := e.s.Get(e.ctx, "t", "4"); !errors.Is(err, queue.ErrNotFound) {
			e.Errorf("a record of the deleted table: %v", err)
		}
		e.gate.open()
		e.must(<-put)
		e.crash()
		records, err := e.s.Scan(e.ctx, "t", "", "", 10)
		e.must(err)
		if len(records) != 2 || string(records[0].Value) != "new" || string(records[1].Value) != "1" {
			e.Errorf("the table holds %q", records)
		}
		if v, err := e.s.Get(e.ctx, "tt", "k"); err != nil || string(v) != "kept" {
			e.Errorf("the table with the longer name: %q, %v", v, err)
		}
	}},
	{name: "what was shown of a deleted queue means nothing to the next", check: func(e *env) {
		e.put("q", "a", "b")
		page, err := e.s.Browse(e.ctx, "q", nil, 10)
		e.must(err)
		e.commit(func(tx *queue.Tx) { tx.DeleteQueue("q") })
		e.put("q", "c", "d")
		if r := e.commit(func(tx *queue.Tx) { tx.Remove(page...) }); r.Removed != 0 {
			e.Errorf("%d items were removed", r.Removed)
		}
		e.wants("the queue", e.waiting("q"), "c:ready", "d:ready")
	}},
	{name: "a purge drops what waits, and nothing else", check: func(e *env) {
		e.fill("q")
		c := e.subscribe("q", nil)
		held := e.receive(c, 3)
		waiting := len(e.waiting("q"))
		n, err := e.s.Purge(e.ctx, "q")
		e.must(err)
		if want := waiting - len(held); n != want {
			e.Errorf("Purge removed %d items, want %d", n, want)
		}
		if left := e.waiting("q"); len(left) != len(held) {
			e.Errorf("%q are left", left)
		}
		st := e.stats("q")
		if n, err = e.s.PurgeDead(e.ctx, "q"); err != nil || int64(n) != st.Dead || len(e.dead("q")) > 0 {
			e.Errorf("PurgeDead dropped %d of %d, %v", n, st.Dead, err)
		}
		e.ack(held...)
		_, err = e.s.Purge(e.ctx, "nobody")
		e.is("Purge of no queue", err, queue.ErrUnknownQueue)
	}},
}
