package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/crawler/internal/columns"
	"github.com/seed-301537d8/weir/queue"
)

// exportItems writes the items of a name, in the order of their keys: as JSON
// lines as they are, as CSV in the columns of their type.
func exportItems(ctx context.Context, store *queue.Store, name, format string, out io.Writer) error {
	stored, err := crawler.Load(ctx, store)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(stored.Items, func(k crawler.ItemKind) bool { return k.Name == name })
	if i < 0 {
		return usagef("the crawl has no items %q; it has %s", name, itemNames(stored.Items))
	}
	buf := bufio.NewWriterSize(out, 64<<10)
	switch format {
	case "csv":
		err = itemsAsCSV(ctx, store, stored.Items[i], buf)
	case "parquet":
		err = itemsAsParquet(ctx, store, stored.Items[i], buf)
	default:
		err = inspect.WalkItems(ctx, store, name, func(it *crawler.StoredItem) error {
			_, err := buf.Write(append(it.Value, '\n'))
			return err
		})
	}
	if err != nil {
		return err
	}
	return buf.Flush()
}

func itemNames(kinds []crawler.ItemKind) string {
	if len(kinds) == 0 {
		return "none"
	}
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}

func itemsAsCSV(ctx context.Context, store *queue.Store, kind crawler.ItemKind, out io.Writer) error {
	w := csv.NewWriter(out)
	if err := w.Write(kind.Columns); err != nil {
		return err
	}
	err := inspect.WalkItems(ctx, store, kind.Name, func(it *crawler.StoredItem) error {
		row := make([]string, len(kind.Columns))
		var fields map[string]json.RawMessage
		if json.Unmarshal(it.Value, &fields) != nil { // no object: the value is all
			row[0] = cell(it.Value)
			return w.Write(row)
		}
		for i, column := range kind.Columns {
			row[i] = cell(fields[column])
		}
		return w.Write(row)
	})
	if err != nil {
		return fmt.Errorf("items %s: %w", kind.Name, err)
	}
	w.Flush()
	return w.Error()
}

func itemsAsParquet(ctx context.Context, store *queue.Store, kind crawler.ItemKind, out io.Writer) error {
	all := make([]columns.Column, len(kind.Columns))
	for i, name := range kind.Columns {
		all[i] = columns.Column{Name: name, Type: columns.JSON}
		if i < len(kind.Types) {
			all[i].Type = kind.Types[i]
		}
	}
	w := newParquetWriter(out, kind.Name, all)
	err := inspect.WalkItems(ctx, store, kind.Name, func(it *crawler.StoredItem) error {
		if err := w.write(it.Value); err != nil {
			return fmt.Errorf("%s: %w", it.Key, err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("items %s: %w", kind.Name, err)
	}
	return w.close()
}

// cell is a value in JSON as a cell: a text as it is, null as nothing, the rest as
// JSON.
func cell(value json.RawMessage) string {
	var text string
	switch {
	case len(value) == 0 || bytes.Equal(value, []byte("null")):
		return ""
	case json.Unmarshal(value, &text) == nil:
		return text
	}
	return string(value)
}
