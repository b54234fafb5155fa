package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
	"github.com/seed-301537d8/weir/stages/tag"
)

//go:embed pages/*.html
var pages embed.FS

// The stages and the edges that they take from:
//
//	pages ─┬─ boilerpipe (Java) ─┬─┬─ python   tags
//	       └─ weir ──────────────┘ ├─ weir-tag tags and noun phrases
//	                               └─ node     scores
//
// Every text, of whichever extractor, goes to all three on the right.
//
// The tables, each written by a stage with the ack of what it took:
//
//	texts   page/extractor         what an extractor found
//	tags    page/extractor/tagger  how a tagger tagged that
//	scores  page/extractor         what Node says about it
//	totals  what                   counters: an item that was done twice would show
const (
	tableTexts  = "texts"
	tableTags   = "tags"
	tableScores = "scores"
	tableTotals = "totals"
)

// extractors are the names of both, as keys have them.
var extractors = []string{"boilerpipe", "weir"}

// A Page is named after its file and the number of the copy, as "river/001".
type Page struct {
	Name string `json:"name"`
	HTML string `json:"html"`
}

// A Text is what an extractor found in a page.
type Text struct {
	Key   string `json:"key"` // page/extractor
	Title string `json:"title"`
	Text  string `json:"text"`
}

// A Word is a tagged word by its place in the text, in bytes.
type Word struct {
	Start int    `json:"start"`
	End   int    `json:"end"`
	Tag   string `json:"tag"`
}

// Tags are the words of a text, and what a tagger that can says it is about.
type Tags struct {
	Words   []Word   `json:"words"`
	Phrases []string `json:"phrases,omitempty"`
}

// Scores are what Node says about a text.
type Scores struct {
	Words     int      `json:"words"`
	Sentences int      `json:"sentences"`
	Ease      float64  `json:"ease"` // Flesch reading ease
	Keywords  []string `json:"keywords"`
}

// pageNames returns the names of the embedded pages, in order.
func pageNames() []string {
	entries, err := pages.ReadDir("pages")
	if err != nil {
		panic(err) // they are part of the program
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".html")
	}
	return names
}

// newEdge returns an edge whose items may be tried often: that a child was
// killed says nothing against the item that it had.
func newEdge[T any](name string) *pipeline.Edge[T] {
	e := pipeline.NewEdge[T](name)
	e.Config.MaxAttempts = 100
	e.Config.Backoff = queue.Backoff{Min: 50 * time.Millisecond, Max: time.Second}
	return e
}

// counts are what has happened to the children in this run.
type counts struct {
	done   atomic.Int64 // items that they have answered
	failed atomic.Int64 // items whose child failed, or was killed
	kills  atomic.Int64
}

