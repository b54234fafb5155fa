package crawler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
	"github.com/seed-301537d8/weir/stages/warc"
)

// Crawler is a crawl on a store. Make one with [New]; its methods are safe for
// concurrent use.
type Crawler struct {
	store    *queue.Store
	settings Settings
	seeds    []weburl.URL
	scope    *scope.Scope
	agent    string // product token
	log      *slog.Logger

	pipeline *pipeline.Pipeline
	requests *pipeline.Edge[Request]
	docs     []*pipeline.Edge[Doc] // of the stages behind crawl
	captures *pipeline.Edge[captured]
	warc     *warc.Archive
	fetcher  *stages.Fetcher

	// robotFiles takes whatever a server calls its robots.txt.
	robotFiles *stages.Fetcher
	polite     polite.Options
	execs      []*stages.Exec

	limit    pageLimit
	robots   cache[*robots.Policy]
	fetching singleflight.Group // of robots.txt files, by origin
	hosts    cache[polite.HostState]
	hostsMu  sync.Mutex // one update of a host's state at a time
	skips    cache[bool]
	known    cache[bool] // by identity, in the queue's seen-set: need not be offered again
}

// Options are what a run of a crawl needs besides its settings. Nil and zero
// fields mean the defaults given.
type Options struct {
	// Logger receives what happens. Default: nothing is logged.
	Logger *slog.Logger

	// DrainTime is how long pages that are being worked on when the crawl is
	// stopped may take to finish. Default 10s.
	DrainTime time.Duration

	// OnGeneration is called when a generation is complete; see
	// pipeline.Options.
	OnGeneration func(ctx context.Context, g pipeline.Generation, tx *queue.Tx) error

	// ArchiveDir is the folder for the files of the stage warc, which needs one.
	// It belongs to the store: only both together are a whole.
	ArchiveDir string

	// ArchiveFileSize is how large these files grow, in bytes, before the next
	// one is begun. Default 1 GiB.
	ArchiveFileSize int64

	// Transport takes the place of the built-in HTTP client, as a proxy or a
	// test may want. Settings.AllowPrivate has no meaning then.
	Transport http.RoundTripper
}

// New begins a crawl on a store, or goes on with the one that it holds: then
// the seeds are added to those there are, and the settings take the place of
// the stored ones. Load returns these, and Diff says what changes. While a crawl
// is not complete its stages cannot be changed: the error wraps
// pipeline.ErrTopology, and the stored settings stay.
func New(ctx context.Context, store *queue.Store, settings Settings, seeds []string, options *Options) (*Crawler, error) {
	c, err := newCrawler(ctx, store, settings, seeds, options)
	if err != nil {
		return nil, fmt.Errorf("crawl: %w", err)
	}
	return c, nil
}

func newCrawler(ctx context.Context, store *queue.Store, settings Settings, seeds []string, options *Options) (*Crawler, error) {
	var opts Options
	if options != nil {
		opts = *options
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	settings, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	if settings.Runs(StageWARC) && opts.ArchiveDir == "" {
		return nil, fmt.Errorf("%w: the stage warc needs Options.ArchiveDir", ErrSettings)
	}
	c := &Crawler{store: store, settings: settings, log: opts.Logger, agent: robots.ProductToken(settings.UserAgent)}
	c.known.max = 128 << 10
	all, err := c.addSeeds(ctx, seeds)
	if err != nil {
		return nil, err
	}
	var transport func(*http.Transport) http.RoundTripper
	if opts.Transport != nil {
		transport = func(*http.Transport) http.RoundTripper { return opts.Transport }
	}
	c.fetcher = &stages.Fetcher{
		UserAgent: settings.UserAgent, AllowPrivate: settings.AllowPrivate, MaxBody: settings.MaxBody,
		MaxIdlePerHost: max(settings.PerHost, 2), Transport: transport,
		KeepWire: settings.Runs(StageWARC),
	}
	c.robotFiles = &stages.Fetcher{
		UserAgent: settings.UserAgent, AllowPrivate: settings.AllowPrivate, MaxBody: robots.MaxBody, Cut: true,
		Types: []string{"*/*"}, MaxIdlePerHost: 1, Transport: transport,
	}
	c.polite = polite.Options{MinDelay: settings.Delay}
	if settings.Delay < 0 {
		c.polite.Factor = -1 // as fast as the host answers
	}
	n, err := c.counter(ctx, counterPages)
	if err != nil {
		return nil, err
	}
	c.limit.max, c.limit.fetched = int64(settings.MaxPages), n
	c.assemble(opts)
	if err := c.pipeline.Check(ctx); err != nil {
		return nil, err
	}
	b, err := json.Marshal(saved{settings, all})
	if err != nil {
		return nil, err
	}
	var tx queue.Tx
	tx.Put(tableCrawl, savedKey, b)
	return c, store.Commit(ctx, &tx)
}

// addSeeds reads the stored seeds and adds new ones to them, makes the scope of
// all, and returns them.
func (c *Crawler) addSeeds(ctx context.Context, seeds []string) (all []string, err error) {
	_, all, err = Load(ctx, c.store)
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		return nil, err
	}
	for _, seed := range seeds {
		u, err := weburl.Parse(seed)
		if err != nil {
			return nil, fmt.Errorf("%w: seed: %w", ErrSettings, err)
		}
		if s := u.String(); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: there is no seed", ErrSettings)
	}
	for _, s := range all {
		u, err := weburl.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("stored seed: %w", err)
		}
		c.seeds = append(c.seeds, u)
	}
	if c.scope, err = c.settings.Scope.New(c.seeds); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	return all, nil
}

