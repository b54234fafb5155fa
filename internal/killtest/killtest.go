// Package killtest runs a crawl program against a site on loopback and kills it
// again and again, for the tests of examples. The program is the test binary itself,
// which saves building another: see [Main].
package killtest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Site serves a handler on loopback and counts its requests.
type Site struct {
	*httptest.Server

	mu     sync.Mutex
	until  int           // requests before the program is killed
	enough chan struct{} // closed then
}

// Serve serves a handler until the test is over.
func Serve(t *testing.T, h http.Handler) *Site {
	s := &Site{enough: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if s.until--; s.until == 0 {
			close(s.enough)
		}
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *Site) after(requests int) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until, s.enough = requests, make(chan struct{})
	return s.enough
}

// Chain serves pages that are numbered, each with a link to the next: page 1 at prefix,
// the others at page/N/ below it. body returns what else is on a page.
func Chain(t *testing.T, prefix string, pages int, body func(n int) string) *Site {
	return Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 1
		if rest := strings.TrimPrefix(r.URL.Path, prefix); rest != "" {
			if _, err := fmt.Sscanf(rest, "page/%d/", &n); err != nil || n > pages {
				http.NotFound(w, r)
				return
			}
		}
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, body(n))
		if n < pages {
			fmt.Fprintf(w, `<ul><li class="next"><a href="%spage/%d/">Next</a></ul>`, prefix, n+1)
		}
	}))
}

var killsFlag = flag.Int("kills", 0, "how many times to kill the program, instead of the default")

// Kills returns how many times a test is to kill its program: n, or what the flag
// -kills says.
func Kills(n int) int {
	if *killsFlag > 0 {
		return *killsFlag
	}
	return n
}

// asProgram is set for the processes that are the program.
const asProgram = "KILLTEST_AS_PROGRAM"

// Main is what TestMain does where a Program is run: it runs main in the processes that
// a Program or [Command] starts, and the tests in others.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Program is the program of the package that is tested.
type Program struct {
	t   *testing.T
	dir string
}

// New returns the program with a folder for its crawl.
func New(t *testing.T) *Program {
	return &Program{t, filepath.Join(t.TempDir(), "crawl")}
}

// Command returns the program with arguments, for tests that have no use for a Program.
func Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// Crawl runs the program's crawl command, kills it so many times when the site has
// been asked for a random number of pages, calls check after each death, and lets
// the last run come to its end.
func (p *Program) Crawl(site *Site, kills, atMost int, check func(), args ...string) {
	p.t.Helper()
	args = append([]string{"crawl", "--dir", p.dir, "--progress", "off", "--allow-private", "--delay", "0"}, args...)
	for life := 0; life <= kills; life++ {
		var out bytes.Buffer
		cmd := Command(p.t.Context(), args...)
		cmd.Stdout, cmd.Stderr = &out, &out
		requests := 1 + rand.IntN(atMost)
		enough := site.after(requests)
		if err := cmd.Start(); err != nil {
			p.t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if life == kills {
			if err := <-ended; err != nil {
				p.t.Fatalf("the last life: %v\n%s", err, out.String())
			}
			continue
		}
		select {
		case err := <-ended:
			p.t.Fatalf("it came to its end (%v) in life %d of %d, before %d requests: give the site more pages\n%s", err, life+1, kills, requests, out.String())
		case <-enough:
		}
		if err := cmd.Process.Kill(); err != nil {
			p.t.Fatal(err)
		}
		<-ended
		p.Run("check") // what asks for pages has begun
		if check != nil {
			check()
		}
	}
	p.Run("check")
}

// Run runs another command of the program on its folder, and returns its output.
func (p *Program) Run(args ...string) []byte {
	p.t.Helper()
	cmd := Command(p.t.Context(), append(args, "--dir", p.dir)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("%v: %v\n%s", args, err, errs.String())
	}
	return out
}

// Export returns the rows of an export as JSON lines.
func Export[T any](p *Program, what ...string) []T {
	p.t.Helper()
	dec := json.NewDecoder(bytes.NewReader(p.Run(append([]string{"export"}, what...)...)))
	var rows []T
	for dec.More() {
		var row T
		if err := dec.Decode(&row); err != nil {
			p.t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}
