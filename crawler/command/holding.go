package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/printable"
	"github.com/seed-301537d8/weir/queue"
)

func (a *app) holdingCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "holding",
		Short: "Tell what the present generation of each stage waits for",
		Long: `A generation is over in a stage when everything of it is settled. Holding shows
what is not: how many items, and the oldest of them.`,
		Example: "  weir holding\n  weir holding --dir docs",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), dir, a.out, func(ctx context.Context, l *live, out io.Writer) error {
				names, err := stageQueues(ctx, l, "")
				if err != nil {
					return err
				}
				p := &printer{w: out}
				for _, name := range names {
					if err := writeHolding(ctx, l.store, name, p); err != nil {
						return err
					}
				}
				if st, err := inspect.ReadProgress(ctx, l.store); err != nil || st.Done {
					return err // nothing waits for a host any more
				}
				named := 0
				err = inspect.WalkSickHosts(ctx, l.store, func(s *crawler.SickHost) error {
					p.printf("%s; what belongs to it comes back then\n", sickText(s))
					if named++; named == 20 {
						return inspect.ErrStop
					}
					return p.err
				})
				return err
			})
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}

// sickText says what is known of a host that fails, or is slow.
func sickText(s *crawler.SickHost) string {
	if s.Slow {
		return fmt.Sprintf("%s is slow since %s, waited for until %s: %s", s.Host, localTime(s.Since), localTime(s.Until), printable.Line(s.Error))
	}
	return fmt.Sprintf("%s is left alone until %s, failing since %s: %s", s.Host, localTime(s.Until), localTime(s.Since), printable.Line(s.Error))
}

func writeHolding(ctx context.Context, store *queue.Store, name string, p *printer) error {
	h, err := store.Holding(ctx, name)
	if errors.Is(err, queue.ErrUnknownQueue) {
		p.printf("%s: has not begun\n", name)
		return nil
	}
	if err != nil {
		return err
	}
	st, err := store.QueueStats(ctx, name)
	if err != nil {
		return err
	}
	barrier := "no barrier placed yet"
	switch {
	case h.Barrier == nil:
	case !h.Barrier.Released.IsZero():
		barrier = "everything settled"
		if len(h.Names) > 0 {
			barrier += ", waits for " + strings.Join(h.Names, ", ")
		}
	default:
		barrier = "barrier placed " + localTime(h.Barrier.Placed)
	}
	p.printf("%s: generation %d, %s\n", name, st.Epoch, barrier)
	p.printf("  %s ready, %s delayed, %s at work", count(h.Ready), count(h.Delayed), count(h.Leased))
	if st.Later > 0 {
		p.printf("; %s of later generations", count(st.Later))
	}
	if h.Paused {
		p.printf("; the queue is paused")
	}
	if h.ClockBehind > 0 {
		p.printf("; the clock of this machine was set back by %v, waits go on as long as they were to be", h.ClockBehind.Round(time.Second))
	}
	p.printf("\n")
	for _, w := range h.Oldest {
		url := inspect.ItemURL(name, w.Item.Body)
		if url == "" {
			url = fmt.Sprintf("item %d", w.ID)
		}
		note := w.State.String()
		if !w.Due.IsZero() {
			note += " until " + localTime(w.Due)
		}
		if w.Attempts > 0 {
			note += ", " + plural(int64(w.Attempts), "attempt")
		}
		p.printf("  %s  (%s, %s old)\n", url, note, duration(time.Since(w.Enqueued)))
		if w.Failure != "" {
			p.printf("    last error: %s\n", firstLine(w.Failure))
		}
	}
	return nil
}
