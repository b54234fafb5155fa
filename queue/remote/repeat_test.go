package remote

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// A call that was told to come again is made when it does, and not answered with that for ever.
func TestWhatIsToComeAgainIsNotRemembered(t *testing.T) {
	gone, _ := offered(t)
	gone.Close()
	store, s := offered(t)
	var tx queue.Tx
	tx.Enqueue("q", queue.Item{}, queue.Item{})
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	m := &readRequest{Queue: "q", ID: "the same"}
	if _, err := s.purge(t.Context(), &call{store: gone, now: time.Now()}, m); !errors.Is(err, queue.ErrClosed) {
		t.Fatalf("of a store that is closed: %v", err)
	}
	for range 2 {
		reply, err := s.purge(t.Context(), &call{store: store, now: time.Now()}, m)
		if err != nil || reply.(*readReply).Count != 2 {
			t.Errorf("when it comes again: %+v, %v; want 2 items", reply, err)
		}
	}
	if len(s.again.known) != 1 || len(s.again.order) != 1 {
		t.Errorf("%d answers are remembered, of %d calls", len(s.again.known), len(s.again.order))
	}
}
