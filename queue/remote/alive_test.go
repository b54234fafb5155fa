package remote

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A server that has just taken over ends a session of a client that it does not know. That is
// no sign that what the client holds is still its own.
func TestTheEndOfASessionIsNoSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := offered(t)
		var only atomic.Pointer[string] // the call that comes through, if not all do
		s, err := Open(t.Context(), "http://weir", &Options{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if name := only.Load(); name != nil && !strings.HasSuffix(r.URL.Path, *name) {
				return nil, errLost
			}
			return inProcess{server}.RoundTrip(r)
		})})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{})
		if err := store.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		other, err := s.Subscribe(t.Context(), "other", nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Subscribe(t.Context(), "q", nil)
		if err != nil {
			t.Fatal(err)
		}
		ds, err := c.Receive(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if !ds[0].Alive() {
			t.Fatal("what was just taken is another's")
		}
		next, err := memqueue.Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		time.Sleep(time.Millisecond) // the answer was to a question of another moment
		name := "/close"
		only.Store(&name)
		got := make(chan error)
		go func() {
			_, err := s.Get(t.Context(), "t", "k") // which finds out that the server is away
			got <- err
		}()
		synctest.Wait()
		server.Lead(next)
		if ds[0].Alive() {
			t.Error("alive, when no server answers")
		}
		time.Sleep(time.Millisecond)
		other.Close()
		if ds[0].Alive() {
			t.Error("alive, when another session was ended by a server that does not know the client")
		}
		only.Store(nil)
		if err := <-got; !errors.Is(err, queue.ErrNotFound) {
			t.Error(err)
		}
	})
}
