package crawler

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/sitemap"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// Visitor is the crawl stage: [Visitor.Visit] fetches one address. Whatever comes
// of it is one transaction: a page with all that its function decides, a failure,
// or another attempt later.
//
// It is made of parts, which a program may replace, and a test call alone. Store
// and Edges are required; the rest has the defaults that Options choose. A Visitor
// may be used by many goroutines, and must not be copied or changed after its
// first use.
type Visitor struct {
	Store   *queue.Store
	Edges   *Edges
	Options *Options

	Fetcher    Fetcher    // default: a stages.Fetcher
	Scope      Scope      // default: Options.Scope, or that of Settings.Scope without seeds
	Robots     Robots     // default: RobotsFiles, or AllowAll with Settings.IgnoreRobots
	Politeness Politeness // default: Hosts
	Recorder   Recorder   // default: Records
	Archive    *Archive   // default: none
	Cookies    *Cookies   // default: none, or new ones with Settings.Cookies

	once       sync.Once
	agent      string // product token
	router     router
	caller     caller
	limit      pageLimit
	tokens     *pageTokens // in place of limit, if several processes crawl
	traps      traps
	sick       cache[SickHost]
	slow       slowHosts
	hosts      hostSettingsCache
	budgets    budgets
	pace       pacer // of all requests; nil for none
	round      presentRound
	priorities priorities
	underway   underway
	generation generationLimit
	assetScope Scope // of requisites; nil if none are fetched
	memory     *stages.Budget
	known      keySet // by identity, in the queue's seen-set: need not be offered again
	closer     []func()
}

// init fills in the defaults.
func (v *Visitor) init() {
	if v.Options == nil {
		v.Options = new(Options)
	}
	o := v.Options
	s := &o.Settings
	v.agent = robots.ProductToken(cmp.Or(s.UserAgent, stages.DefaultUserAgent))
	v.router = make(router)
	for i := range o.Functions {
		v.router[o.Functions[i].Label] = &o.Functions[i]
	}
	v.limit.max = int64(s.MaxPages)
	if o.Shared && s.MaxPages > 0 {
		v.tokens = newPageTokens(v.Store, v.limit.max, func(ctx context.Context) (int64, error) { return v.counted(ctx, v.Store) })
		v.closer = append(v.closer, v.tokens.close)
	}
	v.generation.max = int64(s.MaxGenerationPages)
	v.priorities = newPriorities(s)
	v.known.max = 128 << 10
	v.traps = traps{store: v.Store, limits: s.Scope.Traps, shared: o.Shared}
	v.memory = stages.NewBudget(s.memory())
	v.slow.store, v.slow.memory, v.slow.patience, v.slow.workers = v.Store, v.memory, s.patience(), s.workers()
	v.hosts.of = s
	v.budgets = budgets{store: v.Store, settings: &v.hosts, shared: o.Shared}
	switch {
	case s.Rate <= 0:
	case o.Shared:
		p := newSharedPace(v.Store, s.Rate)
		v.pace = p
		v.closer = append(v.closer, p.close)
	default:
		v.pace = newPace(s.Rate)
	}
	if v.Scope == nil {
		v.Scope = o.Scope
	}
	if v.Scope == nil {
		if sc, err := s.Scope.New(nil); err == nil { // New has checked it
			v.Scope = sc
		}
	}
	if v.Recorder == nil {
		v.Recorder = &Records{Store: v.Store, skips: keySet{max: 64 << 10}}
	}
	if v.Fetcher == nil {
		v.Fetcher = v.fetchers(func(f *stages.Fetcher) { f.KeepWire, f.Budget = v.Archive != nil, v.memory })
	}
	if v.Politeness == nil {
		v.Politeness = &Hosts{
			Store: v.Store, Shared: o.Shared, Options: s.Politeness(), Grace: s.Grace, Patience: s.patience(), Spacing: s.leastDelay(),
			OptionsOf: func(host string) polite.Options { return v.hosts.get(host).Politeness() },
		}
	}
	if v.Cookies == nil && s.Cookies {
		v.Cookies = &Cookies{Store: v.Store}
	}
	if v.Robots == nil && s.IgnoreRobots {
		v.Robots = AllowAll{}
	}
	if v.Robots == nil {
		v.Robots = v.robotsFiles()
	}
}

// fetchers returns what fetches by the settings of each host, changed by fn.
func (v *Visitor) fetchers(fn func(*stages.Fetcher)) Fetcher {
	f, err := NewFetchers(v.Options)
	if err != nil { // New has told of it
		return failingFetcher{err}
	}
	f.Each(fn)
	f.pace = v.pace
	v.closer = append(v.closer, f.CloseIdle)
	return f
}

// failingFetcher is the fetcher of settings that cannot be.
type failingFetcher struct{ err error }

func (f failingFetcher) Fetch(context.Context, stages.FetchRequest) (*stages.FetchResponse, error) {
	return nil, f.err
}

