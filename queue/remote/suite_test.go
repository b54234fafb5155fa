package remote

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
	"github.com/seed-301537d8/weir/queue/queuetest"
)

// inProcess is a transport that calls the server without a network, so that it works in a
// bubble, where time passes when everybody waits.
type inProcess struct{ server http.Handler }

func (d inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &answer{header: make(http.Header), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		d.server.ServeHTTP(w, r)
	}()
	select {
	case <-w.done:
		return &http.Response{
			StatusCode: w.status, Status: http.StatusText(w.status), Header: w.header, Body: io.NopCloser(&w.body), Request: r,
		}, nil
	case <-r.Context().Done():
		if strings.HasSuffix(r.URL.Path, "/receive") {
			<-w.done // so that it takes nothing when the caller has the next call
		}
		return nil, r.Context().Err()
	}
}

type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	done   chan struct{}
}

func (w *answer) Header() http.Header         { return w.header }
func (w *answer) WriteHeader(status int)      { w.status = status }
func (w *answer) Write(b []byte) (int, error) { return w.body.Write(b) }

// disk is a memqueue.Disk whose stores are used over the network.
type disk struct {
	*memqueue.Disk
	json    bool
	lossy   *rand.Rand // loses and repeats messages, if not nil
	gathers bool       // several transactions go in one call, in no order
}

func (d disk) Crash(testing.TB) queuetest.Disk { return disk{d.Clone(), d.json, d.lossy, d.gathers} }

func (d disk) transport(server *Server) http.RoundTripper {
	if d.lossy == nil {
		return inProcess{server}
	}
	return &lossy{to: inProcess{server}, rand: d.lossy}
}

// lossy is a transport that loses requests, loses answers, and brings requests twice,
// the second time late.
type lossy struct {
	to   inProcess
	mu   sync.Mutex
	rand *rand.Rand
}

var errLost = errors.New("lost on the way")

func (l *lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	send := func(ctx context.Context) (*http.Response, error) {
		r := r.Clone(ctx)
		r.Body = io.NopCloser(bytes.NewReader(body))
		return l.to.RoundTrip(r)
	}
	l.mu.Lock()
	fate := l.rand.IntN(8)
	l.mu.Unlock()
	switch fate {
	case 0:
		return nil, errLost
	case 1:
		if resp, err := send(r.Context()); err != nil {
			return resp, err
		}
		return nil, errLost
	case 2:
		if resp, err := send(r.Context()); err != nil {
			return resp, err
		}
		return send(r.Context())
	case 3:
		if strings.HasSuffix(r.URL.Path, "/commit") {
			go send(context.WithoutCancel(r.Context()))
			return nil, errLost
		}
	}
	return send(r.Context())
}

// Front offers a store and opens it.
func (d disk) Front(t testing.TB, s *queue.Store) *queue.Store {
	server, err := NewServer(ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	server.Lead(s)
	e, err := newEngine("http://weir", &Options{Transport: d.transport(server), JSON: d.json})
	if err != nil {
		t.Fatal(err)
	}
	e.maxItem, e.maxTx = s.MaxItem(), s.MaxTx()
	e.pause, e.hints.age = time.Nanosecond, 0 // tests want to know exactly
	if !d.gathers {
		e.sender.gather = 1
	}
	if d.lossy != nil {
		e.pause = 0
	}
	return queue.NewStore(fronted{e, server, s})
}

// fronted closes what it fronts.
type fronted struct {
	*engine
	server *Server
	leader *queue.Store
}

func (f fronted) Close() error {
	err := f.engine.Close()
	f.server.Lead(nil)
	return errors.Join(err, f.leader.Close())
}

// long runs every promise of a store over the network. Without it random histories are.
var long = flag.Bool("long", false, "run all promises of a store, and longer loops")

func TestQueueOverTheNetwork(t *testing.T) {
	if !*long {
		return
	}
	queuetest.Run(t, func(testing.TB) queuetest.Disk { return disk{Disk: memqueue.NewDisk()} })
}

func TestModelOverALossyNetwork(t *testing.T) {
	queuetest.Model(t, func(testing.TB) queuetest.Disk {
		return disk{Disk: memqueue.NewDisk(), lossy: rand.New(rand.NewPCG(1, 2))}
	}, sequences())
}

func sequences() int {
	if *long {
		return 400
	}
	return 15
}

func TestConserveOverALossyNetwork(t *testing.T) {
	queuetest.Conserve(t, func(testing.TB) queuetest.Disk {
		return disk{Disk: memqueue.NewDisk(), lossy: rand.New(rand.NewPCG(1, 2)), gathers: true}
	}, 3)
}
