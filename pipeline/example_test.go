package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// Two stages: one splits lines into words, the other counts them. What a stage
// emits, what it stores and the acknowledgement of what it took are one
// transaction, so no crash loses a word or counts it twice.
func Example() {
	ctx := context.Background()
	store, err := memqueue.Open(nil) // badgerqueue.Open("folder", nil) keeps it on disk
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	lines := pipeline.NewEdge[string]("lines")
	words := pipeline.NewEdge[string]("words")
	split := func(_ context.Context, line string, out *pipeline.Out) error {
		for word := range strings.FieldsSeq(line) {
			words.Emit(out, word)
		}
		return nil
	}
	count := func(_ context.Context, word string, out *pipeline.Out) error {
		out.Tx().Add("counts", word, 1)
		return nil
	}

	p := pipeline.New(store, nil)
	pipeline.Handle(p, lines, split, &pipeline.StageOptions{Feeds: pipeline.Edges{words}})
	pipeline.Handle(p, words, count, nil)
	if err := pipeline.Seed(ctx, p, lines, "to be or", "not to be"); err != nil {
		log.Fatal(err)
	}
	if err := p.Run(ctx); err != nil { // returns when nothing is left anywhere
		log.Fatal(err)
	}
	records, err := store.Scan(ctx, "counts", "", "", 10)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range records {
		fmt.Printf("%s %s\n", r.Key, r.Value)
	}
	// Output:
	// be 2
	// not 1
	// or 1
	// to 2
}

// A stage that feeds itself works in generations: here the numbers that can be
// reached from 1 by doubling and adding one, by the number of steps. A value
// that was met before is left out, because it has a key.
func Example_generations() {
	ctx := context.Background()
	store, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	numbers := pipeline.NewEdge[int]("numbers")
	numbers.Key = func(n int) string { return fmt.Sprint(n) }
	step := func(_ context.Context, n int, out *pipeline.Out) error {
		for _, next := range []int{2 * n, n + 1} {
			if next <= 8 {
				numbers.Emit(out, next)
			}
		}
		return nil
	}
	p := pipeline.New(store, &pipeline.Options{
		// What it adds to tx is committed with the generation's own record.
		OnGeneration: func(_ context.Context, g pipeline.Generation, tx *queue.Tx) error {
			fmt.Printf("generation %d: %d numbers\n", g.Number, g.Stages[0].Acked)
			return nil
		},
	})
	pipeline.Handle(p, numbers, step, &pipeline.StageOptions{Feeds: pipeline.Edges{numbers}})
	if err := pipeline.Seed(ctx, p, numbers, 1); err != nil {
		log.Fatal(err)
	}
	if err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// generation 0: 1 numbers
	// generation 1: 1 numbers
	// generation 2: 2 numbers
	// generation 3: 3 numbers
	// generation 4: 1 numbers
}

// A stage that writes elsewhere gets many values at once. If a call fails it is
// called again for each value alone.
func ExampleHandleBatch() {
	ctx := context.Background()
	store, err := memqueue.Open(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	rows := pipeline.NewEdge[string]("rows")
	insert := func(_ context.Context, in []string, out *pipeline.Out) error {
		fmt.Println("insert", strings.Join(in, ", "))
		return nil
	}
	p := pipeline.New(store, nil)
	pipeline.HandleBatch(p, rows, 100, insert, &pipeline.StageOptions{Serial: true})
	if err := pipeline.Seed(ctx, p, rows, "Ada", "Grace", "Barbara"); err != nil {
		log.Fatal(err)
	}
	if err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: insert Ada, Grace, Barbara
}

// To test a stage, call it, and look at what it emitted.
func ExampleNewOut() {
	links := pipeline.NewEdge[string]("links")
	follow := func(_ context.Context, page string, out *pipeline.Out) error {
		if page == "" {
			return pipeline.Permanent(errors.New("no page"))
		}
		links.Emit(out, page+"/next")
		return nil
	}
	out := pipeline.NewOut()
	err := follow(context.Background(), "/a", out)
	got, _ := links.Emitted(out)
	fmt.Println(got, err)
	// Output: [/a/next] <nil>
}
