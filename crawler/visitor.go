package crawler

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
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
	hosts      hostSettingsCache
	budgets    budgets
	pace       *rate.Limiter // of all requests; nil for none
	round      int           // the present one
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
	v.traps = traps{store: v.Store, limits: s.Scope.Traps}
	v.memory = stages.NewBudget(s.memory())
	v.hosts.of = s
	v.budgets = budgets{store: v.Store, settings: &v.hosts}
	if s.Rate > 0 {
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
			Store: v.Store, Shared: o.Shared, Options: s.Politeness(), Grace: s.Grace, Spacing: s.leastDelay(),
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
		f.MaxBody, f.Cut, f.Types, f.MaxIdlePerHost = robots.MaxBody, true, []string{"*/*"}, 1
	})
	files := &RobotsFiles{
		Store: v.Store, Shared: o.Shared, Fetcher: f, Agent: v.agent, Politeness: v.Politeness, Grace: o.Settings.Grace, Tries: o.Settings.maxAttempts(), GiveUp: o.Settings.GiveUp,
		Logger: o.Logger, Important: o.important,
	}
	if o.Settings.Sitemaps {
		files.Sitemaps = v.offerSitemap
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
	defer func() {
		if p := recover(); p != nil {
			err = v.panicked(r, out, p)
		}
	}()
	u, err := weburl.Parse(r.URL)
	if err != nil {
		return v.refuse(out, r, "bad_url", err.Error())
	}
	r.URL, r.parsed = u.String(), u // whoever seeded it
	// Whoever is visited is in the queue's seen-set, for good.
	v.known.add(v.Options.FrontierKey(r))
	first, end, err := v.visitFirst(ctx, out, &r)
	defer func() { end(err) }()
	if err != nil {
		return err
	}
	if !first {
		out.GroupUnused()
		return nil
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
	if settled, err := v.refuseNow(ctx, out, r, u); settled || err != nil {
		return err
	}
	if r.asset {
		_, bytes, err := v.fetch(ctx, out, r, u)
		if err != nil {
			return err
		}
		return v.budgets.count(ctx, out, u.Host(), bytes)
	}
	kept, bytes := false, int64(0)
	if v.tokens != nil {
		token, err := v.tokens.begin(ctx)
		if err != nil {
			return err
		}
		if token == nil {
			return v.refuseForLimit(out, r)
		}
		defer func() { v.tokens.end(token, kept, out) }()
	} else {
		if ok, err := v.limit.begin(ctx); err != nil {
			return err
		} else if !ok {
			return v.refuseForLimit(out, r)
		}
		defer func() { v.limit.end(kept) }()
	}
	if limit, err := v.generation.of(ctx, v.Store, out.Generation()); err != nil {
		return err
	} else if limit != nil {
		if ok, err := limit.begin(ctx); err != nil {
			return err
		} else if !ok {
			return v.refuseForGeneration(out, r)
		}
		defer func() { limit.end(kept) }()
	}
	spend, err := v.budgets.begin(ctx, u.Host())
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
	defer func() { spend(out, kept, bytes) }()
	v.traps.count(pattern, out)
	kept, bytes, err = v.fetch(ctx, out, r, u)
	kept = kept && err == nil
	return err
}

// leaveOutPage settles a page that the crawl's own rules leave out. It returns the
// pattern that its address is counted by, if there is one.
func (v *Visitor) leaveOutPage(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL) (pattern scope.Pattern, settled bool, err error) {
	if v.limit.reached() || v.tokens != nil && v.tokens.reached() {
		return pattern, true, v.refuseForLimit(out, r)
	}
	if limit, err := v.generation.of(ctx, v.Store, out.Generation()); err != nil {
		return pattern, false, err
	} else if limit != nil && limit.reached() {
		return pattern, true, v.refuseForGeneration(out, r)
	}
	if spent, text, err := v.budgets.spent(ctx, u.Host()); err != nil {
		return pattern, false, err
	} else if spent != "" {
		return pattern, true, v.refuseForBudget(out, r, spent, text)
	}
	if r.round > 0 {
		return pattern, false, nil // it was counted when it was new
	}
	why, pattern, err := v.traps.trapped(ctx, u)
	if err != nil {
		return pattern, false, err
	}
	if why != "" && r.Depth > 0 {
		countTrap(out, string(pattern.Kind))
		return pattern, true, v.leaveOut(out, r, why)
	}
	if r.Sitemap && r.nesting > 0 {
		pattern.Key = hostOfSitemaps(u)
		if n, err := tables.Counter(ctx, v.Store, tables.Patterns, tables.Key(pattern.Key)); err != nil {
			return pattern, false, err
		} else if n >= maxSitemaps {
			countTrap(out, "sitemaps")
			return pattern, true, v.leaveOut(out, r, fmt.Sprintf("trap sitemaps: %d sitemaps of %s have been read", maxSitemaps, u.Host()))
		}
	}
	if a, err := v.wasAsset(ctx, &r, v.request(ctx, r, u).Types); err != nil {
		return pattern, false, err
	} else if a != nil {
		return pattern, true, v.leaveOut(out, r, fmt.Sprintf("it is an asset of %s, of the type %s", a.Of, a.ContentType))
	}
	return pattern, false, nil
}

// refuseNow settles an address whose host is not to be asked, now or at all.
func (v *Visitor) refuseNow(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL) (settled bool, err error) {
	if down, err := v.Politeness.Down(ctx, u.Host()); err != nil {
		return false, err
	} else if down != "" {
		return true, v.refuse(out, r, ReasonHostDown, down)
	}
	if until, err := v.Politeness.Deferred(ctx, u.Host()); err != nil {
		return false, err
	} else if !until.IsZero() {
		out.GroupUnused()
		return true, v.deferRequest(out, r, u.Host(), until, "its host has failed")
	}
	var wait *deferral
	if forbidden, err := v.Robots.Check(ctx, u, out); errors.As(err, &wait) {
		return true, v.deferRequest(out, r, u.Host(), wait.until, err.Error())
	} else if err != nil {
		return false, err
	} else if forbidden != "" {
		return true, v.refuse(out, r, ReasonRobots, forbidden)
	}
	return false, nil
}

// fetch fetches an address that may be, and reports whether that gave a page, and how
// many bytes arrived.
func (v *Visitor) fetch(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL) (kept bool, bytes int64, err error) {
	fr := v.request(ctx, r, u)
	if err := v.condition(ctx, &r, &fr); err != nil {
		return false, 0, err
	}
	resp, err := v.Fetcher.Fetch(ctx, fr)
	defer resp.Release()
	if ctx.Err() != nil {
		return false, 0, ctx.Err()
	}
	if resp != nil {
		bytes = resp.WireSize
	}
	kept, err = v.fetched(ctx, out, r, u, resp, err)
	return kept, bytes, err
}

// fetched decides about an answer.
func (v *Visitor) fetched(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL, resp *stages.FetchResponse, err error) (kept bool, _ error) {
	state, stateErr := v.Politeness.Account(ctx, u.Host(), resp, err, out)
	if stateErr != nil {
		return false, stateErr
	}
	if v.Cookies != nil {
		if err := v.Cookies.Keep(ctx, u, resp, out); err != nil {
			return false, err
		}
	}
	if v.Archive != nil {
		if err := v.Archive.capture(ctx, out, v.Edges.Captures, v.room(0), r, resp, err); err != nil {
			return false, err
		}
	}
	if f := v.router[r.Label]; err != nil && f != nil && !r.Sitemap && !r.asset && f.wantsError(resp) {
		return v.page(ctx, out, r, resp)
	}
	if err != nil {
		return false, v.failed(ctx, out, r, resp, err, state)
	}
	if r.asset {
		return false, v.asset(out, r, u, resp)
	}
	if same, err := v.isSame(ctx, &r, resp); err != nil {
		return false, err
	} else if same {
		return true, v.same(out, r, resp)
	}
	if resp.Redirect != "" {
		return v.redirect(ctx, out, r, u, resp)
	}
	if r.Sitemap || v.isSitemap(r, resp) {
		return true, v.sitemap(ctx, out, r, u, resp)
	}
	if t := resp.MediaType(); slices.Contains(sitemapTypes, t) && r.Depth == 0 && r.Label == "" && !stages.MatchType(t, stages.DefaultTypes()) {
		// It was taken because it might have been a sitemap.
		return false, v.giveUp(out, r, string(stages.ReasonType), t, resp.Status)
	}
	return v.page(ctx, out, r, resp)
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

// refuse gives an address up for which its host was not asked: the host's next
// address need not wait.
func (v *Visitor) refuse(out *pipeline.Out, r Request, reason, detail string) error {
	out.GroupUnused()
	return v.giveUp(out, r, reason, detail, 0)
}

// leaveOut settles an address that is not to be fetched by a rule of the crawl
// itself, which is no failure.
func (v *Visitor) leaveOut(out *pipeline.Out, r Request, why string) error {
	out.GroupUnused()
	out.Tx().Add(tables.Crawl, tables.CounterLeftOut, 1)
	if r.round > 0 {
		return nil // it stays as it is known
	}
	skip := &Skip{URL: r.URL, Reason: why, From: r.Referrer}
	if isLimit(why) {
		var err error
		again := r
		again.deferred, again.failures, again.raised = 0, 0, 0
		if skip.Request, err = again.MarshalBinary(); err != nil {
			return err
		}
	}
	return v.Recorder.Skip(out, skip)
}

func (v *Visitor) refuseForLimit(out *pipeline.Out, r Request) error {
	out.Tx().Add(tables.Crawl, tables.CounterMaxPages, 1)
	return v.leaveOut(out, r, fmt.Sprintf("%s: %d pages have been fetched, which is the limit", ReasonMaxPages, v.limit.max))
}

func (v *Visitor) refuseForBudget(out *pipeline.Out, r Request, reason, text string) error {
	out.Tx().Add(tables.Crawl, tables.CounterLimit+strings.ReplaceAll(reason, "_", "-"), 1)
	return v.leaveOut(out, r, reason+": "+text)
}

// failed decides about an address whose fetch failed: another attempt if the
// failure may pass, the end if not.
func (v *Visitor) failed(ctx context.Context, out *pipeline.Out, r Request, resp *stages.FetchResponse, err error, state polite.HostState) error {
	status := 0
	if resp != nil {
		status = resp.Status
	}
	e := stages.AsError(err)
	if e == nil {
		return err
	}
	politeness := v.hosts.get(groupOf(r)).Politeness()
	if e.Permanent && r.guess {
		return v.noSitemap(out, r, string(e.Reason))
	}
	if e.Permanent || out.Failures()+1+r.failures >= v.Options.Settings.maxAttempts() || state.GivenUp(&politeness) {
		return v.giveUp(out, r, string(e.Reason), detail(e), status)
	}
	if state.Deferred {
		r.failures++
		return v.deferRequest(out, r, groupOf(r), state.NotBefore, e.Error())
	}
	// The state has bounded what the server asked for.
	if wait := state.Wait(time.Now()); wait > 0 && (!e.RetryAfter.IsZero() || state.Reason == polite.ByBackoff) {
		return pipeline.RetryAfter(wait, err)
	}
	return err
}

// detail is an error for people, without what the record says already.
func detail(e *stages.Error) string {
	if e.Detail != "" {
		return e.Detail
	}
	if e.Err != nil {
		return e.Err.Error()
	}
	return string(e.Reason)
}

// giveUp stores why an address was not fetched, and acknowledges it.
func (v *Visitor) giveUp(out *pipeline.Out, r Request, reason, detail string, status int) error {
	if r.asset {
		return v.noAsset(out, r, reason, detail, status)
	}
	again, err := r.stored()
	if err != nil {
		return err
	}
	f := &Failure{
		URL: r.URL, Method: r.Method, Label: r.Label, Reason: reason, Detail: detail, Status: status, Generation: out.Generation(),
		Depth: r.Depth, Referrer: r.Referrer, Attempts: out.Attempt(), At: time.Now().UTC(),
		Request: again,
	}
	if err := v.lost(out, r, f); err != nil {
		return err
	}
	return v.Recorder.Failure(out, r.Key(), f)
}

// record begins the record of a page.
func record(out *pipeline.Out, r Request, resp *stages.FetchResponse) *Page {
	return &Page{
		URL: r.URL, Method: r.Method, Label: r.Label, Status: resp.Status, Generation: out.Generation(), Depth: r.Depth,
		Referrer: r.Referrer, FetchedAt: resp.Fetched.UTC(), Took: resp.Timings.Total, FirstByte: resp.Timings.FirstByte,
		Remote: resp.Remote, ContentType: resp.ContentType, Bytes: len(resp.Body), Attempts: out.Attempt(),
		ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified"),
	}
}

// keep adds the record of a page.
func (v *Visitor) keep(ctx context.Context, out *pipeline.Out, r Request, page *Page) (err error) {
	page.Round, page.known = v.round, r.known
	if page.Request, err = r.stored(); err != nil {
		return err
	}
	return v.Recorder.Page(ctx, out, r.Key(), page)
}

// page records a page, does what its function decides, follows its links and
// hands it on.
func (v *Visitor) page(ctx context.Context, out *pipeline.Out, r Request, resp *stages.FetchResponse) (kept bool, err error) {
	visit := newVisit(r, resp, out)
	visit.parse.forms = v.Options.Settings.Forms
	f := v.router[r.Label]
	if f == nil && r.Label != "" {
		return false, v.giveUp(out, r, ReasonFunction, fmt.Sprintf("no function handles the label %s", r.Label), resp.Status)
	}
	if f != nil && !f.wants(visit.MediaType()) {
		f = nil
	}
	decided := new(Out)
	if f != nil && f.Queue == "" {
		if decided, err = v.apply(ctx, f, visit); err != nil || decided.verdict != nil {
			return false, v.judged(ctx, out, r, resp.Status, decided, err)
		}
	}
	page := record(out, r, resp)
	page.Digest = "sha256:" + hex.EncodeToString(resp.Digest[:])
	used := 0
	for _, it := range decided.items {
		used += len(it.key) + len(it.body)
	}
	if used > v.Store.MaxItem()/2 {
		err := fmt.Errorf("its items take %d bytes, at most %d fit in a page's transaction", used, v.Store.MaxItem()/2)
		return false, v.judged(ctx, out, r, resp.Status, nil, pipeline.Permanent(err))
	}
	page.Items = len(decided.items)
	undo, err := v.putItems(ctx, out, r.Key(), r.URL, decided.items)
	defer func() {
		if err != nil {
			undo()
		}
	}()
	if err != nil {
		return false, err
	}
	if visit.IsHTML() {
		var share *stages.Share
		visit.parse.beforeTree = func() { share, err = v.memory.Document(ctx, visit.Body) }
		d := visit.Page()
		defer share.Release()
		if err != nil {
			return false, err
		}
		page.Title, page.Canonical, page.Dropped = d.Meta.Title, d.Meta.Canonical, d.LinksDropped()
		page.Soft404 = softMissing(d)
	}
	if page.Canonical == "" {
		page.Canonical = visit.headerCanonical()
	}
	about, ignore := v.directives(visit), v.Options.Settings.IgnoreRobots
	nofollow := about.NoFollow && !ignore
	if err := v.follow(ctx, out, visit, decided, nofollow, page); err != nil {
		return false, err
	}
	if !visit.IsHTML() {
		out.Tx().Add(tables.Crawl, tables.CounterType+visit.MediaType(), 1)
	}
	page.NoIndex = !about.MayIndex(time.Now()) && !ignore
	history, err := v.found(out, r, page)
	if err != nil {
		return false, err
	}
	if err := v.handOn(out, visit, f, page, used, nofollow, history); err != nil {
		return false, err
	}
	return true, v.keep(ctx, out, r, page)
}

// newVisit is what functions see of a page.
func newVisit(r Request, resp *stages.FetchResponse, out *pipeline.Out) *Visit {
	visit := &Visit{
		Request: r, URL: r.URL, Status: resp.Status, Header: resp.Header, ContentType: resp.ContentType,
		Body: resp.Body, Fetched: resp.Fetched, Generation: out.Generation(), Attempt: out.Attempt(), parse: new(parse),
	}
	if isText(visit.MediaType()) {
		visit.Body, visit.parse.encoding = stages.ToUTF8(resp.Body, resp.ContentType)
	}
	visit.parse.xhtml = visit.MediaType() == "application/xhtml+xml"
	return visit
}

// isText reports whether a media type is text of any kind.
func isText(mediaType string) bool {
	_, sub, _ := strings.Cut(mediaType, "/")
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(sub, "+xml") || strings.HasSuffix(sub, "+json") ||
		slices.Contains([]string{"xml", "json", "javascript", "ld+json", "xhtml+xml", "x-ndjson"}, sub)
}

// apply calls a function, and makes sure that what it decides can be.
func (v *Visitor) apply(ctx context.Context, f *Function, visit *Visit) (*Out, error) {
	decided := NewOut(visit)
	err := v.caller.call(ctx, f.Timeout, func(ctx context.Context) error { return f.Visit(ctx, visit, decided) })
	if err != nil {
		return nil, err // what a call that was left behind still writes is not read
	}
	if decided.verdict != nil {
		return decided, nil
	}
	err = cmp.Or(decided.err, decided.checkItems(v.Options.Items), v.router.checkFollows(f.Follows, f.Queue != "", decided))
	if err != nil {
		return nil, pipeline.Permanent(err)
	}
	return decided, nil
}

// judged decides about a page whose function has failed, or has said that it is
// no page.
func (v *Visitor) judged(ctx context.Context, out *pipeline.Out, r Request, status int, decided *Out, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	reason, final := ReasonFunction, false
	after, delayed := time.Duration(0), false
	if err == nil {
		w := decided.verdict
		reason, final, after, delayed = ReasonJudged, !w.again, w.after, w.delayed
		err = errors.New(w.reason)
	} else {
		var says pipeline.Verdict
		if errors.As(err, &says) {
			permanent, notBefore := says.Verdict()
			final = permanent
			if delayed = !notBefore.IsZero(); delayed {
				after = time.Until(notBefore)
			}
		}
		said := []any{"url", r.URL, "label", r.Label, "err", err}
		var p *panicError
		if errors.As(err, &p) {
			said = append(said, "stack", string(p.stack))
		}
		v.Options.logger().Warn("function failed", said...)
	}
	switch {
	case final || v.spent(out):
		return v.giveUp(out, r, reason, err.Error(), status)
	case delayed:
		return pipeline.RetryAfter(max(after, 0), err)
	}
	return err
}

// room is how large an item with the whole page may be, in bytes, if so much of
// the transaction is in use. A transaction takes one and a half times MaxItem: one
// such item, or two of half the size where there is an archive, and a record of a
// third.
func (v *Visitor) room(used int) int {
	room := v.Store.MaxItem() - used
	if v.Edges.Captures != nil {
		return room / 2
	}
	return room
}

// largePage is how large a page may be, in bytes, that goes on with its tree.
const largePage = 1 << 20

// handOn gives the page to a function with a queue, and to the stages behind.
func (v *Visitor) handOn(out *pipeline.Out, visit *Visit, f *Function, page *Page, used int, nofollow bool, history *History) error {
	room := v.room(used)
	if f != nil && f.Queue != "" {
		edge := v.Edges.Functions[f.Queue]
		item, err := edge.Item(*visit)
		if err != nil {
			return err
		}
		if len(item.Body) > room {
			page.TooLarge = true
			return nil
		}
		room -= len(item.Body)
		out.Enqueue(edge, item)
	}
	readable := visit.Status < 400 && v.Options.extractor().Reads(visit.MediaType())
	if len(v.Edges.Docs) == 0 || !readable || page.NoIndex {
		return nil
	}
	doc := Doc{
		URL: visit.URL, Label: visit.Request.Label, Depth: visit.Request.Depth, NoFollow: nofollow, ContentType: visit.ContentType,
		Language: visit.Header.Get("Content-Language"), HTML: visit.Body, parse: visit.parse,
		history: history,
	}
	if len(doc.HTML) > largePage {
		doc.parse = nil // its tree would wait for the stage with it
	}
	if !visit.Request.plain() {
		doc.Key = visit.Request.Key()
	}
	if len(doc.HTML) < room/2 {
		// It has room, whatever its encoded form is, so that need not be made: the
		// page may go on to the next stage as it is.
		v.Edges.Docs[0].Emit(out, doc)
		return nil
	}
	item, err := v.Edges.Docs[0].Item(doc)
	if err != nil {
		return err
	}
	if page.TooLarge = len(item.Body) > room; !page.TooLarge {
		out.Enqueue(v.Edges.Docs[0], item)
	}
	return nil
}
