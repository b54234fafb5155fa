package command

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages, which are made of the commands themselves.
func (a *app) manCommand() *cobra.Command {
	var folder string
	cmd := &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "Write the manual pages",
		Long: `Man writes the manual page of a command, or of the program without one, for the
program man. With --output it writes those of all commands into a folder.`,
		Example: `  weir man crawl | man -l -
  weir man --output /usr/local/share/man/man1`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.InitDefaultCompletionCmd()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Section: "1", Source: a.name + " " + version(), Manual: a.name, Date: commitTime()}
			if folder != "" {
				if err := os.MkdirAll(folder, 0o755); err != nil {
					return err
				}
				return doc.GenManTree(root, header, folder)
			}
			of := root
			for _, name := range args {
				var known []string
				of = nil
				for _, c := range root.Commands() {
					if known = append(known, c.Name()); c.Name() == name {
						of = c
					}
				}
				if of == nil {
					return usagef("there is no command %q%s", name, didYouMean(name, known, ""))
				}
			}
			return writeMan(of, header, a.out)
		},
	}
	cmd.Flags().StringVarP(&folder, "output", "o", "", "write the pages of all commands into this `folder`")
	return cmd
}

func writeMan(cmd *cobra.Command, header *doc.GenManHeader, out io.Writer) error {
	if err := doc.GenMan(cmd, header, out); err != nil {
		return fmt.Errorf("manual of %s: %w", cmd.CommandPath(), err)
	}
	return nil
}

// commitTime is when what this program was built from was committed, so that its
// manual is the same whenever it is written; nil means today.
func commitTime() *time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	for _, s := range info.Settings {
		if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
			return &t
		}
	}
	return nil
}
