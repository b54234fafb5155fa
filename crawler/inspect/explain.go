package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
)

// Explanation is everything that is known about an address. Its JSON form is
// stable.
type Explanation struct {
	URL   string        `json:"url"`   // in canonical form
	State string        `json:"state"` // one of the States
	Seed  bool          `json:"seed"`
	Page  *crawler.Page `json:"page,omitempty"`
	Text  bool          `json:"text"` // whether extract has kept a text
	Tags  bool          `json:"tags"` // whether tag has kept tags

	Failure *crawler.Failure `json:"failure,omitempty"`
	Skip    *crawler.Skip    `json:"skip,omitempty"`
	Notices []crawler.Notice `json:"notices,omitempty"`

	// NearDuplicateOf is the first page with nearly the same text.
	NearDuplicateOf string `json:"near_duplicate_of,omitempty"`

	// Asset is set if the address was fetched as a part of a page.
	Asset *crawler.Asset `json:"asset,omitempty"`

	// AssetKind says what an address that was never met is by its name, if that is nothing
	// that links lead to: an image, style, script, font, video or audio.
	AssetKind string `json:"asset_kind,omitempty"`

	// History is what earlier visits of a page found; see crawler.History.
	History *crawler.History `json:"history,omitempty"`

	// Deferred says that it has left the frontier until its host is well again.
	Deferred bool `json:"deferred,omitempty"`

	Waiting *WaitingRequest `json:"waiting,omitempty"`
	Stages  []StageItem     `json:"stages,omitempty"` // where the page is on its way
	Dead    []DeadItem      `json:"dead,omitempty"`   // of any stage

	// Others are what came of requests for the address that were no plain GETs.
	Others []Variant `json:"others,omitempty"`

	Host   HostPoliteness  `json:"host"`
	Robots *RobotsDecision `json:"robots,omitempty"` // nil if none has been fetched
	Scope  ScopeDecision   `json:"scope"`
}

// States of an Explanation.
const (
	StateFetched  = "fetched"
	StateRedirect = "redirect"
	StateFailed   = "failed"
	StateFetching = "being fetched"
	StateWaiting  = "waiting"
	StateDeferred = "deferred" // until its host's time has come
	StateDead     = "dead letter"
	StateSkipped  = "skipped"
	StateAsset    = "asset"    // a part of a page: an image, a style sheet
	StateVanished = "vanished" // 404, 410, or a page that says so, where there was a page
	StateUnknown  = "never met"
)

// Variant is what came of a request with a method, a header or a body.
type Variant struct {
	Key     string           `json:"key"` // the address, "#METHOD-" and a digest of the rest
	Page    *crawler.Page    `json:"page,omitempty"`
	Failure *crawler.Failure `json:"failure,omitempty"`
}

// maxVariants is how many of them an Explanation has of pages and of failures.
const maxVariants = 20

func (e *Explanation) readVariants(ctx context.Context, store *queue.Store) error {
	pages, err := variants(ctx, store, tables.Pages, e.URL, func(p *crawler.Page) Variant { return Variant{Page: p} })
	if err != nil {
		return err
	}
	failures, err := variants(ctx, store, tables.Failures, e.URL, func(f *crawler.Failure) Variant { return Variant{Failure: f} })
	e.Others = append(pages, failures...)
	return err
}

func variants[T any](ctx context.Context, store *queue.Store, table, url string, variant func(*T) Variant) (all []Variant, err error) {
	from, to := tables.Key(url)+"#", tables.Key(url)+"$" // the character behind '#'
	err = tables.WalkRange(ctx, store, table, from, to, func(key string, v *T) error {
		it := variant(v)
		it.Key = key
		if all = append(all, it); len(all) == maxVariants {
			return ErrStop
		}
		return nil
	})
	return all, stopped(err)
}

// WaitingRequest is a request as it waits in the frontier.
type WaitingRequest struct {
	State      string     `json:"state"` // ready, delayed or leased
	Generation int        `json:"generation"`
	Present    int        `json:"present_generation"` // the one being crawled
	Due        *time.Time `json:"due,omitempty"`      // of a delayed one
	Attempts   int        `json:"attempts"`           // so far
	Error      string     `json:"error,omitempty"`    // of the last one
	Enqueued   time.Time  `json:"enqueued"`
	Depth      int        `json:"depth"`
	Referrer   string     `json:"referrer,omitempty"`
}

