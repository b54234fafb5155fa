package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/printable"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/remote"
)

func (a *app) statusCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how far a crawl is, also while it runs",
		Long: `Status shows what a crawl has done and what waits: the queue of each stage, and
each generation (the pages as many links away from the seeds).`,
		Example: `  weir status
  weir status --dir docs --json | jq .pages`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), dir, a.out, func(ctx context.Context, l *live, out io.Writer) error {
				st, err := inspect.ReadStatus(ctx, l.store)
				if err != nil {
					return l.noCrawl(err)
				}
				var workers []remote.Client
				if l.workers != nil {
					if workers, err = l.workers(ctx); err != nil {
						return err
					}
				}
				if asJSON {
					return writeJSON(out, struct {
						inspect.Status
						Workers []remote.Client `json:"workers,omitempty"`
					}{st, workers})
				}
				if err := writeStatus(ctx, out, l, st); err != nil {
					return err
				}
				return writeWorkers(out, workers)
			})
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}

// noCrawl says so if the store holds no crawl.
func (l *live) noCrawl(err error) error {
	if errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("no crawl has begun in %s; begin one with '%s crawl%s URL'", l.dir, l.name, explicitDir(l.dir))
	}
	return err
}

// writeJSON writes a value as one line.
func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func writeStatus(ctx context.Context, out io.Writer, l *live, st inspect.Status) error {
	state := fmt.Sprintf("not running, %s (go on with '%s')", stillWaiting(st), resumeCommand(ctx, l))
	switch {
	case st.Done:
		state = "complete"
	case l.place.server != "":
		state = stillWaiting(st)
	case l.running:
		state = fmt.Sprintf("running (%s), %s", l.who, stillWaiting(st))
	}
	p := &printer{w: out}
	p.printf("%s: %s\n", l.dir, state)
	p.printf("%s, %s, generation %d\n", plural(st.Pages, "page"), plural(st.Failures, "failure"), st.Generation)
	if st.ClockBehind > 0 {
		p.printf("the clock of this machine was set back by %v; waits go on as long as they were to be\n", st.ClockBehind.Round(time.Second))
	}
	p.printf("\n")
	t := newTable("stage", "ready", "delayed", "at work", "later", "dead", "a second")
	for _, q := range st.Queues {
		t.row(q.Name, count(q.Ready), count(q.Delayed), count(q.Leased), count(q.Later), count(q.Dead), fmt.Sprintf("%.1f", q.Rate))
	}
	t.write(p)
	for _, q := range st.Queues {
		if q.Error != "" {
			p.printf("last error in %s: %s\n", q.Name, firstLine(q.Error))
		}
	}
	if st.MaxPages > 0 {
		p.printf("left out for --max-pages: %s\n", count(st.MaxPages))
	}
	for _, l := range st.Limits {
		p.printf("left out for --%s: %s\n", l.Limit, count(l.Hits))
	}
	for _, t := range st.Types {
		p.printf("pages of type %s: %s\n", printable.Line(t.Type), count(t.Pages))
	}
	if st.NearDuplicates > 0 {
		p.printf("near duplicates: %s\n", count(st.NearDuplicates))
	}
	if st.Assets > 0 {
		p.printf("parts of pages: %s", count(st.Assets))
		if st.LostAssets > 0 {
			p.printf(", %s of them not to be had", count(st.LostAssets))
		}
		p.printf("\n")
	}
	if !st.Done { // or nothing waits for them any more
		for _, s := range st.Sick {
			p.printf("waits: %s\n", sickText(&s))
		}
	}
	for _, t := range st.Traps {
		p.printf("left out by trap %s: %s\n", t.Rule, count(t.Hits))
	}
	for _, it := range st.Items {
		p.printf("items %s: %s\n", it.Name, count(it.Count))
	}
	writeSizes(p, st.Sizes)
	writeRounds(p, st.Rounds)
	p.printf("\n")
	writeGenerations(p, st.Generations)
	return p.err
}

// writeSizes says what takes the disk.
func writeSizes(p *printer, sizes []inspect.SizeStatus) {
	var each []string
	for _, s := range sizes {
		each = append(each, fmt.Sprintf("%s %s", printable.Line(s.Kind), count(s.Bytes)))
	}
	if len(each) > 0 {
		p.printf("bytes kept of one: %s\n", strings.Join(each, ", "))
	}
}

// writeWorkers lists who works on the crawl over the network.
func writeWorkers(out io.Writer, workers []remote.Client) error {
	if len(workers) == 0 {
		return nil
	}
	p := &printer{w: out}
	p.printf("\n")
	t := newTable("worker", "version", "address", "a second", "at work", "last heard")
	for _, w := range workers {
		t.row(printable.Line(w.Name), printable.Line(w.Program), w.Address, fmt.Sprintf("%.1f", w.Rate), count(int64(w.InFlight)), duration(time.Since(w.Heartbeat))+" ago")
	}
	t.write(p)
	return p.err
}

// printer keeps the first error of a row of writes.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	var n int
	n, p.err = p.w.Write(b)
	return n, p.err
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }
