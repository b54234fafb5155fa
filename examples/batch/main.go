// The batch example adds up the sales files of many stores, day by day, with
// any number of consumers, and survives whatever is killed. README.md tells
// what it shows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

func main() {
	j := &job{out: os.Stdout}
	dir := flag.String("dir", "batch-data", "folder of the files and the store")
	flag.Uint64Var(&j.Seed, "seed", 1, "seed of the generated files")
	flag.IntVar(&j.Stores, "stores", 1200, "stores")
	flag.IntVar(&j.Lines, "lines", 40, "lines of a store's file")
	flag.IntVar(&j.Days, "days", 3, "days")
	flag.IntVar(&j.consumers, "consumers", 8, "competing consumers")
	flag.IntVar(&j.batch, "batch", 64, "lines that a consumer takes at once")
	flag.DurationVar(&j.work, "work", 5*time.Millisecond, "pretended work on each batch")
	flag.DurationVar(&j.kill, "kill", 0, "kill a random consumer about this often; 0 means never")
	flag.Int64Var(&j.ahead, "ahead", 50_000, "lines in the queue before the publisher waits; 0 means no limit")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, j, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "batch:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, j *job, dir string) error {
	if j.Stores < 1 || j.Lines < 0 || j.Days < 1 || j.consumers < 1 || j.batch < 1 {
		return fmt.Errorf("-stores, -days, -consumers and -batch must be at least 1, and -lines not negative")
	}
	j.dir = filepath.Join(dir, "files")
	s, err := openStore(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := j.run(ctx, s); err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped; start it again to go on")
		}
		return err
	}
	if err := j.verify(ctx, s); err != nil {
		return err
	}
	fmt.Println("all totals agree with the files")
	return nil
}

func openStore(dir string) (*queue.Store, error) {
	return badgerqueue.Open(filepath.Join(dir, "store"), nil)
}