// StageItem is a page that a stage behind the crawl has not done yet.
type StageItem struct {
	Stage    string     `json:"stage"`
	State    string     `json:"state"`         // ready, delayed or leased
	Due      *time.Time `json:"due,omitempty"` // of a delayed one
	Attempts int        `json:"attempts"`
	Error    string     `json:"error,omitempty"` // of the last one
}

// HostPoliteness is how long a host must be left alone, and why.
type HostPoliteness struct {
	Host      string        `json:"host"`
	Delay     time.Duration `json:"delay_ns"`             // between requests
	DelayBy   polite.Reason `json:"delay_by"`             // what makes it that long
	Failures  int           `json:"failures"`             // in a row
	NotBefore *time.Time    `json:"not_before,omitempty"` // when it may be asked again, if that is to come
	Reason    polite.Reason `json:"reason,omitempty"`     // for NotBefore
	Paused    bool          `json:"paused,omitempty"`

	// Sick is set while addresses wait for the host outside of the frontier.
	Sick *crawler.SickHost `json:"sick,omitempty"`
}

// RobotsDecision is what robots.txt says about an address.
type RobotsDecision struct {
	Allowed bool      `json:"allowed"`
	Reason  string    `json:"reason,omitempty"`
	Outcome string    `json:"outcome"` // of fetching robots.txt
	Fetched time.Time `json:"fetched"`
	Expires time.Time `json:"expires"`
	Ignored bool      `json:"ignored,omitempty"` // the crawl does not obey it
}

// ScopeDecision is what the rules of the scope say about an address at its depth.
type ScopeDecision struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason"`
	Depth    int    `json:"depth"` // links from a seed; 1 if the address was never met
}

// Explain returns what is known about an address in any spelling. It may be
// used while the crawl runs. An address that cannot be is a *weburl.Error. Of the
// options, which are the program's, it heeds the code that is not stored: Scope and
// Identity. Nil options have none.
func Explain(ctx context.Context, store *queue.Store, address string, o *crawler.Options) (*Explanation, error) {
	u, err := weburl.Parse(address)
	if err != nil {
		return nil, err
	}
	var code crawler.Options
	if o != nil {
		code = *o
	}
	e, err := explain(ctx, store, u, &code)
	if err != nil {
		return nil, fmt.Errorf("explain %s: %w", u, err)
	}
	return e, nil
}

func explain(ctx context.Context, store *queue.Store, u weburl.URL, o *crawler.Options) (*Explanation, error) {
	stored, err := crawler.Load(ctx, store)
	if err != nil {
		return nil, err
	}
	o.Settings = stored.Settings
	e := &Explanation{URL: u.String(), State: StateUnknown}
	if err := e.readRecords(ctx, store); err != nil {
		return nil, err
	}
	if err := e.readVariants(ctx, store); err != nil {
		return nil, err
	}
	if err := e.readFrontier(ctx, store, o); err != nil {
		return nil, err
	}
	if err := e.readStages(ctx, store, stored.Queues()); err != nil {
		return nil, err
	}
	if err := e.readDead(ctx, store, stored.Queues()); err != nil {
		return nil, err
	}
	if err := e.readHost(ctx, store, u, &o.Settings); err != nil {
		return nil, err
	}
	if err := e.decideScope(ctx, store, u, o); err != nil {
		return nil, err
	}
	switch {
	case e.Page != nil && (e.Page.VanishedAt != nil || e.Page.Soft404):
		e.State = StateVanished
	case e.Page != nil && e.Page.Redirect != "":
		e.State = StateRedirect
	case e.Page != nil:
		e.State = StateFetched
	case e.Waiting != nil && e.Waiting.State == queue.StateLeased.String():
		e.State = StateFetching
	case e.Waiting != nil:
		e.State = StateWaiting
	case e.Deferred:
		e.State = StateDeferred
	case e.Failure != nil:
		e.State = StateFailed
	case e.Asset != nil:
		e.State = StateAsset
	case len(e.Dead) > 0:
		e.State = StateDead
	case e.Skip != nil:
		e.State = StateSkipped
	}
	if e.State == StateUnknown {
		e.AssetKind = assetKind(u)
	}
	return e, nil
}

