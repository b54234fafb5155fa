// Quickstart counts words with a pipeline of two stages. Kill it at any moment
// and run it again: no line is lost, and no word counted twice.
package main

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

var (
	lines = pipeline.NewEdge[string]("lines")
	words = pipeline.NewEdge[string]("words")
)

func split(_ context.Context, line string, out *pipeline.Out) error {
	for word := range strings.FieldsSeq(strings.ToLower(line)) {
		words.Emit(out, word)
	}
	return nil
}

func count(_ context.Context, word string, out *pipeline.Out) error {
	out.Tx().Add("counts", word, 1)
	return nil
}

func main() {
	ctx := context.Background()
	store, err := badgerqueue.Open("quickstart-data", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	lines.Key = func(line string) string { return line } // each line once, however often we start
	p := pipeline.New(store, nil)
	pipeline.Handle(p, lines, split, &pipeline.StageOptions{Feeds: pipeline.Edges{words}})
	pipeline.Handle(p, words, count, nil)
	if err := pipeline.Seed(ctx, p, lines, "To be or not to be", "That is the question"); err != nil {
		log.Fatal(err)
	}
	if err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
	records, err := store.Scan(ctx, "counts", "", "", 100)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Printf("%-10s %s\n", r.Key, r.Value)
	}
}
