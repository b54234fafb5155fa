package remote

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// offered returns a store in memory, and a server that offers it to everybody.
func offered(t *testing.T) (*queue.Store, *Server) {
	t.Helper()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s, err := NewServer(ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Lead(store)
	return store, s
}

func serverWithClient(t *testing.T) (*Server, *client) {
	t.Helper()
	store, s := offered(t)
	now := &call{store: store, now: time.Now()}
	if err := s.admit(&openRequest{Client: "0123456789abcdef"}, now, time.Second); err != nil {
		t.Fatal(err)
	}
	return s, s.clients["0123456789abcdef"]
}

// A client that leaves while its lease runs out leaves no timer.
func TestLeaseOfAClientThatHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c := serverWithClient(t)
		c.remove()
		c.forget()
		c.expire() // as the timer does that waited for the lock meanwhile
		if c.timer.Stop() {
			t.Error("the timer of a client that has left goes on")
		}
	})
}

func TestWaitClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := serverWithClient(t)
		ctx, end := context.WithTimeout(t.Context(), time.Second/2)
		defer end()
		if err := s.WaitClients(ctx); err != context.DeadlineExceeded {
			t.Errorf("with a client: %v", err)
		}
		begun := time.Now()
		if err := s.WaitClients(t.Context()); err != nil || time.Since(begun) != time.Second/2 {
			t.Errorf("its lease of a second has run out: %v after half a second and %v", err, time.Since(begun))
		}
		if err := s.WaitClients(t.Context()); err != nil {
			t.Errorf("without clients: %v", err)
		}
	})
}
