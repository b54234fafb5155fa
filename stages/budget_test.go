package stages

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Whoever wants more than there is waits, and more than the whole is the whole.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBudget(20 << 20)
		first, err := b.Tree(t.Context(), 8<<20)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan *Share)
		go func() {
			s, err := b.Tree(t.Context(), 100<<20)
			if err != nil {
				t.Error(err)
			}
			got <- s
		}()
		synctest.Wait()
		if now, ever := b.Waits(); now != 1 || ever != 1 {
			t.Errorf("%d wait, %d have waited, want 1 and 1", now, ever)
		}
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if _, err := b.Tree(ctx, 3<<20); !errors.Is(err, cause) {
			t.Errorf("with a context that has ended: %v", err)
		}
		first.shrink(4 << 20)
		synctest.Wait()
		if now, _ := b.Waits(); now != 1 {
			t.Errorf("%d wait, want 1", now)
		}
		first.Release()
		first.Release()
		second := <-got
		if second.n != 10<<20 {
			t.Errorf("a tree larger than the budget has %d bytes of it", second.n)
		}
		if small, err := b.Tree(t.Context(), 1000); small != nil || err != nil {
			t.Errorf("a small tree: %v, %v", small, err)
		}
		second.Release()
		var none *Budget
		if s, err := none.Tree(t.Context(), 1<<40); s != nil || err != nil {
			t.Errorf("without a budget: %v, %v", s, err)
		}
	})
}

// Large bodies are read as many at a time as the budget has room for, and all of
// them in the end.
func TestFetchWithinABudget(t *testing.T) {
	page := bytes.Repeat([]byte("<p>text</p>\n"), 200_000) // 2.4 MB
	var reading, most atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write(page)
	})
	f := local()
	f.Budget = NewBudget(30 << 20) // 15 MB for bodies: 2 of them, read and held
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			resp, err := f.Fetch(t.Context(), FetchRequest{URL: url})
			if err != nil || !bytes.Equal(resp.Body, page) {
				t.Errorf("%v", err)
				return
			}
			n := reading.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			reading.Add(-1)
			resp.Release()
			resp.Release()
		})
	}
	wg.Wait()
	if most.Load() > 2 {
		t.Errorf("%d bodies at once, want 2 at most", most.Load())
	}
	if s, err := f.Budget.Body(t.Context(), 15<<20); err != nil || s == nil {
		t.Errorf("not all was given back: %v", err)
	}
}
