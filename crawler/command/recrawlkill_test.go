//go:build unix

package command_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
)

// killingSite is a site that kills the process that asks it, in the midst of a request.
type killingSite struct {
	*httptest.Server
	serve func(w http.ResponseWriter, r *http.Request) // called with mu held

	mu     sync.Mutex
	asked  []asked
	left   int // requests until the process is killed, 0 for never
	killed int // of them, in all
	victim *exec.Cmd
	enough chan struct{} // closed when left has come to 0, if the victim lives on
}

// asked is a request, but for robots.txt.
type asked struct{ path, tag string }

func newKillingSite(t *testing.T, serve func(w http.ResponseWriter, r *http.Request)) *killingSite {
	s := &killingSite{serve: serve}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/robots.txt" {
			http.NotFound(w, r)
			return
		}
		s.mu.Lock()
		s.asked = append(s.asked, asked{r.URL.Path, r.Header.Get("If-None-Match")})
		if s.left--; s.left == 0 {
			if s.enough == nil {
				s.killed++
				_ = s.victim.Process.Kill()
				s.mu.Unlock()
				<-r.Context().Done() // nothing of an answer reaches it
				return
			}
			close(s.enough)
		}
		defer s.mu.Unlock()
		s.serve(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// life runs the program, and kills it at a request from now, unless it ends before. It
// returns the exit code, -1 if it was killed.
func (s *killingSite) life(t *testing.T, requests int, args ...string) int {
	t.Helper()
	s.mu.Lock()
	cmd, out, errs := start(t, args...)
	s.victim, s.left, s.enough = cmd, requests, nil
	s.mu.Unlock()
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code > 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	return cmd.ProcessState.ExitCode()
}

// take returns what was asked since it was last called, and how often that killed.
func (s *killingSite) take() (all []asked, killed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, killed = s.asked, s.killed
	s.asked, s.killed = nil, 0
	return all, killed
}

// scriptedPage says what a page of the script is in a round: its entity tag, or "" before
// it is there and when it has gone.
func scriptedPage(path string, round int) string {
	var n int
	switch {
	case path == "/": // leads to one page more each round
		return fmt.Sprintf(`"front-%d"`, round)
	case strings.HasPrefix(path, "/new-"):
		if fmt.Sscanf(path, "/new-%d", &n); n > round {
			return ""
		}
		return `"new"`
	}
	fmt.Sscanf(path, "/page-%d", &n)
	if n == 3 && round >= 2 {
		return ""
	}
	return fmt.Sprintf(`"%d-%d"`, n, (round+n)/3) // one of three changes
}

func scriptedPaths(round int) []string {
	paths := []string{"/"}
	for i := range 9 {
		paths = append(paths, fmt.Sprintf("/page-%d", i))
	}
	for i := 1; i <= round; i++ {
		paths = append(paths, fmt.Sprintf("/new-%d", i))
	}
	return paths
}

// The program is killed over and over while it visits a site again that changes by a
// script. Each round asks for every page with the tag of the round before, once and once
// more for each kill, and finds exactly what the script has changed.
func TestRecrawlSurvivesRealKills(t *testing.T) {
	rounds, kills := 2, 2 // in each round at most
	if *long {
		rounds, kills = 10, 4
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 13))
	round, total := 0, 0
	s := newKillingSite(t, func(w http.ResponseWriter, r *http.Request) {
		tag := scriptedPage(r.URL.Path, round)
		if tag == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<html lang=en><title>%s</title><article><p>This is what %s has to say in its version, which is called %s for short.</p></article>", r.URL.Path, r.URL.Path, strings.Trim(tag, `"`))
		if r.URL.Path == "/" {
			for _, p := range scriptedPaths(round)[1:] {
				fmt.Fprintf(w, "<a href=%s>%s</a>", p, p)
			}
		}
	})
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"crawl", "--recrawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl,extract", s.URL}
	for ; round <= rounds; round++ {
		for range kills {
			// So few requests that of ten pages some are left after all kills.
			if s.life(t, 1+rng.IntN(8/kills+1), args...) == 0 {
				t.Fatal("the round was over before its last request")
			}
			if *long {
				must(t, "check", "--dir", dir)
			}
		}
		if code := s.life(t, 0, args...); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		must(t, "check", "--dir", dir)
		all, killed := s.take()
		total += killed
		times := make(map[string]int)
		for _, a := range all {
			times[a.path]++
			want := ""
			if round > 0 {
				want = scriptedPage(a.path, round-1)
			}
			if want != a.tag && scriptedPage(a.path, round) != "" {
				t.Errorf("round %d asks for %s with the tag %s, want %s", round, a.path, a.tag, want)
			}
		}
		paths := scriptedPaths(round)
		if got := slices.Sorted(maps.Keys(times)); len(got) != len(paths) || len(all) != len(paths)+killed {
			t.Errorf("round %d has %d requests for %d pages with %d kills: %v", round, len(all), len(paths), killed, times)
		}
		want := make(map[string]int)
		for _, p := range paths {
			now, before := scriptedPage(p, round), ""
			if round > 0 {
				before = scriptedPage(p, round-1)
			}
			switch {
			case now == "" && before != "":
				want["vanished "+p]++
			case now != "" && before == "":
				want["new "+p]++
			case now != before:
				want["changed "+p]++
			}
		}
		got := make(map[string]int)
		for _, row := range lines[inspect.ChangeRow](t, must(t, "changes", "--dir", dir, "--since", fmt.Sprint(round), "--json")) {
			path := strings.TrimPrefix(row.URL, s.URL)
			got[row.Kind+" "+path]++
			if row.Kind == crawler.VisitChanged && !strings.Contains(row.Diff, "+This is what "+path+" has to say in its version, which is called "+strings.Trim(scriptedPage(path, round), `"`)) {
				t.Errorf("round %d: the difference of %s is\n%s", round, path, row.Diff)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("the changes of round %d are\n%v, want\n%v", round, got, want)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills in %d rounds", total, rounds+1)
}

// A crawl that keeps itself fresh is killed over and over. A page that is another one
// at each request has a chain of changes in which none is missing and none is there
// twice; one that never changes is asked for by its tag ever after it is known.
func TestFreshCrawlSurvivesKills(t *testing.T) {
	kills := 3
	if *long {
		kills = 20
	}
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 14))
	served := make(map[string]int) // digests of /news, as they were served
	s := newKillingSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/":
			w.Header().Set("ETag", `"front"`)
			if r.Header.Get("If-None-Match") == `"front"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, "<title>Front</title><a href=/news>news</a>")
		case "/news":
			body := fmt.Sprintf("<title>News</title><p>Edition %d.</p>", len(served))
			sum := sha256.Sum256([]byte(body))
			served["sha256:"+hex.EncodeToString(sum[:])] = len(served)
			fmt.Fprint(w, body)
		}
	})
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"crawl", "--every", "50ms", "--min-interval", "10ms", "--max-interval", "50ms", "--history", "1000", "--dir", dir,
		"--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl", s.URL}
	for range kills {
		if code := s.life(t, 2+rng.IntN(8), args...); code != -1 {
			t.Fatalf("exit code %d", code)
		}
	}
	// The last life is stopped after some rounds more.
	s.mu.Lock()
	cmd, out, errs := start(t, args...)
	enough := make(chan struct{})
	s.victim, s.left, s.enough = cmd, 7, enough
	s.mu.Unlock()
	<-enough
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// Between two rounds there is nothing that a signal could interrupt.
	if code := cmd.ProcessState.ExitCode(); code != 130 && !(code == 0 && strings.Contains(out.String(), "Complete: 2 pages and 0 failures")) {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	must(t, "check", "--dir", dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range s.asked {
		if want := `"front"`; a.path == "/" && a.tag != want && slices.Contains(s.asked[:i], asked{"/", want}) {
			t.Errorf("request %d for the front page has the tag %q, though one before had its own", i, a.tag)
		}
	}
	type step struct {
		round  int
		before string
		after  string
	}
	var chain []step
	for _, row := range lines[inspect.ChangeRow](t, must(t, "changes", "--dir", dir, "--since", "0", "--json")) {
		switch {
		case strings.HasSuffix(row.URL, "/news"):
			chain = append(chain, step{row.Round, row.Before, row.Digest})
		case row.Kind != crawler.VisitNew:
			t.Errorf("a change of a page that does not change: %+v", row)
		}
	}
	slices.SortFunc(chain, func(a, b step) int { return a.round - b.round })
	for i, c := range chain {
		if _, ok := served[c.after]; !ok {
			t.Errorf("change %d: %+v was never served", i, c)
		}
		if i > 0 && (c.before != chain[i-1].after || c.round <= chain[i-1].round || served[c.after] <= served[c.before]) {
			t.Errorf("change %d: %+v does not follow on %+v", i, c, chain[i-1])
		}
	}
	if len(chain) < 3 || len(chain) > len(served) {
		t.Errorf("%d changes of %d editions", len(chain), len(served))
	}
	t.Logf("%d editions, %d changes, %d kills", len(served), len(chain), kills)
}