func (e *Explanation) readRecords(ctx context.Context, store *queue.Store) error {
	key := tables.Key(e.URL)
	var page crawler.Page
	var failure crawler.Failure
	var skip crawler.Skip
	var text crawler.Text
	var tags crawler.Tags
	var history crawler.History
	var asset crawler.Asset
	for _, r := range []struct {
		table string
		read  func(table string) (bool, error)
		found func()
	}{
		{tables.Pages, func(t string) (bool, error) { return tables.Get(ctx, store, t, key, &page) }, func() { e.Page = &page }},
		{tables.Failures, func(t string) (bool, error) { return tables.Get(ctx, store, t, key, &failure) }, func() { e.Failure = &failure }},
		{tables.Skips, func(string) (ok bool, err error) { skip, ok, err = crawler.FindSkip(ctx, store, e.URL); return ok, err }, func() { e.Skip = &skip }},
		{tables.Texts, func(t string) (bool, error) { return tables.Get(ctx, store, t, key, &text) }, func() { e.Text, e.NearDuplicateOf = true, text.NearDuplicateOf }},
		{tables.Tags, func(t string) (bool, error) { return tables.Get(ctx, store, t, key, &tags) }, func() { e.Tags = true }},
		{tables.History, func(t string) (bool, error) { return tables.Get(ctx, store, t, key, &history) }, func() { e.History = &history }},
		{tables.Assets, func(t string) (bool, error) { return tables.Get(ctx, store, t, key, &asset) }, func() { e.Asset = &asset }},
	} {
		ok, err := r.read(r.table)
		if err != nil {
			return err
		}
		if ok {
			r.found()
		}
	}
	if u, err := weburl.Parse(e.URL); err == nil {
		_, err := store.Get(ctx, tables.Deferred, u.Host()+" "+key)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		e.Deferred = err == nil
	}
	for _, kind := range []string{crawler.NoticeSeedMoved, crawler.NoticeSitemap, crawler.NoticeTags, crawler.NoticeLogin} {
		var n crawler.Notice
		if ok, err := tables.Get(ctx, store, tables.Notices, kind+"/"+key, &n); err != nil {
			return err
		} else if ok {
			e.Notices = append(e.Notices, n)
		}
	}
	return nil
}

// maxReturns is how often an address may have left the frontier and come back that
// is still found there. Its host's waits double, so it is seldom.
const maxReturns = 40

// findRequest looks for the request in the crawl queue, under each key that it may
// have. It returns queue.ErrNotFound if it does not wait there.
func (e *Explanation) findRequest(ctx context.Context, store *queue.Store, o *crawler.Options) (w queue.Waiting, err error) {
	plain, exact := o.FrontierKey(crawler.Request{URL: e.URL}), tables.ExactKey(e.URL)
	keys := []string{plain, exact, tables.AssetKey(e.URL)}
	if round, _, err := tables.ReadRound(ctx, store); err != nil {
		return w, err
	} else if n := round.Number; n > 0 {
		keys = append(keys, tables.RoundKey(plain, n), tables.RoundKey(exact, n), tables.RoundKey(tables.AssetKey(e.URL), n))
	}
	for _, key := range keys {
		for n := range maxReturns + 1 {
			if w, err = store.Find(ctx, crawler.StageCrawl, tables.BackKey(key, n)); !errors.Is(err, queue.ErrNotFound) {
				return w, err
			}
		}
	}
	return w, err
}

func (e *Explanation) readFrontier(ctx context.Context, store *queue.Store, o *crawler.Options) error {
	w, err := e.findRequest(ctx, store, o)
	if errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrUnknownQueue) {
		return nil
	}
	if err != nil {
		return err
	}
	var r crawler.Request
	if err := codec.Decode(w.Item.Body, &r); err != nil {
		return err
	}
	st, err := store.QueueStats(ctx, crawler.StageCrawl)
	if err != nil {
		return err
	}
	e.Waiting = &WaitingRequest{
		State: w.State.String(), Generation: int(w.Epoch), Present: int(st.Epoch), Attempts: w.Attempts, Error: w.Failure,
		Enqueued: w.Enqueued, Depth: r.Depth, Referrer: r.Referrer,
	}
	if !w.Due.IsZero() {
		e.Waiting.Due = &w.Due
	}
	return nil
}

// maxStageItems is how many items of each stage are looked at for an address: those
// that come first, among which are those that are late.
const maxStageItems = 200

