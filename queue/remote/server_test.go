package remote_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/remote"
)

const (
	readToken  = "read-0123456789abcdef"
	workToken  = "work-0123456789abcdef"
	adminToken = "admin-0123456789abcdef"
)

// serve offers an empty store at a real address.
func serve(t *testing.T, secure bool, change func(*remote.ServerOptions)) (*httptest.Server, *queue.Store, *remote.Server) {
	t.Helper()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := remote.ServerOptions{Program: "weir test", Tokens: []remote.Token{
		{Secret: readToken, Role: remote.RoleRead}, {Secret: workToken, Role: remote.RoleWork}, {Secret: adminToken, Role: remote.RoleAdmin},
	}}
	if change != nil {
		change(&o)
	}
	server, err := remote.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(store)
	web := httptest.NewUnstartedServer(server)
	web.Config = remote.NewHTTPServer(server)
	if secure {
		web.EnableHTTP2 = true
		web.StartTLS()
	} else {
		web.Start()
	}
	t.Cleanup(func() {
		server.Lead(nil)
		web.CloseClientConnections()
		web.Close()
		if err := store.Check(context.Background()); err != nil {
			t.Errorf("Check: %v", err)
		}
		store.Close()
	})
	return web, store, server
}

func trusting(web *httptest.Server) *tls.Config {
	pool := x509.NewCertPool()
	if c := web.Certificate(); c != nil {
		pool.AddCert(c)
	}
	return &tls.Config{RootCAs: pool}
}

