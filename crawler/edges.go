package crawler

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// Edges are the queues of a crawl. Make them with [NewEdges].
type Edges struct {
	// Requests is the frontier: what waits to be fetched. It feeds itself.
	Requests *pipeline.Edge[Request]

	// Functions are those of functions that have one, by its name.
	Functions map[string]*pipeline.Edge[Visit]

	// Docs are those of the stages behind crawl, in their order.
	Docs []*pipeline.Edge[Doc]

	items itemWriter
}

// NewEdges returns the edges that a crawl has. Nil options mean the defaults.
func NewEdges(o *Options) *Edges {
	if o == nil {
		o = new(Options)
	}
	e := &Edges{Requests: newFrontier(o), Functions: make(map[string]*pipeline.Edge[Visit])}
	for _, f := range o.Functions {
		if f.Queue == "" {
			continue
		}
		edge := pipeline.NewEdge[Visit](f.Queue)
		edge.Config = o.Settings.stageConfig()
		e.Functions[f.Queue] = edge
	}
	for _, st := range o.Settings.stages()[1:] {
		if st.Name == StageWARC { // which is a journal, and no queue
			continue
		}
		edge := pipeline.NewEdge[Doc](st.Name)
		edge.Config = o.Settings.stageConfig()
		e.Docs = append(e.Docs, edge)
	}
	return e
}

// stageConfig is that of the queues behind the frontier.
func (s *Settings) stageConfig() queue.Config {
	first := cmp.Or(s.StageBackoff, DefaultStageBackoff)
	return queue.Config{
		MaxAttempts: cmp.Or(s.StageAttempts, DefaultStageAttempts), MaxDeaths: maxDeaths,
		Backoff: queue.Backoff{Min: first, Max: max(first, 10*time.Minute)},
	}
}

// feeds are the edges that the crawl stage feeds.
func (e *Edges) feeds(functions []Function) pipeline.Edges {
	all := pipeline.Edges{e.Requests}
	if len(e.Docs) > 0 {
		all = append(all, e.Docs[0])
	}
	for _, f := range functions {
		if f.Queue != "" {
			all = append(all, e.Functions[f.Queue])
		}
	}
	return all
}

// hostAffinity is how long a host that might be asked is left to the process that asked it
// before, which has a connection to it and its robots.txt, while others have nothing to do.
const hostAffinity = 3 * time.Second

// Assemble wires the stages of a crawl into a pipeline. It is what [New] does,
// and what a program that wants another crawl writes itself. What it returns are
// the child processes of the stages, whose Run must run meanwhile.
func Assemble(p *pipeline.Pipeline, v *Visitor) []*stages.Exec {
	v.once.Do(v.init)
	o, e := v.Options, v.Edges
	workers := o.Settings.workers()
	visits := &pipeline.StageOptions{Feeds: e.feeds(o.Functions), Workers: workers, MinWorkers: min(workers, 8)}
	if o.Shared {
		visits.Affinity = hostAffinity
	}
	pipeline.Handle(p, e.Requests, v.Visit, visits)
	for i := range o.Functions {
		f := &o.Functions[i]
		if f.Queue == "" {
			continue
		}
		options := &pipeline.StageOptions{Workers: f.Workers, Reserve: v.reserve}
		if f.Follows != nil {
			options.Feeds = pipeline.Edges{e.Requests}
		}
		pipeline.Handle(p, e.Functions[f.Queue], v.function(f), options)
	}
	var children []*stages.Exec
	i := 0
	behind := o.Settings.stages()[1:]
	for n, st := range behind {
		if st.Name == StageWARC {
			continue
		}
		later := behind[n+1:]
		s := &docStage{Stage: st, v: v, keepPage: slices.ContainsFunc(later, func(st Stage) bool { return st.Name == StageExtract })}
		options := &pipeline.StageOptions{Reserve: v.reserve}
		if i+1 < len(e.Docs) {
			s.next = e.Docs[i+1]
			options.Feeds = append(options.Feeds, s.next)
		}
		if st.Follows != nil {
			options.Feeds = append(options.Feeds, e.Requests)
		}
		if st.Command != nil {
			s.exec = &stages.Exec{Command: st.Command, Logger: o.logger()}
			children = append(children, s.exec)
			options.Unchained = true
		}
		pipeline.Handle(p, e.Docs[i], s.work, options)
		i++
	}
	return children
}

// reserve waits for the memory of a page that comes from a queue. The stage has it
// while it waits for that of a tree; see [stages.Budget].
func (v *Visitor) reserve(ctx context.Context, bytes int64) (release func(), err error) {
	share, err := v.memory.Body(ctx, 2*bytes) // as it is stored, and what is made of it
	return share.Release, err
}

// function is the stage of a function that has a queue.
func (v *Visitor) function(f *Function) pipeline.Func[Visit] {
	return func(ctx context.Context, visit Visit, out *pipeline.Out) error {
		visit.Attempt = out.Attempt()
		decided, err := v.apply(ctx, f, &visit)
		if err != nil {
			return err
		}
		if decided.verdict != nil {
			return pipeline.Permanent(errLateVerdict)
		}
		nofollow := len(decided.requests) > 0 && v.nofollow(&visit)
		return v.carryOut(ctx, out, decided, visit.Request.Key(), nofollow)
	}
}

// carryOut adds what a function behind the crawl has decided about a page to the
// transaction of its stage. What it follows is offered as a link of the page is, of
// one generation and one link more.
func (v *Visitor) carryOut(ctx context.Context, out *pipeline.Out, decided *Out, key string, nofollow bool) error {
	undo, err := v.putItems(ctx, out, key, decided.visit.URL, decided.items)
	if err != nil {
		return err
	}
	o := &offers{
		v: v, out: out, from: decided.visit, nofollow: nofollow,
		queued: make(map[string]bool), skipped: make(map[string]bool),
	}
	err = o.addDecided(ctx, decided)
	if err == nil {
		err = o.done()
	}
	if err != nil {
		undo()
	}
	return err
}

// nofollow reports whether a page asks that its links are not followed, and the
// crawl heeds it.
func (v *Visitor) nofollow(visit *Visit) bool {
	return !v.Options.Settings.IgnoreRobots && v.directives(visit).NoFollow
}

// directives returns what a page and its header ask of robots.
func (v *Visitor) directives(visit *Visit) robots.Directives {
	about := robots.ParseHeader(visit.Header.Values("X-Robots-Tag"), v.agent)
	if visit.IsHTML() {
		about = about.Merge(visit.Page().Meta.Robots(v.agent))
	}
	return about
}

// openStore reads what a visitor must know of the store before it begins.
func (v *Visitor) openStore(ctx context.Context, store *queue.Store) error {
	v.once.Do(v.init)
	if v.Archive != nil {
		if err := v.Archive.check(ctx); err != nil {
			return err
		}
	}
	if err := v.enterRound(ctx, store); err != nil {
		return err
	}
	n, err := v.counted(ctx, store)
	if v.tokens == nil {
		v.limit.fetched = n
	}
	return err
}

// counted returns how many pages of the round have been kept.
func (v *Visitor) counted(ctx context.Context, store *queue.Store) (int64, error) {
	if v.round.number() == 0 {
		return tables.Counter(ctx, store, tables.Crawl, tables.CounterPages)
	}
	round, err := ReadRound(ctx, store, v.round.number())
	if err != nil {
		return 0, err
	}
	return round.visited(), nil
}
