package crawler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/queue"
)

// Explanation is everything that is known about an address. Its JSON form is
// stable.
type Explanation struct {
	URL   string `json:"url"`   // in canonical form
	State string `json:"state"` // one of the States
	Seed  bool   `json:"seed"`
	Page  *Page  `json:"page,omitempty"`
	Text  bool   `json:"text"` // whether extract has kept a text
	Tags  bool   `json:"tags"` // whether tag has kept tags

	Failure *Failure `json:"failure,omitempty"`
	Skip    *Skip    `json:"skip,omitempty"`
	Notices []Notice `json:"notices,omitempty"`

	// Deferred says that it has left the frontier until its host is well again.
	Deferred bool `json:"deferred,omitempty"`

	Waiting *WaitingRequest `json:"waiting,omitempty"`
	Dead    []DeadItem      `json:"dead,omitempty"` // of any stage

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
	StateUnknown  = "never met"
)

// Variant is what came of a request with a method, a header or a body.
type Variant struct {
	Key     string   `json:"key"` // the address, "#METHOD-" and a digest of the rest
	Page    *Page    `json:"page,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
}

// maxVariants is how many of them an Explanation has of pages and of failures.
const maxVariants = 20

func (e *Explanation) readVariants(ctx context.Context, store *queue.Store) error {
	from, to := recordKey(e.URL)+"#", recordKey(e.URL)+"$" // the character behind '#'
	pages, err := store.Scan(ctx, tablePages, from, to, maxVariants)
	if err != nil {
		return err
	}
	for _, r := range pages {
		v := Variant{Key: r.Key, Page: new(Page)}
		if err := codec.Decode(r.Value, v.Page); err != nil {
			return fmt.Errorf("record %s/%s: %w: %w", tablePages, r.Key, queue.ErrCorrupt, err)
		}
		e.Others = append(e.Others, v)
	}
	failures, err := store.Scan(ctx, tableFailures, from, to, maxVariants)
	if err != nil {
		return err
	}
	for _, r := range failures {
		v := Variant{Key: r.Key, Failure: new(Failure)}
		if err := codec.Decode(r.Value, v.Failure); err != nil {
			return fmt.Errorf("record %s/%s: %w: %w", tableFailures, r.Key, queue.ErrCorrupt, err)
		}
		e.Others = append(e.Others, v)
	}
	return nil
}

// WaitingRequest is a request as it waits in the frontier.
type WaitingRequest struct {
	State      string     `json:"state"` // ready, delayed or leased
	Generation int        `json:"generation"`
	Present    int        `json:"present_generation"` // the one being crawled
	Due        *time.Time `json:"due,omitempty"`      // of a delayed one
	Attempts   int        `json:"attempts"`           // so far
	Enqueued   time.Time  `json:"enqueued"`
	Depth      int        `json:"depth"`
	Referrer   string     `json:"referrer,omitempty"`
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

// ScopeDecision is what the rules of the scope say about an address, if it is
// linked to from a seed.
type ScopeDecision struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason"`
}

// Explain returns what is known about an address in any spelling. It may be
// used while the crawl runs. An address that cannot be is a *weburl.Error.
func Explain(ctx context.Context, store *queue.Store, address string) (*Explanation, error) {
	u, err := weburl.Parse(address)
	if err != nil {
		return nil, err
	}
	e, err := explain(ctx, store, u)
	if err != nil {
		return nil, fmt.Errorf("explain %s: %w", u, err)
	}
	return e, nil
}

func explain(ctx context.Context, store *queue.Store, u weburl.URL) (*Explanation, error) {
	stored, err := Load(ctx, store)
	if err != nil {
		return nil, err
	}
	settings := stored.Settings
	e := &Explanation{URL: u.String(), State: StateUnknown}
	if err := e.readRecords(ctx, store); err != nil {
		return nil, err
	}
	if err := e.readVariants(ctx, store); err != nil {
		return nil, err
	}
	if err := e.readFrontier(ctx, store, u.Canonical(&settings.Identity).String()); err != nil {
		return nil, err
	}
	if err := e.readDead(ctx, store, stored.Queues()); err != nil {
		return nil, err
	}
	if err := e.readHost(ctx, store, u, settings); err != nil {
		return nil, err
	}
	if err := e.decideScope(ctx, store, u, settings); err != nil {
		return nil, err
	}
	switch {
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
	case len(e.Dead) > 0:
		e.State = StateDead
	case e.Skip != nil:
		e.State = StateSkipped
	}
	return e, nil
}

func (e *Explanation) readRecords(ctx context.Context, store *queue.Store) error {
	key := recordKey(e.URL)
	var page Page
	var failure Failure
	var skip Skip
	var text Text
	var tags Tags
	for _, r := range []struct {
		table string
		read  func(table string) (bool, error)
		found func()
	}{
		{tablePages, func(t string) (bool, error) { return get(ctx, store, t, key, &page) }, func() { e.Page = &page }},
		{tableFailures, func(t string) (bool, error) { return get(ctx, store, t, key, &failure) }, func() { e.Failure = &failure }},
		{tableSkips, func(t string) (bool, error) { return get(ctx, store, t, key, &skip) }, func() { e.Skip = &skip }},
		{tableTexts, func(t string) (bool, error) { return get(ctx, store, t, key, &text) }, func() { e.Text = true }},
		{tableTags, func(t string) (bool, error) { return get(ctx, store, t, key, &tags) }, func() { e.Tags = true }},
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
		_, err := store.Get(ctx, tableDeferred, u.Host()+" "+key)
		if err != nil && !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		e.Deferred = err == nil
	}
	for _, kind := range []string{NoticeSeedMoved, NoticeSitemap} {
		var n Notice
		if ok, err := get(ctx, store, tableNotices, kind+"/"+key, &n); err != nil {
			return err
		} else if ok {
			e.Notices = append(e.Notices, n)
		}
	}
	return nil
}

