package command

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/printable"
)

func (a *app) whyCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "why URL",
		Short: "Tell everything that is known about a URL",
		Long: `Why tells what became of a URL: when it was fetched and where it was found, why it
failed, which rule kept the crawl from it, or what it waits for; and what
robots.txt and the rules of the scope say about it.`,
		Example: `  weir why https://example.com/about
  weir why --dir docs https://example.com/private/ --json`,
		Args: oneArg("one URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seed, err := parseSeed(args[0])
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), dir, a.out, func(ctx context.Context, l *live, out io.Writer) error {
				e, err := inspect.Explain(ctx, l.store, seed.URL, &l.options)
				if err != nil {
					return l.noCrawl(err)
				}
				if asJSON {
					return writeJSON(out, e)
				}
				return writeExplanation(out, e, l.running)
			})
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}

func writeExplanation(out io.Writer, e *inspect.Explanation, running bool) error {
	p := &printer{w: out}
	p.printf("%s\n", e.URL)
	line := func(name, format string, args ...any) {
		p.printf("  %-9s %s\n", name, printable.Line(strings.TrimSpace(fmt.Sprintf(format, args...))))
	}
	verdict := e.State
	switch e.State {
	case inspect.StateUnknown:
		verdict = "never met: no page that was fetched links to it"
		if e.AssetKind != "" {
			verdict = fmt.Sprintf("never met: it is an asset (%s), and what pages embed is fetched with --requisites alone", e.AssetKind)
		}
	case inspect.StateSkipped:
		verdict = "skipped: a page links to it, and it was not followed"
	case inspect.StateAsset:
		verdict = "asset: it is a part of a page, and no page itself"
	case inspect.StateVanished:
		verdict = "vanished: it is no page, or none any more"
	case inspect.StateWaiting:
		if !running {
			verdict += " (the crawl is not running)"
		}
	}
	line("state", "%s", verdict)
	if e.Seed {
		line("seed", "the crawl begins here")
	}
	if pg := e.Page; pg != nil {
		line("fetched", "%s, status %d, %s, %s, attempt %d", localTime(pg.FetchedAt), pg.Status, orUnknown(pg.ContentType), plural(int64(pg.Bytes), "byte"), pg.Attempts)
		line("found", "generation %d, depth %d%s", pg.Generation, pg.Depth, on(pg.Referrer))
		if pg.Title != "" {
			line("title", "%s", pg.Title)
		}
		if pg.Redirect != "" {
			line("redirect", "to %s", pg.Redirect)
		}
		if pg.DuplicateOf != "" {
			line("same as", "%s", pg.DuplicateOf)
		}
		if e.NearDuplicateOf != "" && e.NearDuplicateOf != pg.DuplicateOf {
			line("like", "%s: its text is nearly the same", e.NearDuplicateOf)
		}
		if pg.NoIndex {
			line("noindex", "the page asks not to be kept, so its text was not extracted")
		}
		if len(pg.Links) > 0 {
			line("links", "%s", count(int64(len(pg.Links))))
		}
		line("kept", "%s", kept(e))
	}
	if as := e.Asset; as != nil {
		what := fmt.Sprintf("%s, status %d, %s, %s", localTime(as.Visited), as.Status, orUnknown(as.ContentType), plural(int64(as.Bytes), "byte"))
		if as.Reason != "" {
			what = fmt.Sprintf("%s: %s: %s", localTime(as.Visited), as.Reason, as.Detail)
		}
		line("asset", "%s; a part of %s", what, as.Of)
		if as.Redirect != "" {
			line("redirect", "to %s", as.Redirect)
		}
	}
	if h := e.History; h != nil && len(h.Visits) > 0 {
		last := h.Visits[len(h.Visits)-1]
		line("visited", "%s (round %d), and found %s; next from %s on", localTime(last.At), last.Round, last.Outcome, localTime(h.Next))
	}
	if f := e.Failure; f != nil {
		line("failed", "%s: %s (%s, %s)", f.Reason, f.Detail, plural(int64(f.Attempts), "attempt"), localTime(f.At))
		line("found", "generation %d, depth %d%s", f.Generation, f.Depth, on(f.Referrer))
	}
	if w := e.Waiting; w != nil {
		line("waiting", "%s", waitingText(w))
		line("found", "generation %d, depth %d%s", w.Generation, w.Depth, on(w.Referrer))
	}
	for _, o := range e.Others {
		_, name, _ := strings.Cut(o.Key, "#")
		switch {
		case o.Page != nil:
			line(name, "fetched %s, status %d, attempt %d", localTime(o.Page.FetchedAt), o.Page.Status, o.Page.Attempts)
		default:
			line(name, "failed: %s: %s (%s, %s)", o.Failure.Reason, o.Failure.Detail, plural(int64(o.Failure.Attempts), "attempt"), localTime(o.Failure.At))
		}
	}
	for _, s := range e.Stages {
		text := fmt.Sprintf("%s in %s, %s", s.State, s.Stage, plural(int64(s.Attempts), "attempt"))
		if s.Due != nil {
			text += ", the next " + localTime(*s.Due)
		}
		if s.Error != "" {
			text += ", the last ended with: " + firstLine(s.Error)
		}
		line("stage", "%s", text)
	}
	for _, d := range e.Dead {
		line("dead", "in %s after %s: %s (id %d)", d.Queue, plural(int64(d.Attempts), "attempt"), firstLine(d.Reason), d.ID)
	}
	if s := e.Skip; s != nil {
		line("skipped", "%s%s", s.Reason, on(s.From))
	}
	for _, n := range e.Notices {
		line("note", "%s", n.Text)
	}
	line("scope", "%s", e.Scope.Reason)
	line("robots", "%s", robotsText(e.Robots))
	line("host", "%s", hostText(e.Host))
	return p.err
}

