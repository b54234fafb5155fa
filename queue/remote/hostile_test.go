package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

// pipes is a network without sockets, in a bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return pipeAddress{} }

type pipeAddress struct{}

func (pipeAddress) Network() string { return "pipe" }
func (pipeAddress) String() string  { return "pipe" }

func (p pipes) dial() net.Conn {
	here, there := net.Pipe()
	p <- there
	return here
}

// onPipes serves until the test ends.
func onPipes(t *testing.T, s *Server) pipes {
	p := make(pipes)
	web := NewHTTPServer(s)
	web.ErrorLog = log.New(io.Discard, "", 0)
	done := make(chan struct{})
	go func() { defer close(done); _ = web.Serve(p) }()
	t.Cleanup(func() {
		s.Lead(nil)
		close(p)
		_ = web.Close()
		<-done
	})
	return p
}

// clientOn returns an ordinary client.
func clientOn(t *testing.T, p pipes) *queue.Store {
	t.Helper()
	transport := newTransport(nil)
	transport.plain.DialContext = func(context.Context, string, string) (net.Conn, error) { return p.dial(), nil }
	s, err := Open(t.Context(), "http://weir", &Options{Transport: transport, Token: "admin" + tokenOf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// goesOn shows that a well-behaved client puts in an item, gets it and is done with it.
func goesOn(t *testing.T, s *queue.Store) {
	t.Helper()
	var tx queue.Tx
	tx.Enqueue("good", queue.Item{Body: []byte("x")})
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	c, err := s.Subscribe(t.Context(), "good", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ds, err := c.Receive(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	tx.Reset()
	tx.Ack(ds...)
	if err := s.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
}

const post = "POST " + Prefix + "stats HTTP/1.1\r\nHost: weir\r\nAuthorization: Bearer admin" + tokenOf + "\r\n"

// preface is how a client begins HTTP/2.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// frame is one of HTTP/2, RFC 9113 section 4.1.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	b = append(b, flags)
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

// Whoever sends a byte now and then, or nothing, or takes no answer, is cut off.
func TestSlowClientsAreCutOff(t *testing.T) {
	for _, c := range []struct {
		name, once, slowly string
		within             time.Duration
	}{
		{"nothing", "", "", 11 * time.Second},
		{"headers, a byte every second", "", post + strings.Repeat("X-A: b\r\n", 10_000), 11 * time.Second},
		{"a header that does not end", post + "X-A: ", strings.Repeat("b", 10_000), 11 * time.Second},
		{"a body, a byte every second", post + "Content-Length: 100000\r\n\r\n", strings.Repeat("{", 100_000), 62 * time.Second},
		{"a body in chunks", post + "Transfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n{\r\n", 100_000), 62 * time.Second},
		{"a body that does not come", post + "Content-Length: 10\r\n\r\n", "", 62 * time.Second},
		{"the preface of HTTP/2 and nothing", preface, "", 125 * time.Second},
		{"half of a preface", preface[:20], "", 11 * time.Second},
		{"HTTP/2, a byte of a frame every second", preface + string(frame(4, 0, 0, nil)), strings.Repeat("\x00", 100_000), 125 * time.Second},
		{"a request and then nothing", post + "Content-Length: 2\r\n\r\n{}", "", 125 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := serverWithTokens(t, nil)
				p := onPipes(t, s)
				conn := p.dial()
				var writer sync.WaitGroup
				defer writer.Wait()
				defer conn.Close()
				begun := time.Now()
				writer.Go(func() {
					if _, err := io.WriteString(conn, c.once); err != nil {
						return
					}
					for i := range c.slowly {
						if _, err := io.WriteString(conn, c.slowly[i:i+1]); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				})
				_, _ = io.Copy(io.Discard, conn) // until the server has closed it
				if took := time.Since(begun); took > c.within {
					t.Errorf("it was cut off after %v, want %v at most", took, c.within)
				}
			})
		})
	}
}

// A client that takes no answer, and hundreds of slow ones, do not hold up another.
func TestSlowClientsHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := serverWithTokens(t, nil)
		p := onPipes(t, s)
		var slow []net.Conn
		for i := range 300 {
			conn := p.dial()
			slow = append(slow, conn)
			text := []string{"", post, post + "Content-Length: 100\r\n\r\n{", post + "Content-Length: 2\r\n\r\n{}"}[i%4]
			go func() { _, _ = io.WriteString(conn, text) }() // the answer is not read
		}
		synctest.Wait()
		begun := time.Now()
		goesOn(t, clientOn(t, p))
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v beside 300 slow clients", took)
		}
		time.Sleep(2 * time.Minute)
		for i, conn := range slow {
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			if _, err := io.Copy(io.Discard, conn); err != nil {
				t.Errorf("client %d is connected after two minutes: %v", i, err)
			}
			conn.Close()
		}
	})
}

// What is nonsense, and what is too large, ends its connection or its call, and the server
// goes on.
func TestGarbageIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := serverWithTokens(t, func(o *ServerOptions) { o.MaxMessage = 1 << 16 })
		p := onPipes(t, s)
		good := clientOn(t, p)
		send := func(b []byte) {
			conn := p.dial()
			go func() { _, _ = conn.Write(b) }()
			time.AfterFunc(3*time.Minute, func() { conn.Close() })
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
		rng := rand.New(rand.NewPCG(1, 2))
		noise := func(n int) []byte {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
			return b
		}
		settings := preface + string(frame(4, 0, 0, nil))
		for n := range 40 {
			send(noise(1 + n*50))
			send(append([]byte(preface), noise(1+n*50)...))
			for kind := range byte(12) {
				send(append([]byte(settings), frame(kind, byte(rng.Uint32()), uint32(n%4), noise(n*3))...))
			}
		}
		send(frame(0, 0, 1, make([]byte, 1<<20)))
		send([]byte(settings + "\xff\xff\xff\x00\x00\x00\x00\x00\x01"))          // a frame of 16 MiB
		send([]byte("POST / HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20)))      // a header of 1 MiB
		send([]byte(post + "Content-Length: 18446744073709551615\r\n\r\n{}"))    // a length of 2^64
		send([]byte(post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffff0")) // a chunk of 2^60
		send([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))             // TLS, which it does not speak
		goesOn(t, good)
	})
}

// Bodies that claim to be what they are not take no memory, and panic nowhere.
func TestBodiesThatLie(t *testing.T) {
	s, _ := serverWithTokens(t, func(o *ServerOptions) { o.MaxMessage = 1 << 16 })
	deep := strings.Repeat("\x81", 1000)
	for _, c := range []struct {
		name, body string
		json       bool
		status     int
	}{
		{"an array of 2^60", "\xa1\x02\x9b\x10\x00\x00\x00\x00\x00\x00\x00", false, http.StatusBadRequest},
		{"an array of 2^20 that are not there", "\xa1\x02\x9a\x00\x10\x00\x00", false, http.StatusBadRequest},
		{"bytes of 2^60", "\xa1\x01\x7b\x10\x00\x00\x00\x00\x00\x00\x00x", false, http.StatusBadRequest},
		{"a map of 2^60", "\xbb\x10\x00\x00\x00\x00\x00\x00\x00", false, http.StatusBadRequest},
		{"a map of no end", "\xbf", false, http.StatusBadRequest},
		{"deep arrays", deep, false, http.StatusBadRequest},
		{"deep JSON", strings.Repeat(`{"transactions":[`, 3000), true, http.StatusBadRequest},
		{"more than it may have", `{"x": "` + strings.Repeat("x", 1<<17) + `"}`, true, http.StatusRequestEntityTooLarge},
		{"another type", `[1]`, true, http.StatusBadRequest},
		{"too many transactions", `{"transactions": [` + strings.Repeat("{},", maxTransactions) + `{}]}`, true, http.StatusRequestEntityTooLarge},
		{"nothing", "", true, http.StatusBadRequest},
		{"nothing in CBOR", "", false, http.StatusBadRequest},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weir"+Prefix+"commit", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer admin"+tokenOf)
		if !c.json {
			r.Header.Set("Content-Type", typeCBOR)
		}
		resp, err := inProcess{s}.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", c.name, resp.StatusCode, c.status)
		}
	}
}

