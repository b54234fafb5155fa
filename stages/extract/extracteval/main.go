// Extracteval measures the extractor's modes against annotated pages.
//
//	go run ./stages/extract/extracteval            all modes on all sets
//	go run ./stages/extract/extracteval -mode fast -set snippets -worst 20
//
// Two sets come with the source of modules that Weir uses anyway, so nothing is
// downloaded for this:
//
//   - snippets: the comparison pages of go-trafilatura, each with a few pieces
//     of text that belong to the main text and a few that do not. A page's
//     result is right for each piece that is there, or is not.
//   - readability: the test pages of go-readability with the articles expected
//     of it, compared by the 4-grams of their words. These were made with
//     readability, so they flatter the fast mode.
//
// Speed is pages per second of processor time, parsing included; "worst" is the
// slowest page by the clock.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

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
	mode := flag.String("mode", "", "one mode: fast, balanced or accurate (default all)")
	set := flag.String("set", "", "one set: snippets or readability (default all)")
	worst := flag.Int("worst", 0, "print the `n` worst pages of each run")
	limit := flag.Int("n", 0, "use the first `n` pages of each set only")
	flag.Parse()
	if err := run(*mode, *set, *worst, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "extracteval:", err)
		os.Exit(1)
	}
}

func run(mode, set string, worst, limit int) error {
	sets := []struct {
		name string
		load func() ([]page, error)
	}{{"snippets", snippetPages}, {"readability", readabilityPages}}
	fmt.Printf("%-12s %-9s %6s %6s %6s %6s %8s %8s %6s %6s\n", "set", "mode", "pages", "F1", "prec", "recall", "pages/s", "worst", "body", "lang")
	for _, s := range sets {
		if set != "" && set != s.name {
			continue
		}
		pages, err := s.load()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if limit > 0 {
			pages = pages[:min(limit, len(pages))]
		}
		for _, m := range []extract.Mode{extract.ModeFast, extract.ModeBalanced, extract.ModeAccurate} {
			if mode == "" || mode == string(m) {
				measure(s.name, m, pages, worst)
			}
		}
	}
	return nil
}

func measure(set string, mode extract.Mode, pages []page, worst int) {
	x := &extract.Extractor{Mode: mode, Timeout: time.Minute}
	type one struct {
		page  page
		score score
		text  *extract.Text
	}
	var all []one
	var sum score
	var slowest time.Duration
	body, declared, agreed := 0, 0, 0
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	start := cpuTime()
	for _, p := range pages {
		begin := time.Now()
		utf8, _ := stages.ToUTF8(p.html, "")
		d := stages.ParseDocument(utf8, p.url, nil)
		t := x.Extract(context.Background(), d, "")
		slowest = max(slowest, time.Since(begin))
		if t.Method == "body" {
			body++
		}
		all = append(all, one{p, score{}, t})
		if lang := strings.ToLower(d.Meta.Lang); len(lang) >= 2 && len(t.Text) > 200 {
			declared++
			if strings.HasPrefix(lang, stages.DetectLanguage(t.Text, "", "")) {
				agreed++
			}
		}
	}
	took := cpuTime() - start
	for i := range all {
		all[i].score = judge(all[i].page, all[i].text.Text)
		sum.add(all[i].score)
	}
	fmt.Printf("%-12s %-9s %6d %6.3f %6.3f %6.3f %8.0f %7.0fms %6d %5.1f%%\n", set, mode, len(pages),
		sum.f1(), sum.precision(), sum.recall(), float64(len(pages))/took.Seconds(), slowest.Seconds()*1000, body, 100*ratio(float64(agreed), float64(declared)))
	slices.SortStableFunc(all, func(a, b one) int {
		switch x, y := a.score.fp+a.score.fn, b.score.fp+b.score.fn; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for _, o := range all[:min(worst, len(all))] {
		fmt.Printf("  %-50s fp %.2f fn %.2f %s %d bytes %s\n", o.page.name, o.score.fp, o.score.fn, o.text.Method, len(o.text.Text), o.text.Note)
	}
}

// judge compares a text with what is known of its page.
func judge(p page, text string) score {
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
