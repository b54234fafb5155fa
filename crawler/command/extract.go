package command

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/stages/extract"
)

func (a *app) extractCommand() *cobra.Command {
	var mode, url string
	cmd := &cobra.Command{
		Use:   "extract [flags] FILE...",
		Short: "Take the main text out of HTML files",
		Long: `Extract reads HTML of any encoding and writes one JSON object with the text, the
title and the language of the page; for several files one object a line, with
the file's name. The file - is standard input.`,
		Example: `  curl -s https://example.com | weir extract --url https://example.com -
  weir extract --mode accurate *.html | jq -r .text`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := extract.ParseMode(mode)
			if err != nil || mode == "" {
				return usagef("--mode is %q; it must be accurate, balanced or fast", mode)
			}
			x := &extract.Extractor{Mode: m}
			failed := false
			for _, name := range args {
				b, err := a.readFile(name)
				if err != nil {
					failed = true
					fmt.Fprintf(a.err, "%s: %v\n", a.name, err)
					continue
				}
				out := struct {
					File string `json:"file,omitempty"`
					*extract.Text
				}{Text: x.HTML(cmd.Context(), b, url, "")}
				if cmd.Context().Err() != nil {
					return cmd.Context().Err()
				}
				if len(args) > 1 {
					out.File = name
				}
				if err := writeJSON(a.out, out); err != nil {
					return err
				}
			}
			if failed {
				return exitError(exitFailure)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&mode, "mode", string(extract.ModeBalanced), "accurate, balanced or fast")
	cmd.Flags().StringVar(&url, "url", "", "the page's `address`, which relative links need")
	complete(cmd, "mode", "accurate", "balanced", "fast")
	return cmd
}

// maxInput bounds a file that is read whole.
const maxInput = 256 << 20

// readFile reads a file, or standard input if its name is "-".
func (a *app) readFile(name string) ([]byte, error) {
	in, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(b) > maxInput {
		err = errors.New("larger than 256 MiB")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// openFile opens a file, or standard input for "-".
func (a *app) openFile(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.in), nil
	}
	return os.Open(name)
}