// robotsFiles returns the default for Robots.
func (v *Visitor) robotsFiles() *RobotsFiles {
	o := v.Options
	// It takes whatever a server calls its robots.txt.
	f := v.fetchers(func(f *stages.Fetcher) {
		f.MaxBody, f.Cut, f.Types = robots.MaxBody, true, []string{"*/*"}
	})
	if files, ok := f.(*Fetchers); ok {
		if pages, ok := v.Fetcher.(*Fetchers); ok {
			files.connectAs(pages)
		}
	}
	files := &RobotsFiles{
		Store: v.Store, Shared: o.Shared, Fetcher: f, Agent: v.agent, Politeness: v.Politeness, Grace: o.Settings.Grace, Tries: o.Settings.maxAttempts(), GiveUp: o.Settings.GiveUp,
		Logger: o.Logger, Important: o.important, slow: &v.slow, mayTake: v.mayTake,
	}
	if o.Settings.Sitemaps {
		files.Sitemaps = v.offerSitemaps
	}
	if o.BeforeRequest != nil {
		files.Prepare = func(r *http.Request) error { return o.BeforeRequest(r, Request{URL: r.URL.String()}) }
	}
	return files
}

// close closes idle connections.
func (v *Visitor) close() {
	for _, fn := range v.closer {
		fn()
	}
}

// Visit is the stage; wire it with Edges.Requests.
func (v *Visitor) Visit(ctx context.Context, r Request, out *pipeline.Out) (err error) {
	v.once.Do(v.init)
	end := func(error) {}
	defer func() {
		if p := recover(); p != nil {
			err = v.panicked(r, out, p)
		}
		end(err)
	}()
	u, err := weburl.Parse(r.URL)
	if err != nil {
		return v.refuse(out, r, "bad_url", err.Error())
	}
	r.URL, r.parsed = u.String(), u // whoever seeded it
	// Whoever is visited is in the queue's seen-set, for good.
	v.known.add(v.Options.FrontierKey(r))
	first := false
	if first, end, err = v.visitFirst(ctx, out, &r); err != nil {
		return err
	}
	if !first {
		out.GroupUnused()
		return nil
	}
	if err := v.followRound(ctx, out.Generation()); err != nil {
		return err
	}
	var pattern scope.Pattern
	if r.asset {
		if page, err := v.wasPage(ctx, &r); err != nil {
			return err
		} else if page {
			out.GroupUnused()
			return nil
		}
		if err := v.recallAsset(ctx, &r); err != nil {
			return err
		}
		if spent, text, err := v.budgets.spent(ctx, u.Host()); err != nil {
			return err
		} else if spent == reasonMaxBytes || spent == reasonMaxHostBytes {
			return v.refuse(out, r, spent, text)
		}
	} else {
		if r.round > 0 {
			if r.known, err = v.recall(ctx, &r); err != nil {
				return err
			}
		}
		settled := false
		if pattern, settled, err = v.leaveOutPage(ctx, out, r, u); settled || err != nil {
			return err
		}
	}
	settled, slow, err := v.refuseNow(ctx, out, r, u)
	if settled || err != nil {
		return err
	}
	if r.asset {
		got, err := v.fetch(ctx, out, r, u, slow)
		if err != nil || got.again {
			return err
		}
		return v.budgets.count(ctx, out, u.Host(), got.bytes)
	}
	var got fetched
	if v.tokens != nil {
		token, err := v.tokens.begin(ctx)
		if err != nil {
			return err
		}
		if token == nil {
			return v.refuseForLimit(out, r)
		}
		defer func() { v.tokens.end(token, got.kept, out) }()
	} else {
		if ok, err := v.limit.begin(ctx); err != nil {
			return err
		} else if !ok {
			return v.refuseForLimit(out, r)
		}
		defer func() { whenKept(out, got.kept, v.limit.end) }()
	}
	if limit := v.sharedGeneration(out.Generation()); limit.max > 0 {
		if ok, err := limit.begin(ctx); err != nil {
			return err
		} else if !ok {
			return v.refuseForGeneration(out, r)
		}
	} else if limit, err := v.generation.of(ctx, v.Store, out.Generation()); err != nil {
		return err
	} else if limit != nil {
		if ok, err := limit.begin(ctx); err != nil {
			return err
		} else if !ok {
			return v.refuseForGeneration(out, r)
		}
		defer func() { whenKept(out, got.kept, limit.end) }()
	}
	spend, err := v.budgets.begin(ctx, u.Host(), out)
	if errors.Is(err, errBudget) {
		_, text, err := v.budgets.spent(ctx, u.Host())
		if err != nil {
			return err
		}
		return v.refuseForBudget(out, r, reasonMaxHostPages, text)
	}
	if err != nil {
		return err
	}
	defer func() { spend(out, got.kept, got.bytes) }()
	asked := false
	v.traps.begin(pattern)
	defer func() { v.traps.end(pattern, out, asked) }()
	got, err = v.fetch(ctx, out, r, u, slow)
	got.kept = got.kept && err == nil
	asked = err == nil && !got.again
	return err
}

// fetched is what came of a request.
type fetched struct {
	kept  bool  // as a page
	bytes int64 // that arrived
	again bool  // the address is deferred, and settles nothing yet
}

