package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/queue"
)

// The demo's own record in the store says where its site was.
const (
	demoTable = "demo"
	demoKey   = "web"
)

// demoDelay makes the demo last a few seconds, so that there is something to
// see and time to kill it.
const demoDelay = 250 * time.Millisecond

func (a *app) demoCommand() *cobra.Command {
	var dir, progress string
	var fresh, verbose, torture bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Crawl a small site of its own, and show the result",
		Long: `Demo serves a small web of its own on this machine, in three languages, with a
page that has moved, one that is gone, and one that works at the second try. It
crawls it through all stages and shows what came of it. No network is needed.

Kill it in the middle, even with kill -9, and run it again: it goes on where it
was, and ends with the same result.`,
		Example: `  weir demo
  weir demo --fresh                # from the beginning
  weir status --dir weir-demo      # in another terminal, meanwhile
  weir demo --torture              # what the web is known to hold, case by case`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mode, err := parseProgress(progress)
			if err != nil {
				return err
			}
			if torture {
				return a.torture(cmd.Context())
			}
			return a.demo(cmd.Context(), dir, fresh, mode, verbose)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "weir-demo", "folder of the demo")
	cmd.Flags().BoolVar(&fresh, "fresh", false, "throw away the folder's demo and start over")
	cmd.Flags().BoolVar(&torture, "torture", false, "crawl a site of hard cases instead, in memory, and print pass or fail for each")
	progressFlags(cmd, &progress, &verbose)
	return cmd
}

func (a *app) demo(ctx context.Context, dir string, fresh bool, mode progressMode, verbose bool) error {
	con := newConsole(a.tty)
	logger, _, err := (&logFlags{}).open(con, verbose)
	if err != nil {
		return err
	}
	p, err := parsePlace(dir, "")
	if err != nil {
		return err
	}
	if p.folder == "" {
		return usagef("the demo is in a folder: name one with --dir")
	}
	l, err := a.openForCrawl(ctx, p, memory.StoreOptions(), con, logger)
	if err != nil {
		return err
	}
	web, begun, err := loadDemo(ctx, l.store)
	if err == nil && begun && fresh {
		// Only a folder that is known to be a demo's is thrown away.
		if err = l.close(); err != nil {
			return err
		}
		if err = os.RemoveAll(dir); err != nil {
			return err
		}
		if l, err = a.openForCrawl(ctx, p, memory.StoreOptions(), con, logger); err != nil {
			return err
		}
		web, begun = &demoWeb{}, false
	}
	if err != nil {
		return errors.Join(err, l.close())
	}
	r := &crawlRun{app: a, live: l, con: con, progress: mode, logger: logger}
	return errors.Join(r.demo(ctx, web.Ports, begun), l.close())
}

// resumeCommand is what to type to go on with the crawl in a folder.
func resumeCommand(ctx context.Context, l *live) string {
	if isDemo(ctx, l.store) {
		return l.name + " demo" + demoArgument(l.dir)
	}
	return l.name + " crawl" + dirArgument(l.dir)
}

// isDemo reports whether a store is a demo's, whose site no other command
// serves.
func isDemo(ctx context.Context, store *queue.Store) bool {
	_, err := store.Get(ctx, demoTable, demoKey)
	return err == nil
}

func demoArgument(dir string) string {
	if dir == "weir-demo" {
		return ""
	}
	return dirArgument(dir)
}

// loadDemo reads the demo's record. It refuses a store that holds another
// crawl.
func loadDemo(ctx context.Context, store *queue.Store) (web *demoWeb, begun bool, err error) {
	web = &demoWeb{}
	b, err := store.Get(ctx, demoTable, demoKey)
	if err == nil {
		return web, true, json.Unmarshal(b, web)
	}
	if !errors.Is(err, queue.ErrNotFound) {
		return nil, false, err
	}
	_, err = crawler.Load(ctx, store)
	if err == nil {
		return nil, false, usagef("the folder holds a crawl that is no demo; choose another with --dir")
	}
	if !errors.Is(err, queue.ErrNotFound) {
		return nil, false, err
	}
	return web, false, nil
}

