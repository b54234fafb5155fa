package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// crawlFlags are the flags of weir crawl. Those about the crawl itself become
// crawler.Settings and are stored with it.
type crawlFlags struct {
	dir      string
	progress string
	verbose  bool

	depth         int
	maxPages      int
	scope         string
	allow, deny   []string
	delay         time.Duration
	workers       int
	perHost       int
	userAgent     string
	allowPrivate  bool
	strict        bool
	ignoreRobots  bool
	sitemaps      bool
	forms         bool
	waitForHosts  bool
	grace         time.Duration
	giveUp        time.Duration
	stageBackoff  time.Duration
	stageAttempts int
	cookies       bool
	links         string
	mode          string
	markdown      bool
	stages        []string
	commands      []string // of --stage
	warc          bool
	seeds         string // a file

	recrawl                  string
	every                    time.Duration
	minInterval, maxInterval time.Duration
	history                  int
}

func (a *app) crawlCommand() *cobra.Command {
	var f crawlFlags
	cmd := &cobra.Command{
		Use:   "crawl [flags] URL...",
		Short: "Crawl web sites, or go on with a crawl",
		Long: `Crawl fetches the pages of web sites, follows their links, takes out the text
and tags its words. Everything is kept in a folder as it happens. Run it again
on the same folder, with or without URLs, and it goes on where it was with the
same settings; flags that you give then change the settings from there on.

It obeys robots.txt, asks each host for one page at a time, and leaves a second
between two requests.

Ctrl-C stops cleanly; a second Ctrl-C stops at once. Neither loses anything. The
exit code is 0 only when the crawl is complete, and 130 when it was stopped.`,
		Example: `  weir crawl https://example.com
  weir crawl --dir docs --depth 3 --allow '/docs/' example.com/docs/
  weir crawl --dir docs                  # go on with it
  weir crawl --warc https://example.com  # and keep the pages as they came
  weir crawl --recrawl                   # once it is complete: what has changed?
  weir crawl --every 24h https://example.com   # and keep it fresh
  weir crawl --stage 'topics=python3 topics.py' https://example.com`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.crawl(cmd.Context(), cmd.Flags(), &f, args) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	dirFlag(cmd, &f.dir)
	fl.StringVar(&f.seeds, "seeds", "", "also begin with the URLs in this `file`, one a line; - is standard input")
	fl.StringVar(&f.scope, "scope", "host", "where links are followed to: host (of a seed), domain or any")
	fl.IntVar(&f.depth, "depth", -1, "how many links from a seed to go; 0 means the seeds alone")
	fl.Lookup("depth").DefValue = "unlimited"
	fl.IntVar(&f.maxPages, "max-pages", 0, "how many pages to fetch at most; 0 means any number")
	fl.StringArrayVar(&f.allow, "allow", nil, "follow only URLs that match this `regexp` (repeatable: any of them)")
	fl.StringArrayVar(&f.deny, "deny", nil, "never follow URLs that match this `regexp` (repeatable)")
	fl.DurationVar(&f.delay, "delay", crawler.DefaultDelay, "least time between two requests to a host; 0 means none")
	fl.IntVar(&f.perHost, "per-host", 1, "requests under way to one host at most")
	fl.IntVar(&f.workers, "workers", crawler.DefaultWorkers, "pages being fetched at once, over all hosts")
	fl.StringVar(&f.userAgent, "user-agent", stages.DefaultUserAgent, "who to say we are; robots.txt is read for its first word")
	fl.BoolVar(&f.allowPrivate, "allow-private", false, "permit addresses on private networks and on this machine")
	fl.BoolVar(&f.ignoreRobots, "ignore-robots", false, "fetch what robots.txt forbids; for your own sites")
	fl.BoolVar(&f.sitemaps, "sitemaps", false, "also follow the sitemaps that robots.txt names")
	fl.BoolVar(&f.forms, "forms", false, "also follow what forms with the method GET ask for")
	fl.DurationVar(&f.grace, "grace", crawler.DefaultGrace, "how long a generation waits for a host that fails, before it goes on without it meanwhile")
	fl.DurationVar(&f.giveUp, "give-up", crawler.DefaultGiveUp, "about how long a host may fail before what is left of it is given up")
	fl.BoolVar(&f.waitForHosts, "wait-for-hosts", false, "let generations wait for every host, however long it fails")
	fl.BoolVar(&f.cookies, "cookies", false, "keep the cookies that servers set, and send them back")
	fl.StringVar(&f.links, "links", crawler.LinksAll, "which links to follow beside those that functions follow: all or none")
	fl.BoolVar(&f.strict, "strict-generations", false, "finish a generation in every stage before the next begins")
	fl.BoolVar(&f.markdown, "markdown", false, "keep the main text as Markdown too")
	fl.StringVar(&f.mode, "mode", string(extract.ModeBalanced), "how to find a page's main text: accurate, balanced or fast")
	fl.StringSliceVar(&f.stages, "stages", []string{"crawl", "extract", "tag"}, "which stages to run, in order")
	fl.StringArrayVar(&f.commands, "stage", nil, "run a program as a stage: `'name=command args'` (repeatable); behind the others, or in place of extract or tag")
	fl.IntVar(&f.stageAttempts, "stage-attempts", crawler.DefaultStageAttempts, "how often a stage behind crawl tries a page")
	fl.DurationVar(&f.stageBackoff, "stage-backoff", crawler.DefaultStageBackoff, "how long it waits for the second attempt; further waits double")
	fl.BoolVar(&f.warc, "warc", false, "keep what servers answer in WARC files, in the folder warc of --dir; the same as a stage warc")
	fl.StringVar(&f.recrawl, "recrawl", "", "visit known pages again if the crawl is complete: all of them, or those that are due (--recrawl=due)")
	fl.Lookup("recrawl").NoOptDefVal = crawler.RecrawlAll
	fl.DurationVar(&f.every, "every", 0, "keep running, and visit what is due again so long after the round before; 0 means never")
	fl.DurationVar(&f.minInterval, "min-interval", crawler.DefaultMinInterval, "leave a page alone for so long at least, though it changes all the time")
	fl.DurationVar(&f.maxInterval, "max-interval", crawler.DefaultMaxInterval, "visit a page again after so long at most, though it never changes")
	fl.IntVar(&f.history, "history", crawler.DefaultHistory, "how many visits and changes to remember of a page, with the texts before; 0 means none")
	progressFlags(cmd, &f.progress, &f.verbose)
	complete(cmd, "recrawl", crawler.RecrawlAll, crawler.RecrawlDue)
	complete(cmd, "scope", "host", "domain", "any")
	complete(cmd, "mode", "accurate", "balanced", "fast")
	complete(cmd, "links", crawler.LinksAll, crawler.LinksNone)
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

func (a *app) crawl(ctx context.Context, flags *pflag.FlagSet, f *crawlFlags, args []string) error {
	progress, err := parseProgress(f.progress)
	if err != nil {
		return err
	}
	seeds, err := parseSeeds(args)
	if err != nil {
		return err
	}
	// A first look at the flags, before a folder is made.
	fresh := a.options.Settings
	if err := f.apply(flags, &fresh); err != nil {
		return err
	}
	ok, err := badgerqueue.Exists(f.dir)
	if err == nil && !ok {
		err = errors.Join(refusePrivate(fresh, seeds), findCommands(fresh))
	}
	if err != nil {
		return err
	}
	con := newConsole(a.tty)
	l, err := a.openForCrawl(ctx, f.dir, f.seeds != "" || len(seeds) > 0 || len(a.options.Seeds) > 0, con, f.verbose)
	if err != nil {
		return err
	}
	return errors.Join(a.crawlOn(ctx, l, flags, f, seeds, con, progress), l.close())
}

func (a *app) crawlOn(ctx context.Context, l *live, flags *pflag.FlagSet, f *crawlFlags, seeds []string, con *console, progress progressMode) error {
	if isDemo(ctx, l.store) {
		return usagef("%s holds the demo, whose site only 'weir demo%s' serves; choose another folder with --dir", f.dir, demoArgument(f.dir))
	}
	r := &crawlRun{app: a, live: l, con: con, progress: progress, options: a.options, verbose: f.verbose}
	settings := &r.options.Settings
	var before crawler.Settings
	stored, err := crawler.Load(ctx, l.store)
	begun := err == nil
	if begun {
		before = stored.Settings
		if *settings, err = stored.Resume(a.options.Settings); err != nil {
			return err
		}
	} else if !errors.Is(err, queue.ErrNotFound) {
		return err
	}
	if r.options.Seeds, err = a.seeds(ctx, l, begun, seeds); err != nil {
		return err
	}
	if !begun && len(r.options.Seeds) == 0 && f.seeds == "" {
		return usagef("no crawl has begun in %s: name a URL to begin with", f.dir)
	}
	if err := f.apply(flags, settings); err != nil {
		return err
	}
	if err := r.refusePrivate(ctx, before); err != nil {
		return err
	}
	if err := findCommands(*settings); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return a.explainTopology(err, f.dir, before.Stages)
	}
	if err := r.addSeeds(ctx, f.seeds); err != nil {
		return err
	}
	if begun {
		seeded, err := r.hasNewSeeds(ctx)
		if err != nil {
			return err
		}
		if f.recrawl != "" && !seeded {
			if r.recrawls, err = r.crawler.Recrawl(ctx, f.recrawl); err != nil {
				return err
			}
		}
		if err := r.announceResume(ctx, before, seeded); err != nil {
			return err
		}
	}
	st, err := r.run(ctx)
	if err != nil {
		return err
	}
	return r.conclude(ctx, st)
}

// apply puts the flags that were given into settings.
func (f *crawlFlags) apply(flags *pflag.FlagSet, s *crawler.Settings) error {
	given := flags.Changed
	for name, n := range map[string]int{"workers": f.workers, "per-host": f.perHost, "stage-attempts": f.stageAttempts} {
		if given(name) && n < 1 {
			return usagef("--%s is %d; it must be at least 1", name, n)
		}
	}
	if f.maxPages < 0 {
		return usagef("--max-pages is %d; it must not be negative", f.maxPages)
	}
	if given("grace") && f.grace <= 0 || given("give-up") && f.giveUp <= 0 {
		return usagef("--grace and --give-up must be longer than nothing; --wait-for-hosts is for no grace at all")
	}
	if given("stage-backoff") && f.stageBackoff <= 0 {
		return usagef("--stage-backoff is %s; it must be longer than nothing", f.stageBackoff)
	}
	if given("recrawl") && f.recrawl != crawler.RecrawlAll && f.recrawl != crawler.RecrawlDue {
		return usagef("--recrawl is %q; it must be all or due", f.recrawl)
	}
	if f.every < 0 {
		return usagef("--every is %s; it must not be negative", f.every)
	}
	for name, d := range map[string]time.Duration{"min-interval": f.minInterval, "max-interval": f.maxInterval} {
		if given(name) && d <= 0 {
			return usagef("--%s is %s; it must be longer than nothing", name, d)
		}
	}
	if f.history < 0 {
		return usagef("--history is %d; it must not be negative", f.history)
	}
	if f.delay < 0 {
		return usagef("--delay is %s; it must not be negative", f.delay)
	}
	if _, err := extract.ParseMode(f.mode); err != nil || f.mode == "" {
		return usagef("--mode is %q; it must be accurate, balanced or fast", f.mode)
	}
	if f.links != crawler.LinksAll && f.links != crawler.LinksNone {
		return usagef("--links is %q; it must be all or none", f.links)
	}
	if w := scope.Within(f.scope); w != scope.WithinHost && w != scope.WithinDomain && w != scope.WithinAny {
		return usagef("--scope is %q; it must be host, domain or any", f.scope)
	}
	for name, set := range map[string]func(){
		"depth":              func() { s.Scope.MaxDepth = maxDepth(f.depth) },
		"max-pages":          func() { s.MaxPages = f.maxPages },
		"scope":              func() { s.Scope.Within = scope.Within(f.scope) },
		"allow":              func() { s.Scope.Allow = withoutEmpty(f.allow) },
		"deny":               func() { s.Scope.Deny = withoutEmpty(f.deny) },
		"workers":            func() { s.Workers = f.workers },
		"per-host":           func() { s.PerHost = f.perHost },
		"user-agent":         func() { s.UserAgent = f.userAgent },
		"allow-private":      func() { s.AllowPrivate = f.allowPrivate },
		"strict-generations": func() { s.Strict = f.strict },
		"ignore-robots":      func() { s.IgnoreRobots = f.ignoreRobots },
		"sitemaps":           func() { s.Sitemaps = f.sitemaps },
		"forms":              func() { s.Forms = f.forms },
		"give-up":            func() { s.GiveUp = f.giveUp },
		"stage-attempts":     func() { s.StageAttempts = f.stageAttempts },
		"stage-backoff":      func() { s.StageBackoff = f.stageBackoff },
		"cookies":            func() { s.Cookies = f.cookies },
		"links":              func() { s.Links = f.links },
		"markdown":           func() { s.Markdown = f.markdown },
		"mode":               func() { s.Mode = extract.Mode(f.mode) },
		"every":              func() { s.Every = f.every },
		"min-interval":       func() { s.MinInterval = f.minInterval },
		"max-interval":       func() { s.MaxInterval = f.maxInterval },
		"history": func() {
			if s.History = f.history; f.history == 0 {
				s.History = -1
			}
		},
		"delay": func() {
			if s.Delay = f.delay; f.delay == 0 {
				s.Delay = -1
			}
		},
	} {
		if given(name) {
			set()
		}
	}
	if given("grace") {
		s.Grace = f.grace
	}
	if given("wait-for-hosts") {
		s.Grace = f.grace
		if f.waitForHosts {
			s.Grace = -1
		}
	}
	if _, err := s.Scope.New(nil); err != nil {
		return &usageError{err}
	}
	if err := f.applyStages(given("stages"), s); err != nil {
		return err
	}
	if given("warc") {
		s.Stages = slices.DeleteFunc(s.Stages, func(st crawler.Stage) bool { return st.Name == crawler.StageWARC })
		if f.warc {
			s.Stages = append(s.Stages, crawler.Stage{Name: crawler.StageWARC})
		}
	}
	return nil
}

// maxDepth is a depth of the command line, where 0 means the seeds alone, as a
// setting.
func maxDepth(flag int) int {
	switch {
	case flag < 0:
		return 0
	case flag == 0:
		return -1
	}
	return flag
}

// withoutEmpty makes --deny= take back an earlier --deny.
func withoutEmpty(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
}

// applyStages makes the list of stages from --stages and --stage.
func (f *crawlFlags) applyStages(given bool, s *crawler.Settings) error {
	if given || len(s.Stages) == 0 {
		old := s.Stages
		s.Stages = nil
		for _, name := range f.stages {
			st := crawler.Stage{Name: strings.TrimSpace(name)}
			if i := slices.IndexFunc(old, func(o crawler.Stage) bool { return o.Name == st.Name }); i >= 0 {
				st = old[i]
			}
			s.Stages = append(s.Stages, st)
		}
	}
	s.Stages = slices.Clone(s.Stages)
	for _, c := range f.commands {
		name, line, ok := strings.Cut(c, "=")
		name = strings.TrimSpace(name)
		command, err := splitCommand(line)
		switch {
		case !ok || name == "" || err == nil && len(command) == 0:
			return usagef("--stage %q is not of the form 'name=command args'", c)
		case err != nil:
			return usagef("--stage %s: %v", name, err)
		case name == crawler.StageCrawl || name == crawler.StageWARC:
			return usagef("--stage: the stage %s cannot be another program", name)
		}
		i := slices.IndexFunc(s.Stages, func(o crawler.Stage) bool { return o.Name == name })
		switch {
		case i >= 0:
			s.Stages[i].Command = command
		case given:
			return usagef("--stage %s is not among --stages %s", name, strings.Join(f.stages, ","))
		default:
			s.Stages = append(s.Stages, crawler.Stage{Name: name, Command: command})
		}
	}
	if s.Stages[0].Name != crawler.StageCrawl {
		return usagef("--stages must begin with crawl")
	}
	for i, st := range s.Stages {
		if !slices.Contains(crawler.BuiltinStages(), st.Name) && len(st.Command) == 0 {
			return usagef("stage %q is not known; the stages are %s, and those that --stage '%s=command' adds", st.Name, strings.Join(crawler.BuiltinStages(), ", "), st.Name)
		}
		if slices.ContainsFunc(s.Stages[:i], func(o crawler.Stage) bool { return o.Name == st.Name }) {
			return usagef("stage %s is there twice", st.Name)
		}
	}
	return nil
}

// splitCommand cuts a command line into words as a shell does, with quotes and
// backslashes and nothing else.
func splitCommand(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case c == '\\' && quote != '\'' && i+1 < len(runes) && strings.ContainsRune(`\'" `, runes[i+1]):
			i++
			word.WriteRune(runes[i])
			inWord = true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
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

// parseSeeds gives the URLs on the command line their canonical form. Those
// without a scheme get https.
func parseSeeds(args []string) ([]string, error) {
	var seeds []string
	for _, arg := range args {
		raw := strings.TrimSpace(arg)
		if !strings.Contains(raw, "://") {
			raw = "https://" + raw
		}
		u, err := weburl.Parse(raw)
		if err != nil {
			return nil, usagef("%q is no web address: %v", arg, reasonOf(err))
		}
		seeds = append(seeds, u.String())
	}
	return seeds, nil
}

// reasonOf is the reason in an error of weburl, or the error.
func reasonOf(err error) error {
	var reason weburl.Reason
	if errors.As(err, &reason) {
		return reason
	}
	return err
}

// maxSeedLine bounds a line of a file of seeds, in bytes.
const maxSeedLine = 64 << 10

// addSeeds adds the seeds of a file to the crawl, some at a time. Empty lines and those that begin with # are passed over.
func (r *crawlRun) addSeeds(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	in := r.app.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return &usageError{err}
		}
		defer f.Close()
		in = f
	}
	if err := r.crawler.Begin(ctx); err != nil {
		return err
	}
	const some = 5000
	var seeds []crawler.Request
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxSeedLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		urls, err := parseSeeds([]string{line})
		if err == nil {
			err = refusePrivate(r.options.Settings, urls)
		}
		if err != nil {
			return usagef("--seeds %s, line %d: %v; the lines before it are added", name, number, err)
		}
		seeds = append(seeds, crawler.Request{URL: urls[0]})
		if len(seeds) == some {
			if err := r.crawler.Add(ctx, seeds...); err != nil {
				return err
			}
			seeds = seeds[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("--seeds %s: %w", name, err)
	}
	return r.crawler.Add(ctx, seeds...)
}

// seeds returns what is to be added to a crawl: the URLs that were named, or else
// the program's own. A crawl that was begun with other URLs stays with these.
func (a *app) seeds(ctx context.Context, l *live, begun bool, named []string) ([]crawler.Request, error) {
	if len(named) > 0 || !begun {
		if len(named) > 0 {
			return crawler.Seeds(named...), nil
		}
		return a.options.Seeds, nil
	}
	for _, own := range a.options.Seeds {
		if known, err := inspect.HasSeed(ctx, l.store, own); known || err != nil {
			return a.options.Seeds, err
		}
	}
	return nil, nil
}

// hasNewSeeds reports whether the crawl has not had one of the seeds before.
func (r *crawlRun) hasNewSeeds(ctx context.Context) (bool, error) {
	for _, s := range r.options.Seeds {
		known, err := inspect.HasSeed(ctx, r.live.store, s)
		if err != nil || !known {
			return err == nil, err
		}
	}
	return false, nil
}

// refusePrivate is the function of that name for all seeds, if they may not be
// private any more.
func (r *crawlRun) refusePrivate(ctx context.Context, before crawler.Settings) error {
	s := r.options.Settings
	for _, seed := range r.options.Seeds {
		if err := refusePrivate(s, []string{seed.URL}); err != nil {
			return err
		}
	}
	if s.AllowPrivate || !before.AllowPrivate {
		return nil
	}
	return inspect.WalkSeeds(ctx, r.live.store, func(seed *crawler.Request) error {
		return refusePrivate(s, []string{seed.URL})
	})
}

// refusePrivate says that --allow-private is needed if a seed is plainly on a
// private network. Names that only lead there fail when they are fetched.
func refusePrivate(s crawler.Settings, seeds []string) error {
	if s.AllowPrivate {
		return nil
	}
	for _, seed := range seeds {
		u, err := weburl.Parse(seed)
		if err != nil {
			continue
		}
		name := u.Hostname()
		addr, err := netip.ParseAddr(name)
		private := err == nil && (addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified())
		if private || name == "localhost" || strings.HasSuffix(name, ".localhost") {
			return usagef("%s is on a private network or this machine, which a crawl does not touch unless you give --allow-private", seed)
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