// work runs the pipeline to its end. The children live as long as it does, and
// a little longer: what they have begun when ctx ends, they may finish.
func (j *job) work(ctx context.Context, store *queue.Store, commands map[string][]string) error {
	workCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	childCtx, stopChildren := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopChildren()

	names := newEdge[string]("pages")
	names.Key = func(name string) string { return name } // each page once, however often we start
	toJava, toWeir := newEdge[Page]("boilerpipe"), newEdge[Page]("weir")
	toPython, toTag, toNode := newEdge[Text]("python"), newEdge[Text]("weir-tag"), newEdge[Text]("node")
	emitText := func(t Text, out *pipeline.Out) {
		toPython.Emit(out, t)
		toTag.Emit(out, t)
		toNode.Emit(out, t)
	}

	var c counts
	execs := make(map[string]*stages.Exec)
	for name, command := range commands {
		e := &stages.Exec{
			Command: command, Children: j.children, Batch: 4, HelloTimeout: time.Minute,
			MaxBackoff: time.Second, Logger: j.log,
		}
		execs[name] = e
		wg.Go(func() {
			if err := e.Run(childCtx); err != nil {
				cancel(err)
			}
		})
	}
	inChild := &pipeline.StageOptions{Workers: 4 * j.children, MinWorkers: 4 * j.children}
	texts := pipeline.Edges{toPython, toTag, toNode}

	p := pipeline.New(store, nil)
	pipeline.Handle(p, names, func(_ context.Context, name string, out *pipeline.Out) error {
		html, err := pages.ReadFile("pages/" + path.Dir(name) + ".html")
		if err != nil {
			return pipeline.Permanent(err)
		}
		page := Page{Name: name, HTML: string(html)}
		toJava.Emit(out, page)
		toWeir.Emit(out, page)
		out.Tx().Add(tableTotals, "pages", 1)
		return nil
	}, &pipeline.StageOptions{Feeds: pipeline.Edges{toJava, toWeir}})

	pipeline.Handle(p, toJava, func(ctx context.Context, page Page, out *pipeline.Out) error {
		t, err := ask[Text](ctx, execs["boilerpipe"], page, "text", &c)
		if err != nil {
			return err
		}
		t.Key = page.Name + "/boilerpipe"
		emitText(t, out)
		return keepText(out, "boilerpipe", t)
	}, &pipeline.StageOptions{Workers: inChild.Workers, MinWorkers: inChild.MinWorkers, Feeds: texts})

	extractor := new(extract.Extractor)
	pipeline.Handle(p, toWeir, func(ctx context.Context, page Page, out *pipeline.Out) error {
		doc := stages.ParseDocument([]byte(page.HTML), "https://example.com/"+page.Name+".html", nil)
		found := extractor.Extract(ctx, doc, "")
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t := Text{Key: page.Name + "/weir", Title: found.Title, Text: found.Text}
		emitText(t, out)
		return keepText(out, "weir", t)
	}, &pipeline.StageOptions{Feeds: texts})

	pipeline.Handle(p, toPython, func(ctx context.Context, t Text, out *pipeline.Out) error {
		words, err := ask[[]Word](ctx, execs["python"], t, "tags", &c)
		if err != nil {
			return err
		}
		return keepTags(out, "python", t, Tags{Words: words})
	}, inChild)

	pipeline.Handle(p, toTag, func(_ context.Context, t Text, out *pipeline.Out) error {
		return keepTags(out, "weir", t, tagText(t.Text))
	}, nil)

	pipeline.Handle(p, toNode, func(ctx context.Context, t Text, out *pipeline.Out) error {
		scores, err := ask[Scores](ctx, execs["node"], t, "scores", &c)
		if err != nil {
			return err
		}
		out.Tx().Add(tableTotals, "scored/node/texts", 1)
		out.Tx().Add(tableTotals, "scored/node/words", int64(scores.Words))
		return put(out, tableScores, t.Key, scores)
	}, inChild)

	var seeds []string
	for i := range j.copies {
		for _, name := range pageNames() {
			seeds = append(seeds, fmt.Sprintf("%s/%03d", name, i+1))
		}
	}
	if err := pipeline.Seed(ctx, p, names, seeds...); err != nil {
		return err
	}
	if j.kill > 0 {
		wg.Go(func() {
			if err := killChildren(childCtx, j.kill, &c); err != nil {
				cancel(err)
			}
		})
	}
	started := time.Now()
	if err := p.Run(workCtx); err != nil {
		return err
	}
	if err := context.Cause(workCtx); err != nil && ctx.Err() == nil {
		return err
	}
	done, err := p.Done(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	if !done {
		return errors.New("stopped; start it again to go on")
	}
	fmt.Fprintf(j.progress, "worked for %.1f s: %d children killed, %d items tried again\n",
		time.Since(started).Seconds(), c.kills.Load(), c.failed.Load())
	return nil
}

// ask gives an item to a child and returns the one value that it emits to an
// edge. What goes wrong with it is an error that says whether to try again.
func ask[T any](ctx context.Context, e *stages.Exec, item any, edge string, c *counts) (T, error) {
	var value T
	body, err := json.Marshal(item)
	if err != nil {
		return value, pipeline.Permanent(err)
	}
	reply, err := e.Do(ctx, body)
	if err != nil {
		if !stages.AsError(err).Permanent {
			c.failed.Add(1)
		}
		return value, err
	}
	c.done.Add(1)
	if n := len(reply.Emit[edge]); n != 1 {
		return value, pipeline.Permanent(fmt.Errorf("the worker emitted %d values to %s, not one", n, edge))
	}
	if err := json.Unmarshal(reply.Emit[edge][0], &value); err != nil {
		return value, pipeline.Permanent(fmt.Errorf("what the worker emitted to %s: %w", edge, err))
	}
	return value, nil
}

// tagText tags with Weir's own tagger.
func tagText(text string) Tags {
	tagger, _ := tag.For("en")
	sentences := tagger.Tag(text)
	var tags Tags
	for _, s := range sentences {
		for _, t := range s.Tokens {
			tags.Words = append(tags.Words, Word{t.Start, t.End, coarse(t.UPOS)})
		}
	}
	for _, p := range tag.CountNounPhrases(sentences) {
		tags.Phrases = append(tags.Phrases, p.Text)
	}
	return tags
}

// coarse maps a universal tag to those that both taggers have.
func coarse(upos string) string {
	switch upos {
	case "PROPN":
		return "NOUN"
	case "AUX":
		return "VERB"
	case "CCONJ", "SCONJ":
		return "CONJ"
	case "SYM":
		return "PUNCT"
	}
	return upos
}

func keepText(out *pipeline.Out, extractor string, t Text) error {
	out.Tx().Add(tableTotals, "extracted/"+extractor+"/texts", 1)
	out.Tx().Add(tableTotals, "extracted/"+extractor+"/words", int64(len(wordsOf(t.Text))))
	return put(out, tableTexts, t.Key, t)
}

func keepTags(out *pipeline.Out, tagger string, t Text, tags Tags) error {
	out.Tx().Add(tableTotals, "tagged/"+tagger+"/texts", 1)
	out.Tx().Add(tableTotals, "tagged/"+tagger+"/words", int64(len(tags.Words)))
	return put(out, tableTags, t.Key+"/"+tagger, tags)
}

func put(out *pipeline.Out, table, key string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	out.Tx().Put(table, key, body)
	return nil
}
