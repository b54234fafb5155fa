// Package killtest runs a crawl program against a site on loopback and kills it
// again and again, for the tests of examples.
package killtest

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
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

// Program is a program that was built from the package of a folder.
type Program struct {
	t    *testing.T
	path string
	dir  string
}

// Build builds the program of a folder and gives it one for its crawl.
func Build(t *testing.T, folder string) *Program {
	t.Helper()
	dir := t.TempDir()
	abs, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{t: t, path: filepath.Join(dir, filepath.Base(abs)+".exe"), dir: filepath.Join(dir, "crawl")}
	cmd := exec.Command("go", "build", "-o", p.path, ".")
	cmd.Dir = abs
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return p
}

// Crawl runs the program's crawl command, kills it so many times when the site has
// been asked for a random number of pages, calls check after each death, and lets
// the last run come to its end.
func (p *Program) Crawl(site *Site, kills, atMost int, check func(), args ...string) {
	p.t.Helper()
	args = append([]string{"crawl", "--dir", p.dir, "--progress", "off", "--allow-private", "--delay", "0"}, args...)
	for life := 0; life <= kills; life++ {
		var out bytes.Buffer
		cmd := exec.Command(p.path, args...)
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
		if _, err := os.Stat(filepath.Join(p.dir, "MANIFEST")); err != nil {
			continue // it died before it had begun
		}
		p.Run("check")
		if check != nil {
			check()
		}
	}
	p.Run("check")
}

// Run runs another command of the program on its folder, and returns its output.
func (p *Program) Run(args ...string) []byte {
	p.t.Helper()
	cmd := exec.Command(p.path, append(args, "--dir", p.dir)...)
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
