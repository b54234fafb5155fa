package crawler_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var fleetKills = flag.Int("fleet.kills", 0, "how often TestFleetForReal kills its crawl; 0 leaves the test out")

// A realFleet is TestSickHostsDoNotStopTheOthers's fleet for real: a server on a port
// of its own for each host, of which the first fifty are dead, slow, flapping or limit
// the rate. Every page but a dead host's is there in the end.
type realFleet struct {
	hosts []*realHost
	depth int // of the chain of pages of a host
	delay time.Duration
	left  sync.WaitGroup // healthy hosts whose last page has not been served

	mu      sync.Mutex
	near    time.Duration // the least time between two requests of one host
	nearest string        // which they were
}

type realHost struct {
	fleet    *realFleet
	kind     string
	listener net.Listener
	server   *http.Server

	mu   sync.Mutex
	last time.Time // when an answer was ready
	path string    // that it was for
	life string    // of the crawl that asked
	n    int       // requests
	end  sync.Once
}

const (
	fleetHosts = 500
	fleetSick  = 50
)

func listenFleet(t *testing.T, depth int, delay time.Duration) *realFleet {
	f := &realFleet{depth: depth, delay: delay, near: time.Hour}
	for i := range fleetHosts {
		h := &realHost{fleet: f, kind: "healthy"}
		if 0 < i && i <= fleetSick { // the first is where the crawl begins
			h.kind = []string{"dead", "slow", "flapping", "limiting"}[i%4]
		}
		var err error
		if h.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		f.hosts = append(f.hosts, h)
		if h.kind == "dead" {
			h.die(t)
			continue
		}
		if h.kind == "healthy" {
			f.left.Add(1)
		}
		h.server = &http.Server{Handler: h}
		go h.server.Serve(h.listener)
		t.Cleanup(func() { h.server.Close() })
	}
	return f
}

// die makes connections to the host be refused. A connection of its own keeps the
// port, which another server would get otherwise, of this fleet or of anybody.
func (h *realHost) die(t *testing.T) {
	h.listener.Close()
	keep, err := (&net.Dialer{LocalAddr: h.listener.Addr()}).Dial("tcp", h.fleet.hosts[0].listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keep.Close() })
}

func (h *realHost) url() string { return "http://" + h.listener.Addr().String() }

// note keeps account of a request, and returns how many there were before. What was
// under way when the crawl was killed is asked for again, and no answer at all on a
// connection that was used before has net/http ask again at once (RFC 9112 section
// 9.3.1): neither counts.
func (h *realHost) note(path, life string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	now := time.Now()
	if !h.last.IsZero() && (path != h.path || life == h.life) {
		if near := now.Sub(h.last); near < h.fleet.near {
			h.fleet.near, h.fleet.nearest = near, fmt.Sprintf("%s host, %s and then %s, in the lives %s and %s", h.kind, h.path, path, h.life, life)
		}
	}
	h.path, h.life = path, life
	h.n++
	return h.n - 1
}

// answers notes when an answer was ready. Who is polite counts from when it has come,
// which is later, so what is measured from here is never less than what was kept to,
// however busy the machine is.
func (h *realHost) answers(at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = at
}

// cut has the connection closed without an answer.
func (h *realHost) cut() {
	h.answers(time.Time{})
	panic(http.ErrAbortHandler)
}

func (h *realHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, h.note(r.URL.Path, r.Header.Get(lifeHeader)))
	h.answers(time.Now())
}

// serve answers the request before which there were n.
func (h *realHost) serve(w http.ResponseWriter, r *http.Request, n int) {
	switch {
	case h.kind == "slow":
		select {
		case <-time.After(3 * time.Second):
		case <-r.Context().Done():
			return
		}
	case h.kind == "flapping" && n%6 == 5:
		h.cut()
	case h.kind == "limiting" && n%6 > 3:
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	page, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	switch {
	case r.URL.Path == "/" && h == h.fleet.hosts[0]:
		for _, o := range h.fleet.hosts {
			fmt.Fprintf(w, "<a href=%s/1>x</a>", o.url())
		}
	case err != nil:
		w.WriteHeader(http.StatusNotFound)
	case page < h.fleet.depth:
		fmt.Fprintf(w, "<a href=/%d>next</a>", page+1)
	case h.kind == "healthy":
		h.end.Do(h.fleet.left.Done)
	}
}

// Of five hundred servers fifty are sick, and the crawl is killed again and again. The
// healthy ones are crawled to their ends while the sick ones still wait; what is not
// dead is crawled in the end; and no server is asked sooner than politeness permits.
func TestFleetForReal(t *testing.T) {
	if *fleetKills == 0 {
		t.Log("give -fleet.kills to run it; it takes two minutes")
		return
	}
	f := listenFleet(t, 6, time.Second)
	dir := t.TempDir()
	b, err := json.Marshal(childJob{f.hosts[0].url() + "/", crawler.Settings{
		Grace: 2 * time.Second, GiveUp: 90 * time.Second, Retries: 100,
		Scope: everywhere, Delay: f.delay, Workers: 64, AllowPrivate: true,
		Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "job.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	healthy := make(chan struct{})
	began, took := time.Now(), time.Duration(0)
	go func() { f.left.Wait(); took = time.Since(began); close(healthy) }()
	for life := range *fleetKills {
		cmd, ended := startChild(t, dir, life)
		select {
		case err := <-ended:
			t.Fatalf("the crawl ended before it was killed: %v", err)
		case <-time.After(time.Second + rand.N(4*time.Second)):
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-ended
		}
	}
	_, ended := startChild(t, dir, *fleetKills)
	select {
	case <-healthy: // and the others still wait
	case err := <-ended:
		t.Fatalf("the crawl ended and healthy hosts had not been crawled: %v", err)
	}
	alone := time.Duration(f.depth+1) * f.delay
	t.Logf("%d kills; the healthy hosts took %v, %.1f of the %v that they take alone and without kills", *fleetKills, took.Round(time.Second), took.Seconds()/alone.Seconds(), alone)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	store, err := badgerqueue.Open(filepath.Join(dir, "store"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages, failures := records[crawler.Page](t, store, "pages"), records[crawler.Failure](t, store, "failures")
	for _, h := range f.hosts {
		if h.kind == "dead" {
			if _, ok := failures[h.url()+"/1"]; !ok {
				e, err := inspect.Explain(t.Context(), store, h.url()+"/1", nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Errorf("dead host %s is no failure, but %s: skip %+v, deferred %v, waiting %+v, host %+v, robots %+v", h.url(), e.State, e.Skip, e.Deferred, e.Waiting, e.Host, e.Robots)
			}
			continue
		}
		for n := 1; n <= f.depth; n++ {
			if u := fmt.Sprintf("%s/%d", h.url(), n); pages[u].URL == "" {
				t.Errorf("%s host: %s is no page: %+v", h.kind, u, failures[u])
			}
		}
	}
	if f.near < f.delay {
		t.Errorf("a server was asked %v after its last answer, want %v: %s", f.near, f.delay, f.nearest)
	}
	t.Logf("%d pages, %d failures, never a request of a host within %v of its last answer, %v in all", len(pages), len(failures), f.near.Round(time.Millisecond), time.Since(began).Round(time.Second))
}

// startChild begins or resumes the crawl of a folder in another process, whose requests
// say in which life of the crawl they were made: a server may see them when it is over.
func startChild(t *testing.T, dir string, life int) (*exec.Cmd, <-chan error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir, lifeVariable+"="+fmt.Sprint(life))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return cmd, ended
}
