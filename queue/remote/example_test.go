package remote_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// The process that has a store offers it; any other opens it by its address, and works on
// it as if it were there.
func Example() {
	ctx := context.Background()
	const secret = "a secret of at least sixteen bytes"

	// Where the store is. A program of its own would listen by Serve or ServeTLS.
	store, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	server, err := remote.NewServer(remote.ServerOptions{Tokens: []remote.Token{{Secret: secret, Role: remote.RoleWork}}})
	if err != nil {
		log.Fatal(err)
	}
	server.Lead(store)
	web := httptest.NewUnstartedServer(nil)
	web.Config = remote.NewHTTPServer(server)
	web.Start()
	defer web.Close()
	var tx queue.Tx
	tx.Enqueue("greetings", queue.Item{Body: []byte("hello")})
	if err := store.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}

	// A worker, on any machine.
	there, err := remote.Open(ctx, web.URL, &remote.Options{Name: "worker 1", Token: secret})
	if err != nil {
		log.Fatal(err)
	}
	defer there.Close()
	c, err := there.Subscribe(ctx, "greetings", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ds, err := c.Receive(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	tx.Reset()
	tx.Ack(ds...)
	tx.Put("answers", "1", append(ds[0].Item.Body, " to you"...))
	if err := there.Commit(ctx, &tx); err != nil {
		log.Fatal(err)
	}
	answer, err := store.Get(ctx, "answers", "1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, says %s\n", answer, server.Clients()[0].Name)
	// Output: hello to you, says worker 1
}
