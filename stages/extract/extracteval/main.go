// Extracteval measures the extractor's modes, and the libraries that do the same,
// against annotated pages. It is a module of its own, so that these libraries
// are no dependencies of Weir. In this folder:
//
//	go run .                                       all on the sets that come with modules
//	go run . -with fast,go-readability -set snippets -worst 20
//	go run . -set wcxb -wcxb web-content-extraction-benchmark/dev
//
// The sets:
//
//   - snippets: the comparison pages of go-trafilatura, each with a few pieces
//     of text that belong to the main text and a few that do not. A page's
//     result is right for each piece that is there, or is not.
//   - readability: the test pages of go-readability with the articles expected
//     of it, compared by the 4-grams of their words.
//   - wcxb: a folder of the Web Content Extraction Benchmark, compared by words,
//     as its evaluate.py does. Its development pages are what the model is
//     trained on, so that of these extracttrain has the honest figures.
//   - metadata: the authors and dates of publication of the same folder.
//   - form: what becomes of listings and words of the same pages, and whether
//     Markdown has the words of the text.
//
// Speed is pages per second of processor time on one processor, parsing
// included; "worst" is the slowest page by the clock.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	readability "codeberg.org/readeck/go-readability"
	"github.com/markusmobius/go-trafilatura"

	"github.com/seed-301537d8/weir/internal/cputime"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// A page is one annotated page.
type page struct {
	name, url string
	html      []byte
	with      []string // snippets that belong to the text
	without   []string // snippets that do not
	article   string   // or the whole text expected
	kind      string   // its type, of a page whose words are compared
	author    string   // its author, or ""
	published string   // its date of publication, or ""
}

// An extractor returns the text of a page, or "".
type extractor struct {
	name string
	text func(page) string
}

func extractors() []extractor {
	all := []extractor{{"go-readability", readabilityText}, {"go-trafilatura", trafilaturaText(false)}, {"go-trafilatura with fallback", trafilaturaText(true)}}
	for _, m := range []extract.Mode{extract.ModeFast, extract.ModeBalanced, extract.ModeAccurate} {
		x := &extract.Extractor{Mode: m}
		all = append(all, extractor{string(m), func(p page) string { return x.HTML(context.Background(), p.html, p.url, "").Text }})
	}
	return all
}

func readabilityText(p page) string {
	u, _ := url.Parse(p.url)
	utf8, _ := stages.ToUTF8(p.html, "")
	a, err := readability.FromReader(bytes.NewReader(utf8), u)
	if err != nil || a.Node == nil {
		return ""
	}
	return a.TextContent
}

func trafilaturaText(fallback bool) func(page) string {
	return func(p page) string {
		u, _ := url.Parse(p.url)
		utf8, _ := stages.ToUTF8(p.html, "")
		r, err := trafilatura.Extract(bytes.NewReader(utf8), trafilatura.Options{OriginalURL: u, EnableFallback: fallback, ExcludeComments: true, HtmlDateMode: trafilatura.Disabled})
		if err != nil {
			return ""
		}
		return r.ContentText
	}
}

// score counts what was found and what was not. In the set of snippets the
// counts are of snippets; in a set of articles each page adds shares of one.
type score struct{ tp, fp, fn float64 }

func (s *score) add(o score)       { s.tp += o.tp; s.fp += o.fp; s.fn += o.fn }
func (s score) precision() float64 { return ratio(s.tp, s.tp+s.fp) }
func (s score) recall() float64    { return ratio(s.tp, s.tp+s.fn) }
func (s score) f1() float64        { return ratio(2*s.tp, 2*s.tp+s.fp+s.fn) }
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func main() {
	var o options
	with := flag.String("with", "", "the `extractors` to measure, separated by commas: fast, balanced, accurate, go-readability, … (default all)")
	flag.StringVar(&o.set, "set", "", "one set: snippets, readability, wcxb, metadata or form (default the first two)")
	flag.StringVar(&o.wcxb, "wcxb", "", "the `folder` of the set wcxb, with html and ground-truth")
	flag.IntVar(&o.worst, "worst", 0, "print the `n` worst pages of each run")
	flag.IntVar(&o.every, "every", 1, "use one page in `n`")
	flag.Parse()
	if *with != "" {
		o.with = strings.Split(*with, ",")
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "extracteval:", err)
		os.Exit(1)
	}
}

