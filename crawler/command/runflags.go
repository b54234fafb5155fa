package command

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-301537d8/weir/crawler"
)

// runFlags are what is chosen for one run of a crawl, and not stored with it.
type runFlags struct {
	dir        string
	files      string // a folder
	config     string // a file
	seeds      string // a file
	seeded     bool   // seeds are read, and the crawl has begun with them
	partlyRead bool   // some of seeds may be neither there nor read again
	cookieFile string
	recrawl    string
	dryRun     bool

	progress string
	verbose  bool
	log      logFlags

	listen listenFlags // where workers may join
}

// runSetting is one of them: a flag, and a key in a file where that makes sense.
type runSetting struct {
	name, short, arg, doc string
	values                []string
	text                  *string // one of these two
	on                    *bool
	flagOnly              bool
	bare                  string // the value without an argument
}

// settings is the table of them, with their defaults filled in.
func (f *runFlags) settings() []runSetting {
	f.dir, f.progress = defaultDir, string(progressAuto)
	f.log.format, f.log.level = logText, ""
	return []runSetting{
		{name: "dir", arg: "place", doc: strings.ReplaceAll(dirDoc, "`", ""), text: &f.dir},
		{name: "server", arg: "URL", doc: "keep the crawl at this server, in place of --dir", text: &f.dir, flagOnly: true},
		{name: "listen", arg: "address", doc: "let workers join at this address, as 127.0.0.1:7420", text: &f.listen.address},
		{name: "tokens", arg: "file", doc: "the tokens that let them; see 'serve --help'", text: &f.listen.tokens},
		{name: "tls-cert", arg: "file", doc: "certificate for --listen, in PEM; read again when it changes", text: &f.listen.cert},
		{name: "tls-key", arg: "file", doc: "its key", text: &f.listen.key},
		{name: "listen-insecure", doc: "permit --listen on an address that others can reach, without TLS", on: &f.listen.insecure},
		{name: "files", arg: "folder", doc: "folder for the WARC files (default --dir; of a database weir-files/DATABASE.SCHEMA)", text: &f.files},
		{name: "config", short: "c", arg: "file", doc: "take settings from this YAML file, whose keys are the names of the flags; flags win", text: &f.config, flagOnly: true},
		{name: "seeds", arg: "file", doc: "also begin with the URLs in this file, one a line; - is standard input", text: &f.seeds},
		{name: "cookie-file", arg: "file", doc: "begin with the cookies of this file, Netscape's cookies.txt or JSON; switches --cookies on", text: &f.cookieFile},
		{name: "recrawl", arg: "which", doc: "visit known pages again if the crawl is complete: all of them, or those that are due (--recrawl=due)", values: []string{crawler.RecrawlAll, crawler.RecrawlDue}, text: &f.recrawl, bare: crawler.RecrawlAll},
		{name: "dry-run", doc: "store nothing, and say what the crawl would do with its first seeds", on: &f.dryRun, flagOnly: true},
		{name: "progress", arg: "how", doc: "how to show progress: auto, plain, json or off", values: []string{"auto", "plain", "json", "off"}, text: &f.progress},
		{name: "verbose", short: "v", doc: "say more about what happens; the same as --log-level info", on: &f.verbose},
		{name: "log-level", arg: "level", doc: "what to log: debug, info, warn, error or off (default warn)", values: []string{"debug", "info", "warn", "error", "off"}, text: &f.log.level},
		{name: "log-format", arg: "format", doc: "how log lines are written: text or json", values: []string{logText, logJSON}, text: &f.log.format},
		{name: "log-file", arg: "file", doc: "append log lines to this file, and not to standard error", text: &f.log.file},
	}
}

// add adds flags to a command: all, or those of the names given.
func (f *runFlags) add(cmd *cobra.Command, names ...string) {
	fl := cmd.Flags()
	for _, s := range f.settings() {
		if len(names) > 0 && !slices.Contains(names, s.name) {
			continue
		}
		if s.on != nil {
			fl.BoolVarP(s.on, s.name, s.short, *s.on, s.doc)
			continue
		}
		flag := fl.VarPF(&textFlag{s.text, s.arg, s.values}, s.name, s.short, s.doc)
		if flag.NoOptDefVal = s.bare; s.name == "server" { // what it has is --dir's
			flag.DefValue = ""
		}
		if len(s.values) > 0 {
			complete(cmd, s.name, s.values...)
		}
	}
	if fl.Lookup("dir") != nil {
		if err := cmd.MarkFlagDirname("dir"); err != nil {
			panic(err) // the flag is there
		}
	}
}

// take fills in what a file has chosen and no flag has.
func (f *runFlags) take(file *configFile, flags *pflag.FlagSet) error {
	for _, c := range file.run {
		flag := flags.Lookup(c.name)
		if flag == nil || flag.Changed {
			continue
		}
		if err := flag.Value.Set(c.value); err != nil {
			return usagef("%s: %s: %v", c.origin, c.name, err)
		}
	}
	return nil
}

// textFlag is a flag with a text, which may be one of few.
type textFlag struct {
	text   *string
	arg    string
	values []string
}

func (f *textFlag) Set(v string) error {
	if len(f.values) > 0 && !slices.Contains(f.values, v) {
		return mustBeOneOf(f.values)
	}
	*f.text = v
	return nil
}

func (f *textFlag) String() string { return *f.text }
func (f *textFlag) Type() string   { return f.arg }

func mustBeOneOf(values []string) error {
	last := len(values) - 1
	return fmt.Errorf("it must be %s or %s", strings.Join(values[:last], ", "), values[last])
}
