package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/remote"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitTimeOver    = 3 // of --max-time
	exitInterrupted = 130
)

// defaultDir is where a crawl is kept.
const defaultDir = "weir-data"

// app is what the subcommands share.
type app struct {
	name    string          // of the program
	options crawler.Options // that it has given

	in       io.Reader
	out, err io.Writer // both let no control characters through
	to       *outlet   // where out writes to; nil in place of another process
	tty      io.Writer // what err writes to, for a console
	args     []string

	// live is set while a subcommand is run for another process: the open
	// store that takes the place of the folder on the command line.
	live *live

	remote remoteFlags // for a store at a server

	parsed bool // the command line is in order; errors are failures from now on
}

func (a *app) run(ctx context.Context, args []string) int {
	a.args = slices.Clone(args)
	root := a.rootCommand()
	if args == nil {
		args = []string{} // nil means os.Args
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	return a.exitCode(ctx, cmd, err)
}

// exitCode says what went wrong, and returns the code for it.
func (a *app) exitCode(ctx context.Context, cmd *cobra.Command, err error) int {
	var exit exitError
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return int(exit)
	case a.to != nil && a.to.closed.Load() && isClosedPipe(err):
		return exitOK // whoever read has seen enough
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return exitInterrupted
	case !a.parsed, errors.As(err, &usage):
		fmt.Fprintf(a.err, "%s: %v\nSee '%s --help'.\n", a.name, err, cmd.CommandPath())
		return exitUsage
	case errors.Is(err, crawler.ErrSettings):
		fmt.Fprintf(a.err, "%s: %v\n", a.name, err)
		return exitUsage
	}
	fmt.Fprintf(a.err, "%s: %v\n", a.name, err)
	if hint := a.hint(err); hint != "" {
		fmt.Fprintln(a.err, hint)
	}
	return exitFailure
}

// hint says what to do about an error, if that is known.
func (a *app) hint(err error) string {
	switch {
	case errors.Is(err, remote.ErrUnauthorized):
		return "Give the server's token in a file (--token-file) or in the variable " + tokenVariable + "."
	case errors.Is(err, queue.ErrDiskFull):
		return "Free some space on the disk and run the same command again; nothing is lost."
	case errors.Is(err, queue.ErrCorrupt):
		return "The folder is damaged. '" + a.name + " check' lists what is wrong; restore the folder from a backup, or begin in a new one."
	}
	return ""
}

// exitError ends a command with a code, when all has been said.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a mistake on the command line that is found late.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   a.name,
		Short: "Crawl the web into pages, text and tags, and never lose your place",
		Long: `Weir crawls web sites politely and turns their pages into plain text and
tagged words. What it does is kept in a folder, step by step: stop it or kill
it at any time, run the same command again, and it goes on where it was.`,
		Example: `  weir demo                                  # see it work, without a network
  weir crawl https://example.com --depth 2   # crawl into the folder weir-data
  weir status                                # how far it is, also while it runs
  weir export pages -o pages.jsonl           # what it found`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              a.noSuchCommand,
		Version:           versionText(),
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error { a.parsed = true; return nil },
	}
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = a.live != nil
	root.AddCommand(a.statusCommand(), a.exportCommand(), a.deadCommand(), a.whyCommand(), a.changesCommand(), a.holdingCommand(), a.checkCommand(), a.configCommand())
	if a.live == nil { // the others are for the process that was called
		root.AddCommand(a.crawlCommand(), a.serveCommand(), a.workCommand(), a.fetchCommand(), a.demoCommand(), a.extractCommand(), a.tagCommand(), a.versionCommand(), a.copyCommand(), a.manCommand())
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd() // which writes where the root writes now
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if of, _, err := root.Find(args); err == nil && (of != root || len(args) == 0) {
					return nil
				}
				return a.noSuchCommand(root, args)
			}
		}
		if cmd.Name() == "completion" {
			cmd.Args = noSuchShell
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			if flags.Lookup("server") != nil {
				a.remote.add(flags)
			}
		}
	}
	if a.name != "weir" {
		rename(root, a.name)
	}
	return root
}

// noSuchShell refuses shells that there is no completion for.
func noSuchShell(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("there is no completion for %q; there is for bash, fish, powershell and zsh", args[0])
	}
	return nil
}

// rename has the help of a program speak of it by its name.
func rename(cmd *cobra.Command, name string) {
	for _, text := range []*string{&cmd.Long, &cmd.Example} {
		*text = weirCommand.ReplaceAllString(*text, "${1}"+name+" ${2}")
	}
	for _, sub := range cmd.Commands() {
		rename(sub, name)
	}
}

// weirCommand matches the name of weir where it is a command to type.
var weirCommand = regexp.MustCompile(`(^|[\s'|])weir ([a-z])`)

// dirDoc is the help of --dir.
const dirDoc = "`place` of the crawl: a folder, or postgres://user@host/database?schema=name"

// noSuchCommand is the error of an argument of the program itself.
func (a *app) noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			known = append(known, c.Name())
		}
	}
	hint := didYouMean(args[0], known, "")
	if strings.Contains(args[0], ".") || strings.Contains(args[0], "://") {
		hint = fmt.Sprintf("; to crawl that site: %s crawl %s", a.name, args[0])
	}
	return fmt.Errorf("unknown command %q for %q%s", args[0], root.Name(), hint)
}

// dirFlag adds --dir.
func dirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", defaultDir, dirDoc)
	serverFlag(cmd.Flags(), dir)
	if err := cmd.MarkFlagDirname("dir"); err != nil {
		panic(err) // the flag is there
	}
}

// oneArg takes a command line with one argument, and says which if there is another
// number.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s has %s; give it %s", cmd.CommandPath(), plural(int64(len(args)), "argument"), what)
		}
		return nil
	}
}

// serverFlag is --server: another way to say --dir.
func serverFlag(flags *pflag.FlagSet, dir *string) {
	flags.StringVar(dir, "server", defaultDir, "`URL` of the server that has the crawl, in place of --dir")
	flags.Lookup("server").DefValue = ""
}

// outlet is where output goes. An error of a closed pipe may be of any connection: whether
// it is of this one, it remembers.
type outlet struct {
	w      io.Writer
	closed atomic.Bool
}

func (o *outlet) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if err != nil && isClosedPipe(err) {
		o.closed.Store(true)
	}
	return n, err
}