func kept(e *inspect.Explanation) string {
	switch {
	case e.Tags:
		return "page, text and tags"
	case e.Text:
		return "page and text"
	}
	return "page"
}

func waitingText(w *inspect.WaitingRequest) string {
	var parts []string
	switch {
	case w.State == "leased":
		parts = append(parts, "it is being fetched")
	case w.Generation > w.Present:
		parts = append(parts, fmt.Sprintf("for generation %d to be complete", w.Generation-1))
	case w.Due != nil:
		parts = append(parts, "until "+localTime(*w.Due)+", for its next attempt")
	default:
		parts = append(parts, "for its host's turn")
	}
	if w.Attempts > 0 {
		parts = append(parts, plural(int64(w.Attempts), "attempt")+" so far")
	}
	parts = append(parts, "since "+localTime(w.Enqueued))
	if w.Error != "" {
		parts = append(parts, "the last attempt ended with: "+firstLine(w.Error))
	}
	return strings.Join(parts, ", ")
}

func robotsText(r *inspect.RobotsDecision) string {
	if r == nil {
		return "robots.txt of this host has not been fetched"
	}
	text := "allowed"
	if !r.Allowed {
		text = "forbidden"
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	text += fmt.Sprintf(" (robots.txt %s %s)", r.Outcome, localTime(r.Fetched))
	if r.Ignored {
		text += ", which this crawl ignores"
	}
	return text
}

func hostText(h inspect.HostPoliteness) string {
	delay := "no delay"
	if h.Delay > 0 {
		delay = fmt.Sprintf("%s between requests (%s)", h.Delay.Round(time.Millisecond), h.DelayBy)
	}
	text := h.Host + ": " + delay
	if h.Failures > 0 {
		text += fmt.Sprintf(", %s in a row", plural(int64(h.Failures), "failure"))
	}
	if h.NotBefore != nil {
		text += ", left alone until " + localTime(*h.NotBefore)
		if h.Reason != "" {
			text += " (" + string(h.Reason) + ")"
		}
	}
	if h.Paused {
		text += ", paused"
	}
	if h.Sick != nil {
		text += "; " + sickText(h.Sick)
	}
	return text
}

func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func on(referrer string) string {
	if referrer == "" {
		return ""
	}
	return ", on " + referrer
}

func orUnknown(s string) string {
	if s == "" {
		return "no content type"
	}
	return s
}
