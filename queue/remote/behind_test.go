package remote_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// atWork shows that a client does what a worker does: it waits for an item, is given it as
// soon as another client has put it in, and settles it. If waits is not nil it brings word
// of each call that may wait.
func atWork(t *testing.T, worker, producer *queue.Store, waits <-chan struct{}) {
	t.Helper()
	c, err := worker.Subscribe(t.Context(), "q", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for round := range 3 {
		got := make(chan *queue.Delivery, 1)
		go func() {
			defer close(got)
			ds, err := c.Receive(t.Context(), 1)
			if err != nil {
				t.Errorf("Receive: %v", err)
				return
			}
			got <- ds[0]
		}()
		if waits != nil {
			<-waits
		}
		var tx queue.Tx
		tx.Enqueue("q", queue.Item{Body: []byte(fmt.Sprint(round))})
		if err := producer.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
		d, ok := <-got
		if !ok {
			return
		}
		tx.Reset()
		tx.Ack(d)
		tx.Put("done", fmt.Sprint(round), d.Item.Body)
		if err := worker.Commit(t.Context(), &tx); err != nil {
			t.Fatal(err)
		}
	}
	if records, err := producer.Scan(t.Context(), "done", "", "", 10); err != nil || len(records) != 3 {
		t.Errorf("%d records, %v", len(records), err)
	}
}

// forwardTo makes a proxy before a server as one is put in operation: it ends TLS, speaks
// HTTP/2 with clients, and what protocols say with the server.
func forwardTo(t *testing.T, protocols func(*http.Protocols), targets ...string) (*httptest.Server, <-chan struct{}) {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	protocols(transport.Protocols)
	t.Cleanup(transport.CloseIdleConnections)
	waits := make(chan struct{}, 1000)
	p := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			u, err := url.Parse(targets[rand.IntN(len(targets))])
			if err != nil {
				panic(err)
			}
			r.SetURL(u)
			r.SetXForwarded()
			if strings.HasSuffix(r.In.URL.Path, "/receive") {
				select {
				case waits <- struct{}{}:
				default: // nobody wants to know
				}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	p.EnableHTTP2 = true
	p.StartTLS()
	t.Cleanup(func() { p.CloseClientConnections(); p.Close() })
	return p, waits
}

func TestBehindAReverseProxy(t *testing.T) {
	for name, protocols := range map[string]func(*http.Protocols){
		"HTTP2": func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
		"HTTP1": func(p *http.Protocols) { p.SetHTTP1(true) },
	} {
		t.Run(name, func(t *testing.T) {
			web, _, _ := serve(t, false, nil)
			p, waits := forwardTo(t, protocols, web.URL)
			s := open(t, p, remote.Options{Patience: time.Minute})
			atWork(t, s, open(t, p, remote.Options{}), waits)

			// A call that waits for nothing is answered when it has waited as long as it may.
			for _, c := range [][2]string{
				{"open", `{"client": "0123456789abcdef", "version": 1}`},
				{"subscribe", `{"client": "0123456789abcdef", "session": "s", "queue": "none"}`},
				{"receive", `{"client": "0123456789abcdef", "session": "s", "seq": 1, "wait_ms": 50}`},
			} {
				if status, reply := post(t, p, adminToken, c[0], c[1]); status != http.StatusOK {
					t.Errorf("%s: %d %v", c[0], status, reply)
				}
			}
		})
	}
}

// A balancer brings each call to any of the servers, of which one leads.
func TestBehindABalancer(t *testing.T) {
	leads, _, _ := serve(t, false, nil)
	standby, _, server := serve(t, false, nil)
	server.Lead(nil)
	p, _ := forwardTo(t, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, leads.URL, standby.URL)
	s := open(t, p, remote.Options{Patience: time.Minute})
	atWork(t, s, open(t, p, remote.Options{Patience: time.Minute}), nil)
}

// connectProxy is a proxy that connects every host to one address, and counts for whom.
type connectProxy struct {
	target string
	mu     sync.Mutex
	asked  map[string]int
}

func (p *connectProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.Method+" "+r.Host]++
	p.mu.Unlock()
	if r.Method != http.MethodConnect { // as a proxy does for http://
		(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: p.target})
		}}).ServeHTTP(w, r)
		return
	}
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	in, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		out.Close()
		return
	}
	go func() { _, _ = io.Copy(out, in); out.Close() }()
	_, _ = io.Copy(in, out)
	in.Close()
}

// asWorker is set for the process that TestThroughAProxy starts: its value is where the server is.
const asWorker = "WEIR_TEST_WORKER_OF"

// TestThroughAProxy is about the proxy of the environment, which a process looks at once:
// so the worker is a process of its own.
func TestThroughAProxy(t *testing.T) {
	if at := os.Getenv(asWorker); at != "" {
		o := remote.Options{Token: adminToken, Patience: time.Minute, TLS: &tls.Config{InsecureSkipVerify: true}}
		worker, err := remote.Open(t.Context(), at, &o)
		if err != nil {
			t.Fatal(err)
		}
		defer worker.Close()
		producer, err := remote.Open(t.Context(), at, &o)
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		atWork(t, worker, producer, nil)
		return
	}
	for _, secure := range []bool{true, false} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			web, leader, _ := serve(t, secure, nil)
			_, target, _ := strings.Cut(web.URL, "://")
			p := &connectProxy{target: target, asked: make(map[string]int)}
			proxy := httptest.NewServer(p)
			defer func() { proxy.CloseClientConnections(); proxy.Close() }()
			at, want := "http://crawl.example:7420", "POST crawl.example:7420"
			if secure {
				at, want = "https://crawl.example:7420", "CONNECT crawl.example:7420"
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestThroughAProxy$", "-test.count", "1")
			cmd.Env = append(os.Environ(), asWorker+"="+at, "HTTPS_PROXY="+proxy.URL, "HTTP_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.asked[want] == 0 || len(p.asked) != 1 {
				t.Errorf("the proxy was asked %v", p.asked)
			}
			if st, err := leader.QueueStats(t.Context(), "q"); err != nil || st.Totals.Acked != 3 {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}