// fetch fetches an address that may be. slow says that its host is.
func (v *Visitor) fetch(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL, slow bool) (got fetched, err error) {
	fr := v.request(ctx, r, u)
	if err := v.condition(ctx, &r, &fr); err != nil {
		return got, err
	}
	resp, err := v.ask(ctx, out, r, u, fr, slow)
	defer resp.Release()
	if ctx.Err() != nil {
		return got, ctx.Err()
	}
	switch {
	case errors.Is(err, errNotAlive):
		return got, pipeline.ErrAgain
	case errors.Is(err, errNotAsked):
		return got, err
	}
	var parked *errSlow
	if errors.As(err, &parked) {
		got.again = true
		return got, v.leaveParked(ctx, out, r, u.Host(), parked)
	}
	if resp != nil {
		got.bytes = resp.WireSize
	}
	err = v.decide(ctx, out, r, u, resp, err, &got)
	return got, err
}

// errNotAlive ends a request before it is sent, as somebody else may have the address.
var errNotAlive = errors.New("it may be another's by now")

// alive is what a request is for: a *pipeline.Out, or an *errand for it.
type alive interface{ Alive() bool }

// ifAlive makes a request go only if what it is for is this process's. One that was
// stopped, or cut off, for longer than its lease would else ask a host that another asks
// now, and between whose requests it knows no delay.
func ifAlive(may alive, prepare func(*http.Request) error) func(*http.Request) error {
	return func(hr *http.Request) error {
		if prepare != nil {
			if err := prepare(hr); err != nil {
				return err
			}
		}
		if !may.Alive() {
			return errNotAlive
		}
		return nil
	}
}

// decide decides about an answer.
func (v *Visitor) decide(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL, resp *stages.FetchResponse, err error, got *fetched) error {
	state, stateErr := v.Politeness.Account(ctx, u.Host(), resp, err, out)
	if stateErr != nil {
		return stateErr
	}
	if !state.Slow && state.Failures == 0 {
		v.slow.quick(state.NotBefore)
	}
	if v.Cookies != nil {
		if err := v.Cookies.Keep(ctx, u, resp, out); err != nil {
			return err
		}
	}
	if v.Archive != nil {
		if err := v.Archive.capture(ctx, out, v.Store.MaxItem()/2, r, resp, err); err != nil {
			return err
		}
	}
	if f := v.router[r.Label]; err != nil && f != nil && !r.Sitemap && !r.asset && f.wantsError(resp) {
		got.kept, err = v.page(ctx, out, r, resp)
		return err
	}
	if err != nil {
		got.again, err = v.failed(ctx, out, r, resp, err, state)
		return err
	}
	if r.asset {
		return v.asset(out, r, u, resp)
	}
	if same, err := v.isSame(ctx, &r, resp); err != nil {
		return err
	} else if same {
		got.kept = true
		return v.same(out, r, resp)
	}
	if resp.Redirect != "" {
		got.kept, err = v.redirect(ctx, out, r, u, resp)
		return err
	}
	if r.Sitemap || v.isSitemap(r, resp) {
		got.kept = true
		return v.sitemap(ctx, out, r, u, resp)
	}
	if t := resp.MediaType(); slices.Contains(sitemapTypes, t) && r.Depth == 0 && r.Label == "" && !stages.MatchType(t, stages.DefaultTypes()) {
		// It was taken because it might have been a sitemap.
		return v.giveUp(out, r, string(stages.ReasonType), t, resp.Status)
	}
	got.kept, err = v.page(ctx, out, r, resp)
	return err
}

// request is what the fetcher is asked for.
func (v *Visitor) request(ctx context.Context, r Request, u weburl.URL) stages.FetchRequest {
	fr := stages.FetchRequest{URL: r.URL, Method: r.Method, Header: r.Header, Body: r.Body}
	if f := v.router[r.Label]; f != nil && !r.Sitemap && !r.asset {
		fr.MaxBody, fr.Statuses = f.MaxBody, f.Statuses
		if f.Types != nil {
			fr.Types = slices.Concat(v.hosts.get(u.Host()).mediaTypes(), f.Types)
		}
	}
	switch {
	case r.asset:
		fr.Types = []string{"*/*"}
	case r.Sitemap: // of any type, which its bytes tell, and up to what the protocol permits
		fr.Types, fr.MaxBody = []string{"*/*"}, sitemap.DefaultMaxBytes
	case r.Depth == 0 && r.Label == "":
		if fr.Types == nil { // else they are the function's
			fr.Types = v.hosts.get(u.Host()).mediaTypes()
		}
		fr.Types = slices.Concat(fr.Types, sitemapTypes)
	}
	if v.Cookies == nil && v.Options.BeforeRequest == nil {
		return fr
	}
	fr.Prepare = func(hr *http.Request) error {
		if v.Cookies != nil {
			if err := v.Cookies.Apply(ctx, u, hr); err != nil {
				return err
			}
		}
		if v.Options.BeforeRequest != nil {
			return v.Options.BeforeRequest(hr, r)
		}
		return nil
	}
	return fr
}
