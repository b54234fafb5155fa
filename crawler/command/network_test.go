//go:build unix

package command_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/queue/remote"
)

var joinLine = regexp.MustCompile(`Workers: \S+ work (\S+) --token-file (\S+)`)

// A server, a crawl on it and a worker, each a process of its own: status says from
// anywhere who they are.
func TestStatusListsWorkers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "crawl")
	s := newSite(t, "/b")
	serve, _, serving := start(t, "serve", "--dir", dir, "--listen", "127.0.0.1:0")
	serving.await(t, "Serving ")
	join := joinLine.FindStringSubmatch(serving.String())
	if join == nil {
		t.Fatalf("serve does not say how to join:\n%s", serving)
	}
	server := []string{"--server", join[1], "--token-file", join[2]}
	work, _, working := start(t, "work", join[1], "--token-file", join[2], "--name", "rack1")
	working.await(t, "There is no crawl at "+join[1])
	crawl, out, errs := start(t, append([]string{"crawl", "--allow-private", "--delay", "0", "--progress", "off", s.URL}, server...)...)
	<-s.reached
	working.await(t, "Working as rack1")

	var st struct{ Workers []remote.Client }
	for len(st.Workers) < 2 || st.Workers[0].Sessions == 0 || st.Workers[1].Sessions == 0 { // both have subscribed
		if err := json.Unmarshal([]byte(must(t, append([]string{"status", "--json"}, server...)...)), &st); err != nil {
			t.Fatal(err)
		}
	}
	named, held := false, 0
	for _, w := range st.Workers {
		named = named || w.Name == "rack1"
		held += w.InFlight
		if w.Program == "" || !strings.HasPrefix(w.Address, "127.0.0.1:") || w.Heartbeat.Before(w.Opened) || time.Since(w.Heartbeat) > time.Minute {
			t.Errorf("listed as %+v", w)
		}
	}
	if !named || held < 1 {
		t.Errorf("rack1 is listed: %v; %d pages are at work, of which one is being fetched", named, held)
	}
	text := must(t, append([]string{"status"}, server...)...)
	for _, column := range []string{"worker", "version", "address", "a second", "at work", "last heard", "rack1"} {
		if !strings.Contains(text, column) {
			t.Errorf("status has no %q:\n%s", column, text)
		}
	}

	if text := must(t, append([]string{"config"}, server...)...); !strings.Contains(text, "Settings of the crawl in "+join[1]) || !strings.Contains(text, "\ndelay: none") {
		t.Errorf("config says\n%s", text)
	}

	// Who may only look is told so, also where there is nothing to change.
	tokens, err := os.ReadFile(join[2])
	if err != nil {
		t.Fatal(err)
	}
	reader := filepath.Join(t.TempDir(), "reader")
	if err := os.WriteFile(reader, []byte(regexp.MustCompile(`(?m)^read .*$`).FindString(string(tokens))), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"retry", "drop"} {
		r := weir(t, "dead", action, "--all", "--server", join[1], "--token-file", reader)
		if r.code != 1 || r.out != "" || !strings.Contains(r.err, "the token has read") {
			t.Errorf("dead %s by who may only look: exit code %d\n%s%s", action, r.code, r.out, r.err)
		}
	}
	if text := must(t, append([]string{"dead", "drop", "--all"}, server...)...); !strings.Contains(text, "0 dead letters dropped") {
		t.Errorf("by who may change them:\n%s", text)
	}

	close(s.gate["/b"])
	if err := crawl.Wait(); err != nil || !strings.Contains(out.String(), "Complete: 5 pages and 2 failures") {
		t.Errorf("the crawl: %v\n%s%s", err, out, errs)
	}
	if err := work.Wait(); err != nil {
		t.Errorf("the worker: %v\n%s", err, working)
	}
	if err := serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = serve.Wait()
	s.whole(t, dir)
}

// A copy of the folder of a crawl that was killed is a backup: the crawl goes on from it,
// and fetches again what was fetched since, and nothing else.
func TestRestoredFolderGoesOn(t *testing.T) {
	t.Parallel()
	dir, backup := filepath.Join(t.TempDir(), "crawl"), filepath.Join(t.TempDir(), "backup")
	s := newSite(t, "/b")
	crawl, _, _ := start(t, s.crawlArgs(dir)...)
	<-s.reached
	if err := crawl.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = crawl.Wait()
	if out, err := exec.Command("cp", "-a", dir, backup).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	close(s.gate["/b"])
	must(t, "crawl", "--dir", dir, "--progress", "off")
	s.whole(t, dir)
	before := s.count("/")
	must(t, "check", "--dir", backup)
	if r := weir(t, "crawl", "--dir", backup, "--progress", "off"); r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures") {
		t.Fatalf("the crawl goes on from the backup: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	s.whole(t, backup)
	if after := s.count("/"); before != 1 || after != 1 {
		t.Errorf("the first page was asked for %d times, and then %d", before, after)
	}
	if n := s.count("/b"); n != 3 {
		t.Errorf("/b was asked for %d times, want 3: it was in flight when the crawl was killed, and is fetched by both since", n)
	}
}
