package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// workFlags are the flags of work.
type workFlags struct {
	name          string
	archive       string
	workers       int
	allowCommands bool
	patience      time.Duration
	lease         time.Duration
	verbose       bool
}

func (a *app) workCommand() *cobra.Command {
	var f workFlags
	cmd := &cobra.Command{
		Use:   "work URL",
		Short: "Work on the crawl of a server, beside any number of others",
		Long: `Work fetches, extracts and tags for a crawl whose store a server has ('weir serve'
or 'weir crawl --listen'), until the crawl is complete. Its settings are those that
are stored with the crawl. Workers may come and go at any time, and be killed: what
one held is done by another when its lease has run out, after 15 seconds.

Several URLs, separated by commas, are those of a leader and its standbys.`,
		Example: `  weir work http://127.0.0.1:7420 --token-file weir-data/TOKENS
  WEIR_TOKEN=... weir work https://crawl.example.com --name rack1`,
		Args: oneArg("the URL of a server, as 'serve' and 'crawl --listen' show it"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.work(cmd.Context(), args[0], &f) },
	}
	fl := cmd.Flags()
	a.remote.add(fl)
	fl.StringVar(&f.name, "name", "", "what the server lists this worker as; default: the machine and the process")
	fl.StringVar(&f.archive, "warc-dir", "", "`folder` for this worker's own WARC files, if the crawl keeps them")
	fl.IntVar(&f.workers, "workers", 0, "pages being fetched at once here; default: as the crawl says")
	fl.BoolVar(&f.allowCommands, "allow-commands", false, "run the programs that are stages of the crawl (--stage) on this machine")
	fl.DurationVar(&f.patience, "patience", 2*time.Minute, "for how long to wait for a server that does not answer")
	fl.DurationVar(&f.lease, "lease", 15*time.Second, "how long the server keeps what this worker holds when it is not heard of")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "say more about what happens")
	return cmd
}

func (a *app) work(ctx context.Context, url string, f *workFlags) error {
	if !isServer(url) {
		return usagef("%q is no address of a server, as https://host:7420 is", url)
	}
	con := newConsole(a.tty)
	logger, closeLog, err := (&logFlags{}).open(con, f.verbose)
	if err != nil {
		return err
	}
	return errors.Join(a.workFor(ctx, url, f, con, logger), closeLog())
}

func (a *app) workFor(ctx context.Context, url string, f *workFlags, con *console, logger *slog.Logger) error {
	if f.name == "" {
		f.name = workerName()
	}
	o, err := a.remote.options(f.name)
	if err != nil {
		return err
	}
	o.Patience, o.Lease, o.Logger = f.patience, f.lease, logger
	w := awaited{say: func(what string) {
		con.printf("Waiting for %s, which %s; for %s at most (--patience).", url, what, f.patience)
	}}
	o.OnRetry = w.retry
	long := time.AfterFunc(2*time.Second, func() { w.long(true) })
	store, err := remote.Open(ctx, url, o)
	long.Stop()
	w.long(false)
	if err != nil {
		return err
	}
	return errors.Join(a.workOn(ctx, store, url, f, con, logger), store.Close())
}

// awaited says what a server does that is waited for, once it has been waited for long, and
// each thing once.
type awaited struct {
	say func(what string)

	mu   sync.Mutex
	late bool
	what string // the last thing that is known
	said map[string]bool
}

// long notes that it has been long, or is over.
func (w *awaited) long(late bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = late
	w.sayLocked()
}

// retry notes why an attempt has failed.
func (w *awaited) retry(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.what = ""
	if answer, ok := remote.Answer(err); ok {
		w.what = fmt.Sprintf("answers %q", answer)
	}
	w.sayLocked()
}

func (w *awaited) sayLocked() {
	what := cmp.Or(w.what, "does not answer yet")
	if !w.late || w.said[what] {
		return
	}
	if w.said == nil {
		w.said = make(map[string]bool)
	}
	w.said[what] = true
	w.say(what)
}

func (a *app) workOn(ctx context.Context, store *queue.Store, url string, f *workFlags, con *console, logger *slog.Logger) error {
	waiting := time.AfterFunc(2*time.Second, func() {
		con.printf("There is no crawl at %s yet; waiting for it to begin, as with '%s crawl --server %s URL'.", url, a.name, url)
	})
	stored, err := crawler.AwaitCrawl(ctx, store)
	waiting.Stop()
	if err != nil && ctx.Err() != nil {
		return exitError(exitInterrupted)
	}
	if err != nil {
		return err
	}
	options := a.options
	if options.Settings, err = stored.Resume(a.options.Settings); err != nil {
		return err
	}
	settings := &options.Settings
	for _, st := range settings.Stages {
		if st.Command != nil && !f.allowCommands {
			return fmt.Errorf("the stage %s of the crawl is the program %q; --allow-commands lets it run here", st.Name, st.Command)
		}
	}
	if err := findCommands(*settings); err != nil {
		return err
	}
	if f.workers > 0 {
		settings.Workers = f.workers
	}
	r := &crawlRun{app: a, con: con, options: options, logger: logger, live: a.newLive(place{name: url, server: url, files: filepath.Join("weir-files", fileName(url))}, store)}
	r.options.Shared = true
	r.options.ArchiveDir = f.archive
	if err := r.prepare(ctx); err != nil {
		return err
	}
	con.printf("Working as %s for %s.", f.name, url)
	defer standardLog(r.options.Logger)()
	if err := errors.Join(r.crawler.Work(ctx), r.pdf.Close()); err != nil {
		return err
	}
	if ctx.Err() != nil {
		con.printf("Stopped; what was held here has been given back.")
		return exitError(exitInterrupted)
	}
	con.printf("The crawl is complete.")
	return nil
}

// archiveNameFile says which archive a folder of WARC files is.
const archiveNameFile = "ARCHIVE"

// archiveName returns the name of the archive in a folder, which it gets the first time.
func archiveName(dir string) (string, error) {
	name := filepath.Join(dir, archiveNameFile)
	b, err := os.ReadFile(name)
	if err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := rand.Text()
	return id, errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(name, []byte(id+"\n"), 0o666))
}
