package memory_test

import (
	"testing"

	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// A store in a folder takes what one anywhere else takes, so that each can be copied
// to the other.
func TestMaxItemFits(t *testing.T) {
	o := memory.StoreOptions()
	o.Queue.MaxItem = 0
	s, err := badgerqueue.Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.MaxItem(); got < memory.MaxItem {
		t.Errorf("a folder takes items of %d bytes, MaxItem is %d", got, memory.MaxItem)
	}
}