type options struct {
	with         []string
	set, wcxb    string
	worst, every int
}

func run(o options) error {
	if o.set == "metadata" {
		pages, err := wcxbPages(o.wcxb)
		if err != nil {
			return err
		}
		measureMetadata(pages, o.every, o.worst)
		return nil
	}
	if o.set == "form" {
		pages, err := wcxbPages(o.wcxb)
		if err != nil {
			return err
		}
		measureForm(pages, o.every, o.worst)
		return nil
	}
	sets := []struct {
		name string
		load func() ([]page, error)
	}{{"snippets", snippetPages}, {"readability", readabilityPages}, {"wcxb", func() ([]page, error) { return wcxbPages(o.wcxb) }}}
	fmt.Printf("%-12s %-29s %6s %6s %6s %6s %8s %8s %6s\n", "set", "extractor", "pages", "F1", "prec", "recall", "pages/s", "worst", "empty")
	for _, s := range sets {
		if o.set != s.name && (o.set != "" || s.name == "wcxb") {
			continue
		}
		pages, err := s.load()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		var some []page
		for i := 0; i < len(pages); i += o.every {
			some = append(some, pages[i])
		}
		for _, x := range extractors() {
			if len(o.with) == 0 || slices.Contains(o.with, x.name) {
				measure(s.name, x, some, o.worst)
			}
		}
	}
	return nil
}

func measure(set string, x extractor, pages []page, worst int) {
	type one struct {
		page  page
		score score
		text  string
	}
	all := make([]one, len(pages))
	var sum score
	var slowest time.Duration
	empty := 0
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	x.text(pages[0]) // what is read once
	start := cputime.Used()
	for i, p := range pages {
		begin := time.Now()
		all[i] = one{page: p, text: x.text(p)}
		slowest = max(slowest, time.Since(begin))
		if strings.TrimSpace(all[i].text) == "" {
			empty++
		}
	}
	took := cputime.Used() - start
	kinds := make(map[string]*score)
	for i := range all {
		all[i].score = judge(all[i].page, all[i].text)
		sum.add(all[i].score)
		if k := all[i].page.kind; k != "" {
			if kinds[k] == nil {
				kinds[k] = new(score)
			}
			kinds[k].add(all[i].score)
		}
	}
	f1, precision, recall := sum.f1(), sum.precision(), sum.recall()
	if set == "wcxb" { // means over pages
		n := float64(len(pages))
		f1, precision, recall = sum.tp/n, sum.fp/n, sum.fn/n
	}
	fmt.Printf("%-12s %-29s %6d %6.3f %6.3f %6.3f %8.0f %7.0fms %6d\n", set, x.name, len(pages),
		f1, precision, recall, float64(len(pages))/took.Seconds(), slowest.Seconds()*1000, empty)
	for _, k := range sortedKeys(kinds) {
		n := 0.0
		for _, o := range all {
			if o.page.kind == k {
				n++
			}
		}
		fmt.Printf("  %-14s %4.0f %6.3f\n", k, n, kinds[k].tp/n)
	}
	bad := func(o one) float64 {
		if set == "wcxb" {
			return 1 - o.score.tp
		}
		return o.score.fp + o.score.fn
	}
	slices.SortStableFunc(all, func(a, b one) int {
		switch x, y := bad(a), bad(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for _, o := range all[:min(worst, len(all))] {
		fmt.Printf("  %-40s %s %.2f %.2f %.2f %d bytes\n", o.page.name, o.page.kind, o.score.tp, o.score.fp, o.score.fn, len(o.text))
	}
}

func sortedKeys(m map[string]*score) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// judge compares a text with what is known of its page.
func judge(p page, text string) score {
	if p.kind != "" {
		return judgeWords(p.article, text)
	}
	if p.article != "" {
		return judgeArticle(p.article, text)
	}
	var s score
	text = collapse(text)
	for _, w := range p.with {
		if strings.Contains(text, collapse(w)) {
			s.tp++
		} else {
			s.fn++
		}
	}
	for _, w := range p.without {
		if strings.Contains(text, collapse(w)) {
			s.fp++
		}
	}
	return s
}

func collapse(s string) string { return strings.Join(strings.Fields(s), " ") }