// demo runs the demo, or goes on with it, and shows the result.
func (r *crawlRun) demo(ctx context.Context, ports []int, begun bool) error {
	store := r.live.store
	if begun {
		done, err := r.demoDone(ctx)
		if err != nil {
			return err
		}
		if done {
			r.con.printf("The demo in %s is complete already; start over with --fresh. This is its result.", r.live.dir)
			return r.showDemo(ctx)
		}
		r.con.printf("Going on with the demo in %s, where it was when it stopped.", r.live.dir)
	}
	web, err := startDemoWeb(ctx, ports)
	if err != nil {
		return err
	}
	defer web.close()
	b, err := json.Marshal(web)
	if err != nil {
		return err
	}
	var tx queue.Tx
	tx.Put(demoTable, demoKey, b)
	if err := store.Commit(ctx, &tx); err != nil {
		return err
	}
	if !begun {
		r.con.printf("Serving a small web on ports %s of this machine, and crawling it into %s.", strings.Trim(fmt.Sprint(web.Ports), "[]"), r.live.dir)
	}
	r.con.printf("Try Ctrl-C or kill -9 %d, and run the same command again.", os.Getpid())
	r.options = crawler.Options{
		Settings: crawler.Settings{Delay: demoDelay, AllowPrivate: true}, Seeds: crawler.Seeds(web.seeds()...),
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	st, err := r.run(ctx)
	if err != nil {
		return err
	}
	if !st.Done {
		return r.conclude(ctx, st)
	}
	return r.showDemo(ctx)
}

// demoDone reports whether the demo's crawl is complete.
func (r *crawlRun) demoDone(ctx context.Context) (bool, error) {
	st, err := inspect.ReadProgress(ctx, r.live.store)
	if errors.Is(err, queue.ErrNotFound) {
		return false, nil // it ended before it began
	}
	return st.Done, err
}

// showDemo prints what the demo has found.
func (r *crawlRun) showDemo(ctx context.Context) error {
	store := r.live.store
	st, err := inspect.ReadStatus(ctx, store)
	if err != nil {
		return err
	}
	p := &printer{w: r.app.out}
	p.printf("\nComplete: %s and %s in %s.\n", plural(st.Pages, "page"), plural(st.Failures, "failure"), plural(int64(len(st.Generations)), "generation"))
	writeGenerations(p, st.Generations)

	found := newFindings()
	if err := inspect.WalkResults(ctx, store, found.add); err != nil {
		return err
	}
	p.printf("\nA page of each language, its first sentences, and their words with tags:\n")
	for _, code := range demoLanguages {
		if page := found.example[code]; page != nil {
			writeSample(p, page)
		}
	}
	p.printf("\nThe most frequent noun phrases:\n")
	for _, code := range demoLanguages {
		if phrases := found.top(code, 8); len(phrases) > 0 {
			p.printf("  %s  %s\n", code, strings.Join(phrases, ", "))
		}
	}
	p.printf("\nWhat failed, and why:\n")
	var failed string
	err = inspect.WalkFailures(ctx, store, func(f *crawler.Failure) error {
		failed = f.URL
		p.printf("  %s  %s: %s\n", f.URL, f.Reason, f.Detail)
		return nil
	})
	if err != nil {
		return err
	}
	flag := dirArgument(r.live.dir)
	p.printf("\nNow try:\n  %[1]s status%[2]s\n  %[1]s export%[2]s pages | head -1\n  %[1]s export%[2]s pages --format conllu | less\n", r.app.name, flag)
	if failed != "" {
		p.printf("  %s why%s %s\n", r.app.name, flag, failed)
	}
	p.printf("  %s crawl --depth 1 https://example.com\n", r.app.name)
	return p.err
}

// findings is what the demo shows of its pages.
type findings struct {
	example map[string]*inspect.Result
	phrases map[string]map[string]int
}

func newFindings() *findings {
	return &findings{make(map[string]*inspect.Result), make(map[string]map[string]int)}
}

func (f *findings) add(r *inspect.Result) error {
	if r.Text == nil || r.Tags == nil {
		return nil
	}
	code := r.Tags.Language
	if old := f.example[code]; old == nil || len(r.Text.Text) > len(old.Text.Text) {
		f.example[code] = r
	}
	if f.phrases[code] == nil {
		f.phrases[code] = make(map[string]int)
	}
	for _, c := range r.Tags.Phrases {
		f.phrases[code][c.Text] += c.Count
	}
	return nil
}

// top returns the most frequent phrases of a language, with their counts.
func (f *findings) top(code string, n int) []string {
	var phrases []string
	for phrase := range f.phrases[code] {
		phrases = append(phrases, phrase)
	}
	slices.SortFunc(phrases, func(a, b string) int {
		if d := f.phrases[code][b] - f.phrases[code][a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	phrases = phrases[:min(n, len(phrases))]
	for i, p := range phrases {
		phrases[i] = fmt.Sprintf("%s (%d)", p, f.phrases[code][p])
	}
	return phrases
}

// writeSample writes the title of a page and its first two sentences.
func writeSample(out io.Writer, r *inspect.Result) {
	row := r.Row()
	fmt.Fprintf(out, "  %s (%s)\n", row.Title, row.Language)
	for _, s := range r.Tags.Sentences[:min(2, len(r.Tags.Sentences))] {
		var words []string
		for _, t := range s.Tokens {
			words = append(words, t.Text+"/"+t.Tag())
		}
		for _, line := range wrap(words, 76) {
			fmt.Fprintf(out, "    %s\n", line)
		}
	}
}

// wrap breaks words into lines of at most width characters.
func wrap(words []string, width int) []string {
	var lines []string
	line := ""
	for _, w := range words {
		if line != "" && len([]rune(line))+1+len([]rune(w)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}