func FuzzCommit(f *testing.F) {
	f.Add([]byte(`{"transactions": [{"id": "a", "changes": [{"do": "enqueue", "name": "q", "item": {"text": "x"}}]}]}`), false)
	if b, err := cborEncoding.Marshal(commitRequest{Client: "c", Transactions: []transaction{{Changes: []change{{Kind: kind(queue.ChangePut), Name: "t", Key: "k"}}}}}); err == nil {
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, binary bool) {
		s, _ := serverWithTokens(t, nil)
		var m commitRequest
		if decode(bytes.NewReader(body), 1<<20, binary, &m) != nil {
			return
		}
		if _, err := s.commit(t.Context(), &call{store: s.store, role: RoleAdmin, now: time.Now()}, &m); err != nil && !errors.Is(err, queue.ErrTooLarge) {
			t.Errorf("commit: %v", err)
		}
	})
}

// The clients at one address have a part of the server at most: a call, a client and a
// session too many of theirs are refused, and another works beside them.
func TestGreedyClientsCostThemselvesOnly(t *testing.T) {
	s, store := serverWithTokens(t, func(o *ServerOptions) { o.MaxCalls, o.MaxClients, o.MaxSessions = 400, 40, 50 })
	ctx, cancel := context.WithCancel(t.Context())
	as := func(ctx context.Context, token, address, name, body string) (int, string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://weir"+Prefix+name, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token+tokenOf)
		r.RemoteAddr = address
		w := &answer{header: make(http.Header)}
		s.ServeHTTP(w, r)
		return w.status, w.body.String()
	}
	from := func(ctx context.Context, address, name, body string) (int, string) {
		return as(ctx, "work", address, name, body)
	}
	const greedy, good = "192.0.2.1:1", "192.0.2.2:1"
	count := func(n int, do func(i int) (int, string)) (done, refused int) {
		for i := range n {
			switch status, body := do(i); {
			case status == http.StatusOK:
				done++
			case status == http.StatusTooManyRequests && strings.Contains(body, `"busy"`):
				refused++
			default:
				t.Fatalf("%d: %d %s", i, status, body)
			}
		}
		return done, refused
	}
	if done, refused := count(1000, func(i int) (int, string) {
		return from(ctx, greedy, "open", fmt.Sprintf(`{"client": "greedy-%020d", "version": 1}`, i))
	}); done != 10 || refused != 990 {
		t.Errorf("of 1,000 clients %d were let in and %d refused, want a quarter of 40", done, refused)
	}
	if status, body := as(ctx, "admin", greedy, "open", `{"client": "at-the-same-place", "version": 1}`); status != http.StatusOK {
		t.Errorf("another token at the same address: %d %s", status, body)
	}
	id := fmt.Sprintf("greedy-%020d", 0)
	if done, refused := count(2000, func(i int) (int, string) {
		return from(ctx, greedy, "subscribe", fmt.Sprintf(`{"client": %q, "session": "s%d", "queue": "q"}`, id, i))
	}); done != 50 || refused != 1950 {
		t.Errorf("of 2,000 sessions %d began and %d were refused, want 50", done, refused)
	}

	// Thousands of calls that wait.
	var waiting sync.WaitGroup
	statuses := make(chan int, 4000)
	for i := range 4000 {
		waiting.Go(func() {
			status, _ := from(ctx, greedy, "receive", fmt.Sprintf(`{"client": %q, "session": "s%d", "wait_ms": 30000}`, id, i%50))
			statuses <- status
		})
	}
	for range 4000 - 100 {
		if status := <-statuses; status != http.StatusTooManyRequests {
			t.Fatalf("a call too many is answered %d", status)
		}
	}
	s.busy.mu.Lock()
	calls := s.busy.calls
	s.busy.mu.Unlock()
	if calls != 100 {
		t.Errorf("%d calls wait, want a quarter of 400", calls)
	}
	for i, step := range []struct{ name, body string }{
		{"open", `{"client": "good-0123456789abcdef", "version": 1}`},
		{"commit", `{"transactions": [{"changes": [{"do": "enqueue", "name": "good", "item": {"text": "x"}}]}]}`},
		{"subscribe", `{"client": "good-0123456789abcdef", "session": "s", "queue": "good"}`},
		{"receive", `{"client": "good-0123456789abcdef", "session": "s", "wait_ms": 30000}`},
		{"commit", fmt.Sprintf(`{"client": "good-0123456789abcdef", "transactions": [{"changes": [{"do": "ack", "delivery": %d}]}]}`, 1)},
	} {
		if status, body := from(t.Context(), good, step.name, step.body); status != http.StatusOK || strings.Contains(body, "error") {
			t.Errorf("step %d, %s: %d %s", i, step.name, status, body)
		}
	}
	if st, err := store.QueueStats(ctx, "good"); err != nil || st.Totals.Acked != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	cancel()
	waiting.Wait()
	s.busy.mu.Lock()
	defer s.busy.mu.Unlock()
	if s.busy.calls != 0 || len(s.busy.of) != 0 {
		t.Errorf("when all is over %d calls are counted, of %d addresses", s.busy.calls, len(s.busy.of))
	}
}

