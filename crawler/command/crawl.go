package command

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os/exec"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/pgqueue"
)

func (a *app) crawlCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "crawl [flags] URL...",
		Short: "Crawl web sites, or go on with a crawl",
		Long: `Crawl fetches the pages of web sites, follows their links, takes out the text
and tags its words. Everything is kept in a folder as it happens. Run it again
on the same folder, with or without URLs, and it goes on where it was with the
same settings; flags that you give then change the settings from there on.

It obeys robots.txt, asks each host for one page at a time, and leaves a second
between two requests.

Each flag may also stand in a file of settings, as a key of its name; 'weir config'
shows what holds, and where it comes from.

Ctrl-C stops cleanly; a second Ctrl-C stops at once. Neither loses anything. The
exit code is 0 only when the crawl is complete, 3 when --max-time was over, and
130 when it was stopped.`,
		Example: `  weir crawl https://example.com
  weir crawl --dir docs --depth 3 --allow '/docs/' example.com/docs/
  weir crawl --dir docs                  # go on with it
  weir crawl -c crawl.yaml               # all that follows in a file
  weir crawl --dry-run https://example.com
  weir crawl --warc https://example.com  # and keep the pages as they came
  weir crawl --recrawl                   # once it is complete: what has changed?
  weir crawl --every 24h https://example.com   # and keep it fresh
  weir crawl --warc --requisites https://example.com   # to be shown again as it was
  weir crawl --auth example.com=basic:me:env:PASSWORD https://example.com
  weir crawl --stage 'topics=python3 topics.py' https://example.com`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.crawl(cmd.Context(), cmd.Flags(), &f, args) },
	}
	cmd.Flags().SortFlags = false
	f.add(cmd)
	settingFlags(cmd, nil)
	return cmd
}

func progressFlags(cmd *cobra.Command, progress *string, verbose *bool) {
	cmd.Flags().StringVar(progress, "progress", "auto", "how to show progress: auto, plain, json or off")
	cmd.Flags().BoolVarP(verbose, "verbose", "v", false, "say more about what happens")
	complete(cmd, "progress", "auto", "plain", "json", "off")
}

// complete names the values of a flag for shell completion.
func complete(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is there
	}
}

// wishes are what a command line and a file of settings ask for.
type wishes struct {
	choices []choice // those of flags last
	file    *configFile
	seeds   []crawler.Request
}

// read reads the file of settings, if there is one, and puts it together with flags
// and URLs.
func (f *runFlags) read(flags *pflag.FlagSet, args []string) (*wishes, error) {
	w := new(wishes)
	if f.config != "" {
		var err error
		if w.file, err = readConfig(f.config); err != nil {
			return nil, err
		}
		if err := f.take(w.file, flags); err != nil {
			return nil, err
		}
		w.choices, w.seeds = w.file.settings, w.file.seeds
	}
	w.choices = append(w.choices, flagChoices(flags)...)
	for _, arg := range args {
		seed, err := parseSeed(arg)
		if err != nil {
			return nil, err
		}
		if len(w.seeds) > 0 && w.file != nil && len(w.seeds) == len(w.file.seeds) {
			w.seeds = nil // those of the command line take the place of the file's
		}
		w.seeds = append(w.seeds, seed)
	}
	return w, nil
}

// apply puts what is wished into settings, those of a stored crawl perhaps, and
// notes where each comes from. What a file had chosen for the stored crawl, and the
// file that is given now has not, is as the program has it again.
func (w *wishes) apply(s *crawler.Settings, origins map[string]string, program *crawler.Settings) error {
	if w.file != nil {
		for _, st := range crawler.AllSettings() {
			if from := origins[st.Name]; from != "" && !strings.HasPrefix(from, "--") {
				st.Copy(s, program)
				delete(origins, st.Name)
			}
		}
	}
	if err := choose(s, origins, w.choices); err != nil {
		return err
	}
	if _, err := s.WithDefaults(); err != nil {
		return &usageError{err}
	}
	return nil
}

