package crawler

import (
	"context"
	"testing"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// However another process keeps a page, or gives its token back, while the tokens are
// counted: there are as many as pages may still be kept.
func TestTokensAreFilledWhilePagesAreKept(t *testing.T) {
	ctx := t.Context()
	for name, meanwhile := range map[string]func(tx *queue.Tx, token *queue.Delivery){
		"kept": func(tx *queue.Tx, token *queue.Delivery) {
			tx.Ack(token)
			tx.Add("t", "pages", 1)
		},
		"given back": func(tx *queue.Tx, token *queue.Delivery) { tx.Release(token) },
	} {
		t.Run(name, func(t *testing.T) {
			store, err := memqueue.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			pages := func(ctx context.Context) (int64, error) { return tables.Counter(ctx, store, "t", "pages") }
			if err := newPageTokens(store, 3, pages).fill(ctx); err != nil {
				t.Fatal(err)
			}
			other, err := store.Subscribe(ctx, tokensQueue, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			held, err := other.Receive(ctx, 2)
			if err != nil || len(held) != 2 {
				t.Fatalf("%d tokens, %v", len(held), err)
			}
			counts := 0
			tokens := newPageTokens(store, 3, func(ctx context.Context) (int64, error) {
				n, err := pages(ctx)
				if counts++; counts == 1 {
					var tx queue.Tx
					meanwhile(&tx, held[0])
					if err := store.Commit(ctx, &tx); err != nil {
						t.Error(err)
					}
				}
				return n, err
			})
			if err := tokens.fill(ctx); err != nil {
				t.Fatal(err)
			}
			st, err := store.QueueStats(tokensQueue)
			if err != nil {
				t.Fatal(err)
			}
			n, err := pages(ctx)
			if got := n + st.Ready + st.Leased; err != nil || got != 3 {
				t.Errorf("%d pages and %d tokens, %v; want 3 together", n, st.Ready+st.Leased, err)
			}
		})
	}
}
