// Package pipeline connects plain functions into a pipeline on a transactional
// queue.
//
// An [Edge] is a typed queue between stages. A stage is a function that takes a
// value of one edge and emits values to others:
//
//	lines := pipeline.NewEdge[string]("lines")
//	words := pipeline.NewEdge[string]("words")
//
//	split := func(ctx context.Context, line string, out *pipeline.Out) error {
//		for _, w := range strings.Fields(line) {
//			words.Emit(out, w)
//		}
//		return nil
//	}
//
// What a stage emits and the acknowledgement of what it took are one
// transaction: a crash loses nothing and repeats nothing. A stage that fails is
// tried again, one that panics too; a stage that outruns the next one is held
// back. [Handle] wires stages to edges and [Pipeline.Run] runs them:
//
//	p := pipeline.New(store, nil)
//	pipeline.Handle(p, lines, split, &pipeline.StageOptions{Feeds: pipeline.Edges{words}})
//	pipeline.Handle(p, words, count, nil)
//	err := pipeline.Seed(ctx, p, lines, "to be", "or not to be")
//	err = p.Run(ctx)
//
// A stage that is better off with many values at once, since it writes to a file
// or to another database, is wired with [HandleBatch].
//
// # Generations
//
// Work flows in generations. [Seed] begins generation 0. What a stage emits
// belongs to the generation of what it took, with one exception: a feed that
// closes a loop, from a stage to itself or back to one before it, begins the
// next generation. In a crawl whose fetch stage feeds itself, generation n is
// the pages at distance n from the seeds.
//
// Barriers in the queues keep generations apart exactly: in every queue of a
// pipeline the epoch is the generation. When everything of a generation has
// passed every stage, the pipeline stores a [Generation] record and calls
// [Options].OnGeneration, in one transaction. A generation that would be empty
// ends the pipeline, and that it has ended is stored as well.
//
// # Tests
//
// Call the stage, with an Out from [NewOut], and look at what it emitted:
//
//	out := pipeline.NewOut()
//	err := split(ctx, "to be", out)
//	got, err := words.Emitted(out)
package pipeline
