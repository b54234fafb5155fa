package remote

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/queue"
)

// forgetful loses the answer to the first commit, and brings it again when the store has
// had so many transactions since that it does not remember that one.
type forgetful struct {
	to    inProcess
	since func()
	once  sync.Once
}

func (f *forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.to.RoundTrip(r)
	if strings.HasSuffix(r.URL.Path, "/commit") {
		f.once.Do(func() {
			f.since()
			resp, err = nil, errLost
		})
	}
	return resp, err
}

// However late a commit is made again, it does not happen twice.
func TestForgottenCommitDoesNotHappenAgain(t *testing.T) {
	ctx := t.Context()
	s, server := offered(t)
	others := func() {
		var wg sync.WaitGroup
		for worker := range 64 {
			wg.Go(func() {
				for i := worker; i < queue.RememberedTxs; i += 64 {
					if err := s.Commit(ctx, &queue.Tx{ID: fmt.Sprint(i)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	client, err := Open(ctx, "http://weir", &Options{Transport: &forgetful{to: inProcess{server}, since: others}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	enqueue := func() error {
		var tx queue.Tx
		tx.Enqueue("orders", queue.Item{Body: []byte("two apples")})
		return client.Commit(ctx, &tx)
	}
	if err := enqueue(); !errors.Is(err, queue.ErrForgotten) {
		t.Errorf("the commit that was made again returned %v, want ErrForgotten", err)
	}
	st, err := s.QueueStats(t.Context(), "orders")
	if err != nil || st.Ready != 1 {
		t.Errorf("%d orders, %v, want 1", st.Ready, err)
	}
	if err := enqueue(); err != nil { // it has heard meanwhile how late it is
		t.Errorf("the next: %v", err)
	}
}