// The calls of one session wait for each other, and not too many of them.
func TestCallsOfOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := serverWithClient(t)
		c.lease = time.Hour
		now := &call{store: s.store, now: time.Now()}
		if _, err := s.subscribe(t.Context(), now, &subscribeRequest{Client: c.id, Session: "s", Queue: "q"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		refused := make(chan error, 100)
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				if _, err := s.receive(ctx, now, &receiveRequest{Client: c.id, Session: "s", Wait: 30_000}); errors.Is(err, ErrBusy) {
					refused <- err
				}
			})
		}
		synctest.Wait()
		if n := len(refused); n != 100-maxReceiving {
			t.Errorf("%d calls were refused, want %d", n, 100-maxReceiving)
		}
		cancel()
		group.Wait()
		c.remove()
		c.forget()
	})
}

// Requests that are read take memory; those of one address so much at most.
func TestBytesOfOneAddress(t *testing.T) {
	s := &shares{most: 100, of: make(map[sharer]*share)}
	var all []*use
	for i := range 20 {
		u, err := s.begin(sharer{"192.0.2.1", 0})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
		_, err = io.CopyN(io.Discard, &counted{zeros{}, u}, maxReading/16)
		if refused := errors.Is(err, ErrBusy); refused != (i >= 16) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	for _, by := range []sharer{{"192.0.2.2", 0}, {"192.0.2.1", 1}} {
		other, err := s.begin(by)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, &counted{zeros{}, other}, maxReading/2); err != nil {
			t.Errorf("another address or token: %v", err)
		}
		all = append(all, other)
	}
	for _, u := range all {
		u.end()
	}
	if len(s.of) != 0 || s.calls != 0 {
		t.Errorf("when all is over: %d calls, %d addresses", s.calls, len(s.of))
	}
}