func (a *app) crawl(ctx context.Context, flags *pflag.FlagSet, f *runFlags, args []string) error {
	w, err := f.read(flags, args)
	if err != nil {
		return err
	}
	progress, err := parseProgress(f.progress)
	if err != nil {
		return err
	}
	// A first look at them, before a folder is made.
	fresh := a.options.Settings
	if err := w.apply(&fresh, make(map[string]string), &a.options.Settings); err != nil {
		return err
	}
	p, err := parsePlace(f.dir, f.files)
	if err != nil {
		return err
	}
	if err := errors.Join(checkReadable("--cookie-file", f.cookieFile), checkReadable("--seeds", f.seeds)); err != nil {
		return err
	}
	state, err := p.state(ctx)
	if err == nil && !state.Exists {
		err = errors.Join(refusePrivate(fresh, w.seeds), findCommands(fresh))
		if err == nil {
			err = a.checkAccess(fresh)
		}
		if err == nil {
			err = a.checkWiring(fresh, p)
		}
	}
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.dryRun(ctx, p, f, w)
	}
	if f.listen.address != "" {
		if err := f.listen.check(); err != nil {
			return err
		}
	}
	if mayBegin := f.seeds != "" || len(w.seeds) > 0 || len(a.options.Seeds) > 0; !state.Exists && !mayBegin {
		return usagef("no crawl has begun in %s: name a URL to begin with", p.name)
	}
	con := newConsole(a.tty)
	logger, closeLog, err := f.log.open(con, f.verbose)
	if err != nil {
		return err
	}
	newRun := func(l *live) *crawlRun {
		r := &crawlRun{app: a, live: l, con: con, progress: progress, options: a.options, logger: logger}
		r.options.Shared = p.server != "" || f.listen.address != ""
		r.options.MoreSeeds = f.seeds != ""
		return r
	}
	crawl := func(ctx context.Context, l *live, waited bool) error { return newRun(l).crawlOn(ctx, f, w, waited) }
	if f.seeds != "" && !state.Exists && p.folder != "" {
		err = a.seed(ctx, p, con, logger, func(l *live) error { return newRun(l).seed(ctx, f, w) })
	}
	switch {
	case err != nil:
	case f.listen.address == "":
		err = a.lead(ctx, p, con, logger, crawl)
	default:
		err = a.leadOffering(ctx, p, &f.listen, con, logger, crawl)
	}
	return errors.Join(err, closeLog())
}

// seed opens a new folder to read a file of seeds into, which takes less memory than
// to crawl. An old one may hold what is too large for it.
func (a *app) seed(ctx context.Context, p place, con *console, logger *slog.Logger, read func(*live) error) error {
	defer memory.Save()()
	l, err := a.openForCrawl(ctx, p, memory.SeedOptions(), con, logger)
	if err != nil {
		return err
	}
	l.running = true
	err = errors.Join(read(l), l.close())
	debug.FreeOSMemory() // the store that comes next takes as much again
	return err
}

// lead opens a store and calls crawl with it. A store in a database may be another
// process's; then this one is a standby, which says so, and crawls when it leads. It is
// a standby again when it has lost the store, to another process or because the server
// has gone. waited says that another may have crawled since the command was given.
func (a *app) lead(ctx context.Context, p place, con *console, logger *slog.Logger, crawl func(ctx context.Context, l *live, waited bool) error) error {
	if p.server != "" {
		l, err := a.openRemote(ctx, p, crawlPatience)
		if err != nil {
			return err
		}
		l.running = true
		return errors.Join(crawl(ctx, l, false), l.store.Close())
	}
	if !p.isDatabase() {
		l, err := a.openForCrawl(ctx, p, memory.StoreOptions(), con, logger)
		if err != nil {
			return err
		}
		return errors.Join(crawl(ctx, l, false), l.close())
	}
	o := p.pgOptions(logger)
	waited := false
	o.Standby = func(why error) {
		waited = true
		con.printf("Standing by: %v", why)
	}
	led := false // in this term; then an error is crawl's
	err := pgqueue.Lead(ctx, p.dsn, o, func(term context.Context, store *queue.Store) error {
		led = true
		if waited {
			con.printf("Leading the crawl in %s now.", p.name)
		}
		l := a.newLive(p, store)
		l.running = true
		l.lost = func() error {
			if ctx.Err() == nil && term.Err() != nil {
				return context.Cause(term)
			}
			return nil
		}
		return crawl(term, l, waited)
	})
	switch {
	case led || err == nil:
		return err
	case ctx.Err() != nil: // and not what has ended it, which Lead returns
		return ctx.Err()
	}
	return p.explain(err)
}

// checkAccess makes sure that what settings name can be read: secrets, certificates.
func (a *app) checkAccess(s crawler.Settings) error {
	o := a.options
	o.Settings = s
	if _, err := crawler.NewFetchers(&o); err != nil {
		return usagef("--%v", err)
	}
	return nil
}

// checkWiring makes sure that the program's functions, items and seeds go together.
func (a *app) checkWiring(s crawler.Settings, p place) error {
	o := a.options
	o.Settings, o.ArchiveDir = s, p.archive(&o)
	_, err := crawler.New(nil, &o)
	return err
}

