package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// weighed is a driver that notes the size of each batch.
type weighed struct {
	driver.Store
	mu      sync.Mutex
	batches []queue.Size
}

func (w *weighed) Commit(ctx context.Context, writes []driver.Write) error {
	size := queue.Size{Writes: len(writes)}
	for i := range writes {
		size.Bytes += len(writes[i].Key) + len(writes[i].Value) + w.Limits().Overhead
	}
	w.mu.Lock()
	w.batches = append(w.batches, size)
	w.mu.Unlock()
	return w.Store.Commit(ctx, writes)
}

// take returns the batches since the last call.
func (w *weighed) take() []queue.Size {
	w.mu.Lock()
	defer w.mu.Unlock()
	batches := w.batches
	w.batches = nil
	return batches
}

// history is a random history of transactions of every kind.
type history struct {
	*testing.T
	ctx  context.Context
	rnd  *rand.Rand
	disk *weighed
	s    *queue.Store
	cs   []*queue.Consumer
	held []*queue.Delivery
}

var historyQueues = []string{"a", "b", strings.Repeat("q", queue.MaxName), "\xff\xfe"}

func (h *history) queue() string { return historyQueues[h.rnd.IntN(len(historyQueues))] }

// text returns arbitrary bytes.
func (h *history) text(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + h.rnd.IntN(255))
	}
	return string(b)
}

func (h *history) body() []byte {
	return []byte(h.text([]int{0, 3, 40, 40, 40, 700, 9000, 60_000}[h.rnd.IntN(8)]))
}

func (h *history) group() string {
	return []string{"", "", "g", "host.example.org", strings.Repeat("G", queue.MaxGroup)}[h.rnd.IntN(5)]
}

func (h *history) item() queue.Item {
	it := queue.Item{Body: h.body(), Group: h.group(), Priority: h.rnd.IntN(3) - 1}
	if h.rnd.IntN(2) == 0 {
		it.Key, it.Mode = fmt.Sprint("key ", h.rnd.IntN(30)), queue.Mode(h.rnd.IntN(3))
		if h.rnd.IntN(5) == 0 {
			it.Key += strings.Repeat("k", 1000)
		}
	}
	if h.rnd.IntN(6) == 0 {
		it.Headers = map[string]string{"eod": "\xff", h.text(5): h.text(h.rnd.IntN(900))}
	}
	if h.rnd.IntN(4) == 0 {
		it.Batch = h.batch()
	}
	if h.rnd.IntN(6) == 0 {
		it.Delay = time.Duration(h.rnd.IntN(5000)) * time.Millisecond
	}
	if h.rnd.IntN(6) == 0 {
		it.NotBefore = time.Now().Add(time.Duration(h.rnd.IntN(4000)-2000) * time.Millisecond)
	}
	if h.rnd.IntN(6) == 0 {
		it.Expires = time.Now().Add(time.Duration(h.rnd.IntN(9000)) * time.Millisecond)
	}
	return it
}

func (h *history) batch() string {
	return []string{"b", strings.Repeat("B", queue.MaxGroup)}[h.rnd.IntN(2)]
}

// hold returns a delivery that nobody has settled, and forgets it. It is nil if
// there is none.
func (h *history) hold(barrier bool) *queue.Delivery {
	for i, d := range h.held {
		if barrier || d.Barrier == nil {
			h.held = slices.Delete(h.held, i, i+1)
			return d
		}
	}
	return nil
}

// until is the time of a deferral.
func (h *history) until() time.Time {
	if h.rnd.IntN(3) == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(h.rnd.IntN(4000)) * time.Millisecond)
}

// stacked is an error with a stack.
type stacked struct{ text, stack string }

func (e stacked) Error() string { return e.text }
func (e stacked) Stack() []byte { return []byte(e.stack) }

func (h *history) cause() error {
	return []error{nil, errors.New("failed"), stacked{h.text(4000), h.text(9000)}}[h.rnd.IntN(3)]
}

func (h *history) config() queue.Config {
	c := queue.Config{
		MaxAttempts: 1 + h.rnd.IntN(3),
		Backoff:     queue.Backoff{Min: time.Duration(1 + h.rnd.IntN(1e9)), Max: time.Hour, Jitter: h.rnd.Float64()},
		Groups:      queue.GroupPolicy{MaxInFlight: h.rnd.IntN(4), MinDelay: time.Duration(h.rnd.IntN(2)) * time.Second},
	}
	if h.rnd.IntN(2) == 0 {
		c.BarrierOn = &queue.Filter{Headers: map[string]string{"eod": "\xff"}}
		if h.rnd.IntN(4) == 0 {
			c.BarrierOn.Headers[h.text(100)], c.BarrierOn.Key, c.BarrierOn.Group = h.text(3000), h.text(queue.MaxKey), h.group()
		}
	}
	return c
}

