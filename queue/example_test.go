package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A worker takes what there is, works, and commits. What it could not do is
// retried later. Run as many workers as you like, each with its own session.
func Example() {
	ctx := context.Background()
	s, err := memqueue.Open(nil) // badgerqueue.Open("folder", nil) keeps it on disk
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Enqueue("mail", queue.Item{Body: []byte("Ada")}, queue.Item{Body: []byte("Grace")})
	tx.Barrier("mail", nil)
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	send := func(to []byte) error { fmt.Printf("mail to %s\n", to); return nil }
	worker := func() error {
		c, err := s.Subscribe(ctx, "mail", nil)
		if err != nil {
			return err
		}
		defer c.Close() // what it still holds goes back to the queue
		for {
			ds, err := c.Receive(ctx, 32)
			if err != nil {
				return err
			}
			if ds[0].Barrier != nil { // a barrier comes alone
				fmt.Println("all mail is sent")
				return nil
			}
			var tx queue.Tx
			for _, d := range ds {
				if err := send(d.Item.Body); err != nil {
					tx.Retry(d, err)
					continue
				}
				tx.Ack(d)
			}
			if err := s.Commit(ctx, &tx); err != nil {
				return err
			}
		}
	}
	if err := worker(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// mail to Ada
	// mail to Grace
	// all mail is sent
}

// The ack of an item, what came of it and what is to be done next are one
// commit. After a crash either all of it has happened or the item is delivered
// again.
func ExampleStore_Commit() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Enqueue("orders", queue.Item{Key: "order-1", Body: []byte("pen ink")})
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	c, err := s.Subscribe(ctx, "orders", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ds, err := c.Receive(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}

	tx.Reset()
	for _, article := range strings.Fields(string(ds[0].Item.Body)) {
		tx.Enqueue("parcels", queue.Item{Body: []byte(article)})
	}
	tx.Put("invoices", ds[0].Item.Key, []byte("2 articles"))
	tx.Ack(ds[0])
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Result().Enqueued, "parcels")

	// A delivery is settled once.
	tx.Reset()
	tx.Ack(ds[0])
	err = s.Commit(ctx, &tx)
	fmt.Println(errors.Is(err, queue.ErrSettled))
	// Output:
	// 2 parcels
	// true
}

// An item with a key is taken once in the life of the queue: the seen-set of a
// crawl. Other modes let a key in again when its item is done.
func ExampleMode() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	for _, url := range []string{"https://example.com/", "https://example.com/about", "https://example.com/"} {
		tx.Enqueue("crawl", queue.Item{Key: url}) // Mode is Once
	}
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	r := tx.Result()
	fmt.Println(r.Enqueued, "new,", r.Duplicates, "known")

	seen, err := s.Seen(ctx, "crawl", "https://example.com/about")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("about seen:", seen)

	// Forget makes the queue take a key again.
	tx.Reset()
	tx.Forget("crawl", "https://example.com/about")
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 2 new, 1 known
	// about seen: true
}

