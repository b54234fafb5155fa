package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-301537d8/weir/crawler"
)

// settingFlag is the flag of a setting. It keeps the texts that it was given until
// the settings that they change are known.
type settingFlag struct {
	setting *crawler.Setting
	given   []string
}

// Set refuses what cannot be a value.
func (f *settingFlag) Set(v string) error {
	given := []string{v}
	if f.setting.List {
		given = append(f.given, v)
	}
	if err := f.setting.Set(new(crawler.Settings), given...); err != nil {
		return err
	}
	f.given = given
	return nil
}

func (f *settingFlag) String() string { return strings.Join(f.given, ",") }

func (f *settingFlag) Type() string {
	if f.setting.Switch() {
		return "bool"
	}
	return f.setting.Arg
}

// groupOf is the annotation of a flag with the heading that it stands under.
const groupOf = "weir-group"

// groupRun is the heading of the flags that no setting is.
const groupRun = "This run"

// settingFlags adds the flags of settings to a command.
func settingFlags(cmd *cobra.Command, which func(*crawler.Setting) bool) {
	for _, st := range crawler.AllSettings() {
		if which != nil && !which(st) {
			continue
		}
		f := cmd.Flags().VarPF(&settingFlag{setting: st}, st.Name, "", st.Doc)
		f.DefValue = st.Default
		f.Annotations = map[string][]string{groupOf: {st.Group}}
		if st.Switch() {
			f.NoOptDefVal = "true"
		}
		if st.Bare != "" {
			f.NoOptDefVal = st.Bare
		}
		if len(st.Values) > 0 {
			complete(cmd, st.Name, st.Values...)
		}
	}
	cmd.SetUsageFunc(groupedUsage)
}

// groupedUsage writes how a command is used, with its flags under headings.
func groupedUsage(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	var groups []string
	flags := make(map[string]*pflag.FlagSet)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		group := groupRun
		if g := f.Annotations[groupOf]; len(g) > 0 {
			group = g[0]
		}
		if flags[group] == nil {
			groups = append(groups, group)
			flags[group] = pflag.NewFlagSet("", pflag.ContinueOnError)
			flags[group].SortFlags = false
		}
		flags[group].AddFlag(f)
	})
	for _, group := range groups {
		fmt.Fprintf(w, "\n%s:\n%s", group, flags[group].FlagUsages())
	}
	return nil
}

// choice is a setting that somebody has chosen.
type choice struct {
	setting *crawler.Setting
	values  []string
	origin  string // who has: a flag, or a place in a file
}

// flagChoices are the settings that flags choose, in the order of the table.
func flagChoices(flags *pflag.FlagSet) []choice {
	var all []choice
	for _, st := range crawler.AllSettings() {
		f := flags.Lookup(st.Name)
		if f == nil || !f.Changed {
			continue
		}
		if v, ok := f.Value.(*settingFlag); ok {
			all = append(all, choice{st, v.given, "--" + st.Name})
		}
	}
	return all
}

// choose puts choices into settings and notes where they come from. The error
// names the flag, or the place in the file.
func choose(s *crawler.Settings, origins map[string]string, choices []choice) error {
	for _, c := range choices {
		if err := c.setting.Set(s, c.values...); err != nil {
			return usagef("%s: %v", c.origin, err)
		}
		switch c.setting.Name { // those that are another's are known by its name
		case "wait-for-hosts":
			origins["grace"] = c.origin
		case "warc":
			origins["stages"] = c.origin
		case "stage":
			origins["stage"], origins["stages"] = c.origin, c.origin
		case "auth":
			origins["host"] = c.origin
		default:
			origins[c.setting.Name] = c.origin
		}
	}
	return nil
}

// nearest returns what somebody may have meant, as words for people, or "".
func nearest(typed string, known []string) string {
	// The rule of cobra for its commands: few letters differ, or it begins so.
	c := &cobra.Command{Use: "x", SuggestionsMinimumDistance: 2}
	for _, name := range known {
		c.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	found := c.SuggestionsFor(typed)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// didYouMean is the suggestion for a name that is not known, to be put behind an
// error.
func didYouMean(typed string, known []string, prefix string) string {
	if n := nearest(typed, known); n != "" {
		return fmt.Sprintf("; did you mean %s%s?", prefix, n)
	}
	return ""
}

// mayHoldSecrets are the flags whose values no message repeats.
var mayHoldSecrets = []string{"header", "auth", "proxy", "host"}

// flagError says what an unknown flag may have been meant to be, and what is wrong
// with a value, without that where it may be a secret.
func flagError(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		name := invalid.GetFlag().Name
		if slices.Contains(mayHoldSecrets, name) {
			return fmt.Errorf("--%s: %w", name, errors.Unwrap(invalid))
		}
		return fmt.Errorf("--%s %q: %w", name, invalid.GetValue(), errors.Unwrap(invalid))
	}
	const unknown = "unknown flag: --"
	if typed, ok := strings.CutPrefix(err.Error(), unknown); ok {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				known = append(known, f.Name)
			}
		})
		return fmt.Errorf("%w%s", err, didYouMean(typed, known, "--"))
	}
	return err
}
