package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/queue"
)

func (a *app) deadCommand() *cobra.Command {
	var dir, stage string
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "List, retry or drop what a stage has given up",
		Long: `Dead letters are items that a stage failed at every time, with the last error: a
program that crashes on a page, for instance. Pages that could not be fetched are
no dead letters but failures; see 'weir export failures'.`,
		Example: `  weir dead list
  weir dead retry 4711 4712
  weir dead retry --queue topics --all
  weir dead drop --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return usagef("say what to do: list, retry or drop") },
	}
	flags := cmd.PersistentFlags()
	flags.StringVar(&dir, "dir", defaultDir, dirDoc)
	serverFlag(flags, &dir)
	flags.StringVar(&stage, "queue", "", "only those of this stage's queue")

	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "List the dead letters, oldest first", Args: cobra.NoArgs,
		Example: "  weir dead list --queue topics\n  weir dead list --json | jq .reason",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), dir, a.out, func(ctx context.Context, l *live, out io.Writer) error {
				return listDead(ctx, l, stage, asJSON, out)
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "write one JSON object a line")
	cmd.AddCommand(list)

	for _, action := range []struct {
		name, short, done string
		change            func(tx *queue.Tx, queue string, ids ...uint64)
	}{
		{"retry", "Put dead letters back into their queues", "retried", (*queue.Tx).RetryDead},
		{"drop", "Remove dead letters for good", "dropped", (*queue.Tx).DropDead},
	} {
		var all bool
		sub := &cobra.Command{
			Use: action.name + " [ID...|--all]", Short: action.short,
			Example: "  weir dead " + action.name + " 4711\n  weir dead " + action.name + " --queue topics --all",
			RunE: func(cmd *cobra.Command, args []string) error {
				ids, err := a.parseIDs(args)
				switch {
				case err != nil:
					return err
				case all == (len(ids) > 0):
					return usagef("give either the ids that '%s dead list' shows, or --all", a.name)
				}
				return a.withChanges(cmd.Context(), dir, a.out, func(ctx context.Context, l *live, out io.Writer) error {
					n, err := changeDead(ctx, l, stage, ids, action.change)
					if err != nil {
						return err
					}
					if _, err := fmt.Fprintf(out, "%s %s\n", plural(n, "dead letter"), action.done); err != nil {
						return err
					}
					if missing := int64(len(ids)) - n; missing > 0 {
						return fmt.Errorf("%s not found", plural(missing, "id"))
					}
					if action.name == "retry" && n > 0 && !l.running {
						fmt.Fprintf(out, "They are worked on by the next '%s crawl%s'.\n", a.name, dirArgument(l.dir))
					}
					return nil
				})
			},
		}
		sub.Flags().BoolVar(&all, "all", false, "all of them")
		cmd.AddCommand(sub)
	}
	return cmd
}

func (a *app) parseIDs(args []string) ([]uint64, error) {
	ids := make([]uint64, len(args))
	for i, arg := range args {
		var err error
		if ids[i], err = strconv.ParseUint(arg, 10, 64); err != nil {
			return nil, usagef("%q is not the id of a dead letter; '%s dead list' shows them", arg, a.name)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// stageQueues returns the queues of the crawl's stages, or the one named.
func stageQueues(ctx context.Context, l *live, name string) ([]string, error) {
	stored, err := crawler.Load(ctx, l.store)
	if err != nil {
		return nil, l.noCrawl(err)
	}
	var names []string
	for _, queue := range stored.Queues() {
		if name == "" || queue == name {
			names = append(names, queue)
		}
	}
	if len(names) == 0 {
		return nil, usagef("--queue is %q; the queues are %s", name, strings.Join(stored.Queues(), ", "))
	}
	return names, nil
}

func listDead(ctx context.Context, l *live, stage string, asJSON bool, out io.Writer) error {
	names, err := stageQueues(ctx, l, stage)
	if err != nil {
		return err
	}
	p := &printer{w: out}
	n := 0
	for _, name := range names {
		err := inspect.WalkDead(ctx, l.store, name, func(d *inspect.DeadItem) error {
			n++
			if asJSON {
				return writeJSON(out, d)
			}
			p.printf("%d  %s  %s  %s  %s\n    %s\n", d.ID, d.Queue, d.Buried.Local().Format("2006-01-02 15:04:05"),
				plural(int64(d.Attempts), "attempt"), d.URL, firstLine(d.Reason))
			return p.err
		})
		if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
			return err
		}
	}
	if n == 0 && !asJSON {
		p.printf("There are no dead letters.\n")
	}
	return p.err
}

func firstLine(s string) string {
	line, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if more {
		line += " …"
	}
	return line
}

// changeDead applies a change to dead letters, a few at a time, and returns how
// many there were.
func changeDead(ctx context.Context, l *live, stage string, ids []uint64, change func(tx *queue.Tx, queue string, ids ...uint64)) (n int64, err error) {
	names, err := stageQueues(ctx, l, stage)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		found, err := findDead(ctx, l.store, name, ids)
		if err != nil {
			return n, err
		}
		for batch := range slices.Chunk(found, 100) {
			var tx queue.Tx
			change(&tx, name, batch...)
			if err := l.store.Commit(ctx, &tx); err != nil {
				return n, err
			}
			n += int64(len(batch))
		}
	}
	if n == 0 {
		return 0, mayChangeDead(ctx, l.store, names, change)
	}
	return n, nil
}

// mayChangeDead returns why dead letters may not be changed, where there is none to show it.
func mayChangeDead(ctx context.Context, store *queue.Store, names []string, change func(tx *queue.Tx, queue string, ids ...uint64)) error {
	for _, name := range names {
		var tx queue.Tx
		change(&tx, name, 0) // no letter has this id, and one that does not exist is passed over
		if err := store.Commit(ctx, &tx); !errors.Is(err, queue.ErrUnknownQueue) {
			return err
		}
	}
	return nil
}

// findDead returns those of the ids that are dead letters of a queue, or all of
// its dead letters if there are no ids.
func findDead(ctx context.Context, store *queue.Store, name string, ids []uint64) ([]uint64, error) {
	var found []uint64
	err := inspect.WalkDead(ctx, store, name, func(d *inspect.DeadItem) error {
		if _, ok := slices.BinarySearch(ids, d.ID); ok || len(ids) == 0 {
			found = append(found, d.ID)
		}
		return nil
	})
	if errors.Is(err, queue.ErrUnknownQueue) {
		return nil, nil
	}
	return found, err
}