// changes has a way to add each change that a Tx can hold.
var changes = map[string]func(h *history, tx *queue.Tx){
	"Ack": func(h *history, tx *queue.Tx) {
		if d := h.hold(true); d != nil {
			tx.Ack(d)
		}
	},
	"AckUnused": func(h *history, tx *queue.Tx) {
		if d := h.hold(false); d != nil {
			tx.AckUnused(d)
		}
	},
	"Retry": func(h *history, tx *queue.Tx) {
		if d := h.hold(true); d != nil {
			tx.Retry(d, h.cause())
		}
	},
	"RetryAfter": func(h *history, tx *queue.Tx) {
		if d := h.hold(true); d != nil {
			tx.RetryAfter(d, time.Duration(h.rnd.IntN(2000))*time.Millisecond, h.cause())
		}
	},
	"Release": func(h *history, tx *queue.Tx) {
		if d := h.hold(true); d != nil {
			tx.Release(d)
		}
	},
	"Snooze": func(h *history, tx *queue.Tx) {
		if d := h.hold(true); d != nil {
			tx.Snooze(d, time.Duration(h.rnd.IntN(2000))*time.Millisecond)
		}
	},
	"Bury": func(h *history, tx *queue.Tx) {
		if d := h.hold(false); d != nil {
			tx.Bury(d, h.cause())
			if h.rnd.IntN(3) == 0 {
				tx.RetryDead(d.Queue, d.ID)
			}
		}
	},
	"Defer": func(h *history, tx *queue.Tx) {
		if d := h.hold(false); d != nil {
			tx.Defer(d, h.until(), h.cause())
		}
	},
	"DeferGroup": func(h *history, tx *queue.Tx) {
		if group := h.group(); group != "" {
			tx.DeferGroup(h.queue(), group, h.until(), h.text(h.rnd.IntN(4000)))
		}
	},
	"RejoinGroup": func(h *history, tx *queue.Tx) {
		if group := h.group(); group != "" {
			tx.RejoinGroup(h.queue(), group)
		}
	},
	"Rejoin": func(h *history, tx *queue.Tx) {
		page, err := h.s.Browse(h.ctx, h.queue(), nil, 1000)
		if err == nil {
			tx.Rejoin(page...)
		}
	},
	"Enqueue": func(h *history, tx *queue.Tx) {
		q, it := h.queue(), h.item()
		for range 1 + h.rnd.IntN(30) {
			switch it.Body = h.body(); h.rnd.IntN(6) {
			case 0:
				q = h.queue()
			case 1:
				it = h.item()
			}
			tx.Enqueue(q, it)
		}
	},
	"Barrier": func(h *history, tx *queue.Tx) { tx.Barrier(h.queue(), h.body()) },
	"CloseBatch": func(h *history, tx *queue.Tx) {
		it := queue.Item{Body: h.body(), Group: h.group(), Priority: h.rnd.IntN(3)}
		if h.rnd.IntN(2) == 0 {
			it.Headers = map[string]string{h.text(5): h.text(h.rnd.IntN(900))}
		}
		tx.CloseBatch(h.queue(), h.batch(), h.queue(), it)
	},
	"Put":    func(h *history, tx *queue.Tx) { tx.Put(h.queue(), h.text(1+h.rnd.IntN(queue.MaxTableKey)), h.body()) },
	"Delete": func(h *history, tx *queue.Tx) { tx.Delete("t", h.text(5)) },
	"Add": func(h *history, tx *queue.Tx) {
		tx.Add("counters", fmt.Sprint(h.rnd.IntN(4)), h.rnd.Int64()-h.rnd.Int64())
	},
	"Require": func(h *history, tx *queue.Tx) { tx.Require("t", h.text(1+h.rnd.IntN(queue.MaxTableKey)), nil) },
	"SetGroup": func(h *history, tx *queue.Tx) {
		s := queue.GroupSettings{MaxInFlight: h.rnd.IntN(3), MinDelay: time.Duration(h.rnd.IntN(3)), Paused: h.rnd.IntN(4) == 0}
		if h.rnd.IntN(2) == 0 {
			s.NotBefore = time.Now().Add(time.Duration(h.rnd.IntN(3000)) * time.Millisecond)
		}
		tx.SetGroup(h.queue(), strings.Repeat("G", queue.MaxGroup), s)
		tx.SetGroup(h.queue(), "g", s)
	},
	"DelayGroup": func(h *history, tx *queue.Tx) { tx.DelayGroup(h.queue(), "g", time.Now().Add(time.Second)) },
	"Configure":  func(h *history, tx *queue.Tx) { tx.Configure(h.queue(), h.config()) },
	"Pause":      func(h *history, tx *queue.Tx) { tx.Pause(h.queue()) },
	"Resume":     func(h *history, tx *queue.Tx) { tx.Resume(h.queue()) },
	"Remove": func(h *history, tx *queue.Tx) {
		page, err := h.s.Browse(h.ctx, h.queue(), nil, 5)
		if err == nil {
			tx.Remove(page...)
		}
	},
	"Forget": func(h *history, tx *queue.Tx) { tx.Forget(h.queue(), fmt.Sprint("key ", h.rnd.IntN(30)), "never") },
	"RetryDead": func(h *history, tx *queue.Tx) {
		q := h.queue()
		letters, err := h.s.DeadLetters(h.ctx, q, 0, 3)
		for _, l := range letters {
			if err == nil {
				tx.RetryDead(q, l.ID)
			}
		}
	},
	"DeleteQueue": func(h *history, tx *queue.Tx) {
		var alone queue.Tx
		alone.DeleteQueue("doomed " + fmt.Sprint(h.rnd.IntN(3)))
		var make queue.Tx
		make.Enqueue("doomed "+fmt.Sprint(h.rnd.IntN(3)), h.item())
		h.commit(&make)
		h.commit(&alone)
	},
	"DeleteTable": func(h *history, tx *queue.Tx) {
		var alone queue.Tx
		alone.DeleteTable("counters")
		h.commit(&alone)
	},
	"DropDead": func(h *history, tx *queue.Tx) {
		q := h.queue()
		letters, err := h.s.DeadLetters(h.ctx, q, 0, 1)
		for _, l := range letters {
			if err == nil {
				tx.DropDead(q, l.ID)
			}
		}
	},
}