// readStages looks for the page in the queues behind the crawl.
func (e *Explanation) readStages(ctx context.Context, store *queue.Store, queues []string) error {
	for _, name := range queues {
		if name == crawler.StageCrawl {
			continue
		}
		items, err := store.Browse(ctx, name, nil, maxStageItems)
		if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
			return err
		}
		for _, w := range items {
			if ItemURL(name, w.Item.Body) != e.URL {
				continue
			}
			it := StageItem{Stage: name, State: w.State.String(), Attempts: w.Attempts, Error: w.Failure}
			if !w.Due.IsZero() {
				it.Due = &w.Due
			}
			e.Stages = append(e.Stages, it)
		}
	}
	return nil
}

func (e *Explanation) readDead(ctx context.Context, store *queue.Store, queues []string) error {
	for _, name := range queues {
		err := WalkDead(ctx, store, name, func(d *DeadItem) error {
			if d.URL == e.URL {
				e.Dead = append(e.Dead, *d)
			}
			return nil
		})
		if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
			return err
		}
	}
	return nil
}

func (e *Explanation) readHost(ctx context.Context, store *queue.Store, u weburl.URL, settings *crawler.Settings) error {
	h := &e.Host
	h.Host = u.Host()
	var state polite.HostState
	if _, err := tables.Get(ctx, store, tables.Hosts, u.Host(), &state); err != nil {
		return err
	}
	var sick crawler.SickHost
	if ok, err := tables.Get(ctx, store, tables.Sick, u.Host(), &sick); err != nil {
		return err
	} else if ok {
		h.Sick = &sick
	}
	own := settings.ForHost(u.Host())
	options := own.Politeness()
	h.Delay, h.DelayBy = state.Delay(&options)
	h.Failures = state.Failures
	until, reason := state.NotBefore, state.Reason
	group, err := store.GroupSettings(ctx, crawler.StageCrawl, u.Host())
	if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
		return err
	}
	b, err := store.Get(ctx, tables.Robots, u.Origin())
	unknown := errors.Is(err, queue.ErrNotFound)
	if h.Paused = group.Paused; group.NotBefore.After(until) {
		until, reason = group.NotBefore, polite.ByMinDelay
		if unknown {
			reason = "robots.txt cannot be fetched"
		}
	}
	if until.After(time.Now()) {
		h.NotBefore, h.Reason = &until, reason
	}
	if unknown {
		return nil
	}
	if err != nil {
		return err
	}
	var p robots.Policy
	if err := p.UnmarshalBinary(b); err != nil {
		return fmt.Errorf("record %s/%s: %w", tables.Robots, u.Origin(), err)
	}
	d := p.Decide(u.String())
	e.Robots = &RobotsDecision{
		Allowed: d.Allowed, Reason: d.Reason, Outcome: p.Outcome.String(),
		Fetched: p.Fetched, Expires: p.Expires, Ignored: settings.IgnoreRobots,
	}
	return nil
}

func (e *Explanation) decideScope(ctx context.Context, store *queue.Store, u weburl.URL, o *crawler.Options) (err error) {
	if e.Seed, err = HasSeed(ctx, store, crawler.Request{URL: e.URL}); err != nil {
		return err
	}
	rules := o.Scope
	if rules == nil {
		origins, err := tables.SeedOrigins(ctx, store)
		if err != nil {
			return err
		}
		areas, err := tables.SeedAreas(ctx, store)
		if err != nil {
			return err
		}
		if rules, err = o.Settings.Scope.New(origins, areas...); err != nil {
			return err
		}
	}
	depth, err := e.depth(ctx, store)
	if err != nil {
		return err
	}
	d := rules.Decide(u, depth)
	e.Scope = ScopeDecision{d.Accepted, d.String(), depth}
	return nil
}

// depth is how many links lead from a seed to where the address was found.
func (e *Explanation) depth(ctx context.Context, store *queue.Store) (int, error) {
	switch {
	case e.Seed:
		return 0, nil
	case e.Page != nil:
		return e.Page.Depth, nil
	case e.Waiting != nil:
		return e.Waiting.Depth, nil
	case e.Failure != nil:
		return e.Failure.Depth, nil
	case e.Skip != nil:
		var from crawler.Page
		if ok, err := tables.Get(ctx, store, tables.Pages, tables.Key(e.Skip.From), &from); ok || err != nil {
			return from.Depth + 1, err
		}
	}
	return 1, nil
}
