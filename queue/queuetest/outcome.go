package queuetest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing/synctest"

	"github.com/seed-301537d8/weir/queue"
)

// named makes a transaction with an id.
func named(id string, build func(tx *queue.Tx)) *queue.Tx {
	tx := &queue.Tx{ID: id}
	build(tx)
	return tx
}

// outcome fails the test if the transaction with an id has another result than this, or
// has happened if it is nil.
func (e *env) outcome(id string, want *queue.Result) {
	e.Helper()
	got, err := e.s.Outcome(e.ctx, id)
	if want == nil {
		e.is("Outcome of "+id, err, queue.ErrNotFound)
		return
	}
	e.must(err)
	if !reflect.DeepEqual(got, *want) {
		e.Errorf("Outcome of %s is %+v, want %+v", id, got, *want)
	}
}

// outcomePromises are about transactions with an id.
var outcomePromises = []promise{
	{name: "a transaction with an id happens once, over reopening and crashes too", check: func(e *env) {
		e.put("q", "a", "b")
		c := e.subscribe("q", nil)
		a := e.one(c)
		first := named("tx", func(tx *queue.Tx) {
			tx.Ack(a)
			tx.Enqueue("r", queue.Item{Key: "k"}, queue.Item{Key: "k"})
			tx.Barrier("r", nil)
			tx.Barrier("\xff", []byte("body"))
		})
		e.must(e.s.Commit(e.ctx, first))
		want := first.Result()
		if want.Enqueued != 1 || want.Duplicates != 1 || len(want.Barriers) != 2 {
			e.Fatalf("the first has done %+v", want)
		}
		for life := range 3 {
			again := named("tx", func(tx *queue.Tx) {
				if life == 0 {
					tx.Ack(a) // as it was
				}
				tx.Put("t", "k", nil)
				tx.Enqueue("new", item("x"))
				tx.Require("t", "k", []byte("no"))
			})
			e.must(e.s.Commit(e.ctx, again))
			if got := again.Result(); !reflect.DeepEqual(got, want) {
				e.Errorf("life %d: the second has done %+v, want %+v", life, got, want)
			}
			e.outcome("tx", &want)
			_, err := e.s.Get(e.ctx, "t", "k")
			e.is("Get of what the second would have put", err, queue.ErrNotFound)
			_, err = e.s.QueueStats(e.ctx, "new")
			e.is("QueueStats of what it would have made", err, queue.ErrUnknownQueue)
			if life == 0 {
				e.reopen()
			} else {
				e.crash()
			}
		}
	}},
	{name: "what a transaction would settle is still held when its id is known", check: func(e *env) {
		e.put("q", "a")
		a := e.one(e.subscribe("q", nil))
		e.must(e.s.Commit(e.ctx, named("tx", func(tx *queue.Tx) { tx.Put("t", "k", nil) })))
		e.must(e.s.Commit(e.ctx, named("tx", func(tx *queue.Tx) { tx.Ack(a) })))
		e.wants("items", e.waiting("q"), "a:leased")
		e.ack(a)
	}},
	{name: "an id alone is a transaction", check: func(e *env) {
		e.must(e.s.Commit(e.ctx, &queue.Tx{ID: "empty"}))
		e.crash()
		e.outcome("empty", &queue.Result{})
	}},
	{name: "of two transactions with one id at the same time one happens", check: func(e *env) {
		add := func(tx *queue.Tx) { tx.Add("t", "n", 1); tx.Enqueue("q", item("a")) }
		e.gate.shut()
		var done []<-chan error
		var txs []*queue.Tx
		for range 4 { // the first is being written while the others are planned
			tx := named("tx", add)
			txs, done = append(txs, tx), append(done, e.submit(tx))
		}
		for _, d := range done {
			select {
			case err := <-d:
				e.Errorf("answered before anything is durable: %v", err)
			default:
			}
		}
		e.gate.open()
		for i, d := range done {
			e.must(<-d)
			if got := txs[i].Result(); got.Enqueued != 1 {
				e.Errorf("transaction %d has done %+v", i, got)
			}
		}
		for range 2 {
			n, err := e.s.Get(e.ctx, "t", "n")
			if err != nil || string(n) != "1" {
				e.Errorf("the counter is %q, %v", n, err)
			}
			e.wants("items", e.waiting("q"), "a:ready")
			e.crash()
		}
	}},
	{name: "a transaction that is refused is not remembered", check: func(e *env) {
		_, err := e.try(func(tx *queue.Tx) { tx.ID = "tx"; tx.Require("t", "k", []byte("v")) })
		e.is("Commit", err, queue.ErrConflict)
		_, err = e.try(func(tx *queue.Tx) { tx.ID = "tx"; tx.Pause("nowhere") })
		e.is("Commit", err, queue.ErrUnknownQueue)
		e.outcome("tx", nil)
		e.commit(func(tx *queue.Tx) { tx.ID = "tx"; tx.Put("t", "k", nil) })
		e.outcome("tx", &queue.Result{})
	}},
	{name: "the outcome of a Commit whose context has ended", check: func(e *env) {
		for i, write := range []func(){
			func() {},
			func() { // another is being written, so that this one is planned or waits
				e.submit(named("", func(tx *queue.Tx) { tx.Put("t", "other", nil) }))
			},
		} {
			id := fmt.Sprint("tx ", i)
			ctx, cancel := context.WithCancel(e.ctx)
			e.gate.shut()
			write()
			done := make(chan error, 1)
			go func() {
				done <- e.s.Commit(ctx, named(id, func(tx *queue.Tx) { tx.Enqueue("q", item("a")) }))
			}()
			synctest.Wait()
			cancel()
			e.is("Commit", <-done, context.Canceled)
			asked := make(chan struct{})
			go func() {
				e.outcome(id, &queue.Result{Enqueued: 1})
				close(asked)
			}()
			synctest.Wait()
			select {
			case <-asked:
				e.Error("Outcome answers while the batch is being written")
			default:
			}
			e.gate.open()
			<-asked
		}
		ctx, cancel := context.WithCancel(e.ctx)
		cancel()
		e.is("Commit", e.s.Commit(ctx, named("tx", func(tx *queue.Tx) { tx.Enqueue("q", item("c")) })), context.Canceled)
		e.outcome("tx", nil)
		e.wants("items", e.waiting("q"), "a:ready", "a:ready")
	}},
	{name: "ids have their bound", check: func(e *env) {
		long := strings.Repeat("\xff", queue.MaxTxID)
		e.must(e.s.Commit(e.ctx, &queue.Tx{ID: long}))
		e.outcome(long, &queue.Result{})
		e.is("Commit", e.s.Commit(e.ctx, &queue.Tx{ID: long + "x"}), queue.ErrInvalid)
		_, err := e.s.Outcome(e.ctx, long+"x")
		e.is("Outcome", err, queue.ErrInvalid)
		_, err = e.s.Outcome(e.ctx, "")
		e.is("Outcome of no id", err, queue.ErrInvalid)
	}},
}