// assemble wires the stages.
func (c *Crawler) assemble(opts Options) {
	s := c.settings
	c.pipeline = pipeline.New(c.store, &pipeline.Options{
		Strict: s.Strict, Logger: c.log, DrainTime: opts.DrainTime, OnGeneration: opts.OnGeneration,
	})
	c.requests = pipeline.NewEdge[Request](StageCrawl)
	c.requests.Key = c.identity
	c.requests.Group = func(r Request) string {
		u, err := r.address()
		if err != nil || len(u.Host()) > queue.MaxGroup {
			return ""
		}
		return u.Host()
	}
	c.requests.Config = queue.Config{
		MaxAttempts: s.MaxAttempts + deathsAllowed,
		Groups:      queue.GroupPolicy{MaxInFlight: s.PerHost, MinDelay: max(s.Delay, 0)},
	}
	feeds := []pipeline.AnyEdge{c.requests}
	var chain []Stage // behind crawl, one behind the other
	for _, st := range s.Stages[1:] {
		if st.Name == StageWARC {
			c.captures = pipeline.NewEdge[captured](StageWARC)
			c.captures.Config.MaxAttempts = -1
			c.warc = newArchive(opts, &s)
			feeds = append(feeds, c.captures)
			continue
		}
		edge := pipeline.NewEdge[Doc](st.Name)
		edge.Config.MaxAttempts = 20
		c.docs, chain = append(c.docs, edge), append(chain, st)
	}
	if len(c.docs) > 0 {
		feeds = append(feeds, c.docs[0])
	}
	pipeline.Handle(c.pipeline, c.requests, c.visit,
		pipeline.Feeds(feeds...), pipeline.Workers(s.Workers), pipeline.MinWorkers(min(s.Workers, 8)))
	for i, edge := range c.docs {
		var next *pipeline.Edge[Doc]
		var options []pipeline.StageOption
		if i+1 < len(c.docs) {
			next = c.docs[i+1]
			options = append(options, pipeline.Feeds(next))
		}
		pipeline.Handle(c.pipeline, edge, c.stage(chain[i], next), options...)
	}
	if c.captures != nil {
		pipeline.HandleBatch(c.pipeline, c.captures, archiveBatch, c.archive, pipeline.Serial())
	}
}

// stage returns the function of a stage behind crawl.
func (c *Crawler) stage(st Stage, next *pipeline.Edge[Doc]) pipeline.Func[Doc] {
	if st.Command != nil {
		e := &stages.Exec{Command: st.Command, Logger: c.log}
		c.execs = append(c.execs, e)
		return c.external(st.Name, e, next)
	}
	if st.Name == StageExtract {
		return c.extract(&extract.Extractor{Mode: c.settings.Mode}, next)
	}
	return c.tag(next)
}

// Run crawls until the crawl is complete or ctx ends; see pipeline.Run. Whether
// it is complete, [Crawler.Done] tells.
func (c *Crawler) Run(ctx context.Context) error {
	defer c.fetcher.CloseIdle()
	defer c.robotFiles.CloseIdle()
	requests := make([]Request, len(c.seeds))
	for i, u := range c.seeds {
		requests[i] = Request{URL: u.String()}
	}
	if err := pipeline.Seed(ctx, c.pipeline, c.requests, requests...); err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	children, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for _, e := range c.execs {
		g.Go(func() error {
			if err := e.Run(children); err != nil && children.Err() == nil {
				return err
			}
			return nil
		})
	}
	g.Go(func() error {
		defer stop()
		return c.pipeline.Run(ctx)
	})
	if err := g.Wait(); err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	return nil
}

// Done reports whether the crawl is complete.
func (c *Crawler) Done(ctx context.Context) (bool, error) { return c.pipeline.Done(ctx) }

// Settings returns the crawl's settings, with the defaults filled in.
func (c *Crawler) Settings() Settings { return c.settings }

// identity is the key of a request: what its page is known by.
func (c *Crawler) identity(r Request) string {
	u, err := r.address()
	if err != nil {
		return r.URL
	}
	return u.Canonical(&c.settings.Identity).String()
}

// cache is a bounded map from strings, safe for concurrent use. It forgets the
// older half of what was put into it.
type cache[V any] struct {
	max int // entries; 0 means cacheMax

	mu         sync.Mutex
	young, old map[string]V
}

const cacheMax = 16 << 10

func (c *cache[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.young[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.putLocked(key, v)
	}
	return v, ok
}

func (c *cache[V]) put(key string, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(key, v)
}

func (c *cache[V]) putLocked(key string, v V) {
	if c.young == nil || len(c.young) >= cmp.Or(c.max, cacheMax)/2 {
		c.old, c.young = c.young, make(map[string]V)
	}
	c.young[key] = v
}