// What is read for an answer, and has not been taken, counts too, for those who only look.
func TestAnswersOfOneAddress(t *testing.T) {
	s, store := serverWithTokens(t, nil)
	var tx queue.Tx
	for i := range 4 {
		tx.Put("t", fmt.Sprint(i), make([]byte, 1000))
	}
	if err := store.Commit(t.Context(), &tx); err != nil {
		t.Fatal(err)
	}
	ask := func(address, name, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weir"+Prefix+name, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer admin"+tokenOf)
		r.RemoteAddr = address
		w := &answer{header: make(http.Header)}
		s.ServeHTTP(w, r)
		return w.status
	}
	const get, scan, commit = `{"table": "t", "key": "1"}`, `{"table": "t", "limit": 4}`, `{"transactions": [{"id": "1", "changes": []}]}`
	one := "192.0.2.1:1"
	if ask(one, "get", get) != http.StatusOK || len(s.busy.of) != 0 {
		t.Fatalf("%d sharers have something when nothing is in progress", len(s.busy.of))
	}
	by := sharer{place: place(one)}
	for i, sum := range s.sums {
		if sum.role == RoleAdmin {
			by.token = i
		}
	}
	slow, err := s.busy.begin(by) // answers that nobody takes
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.take(maxReading - 1000); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address, name, body string
		want                int
	}{
		{one, "get", get, http.StatusTooManyRequests},
		{one, "scan", scan, http.StatusTooManyRequests},
		{one, "commit", commit, http.StatusOK}, // what was done is answered
		{"192.0.2.2:1", "get", get, http.StatusOK},
		{"192.0.2.2:1", "scan", scan, http.StatusOK},
	} {
		if status := ask(c.address, c.name, c.body); status != c.want {
			t.Errorf("%s from %s: %d, want %d", c.name, c.address, status, c.want)
		}
	}
	slow.end()
	if status := ask(one, "scan", scan); status != http.StatusOK || len(s.busy.of) != 0 || s.busy.calls != 0 {
		t.Errorf("when they are taken: %d; %d calls are counted, of %d", status, s.busy.calls, len(s.busy.of))
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestPlaces(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[2001:db8:1:2:3::4]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "pipe": "", "": "", "@": "",
	} {
		if got := place(address); got != want {
			t.Errorf("place(%q) = %q, want %q", address, got, want)
		}
	}
}

// A stranger keeps no connection.
func TestAStrangersConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := serverWithTokens(t, nil)
		p := onPipes(t, s)
		conn := p.dial()
		defer conn.Close()
		go func() {
			_, _ = io.WriteString(conn, strings.ReplaceAll(post, tokenOf, "")+"Content-Length: 2\r\n\r\n{}")
		}()
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || !resp.Close {
			t.Fatalf("%+v, %v", resp, err)
		}
		begun := time.Now()
		_, _ = io.Copy(io.Discard, in)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it was closed after %v", took)
		}
	})
}

// addressed is a connection of somebody.
type addressed struct {
	net.Conn
	from   string
	closed bool
}

func (c *addressed) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.from))
}
func (c *addressed) Close() error { c.closed = true; return nil }

// One address has so many connections at a time and no more, and nothing is remembered of
// those that have ended.
func TestConnectionsOfOneAddress(t *testing.T) {
	all := &connections{of: make(map[string]int)}
	begin := func(from string) *addressed {
		c := &addressed{from: from}
		all.changed(c, http.StateNew)
		all.changed(c, http.StateActive)
		return c
	}
	var open []*addressed
	for range maxConnections {
		c := begin("192.0.2.1:1000")
		if c.closed {
			t.Fatalf("connection %d is closed", len(open)+1)
		}
		open = append(open, c)
	}
	tooMany, other := begin("192.0.2.1:1001"), begin("192.0.2.2:1000")
	if !tooMany.closed || other.closed {
		t.Errorf("closed: one too many %v, another's %v; want true and false", tooMany.closed, other.closed)
	}
	all.changed(tooMany, http.StateClosed)
	all.changed(open[0], http.StateClosed)
	if c := begin("192.0.2.1:1002"); c.closed {
		t.Error("a connection is closed though another has ended")
	} else {
		open[0] = c
	}
	for _, c := range append(open, other) {
		all.changed(c, http.StateClosed)
	}
	if len(all.of) != 0 {
		t.Errorf("%v are remembered, want nothing", all.of)
	}
}
