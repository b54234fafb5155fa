package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/stages/extract"
	"github.com/seed-301537d8/weir/stages/pdf"
)

func (a *app) extractCommand() *cobra.Command {
	var mode, url string
	var with []string
	var chunkTokens int
	cmd := &cobra.Command{
		Use:   "extract [flags] FILE...",
		Short: "Take the main text out of HTML, PDF and other files",
		Long: `Extract reads HTML of any encoding, PDF, plain text, feeds and other XML, and writes
one JSON object with the text, the title, the language and the type of the page;
for several files one object a line, with the file's name. The file - is standard
input. More is written if it is asked for by --with:

  markdown   the text as GitHub Flavored Markdown
  links      the links in it
  images     the images in it
  comments   the comments of readers below it
  items      what the page describes by schema.org, in JSON-LD or microdata
  chunks     the text in parts for search, by heading; see --chunk-tokens`,
		Example: `  curl -s https://example.com | weir extract --url https://example.com -
  weir extract --with markdown page.html | jq -r .markdown
  weir extract --mode accurate *.html | jq -r .text`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return oneArg("at least one file, or - for standard input")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := extract.ParseMode(mode)
			if err != nil || mode == "" {
				return usagef("--mode is %q; it must be accurate, balanced or fast", mode)
			}
			var reader pdf.Reader
			defer reader.Close()
			x := &extract.Extractor{Mode: m, PDF: reader.Read}
			if err := ask(x, with, chunkTokens); err != nil {
				return err
			}
			failed := false
			for _, name := range args {
				b, err := a.readFile(cmd.Context(), name)
				if err != nil {
					failed = true
					fmt.Fprintf(a.err, "%s: %v\n", a.name, err)
					continue
				}
				t, err := x.Document(cmd.Context(), b, url, "")
				if cmd.Context().Err() != nil {
					return cmd.Context().Err()
				}
				if err != nil {
					failed = true
					fmt.Fprintf(a.err, "%s: %s: %v\n", a.name, name, err)
					continue
				}
				out := struct {
					File string `json:"file,omitempty"`
					*extract.Text
				}{Text: t}
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
	cmd.Flags().StringSliceVar(&with, "with", nil, "what else to write: "+strings.Join(extractFields, ", "))
	cmd.Flags().IntVar(&chunkTokens, "chunk-tokens", extract.DefaultChunkTokens, "the most `tokens` of a chunk")
	complete(cmd, "mode", "accurate", "balanced", "fast")
	complete(cmd, "with", extractFields...)
	return cmd
}

// extractFields are what --with takes.
var extractFields = []string{"markdown", "links", "images", "comments", "items", "chunks"}

// ask has an extractor fill the fields named.
func ask(x *extract.Extractor, fields []string, chunkTokens int) error {
	for _, f := range fields {
		switch f {
		case "markdown":
			x.Markdown = true
		case "links":
			x.Links = true
		case "images":
			x.Images = true
		case "comments":
			x.Comments = true
		case "items":
			x.Items = true
		case "chunks":
			x.Chunks = &extract.ChunkOptions{MaxTokens: chunkTokens}
		default:
			return usagef("--with %s is not known; it takes %s", f, strings.Join(extractFields, ", "))
		}
	}
	if chunkTokens < 8 {
		return usagef("--chunk-tokens is %d; it must be 8 or more", chunkTokens)
	}
	return nil
}

// maxInput bounds a file that is read whole.
const maxInput = 256 << 20

// readFile reads a file, or standard input if its name is "-".
func (a *app) readFile(ctx context.Context, name string) ([]byte, error) {
	in, err := a.openFile(ctx, name)
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

// openFile opens a file, or standard input for "-". Reading from it ends with ctx.
func (a *app) openFile(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == "-" {
		return reading{ctx, io.NopCloser(a.in)}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return reading{ctx, f}, nil
}

// reading is a file that ends, with its error, when a context does.
type reading struct {
	ctx context.Context
	io.ReadCloser
}

func (r reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.ReadCloser.Read(p)
}
