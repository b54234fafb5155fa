package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/internal/memory"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// realPages reads the pages that go-trafilatura's module ships: articles, blogs,
// forums and shops in many languages.
func realPages() ([][]byte, error) {
	out, err := exec.Command("go", "mod", "download", "-json", "github.com/markusmobius/go-trafilatura@v1.12.2").Output()
	if err != nil {
		return nil, fmt.Errorf("download the source of go-trafilatura: %w", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "test-files", "comparison", "*.html"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no pages in go-trafilatura's module: %v", err)
	}
	pages := make([][]byte, len(files))
	for i, f := range files {
		if pages[i], err = os.ReadFile(f); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// realSite serves the real pages and an index of them. What they link to is not
// there.
type realSite struct {
	pages func() ([][]byte, error)
}

func (s realSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pages, err := s.pages()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	if r.URL.Path == "/real/" {
		for i := range pages {
			fmt.Fprintf(w, "<a href=%d>page %d</a>\n", i, i)
		}
		return
	}
	i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/real/"))
	if err != nil || i < 0 || i >= len(pages) {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(pages[i])
}

// realSettings are those of a crawl of the real pages.
var realSettings = crawler.Settings{Scope: scope.Settings{MaxDepth: 1}}

// weirText crawls the real pages, extracts and tags their text.
func weirText(s sites) (result, error) { return weir([]string{s.Real}, realSettings, nil) }

// bare is the limit of that: one loop of the same functions, with one parse for
// links and text, of which nothing is kept.
func bare(s sites) (result, error) {
	x := new(extract.Extractor)
	return visitIndex(s.Real, transport(), func(target string, body []byte) {
		utf8, encoding := stages.ToUTF8(body, "text/html")
		doc := stages.ParseDocument(utf8, target, &stages.DocumentOptions{Encoding: encoding})
		doc.Links()
		text := x.Extract(context.Background(), doc, "")
		crawler.TagText(text.Text, text.Language)
	})
}

// extractAlone runs what the extract stage does on all processors, without a
// queue.
func extractAlone(sites) (result, error) {
	pages, err := realPages()
	if err != nil {
		return result{}, err
	}
	x := new(extract.Extractor)
	return alone(len(pages), func(i int) { extractText(x, pages[i]) })
}

// tagAlone is the same with the tag stage.
func tagAlone(sites) (result, error) {
	pages, err := realPages()
	if err != nil {
		return result{}, err
	}
	x := new(extract.Extractor)
	return alone(len(pages), func(i int) {
		t := extractText(x, pages[i])
		crawler.TagText(t.Text, t.Language)
	})
}

func extractText(x *extract.Extractor, page []byte) *extract.Text {
	return x.Extract(context.Background(), stages.ParseDocument(page, "http://127.5.0.1/real/", nil), "")
}

// alone calls fn with every number below n, on all processors.
func alone(n int, fn func(int)) (result, error) {
	memory.TuneCollector()
	fn(0) // models and expressions are loaded once
	start := time.Now()
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				fn(int(i))
			}
		})
	}
	group.Wait()
	return result{Pages: n, Unique: n, Elapsed: time.Since(start)}, nil
}