func open(t *testing.T, web *httptest.Server, o remote.Options) *queue.Store {
	t.Helper()
	o.TLS = trusting(web)
	if o.Token == "" {
		o.Token = adminToken
	}
	if o.Patience == 0 {
		o.Patience = -1
	}
	s, err := remote.Open(t.Context(), web.URL, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOneItemGoesThrough(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, asJSON := range []bool{false, true} {
			t.Run(fmt.Sprintf("tls=%v,json=%v", secure, asJSON), func(t *testing.T) {
				web, leader, server := serve(t, secure, nil)
				s := open(t, web, remote.Options{JSON: asJSON, Name: "w1", Program: "weir 9"})
				var tx queue.Tx
				body := []byte("\xff\x00binary")
				tx.Enqueue("q", queue.Item{Body: body, Key: "k\xfe", Headers: map[string]string{"a": "b"}})
				tx.Put("t", "k", []byte("v"))
				tx.Add("t", "n", 3)
				if err := s.Commit(t.Context(), &tx); err != nil {
					t.Fatal(err)
				}
				if r := tx.Result(); r.Enqueued != 1 {
					t.Errorf("result %+v", r)
				}
				c, err := s.Subscribe(t.Context(), "q", nil)
				if err != nil {
					t.Fatal(err)
				}
				ds, err := c.Receive(t.Context(), 10)
				if err != nil || len(ds) != 1 || !bytes.Equal(ds[0].Item.Body, body) || ds[0].Item.Headers["a"] != "b" {
					t.Fatalf("received %+v, %v", ds, err)
				}
				if !asJSON && ds[0].Item.Key != "k\xfe" {
					t.Errorf("key %q", ds[0].Item.Key)
				}
				if list := server.Clients(); len(list) != 1 || list[0].Name != "w1" || list[0].Program != "weir 9" || list[0].InFlight != 1 {
					t.Errorf("clients %+v", list)
				}
				tx.Reset()
				tx.Ack(ds...)
				if err := s.Commit(t.Context(), &tx); err != nil {
					t.Fatal(err)
				}
				if st, err := leader.QueueStats(t.Context(), "q"); err != nil || st.Totals.Acked != 1 || st.Leased != 0 {
					t.Errorf("stats %+v, %v", st, err)
				}
			})
		}
	}
}

func TestAClientThatLeavesGivesBackAtOnce(t *testing.T) {
	web, leader, _ := serve(t, false, nil)
	s := open(t, web, remote.Options{Lease: time.Hour})
	c, _ := takeOne(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	here, err := leader.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	ds, err := here.Receive(t.Context(), 1)
	if err != nil || ds[0].Attempt != 1 {
		t.Errorf("received %+v, %v", ds, err)
	}
	if _, err := c.Receive(t.Context(), 1); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Receive after Close: %v", err)
	}
}

// takeOne enqueues an item in the queue q and takes it.
func takeOne(t *testing.T, s *queue.Store) (*queue.Consumer, *queue.Delivery) {
	t.Helper()
	var tx queue.Tx
	tx.Enqueue("q", queue.Item{})
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	c, err := s.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := c.Receive(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return c, ds[0]
}

func TestASessionEndsWhenAnotherLeads(t *testing.T) {
	web, leader, server := serve(t, false, nil)
	s := open(t, web, remote.Options{Patience: time.Minute})
	c, d := takeOne(t, s)
	server.Lead(nil) // nobody leads
	answered := make(chan error)
	go func() { _, err := c.Receive(t.Context(), 1); answered <- err }()
	server.Lead(leader)
	if err := <-answered; !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("Receive: %v", err)
	}
	var tx queue.Tx
	tx.Ack(d)
	if err := s.Commit(t.Context(), &tx); !errors.Is(err, queue.ErrLeaseLost) {
		t.Errorf("Commit of what was held: %v", err)
	}
	if _, err := s.Subscribe(t.Context(), "q", nil); err != nil {
		t.Errorf("a new session: %v", err)
	}
}

// roundTripper is a function that makes requests.
type roundTripper func(*http.Request) (*http.Response, error)

func (fn roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return fn(r) }

// A client that is cut off knows by itself, before its lease has run out, that what it
// holds may be another's.
func TestADeliveryIsAliveWhileTheServerIsHeardOf(t *testing.T) {
	web, _, _ := serve(t, false, nil)
	var cut atomic.Bool
	s := open(t, web, remote.Options{Lease: time.Second, Patience: time.Minute, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if cut.Load() {
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	var tx queue.Tx
	tx.Enqueue("q", queue.Item{}, queue.Item{})
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	c, err := s.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	ds, err := c.Receive(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	until := func(alive bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for ds[0].Alive() != alive {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("for a minute it has not become %v that the delivery is alive", alive)
			}
		}
	}
	until(true)
	cut.Store(true)
	until(false)
	cut.Store(false)
}

// A client whose server dies does not count on its lease: the next leader may have given to
// others what it holds long before that ends.
func TestADeliveryIsInDoubtWhenTheServerFails(t *testing.T) {
	web, _, _ := serve(t, false, nil)
	var dead atomic.Bool
	s := open(t, web, remote.Options{Lease: time.Hour, Patience: time.Minute, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if dead.Load() && !strings.HasSuffix(r.URL.Path, "/limits") {
			return nil, errors.New("connection refused")
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	_, d := takeOne(t, s)
	if !d.Alive() {
		t.Fatal("what was just taken is another's")
	}
	dead.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// A call that fails, and is made again until it is answered.
	got := make(chan error, 1)
	go func() {
		_, err := s.Get(ctx, "t", "k")
		got <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	until := func(alive bool) {
		t.Helper()
		for d.Alive() != alive {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("for a minute it has not become %v that the delivery is alive", alive)
			}
		}
	}
	until(false)
	dead.Store(false)
	until(true) // by the next sign of life, an hour's lease or not
	if err := <-got; !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
}

// Whoever asks a server that does not answer can give up.
func TestQuestionsEndWithTheirContext(t *testing.T) {
	web, _, _ := serve(t, false, nil)
	var stuck atomic.Bool
	asked := make(chan struct{})
	s := open(t, web, remote.Options{Patience: time.Minute, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		switch r.URL.Path {
		case remote.Prefix + "stats", remote.Prefix + "config", remote.Prefix + "states":
			if stuck.Load() {
				asked <- struct{}{}
				<-r.Context().Done()
				return nil, context.Cause(r.Context())
			}
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	stuck.Store(true)
	for name, ask := range map[string]func(ctx context.Context) error{
		"Stats":      func(ctx context.Context) error { _, err := s.Stats(ctx); return err },
		"QueueStats": func(ctx context.Context) error { _, err := s.QueueStats(ctx, "q"); return err },
		"Config":     func(ctx context.Context) error { _, err := s.Config(ctx, "q"); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		if err := ask(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the end of the context", name, err)
		}
		cancel()
	}
}

// post makes a call as curl does.
func post(t *testing.T, web *httptest.Server, token, call, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL+remote.Prefix+call, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	reply := make(map[string]any)
	if err := json.Unmarshal(b, &reply); err != nil {
		t.Fatalf("%s: %v in %q", call, err, b)
	}
	return resp.StatusCode, reply
}

func TestCallsAreMadeWithPlainHTTPAndJSON(t *testing.T) {
	web, _, _ := serve(t, false, nil)
	must := func(call, body string) map[string]any {
		t.Helper()
		status, reply := post(t, web, workToken, call, body)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %v", call, status, reply)
		}
		return reply
	}
	must("open", `{"client": "0123456789abcdef", "version": 1, "name": "shell"}`)
	must("commit", `{"transactions": [{"id": "first", "changes": [{"do": "enqueue", "name": "q", "item": {"text": "hello", "key": "k"}}]}]}`)
	must("commit", `{"transactions": [{"id": "first", "changes": [{"do": "enqueue", "name": "q", "item": {"text": "again"}}]}]}`)
	must("subscribe", `{"client": "0123456789abcdef", "session": "s", "queue": "q"}`)
	reply := must("receive", `{"client": "0123456789abcdef", "session": "s", "max": 10, "wait_ms": 1000}`)
	ds := reply["deliveries"].([]any)
	d := ds[0].(map[string]any)
	if len(ds) != 1 || d["item"].(map[string]any)["text"] != "hello" {
		t.Fatalf("received %v", reply)
	}
	reply = must("commit", fmt.Sprintf(`{"client": "0123456789abcdef", "transactions": [{"changes": [{"do": "ack", "delivery": %.0f}, {"do": "put", "name": "t", "key": "k", "text": "done"}]}]}`, d["delivery"]))
	if o := reply["outcomes"].([]any)[0].(map[string]any); o["error"] != nil {
		t.Fatalf("commit: %v", o)
	}
	if reply = must("get", `{"table": "t", "key": "k"}`); reply["text"] != "done" {
		t.Errorf("get: %v", reply)
	}
}

// An answer ends where it has as much as it may, however much was asked for, and a client
// in Go asks for the rest.
func TestAnswersAreBounded(t *testing.T) {
	const n, size = 60, 500
	web, here, _ := serve(t, false, func(o *remote.ServerOptions) { o.MaxReply = 4 * size })
	body := bytes.Repeat([]byte{'x'}, size)
	var tx queue.Tx
	for i := range n {
		tx.Enqueue("q", queue.Item{Body: body})
		tx.Put("t", fmt.Sprint(100+i), body)
	}
	if err := here.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	store := open(t, web, remote.Options{})
	count := map[string]func() int{
		"browse": func() int {
			all, err := store.Browse(t.Context(), "q", nil, 2*n)
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		},
		"scan": func() int {
			all, err := store.Scan(t.Context(), "t", "", "", 2*n)
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		},
		"dead": func() int {
			all, err := store.DeadLetters(t.Context(), "q", 0, 2*n)
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		},
	}
	check := func(call, list string) {
		t.Helper()
		status, reply := post(t, web, readToken, call, `{"queue": "q", "table": "t", "limit": 10000}`)
		if got, _ := reply[list].([]any); status != http.StatusOK || len(got) < 4 || len(got) > 12 {
			t.Errorf("%s has answered %d with %d of %d", call, status, len(got), n)
		}
		if got := count[call](); got != n {
			t.Errorf("%s gives the client %d, want %d", call, got, n)
		}
	}
	check("browse", "waiting")
	check("scan", "records")
	c, err := here.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ds, err := c.Receive(t.Context(), n)
	if err != nil || len(ds) != n {
		t.Fatalf("%d items, %v", len(ds), err)
	}
	var bury queue.Tx
	for _, d := range ds {
		bury.Bury(d, nil)
	}
	if err := here.Commit(t.Context(), &bury); err != nil {
		t.Fatal(err)
	}
	check("dead", "dead")
}

func TestWhatIsNotAllowedIsRefused(t *testing.T) {
	web, _, _ := serve(t, false, func(o *remote.ServerOptions) { o.MaxMessage, o.MaxClients = 4096, 1 })
	if status, reply := post(t, web, workToken, "open", `{"client": "0123456789abcdef", "version": 1}`); status != http.StatusOK {
		t.Fatal(reply)
	}
	pause := `{"transactions": [{"changes": [{"do": "pause", "name": "q", "flag": true}]}]}`
	for _, c := range []struct {
		name, token, call, body string
		status                  int
		says                    string
	}{
		{"no token", "", "stats", `{}`, http.StatusUnauthorized, "has none"},
		{"a wrong token", "work-0123456789abcdeF", "stats", `{}`, http.StatusUnauthorized, "has another"},
		{"a reader that commits", readToken, "commit", `{}`, http.StatusForbidden, "needs the role work"},
		{"a worker that purges", workToken, "purge", `{"queue": "q"}`, http.StatusForbidden, "needs the role admin"},
		{"an unknown call", readToken, "explode", `{}`, http.StatusBadRequest, "weir test and speaks version 1"},
		{"another version", workToken, "open", `{"client": "0123456789abcdefg", "version": 2}`, http.StatusBadRequest, "upgrade the server"},
		{"too many clients", workToken, "open", `{"client": "0123456789abcdefg", "version": 1}`, http.StatusTooManyRequests, "1 clients"},
		{"a client that nobody knows", workToken, "heartbeat", `{"client": "x"}`, http.StatusConflict, "not known"},
		{"no JSON", workToken, "stats", `{"`, http.StatusBadRequest, "message"},
		{"an unknown change", workToken, "commit", `{"transactions": [{"changes": [{"do": "explode"}]}]}`, http.StatusBadRequest, "explode"},
		{"a large message", workToken, "commit", `{"x": "` + strings.Repeat("x", 5000) + `"}`, http.StatusRequestEntityTooLarge, "4096"},
	} {
		status, reply := post(t, web, c.token, c.call, c.body)
		if status != c.status || !strings.Contains(fmt.Sprint(reply["message"]), c.says) {
			t.Errorf("%s: %d %v, want %d and %q", c.name, status, reply, c.status, c.says)
		}
	}
	status, reply := post(t, web, workToken, "commit", pause)
	if status != http.StatusOK || !strings.Contains(fmt.Sprint(reply), "forbidden") {
		t.Errorf("a worker that pauses: %d %v", status, reply)
	}
	if _, err := remote.Open(t.Context(), web.URL, &remote.Options{Token: "nonsense", Patience: -1}); !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("Open with a wrong token: %v", err)
	}
	other := httptest.NewTLSServer(http.NotFoundHandler())
	defer other.Close()
	if _, err := remote.Open(t.Context(), other.URL, &remote.Options{Patience: -1, TLS: trusting(other)}); !errors.Is(err, remote.ErrProtocol) || !strings.Contains(err.Error(), "no weir server") {
		t.Errorf("Open of something else: %v", err)
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	if _, err := remote.Open(t.Context(), secure.URL, &remote.Options{Patience: -1}); !errors.Is(err, remote.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Open of a server with an unknown certificate: %v", err)
	}
}
