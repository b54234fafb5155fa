//go:build unix

package command_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
)

// output is what a program has written so far.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	wrote chan struct{} // closed by the next Write
}

func newOutput() *output { return &output{wrote: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.wrote)
	o.wrote = make(chan struct{})
	return o.buf.Write(b)
}

func (o *output) String() string {
	text, _ := o.read()
	return text
}

// read returns what has been written, and what is closed when there is more.
func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.wrote
}

// await waits until the program has written a text.
func (o *output) await(t *testing.T, want string) {
	t.Helper()
	deadline := context.Background()
	if d, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		deadline, cancel = context.WithDeadline(deadline, d.Add(-10*time.Second))
		defer cancel()
	}
	for {
		text, more := o.read()
		if strings.Contains(text, want) {
			return
		}
		select {
		case <-more:
		case <-deadline.Done():
			t.Fatalf("no %q in\n%s", want, text)
		}
	}
}

// start starts the program.
func start(t *testing.T, args ...string) (cmd *exec.Cmd, out, errs *output) {
	t.Helper()
	out, errs = newOutput(), newOutput()
	cmd = weirProcess(context.Background(), args...)
	cmd.Stdout, cmd.Stderr = out, errs
	// A test that runs in the background may ignore interrupts, and what it starts would
	// too: what is caught is inherited as the default.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt)
	defer signal.Stop(caught)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, out, errs
}

