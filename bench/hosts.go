package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
)

// The web of many hosts is h0.test, h1.test and so on, each with -host-pages pages, a
// robots.txt and a page that this forbids. It is made when it is asked for.
const (
	hostDomain = ".test"
	forbidden  = "/private"
	farLinks   = 4 // of each page, to pages of any hosts
)

// asked is what the server of many hosts has seen, by the number of the host.
type asked struct {
	delay time.Duration

	mu     sync.Mutex
	seen   []hostSeen
	report askedReport
}

type hostSeen struct {
	last   int64 // when it was asked last, in nanoseconds since the first request of all
	robots uint8
	pages  uint8 // a bit for each
}

// askedReport is what the server tells the crawler's process at the end.
type askedReport struct {
	Requests, Hosts, Pages int
	Again                  int           // pages that were asked for again
	Robots                 int           // requests for robots.txt, ...
	RobotsAgain            int           // of them for one that had been asked for
	Forbidden              int           // requests that robots.txt forbids
	BeforeRobots           int           // requests to a host whose robots.txt had not been asked for
	Early                  int           // requests that came before the delay of their host was over
	Shortest               time.Duration // time between two requests to a host
}

var started = time.Now()

// ServeHTTP answers for all hosts. A request is timed when it arrives here, and the
// crawler's delay begins when it has the answer, so that none may be early.
func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Since(started)
	name, port, _ := strings.Cut(r.Host, ":")
	number, ok := strings.CutSuffix(strings.TrimPrefix(name, "h"), hostDomain)
	host, err := strconv.Atoi(number)
	if !ok || err != nil || host < 0 || host >= len(a.seen) {
		http.NotFound(w, r)
		return
	}
	page := -1
	if p, err := strconv.Atoi(r.URL.Path[1:]); err == nil && p >= 0 && p < *hostPages {
		page = p
	}
	a.note(host, page, r.URL.Path, now)
	switch {
	case r.URL.Path == "/robots.txt":
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "User-agent: *\nDisallow: %s\n", forbidden)
	case page < 0:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(hostPage(host, page, len(a.seen), port))
	}
}

// note counts a request.
func (a *asked) note(host, page int, path string, at time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, n := &a.seen[host], &a.report
	n.Requests++
	if s.last == 0 {
		n.Hosts++
	} else {
		gap := at - time.Duration(s.last)
		if n.Shortest == 0 || gap < n.Shortest {
			n.Shortest = gap
		}
		if gap < a.delay {
			n.Early++
		}
	}
	s.last = int64(at)
	switch {
	case path == "/robots.txt":
		n.Robots++
		if s.robots > 0 {
			n.RobotsAgain++
		}
		s.robots = 1
		return
	case page >= 0 && s.pages&(1<<page) != 0:
		n.Again++
	case page >= 0:
		n.Pages++
		s.pages |= 1 << page
	default:
		n.Forbidden++
	}
	if s.robots == 0 {
		n.BeforeRobots++
	}
}

// reportTo tells what was seen, and begins anew.
func (a *asked) reportTo(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = json.NewEncoder(w).Encode(a.report)
	clear(a.seen)
	a.report = askedReport{}
}

// hostPage is a page with links to the other pages of its host, to what is forbidden,
// to three hosts which nobody else may name, and to pages of any others.
func hostPage(host, page, count int, port string) []byte {
	b := fmt.Appendf(nil, "<!doctype html><title>Page %d of %d</title><p>Page %d of host %d of %d.\n<a href=\"%s\">private</a>\n", page, host, page, host, count, forbidden)
	link := func(to, page int) {
		b = fmt.Appendf(b, "<a href=\"http://h%d%s:%s/%d\">page %d of %d</a>\n", to, hostDomain, port, page, page, to)
	}
	pages := *hostPages
	for p := range pages {
		link(host, p)
	}
	if page == 0 {
		for child := 3*host + 1; child <= 3*host+3 && child < count; child++ {
			link(child, 0)
		}
	}
	for k := range farLinks {
		i := int(uint64((host*pages+page)*farLinks+k+1) * 0x9e3779b97f4a7c15 >> 20 % uint64(count*pages))
		link(i/pages, i%pages)
	}
	return b
}

// weirHosts crawls the web of many hosts with the politeness that a crawl has of
// itself, stops in the middle, and goes on. What the server has seen must be polite.
func weirHosts(s sites) (result, error) {
	root, _, _ := strings.Cut(s.Seed, "/page/")
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(root, "http://"))
	settings := records(scope.WithinAny)
	settings.AllowPrivate, settings.Delay = true, *hostDelay
	var requests atomic.Int64
	count := func(*http.Request, crawler.Request) error {
		requests.Add(1)
		return nil
	}
	total := int64(*manyHosts) * int64(*hostPages+1)
	r, err := scale(&crawler.Options{
		Settings: settings, Seeds: crawler.Seeds(fmt.Sprintf("http://h0%s:%s/0", hostDomain, port)), Transport: toLoopback, BeforeRequest: count,
	}, watcher{total: total, requests: &requests, stop: total / 2})
	if err != nil {
		return r, err
	}
	return r, checkAsked(root)
}

var hostSeed = maphash.MakeSeed()

// toLoopback connects to a loopback address instead of looking a name up.
func toLoopback(builtin *http.Transport) http.RoundTripper {
	dial := builtin.DialContext
	builtin.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(name, hostDomain) {
			address = fmt.Sprintf("127.5.0.%d:%s", maphash.String(hostSeed, name)%hosts+1, port)
		}
		return dial(ctx, network, address)
	}
	return builtin
}

// checkAsked asks the server what it has seen, and says what is wrong with it.
func checkAsked(root string) error {
	resp, err := http.Get(root + "/asked")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var n askedReport
	if err := json.NewDecoder(resp.Body).Decode(&n); err != nil {
		return err
	}
	logf("%d hosts were asked %d times, %d of these for robots.txt; %v at least between two requests to a host", n.Hosts, n.Requests, n.Robots, n.Shortest.Round(time.Millisecond))
	// What was under way when the crawl was stopped, or took too long, is asked for again.
	logf("%d pages and %d files robots.txt were asked for again", n.Again, n.RobotsAgain)
	var errs []error
	wrong := func(n int, what string) {
		if n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", n, what))
		}
	}
	wrong(*manyHosts-n.Hosts, "hosts were never asked")
	wrong((*manyHosts)*(*hostPages)-n.Pages, "pages were never asked for")
	wrong(n.Forbidden, "requests were forbidden")
	wrong(n.BeforeRobots, "requests came before that for robots.txt")
	wrong(n.Early, "requests came before the delay was over")
	return errors.Join(errs...)
}
