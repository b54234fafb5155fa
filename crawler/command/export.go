package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
)

// What can be exported, and how.
var (
	exportKinds   = []string{"pages", "links", "generations", "failures", "captures", "assets", "items"}
	exportFormats = []string{"jsonl", "csv", "parquet", "conllu", "cdxj"}
)

func (a *app) exportCommand() *cobra.Command {
	var dir, format, file string
	cmd := &cobra.Command{
		Use:   "export [flags] pages|links|generations|failures|captures|assets|items NAME",
		Short: "Write what a crawl has found, as JSON lines, CSV, Parquet, CoNLL-U or CDXJ",
		Long: `Export writes one line for each page, link, generation or failure, also while the
crawl runs. docs/cli.md describes the fields. CoNLL-U has the tagged sentences of
each page. Captures are the answers in the WARC files of a crawl with --warc; as
CDXJ they are the index that replay tools read, once it is sorted. Items are what
the functions of a program have written under a name, one value a line. Parquet has
typed columns, and is written to a file.`,
		Example: `  weir export pages | jq -r .title | head
  weir export pages --format conllu -o pages.conllu
  weir export failures --format csv -o failures.csv
  weir export links --dir docs
  weir export captures --format cdxj | LC_ALL=C sort > index.cdxj
  weir export items quotes --format csv -o quotes.csv
  weir export pages --format parquet -o pages.parquet`,
		Args:      exportArgs,
		ValidArgs: exportKinds,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !slices.Contains(exportFormats, format):
				return usagef("--format is %q; it must be %s", format, strings.Join(exportFormats, ", "))
			case format == "conllu" && args[0] != "pages":
				return usagef("only pages can be exported as conllu")
			case format == "parquet" && (file == "" || file == "-"):
				return usagef("parquet is for files: say which one with -o FILE")
			case format == "cdxj" && args[0] != "captures":
				return usagef("only captures can be exported as cdxj")
			}
			return a.toFile(file, func(out io.Writer) error {
				return a.withStore(cmd.Context(), dir, out, func(ctx context.Context, l *live, out io.Writer) error {
					if err := l.canExport(ctx, args[0], format); err != nil {
						return l.noCrawl(err)
					}
					if args[0] == "items" {
						return l.noCrawl(exportItems(ctx, l.store, args[1], format, out))
					}
					return l.noCrawl(export(ctx, l.store, args[0], format, out))
				})
			})
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl, csv, parquet, conllu or cdxj")
	cmd.Flags().StringVarP(&file, "output", "o", "", "write to this `file`, which appears when it is whole (default: standard output)")
	complete(cmd, "format", exportFormats...)
	return cmd
}

// canExport says what a crawl lacks that an export needs.
func (l *live) canExport(ctx context.Context, kind, format string) error {
	stored, err := crawler.Load(ctx, l.store)
	if err != nil {
		return err
	}
	lacks := func(stage, table string) (bool, error) {
		if stored.Settings.Runs(stage) {
			return false, nil
		}
		left, err := l.store.Scan(ctx, table, "", "", 1) // of when the stage ran
		return len(left) == 0, err
	}
	if kind == "captures" {
		if lacks, err := lacks(crawler.StageWARC, tables.Captures); lacks || err != nil {
			return cmp.Or(err, fmt.Errorf("the crawl in %s keeps no archive, so there are no captures; a crawl with --warc does", l.dir))
		}
	}
	if kind == "assets" && stored.Settings.Requisites == crawler.RequisitesNone {
		if left, err := l.store.Scan(ctx, tables.Assets, "", "", 1); len(left) == 0 || err != nil {
			return cmp.Or(err, fmt.Errorf("the crawl in %s fetches no requisites of pages, so there are no assets; a crawl with --requisites does", l.dir))
		}
	}
	if format == "conllu" {
		if lacks, err := lacks(crawler.StageTag, tables.Tags); lacks || err != nil {
			return cmp.Or(err, fmt.Errorf("the crawl in %s has no stage tag, so there are no words to write; a crawl with --stages crawl,extract,tag has", l.dir))
		}
	}
	return nil
}

// exportArgs takes what can be exported, and the name of items.
func exportArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && args[0] == "items" {
		if len(args) != 2 {
			return errors.New("say which items: export items NAME")
		}
		return nil
	}
	if len(args) != 1 {
		return fmt.Errorf("say what to export: %s", strings.Join(exportKinds, ", "))
	}
	if !slices.Contains(exportKinds, args[0]) {
		return fmt.Errorf("there are no %q to export, but %s%s", args[0], strings.Join(exportKinds, ", "), didYouMean(args[0], exportKinds, ""))
	}
	return nil
}

// toFile lets fn write to a file, which takes the place of an older one when fn
// has written all of it, or to standard output if the name is empty or "-".
func (a *app) toFile(name string, fn func(io.Writer) error) error {
	if name == "" || name == "-" || a.live != nil { // then the caller has the file
		return fn(a.out)
	}
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		return fmt.Errorf("write %s: it is a folder; give the name of a file", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return aboutFile(name, err)
	}
	err = fn(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(aboutFile(name, err), os.Remove(f.Name()))
	}
	return nil
}

// aboutFile is an error of a temporary file as one of the file that it was to
// become.
func aboutFile(name string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	temporary := func(p string) bool { return strings.HasPrefix(filepath.Base(p), "."+filepath.Base(name)+".") }
	switch {
	case errors.As(err, &path) && temporary(path.Path):
		return fmt.Errorf("write %s: %w", name, path.Err)
	case errors.As(err, &link) && temporary(link.Old):
		return fmt.Errorf("write %s: %w", name, link.Err)
	}
	return err
}

// export writes one kind of record. The writer is flushed as it fills, so that
// memory does not grow with the crawl.
func export(ctx context.Context, store *queue.Store, kind, format string, out io.Writer) error {
	// An empty crawl and no crawl are not the same.
	if _, err := crawler.Load(ctx, store); err != nil {
		return err
	}
	buf := bufio.NewWriterSize(out, 64<<10)
	write, finish := exportWriter(format, buf)
	var err error
	switch kind {
	case "pages":
		if format == "conllu" {
			n := 0
			err = inspect.WalkResults(ctx, store, func(r *inspect.Result) error { n++; return writeConllu(buf, n, r) })
			break
		}
		err = inspect.WalkResults(ctx, store, func(r *inspect.Result) error { return write(pageRecord(r.Row())) })
	case "links":
		err = inspect.WalkLinks(ctx, store, func(l *inspect.LinkRow) error { return write(linkRecord(*l)) })
	case "failures":
		err = inspect.WalkFailures(ctx, store, func(f *crawler.Failure) error { f.Request = nil; return write(failureRecord(*f)) })
	case "assets":
		err = inspect.WalkAssets(ctx, store, func(a *crawler.Asset) error { return write(assetRecord(*a)) })
	case "captures":
		err = inspect.WalkCaptures(ctx, store, func(c *crawler.Capture) error {
			if format == "cdxj" {
				return writeCDXJ(buf, c)
			}
			return write(captureRecord(*c))
		})
	case "generations":
		var st inspect.Status
		if st, err = inspect.ReadStatus(ctx, store); err == nil {
			for _, g := range st.Generations {
				if err = write(generationRecord(g)); err != nil {
					break
				}
			}
		}
	default:
		return fmt.Errorf("nothing is called %q", kind)
	}
	if err != nil {
		return err
	}
	if err := finish(kind); err != nil {
		return err
	}
	return buf.Flush()
}
