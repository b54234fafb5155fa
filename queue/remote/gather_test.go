package remote

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// gated is a transport that notes how many transactions a call to commit has, and holds it up.
type gated struct {
	to    inProcess
	calls chan int
	gate  chan struct{}
}

func (g *gated) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/commit") {
		return g.to.RoundTrip(r)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var m commitRequest
	if err := unmarshal(b, true, &m); err != nil {
		return nil, err
	}
	g.calls <- len(m.Transactions)
	<-g.gate
	r.Body = io.NopCloser(bytes.NewReader(b))
	return g.to.RoundTrip(r)
}

// A transaction does not wait for company, but for what is under way, unless as much waits
// or that takes long.
func TestTransactionsGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, server := offered(t)
		g := &gated{inProcess{server}, make(chan int, 100), make(chan struct{})}
		s, err := Open(t.Context(), "http://weir", &Options{Transport: g})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var group sync.WaitGroup
		commit := func(n int, want ...int) {
			t.Helper()
			for range n {
				group.Go(func() {
					var tx queue.Tx
					tx.Add("t", "n", 1)
					if err := s.Commit(t.Context(), &tx); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
			var got []int
			for len(g.calls) > 0 {
				got = append(got, <-g.calls)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d more transactions, and there are calls of %v, want %v", n, got, want)
			}
		}
		commit(1, 1)
		commit(1, 1)
		commit(1)
		commit(1, 2)
		commit(3)
		time.Sleep(lateCall)
		synctest.Wait()
		commit(0, 3)
		commit(2) // there are as many calls as may be
		close(g.gate)
		synctest.Wait()
		commit(0, 2)
		commit(1, 1) // nothing is under way any more
		group.Wait()
		if n, err := store.Get(t.Context(), "t", "n"); err != nil || string(n) != "10" {
			t.Errorf("%s of 10 transactions have happened, %v", n, err)
		}
	})
}
