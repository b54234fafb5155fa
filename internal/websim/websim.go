// Package websim is a small synthetic web to crawl in tests: pages that link to
// each other at random, and whatever else a crawler meets. It knows what a
// correct crawl of it finds, and counts what it is asked.
//
// The web is generated from a seed, so that equal options give an equal web.
// It is served from memory by [Web.Transport], also within a bubble of
// testing/synctest, or by [Listen] on loopback addresses.
package websim

import (
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say what to generate. Zero fields mean the defaults given.
type Options struct {
	Seed  uint64
	Pages int // ordinary pages; default 1000
	Hosts int // that they lie on; default 20
	Links int // random links of each page; default 6
	// Text is about how many bytes of text a page has. Default 400.
	Text int

	// Troubles adds what goes wrong without taking long: redirects, failures,
	// wrong types, odd links, robots.txt files, traps.
	Troubles bool
	// Slow adds what takes a crawler seconds to days: hosts that are down, never
	// answer or ask to wait. It is for tests with a fake clock.
	Slow bool
	// Calendar adds pages without end. A crawl of it needs a depth.
	Calendar bool

	// Host names the host of a number. Default: h<number>.sim.test.
	Host func(n int) string
}

// Web is a generated web. Its methods are safe for concurrent use.
type Web struct {
	opts      Options
	seed      string
	resources map[string]*resource // by URL
	robots    map[string]*resource // by host
	down      map[string]bool      // hosts that nobody listens on
	calendar  string               // host of pages without end
	named     bool                 // hosts are names, not addresses

	mu      sync.Mutex
	counts  map[string]int
	hosts   map[string]*Traffic
	onServe func(url string)
}

// Traffic is what a host was asked.
type Traffic struct {
	Requests []Request
	InFlight int // now
	Overlap  int // most requests under way at once
}

// Request is one request. End is zero while it is under way.
type Request struct {
	URL        string
	Start, End time.Time
	Status     int
}

// link is a reference of a page. If refused is not empty, a crawler leaves it
// alone and says why in words that contain it.
type link struct {
	to      string
	refused string
}

// resource is what one URL answers.
type resource struct {
	links    []link
	redirect string // target of a redirect
	fail     string // reason, if it is never fetched
	failures int    // failed attempts before an answer that counts
	noIndex  bool
	noText   bool // it holds nothing to read
	detail   string

	serve func(w http.ResponseWriter, r *http.Request, n int) // n counts requests from 1
}

// New generates a web.
func New(o Options) *Web {
	set := func(n *int, byDefault int) {
		if *n == 0 {
			*n = byDefault
		}
	}
	set(&o.Pages, 1000)
	set(&o.Hosts, 20)
	set(&o.Links, 6)
	set(&o.Text, 400)
	w := &Web{
		opts: o, resources: make(map[string]*resource), robots: make(map[string]*resource),
		down: make(map[string]bool), counts: make(map[string]int), hosts: make(map[string]*Traffic),
	}
	if o.Host == nil {
		w.named = true
		w.opts.Host = func(n int) string { return fmt.Sprintf("h%d.sim.test", n) }
	}
	w.generate()
	return w
}

// Seed is the address that every other can be reached from.
func (w *Web) Seed() string { return w.seed }

func (w *Web) url(host int, path string) string { return "http://" + w.opts.Host(host) + path }

func (w *Web) page(n int) string {
	return w.url(n%w.opts.Hosts, fmt.Sprintf("/p/%d.html", n))
}

// generate makes the ordinary pages: page n is linked from one with about a
// fifth of its number, so that depths grow slowly, and from some at random.
func (w *Web) generate() {
	rng := rand.New(rand.NewPCG(w.opts.Seed, 0x77656972))
	links := make([][]link, w.opts.Pages)
	for n := 1; n < w.opts.Pages; n++ {
		parent := n / (4 + rng.IntN(3))
		links[parent] = append(links[parent], link{to: w.page(n)})
	}
	for n := range links {
		for range w.opts.Links {
			links[n] = append(links[n], link{to: w.page(rng.IntN(w.opts.Pages))})
		}
	}
	w.seed = w.page(0)
	if w.opts.Troubles {
		links[0] = append(links[0], w.troubles(w.opts.Hosts)...)
	}
	if w.opts.Slow {
		links[0] = append(links[0], w.slow(w.opts.Hosts+100)...)
	}
	if w.opts.Calendar {
		w.calendar = w.opts.Host(w.opts.Hosts + 99)
		links[0] = append(links[0], link{to: "http://" + w.calendar + "/2000-1"})
	}
	for n, l := range links {
		w.add(w.page(n), htmlPage(fmt.Sprintf("Page %d", n), words(rng, w.opts.Text), l))
	}
}

func (w *Web) add(url string, r *resource) string {
	if w.resources[url] != nil {
		panic("websim: " + url + " is there twice")
	}
	w.resources[url] = r
	return url
}

// htmlPage is a page with some text and links.
func htmlPage(title, text string, links []link) *resource {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html><html lang=en><head><title>%s</title></head><body><h1>%s</h1>\n<p>%s</p>\n<ul>\n", title, title, text)
	for i, l := range links {
		fmt.Fprintf(&b, "<li><a href=\"%s\">link %d</a></li>\n", html.EscapeString(l.to), i)
	}
	b.WriteString("</ul></body></html>\n")
	return rawPage("text/html; charset=utf-8", b.String(), links)
}

// rawPage is a page of exactly these bytes.
func rawPage(contentType, body string, links []link) *resource {
	return &resource{links: links, serve: func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write([]byte(body))
	}}
}