func TestInterruptStopsCleanly(t *testing.T) {
	s := newSite(t, "/b")
	dir := filepath.Join(t.TempDir(), "crawl")
	cmd, out, errs := start(t, s.crawlArgs(dir)...)
	<-s.reached
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	// The page in flight is held back until the crawl has seen the signal.
	errs.await(t, "Stopping")
	close(s.gate["/b"])
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(out.String(), "Go on with") || !strings.Contains(errs.String(), "Stopping") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	must(t, "check", "--dir", dir)
	if r := weir(t, "crawl", "--dir", dir, "--progress", "off"); r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures") {
		t.Errorf("resumed: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestSecondInterruptStopsAtOnce(t *testing.T) {
	s := newSite(t, "/b")
	dir := filepath.Join(t.TempDir(), "crawl")
	cmd, _, errs := start(t, s.crawlArgs(dir)...)
	<-s.reached
	for _, next := range []string{"Ctrl-C again stops at once", ""} {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		errs.await(t, next)
	}
	_ = cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Fatalf("ended with %v\n%s", cmd.ProcessState, errs)
	}
	close(s.gate["/b"])
	if r := weir(t, "crawl", "--dir", dir, "--progress", "off"); r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures") {
		t.Errorf("resumed: exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// demoResult is what a demo has found: its pages and failures with their
// generations and titles.
func demoResult(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	path := func(url string) string { // without the port
		_, rest, _ := strings.Cut(strings.TrimPrefix(url, "http://127.0.0.1:"), "/")
		return rest
	}
	for _, p := range lines[inspect.PageRow](t, must(t, "export", "--dir", dir, "pages")) {
		b.WriteString(strings.Join([]string{p.Language, path(p.URL), p.Title, path(p.Redirect), string(rune('0' + p.Generation))}, " ") + "\n")
	}
	for _, f := range lines[crawler.Failure](t, must(t, "export", "--dir", dir, "failures")) {
		b.WriteString("failed " + path(f.URL) + " " + f.Reason + "\n")
	}
	return sortLines(b.String())
}

// A crawl that is killed goes on with its login, headers, proxy and cookies, though
// the second command line names none of them.
func TestWhatRequestsBringSurvivesAKill(t *testing.T) {
	var log requests
	gate, reached := make(chan struct{}), make(chan struct{}, 100)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		cookie, _ := r.Cookie("session")
		log.add("%s %s:%s %s %v %v", r.URL.Path, user, password, r.Header.Get("X-Client"), cookie != nil, r.Header.Get("Via") != "")
		switch r.URL.Path {
		case "/robots.txt":
			http.NotFound(w, r)
			return
		case "/":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		case "/held":
			reached <- struct{}{}
			select {
			case <-gate:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<a href=/held>held</a>")
	}))
	defer site.Close()
	target := strings.TrimPrefix(site.URL, "http://")
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", target
		r.Out.Header.Set("Via", "1.1 proxy")
	}, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)})
	defer proxy.Close()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "crawl")
	cmd, _, _ := start(t, quick(dir, "--cookies", "--header", "X-Client: weir", "--proxy", proxy.URL, "--auth", "site.test=basic:me:file:"+password, "http://site.test/")...)
	<-reached
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	close(gate)
	if r := weir(t, "crawl", "--dir", dir, "--progress", "off"); r.code != 0 || !strings.Contains(r.out, "Complete: 2 pages and 0 failures") {
		t.Fatalf("after the kill: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	all := strings.Split(log.String(), "\n")
	if last := all[len(all)-1]; last != "/held me:s3cret weir true true" {
		t.Errorf("the last request was %q of\n%s", last, log.String())
	}
}

func TestDemoSurvivesAKill(t *testing.T) {
	whole, killed := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "killed")
	first, _, _ := start(t, "demo", "--dir", whole)
	second, _, errs := start(t, "demo", "--dir", killed, "--verbose")
	errs.await(t, "generation complete")
	if err := second.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = second.Wait()
	if r := weir(t, "crawl", "--dir", killed); r.code != 2 || !strings.Contains(r.err, "weir demo") {
		t.Errorf("crawl in the demo's folder: exit code %d\n%s", r.code, r.err)
	}
	r := weir(t, "demo", "--dir", killed)
	if r.code != 0 || !strings.Contains(r.err, "Going on with the demo") || !strings.Contains(r.out, "Complete: 30 pages and 2 failures") {
		t.Fatalf("the demo after the kill: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	for _, want := range []string{"river/NN", "noun phrases", "http_404", "weir status --dir"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
	if err := first.Wait(); err != nil {
		t.Fatal(err)
	}
	if a, b := demoResult(t, whole), demoResult(t, killed); a != b {
		t.Errorf("the demo that was killed has\n%s\nthe other has\n%s", b, a)
	}
	again := weir(t, "demo", "--dir", killed)
	if again.code != 0 || !strings.Contains(again.err, "complete already") || again.out != r.out {
		t.Errorf("the demo once more: exit code %d\n%s%s", again.code, again.out, again.err)
	}
	fresh := weir(t, "demo", "--dir", killed, "--fresh")
	if fresh.code != 0 || strings.Contains(fresh.err, "already") || !strings.Contains(fresh.out, "Complete: 30 pages and 2 failures") {
		t.Errorf("a fresh demo: exit code %d\n%s%s", fresh.code, fresh.out, fresh.err)
	}
}

func sortLines(s string) string {
	all := strings.Split(s, "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// A worker that cannot reach its server says so while it waits, not only when its
// patience is over.
func TestWorkSaysThatItWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, out, errs := start(t, "work", url)
	errs.await(t, "Waiting for "+url+", which does not answer yet; for 2m0s at most")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || out.String() != "" {
		t.Errorf("%v\n%s", err, out)
	}
}

// A complete crawl that goes on to look for what is due says so, and does not speak of
// URLs to come.
func TestCrawlThatGoesOnSaysSo(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	must(t, s.crawlArgs(dir, "--stages", "crawl")...)
	crawl, _, errs := start(t, "crawl", "--dir", dir, "--progress", "off", "--every", "1h")
	errs.await(t, "is complete; every 1h0m0s it visits the pages that are due (--every), until Ctrl-C stops it.")
	if strings.Contains(errs.String(), "URLs that you add") {
		t.Errorf("it says that its settings are for URLs to come:\n%s", errs)
	}
	_ = crawl.Process.Kill()
	_ = crawl.Wait()
}
