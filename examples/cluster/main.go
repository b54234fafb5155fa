// Cluster runs a crawl on what would be six machines: a web site of eight hosts, a server
// that has the store, and four workers. It kills them again and again, without a word, and
// says at the end what the site saw and what the store holds.
//
//	go run ./examples/cluster -kills 12
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/command"
)

// asWeir is set for the processes that this program starts: they are the weir command.
const asWeir = "CLUSTER_AS_WEIR"

func main() {
	if os.Getenv(asWeir) != "" {
		command.Main(nil)
	}
	kills := flag.Int("kills", 8, "how many processes to kill")
	pages := flag.Int("pages", 400, "how many pages the site has")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := run(ctx, *kills, *pages); err != nil {
		log.Fatal(err)
	}
}

// site is a tree of pages, spread over hosts.
type site struct {
	pages int
	hosts []string

	mu    sync.Mutex
	asked map[int]int
}

// newSite serves a site until the program ends.
func newSite(pages int) (*site, error) {
	s := &site{pages: pages, asked: make(map[int]int)}
	for range 8 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		s.hosts = append(s.hosts, l.Addr().String())
		go func() { log.Print(http.Serve(l, s)) }()
	}
	return s, nil
}

func (s *site) address(i int) string { return fmt.Sprintf("http://%s/%d", s.hosts[i%len(s.hosts)], i) }

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	s.asked[i]++
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<title>Page %d</title><p>This is page %d, and it leads to others.</p>", i, i)
	for j := 3*i + 1; j <= 3*i+3 && j < s.pages; j++ {
		fmt.Fprintf(w, `<a href="%s">page %d</a> `, s.address(j), j)
	}
}

// process is one that is started again whenever it has been killed.
type process struct {
	args []string

	mu  sync.Mutex
	cmd *exec.Cmd
}

// start begins a life of the process, whose output goes to out.
func (p *process) start(ctx context.Context, out *bytes.Buffer) (*exec.Cmd, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = exec.CommandContext(ctx, os.Args[0], p.args...)
	p.cmd.Env = append(os.Environ(), asWeir+"=1")
	p.cmd.Stdout, p.cmd.Stderr = out, out
	return p.cmd, p.cmd.Start()
}

// run runs the process until it ends by itself. One that was killed when the server had
// all but ended finds nobody any more, and need not.
func (p *process) run(ctx context.Context, server <-chan struct{}) error {
	for lives := 1; ; lives++ {
		var out bytes.Buffer
		cmd, err := p.start(ctx, &out)
		if err == nil {
			err = cmd.Wait()
		}
		if err == nil {
			return nil
		}
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.ExitCode() < 0 && ctx.Err() == nil
		over := false
		select {
		case <-server:
			over = true
		default:
		}
		switch {
		case over && (killed || lives > 1):
			return nil
		case !killed:
			return fmt.Errorf("%s, life %d: %w\n%s", p.args[0], lives, err, out.String())
		}
	}
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill() // it may have ended
	}
}

func run(ctx context.Context, kills, pages int) error {
	dir, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := newSite(pages)
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	store := filepath.Join(dir, "store")
	tokens := filepath.Join(store, "TOKENS")
	all := []*process{{args: []string{
		"crawl", "--dir", store, "--listen", address, "--allow-private", "--scope", "any", "--delay", "20ms", "--progress", "off", s.address(0),
	}}}
	for i := range 4 {
		all = append(all, &process{args: []string{"work", "http://" + address, "--token-file", tokens, "--name", fmt.Sprint("worker", i), "--lease", "2s", "--patience", "30s"}})
	}
	done := make(chan error, len(all))
	server := make(chan struct{})
	go func() { defer close(server); done <- all[0].run(ctx, server) }()
	for deadline := time.Now().Add(time.Minute); ; {
		if _, err := os.Stat(tokens); err == nil {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case err := <-done:
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the server does not begin")
		}
	}
	for _, p := range all[1:] {
		go func() { done <- p.run(ctx, server) }()
	}
	for range kills {
		select {
		case <-time.After(time.Second + rand.N(time.Second)):
			victim := rand.IntN(len(all))
			fmt.Printf("kill %s\n", all[victim].args[0])
			all[victim].kill()
			continue
		case <-server:
		}
		break
	}
	for range all {
		if err := <-done; err != nil {
			return err
		}
	}
	return report(ctx, s, store)
}

// report compares what the site saw with what the store holds.
func report(ctx context.Context, s *site, store string) error {
	weir := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, os.Args[0], append(args, "--dir", store)...)
		cmd.Env = append(os.Environ(), asWeir+"=1")
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s%s", args[0], err, out.String(), errs.String())
		}
		return out.String(), nil
	}
	checked, err := weir("check")
	if err != nil {
		return err
	}
	exported, err := weir("export", "pages")
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	twice := 0
	for _, n := range s.asked {
		twice += n - 1
	}
	kept := strings.Count(exported, "\n")
	fmt.Printf("%d pages, each kept once: %d. The site saw each, and %d requests again, of pages that were being fetched by somebody who was killed.\n%s",
		s.pages, kept, twice, checked)
	if kept != s.pages || len(s.asked) != s.pages {
		return fmt.Errorf("%d pages were kept and %d asked for, of %d", kept, len(s.asked), s.pages)
	}
	return nil
}

// freeAddress returns one that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
