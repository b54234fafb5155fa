package pipeline

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// Transactions of many share groups, at most one in journalDelay; whoever is alone hardly
// ever waits.
func TestJournalGathers(t *testing.T) {
	for _, committers := range []int{1, 8} {
		synctest.Test(t, func(t *testing.T) {
			store, err := memqueue.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			groups, entries := 0, 0
			j := &journal{most: journalMost, write: func(_ context.Context, group []any, _ *queue.Tx) error {
				groups++
				entries += len(group)
				return nil
			}}
			const each = 50
			begun := time.Now()
			var waits sync.WaitGroup
			for i := range committers {
				waits.Go(func() {
					for n := range each {
						time.Sleep(time.Millisecond + time.Duration(i)*100*time.Microsecond)
						var tx queue.Tx
						tx.Put("t", fmt.Sprint(i, n), nil)
						if err := j.commit(t.Context(), store, &tx, []any{n}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			waits.Wait()
			took := time.Since(begun)
			if entries != each*committers {
				t.Errorf("%d entries of %d", entries, each*committers)
			}
			if most := each*time.Millisecond + (each/journalAlone+1)*journalDelay; committers == 1 && took > most {
				t.Errorf("alone: %d groups took %v, want %v at most", groups, took, most)
			}
			// The first group is not kept back.
			if most := int(took/journalDelay) + 2; committers > 1 && groups > most {
				t.Errorf("%d groups of %d entries in %v, want %d at most", groups, entries, took, most)
			}
		})
	}
}
