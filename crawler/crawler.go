package crawler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// Crawler is a crawl on a store. Make one with [New]; its methods are safe for
// concurrent use.
type Crawler struct {
	store    *queue.Store
	options  Options
	pipeline *pipeline.Pipeline
	visitor  *Visitor
	children []*stages.Exec
	seeding  seeding
}

// New returns the crawl that the options describe, on a store that may hold it
// already. It neither reads nor changes anything there, so a nil store will do to see
// whether options are sound: [Crawler.Run] does, and goes on with what is stored by
// these settings; [Load] returns the stored ones. Nil options mean the defaults. An error
// wraps [ErrSettings] and names everything that is wrong with settings, functions and
// items.
func New(store *queue.Store, options *Options) (*Crawler, error) {
	var o Options
	if options != nil {
		o = *options
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("crawl: %w", err)
	}
	if _, err := NewFetchers(&o); err != nil {
		return nil, fmt.Errorf("crawl: %w: %w", ErrSettings, err)
	}
	c := &Crawler{store: store, options: o}
	c.pipeline = pipeline.New(store, &pipeline.Options{
		Strict: o.Settings.Strict, Logger: o.Logger, DrainTime: o.DrainTime, NoChaining: o.NoChaining, OnGeneration: o.OnGeneration,
	})
	c.visitor = &Visitor{Store: store, Edges: NewEdges(&c.options), Options: &c.options}
	if o.Settings.Runs(StageWARC) {
		c.visitor.Archive = NewArchive(store, &c.options)
	}
	c.children = Assemble(c.pipeline, c.visitor)
	if err := c.pipeline.Validate(); err != nil {
		return nil, fmt.Errorf("crawl: %w: %w", ErrSettings, err)
	}
	return c, nil
}

// Check returns an error if the crawl cannot go on with what the store holds: it
// wraps pipeline.ErrTopology if an unfinished crawl there has other stages, and
// [ErrFunctions] if it needs functions that this one lacks. Run does the same. It
// changes nothing.
func (c *Crawler) Check(ctx context.Context) error {
	if err := c.check(ctx); err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	return nil
}

func (c *Crawler) check(ctx context.Context) error {
	if err := c.checkFunctions(ctx); err != nil {
		return err
	}
	return c.pipeline.Check(ctx)
}

// Add adds seeds, whether the crawl has begun or not, and stores them at once;
// but not while it runs. Those that it has already change nothing.
func (c *Crawler) Add(ctx context.Context, seeds ...Request) error {
	if err := c.add(ctx, seeds); err != nil {
		return fmt.Errorf("crawl: add seeds: %w", err)
	}
	return nil
}

// seedsAtOnce is how much of seeds is stored in one transaction, in bytes that it may
// take of the store: what the backends take with the smallest memtables that are used.
const seedsAtOnce = 256 << 10

func (c *Crawler) add(ctx context.Context, seeds []Request) error {
	var tx queue.Tx
	tx.WaitIfFull()
	size := 0
	for i := range seeds {
		r := seeds[i]
		if err := CheckCredentials(r.URL); err != nil {
			return fmt.Errorf("%w: seed: %w", ErrSettings, err)
		}
		if err := r.normalize(weburl.URL{}); err != nil {
			return fmt.Errorf("%w: seed: %w", ErrSettings, err)
		}
		if r.Label != "" && c.visitor.router[r.Label] == nil {
			return fmt.Errorf("%w: the seed %s has %s", ErrSettings, r.URL, c.visitor.router.unhandled(r.Label))
		}
		item, err := c.visitor.Edges.Requests.Item(r)
		if err != nil {
			return err
		}
		if err := tables.Put(&tx, tables.Seeds, r.Key(), r); err != nil {
			return err
		}
		if r.Area == nil {
			tx.Put(tables.Origins, r.parsed.Origin(), nil)
		} else if err := putArea(&tx, &r); err != nil {
			return err
		}
		tx.Enqueue(StageCrawl, item)
		size += 400 + 2*len(r.URL) + 2*len(item.Body) // item, mark, record, origin
		if size >= seedsAtOnce || i == len(seeds)-1 {
			if err := c.store.Commit(ctx, &tx); err != nil {
				return err
			}
			tx.Reset()
			tx.WaitIfFull()
			size = 0
		}
	}
	return nil
}

