package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/stages/pdf"
)

// archiveDir is the folder for WARC files, in the crawl's.
const archiveDir = "warc"

// drainTime is how long pages in flight may take after Ctrl-C.
const drainTime = 10 * time.Second

// crawlRun is one run of a crawl, with what the operator sees of it.
type crawlRun struct {
	app      *app
	live     *live
	con      *console
	progress progressMode
	options  crawler.Options // whose settings are those of this run
	logger   *slog.Logger

	crawler  *crawler.Crawler // made by prepare
	pdf      pdf.Reader       // reads PDF files if the options name no other; starts with the first
	recrawls bool             // this run begins a round
	started  time.Time
	pages    int64 // there were before
	visits   int64 // likewise, of the present round
	round    int   // which that was
}

// openForCrawl opens a folder to crawl in, with options of package memory.
func (a *app) openForCrawl(ctx context.Context, p place, options *badgerqueue.Options, con *console, logger *slog.Logger) (*live, error) {
	options.Queue.Logger = logger
	warn := func(err error) { con.printf("%s: %v", a.name, err) }
	for deadline := time.Now().Add(lockPatience / 3); ; {
		l, err := a.openLive(p, options, true, warn)
		switch {
		case err == nil:
			return l, nil
		case !errors.Is(err, queue.ErrLocked):
			return nil, err
		case time.Now().After(deadline):
			return nil, fmt.Errorf("%w; '%s status%s' shows how far it is", err, a.name, p.argument())
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// standardLog sends what goes to the standard log, as net/http's complaints about
// servers do, to a logger, as information, until the returned function is called.
func standardLog(logger *slog.Logger) (restore func()) {
	writer, flags := log.Writer(), log.Flags()
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(logger.Handler(), slog.LevelInfo).Writer())
	return func() {
		log.SetFlags(flags)
		log.SetOutput(writer)
	}
}

// announceResume says where a crawl that goes on stands, and what changes.
func (r *crawlRun) announceResume(ctx context.Context, before crawler.Settings, hasNewSeeds bool) error {
	st, err := inspect.ReadProgress(ctx, r.live.store)
	if err != nil {
		return err
	}
	dir, every := r.live.dir, r.options.Settings.Every
	switch {
	case r.recrawls:
		r.con.printf("Round %d of the crawl in %s: visiting known pages again.", st.Round, dir)
		if every > 0 {
			r.con.printf("Every %s it then visits those that are due (--every), until Ctrl-C stops it.", every)
		}
	case st.Done && !hasNewSeeds && every > 0:
		r.con.printf("The crawl in %s is complete; every %s it visits the pages that are due (--every), until Ctrl-C stops it.", dir, every)
	case st.Done && !hasNewSeeds:
		r.con.printf("The crawl in %s is complete already.", dir)
	case st.Done:
		r.con.printf("The crawl in %s was complete with %s; it goes on with the new URLs.", dir, plural(st.Pages, "page"))
	default:
		r.con.printf("Going on with the crawl in %s: %s so far, %s.", dir, plural(st.Pages, "page"), stillWaiting(st))
	}
	changes := changesOf(before, r.options.Settings)
	if len(changes) == 0 {
		return nil
	}
	r.con.printf("Changed settings:")
	for _, c := range changes {
		r.con.printf("  %s", c)
	}
	if st.Pages > 0 && r.options.Settings.Runs(crawler.StageWARC) && !before.Runs(crawler.StageWARC) {
		r.con.printf("The archive (--warc) begins with what is fetched from now on; --recrawl fetches again what is there.")
	}
	if st.Done && !hasNewSeeds && !r.recrawls && every == 0 {
		r.con.printf("They are kept for URLs that you add; what is done stays as it is.")
	}
	return nil
}

// archive returns the folder of a crawl's WARC files.
func (p place) archive(o *crawler.Options) string {
	return cmp.Or(o.ArchiveDir, filepath.Join(p.files, archiveDir))
}

// prepare makes the crawl, and makes sure that it can go on with what is stored.
func (r *crawlRun) prepare(ctx context.Context) (err error) {
	o := &r.options
	if o.Logger == nil {
		o.Logger = r.logger
	}
	o.DrainTime = cmp.Or(o.DrainTime, drainTime)
	o.ArchiveDir = r.live.place.archive(o)
	if r.live.place.server != "" && o.Settings.Runs(crawler.StageWARC) {
		if o.ArchiveName, err = archiveName(o.ArchiveDir); err != nil {
			return err
		}
	}
	o.Program = &r.app.options.Settings
	if o.PDF == nil {
		o.PDF = r.pdf.Read
	}
	memory.SetBudget(cmp.Or(o.Settings.Memory, crawler.DefaultMemory), o.Settings.Runs(crawler.StageExtract))
	if r.crawler, err = crawler.New(r.live.store, o); err != nil {
		return err
	}
	return r.crawler.Check(ctx)
}

// run crawls, and returns how far it came.
func (r *crawlRun) run(ctx context.Context) (inspect.Status, error) {
	r.started = time.Now()
	defer standardLog(r.options.Logger)()
	store := r.live.store
	if err := r.crawler.Begin(ctx); err != nil {
		return inspect.Status{}, err
	}
	st, err := inspect.ReadProgress(ctx, store)
	if err != nil {
		return inspect.Status{}, err
	}
	r.pages, r.round, r.visits = st.Pages, st.Round, visits(st)
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	var showing sync.WaitGroup
	showing.Go(func() { r.showProgress(ended) })
	showing.Go(func() {
		select {
		case <-ctx.Done():
			if r.live.lost() != nil {
				return // which is said elsewhere
			}
			r.con.printf("Stopping; pages in flight may take up to %s. Ctrl-C again stops at once.", drainTime)
		case <-ended.Done():
		}
	})
	err = r.crawler.Run(ctx)
	end()
	showing.Wait()
	if closed := r.pdf.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return inspect.Status{}, err
	}
	return inspect.ReadStatus(context.WithoutCancel(ctx), store)
}

// conclude prints the result, and returns what the exit code is to be.
func (r *crawlRun) conclude(ctx context.Context, st inspect.Status) error {
	out, dir, name := r.app.out, r.live.dir, r.app.name
	flag := dirArgument(dir)
	if !st.Done {
		why := ""
		if ctx.Err() == nil {
			why = ", the time of --max-time"
		}
		fmt.Fprintf(out, "Stopped after %s%s: %s and %s so far, %s. Everything is kept.\nGo on with:\n  %s\n",
			duration(time.Since(r.started)), why, plural(st.Pages, "page"), plural(st.Failures, "failure"), stillWaiting(st), resumeCommand(context.WithoutCancel(ctx), r.live))
		if ctx.Err() == nil {
			return exitError(exitTimeOver)
		}
		return exitError(exitInterrupted)
	}
	took := time.Since(r.started)
	fmt.Fprintf(out, "Complete: %s and %s in %s", plural(st.Pages, "page"), plural(st.Failures, "failure"), plural(int64(len(st.Generations)), "generation"))
	if n := st.Pages - r.pages; n > 0 {
		fmt.Fprintf(out, "; %s in %s, %.1f a second", count(n), duration(took), float64(n)/max(took.Seconds(), 0.001))
	}
	fmt.Fprintln(out)
	if len(st.Rounds) > 0 {
		last := st.Rounds[len(st.Rounds)-1]
		fmt.Fprintf(out, "Round %d took %s: %s the same, %s changed, %s moved, %s vanished, %s failed; %s new.\n", last.Number,
			plural(last.Taken, "known URL"), count(last.Same), count(last.Changed), count(last.Moved), count(last.Vanished), count(last.Failed), count(last.New))
	}
	writeGenerations(out, st.Generations)
	dead := deadLetters(st)
	bad, err := r.failedSeeds(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	for _, f := range bad {
		fmt.Fprintf(out, "Seed %s failed: %s (%s)\n", f.URL, f.Detail, f.Reason)
		if f.Reason == "private_address" {
			fmt.Fprintln(out, "  Its address is private; a crawl of your own network needs --allow-private and a new --dir.")
		}
	}
	if st.MaxPages > 0 {
		fmt.Fprintf(out, "The limit of pages (--max-pages) was reached: %s left out.\n", plural(st.MaxPages, "URL"))
	}
	for _, l := range st.Limits {
		fmt.Fprintf(out, "The limit --%s was reached: %s left out.\n", l.Limit, plural(l.Hits, "URL"))
	}
	for _, t := range st.Traps {
		fmt.Fprintf(out, "Trap %s: %s left out.\n", t.Rule, plural(t.Hits, "URL"))
	}
	if err := r.writeNotices(context.WithoutCancel(ctx), out); err != nil {
		return err
	}
	if dead > 0 {
		fmt.Fprintf(out, "%s gave up: see '%s dead%s list'.\n", plural(dead, "item"), name, flag)
	}
	next := []string{}
	if len(st.Rounds) > 0 {
		next = append(next, name+" changes"+flag+"   # what the last round has found")
	}
	for _, it := range st.Items {
		next = append(next, fmt.Sprintf("%s export%s items %s -o %s.jsonl", name, flag, it.Name, it.Name))
	}
	if st.Pages > 0 {
		next = append(next, name+" export"+flag+" pages -o pages.jsonl")
	}
	if st.Pages > 0 && r.options.Settings.Runs(crawler.StageTag) {
		next = append(next, name+" export"+flag+" pages --format conllu -o pages.conllu")
	}
	if r.options.Settings.Runs(crawler.StageWARC) {
		next = append(next, "ls "+filepath.Join(r.live.place.files, archiveDir)+"   # what the servers answered", name+" export"+flag+" captures --format cdxj | LC_ALL=C sort > index.cdxj")
	}
	if st.Failures > 0 {
		next = append(next, name+" export"+flag+" failures")
	}
	next = append(next, name+" why"+flag+" URL")
	fmt.Fprintf(out, "Next:\n  %s\n", strings.Join(next, "\n  "))
	if st.Pages == st.Redirects {
		return exitError(exitFailure) // nothing but redirects is no page
	}
	return nil
}

// writeNotices writes what should be known of a crawl that is complete, ten of
// each kind at most.
func (r *crawlRun) writeNotices(ctx context.Context, out io.Writer) error {
	seen := make(map[string]int)
	return inspect.WalkNotices(ctx, r.live.store, func(n *crawler.Notice) error {
		const most = 10
		switch seen[n.Kind]++; {
		case seen[n.Kind] <= most:
			fmt.Fprintf(out, "Note: %s.\n", n.Text)
		case seen[n.Kind] == most+1:
			fmt.Fprintf(out, "Note: and more of %s.\n", n.Kind)
		}
		return nil
	})
}

// failedSeeds returns the failures of seeds, five at most.
func (r *crawlRun) failedSeeds(ctx context.Context) ([]*crawler.Failure, error) {
	var bad []*crawler.Failure
	err := inspect.WalkFailures(ctx, r.live.store, func(f *crawler.Failure) error {
		if f.Depth == 0 && f.Referrer == "" {
			bad = append(bad, f)
		}
		if len(bad) == 5 {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return bad, err
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

// dirArgument is --dir for a command to type, or nothing for the default.
func dirArgument(dir string) string {
	if dir == defaultDir {
		return ""
	}
	return explicitDir(dir)
}

// explicitDir is --dir for a command to type.
func explicitDir(dir string) string {
	switch {
	case strings.ContainsAny(dir, " \t'\"\\$&;|<>()*?"):
		return " --dir '" + strings.ReplaceAll(dir, "'", `'\''`) + "'"
	}
	return " --dir " + dir
}

// stillWaiting says how much waits. What has left the frontier for its host's sake is not
// among the numbers.
func stillWaiting(st inspect.Status) string {
	text := count(waiting(st)) + " waiting"
	if n := len(st.Sick); n > 0 && !st.Done {
		text += fmt.Sprintf(", besides what belongs to %s failing or slow", sickHosts(n))
	}
	return text
}

// sickHosts is a number of hosts, of which no more than so many are looked at.
func sickHosts(n int) string {
	if n == inspect.MaxSick {
		return count(int64(n)) + " hosts or more"
	}
	return plural(int64(n), "host")
}

// waiting is how many addresses the frontier holds.
func waiting(st inspect.Status) int64 {
	if len(st.Queues) == 0 {
		return 0
	}
	q := st.Queues[0]
	return q.Ready + q.Delayed + q.Leased + q.Later
}

func deadLetters(st inspect.Status) (n int64) {
	for _, q := range st.Queues {
		n += q.Dead
	}
	return n
}

// writeGenerations writes a line for each generation; of many, the first and
// the last ones.
func writeGenerations(out io.Writer, all []inspect.GenerationStatus) {
	const most = 20
	t := newTable("generation", "URLs", "fetched", "failed", "deferred", "took", "")
	for i, g := range all {
		if len(all) > most && i == most/2 {
			t.row("...")
		}
		if len(all) > most && i >= most/2 && i < len(all)-most/2 {
			continue
		}
		took, state := "", "under way"
		if g.Finished != nil {
			took = duration(g.Finished.Sub(g.Started))
		}
		if g.Complete {
			state = ""
		}
		t.row(fmt.Sprint(g.Number), count(g.URLs), count(g.Fetched), count(g.Failed), count(g.Deferred), took, state)
	}
	t.write(out)
}
