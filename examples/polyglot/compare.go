package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/seed-301537d8/weir/queue"
)

// A report is what the results say once everything is done. It depends on
// nothing but the pages: not on what was killed, nor how often.
type report struct {
	pages  []pageReport
	tags   map[string]*agreement // by Weir's tag, over all texts
	totals map[string]int64
}

type pageReport struct {
	name     string
	words    map[string]int // by extractor
	f1       float64        // of the two texts' words
	tags     agreement      // over both texts
	ease     float64        // of boilerpipe's text
	keywords []string
	inNouns  int // keywords that occur in Weir's noun phrases
}

// agreement counts the words of Weir's tagger.
type agreement struct {
	words int // all
	same  int // those that Python cut in the same place
	agree int // those that Python gave the same tag, too
}

func (a *agreement) add(b agreement) {
	a.words += b.words
	a.same += b.same
	a.agree += b.agree
}

// compare reads the tables, adds them up once more, and compares. It returns an
// error if anything is missing or a counter is not the sum of its records.
func (j *job) compare(ctx context.Context, store *queue.Store) (*report, error) {
	if err := noDeadLetters(ctx, store); err != nil {
		return nil, err
	}
	texts, err := scan[Text](ctx, store, tableTexts)
	if err != nil {
		return nil, err
	}
	tags, err := scan[Tags](ctx, store, tableTags)
	if err != nil {
		return nil, err
	}
	scores, err := scan[Scores](ctx, store, tableScores)
	if err != nil {
		return nil, err
	}
	r := &report{tags: make(map[string]*agreement)}
	if r.totals, err = readTotals(ctx, store); err != nil {
		return nil, err
	}
	names := pageNames()
	want := int64(j.copies * len(names))
	if got := r.totals["pages"]; got != want {
		return nil, fmt.Errorf("the folder holds the results of %d pages, not of %d: give the same -copies, or another folder", got, want)
	}
	sums := sum(texts, tags, scores)
	sums["pages"] = want
	if !maps.Equal(sums, r.totals) {
		return nil, fmt.Errorf("the totals are %v, but the records add up to %v", r.totals, sums)
	}
	for what, n := range r.totals {
		expected := want
		if strings.HasPrefix(what, "tagged/") || strings.HasPrefix(what, "scored/") {
			expected *= int64(len(extractors))
		}
		if strings.HasSuffix(what, "/texts") && n != expected {
			return nil, fmt.Errorf("%d %s, not %d", n, what, expected)
		}
	}
	for _, name := range names {
		p := pageReport{name: name, words: make(map[string]int)}
		for _, x := range extractors {
			key := name + "/001/" + x
			p.words[x] = len(wordsOf(texts[key].Text))
			p.tags.add(r.compareTags(tags[key+"/weir"].Words, tags[key+"/python"].Words))
		}
		key := name + "/001/boilerpipe"
		p.f1 = f1(wordsOf(texts[key].Text), wordsOf(texts[name+"/001/weir"].Text))
		p.ease, p.keywords = scores[key].Ease, scores[key].Keywords
		p.inNouns = occurring(p.keywords, tags[key+"/weir"].Phrases)
		r.pages = append(r.pages, p)
	}
	return r, nil
}

// compareTags compares the words that both taggers have in the same place.
func (r *report) compareTags(weir, python []Word) agreement {
	type span struct{ start, end int }
	tagOf := make(map[span]string)
	for _, w := range python {
		tagOf[span{w.Start, w.End}] = w.Tag
	}
	var all agreement
	for _, w := range weir {
		a := agreement{words: 1}
		if t, ok := tagOf[span{w.Start, w.End}]; ok {
			a.same = 1
			if t == w.Tag {
				a.agree = 1
			}
		}
		if r.tags[w.Tag] == nil {
			r.tags[w.Tag] = new(agreement)
		}
		r.tags[w.Tag].add(a)
		all.add(a)
	}
	return all
}

// sum computes from the records what the counters of tableTotals should hold.
func sum(texts map[string]Text, tags map[string]Tags, scores map[string]Scores) map[string]int64 {
	sums := make(map[string]int64)
	add := func(what string, words int) {
		sums[what+"/texts"]++
		sums[what+"/words"] += int64(words)
	}
	for key, t := range texts {
		add("extracted/"+last(key), len(wordsOf(t.Text)))
	}
	for key, t := range tags {
		add("tagged/"+last(key), len(t.Words))
	}
	for _, s := range scores {
		add("scored/node", s.Words)
	}
	return sums
}

