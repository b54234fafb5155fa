package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing/synctest"

	"github.com/seed-301537d8/weir/queue"
)

// requirePromises are about the conditions of a transaction.
var requirePromises = []promise{
	{name: "a condition compares the record", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Put("t", "is", []byte("v"))
			tx.Put("t", "empty", nil)
			tx.Add("t", "n", 40)
			tx.Add("t", "n", 2)
		})
		for life := range 2 {
			for _, c := range []struct {
				key   string
				value []byte
				holds bool
			}{
				{"is", []byte("v"), true}, {"is", []byte("w"), false}, {"is", nil, false}, {"is", []byte{}, false},
				{"empty", []byte{}, true}, {"empty", nil, false}, {"empty", []byte("v"), false},
				{"none", nil, true}, {"none", []byte{}, false}, {"none", []byte("v"), false},
				{"n", []byte("42"), true}, {"n", []byte("40"), false}, {"n", nil, false},
			} {
				_, err := e.try(func(tx *queue.Tx) { tx.Require("t", c.key, c.value) })
				if c.holds && err != nil || !c.holds && !errors.Is(err, queue.ErrConflict) {
					e.Errorf("life %d: Require(%s, %q) returned %v", life, c.key, c.value, err)
				}
			}
			e.crash()
		}
		_, err := e.try(func(tx *queue.Tx) { tx.Require("t", "", nil) })
		e.is("Require of no key", err, queue.ErrInvalid)
	}},
	{name: "nothing of a transaction happens whose condition does not hold", check: func(e *env) {
		e.put("q", "a")
		a := e.one(e.subscribe("q", nil))
		_, err := e.try(func(tx *queue.Tx) {
			tx.Put("t", "k", []byte("v"))
			tx.Enqueue("new", item("b"))
			tx.Ack(a)
			tx.Require("t", "other", []byte("v"))
		})
		e.is("Commit", err, queue.ErrConflict)
		if _, err := e.s.QueueStats(e.ctx, "new"); !errors.Is(err, queue.ErrUnknownQueue) {
			e.Errorf("queue new has come into being: %v", err)
		}
		_, err = e.s.Get(e.ctx, "t", "k")
		e.is("Get", err, queue.ErrNotFound)
		e.ack(a) // it is still held
	}},
	{name: "a transaction's own changes do not matter to its conditions", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			tx.Put("t", "k", []byte("1"))
			tx.Require("t", "k", nil)
		})
		e.commit(func(tx *queue.Tx) {
			tx.Delete("t", "k")
			tx.Require("t", "k", []byte("1"))
		})
		e.commit(func(tx *queue.Tx) { tx.Require("t", "k", nil) })
	}},
	{name: "a condition sees what is being written", check: func(e *env) {
		set := func(value string) func(*queue.Tx) {
			return func(tx *queue.Tx) { tx.Put("t", "k", []byte(value)) }
		}
		steps := []func(*queue.Tx){
			set("1"), set("2"),
			func(tx *queue.Tx) { tx.Delete("t", "k") },
			func(tx *queue.Tx) { tx.Add("t", "k", 7) },
		}
		after := []string{"1", "2", "", "7"}
		for from := range steps {
			for to, change := range steps {
				e.commit(func(tx *queue.Tx) { tx.Delete("t", "k") })
				e.commit(steps[from])
				e.gate.shut()
				var writes, holds, conflicts queue.Tx
				change(&writes)
				want := after[to]
				if want == "7" && after[from] != "" { // it was added to
					n, err := strconv.Atoi(after[from])
					e.must(err)
					want = strconv.Itoa(n + 7)
				}
				holds.Require("t", "k", required(want))
				holds.Put("t", "held", nil)
				conflicts.Require("t", "k", []byte("another"))
				one, two, three := e.submit(&writes), e.submit(&holds), e.submit(&conflicts)
				e.gate.open()
				e.must(<-one)
				if err := <-two; err != nil {
					e.Errorf("from %q, a condition on %q that is being written: %v", after[from], want, err)
				}
				e.is("a condition that does not hold", <-three, queue.ErrConflict)
			}
		}
	}},
	{name: "a condition on a table that is being deleted", check: func(e *env) {
		e.commit(func(tx *queue.Tx) {
			for i := range 3000 {
				tx.Put("t", fmt.Sprint(i), []byte("v"))
			}
		})
		_, err := e.try(func(tx *queue.Tx) { tx.DeleteTable("t"); tx.Require("t", "2999", nil) })
		e.is("DeleteTable with a condition that does not hold", err, queue.ErrConflict)
		e.commit(func(tx *queue.Tx) { tx.DeleteTable("t"); tx.Require("t", "2999", []byte("v")) })
		e.commit(func(tx *queue.Tx) { tx.Require("t", "2999", nil); tx.Put("t", "2999", []byte("w")) })
		e.commit(func(tx *queue.Tx) { tx.Require("t", "2999", []byte("w")) })
	}},
	{name: "no overdraft: transfers between two accounts, many at once", check: checkTransfers},
}

