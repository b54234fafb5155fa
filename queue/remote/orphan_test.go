package remote

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/driver"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// led is a driver that may lose its store, and takes as long to commit as the test wants.
type led struct {
	driver.Store
	lost atomic.Bool
	gate atomic.Pointer[chan struct{}] // waited for by each batch
}

func (d *led) Lasts() time.Duration {
	if d.lost.Load() {
		return -time.Second
	}
	return time.Minute
}

func (d *led) Commit(ctx context.Context, writes []driver.Write) error {
	if gate := d.gate.Load(); gate != nil {
		<-*gate
	}
	return d.Store.Commit(ctx, writes)
}

func ledServer(t *testing.T) (*led, *Server, *queue.Store) {
	t.Helper()
	db, err := memqueue.NewDisk().Driver()
	if err != nil {
		t.Fatal(err)
	}
	d := &led{Store: db}
	store, err := queue.New(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s, err := NewServer(ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Lead(store)
	return d, s, store
}

// While a leader has not heard of its database, sessions end all the same when their
// clients end them, and what clients hold is not lost: they are asked to come again.
func TestALeaderThatDoesNotKnowWhetherItLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, server, store := ledServer(t)
		s, err := Open(t.Context(), "http://weir", &Options{Transport: inProcess{server}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		durable := &queue.SubscribeOptions{Durable: "coordinator", Barriers: queue.OnlyBarriers}
		leads, err := s.Subscribe(t.Context(), "q", durable)
		if err != nil {
			t.Fatal(err)
		}
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{})
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		worker, err := s.Subscribe(t.Context(), "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := worker.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		d.lost.Store(true)
		time.AfterFunc(3*time.Second, func() { d.lost.Store(false) })
		leads.Close()
		tx.Reset()
		tx.Ack(ds...)
		if err := s.Commit(t.Context(), &tx); err != nil {
			t.Errorf("what was held when the leader was cut off: %v", err)
		}
		next, err := s.Subscribe(t.Context(), "q", durable)
		if err != nil {
			t.Fatalf("the durable name that was given back: %v", err)
		}
		next.Close()
		if st, err := store.QueueStats(t.Context(), "q"); err != nil || st.Totals.Acked != 1 || st.Leased != 0 {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

// A call to subscribe that comes again while the first is carried out is the same session,
// and not one that finds the name in use.
func TestSubscribeComesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, server, store := ledServer(t)
		if err := server.admit(&openRequest{Client: "0123456789abcdef"}, &call{store: store, now: time.Now()}, time.Hour); err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		d.gate.Store(&gate)
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				now := &call{store: store, now: time.Now()}
				if _, err := server.subscribe(t.Context(), now, &subscribeRequest{Client: "0123456789abcdef", Session: "s", Queue: "q", Durable: "d"}); err != nil {
					t.Errorf("subscribe: %v", err)
				}
			})
		}
		synctest.Wait()
		close(gate)
		group.Wait()
		c := server.clients["0123456789abcdef"]
		if len(c.sessions) != 1 || len(c.beginning) != 0 {
			t.Errorf("%d sessions, and %d that begin", len(c.sessions), len(c.beginning))
		}
		c.remove()
		c.forget()
	})
}

// A call to subscribe that comes after the one that ends its session begins none.
func TestSubscribeComesLate(t *testing.T) {
	_, server, store := ledServer(t)
	const client = "0123456789abcdef"
	now := &call{store: store, now: time.Now()}
	if err := server.admit(&openRequest{Client: client}, now, time.Hour); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"never begun", "begun"} {
		m := &subscribeRequest{Client: client, Session: name, Queue: "q", Durable: "d"}
		if name == "begun" {
			if _, err := server.subscribe(t.Context(), now, m); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := server.endSession(t.Context(), now, &clientRequest{client, name}); err != nil {
			t.Fatal(err)
		}
		if _, err := server.subscribe(t.Context(), now, m); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("a session that was %s and has been ended begins: %v", name, err)
		}
	}
	c := server.clients[client]
	if len(c.sessions) != 0 {
		t.Errorf("%d sessions", len(c.sessions))
	}
	c.remove()
	c.forget()
}

// A session that begins on the server when nobody waits for it any more is ended, and so is
// one that could not be ended before.
func TestSessionsOfNobodyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, server, _ := ledServer(t)
		var deaf atomic.Bool // to the calls that end sessions
		s, err := Open(t.Context(), "http://weir", &Options{Patience: -1, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/close") && deaf.Load() {
				return nil, errLost
			}
			if strings.HasSuffix(r.URL.Path, "/subscribe") { // it is carried out, whoever waits
				ctx := context.WithoutCancel(r.Context())
				done := make(chan struct{})
				var resp *http.Response
				var err error
				go func() { defer close(done); resp, err = inProcess{server}.RoundTrip(r.WithContext(ctx)) }()
				select {
				case <-done:
					return resp, err
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			}
			return inProcess{server}.RoundTrip(r)
		})})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		durable := &queue.SubscribeOptions{Durable: "d"}
		first, err := s.Subscribe(t.Context(), "other", durable)
		if err != nil {
			t.Fatal(err)
		}
		gate := make(chan struct{})
		d.gate.Store(&gate)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Subscribe(ctx, "q", durable); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Subscribe: %v", err)
		}
		d.gate.Store(nil)
		close(gate)
		deaf.Store(true)
		first.Close()
		time.Sleep(time.Minute)
		if _, err := s.Subscribe(t.Context(), "other", durable); !errors.Is(err, queue.ErrNameInUse) {
			t.Errorf("a name whose end nobody has heard of: %v", err)
		}
		deaf.Store(false)
		time.Sleep(defaultLease)
		for _, name := range []string{"q", "other"} {
			c, err := s.Subscribe(t.Context(), name, durable)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			c.Close()
		}
	})
}

// roundTrip is a function that makes requests.
type roundTrip func(*http.Request) (*http.Response, error)

func (fn roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return fn(r) }