// seed begins a crawl with what is in the file of seeds.
func (r *crawlRun) seed(ctx context.Context, f *runFlags, w *wishes) error {
	if _, err := r.open(ctx, f, w); err != nil {
		return err
	}
	if err := r.addSeeds(ctx, f.seeds); err != nil {
		return err
	}
	f.seeded = true
	return nil
}

// found is what a run finds of its crawl.
type found struct {
	begun  bool             // there is one
	before crawler.Settings // its settings, until this run
}

// open reads what is stored of the crawl, applies what is wished for, and prepares the
// run with it.
func (r *crawlRun) open(ctx context.Context, f *runFlags, w *wishes) (found, error) {
	var was found
	a, l := r.app, r.live
	if isDemo(ctx, l.store) {
		return was, usagef("%s holds the demo, whose site only 'weir demo%s' serves; choose another folder with --dir", l.dir, demoArgument(l.dir))
	}
	settings := &r.options.Settings
	r.options.Origins = make(map[string]string)
	stored, err := crawler.Load(ctx, l.store)
	was.begun = err == nil
	if was.begun {
		was.before = stored.Settings
		maps.Copy(r.options.Origins, stored.Origins)
		if *settings, err = stored.Resume(a.options.Settings); err != nil {
			return was, err
		}
	} else if !errors.Is(err, queue.ErrNotFound) {
		return was, err
	}
	if r.options.Seeds, err = a.seeds(ctx, l, was.begun, w.seeds); err != nil {
		return was, err
	}
	if !was.begun && len(r.options.Seeds) == 0 && f.seeds == "" {
		return was, usagef("no crawl has begun in %s: name a URL to begin with", l.dir)
	}
	if err := w.apply(settings, r.options.Origins, &a.options.Settings); err != nil {
		return was, err
	}
	if f.cookieFile != "" {
		settings.Cookies = true
		r.options.Origins["cookies"] = "--cookie-file"
	}
	if err := r.refusePrivate(ctx, was.before); err != nil {
		return was, err
	}
	if err := errors.Join(findCommands(*settings), a.checkAccess(*settings)); err != nil {
		return was, err
	}
	if err := r.prepare(ctx); err != nil {
		return was, a.explainTopology(err, l.dir, was.before.Stages)
	}
	return was, nil
}

func (r *crawlRun) crawlOn(ctx context.Context, f *runFlags, w *wishes, waited bool) error {
	l := r.live
	was, err := r.open(ctx, f, w)
	if err != nil {
		return err
	}
	if f.seeded {
		was.begun = false // but by this very run
	} else {
		if f.seeds == "-" && f.partlyRead {
			return errors.New("the store was lost while URLs were read from standard input, and those that were on their way may be missing; run this again with all of them")
		}
		f.partlyRead = true
		if err := r.addSeeds(ctx, f.seeds); err != nil {
			return err
		}
		f.partlyRead = false
	}
	if err := r.addCookies(ctx, f.cookieFile); err != nil {
		return err
	}
	if was.begun {
		seeded, err := r.hasNewSeeds(ctx)
		if err != nil {
			return err
		}
		if f.recrawl != "" && !seeded && !waited { // if it waited, the round may be another's
			if r.recrawls, err = r.crawler.Recrawl(ctx, f.recrawl); err != nil {
				return err
			}
		}
		if err := r.announceResume(ctx, was.before, seeded); err != nil {
			return err
		}
	}
	st, err := r.run(ctx)
	if lost := l.lost(); lost != nil {
		return lost
	}
	if err != nil {
		return err
	}
	return r.conclude(ctx, st)
}

// findCommands makes sure that the programs of stages can be run.
func findCommands(s crawler.Settings) error {
	for _, st := range s.Stages {
		if len(st.Command) == 0 {
			continue
		}
		if _, err := exec.LookPath(st.Command[0]); err != nil {
			return usagef("stage %s: %v", st.Name, err)
		}
	}
	return nil
}

// explainTopology says what to do about stages that cannot change now.
func (a *app) explainTopology(err error, dir string, before []crawler.Stage) error {
	if errors.Is(err, crawler.ErrFunctions) {
		return &usageError{err}
	}
	if !errors.Is(err, pipeline.ErrTopology) {
		return err
	}
	return usagef("the crawl in %s is unfinished, and its stages (%s) cannot change before it is complete; run it without --stages, --stage and --warc, or begin another with a different --dir", dir, stageNames(before))
}

func stageNames(all []crawler.Stage) string {
	names := make([]string, len(all))
	for i, st := range all {
		names[i] = st.Name
	}
	return strings.Join(names, ",")
}
