package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/queue"
)

func (a *app) copyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "copy FROM TO",
		Short: "Copy a crawl from a folder to a database, or back",
		Long: `Copy copies the whole store of a crawl, complete or not, to a place where none is:
between folders and PostgreSQL databases in any direction. It compares the copy with the
original and checks it; then the crawl can go on from the copy, where it was. No process
may be at work on the crawl meanwhile. When copy is interrupted, run it again: it goes on
where it was, and until it has finished the copy cannot be used.

The original stays as it is: do not go on with both. WARC files are not copied.`,
		Example: `  weir copy weir-data 'postgres://weir@db.example/crawls?schema=news'
  weir copy 'postgres://weir@db.example/crawls?schema=news' weir-data`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("%s has %s; give it two places: where the crawl is, and where the copy is to be", cmd.CommandPath(), plural(int64(len(args)), "argument"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.copyStore(cmd.Context(), args[0], args[1]) },
	}
}

func (a *app) copyStore(ctx context.Context, from, to string) error {
	source, err := parsePlace(from, "")
	if err != nil {
		return err
	}
	target, err := parsePlace(to, "")
	if err != nil {
		return err
	}
	if source.name == target.name {
		return usagef("the copy must be in another place than %s", source.name)
	}
	state, err := source.state(ctx)
	if err != nil {
		return err
	}
	if !state.Exists {
		return usagef("there is no crawl in %s", source.name)
	}
	done, err := a.copyRecords(ctx, target, source)
	if err != nil {
		return err
	}
	store, err := target.open(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(store.Check(ctx), store.Close()); err != nil {
		return fmt.Errorf("check %s: %w", target.name, err)
	}
	fmt.Fprintf(a.out, "Copied %s, %s bytes; compared (SHA-256 %x) and checked.\nGo on with:\n  %s crawl%s\n",
		plural(done.Records, "record"), count(done.Bytes), done.Digest[:8], a.name, explicitDir(target.name))
	return nil
}

// copyRecords copies a store, of which nothing else makes use meanwhile.
func (a *app) copyRecords(ctx context.Context, target, source place) (done queue.Copied, err error) {
	in, err := source.openDriver(ctx)
	if err != nil {
		return done, inUse(err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := target.openDriver(ctx)
	if err != nil {
		return done, inUse(err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	con := newConsole(a.tty)
	said := time.Now()
	done, err = queue.Copy(ctx, out, in, func(c queue.Copied) {
		if time.Since(said) >= 2*time.Second {
			said = time.Now()
			con.printf("Copied %s, %s bytes so far.", plural(c.Records, "record"), count(c.Bytes))
		}
	})
	if err != nil {
		err = fmt.Errorf("%s to %s: %w", source.name, target.name, err)
	}
	return done, err
}

// inUse says what to do about a store that another process has open.
func inUse(err error) error {
	if errors.Is(err, queue.ErrLocked) {
		return fmt.Errorf("%w; stop it first, and all that stand by", err)
	}
	return err
}