// Items of one group keep a distance from each other, and take turns with those
// of other groups. Nobody waits for a group that must wait.
func ExampleGroupPolicy() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Configure("crawl", queue.Config{
		Groups: queue.GroupPolicy{MaxInFlight: 1, MinDelay: 200 * time.Millisecond},
	})
	tx.SetGroup("crawl", "fast.example", queue.GroupSettings{MinDelay: -1}) // no delay
	tx.Enqueue("crawl",
		queue.Item{Group: "slow.example", Body: []byte("/1")},
		queue.Item{Group: "slow.example", Body: []byte("/2")},
		queue.Item{Group: "fast.example", Body: []byte("/1")},
		queue.Item{Group: "fast.example", Body: []byte("/2")},
	)
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	c, err := s.Subscribe(ctx, "crawl", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for range 4 {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s%s\n", ds[0].Item.Group, ds[0].Item.Body)
		tx.Reset()
		tx.Ack(ds[0])
		if err := s.Commit(ctx, &tx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// slow.example/1
	// fast.example/1
	// fast.example/2
	// slow.example/2
}

// A barrier separates two batches. The second is not delivered before all of
// the first is settled and everybody knows: each consumer, and whoever has a
// durable subscription, whose ack may carry what is to be done between the two.
func ExampleTx_Barrier() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	// Barriers wait for a durable name even while nobody is there under it.
	closer, err := s.Subscribe(ctx, "sales", &queue.SubscribeOptions{
		Durable: "closer", Barriers: queue.OnlyBarriers,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer closer.Close()

	var tx queue.Tx
	tx.Enqueue("sales", queue.Item{Body: []byte("sale of Monday")})
	tx.Barrier("sales", []byte("Monday"))
	tx.Enqueue("sales", queue.Item{Body: []byte("sale of Tuesday")})
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	consumer, err := s.Subscribe(ctx, "sales", &queue.SubscribeOptions{Barriers: queue.NoBarriers})
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	ds, err := consumer.Receive(ctx, 10)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", ds[0].Item.Body)
	tx.Reset()
	tx.Ack(ds...)
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	// Receive waits until the barrier is released.
	bs, err := closer.Receive(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	b := bs[0].Barrier
	fmt.Printf("%s is over, sales: %d\n", b.Body, b.Counts.Acked)
	tx.Reset()
	tx.Put("reports", string(b.Body), []byte("closed"))
	tx.Ack(bs[0]) // opens Tuesday
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	if ds, err = consumer.Receive(ctx, 10); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", ds[0].Item.Body)
	// Output:
	// sale of Monday
	// Monday is over, sales: 1
	// sale of Tuesday
}

// An item that fails too often, or that is buried, goes to the dead letters
// with the reason. There it can be looked at, dropped, or tried once more.
func ExampleStore_DeadLetters() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Configure("images", queue.Config{MaxAttempts: 2, Backoff: queue.Backoff{Min: time.Millisecond}})
	tx.Enqueue("images", queue.Item{Body: []byte("broken.png")})
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	c, err := s.Subscribe(ctx, "images", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			log.Fatal(err)
		}
		tx.Reset()
		tx.Retry(ds[0], errors.New("unexpected end of file"))
		if err := s.Commit(ctx, &tx); err != nil {
			log.Fatal(err)
		}
	}

	letters, err := s.DeadLetters(ctx, "images", 0, 100)
	if err != nil {
		log.Fatal(err)
	}
	tx.Reset()
	for _, l := range letters {
		fmt.Printf("%s: %s after %d attempts\n", l.Item.Body, l.Reason, l.Attempts)
		tx.RetryDead("images", l.ID)
	}
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// broken.png: unexpected end of file after 2 attempts
}

// Tests keep their store in memory. A Disk outlives the stores that are opened
// on it, so a test can see what a program finds when it is started again.
func Example_inMemory() {
	ctx := context.Background()
	disk := memqueue.NewDisk()
	s, err := disk.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	var tx queue.Tx
	tx.Enqueue("jobs", queue.Item{Body: []byte("job")})
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	c, err := s.Subscribe(ctx, "jobs", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Receive(ctx, 1); err != nil {
		log.Fatal(err)
	}

	// The program dies while it holds the item, and is started again.
	again, err := disk.Clone().Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	if c, err = again.Subscribe(ctx, "jobs", nil); err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ds, err := c.Receive(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, attempt %d\n", ds[0].Item.Body, ds[0].Attempt)
	// Output:
	// job, attempt 2
}

// What cannot be done yet is snoozed: it comes later, and no attempt is counted.
func ExampleTx_Snooze() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Configure("letters", queue.Config{MaxAttempts: 1})
	tx.Enqueue("letters", queue.Item{Body: []byte("letter")})
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	c, err := s.Subscribe(ctx, "letters", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for open := false; ; open = true {
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			log.Fatal(err)
		}
		tx.Reset()
		if open {
			tx.Ack(ds[0])
		} else {
			tx.Snooze(ds[0], 10*time.Millisecond) // the post office opens then
		}
		if err := s.Commit(ctx, &tx); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("post office open: %v, attempt %d\n", open, ds[0].Attempt)
		if open {
			return
		}
	}
	// Output:
	// post office open: false, attempt 1
	// post office open: true, attempt 1
}

// Tables hold results and state, which change in the same commit as the queues.
func ExampleTx_Put() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Put("pages", "example.com/about", []byte("About us"))
	tx.Put("pages", "example.com/", []byte("Welcome"))
	tx.Put("pages", "example.org/", []byte("Elsewhere"))
	tx.Add("counts", "pages", 3) // any number of workers may add at once
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	// Keys are in order of their bytes. A 0 follows the slash.
	records, err := s.Scan(ctx, "pages", "example.com/", "example.com0", 100)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Printf("%s: %s\n", r.Key, r.Value)
	}
	value, err := s.Get(ctx, "counts", "pages")
	if err != nil {
		log.Fatal(err)
	}
	n, err := queue.ParseCounter(value)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "pages")
	// Output:
	// example.com/: Welcome
	// example.com/about: About us
	// 3 pages
}

