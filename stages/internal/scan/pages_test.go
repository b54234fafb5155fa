package scan

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

var more = flag.String("pages", "", "folder of further pages")

// pages returns the project's own pages of the world, and those of -pages.
func pages(t testing.TB) map[string][]byte {
	pages := make(map[string][]byte)
	folders := []string{"../../extract/testdata/pages", "../../../examples/polyglot/pages"}
	if *more != "" {
		folders = append(folders, *more)
	}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".htm") {
				pages[path], err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return pages
}

// Pages of the world are read without a tree, nearly all.
func TestPagesOfTheWorld(t *testing.T) {
	all := pages(t)
	read := 0
	for name, page := range all {
		t.Run(name, func(t *testing.T) {
			if differ(t, page) {
				read++
			}
		})
	}
	t.Logf("of %d pages %d were read without a tree", len(all), read)
	if len(all) < 50 || read < len(all)*9/10 {
		t.Errorf("of %d pages only %d were read without a tree", len(all), read)
	}
}

// What a tree is better for, it is asked for.
func TestGivesUp(t *testing.T) {
	for name, page := range map[string]string{
		"a link left open":     "<p><a href=1>x<p>y</a>",
		"a block in a link":    "<a href=1>x<div>y</a>z</div>",
		"a link in a table":    "<table><tr><a href=1>x</a><td>y</table>",
		"frames":               "<frameset><frame src=f></frameset>",
		"too deep":             strings.Repeat("<div>", 600) + "<a href=1>x</a>",
		"a byte that is none":  "<a href=1>\x00</a>",
		"a template and svg":   "<svg><g><foreignObject><template><a href=1>x</a></template>",
		"rows in a template":   "<template><tr><td></td></tr></template>",
		"a bold link and text": "<b><p><a href=1>x</b>y</a>",
	} {
		if _, ok := Read([]byte(page), testText); ok {
			t.Errorf("%s: it was read", name)
		}
	}
}

// go test -run xxx -bench . -pages DIR
func BenchmarkRead(b *testing.B) {
	all := pages(b)
	size := 0
	for _, page := range all {
		size += len(page)
	}
	for name, fn := range map[string]func([]byte){
		"scan": func(page []byte) { Read(page, 200) },
		"tokenizer": func(page []byte) {
			for z := html.NewTokenizer(bytes.NewReader(page)); z.Next() != html.ErrorToken; {
			}
		},
		"tree": func(page []byte) {
			if root, err := html.Parse(bytes.NewReader(page)); err == nil {
				FromTree(root, 200)
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			for b.Loop() {
				for _, page := range all {
					fn(page)
				}
			}
		})
	}
}
