// Cluster runs a crawl on what would be six machines: a web site of eight hosts, a server
// that has the store, and four workers. It kills them again and again, without a word, and
// says at the end what the site saw and what the store holds.
//
//	go run ./examples/cluster -kills 12
package main

import (
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

func (p *process) start(ctx context.Context) *exec.Cmd {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = exec.CommandContext(ctx, os.Args[0], p.args...)
	p.cmd.Env = append(os.Environ(), asWeir+"=1")
	return p.cmd
}

// run runs the process until it ends by itself.
func (p *process) run(ctx context.Context) error {
	for {
		out, err := p.start(ctx).CombinedOutput()
		var exit *exec.ExitError
		if killed := errors.As(err, &exit) && exit.ExitCode() < 0; !killed || ctx.Err() != nil {
			if err != nil {
				err = fmt.Errorf("%s: %w\n%s", p.args[0], err, out)
			}
			return err
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
		all = append(all, &process{args: []string{"work", "http://" + address, "--token-file", tokens, "--name", fmt.Sprint("worker", i), "--lease", "2s"}})
	}
	done := make(chan error, len(all))
	server := make(chan struct{})
	go func() { defer close(server); done <- all[0].run(ctx) }()
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
		go func() { done <- p.run(ctx) }()
	}
	for range kills {
		select {
		case <-time.After(time.Second + rand.N(time.Second)):
		case <-server:
		}
		victim := rand.IntN(len(all))
		fmt.Printf("kill %s\n", strings.Join(all[victim].args[:1], " "))
		all[victim].kill()
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
	p := &process{args: []string{"check", "--dir", store}}
	out, err := p.start(ctx).CombinedOutput()
	if err != nil {
		return fmt.Errorf("check: %w\n%s", err, out)
	}
	p.args = []string{"export", "--dir", store, "pages"}
	exported, err := p.start(ctx).Output()
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	twice := 0
	for _, n := range s.asked {
		twice += n - 1
	}
	kept := strings.Count(string(exported), "\n")
	fmt.Printf("%d pages, each kept once: %d. The site saw each, and %d requests again, of pages that were being fetched by somebody who was killed.\n%s",
		s.pages, kept, twice, out)
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
