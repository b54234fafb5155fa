package command_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// TestManySeeds has the program read a file of seeds, and asks the system what the
// process had in memory at most by then, mapped files and all.
func TestManySeeds(t *testing.T) {
	seeds := 10_000
	if *long {
		seeds = 1_000_000
	}
	name := filepath.Join(t.TempDir(), "seeds")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range seeds {
		host := i % 20_000 // where nobody listens
		fmt.Fprintf(w, "http://127.77.%d.%d:9/section-%d/page-%d.html\n", host/250, host%250+1, i%7, i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "crawl")
	cmd := weirProcess(t.Context(), "crawl", "--dir", dir, "--allow-private", "--progress", "plain", "--log-level", "error", "--seeds", name)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A line of progress comes when the seeds are in, and the program runs on.
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "waiting") {
	}
	if !strings.Contains(lines.Text(), "waiting") {
		t.Fatalf("the crawl ended with %v, and said at last %q", cmd.Wait(), lines.Text())
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no VmHWM in\n%s", b)
	}
	most, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	// It takes 260 to 290; how far compactions go ahead is the machine's affair.
	if most >>= 10; most > 350 && !underRace {
		t.Errorf("the process had %d MiB in memory, want at most 350", most)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	t.Logf("%d seeds: %d MiB resident at most, %.1f s of processor time", seeds, most, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	known := 0
	store, err := badgerqueue.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := inspect.WalkSeeds(t.Context(), store, func(*crawler.Request) error { known++; return nil }); err != nil {
		t.Fatal(err)
	}
	if known != seeds {
		t.Errorf("the crawl has %d seeds, want %d", known, seeds)
	}
}