// required is the value for Require of a record that is "" if there is none.
func required(value string) []byte {
	if value == "" {
		return nil
	}
	return []byte(value)
}

// checkTransfers has many goroutines move money between two accounts, each of which
// must not go below zero. One counts as a plain record and one as a counter.
func checkTransfers(e *env) {
	const clerks, transfers, total = 8, 40, 50
	e.commit(func(tx *queue.Tx) {
		tx.Put("accounts", "a", []byte(strconv.Itoa(total)))
		tx.Add("accounts", "b", 0)
	})
	e.gate.shut() // until each clerk has read the same balances
	var wg sync.WaitGroup
	conflicts := make([]int, clerks)
	moved := make([]int, clerks) // from a to b
	for clerk := range clerks {
		rnd := rand.New(rand.NewPCG(3, uint64(clerk)))
		wg.Go(func() {
			for range transfers {
				amount := rnd.IntN(2*total) - total
				for {
					done, err := transfer(e.ctx, e.s, amount)
					if errors.Is(err, queue.ErrConflict) {
						conflicts[clerk]++
						continue
					}
					if err != nil {
						e.Error(err)
						return
					}
					if done {
						moved[clerk] += amount
					}
					break
				}
			}
		})
	}
	synctest.Wait()
	e.gate.open()
	wg.Wait()
	sum := 0
	for _, n := range moved {
		sum += n
	}
	for range 2 {
		a, _, err := balance(e.ctx, e.s, "a")
		e.must(err)
		b, _, err := balance(e.ctx, e.s, "b")
		e.must(err)
		if a+b != total || b != sum || a < 0 || b < 0 {
			e.Errorf("in the end there are %d and %d, want %d and %d", a, b, total-sum, sum)
		}
		e.crash()
	}
	all := 0
	for _, n := range conflicts {
		all += n
	}
	if all == 0 {
		e.Error("no two transfers met: the test shows nothing")
	}
}

func balance(ctx context.Context, s *queue.Store, account string) (int, []byte, error) {
	value, err := s.Get(ctx, "accounts", account)
	if err != nil {
		return 0, nil, err
	}
	n, err := strconv.Atoi(string(value))
	return n, value, err
}

// transfer moves money from a to b, or back if the amount is negative. It reports false
// if there is too little.
func transfer(ctx context.Context, s *queue.Store, amount int) (done bool, err error) {
	a, wasA, err := balance(ctx, s, "a")
	if err != nil {
		return false, err
	}
	b, wasB, err := balance(ctx, s, "b")
	if err != nil {
		return false, err
	}
	if a-amount < 0 || b+amount < 0 {
		return false, nil
	}
	var tx queue.Tx
	tx.Require("accounts", "a", wasA)
	tx.Require("accounts", "b", wasB)
	tx.Put("accounts", "a", []byte(strconv.Itoa(a-amount)))
	tx.Add("accounts", "b", int64(amount))
	return true, s.Commit(ctx, &tx)
}