// putArea adds the scope of a seed to a transaction.
func putArea(tx *queue.Tx, r *Request) error {
	if err := r.Area.Check(); err != nil {
		return fmt.Errorf("%w: seed %s: %w", ErrSettings, r.URL, err)
	}
	return tables.Put(tx, tables.Areas, r.Key(), tables.Area{URL: r.URL, Within: r.Area.Within, MaxDepth: r.Area.MaxDepth})
}

// Run crawls until the crawl is complete, Settings.MaxTime is over or ctx ends; see pipeline.Run. Whether
// it is complete, [Crawler.Done] tells. It stores the settings and adds the seeds
// first.
func (c *Crawler) Run(ctx context.Context) error {
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	return nil
}

func (c *Crawler) run(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	if err := c.seeding.end(ctx, c.store); err != nil {
		return err
	}
	d := c.options.Settings.MaxTime
	if d <= 0 {
		return c.attend(ctx, c.runRounds)
	}
	// As if somebody had stopped it then.
	ctx, end := context.WithCancel(ctx)
	defer end()
	var rested error
	over := make(chan struct{})
	timer := time.AfterFunc(d, func() {
		defer close(over)
		defer end()
		rested = c.rest(context.WithoutCancel(ctx))
	})
	err := c.attend(ctx, c.runRounds)
	if !timer.Stop() {
		<-over
		err = errors.Join(err, rested)
	}
	return err
}

// restRecord is there while workers rest since the crawl's time is over.
const restRecord = "rests"

// rest lets other processes fetch nothing more until somebody goes on with the crawl.
func (c *Crawler) rest(ctx context.Context) error {
	if !c.options.Shared {
		return nil
	}
	var tx queue.Tx
	tx.Pause(StageCrawl)
	tx.Put(tables.Crawl, restRecord, []byte{})
	return c.store.Commit(ctx, &tx)
}

// goOn adds to a transaction that they may fetch again.
func (c *Crawler) goOn(ctx context.Context, tx *queue.Tx) error {
	_, err := c.store.Get(ctx, tables.Crawl, restRecord)
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	tx.Resume(StageCrawl)
	tx.Delete(tables.Crawl, restRecord)
	return err
}

