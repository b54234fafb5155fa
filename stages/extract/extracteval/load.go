package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// moduleDir returns where the go command keeps a module's source.
func moduleDir(module string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w (run go mod download first)", module, err)
	}
	dir := strings.TrimSpace(string(out))
	if dir == "" {
		return "", fmt.Errorf("the source of %s is not here: run go mod download", module)
	}
	return dir, nil
}

// snippetPages reads go-trafilatura's comparison pages. Their annotations are a
// Go map in a program of that module, which is read as source.
func snippetPages() ([]page, error) {
	dir, err := moduleDir("github.com/markusmobius/go-trafilatura")
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "scripts", "comparison", "data.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var pages []page
	ast.Inspect(file, func(n ast.Node) bool {
		kv, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		url, entry := stringOf(kv.Key), fieldsOf(kv.Value)
		if url == "" || entry == nil {
			return true
		}
		name := ""
		if len(entry["File"]) == 1 {
			name = entry["File"][0]
		}
		html, err := readFirst(filepath.Join(dir, "test-files", "comparison", name), filepath.Join(dir, "test-files", "mock", name))
		if err == nil {
			pages = append(pages, page{name: name, url: url, html: html, with: entry["With"], without: entry["Without"]})
		}
		return false
	})
	if len(pages) < 500 {
		return nil, fmt.Errorf("only %d annotated pages in %s", len(pages), dir)
	}
	slices.SortFunc(pages, func(a, b page) int { return strings.Compare(a.name, b.name) })
	return pages, nil
}

func readFirst(paths ...string) ([]byte, error) {
	err := errors.New("no path")
	for _, p := range paths {
		var b []byte
		if b, err = os.ReadFile(p); err == nil {
			return b, nil
		}
	}
	return nil, err
}

// stringOf returns the value of a string literal.
func stringOf(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		s, _ := strconv.Unquote(lit.Value)
		return s
	}
	return ""
}

// fieldsOf returns the string fields of a struct literal, each as a list.
func fieldsOf(e ast.Expr) map[string][]string {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	out := make(map[string][]string)
	for _, el := range lit.Elts {
		kv, ok := el.(*ast.KeyValueExpr)
		if !ok {
			return nil
		}
		key, ok := kv.Key.(*ast.Ident)
		if !ok {
			return nil
		}
		if list, ok := kv.Value.(*ast.CompositeLit); ok {
			for _, v := range list.Elts {
				out[key.Name] = append(out[key.Name], stringOf(v))
			}
		} else {
			out[key.Name] = []string{stringOf(kv.Value)}
		}
	}
	return out
}

// readabilityPages reads go-readability's test pages.
func readabilityPages() ([]page, error) {
	dir, err := moduleDir("codeberg.org/readeck/go-readability")
	if err != nil {
		return nil, err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "test-pages", "*", "source.html"))
	if err != nil {
		return nil, err
	}
	var pages []page
	for _, src := range sources {
		html, err := os.ReadFile(src)
		if err != nil {
			return nil, err
		}
		expected, err := os.ReadFile(filepath.Join(filepath.Dir(src), "expected.html"))
		if err != nil {
			return nil, err
		}
		article, err := allText(expected)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page{name: filepath.Base(filepath.Dir(src)), url: "http://fakehost/test/page.html", html: html, article: article})
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("no test pages in %s", dir)
	}
	return pages, nil
}

// allText returns the text of a page, block by block.
func allText(page []byte) (string, error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for n := range root.Descendants() {
		switch {
		case n.Type == html.TextNode && n.Parent.DataAtom != atom.Script && n.Parent.DataAtom != atom.Style:
			b.WriteString(n.Data)
		case n.DataAtom == atom.Br:
			b.WriteByte('\n')
		}
	}
	return b.String(), nil
}

// wcxbPages reads a folder of the Web Content Extraction Benchmark.
func wcxbPages(dir string) ([]page, error) {
	files, err := filepath.Glob(filepath.Join(dir, "ground-truth", "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no annotated pages in %q (see -wcxb)", dir)
	}
	var pages []page
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var truth struct {
			URL      string `json:"url"`
			Internal struct {
				PageType struct {
					Primary string `json:"primary"`
				} `json:"page_type"`
			} `json:"_internal"`
			GroundTruth struct {
				MainContent string `json:"main_content"`
				Author      string `json:"author"`
				PublishDate string `json:"publish_date"`
			} `json:"ground_truth"`
		}
		if err := json.Unmarshal(b, &truth); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		html, err := readGzip(filepath.Join(dir, "html", name+".html.gz"))
		if err != nil {
			return nil, err
		}
		pages = append(pages, page{name: name, url: truth.URL, html: html, article: truth.GroundTruth.MainContent, kind: cmp.Or(truth.Internal.PageType.Primary, "article"),
			author: truth.GroundTruth.Author, published: truth.GroundTruth.PublishDate})
	}
	return pages, nil
}

func readGzip(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return io.ReadAll(z)
}
