// The polyglot example passes web pages through programs in Java, Python and
// Node and through Weir's own stages, and prints how far they agree. README.md
// tells what it shows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

func main() {
	j := &job{out: os.Stdout, progress: os.Stderr, log: slog.Default()}
	flag.StringVar(&j.dir, "dir", "polyglot-data", "folder of the store and of the workers")
	flag.StringVar(&j.jars, "jars", "/usr/share/java", "folder of the jars of boilerpipe and of what it needs")
	flag.IntVar(&j.copies, "copies", 1, "how many times each page goes through, to have more work")
	flag.IntVar(&j.children, "children", 2, "processes of each worker")
	flag.DurationVar(&j.kill, "kill", 0, "kill a random child with SIGKILL about this often; 0 means never")
	flag.Parse()
	if j.kill > 0 {
		j.log = slog.New(slog.DiscardHandler) // each kill would be a warning
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := j.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "polyglot:", err)
		stop()
		os.Exit(1)
	}
}

// A job is the pages, what works on them, and where the results go.
type job struct {
	dir, jars        string
	copies, children int
	kill             time.Duration // between two kills of children on average; 0 means none
	out, progress    io.Writer
	log              *slog.Logger // what children write to standard error, and their failures
}

// run works until every page is through everything, or takes up what an earlier
// run has left, and prints the comparison.
func (j *job) run(ctx context.Context) error {
	if j.copies < 1 || j.children < 1 || j.kill < 0 {
		return errors.New("-copies and -children must be at least 1, and -kill not negative")
	}
	if err := checkTools(j.jars); err != nil {
		return err
	}
	store, err := badgerqueue.Open(filepath.Join(j.dir, "store"), nil)
	if err != nil {
		return err
	}
	defer store.Close()
	// The store is open, so no other process is at work in the folder.
	commands, err := prepareWorkers(ctx, filepath.Join(j.dir, "workers"), j.jars)
	if err != nil {
		return err
	}
	if err := j.work(ctx, store, commands); err != nil {
		return err
	}
	r, err := j.compare(ctx, store)
	if err != nil {
		return err
	}
	return r.print(j.out)
}
