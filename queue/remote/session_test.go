package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// throughTransport opens a store through a transport in front of a server.
func throughTransport(t *testing.T, fn roundTrip) *queue.Store {
	t.Helper()
	s, err := Open(t.Context(), "http://weir", &Options{Transport: fn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// An answer that nobody waited for any more is given to the next call, which may ask for less.
func TestReceiveGivesNoMoreThanIsAskedFor(t *testing.T) {
	store, server := offered(t)
	ctx, giveUp := context.WithCancel(t.Context())
	s := throughTransport(t, func(r *http.Request) (*http.Response, error) {
		resp, err := inProcess{server}.RoundTrip(r)
		if strings.HasSuffix(r.URL.Path, "/receive") && ctx.Err() == nil {
			giveUp()
			return nil, context.Canceled
		}
		return resp, err
	})
	var tx queue.Tx
	for i := range 5 {
		tx.Enqueue("q", queue.Item{Body: fmt.Append(nil, i)})
	}
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	c, err := s.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Receive(ctx, 5); !errors.Is(err, context.Canceled) {
		t.Fatalf("a call that is given up: %v", err)
	}
	for i, most := range []int{1, 3, 5} {
		ds, err := c.Receive(t.Context(), most)
		if err != nil || len(ds) != []int{1, 3, 1}[i] {
			t.Fatalf("%d of up to %d, %v", len(ds), most, err)
		}
		tx.Reset()
		tx.Ack(ds...)
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := store.QueueStats(t.Context(), "q"); err != nil || st.Totals.Acked != 5 {
		t.Errorf("%+v, %v", st, err)
	}
}

// A delivery that was settled is nobody's, and one of a session with a lease of its own is this
// client's as long as the session is heard of, whatever the client's own lease is.
func TestAliveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := offered(t)
		s := throughTransport(t, inProcess{server}.RoundTrip)
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{}, queue.Item{})
		if err := store.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		c, err := s.Subscribe(t.Context(), "q", &queue.SubscribeOptions{Lease: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ds, err := c.Receive(t.Context(), 2)
		if err != nil || len(ds) != 2 {
			t.Fatalf("%d items, %v", len(ds), err)
		}
		tx.Reset()
		tx.Ack(ds[0])
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		if ds[0].Alive() || !ds[1].Alive() {
			t.Errorf("alive: %v when it is settled, %v when it is held", ds[0].Alive(), ds[1].Alive())
		}
		time.Sleep(time.Second)
		if err := c.Heartbeat(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1900 * time.Millisecond)
		if !ds[1].Alive() {
			t.Error("not alive two seconds after a heartbeat, of a lease of three")
		}
		time.Sleep(2 * time.Second)
		if st, err := store.QueueStats(t.Context(), "q"); err != nil || st.Leased != 0 {
			t.Fatalf("%d are held, %v", st.Leased, err)
		}
		if ds[1].Alive() {
			t.Error("alive when the lease of its session has run out")
		}
	})
}

// What waits for space is due when it was to be, however long that took.
func TestWaitingForSpaceMovesNoTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := offered(t)
		s := throughTransport(t, inProcess{server}.RoundTrip)
		var tx queue.Tx
		tx.Configure("q", queue.Config{HighWaterItems: 1})
		tx.Enqueue("q", queue.Item{})
		if err := store.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		due := time.Now().Add(time.Hour)
		time.AfterFunc(30*time.Minute, func() {
			if _, err := store.Purge(t.Context(), "q"); err != nil {
				t.Error(err)
			}
		})
		var later queue.Tx
		later.WaitIfFull()
		later.Enqueue("q", queue.Item{NotBefore: due})
		if err := s.Commit(t.Context(), &later); err != nil {
			t.Fatal(err)
		}
		all, err := store.Browse(t.Context(), "q", nil, 10)
		if err != nil || len(all) != 1 || all[0].Due.Sub(due).Abs() > time.Second {
			t.Errorf("due at %v: %+v, %v", due, all, err)
		}
	})
}

