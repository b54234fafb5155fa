package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/internal/killtest"
)

func TestMain(m *testing.M) { killtest.Main(m, main) }

const testJars = "/usr/share/java"

// Children are killed all the time, and the whole program is killed and started
// again. What it prints in the end must be what an undisturbed run prints.
func TestKillsChangeNothing(t *testing.T) {
	if err := checkTools(testJars); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var want bytes.Buffer
	j := &job{
		dir: filepath.Join(dir, "undisturbed"), jars: testJars, copies: 2, children: 1,
		out: &want, progress: io.Discard, log: slog.New(slog.DiscardHandler),
	}
	if err := j.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The compiled worker is taken over, so that a short life is long enough
	// to do something.
	killed := filepath.Join(dir, "killed")
	if err := os.CopyFS(filepath.Join(killed, "workers"), os.DirFS(filepath.Join(j.dir, "workers"))); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context) (stdout, stderr *bytes.Buffer, err error) {
		stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
		cmd := killtest.Command(ctx, "-dir", killed, "-copies=2", "-children=1", "-kill=150ms")
		cmd.Stdout, cmd.Stderr = stdout, stderr
		cmd.WaitDelay = 10 * time.Second // children that outlive it hold its standard error
		return stdout, stderr, cmd.Run()
	}
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond+rand.N(1200*time.Millisecond))
		_, stderr, err := run(ctx)
		if err != nil && ctx.Err() == nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		cancel()
	}
	stdout, stderr, err := run(t.Context())
	if err != nil {
		t.Fatalf("after the kills: %v\n%s", err, stderr)
	}
	t.Logf("%s", stderr)
	if got := stdout.String(); got != want.String() {
		t.Errorf("after kills it prints\n%s\nand without\n%s", got, &want)
	}
}

func TestMissingTools(t *testing.T) {
	err := checkTools(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "boilerpipe.jar") || !strings.Contains(err.Error(), "apt-get install libboilerpipe-java") {
		t.Errorf("checkTools in a folder without jars returned %v", err)
	}
}

// The comparison is of no use if it cannot tell texts apart.
func TestF1(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"", "", 1},
		{"one two", "", 0},
		{"One two, three.", "three two one", 1},
		{"a a b", "a b b", 2.0 / 3},
	} {
		if got := f1(wordsOf(c.a), wordsOf(c.b)); got != c.want {
			t.Errorf("f1(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