// attend runs work with what the stages need.
func (c *Crawler) attend(ctx context.Context, work func(context.Context) error) error {
	defer c.visitor.close()
	if err := c.prepare(ctx); err != nil {
		return err
	}
	if a := c.visitor.Archive; a != nil {
		if err := a.cut(ctx); err != nil {
			return ended(ctx, err)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	children, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for _, e := range c.children {
		g.Go(func() error {
			if err := e.Run(children); err != nil && children.Err() == nil {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		defer stop()
		return work(ctx)
	})
	return g.Wait()
}

// runRounds runs the present round to its end, and those that Settings.Every begins.
func (c *Crawler) runRounds(ctx context.Context) error {
	for {
		if err := c.scan(ctx); err != nil {
			return ended(ctx, err)
		}
		if err := c.visitor.openStore(ctx, c.store); err != nil {
			return ended(ctx, err)
		}
		if t := c.visitor.tokens; t != nil {
			if err := t.fill(ctx); err != nil {
				return ended(ctx, err)
			}
		}
		if err := c.withTokens(ctx, c.runGenerations); err != nil {
			return err
		}
		if more, err := c.nextRound(ctx); err != nil || !more {
			return ended(ctx, err)
		}
	}
}

// withTokens runs a round while it keeps the tokens of its pages right in number.
func (c *Crawler) withTokens(ctx context.Context, run func(context.Context) error) error {
	if c.visitor.tokens == nil {
		return run(ctx)
	}
	g, ctx := errgroup.WithContext(ctx)
	keeping, stop := context.WithCancel(ctx)
	g.Go(func() error { return c.visitor.tokens.upkeep(keeping) })
	g.Go(func() error {
		defer stop()
		return run(ctx)
	})
	return g.Wait()
}

// ended is what a run returns that failed: nothing if ctx has ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// runGenerations runs the pipeline until it is done and nothing is deferred.
func (c *Crawler) runGenerations(ctx context.Context) error {
	politeness := c.options.Settings.Politeness()
	j := &rejoin{
		store: c.store, edge: c.visitor.Edges.Requests, polite: politeness,
		tries: c.options.Settings.maxAttempts(), giveUp: c.options.Settings.GiveUp,
		grace: c.options.Settings.Grace, hosts: c.visitor.Politeness, slow: &c.visitor.slow,
	}
	defer j.slow.open()()
	if !c.options.Shared {
		if err := j.forgetParked(ctx); err != nil {
			return err
		}
	}
	if err := j.mend(ctx, "", ""); err != nil {
		return err
	}
	joining, stop := context.WithCancel(ctx)
	g, joining := errgroup.WithContext(joining)
	g.Go(func() error { return j.run(joining) })
	g.Go(func() error {
		defer stop()
		t := time.NewTicker(rejoinEvery)
		defer t.Stop()
		for {
			if err := c.pipeline.Run(joining); err != nil {
				return err
			}
			more, err := j.wait(joining, t.C)
			if err != nil || !more {
				return ended(joining, err)
			}
		}
	})
	return g.Wait()
}

// Begin stores the settings and adds the seeds, if the crawl can go on with them;
// see Check. Run begins with it, and a program need not.
func (c *Crawler) Begin(ctx context.Context) error {
	err := c.begin(ctx)
	if err == nil && !c.options.MoreSeeds {
		err = c.seeding.end(ctx, c.store)
	}
	if err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	return nil
}

func (c *Crawler) begin(ctx context.Context) (err error) {
	if err := c.check(ctx); err != nil {
		return err
	}
	if err := c.seeding.begin(ctx, c.store); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.seeding.close())
		}
	}()
	// What is enqueued now is for these stages, whatever stages it had before.
	if done, err := tables.Done(ctx, c.store); err != nil {
		return err
	} else if done {
		if err := c.pipeline.Prepare(ctx); err != nil {
			return err
		}
	}
	b, err := json.Marshal(c.saved())
	if err != nil {
		return err
	}
	var tx queue.Tx
	tx.Put(tables.Crawl, savedKey, b)
	if err := c.goOn(ctx, &tx); err != nil {
		return err
	}
	if err := c.store.Commit(ctx, &tx); err != nil {
		return err
	}
	return c.add(ctx, c.options.Seeds)
}

// prepare makes the crawl's scope of all seeds.
func (c *Crawler) prepare(ctx context.Context) error {
	origins, err := tables.SeedOrigins(ctx, c.store)
	if err != nil {
		return err
	}
	areas, err := tables.SeedAreas(ctx, c.store)
	if err != nil {
		return err
	}
	if len(origins) == 0 && len(areas) == 0 {
		return fmt.Errorf("%w: there is no seed", ErrSettings)
	}
	c.options.origins = make(map[string]bool, len(origins))
	for _, u := range origins {
		c.options.origins[u.Origin()] = true
	}
	all := slices.Clone(origins)
	for _, a := range areas {
		c.options.origins[a.Seed.Origin()] = true
		all = append(all, a.Seed)
	}
	if c.options.Settings.Requisites != RequisitesNone {
		if c.visitor.assetScope, err = c.options.assets(all); err != nil {
			return fmt.Errorf("%w: %w", ErrSettings, err)
		}
	}
	if c.options.Scope == nil {
		sc, err := c.options.Settings.Scope.New(origins, areas...)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSettings, err)
		}
		c.visitor.Scope = sc
	}
	return nil
}

// Done reports whether the crawl is complete.
func (c *Crawler) Done(ctx context.Context) (bool, error) { return tables.Done(ctx, c.store) }

// Settings returns the crawl's settings, with the defaults filled in.
func (c *Crawler) Settings() Settings { return c.options.Settings }

// Stages returns what the stages of a running crawl are doing.
func (c *Crawler) Stages() []pipeline.StageStatus { return c.pipeline.Stages() }