func last(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// wordsOf returns the words of a text in lower case.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// f1 is the harmonic mean of precision and recall of one bag of words against
// the other; which is which makes no difference.
func f1(a, b []string) float64 {
	if len(a)+len(b) == 0 {
		return 1
	}
	count := make(map[string]int)
	for _, w := range a {
		count[w]++
	}
	common := 0
	for _, w := range b {
		if count[w] > 0 {
			count[w]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(a)+len(b))
}

// occurring counts the words that occur in one of the phrases.
func occurring(words, phrases []string) int {
	in := make(map[string]bool)
	for _, p := range phrases {
		for _, w := range wordsOf(p) {
			in[w] = true
		}
	}
	n := 0
	for _, w := range words {
		if in[w] {
			n++
		}
	}
	return n
}

func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "page\tboilerpipe\tweir\ttext F1\ttags agree\tease\tkeywords\tin noun phrases")
	var all agreement
	var f1s float64
	for _, p := range r.pages {
		fmt.Fprintf(w, "%s\t%d words\t%d words\t%.3f\t%s\t%.1f\t%s\t%d of %d\n", p.name, p.words["boilerpipe"], p.words["weir"],
			p.f1, p.tags.share(), p.ease, strings.Join(p.keywords, " "), p.inNouns, len(p.keywords))
		all.add(p.tags)
		f1s += p.f1
	}
	fmt.Fprintf(w, "mean\t\t\t%.3f\t%s\n", f1s/float64(len(r.pages)), all.share())

	fmt.Fprintln(w, "\nWeir's tag\twords\tin Python too\tsame tag")
	byWords := slices.SortedFunc(maps.Keys(r.tags), func(a, b string) int {
		if d := r.tags[b].words - r.tags[a].words; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, tag := range byWords {
		a := r.tags[tag]
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", tag, a.words, a.same, a.share())
	}

	fmt.Fprintln(w, "\ntotal\ttexts\twords")
	for _, what := range slices.Sorted(maps.Keys(r.totals)) {
		if base, ok := strings.CutSuffix(what, "/texts"); ok {
			fmt.Fprintf(w, "%s\t%d\t%d\n", base, r.totals[what], r.totals[base+"/words"])
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "all totals of %d pages agree with the records\n", r.totals["pages"])
	return err
}

// share returns how many of the words that both have got the same tag.
func (a agreement) share() string {
	if a.same == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(a.agree)/float64(a.same))
}

// scan reads a whole table.
func scan[T any](ctx context.Context, store *queue.Store, table string) (map[string]T, error) {
	all := make(map[string]T)
	for from := ""; ; {
		records, err := store.Scan(ctx, table, from, "", 500)
		if err != nil || len(records) == 0 {
			return all, err
		}
		for _, r := range records {
			var v T
			if err := json.Unmarshal(r.Value, &v); err != nil {
				return nil, fmt.Errorf("record %s of table %s: %w", r.Key, table, err)
			}
			all[r.Key] = v
			from = r.Key + "\x00"
		}
	}
}

func readTotals(ctx context.Context, store *queue.Store) (map[string]int64, error) {
	records, err := store.Scan(ctx, tableTotals, "", "", 100)
	if err != nil {
		return nil, err
	}
	totals := make(map[string]int64)
	for _, r := range records {
		if totals[r.Key], err = queue.ParseCounter(r.Value); err != nil {
			return nil, fmt.Errorf("total %s: %w", r.Key, err)
		}
	}
	return totals, nil
}

// noDeadLetters returns an error that says why an item was given up, if any was.
func noDeadLetters(ctx context.Context, store *queue.Store) error {
	queues, err := store.Stats(ctx)
	if err != nil {
		return err
	}
	for _, q := range queues {
		dead, err := store.DeadLetters(ctx, q.Name, 0, 1)
		if err != nil {
			return err
		}
		if len(dead) > 0 {
			return fmt.Errorf("stage %s gave up an item after %d attempts: %s", q.Name, dead[0].Attempts, dead[0].Reason)
		}
	}
	return nil
}
