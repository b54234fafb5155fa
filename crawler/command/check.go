package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) checkCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify that a folder is whole",
		Long: `Check reads everything in a folder and compares it: checksums, counts, indexes.
A crawl that runs in the folder waits meanwhile.`,
		Example: "  weir check --dir docs",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), dir, a.out, func(ctx context.Context, l *live, out io.Writer) error {
				if err := l.store.Check(ctx); err != nil {
					return err
				}
				_, err := fmt.Fprintf(out, "%s is whole.\n", l.dir)
				return err
			})
		},
	}
	dirFlag(cmd, &dir)
	return cmd
}