// Money moves between accounts, and none goes below zero, however many transfers
// there are at once: the transaction requires the balances that were read, and who
// finds that they have changed reads them again.
func ExampleTx_Require() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Put("accounts", "Ada", []byte("100"))
	tx.Put("accounts", "Grace", []byte("0"))
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	transfer := func(from, to string, amount int64) error {
		for {
			var tx queue.Tx
			for account, change := range map[string]int64{from: -amount, to: amount} {
				value, err := s.Get(ctx, "accounts", account)
				if err != nil {
					return err
				}
				balance, err := queue.ParseCounter(value)
				if err != nil {
					return err
				}
				if balance += change; balance < 0 {
					return fmt.Errorf("%s has no %d", account, -change)
				}
				tx.Require("accounts", account, value)
				tx.Put("accounts", account, strconv.AppendInt(nil, balance, 10))
			}
			if err := s.Commit(ctx, &tx); !errors.Is(err, queue.ErrConflict) {
				return err
			}
		}
	}
	fmt.Println(transfer("Ada", "Grace", 70))
	fmt.Println(transfer("Ada", "Grace", 70))

	// What must not exist yet.
	tx.Reset()
	tx.Require("accounts", "Ada", nil)
	tx.Put("accounts", "Ada", []byte("100"))
	fmt.Println(s.Commit(ctx, &tx))
	// Output:
	// <nil>
	// Ada has no 70
	// commit: record is not as required: "Ada" in table "accounts" exists
}

// A producer from outside is held back by a queue above its high-water mark: it
// is refused, or it waits. A transaction that settles a delivery never is, so
// whoever feeds one queue from another calls WaitSpace before taking more.
func ExampleTx_WaitIfFull() {
	ctx := context.Background()
	s, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	var tx queue.Tx
	tx.Configure("uploads", queue.Config{HighWaterItems: 2})
	tx.Enqueue("uploads", queue.Item{}, queue.Item{})
	if err := s.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	var more queue.Tx
	more.Enqueue("uploads", queue.Item{})
	err = s.Commit(ctx, &more)
	fmt.Println("refused:", errors.Is(err, queue.ErrQueueFull))

	go func() {
		c, err := s.Subscribe(ctx, "uploads", nil)
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		ds, err := c.Receive(ctx, 1)
		if err != nil {
			log.Fatal(err)
		}
		var tx queue.Tx
		tx.Ack(ds...)
		if err := s.Commit(ctx, &tx); err != nil {
			log.Fatal(err)
		}
	}()
	more.WaitIfFull()
	if err := s.Commit(ctx, &more); err != nil {
		log.Fatal(err)
	}
	fmt.Println("enqueued:", more.Result().Enqueued)
	// Output:
	// refused: true
	// enqueued: 1
}
