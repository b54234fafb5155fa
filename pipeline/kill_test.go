package pipeline_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

var chainKills = flag.Int("chain.kills", 5, "how often TestChainsSurviveKills kills the pipeline")

// killVariable names the folder in which a child process runs the pipeline.
const killVariable = "PIPELINE_KILL_DIR"

const (
	killLimit = 1500                 // numbers of the chain
	killUnit  = 5 * time.Millisecond // in the place of a second
)

// TestChainsSurviveKills kills a process that runs a chain again and again, at random
// moments. In the end each stage has recorded each value, its failures included, as
// often as in a run that nobody disturbs and in which nothing is chained.
func TestChainsSurviveKills(t *testing.T) {
	if dir := os.Getenv(killVariable); dir != "" {
		if err := killChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	kills := 0
	for ended := false; !ended; {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestChainsSurviveKills$")
		cmd.Env = append(os.Environ(), killVariable+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err == nil && kills < *chainKills { // it is open
			time.Sleep(time.Duration(rnd.IntN(150)) * time.Millisecond)
			cmd.Process.Kill()
			kills++
		}
		ended = cmd.Wait() == nil
		if !ended && kills == *chainKills && cmd.ProcessState.ExitCode() == 3 {
			t.Fatal("the child failed")
		}
	}
	store, err := badgerqueue.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, store)
	undisturbed, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer check(t, undisturbed)
	if err := runChain(undisturbed, &pipeline.Options{NoChaining: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := outcome(t, store), outcome(t, undisturbed); got != want {
		t.Errorf("after %d kills:\n%s\nundisturbed:\n%s", kills, got, want)
	}
	t.Logf("%d kills", kills)
}

func killChild(dir string) error {
	store, err := badgerqueue.Open(dir, &badgerqueue.Options{MemTable: 4 << 20})
	if err != nil {
		return err
	}
	fmt.Println("open")
	if err := runChain(store, nil); err != nil {
		return err
	}
	return store.Close()
}

func runChain(store *queue.Store, options *pipeline.Options) error {
	ctx := context.Background()
	p, nodes, _ := chain(store, killLimit, killUnit, options)
	if err := pipeline.Seed(ctx, p, nodes, 1); err != nil {
		return err
	}
	return p.Run(ctx)
}

// outcome is what a chain has done, without what deaths add to it.
func outcome(t *testing.T, store *queue.Store) string {
	t.Helper()
	var lines []string
	for _, table := range []string{"done", "failed"} {
		records, err := store.Scan(t.Context(), table, "", "", 100_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			lines = append(lines, fmt.Sprintf("%s %s %s", table, r.Key, r.Value))
		}
	}
	queues, err := store.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range queues {
		letters, err := store.DeadLetters(t.Context(), st.Name, 0, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range letters {
			lines = append(lines, fmt.Sprintf("dead in %s: %s after %d failures: %s", st.Name, l.Item.Body, l.Attempts-l.Deaths, l.Reason))
		}
	}
	for _, g := range generations(t, store) {
		for _, s := range g.Stages {
			lines = append(lines, fmt.Sprintf("generation %d of %s: %d enqueued, %d acked, %d buried", g.Number, s.Name, s.Enqueued, s.Acked, s.Buried))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
