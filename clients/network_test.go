package clients

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// TestPythonOverTheNetwork has the helper work on a queue that a server offers.
func TestPythonOverTheNetwork(t *testing.T) {
	need(t, "python3", "Python 3.7 or later")
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const token = "work-0123456789abcdef"
	server, err := remote.NewServer(remote.ServerOptions{Tokens: []remote.Token{{Secret: token, Role: remote.RoleWork}}})
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(store)
	web := httptest.NewUnstartedServer(nil)
	web.Config = remote.NewHTTPServer(server)
	web.Start()
	defer web.Close()
	var tx queue.Tx
	for _, body := range []string{`{"n": 1}`, `{"n": 2}`, `{"bad": true}`} {
		tx.Enqueue("in", queue.Item{Body: []byte(body)})
	}
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "python3", "testdata/network.py", web.URL, token).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	st, err := store.QueueStats("in")
	if err != nil || st.Totals.Acked != 2 || st.Dead != 1 {
		t.Errorf("in: %+v, %v", st, err)
	}
	waiting, err := store.Browse(t.Context(), "out", nil, 10)
	if err != nil || len(waiting) != 2 || string(waiting[0].Item.Body) != `{"twice": 2}` {
		t.Errorf("out: %+v, %v", waiting, err)
	}
}
