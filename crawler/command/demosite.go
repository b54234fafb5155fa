package command

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The demo's web: three hosts on this machine, one for each language, whose
// pages are the files below. Each page links to the two behind it and to one of
// another host; and there is what a crawler meets elsewhere too.

//go:embed demo/*.txt
var demoFiles embed.FS

var demoLanguages = []string{"en", "fr", "de"}

type demoPage struct{ path, title, text string }

// demoWeb serves the demo's hosts.
type demoWeb struct {
	Ports []int `json:"ports"` // of the hosts, in the order of demoLanguages

	pages   [][]demoPage
	servers []*http.Server
	serving sync.WaitGroup

	mu    sync.Mutex
	rings int // at the ferry's bell
}

// startDemoWeb begins to serve, on the given ports or, if there are none, on
// free ones.
func startDemoWeb(ctx context.Context, ports []int) (*demoWeb, error) {
	w := &demoWeb{}
	var listeners []net.Listener
	fail := func(err error) (*demoWeb, error) {
		for _, l := range listeners {
			err = errors.Join(err, l.Close())
		}
		return nil, err
	}
	for i, language := range demoLanguages {
		pages, err := readDemoPages(language)
		if err != nil {
			return fail(err)
		}
		w.pages = append(w.pages, pages)
		port := 0
		if len(ports) > i {
			port = ports[i]
		}
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil && port != 0 {
			return fail(fmt.Errorf("the demo's site was on port %d of this machine, which is taken now: %w\nRun the demo again when it is free, or start over with --fresh", port, err))
		}
		if err != nil {
			return fail(err)
		}
		listeners = append(listeners, l)
		w.Ports = append(w.Ports, l.Addr().(*net.TCPAddr).Port)
	}
	for i, l := range listeners {
		srv := &http.Server{
			Handler:           http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(i, rw, r) }),
			ReadHeaderTimeout: 5 * time.Second,
		}
		w.servers = append(w.servers, srv)
		w.serving.Go(func() { _ = srv.Serve(l) }) // it ends with ErrServerClosed
	}
	return w, nil
}

func (w *demoWeb) close() {
	for _, srv := range w.servers {
		srv.Close()
	}
	w.serving.Wait()
}

// seeds are the home pages.
func (w *demoWeb) seeds() []string {
	urls := make([]string, len(w.Ports))
	for i := range w.Ports {
		urls[i] = w.origin(i) + "/"
	}
	return urls
}

func (w *demoWeb) origin(host int) string { return fmt.Sprintf("http://127.0.0.1:%d", w.Ports[host]) }

// readDemoPages reads a language's pages: "== path: title", then the text.
func readDemoPages(language string) ([]demoPage, error) {
	b, err := demoFiles.ReadFile("demo/" + language + ".txt")
	if err != nil {
		return nil, err
	}
	var pages []demoPage
	for _, part := range strings.Split("\n"+string(b), "\n== ")[1:] {
		head, text, _ := strings.Cut(part, "\n")
		path, title, _ := strings.Cut(head, ": ")
		pages = append(pages, demoPage{path, title, strings.TrimSpace(text)})
	}
	return pages, nil
}

func (w *demoWeb) serve(host int, rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/robots.txt":
		fmt.Fprint(rw, "User-agent: *\nDisallow: /private/\n")
		return
	case "/old-mill": // moved long ago
		http.Redirect(rw, r, "/mill", http.StatusMovedPermanently)
		return
	case "/ferry":
		w.mu.Lock()
		w.rings++
		first := w.rings == 1
		w.mu.Unlock()
		if first { // the ferryman is having his tea
			http.Error(rw, "ring again", http.StatusServiceUnavailable)
			return
		}
	}
	for i, p := range w.pages[host] {
		if p.path == r.URL.Path {
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(rw, w.page(host, i))
			return
		}
	}
	http.NotFound(rw, r)
}

// page is the HTML of a page.
func (w *demoWeb) page(host, i int) string {
	pages := w.pages[host]
	p := pages[i]
	var b strings.Builder
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=%q>\n<head><meta charset=\"utf-8\"><title>%s</title></head>\n<body>\n", demoLanguages[host], html.EscapeString(p.title))
	fmt.Fprintf(&b, "<nav><a href=\"/\">%s</a></nav>\n<article>\n<h1>%s</h1>\n<p>%s</p>\n</article>\n<footer>\n",
		html.EscapeString(pages[0].title), html.EscapeString(p.title), html.EscapeString(p.text))
	link := func(url, text string) { fmt.Fprintf(&b, "<a href=%q>%s</a>\n", url, html.EscapeString(text)) }
	for _, n := range []int{i + 1, i + 2} {
		if n < len(pages) {
			link(pages[n].path, pages[n].title)
		}
	}
	other := (host + 1) % len(w.pages)
	if far := w.pages[other]; i < len(far) {
		link(w.origin(other)+far[i].path, far[i].title)
	}
	switch {
	case demoLanguages[host] != "en":
	case p.path == "/":
		link("/private/diary", "the keeper's diary")
	case p.path == "/weirs":
		link("/old-mill", "the old mill")
	case p.path == "/salmon":
		link("/lost", "a page that was washed away")
	case p.path == "/mill":
		link("http://flour.example/", "the flour museum's own site")
	}
	b.WriteString("</footer>\n</body>\n</html>\n")
	return b.String()
}