// readFrontier looks for the request in the crawl queue.
func (e *Explanation) readFrontier(ctx context.Context, store *queue.Store, identity string) error {
	w, err := store.Find(ctx, StageCrawl, identity)
	if errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrUnknownQueue) {
		return nil
	}
	if err != nil {
		return err
	}
	var r Request
	if err := codec.Decode(w.Item.Body, &r); err != nil {
		return err
	}
	st, err := store.QueueStats(StageCrawl)
	if err != nil {
		return err
	}
	e.Waiting = &WaitingRequest{
		State: w.State.String(), Generation: int(w.Epoch), Present: int(st.Epoch), Attempts: w.Attempts,
		Enqueued: w.Enqueued, Depth: r.Depth, Referrer: r.Referrer,
	}
	if !w.Due.IsZero() {
		e.Waiting.Due = &w.Due
	}
	return nil
}

func (e *Explanation) readDead(ctx context.Context, store *queue.Store, queues []string) error {
	for _, name := range queues {
		err := WalkDead(ctx, store, name, func(d DeadItem) error {
			if d.URL == e.URL {
				e.Dead = append(e.Dead, d)
			}
			return nil
		})
		if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
			return err
		}
	}
	return nil
}

func (e *Explanation) readHost(ctx context.Context, store *queue.Store, u weburl.URL, settings Settings) error {
	h := &e.Host
	h.Host = u.Host()
	var state polite.HostState
	if _, err := get(ctx, store, tableHosts, u.Host(), &state); err != nil {
		return err
	}
	options := settings.politeness()
	h.Delay, h.DelayBy = state.Delay(&options)
	h.Failures = state.Failures
	until, reason := state.NotBefore, state.Reason
	group, err := store.GroupSettings(ctx, StageCrawl, u.Host())
	if err != nil && !errors.Is(err, queue.ErrUnknownQueue) {
		return err
	}
	if h.Paused = group.Paused; group.NotBefore.After(until) {
		until, reason = group.NotBefore, "robots.txt cannot be fetched"
	}
	if until.After(time.Now()) {
		h.NotBefore, h.Reason = &until, reason
	}
	b, err := store.Get(ctx, tableRobots, u.Origin())
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var p robots.Policy
	if err := p.UnmarshalBinary(b); err != nil {
		return fmt.Errorf("record %s/%s: %w", tableRobots, u.Origin(), err)
	}
	d := p.Decide(u.String())
	e.Robots = &RobotsDecision{
		Allowed: d.Allowed, Reason: d.Reason, Outcome: p.Outcome.String(),
		Fetched: p.Fetched, Expires: p.Expires, Ignored: settings.IgnoreRobots,
	}
	return nil
}

func (e *Explanation) decideScope(ctx context.Context, store *queue.Store, u weburl.URL, settings Settings) (err error) {
	if e.Seed, err = HasSeed(ctx, store, Request{URL: e.URL}); err != nil {
		return err
	}
	origins, err := seedOrigins(ctx, store)
	if err != nil {
		return err
	}
	rules, err := settings.Scope.New(origins)
	if err != nil {
		return err
	}
	depth := 1
	if e.Seed {
		depth = 0
	}
	d := rules.Decide(u, depth)
	e.Scope = ScopeDecision{d.Accepted, d.String()}
	return nil
}

// DeadItem is a dead letter of a crawl. Its JSON form is stable.
type DeadItem struct {
	ID         uint64    `json:"id"`
	Queue      string    `json:"queue"`
	URL        string    `json:"url,omitempty"` // empty if the item cannot be read
	Generation int       `json:"generation"`
	Attempts   int       `json:"attempts"`
	Buried     time.Time `json:"buried"`
	Reason     string    `json:"reason"`
	Stack      string    `json:"stack,omitempty"`
}

// WalkDead calls fn with each dead letter of a stage, oldest first; see
// WalkResults.
func WalkDead(ctx context.Context, store *queue.Store, stage string, fn func(DeadItem) error) error {
	const limit = 100
	for after := uint64(0); ; {
		letters, err := store.DeadLetters(ctx, stage, after, limit)
		if err != nil {
			return err
		}
		for _, l := range letters {
			d := DeadItem{
				ID: l.ID, Queue: l.Queue, Generation: int(l.Epoch), Attempts: l.Attempts,
				Buried: l.Buried, Reason: l.Reason, Stack: l.Stack, URL: ItemURL(l.Queue, l.Item.Body),
			}
			if err := fn(d); err != nil {
				return err
			}
			after = l.ID
		}
		if len(letters) < limit {
			return nil
		}
	}
}

// ItemURL returns the address that an item of a stage's queue is about, or ""
// if it is no item of a crawl.
func ItemURL(stage string, body []byte) string {
	switch stage {
	case StageCrawl:
		var r Request
		if codec.Decode(body, &r) != nil {
			return ""
		}
		return r.URL
	case StageWARC:
		var c Captured
		if codec.Decode(body, &c) != nil {
			return ""
		}
		return c.URL
	}
	var v Visit // of a function with a queue; its form is like no other
	if codec.Decode(body, &v) == nil {
		return v.URL
	}
	var d Doc
	if codec.Decode(body, &d) != nil {
		return ""
	}
	return d.URL
}
