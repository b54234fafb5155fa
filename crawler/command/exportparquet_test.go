package command_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/seed-301537d8/weir/crawler"
)

type offer struct {
	Name   string            `json:"name"`
	Price  float64           `json:"price"`
	Stock  int               `json:"stock"`
	Sold   bool              `json:"sold"`
	Seen   time.Time         `json:"seen"`
	Note   *string           `json:"note,omitempty"`
	Labels []string          `json:"labels"`
	More   map[string]string `json:"a,omitempty"` // the option is no part of the name
}

// offerRow is a row of the file as another program reads it.
type offerRow struct {
	Name   *string    `parquet:"name,optional"`
	Price  *float64   `parquet:"price,optional"`
	Stock  *int64     `parquet:"stock,optional"`
	Sold   *bool      `parquet:"sold,optional"`
	Seen   *time.Time `parquet:"seen,optional,timestamp(microsecond)"`
	Note   *string    `parquet:"note,optional"`
	Labels *string    `parquet:"labels,optional,json"`
	More   *string    `parquet:"a,optional,json"`
}

func TestExportsAreParquetFiles(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	seen := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	const each = 400
	options := &crawler.Options{
		Seeds: crawler.Seeds(s.URL), Items: map[string]any{"offers": offer{}, "words": ""},
		Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
			note := "n"
			for i := range each {
				o := offer{Name: fmt.Sprintf("%s %03d", v.Text("title"), i), Price: float64(i) / 4, Stock: -i, Sold: i%2 == 0, Seen: seen, Labels: []string{"a"}}
				if i == 1 {
					o.Note = &note
				}
				out.Item("offers", o.Name, o)
			}
			out.Item("words", v.Text("title"), v.Text("title"))
			return nil
		}}},
	}
	export := func(code int, args ...string) result {
		t.Helper()
		r := program(t, options, append([]string{"export", "--dir", dir, "--format", "parquet"}, args...)...)
		if r.code != code {
			t.Fatalf("export %s: exit code %d, want %d: %s", args, r.code, code, r.err)
		}
		return r
	}
	if r := program(t, options, "crawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl,warc", "--max-pages", "2"); r.code != 0 {
		t.Fatalf("crawl: %s", r.err)
	}
	if r := export(2, "items", "offers"); !strings.Contains(r.err, "-o FILE") {
		t.Errorf("parquet to standard output: %s", r.err)
	}

	file := filepath.Join(t.TempDir(), "offers.parquet")
	export(0, "items", "offers", "-o", file)
	rows, err := parquet.ReadFile[offerRow](file)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2*each {
		t.Fatalf("%d rows, want %d", len(rows), 2*each)
	}
	if got := columnsOf(t, file); !slices.Equal(got, []string{"name", "price", "stock", "sold", "seen", "note", "labels", "a"}) {
		t.Errorf("columns %q, not in the order of the type's fields", got)
	}
	r := rows[1]
	if r.Name == nil || !strings.HasSuffix(*r.Name, " 001") || *r.Price != 0.25 || *r.Stock != -1 || *r.Sold || !r.Seen.Equal(seen) || *r.Note != "n" || *r.Labels != `["a"]` || r.More != nil {
		b, _ := json.Marshal(r)
		t.Errorf("row %s", b)
	}
	if rows[0].Note != nil || !*rows[0].Sold {
		t.Errorf("row %+v, want no note, sold", rows[0])
	}

	words := filepath.Join(t.TempDir(), "words.parquet")
	export(0, "items", "words", "-o", words)
	if rows, err := parquet.ReadFile[struct {
		Value string `parquet:"value,optional"`
	}](words); err != nil || len(rows) != 2 || rows[0].Value == "" {
		t.Errorf("words %+v, %v", rows, err)
	}
	for kind, column := range map[string]string{"pages": "fetched_at", "links": "anchor", "failures": "reason", "captures": "offset", "generations": "complete"} {
		file := filepath.Join(t.TempDir(), kind)
		export(0, kind, "-o", file)
		if got := columnsOf(t, file); !slices.Contains(got, column) {
			t.Errorf("%s have the columns %q", kind, got)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		rows := parquet.NewGenericReader[any](f)
		jsonl := must(t, "export", "--dir", dir, kind)
		if n := strings.Count(jsonl, "\n"); rows.NumRows() != int64(n) {
			t.Errorf("%d rows of %s, want %d", rows.NumRows(), kind, n)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func columnsOf(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := parquet.OpenFile(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.Schema().Fields() {
		names = append(names, c.Name())
	}
	return names
}

// A program whose type has changed is told of the value that does not fit.
func TestParquetNamesTheValueThatDoesNotFit(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	run := func(item any, args ...string) result {
		options := &crawler.Options{
			Seeds: crawler.Seeds(s.URL), Items: map[string]any{"things": item},
			Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
				out.Item("things", v.URL, reflect.Zero(reflect.TypeOf(item)).Interface())
				return nil
			}}},
		}
		return program(t, options, append([]string{args[0], "--dir", dir}, args[1:]...)...)
	}
	type before struct{ N string }
	type after struct{ N int }
	if r := run(before{}, "crawl", "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl", "--max-pages", "1"); r.code != 0 {
		t.Fatal(r.err)
	}
	if r := run(after{}, "crawl", "--progress", "off", s.URL+"/other"); r.code != 0 && r.code != 1 {
		t.Fatal(r.err)
	}
	file := filepath.Join(t.TempDir(), "things.parquet")
	r := run(after{}, "export", "items", "things", "--format", "parquet", "-o", file)
	if r.code != 1 || !strings.Contains(r.err, "column N") || !strings.Contains(r.err, "jsonl") {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("half a file is there")
	}
}
