// Package command makes a program of a crawl: with its own functions, and with
// all the commands of weir, their flags, progress, exit codes, and going on where
// it was.
//
//	func main() {
//		command.Main(&crawler.Options{
//			Seeds:     crawler.Seeds("https://example.com/"),
//			Functions: []crawler.Function{{Visit: page}},
//			Items:     map[string]any{"quotes": Quote{}},
//		})
//	}
//
// or, of one function, crawler.Scrape[Quote]("quotes", page, "https://example.com/").
//
// The program's crawl command takes the seeds and settings that the program gives
// for its own, and flags change these. What was chosen by flags is stored with
// the crawl and holds when it goes on; a setting that the program has changed
// since then takes the place of the stored one. The command weir is the program
// whose options are nil.
//
// Each subcommand has a file of its name. Those that look at a store run in the
// process that has the folder open; see forward.go.
package command

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/internal/printable"
)

// Main is all of a program's main: it runs the command of the process and exits.
// The program is called as its file is. Nil options are those of weir itself.
func Main(options *crawler.Options) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		memory.TuneCollector()
	}
	signal.Ignore(syscall.SIGPIPE) // a closed pipe is an error of the write
	signals, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancelCause(context.Background())
	context.AfterFunc(signals, func() {
		stop() // before anybody hears of the first one: a second ends the process at once
		cancel(context.Cause(signals))
	})
	args := append([]string{programName(os.Args[0])}, os.Args[1:]...)
	a := newApp(options, os.Stdin, os.Stdout, os.Stderr)
	os.Exit(a.runArgs(ctx, args))
}

// programName is the name of a program's file, as it is typed.
func programName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), ".exe")
}

// Run runs a command line, which begins with the name of the program, until it is
// done or ctx ends, and returns the exit code: 0 for success, 1 for failure, 2 for
// a command line or options that cannot be, 3 if Settings.MaxTime was over, and 130 if ctx has ended it. Nil
// options are those of weir itself.
func Run(ctx context.Context, options *crawler.Options, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return newApp(options, stdin, stdout, stderr).runArgs(ctx, args)
}

func newApp(options *crawler.Options, stdin io.Reader, stdout, stderr io.Writer) *app {
	to := &outlet{w: stdout}
	a := &app{name: "weir", in: stdin, to: to, out: printable.NewWriter(to), err: printable.NewWriter(stderr), tty: stderr}
	if options != nil {
		a.options = *options
	}
	return a
}

// runArgs is Run.
func (a *app) runArgs(ctx context.Context, args []string) int {
	if len(args) > 0 {
		a.name, args = args[0], args[1:]
	}
	return a.run(ctx, args)
}
