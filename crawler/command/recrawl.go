package command

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/printable"
)

func (a *app) changesCommand() *cobra.Command {
	var dir, since, file string
	var asJSON, diff bool
	cmd := &cobra.Command{
		Use:   "changes [flags]",
		Short: "Tell what a crawl that visits its pages again has found to be new, changed or gone",
		Long: `Changes lists the pages that appeared, changed, moved, vanished or failed, round by
round, with what became of their text. --since takes a round, a time (RFC 3339), or how
long ago: 3, 2026-01-02T15:04:05Z, 48h, 7d. Without it, it is the last round.`,
		Example: `  weir changes                        # of the last round
  weir changes --since 7d --diff=false
  weir changes --since 0 --json | jq -r 'select(.kind == "vanished") | .url'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			return a.toFile(file, func(out io.Writer) error {
				return a.withStore(cmd.Context(), dir, out, func(ctx context.Context, l *live, out io.Writer) error {
					asked := "since " + since
					if since == "" {
						st, err := inspect.ReadProgress(ctx, l.store)
						if err != nil {
							return l.noCrawl(err)
						}
						from.Round = st.Round
						asked = fmt.Sprintf("in round %d", st.Round)
					}
					any, err := writeChanges(ctx, l, from, asJSON, diff, out)
					if err == nil && !any {
						fmt.Fprintf(a.err, "Nothing is new, changed or gone %s; --since 0 lists all rounds.\n", asked)
					}
					return l.noCrawl(err)
				})
			})
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().StringVar(&since, "since", "", "from when on: a round, a time or how long ago (default: the last round)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object a line")
	cmd.Flags().BoolVar(&diff, "diff", true, "show what became of the text")
	cmd.Flags().StringVarP(&file, "output", "o", "", "write to this `file`, which appears when it is whole (default: standard output)")
	return cmd
}

// parseSince reads --since.
func parseSince(s string, now time.Time) (inspect.Since, error) {
	if s == "" {
		return inspect.Since{}, nil
	}
	if n, err := strconv.Atoi(s); err == nil && n >= 0 {
		return inspect.Since{Round: n}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return inspect.Since{Time: t}, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return inspect.Since{Time: t}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return inspect.Since{Time: now.AddDate(0, 0, -n)}, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return inspect.Since{Time: now.Add(-d)}, nil
	}
	return inspect.Since{}, usagef("--since is %q; it must be a round (3), a time (2026-01-02T15:04:05Z, 2026-01-02) or how long ago (48h, 7d)", s)
}

// writeChanges reports whether there are any.
func writeChanges(ctx context.Context, l *live, since inspect.Since, asJSON, diff bool, out io.Writer) (any bool, err error) {
	p := &printer{w: out}
	round := -1
	err = inspect.WalkChanges(ctx, l.store, since, func(c *inspect.ChangeRow) error {
		any = true
		if !diff {
			c.Diff = ""
		}
		if asJSON {
			return writeJSON(out, c)
		}
		if c.Round != round {
			round = c.Round
			p.printf("round %d\n", round)
		}
		p.printf("  %-8s %s%s\n", c.Kind, c.URL, changeDetail(c))
		for line := range strings.Lines(c.Diff) {
			if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "+++") {
				continue
			}
			p.printf("    %s\n", printable.Line(strings.TrimRight(line, "\n")))
		}
		return p.err
	})
	return any, err
}

// changeDetail is what a line has beside the address.
func changeDetail(c *inspect.ChangeRow) string {
	var parts []string
	if c.To != "" {
		parts = append(parts, "to "+c.To)
	}
	if c.Reason != "" {
		parts = append(parts, c.Reason)
	}
	if c.SameText {
		parts = append(parts, "its text is the same")
	}
	if n := len(c.LinksNew); n > 0 {
		parts = append(parts, plural(int64(n), "link")+" more")
	}
	if n := len(c.LinksGone); n > 0 {
		parts = append(parts, plural(int64(n), "link")+" less")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}

// writeRounds writes a line for each round.
func writeRounds(out io.Writer, all []crawler.Round) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(out)
	t := newTable("round", "began", "known", "new", "same", "changed", "moved", "vanished", "failed", "")
	for _, r := range all {
		state := ""
		if r.Finished == nil {
			state = "under way"
		}
		if r.Number == 0 {
			t.row("0", localTime(r.Started), "", "", "", "", "", "", "", state)
			continue
		}
		t.row(strconv.Itoa(r.Number), localTime(r.Started), count(r.Taken), count(r.New), count(r.Same), count(r.Changed), count(r.Moved), count(r.Vanished), count(r.Failed), state)
	}
	t.write(out)
}
