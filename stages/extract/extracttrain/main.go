// Extracttrain trains the model by which package extract tells the content of a
// page from the rest.
//
//	go run ./stages/extract/extracttrain -data web-content-extraction-benchmark/dev
//
// The data are the development pages of the Web Content Extraction Benchmark
// (github.com/Murrough-Foley/web-content-extraction-benchmark, CC BY 4.0): a
// folder html of gzipped pages and a folder ground-truth of JSON. The same data
// make the same model, bit for bit. It prints the quality on pages held out by
// site, which is what the model can be expected to reach on pages it has not
// seen; see docs/extract.md.
package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

func main() {
	data := flag.String("data", "", "the `folder` with html and ground-truth")
	out := flag.String("out", "stages/extract/internal/content/content.model", "the `file` to write the model to; none if empty")
	folds := flag.Int("folds", 3, "how often sites are held out")
	trees := flag.Int("trees", 100, "trees of each forest")
	leaves := flag.Int("leaves", 24, "leaves of each tree")
	rows := flag.Float64("rows", .4, "share of the blocks that each tree sees")
	every := flag.Int("every", 1, "train on one page in `n` only")
	more := flag.Int("more", 1, "forests that only the accurate mode asks")
	pages := flag.String("pages", "", "a `file` for the figures of each page; none if empty")
	flag.Parse()
	o := content.TrainOptions{Folds: *folds, Trees: *trees, Leaves: *leaves, Rows: *rows, More: *more, Report: os.Stdout}
	if err := run(*data, *out, *pages, *every, o); err != nil {
		fmt.Fprintln(os.Stderr, "extracttrain:", err)
		os.Exit(1)
	}
}

func run(dir, out, pages string, every int, o content.TrainOptions) error {
	if pages != "" {
		f, err := os.Create(pages)
		if err != nil {
			return err
		}
		defer f.Close()
		o.Pages = f
	}
	samples, err := load(dir, every)
	if err != nil {
		return err
	}
	b := content.Train(samples, o).Append(nil)
	fmt.Printf("model: %d bytes\n", len(b))
	if out == "" {
		return nil
	}
	return os.WriteFile(out, b, 0o644)
}

// A truth is an annotation.
type truth struct {
	URL      string `json:"url"`
	Internal struct {
		PageType json.RawMessage `json:"page_type"`
	} `json:"_internal"`
	GroundTruth struct {
		MainContent string `json:"main_content"`
	} `json:"ground_truth"`
}

func load(dir string, every int) ([]*content.Sample, error) {
	files, err := filepath.Glob(filepath.Join(dir, "ground-truth", "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no annotated pages in %q", dir)
	}
	var samples []*content.Sample
	for i, file := range files {
		if i%every != 0 {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var t truth
		if err := json.Unmarshal(b, &t); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		html, err := readGzip(filepath.Join(dir, "html", name+".html.gz"))
		if err != nil {
			return nil, err
		}
		utf8, _ := stages.ToUTF8(html, "")
		page, err := content.Read(context.Background(), stages.ParseDocument(utf8, t.URL, nil))
		if err != nil {
			return nil, err
		}
		samples = append(samples, &content.Sample{Name: name, Page: page, Site: site(t.URL), Type: typeOf(t.Internal.PageType), Reference: t.GroundTruth.MainContent})
	}
	return samples, nil
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

// site returns the registered domain of an address.
func site(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	d, err := publicsuffix.EffectiveTLDPlusOne(u.Hostname())
	if err != nil {
		return u.Hostname()
	}
	return d
}

func typeOf(raw json.RawMessage) content.PageType {
	var t struct {
		Primary string `json:"primary"`
	}
	if json.Unmarshal(raw, &t) != nil {
		json.Unmarshal(raw, &t.Primary)
	}
	switch t.Primary {
	case "":
		return content.Article
	case "category":
		return content.Collection
	}
	return content.PageType(t.Primary)
}
