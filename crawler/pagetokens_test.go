package crawler

import (
	"context"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// Tokens are right in number whatever their maker had done when it was killed, and though
// pages are kept, and tokens come back, while two processes make them at once.
func TestTokensAreRightInNumber(t *testing.T) {
	const most = 3000
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	count := func(ctx context.Context) (int64, error) {
		return tables.Counter(ctx, store, tables.Crawl, tables.CounterPages)
	}
	// As many as a maker had made that died on its way.
	var tx queue.Tx
	tx.Enqueue(tokensQueue, make([]queue.Item, 1000)...)
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	worker, err := store.Subscribe(t.Context(), tokensQueue, &queue.SubscribeOptions{Barriers: queue.NoBarriers})
	if err != nil {
		t.Fatal(err)
	}
	defer worker.Close()
	var group sync.WaitGroup
	group.Go(func() {
		for i := range 400 {
			ds, err := worker.Receive(t.Context(), 1)
			if err != nil {
				t.Error(err)
				return
			}
			var tx queue.Tx
			if i%3 == 0 {
				tx.Release(ds...)
			} else {
				tx.Ack(ds...)
				tx.Add(tables.Crawl, tables.CounterPages, 1)
			}
			if err := store.Commit(t.Context(), &tx); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 2 {
		group.Go(func() {
			for range 10 {
				if err := newPageTokens(store, most, count).fill(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	sum := func() int64 {
		n, err := count(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		st, err := store.QueueStats(t.Context(), tokensQueue)
		if err != nil {
			t.Fatal(err)
		}
		return n + st.Ready + st.Leased
	}
	if got := sum(); got != most {
		t.Errorf("%d pages and tokens, want %d", got, most)
	}
	// A lower limit takes away what is too many, and a higher one adds.
	for _, most := range []int64{900, 1300} {
		if err := newPageTokens(store, most, count).fill(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sum(); got != most {
			t.Errorf("%d pages and tokens, want %d", got, most)
		}
	}
}

// A token is not lost however often whoever holds it dies.
func TestTokensOutliveTheirHolders(t *testing.T) {
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := newPageTokens(store, 1, func(context.Context) (int64, error) { return 0, nil })
	if err := p.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := store.Config(t.Context(), tokensQueue)
	if err != nil || c.MaxDeaths >= 0 || c.MaxAttempts >= 0 {
		t.Errorf("the queue of tokens has %+v, %v: a token may end as a dead letter", c, err)
	}
}

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
			st, err := store.QueueStats(ctx, tokensQueue)
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

// Of two processes that have counted the same tokens one fills.
func TestTokensAreFilledOnce(t *testing.T) {
	ctx := t.Context()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	none := func(context.Context) (int64, error) { return 0, nil }
	counts := 0
	late := newPageTokens(store, 3, func(context.Context) (int64, error) {
		if counts++; counts == 2 { // it has seen that there are none
			if err := newPageTokens(store, 3, none).fill(ctx); err != nil {
				t.Error(err)
			}
		}
		return 0, nil
	})
	if err := late.fill(ctx); err != nil {
		t.Fatal(err)
	}
	if st, err := store.QueueStats(ctx, tokensQueue); err != nil || st.Ready != 3 || st.Totals.Enqueued != 3 {
		t.Errorf("%d tokens of %d, %v; want 3 of 3", st.Ready, st.Totals.Enqueued, err)
	}
}