// A transaction that a server cannot even read is refused, and those that went with it are not.
func TestTransactionsAreRefusedForTheirOwnSake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := offered(t)
		gate := make(chan struct{})
		s := throughTransport(t, func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/commit") {
				<-gate
			}
			return inProcess{server}.RoundTrip(r)
		})
		var group sync.WaitGroup
		commit := func(fails bool, tx *queue.Tx) {
			group.Go(func() {
				if err := s.Commit(t.Context(), tx); (err != nil) != fails {
					t.Errorf("of a transaction with something that cannot be: %v; it is %v", fails, err)
				}
			})
			synctest.Wait()
		}
		good := func() *queue.Tx {
			var tx queue.Tx
			tx.Add("t", "n", 1)
			return &tx
		}
		headers := make(map[string]string)
		for i := range 1<<16 + 1 { // more than a message may have
			headers[fmt.Sprint(i)] = ""
		}
		var bad queue.Tx
		bad.Enqueue("q", queue.Item{Headers: headers})
		commit(false, good())
		commit(false, good())
		commit(true, &bad)
		commit(false, good())
		close(gate)
		group.Wait()
		if n, err := store.Get(t.Context(), "t", "n"); err != nil || string(n) != "3" {
			t.Errorf("%s of 3 sound transactions have happened, %v", n, err)
		}
	})
}

// A transaction whose answer was lost has happened, also if what it passed by cannot be passed
// by any more when it comes again.
func TestDirectDeliveryWhoseAnswerWasLost(t *testing.T) {
	store, server := offered(t)
	var tx queue.Tx
	tx.Configure("q", queue.Config{})
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	s := throughTransport(t, func(r *http.Request) (*http.Response, error) {
		resp, err := inProcess{server}.RoundTrip(r)
		if strings.HasSuffix(r.URL.Path, "/commit") {
			once.Do(func() {
				var pause queue.Tx
				pause.Pause("q")
				if err := store.Commit(t.Context(), &pause); err != nil {
					t.Error(err)
				}
				resp, err = nil, errLost
			})
		}
		return resp, err
	})
	d, ok := s.Direct(t.Context(), "q", 1)
	if !ok {
		t.Fatal("an empty queue cannot be passed by")
	}
	d.Item = queue.Item{Body: []byte("x")}
	tx.Reset()
	tx.Ack(d)
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Errorf("it has happened, and is answered with %v", err)
	}
	if st, err := store.QueueStats(t.Context(), "q"); err != nil || st.Totals.Acked != 1 {
		t.Errorf("%+v, %v; want one done", st, err)
	}
}

// A call has as much as is counted for what is in it, so it is not larger than a server takes.
func TestLengthsOfChanges(t *testing.T) {
	_, server := offered(t)
	e, err := newEngine("http://weir", &Options{Transport: inProcess{server}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.stop(queue.ErrClosed)
	if err := e.meet(t.Context()); err != nil {
		t.Fatal(err)
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	var tx queue.Tx
	for range 100 {
		tx.Enqueue(long(queue.MaxName), queue.Item{
			Key: long(queue.MaxKey), Group: long(queue.MaxGroup), Body: []byte(long(500)), Headers: map[string]string{"h": long(4000)},
		})
		tx.Put(long(queue.MaxName), long(queue.MaxTableKey), []byte(long(500)))
		tx.Forget(long(queue.MaxName), long(queue.MaxKey))
	}
	p, err := e.pack(&tx)
	if err != nil {
		t.Fatal(err)
	}
	b, err := encode(&p.t, true)
	if err != nil || p.bytes < len(b) || p.bytes > 2*len(b) {
		t.Errorf("%d bytes are counted of %d, %v", p.bytes, len(b), err)
	}
}

// Whatever answers in a server's place, a client has errors of it and does not panic.
func TestAnswersWithoutWhatWasAskedFor(t *testing.T) {
	_, server := offered(t)
	s := throughTransport(t, func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/limits") {
			return inProcess{server}.RoundTrip(r)
		}
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {typeJSON}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r,
		}, nil
	})
	ctx := t.Context()
	var tx queue.Tx
	tx.Put("t", "k", nil)
	for name, err := range map[string]error{
		"Config":     second(s.Config(ctx, "q")),
		"Holding":    second(s.Holding(ctx, "q")),
		"Size":       second(s.Size(ctx, &tx)),
		"Find":       second(s.Find(ctx, "q", "k")),
		"QueueStats": second(s.QueueStats(ctx, "q")),
		"Commit":     s.Commit(ctx, &tx),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }
