package remote

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// A session's own lease is bounded as a client's is: whoever asks for a year and vanishes keeps
// what it holds no longer than the server wants, and nobody asks for so much that it is none.
func TestLeasesOfSessionsAreBounded(t *testing.T) {
	for _, ms := range []int64{365 * 24 * time.Hour.Milliseconds(), 1 << 62} {
		synctest.Test(t, func(t *testing.T) {
			store, s := offered(t)
			var tx queue.Tx
			tx.Enqueue("q", queue.Item{})
			if err := store.Commit(t.Context(), &tx); err != nil {
				t.Fatal(err)
			}
			now := func() *call { return &call{store: store, now: time.Now()} }
			const id = "0123456789abcdef"
			reply, err := s.open(t.Context(), now(), &openRequest{Client: id, Version: Version, Lease: ms})
			if err != nil || reply.(*openReply).Lease != s.opts.MaxLease.Milliseconds() {
				t.Fatalf("a client that asks for %d ms: %+v, %v", ms, reply, err)
			}
			if _, err := s.subscribe(t.Context(), now(), &subscribeRequest{Client: id, Session: "s", Queue: "q", Lease: ms}); err != nil {
				t.Fatal(err)
			}
			got, err := s.receive(t.Context(), now(), &receiveRequest{Client: id, Session: "s"})
			if err != nil || len(got.(*receiveReply).Deliveries) != 1 {
				t.Fatalf("%+v, %v", got, err)
			}
			time.Sleep(s.opts.MaxLease)
			synctest.Wait()
			if st, err := store.QueueStats(t.Context(), "q"); err != nil || st.Leased != 0 {
				t.Errorf("asked for %d ms: %v after its last sign of life a client holds %d, %v", ms, s.opts.MaxLease, st.Leased, err)
			}
		})
	}
}

// What a client may say of itself, and of sessions that have ended, takes a bounded part of the
// server's memory.
func TestWhatIsRememberedOfAClientIsBounded(t *testing.T) {
	s, c := serverWithClient(t)
	defer c.forget()
	c.lease = time.Hour
	c.timer.Reset(c.lease)
	now := &call{store: s.store, now: time.Now()}
	long := strings.Repeat("x", 1<<20)
	for _, m := range []openRequest{{Name: long}, {Program: long}} {
		m.Client, m.Version = "another 0123456789", Version
		if _, err := s.open(t.Context(), now, &m); !errors.Is(err, queue.ErrTooLarge) {
			t.Errorf("a name of a megabyte: %v", err)
		}
	}
	if _, err := s.endSession(t.Context(), now, &clientRequest{c.id, long}); !errors.Is(err, queue.ErrInvalid) {
		t.Errorf("a session of a megabyte ends: %v", err)
	}
	if _, err := s.endSession(t.Context(), now, &clientRequest{"nobody 0123456789", "s"}); err != nil {
		t.Errorf("a session of nobody ends: %v", err)
	}
	for i := range 2 * maxEnded {
		if _, err := s.endSession(t.Context(), now, &clientRequest{c.id, fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.ended) != maxEnded || !c.ended[fmt.Sprint(2*maxEnded-1)] || c.ended["0"] {
		t.Errorf("of %d ends %d are remembered, want the last %d", 2*maxEnded, len(c.ended), maxEnded)
	}
}

// A client that begins and ends sessions all day can begin another, and a session that has
// had as many deliveries as can be numbered is followed by another.
func TestNumbersOfDeliveriesDoNotRunOut(t *testing.T) {
	s, c := serverWithClient(t)
	defer c.forget()
	c.lease = time.Hour
	c.timer.Reset(c.lease)
	now := &call{store: s.store, now: time.Now()}
	c.ordinals = 1_000_000 // sessions so far
	var tx queue.Tx
	tx.Enqueue("q", queue.Item{})
	if err := s.store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"s", "next"} {
		if _, err := s.subscribe(t.Context(), now, &subscribeRequest{Client: c.id, Session: name, Queue: "q"}); err != nil {
			t.Fatal(err)
		}
		reply, err := s.receive(t.Context(), now, &receiveRequest{Client: c.id, Session: name})
		if err != nil || len(reply.(*receiveReply).Deliveries) != 1 {
			t.Fatalf("%+v, %v", reply, err)
		}
		if n := reply.(*receiveReply).Deliveries[0].Delivery; n >= 1<<53 || c.held[n] == nil {
			t.Errorf("delivery %d", n)
		}
		c.sessions[name].next = 1 << countBits
		if _, err := s.receive(t.Context(), now, &receiveRequest{Client: c.id, Session: name}); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("a session without numbers: %v", err)
		}
		if len(c.held) != 0 {
			t.Errorf("%d are held", len(c.held))
		}
	}
}

// The answer that is kept for a client which asks again has what it holds still: what is
// settled has been had, and takes no memory.
func TestNothingIsKeptOfWhatIsSettled(t *testing.T) {
	s, c := serverWithClient(t)
	defer c.forget()
	c.lease = time.Hour
	c.timer.Reset(c.lease)
	now := &call{store: s.store, now: time.Now()}
	var tx queue.Tx
	tx.Enqueue("q", queue.Item{Body: []byte("a")}, queue.Item{Body: []byte("b")})
	if err := s.store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.subscribe(t.Context(), now, &subscribeRequest{Client: c.id, Session: "s", Queue: "q"}); err != nil {
		t.Fatal(err)
	}
	ask := func(want ...string) (first uint64) {
		t.Helper()
		reply, err := s.receive(t.Context(), now, &receiveRequest{Client: c.id, Session: "s", Seq: 1, Max: 2})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range reply.(*receiveReply).Deliveries {
			got = append(got, string(d.Item.Body)+*d.Item.Text)
			first = max(first, d.Delivery)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("handed out %q, want %q", got, want)
		}
		return first
	}
	ask("a", "b")
	last := ask("a", "b")
	m := &commitRequest{Client: c.id, Transactions: []transaction{{Changes: []change{{Kind: kind(queue.ChangeAck), Delivery: last}}}}}
	now.role = RoleAdmin
	if reply, err := s.commit(t.Context(), now, m); err != nil || reply.(*commitReply).Outcomes[0].Error != nil {
		t.Fatalf("%+v, %v", reply, err)
	}
	ask("a")
}

// A call that is not to wait is given what is there; one that does not get its turn is to come
// again, and has not been answered.
func TestReceiveThatDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := serverWithClient(t)
		defer c.forget()
		c.lease = time.Hour
		c.timer.Reset(c.lease)
		now := &call{store: s.store, now: time.Now()}
		var tx queue.Tx
		for range 20 {
			tx.Enqueue("q", queue.Item{})
		}
		if err := s.store.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		if _, err := s.subscribe(t.Context(), now, &subscribeRequest{Client: c.id, Session: "s", Queue: "q"}); err != nil {
			t.Fatal(err)
		}
		receive := func() (int, error) {
			reply, err := s.receive(t.Context(), now, &receiveRequest{Client: c.id, Session: "s"})
			if err != nil {
				return 0, err
			}
			return len(reply.(*receiveReply).Deliveries), nil
		}
		for i := range 20 {
			if n, err := receive(); n != 1 || err != nil {
				t.Errorf("call %d is given %d items, %v", i, n, err)
			}
		}
		if n, err := receive(); n != 0 || err != nil {
			t.Errorf("of an empty queue %d items, %v", n, err)
		}
		c.sessions["s"].turn <- struct{}{} // as a call has that waits for a disk
		if _, err := receive(); !errors.Is(err, ErrBusy) {
			t.Errorf("beside another call: %v", err)
		}
		if err := c.sessions["s"].consumer.Close(); err != nil {
			t.Error(err)
		}
	})
}