var vocabulary = strings.Fields(`the a this that one old new small large red quiet river weir fish water
	page crawl queue barrier host link text word tag house garden road winter summer child teacher
	letter book takes gives finds keeps writes reads crosses follows waits for under over behind
	before after slowly often never and or but because while where`)

// words returns about size bytes of sentences.
func words(rng *rand.Rand, size int) string {
	var b strings.Builder
	for b.Len() < size {
		for i := range 6 + rng.IntN(9) {
			word := vocabulary[rng.IntN(len(vocabulary))]
			if i == 0 {
				word = strings.ToUpper(word[:1]) + word[1:]
			} else {
				b.WriteByte(' ')
			}
			b.WriteString(word)
		}
		b.WriteString(". ")
	}
	return b.String()
}

// lookup returns the resource of a URL, or nil.
func (w *Web) lookup(url string) *resource {
	if r := w.resources[url]; r != nil {
		return r
	}
	rest, ok := strings.CutPrefix(url, "http://"+w.calendar+"/")
	var year, month int
	if n, _ := fmt.Sscanf(rest, "%d-%d", &year, &month); !ok || w.calendar == "" || n != 2 {
		return nil
	}
	next, before := year*12+month, year*12+month-2 // months are counted from 1
	day := func(m int) link { return link{to: fmt.Sprintf("http://%s/%d-%d", w.calendar, m/12, m%12+1)} }
	return htmlPage(rest, "Nothing happens in month "+rest+".", []link{day(next), day(before)})
}

// ServeHTTP implements http.Handler.
func (w *Web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	// A percent sign that begins no escape is sent with one.
	url := "http://" + r.Host + strings.ReplaceAll(r.URL.RequestURI(), "%25zent", "%zent")
	w.mu.Lock()
	t := w.hosts[r.Host]
	if t == nil {
		t = new(Traffic)
		w.hosts[r.Host] = t
	}
	w.counts[url]++
	n := w.counts[url]
	place := len(t.Requests)
	t.Requests = append(t.Requests, Request{URL: url, Start: time.Now()})
	t.InFlight++
	t.Overlap = max(t.Overlap, t.InFlight)
	onServe := w.onServe
	w.mu.Unlock()
	status := &statusWriter{ResponseWriter: rw, status: http.StatusOK}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		t.InFlight--
		t.Requests[place].End = time.Now()
		t.Requests[place].Status = status.status
	}()
	if onServe != nil {
		onServe(url)
	}
	res := w.lookup(url)
	if r.URL.Path == "/robots.txt" {
		res = w.robots[r.Host]
	}
	if res == nil {
		http.NotFound(status, r)
		return
	}
	res.serve(status, r, n)
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// OnServe makes fn be called with each URL that is asked for, before it is
// answered.
func (w *Web) OnServe(fn func(url string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onServe = fn
}

// Count returns how often a URL was asked for.
func (w *Web) Count(url string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[url]
}

// Counts returns how often each URL was asked for.
func (w *Web) Counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := make(map[string]int, len(w.counts))
	for url, n := range w.counts {
		counts[url] = n
	}
	return counts
}

// Traffic returns what each host was asked, in order.
func (w *Web) Traffic() map[string]Traffic {
	w.mu.Lock()
	defer w.mu.Unlock()
	hosts := make(map[string]Traffic, len(w.hosts))
	for host, t := range w.hosts {
		hosts[host] = Traffic{append([]Request(nil), t.Requests...), t.InFlight, t.Overlap}
	}
	return hosts
}