// unchanging are the methods of Tx that add no change.
var unchanging = []string{
	"WaitIfFull", "Result", "Len", "Append", "Grow", "Reset",
	"Changes", "Waits", "Committed", "Abandoned", "Spent", // of engines
}

// TestSizeBoundsWhatIsWritten compares Store.Size with what a driver is given, over
// random transactions of every kind in random states.
func TestSizeBoundsWhatIsWritten(t *testing.T) {
	var kinds []string
	for tx, i := reflect.TypeFor[*queue.Tx](), 0; i < tx.NumMethod(); i++ {
		name := tx.Method(i).Name
		if _, ok := changes[name]; ok {
			kinds = append(kinds, name)
		} else if !slices.Contains(unchanging, name) {
			t.Errorf("this test has no way to try Tx.%s", name)
		}
	}
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { (&history{T: t, rnd: rand.New(rand.NewPCG(seed, 7))}).run(kinds) })
		})
	}
}

func (h *history) run(kinds []string) {
	h.ctx = h.Context()
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		h.Fatal(err)
	}
	h.disk = &weighed{Store: db}
	h.s, err = queue.New(h.ctx, h.disk, &queue.Options{Logger: slog.New(slog.NewTextHandler(complaints{h.T}, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err != nil {
		h.Fatal(err)
	}
	defer h.s.Close()
	for _, q := range historyQueues {
		h.subscribe(q, "")
	}
	for range 60 {
		var tx queue.Tx
		for range 1 + h.rnd.IntN(6) {
			changes[kinds[h.rnd.IntN(len(kinds))]](h, &tx)
		}
		if h.rnd.IntN(2) == 0 {
			tx.ID = h.text(1 + h.rnd.IntN(queue.MaxTxID))
		}
		tx.Put("t", "turn", nil) // Release writes nothing, and the first batch would be housekeeping's
		h.commit(&tx)
		h.turn()
	}
	if err := h.s.Check(h.ctx); err != nil {
		h.Error(err)
	}
}

// commit compares the bound of a transaction with its batch.
func (h *history) commit(tx *queue.Tx) {
	synctest.Wait() // housekeeping has come to rest
	h.disk.take()
	size, err := h.s.Size(h.ctx, tx)
	if err != nil {
		h.Fatalf("Size: %v", err)
	}
	if batches := h.disk.take(); len(batches) > 0 {
		h.Fatalf("Size has written %v", batches)
	}
	if err := h.s.Commit(h.ctx, tx); errors.Is(err, queue.ErrUnknownQueue) || errors.Is(err, queue.ErrLeaseLost) {
		return
	} else if err != nil {
		h.Fatal(err)
	}
	batches := h.disk.take()
	if len(batches) == 0 {
		return
	}
	// Each batch has besides the record of its number.
	limit := size
	limit.Writes++
	limit.Bytes += 6 + 20 + h.disk.Limits().Overhead
	if !batches[0].Fits(limit) {
		h.Errorf("a transaction of %d changes wrote %v, its bound was %v", tx.Len(), batches[0], size)
	}
}

// turn lets other things happen.
func (h *history) turn() {
	switch h.rnd.IntN(6) {
	case 0:
		time.Sleep(time.Duration(h.rnd.IntN(3000)) * time.Millisecond)
	case 1:
		i := h.rnd.IntN(len(h.cs))
		h.cs[i].Close()
		h.cs = slices.Delete(h.cs, i, i+1)
		q := h.queue()
		h.subscribe(q, "")
		h.s.Unsubscribe(h.ctx, q, "name")
	case 2:
		h.subscribe(h.queue(), "name")
	}
	for _, c := range h.cs {
		ctx, cancel := context.WithTimeout(h.ctx, time.Millisecond)
		ds, err := c.Receive(ctx, 1+h.rnd.IntN(20))
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			h.Fatal(err)
		}
		h.held = append(h.held, ds...)
	}
	h.rnd.Shuffle(len(h.held), func(i, j int) { h.held[i], h.held[j] = h.held[j], h.held[i] })
}

func (h *history) subscribe(q, name string) {
	c, err := h.s.Subscribe(h.ctx, q, &queue.SubscribeOptions{Durable: name})
	if errors.Is(err, queue.ErrNameInUse) {
		return
	}
	if err != nil {
		h.Fatal(err)
	}
	h.cs = append(h.cs, c)
}

// complaints fails a test with whatever is written to it.
type complaints struct{ *testing.T }

func (c complaints) Write(b []byte) (int, error) {
	c.Errorf("logged: %s", b)
	return len(b), nil
}

// TestSmallChangesAreChargedWhatTheyTake: how much more than it needs a transaction
// of many small changes is charged.
func TestSmallChangesAreChargedWhatTheyTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &history{T: t, ctx: t.Context(), rnd: rand.New(rand.NewPCG(1, 1))}
		db, err := memqueue.NewDisk().Driver()
		if err != nil {
			t.Fatal(err)
		}
		h.disk = &weighed{Store: db}
		if h.s, err = queue.New(h.ctx, h.disk, nil); err != nil {
			t.Fatal(err)
		}
		defer h.s.Close()
		charge := func(what string, most float64, build func(tx *queue.Tx)) {
			t.Helper()
			synctest.Wait()
			var tx queue.Tx
			build(&tx)
			size, err := h.s.Size(h.ctx, &tx)
			if err != nil {
				t.Fatal(err)
			}
			h.disk.take()
			if err := h.s.Commit(h.ctx, &tx); err != nil {
				t.Fatal(err)
			}
			wrote := h.disk.take()[0]
			const counts = 1 << 10 // of a queue, whatever the number of changes
			if share := float64(size.Bytes-counts) / float64(wrote.Bytes); share > most {
				t.Errorf("%s: charged %v, written %v, %.2f times as much", what, size, wrote, share)
			}
		}
		charge("items", 1.2, func(tx *queue.Tx) {
			for i := range 2000 {
				tx.Enqueue("q", queue.Item{Body: fmt.Appendf(nil, "https://example.org/page/%d", i)})
			}
		})
		charge("items with keys", 2, func(tx *queue.Tx) {
			for i := range 2000 {
				u := fmt.Sprintf("https://example.org/page/%d", i)
				tx.Enqueue("k", queue.Item{Body: []byte(u), Key: u, Group: "example.org"})
			}
		})
		c, err := h.s.Subscribe(h.ctx, "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := c.Receive(h.ctx, 1000)
		if err != nil {
			t.Fatal(err)
		}
		charge("acks", 1.5, func(tx *queue.Tx) { tx.Ack(ds...) })
		charge("records", 1.1, func(tx *queue.Tx) {
			for i := range 1000 {
				tx.Put("t", fmt.Sprint(i), []byte("a value"))
			}
		})
	})
}

// TestErrTooLargeNamesTheChange: a transaction over the limit has no effect, says
// which change is the largest, and the store lives on.
func TestErrTooLargeNamesTheChange(t *testing.T) {
	ctx := t.Context()
	s, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var tx queue.Tx
	for range 5 {
		tx.Enqueue("small", queue.Item{Body: make([]byte, 3<<20)})
	}
	tx.Put("pages", "the large one", make([]byte, 4<<20))
	size, err := s.Size(ctx, &tx)
	if err != nil || size.Fits(s.MaxTx()) {
		t.Errorf("Size is %v, %v; MaxTx is %v", size, err, s.MaxTx())
	}
	err = s.Commit(ctx, &tx)
	if !errors.Is(err, queue.ErrTooLarge) || !strings.Contains(err.Error(), `put 4194304 bytes under "the large one" in table "pages"`) {
		t.Errorf("Commit: %v", err)
	}
	if _, err := s.QueueStats(ctx, "small"); !errors.Is(err, queue.ErrUnknownQueue) {
		t.Errorf("the refused transaction has made a queue: %v", err)
	}
	build(t, s, func(tx *queue.Tx) { tx.Put("t", "k", nil) })
}
