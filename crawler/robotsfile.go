package crawler

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// RobotsFiles obey robots.txt, which they fetch and keep in the store. It must not
// be copied.
type RobotsFiles struct {
	// Store is where the files' rules are. Fetcher fetches them; it must take any
	// type and may cut what is longer than robots.MaxBody. Both are required.
	Store   *queue.Store
	Fetcher Fetcher

	// Shared says that other processes fetch them too, for the same store.
	Shared bool

	// Agent is the product token that the rules are read for.
	Agent string

	// Politeness is told of the Crawl-delay of a file, and says when the page
	// itself may follow. Nil means at once.
	Politeness Politeness

	// Grace is how long pages wait in the frontier for a file that cannot be
	// reached; see Hosts. Default DefaultGrace; negative means however long.
	Grace time.Duration

	// Tries is how often a file that cannot be reached is asked for before its
	// host's pages are given up. Default DefaultMaxAttempts.
	Tries int

	// GiveUp is how long such a file is waited for at the most. Default
	// DefaultGiveUp.
	GiveUp time.Duration

	// Sitemaps is called with the sitemaps that a file names when it has been
	// fetched; if it names none, with the usual places, as guesses. Nil means that
	// they are passed over.
	Sitemaps func(ctx context.Context, all []weburl.URL, referrer string, guess bool, out *pipeline.Out) error

	// Logger is told of files that cannot be reached, as a warning if Important
	// says so of their origin. Nil means that nothing is logged.
	Logger    *slog.Logger
	Important func(origin string) bool

	// Prepare is called with each request before it is sent. Nil means that it
	// goes as it is.
	Prepare func(r *http.Request) error

	slow    *slowHosts // if files that take long may be parked
	mayTake func(host string) time.Duration

	weighed  sync.Once
	recent   cache[*robots.Policy]
	fetching singleflight.Group // by origin
}

// Check returns why robots.txt forbids an address, or "". If the file has to be
// fetched first, it is, and stored with the stage's transaction; the page itself
// is then left for the next turn of its host by pipeline.ErrAgain, so that both
// keep the distance. While the file cannot be reached the host waits, and its pages
// with it.
func (f *RobotsFiles) Check(ctx context.Context, u weburl.URL, out *pipeline.Out) (forbidden string, err error) {
	policy, err := f.Policy(ctx, u, out)
	if err != nil {
		return "", err
	}
	grace := cmp.Or(f.Grace, DefaultGrace)
	switch d := policy.Decide(u.String()); {
	case d.Allowed:
		return "", nil
	case d.Temporary && !f.givenUp(policy) && grace > 0 && time.Until(policy.Expires) > grace:
		return "", &deferral{policy.Expires, errors.New(d.Reason)}
	case d.Temporary && !f.givenUp(policy):
		// No failure of the page: it waits with its host.
		out.Tx().DelayGroup(StageCrawl, u.Host(), policy.Expires)
		return "", pipeline.ErrAgain
	default:
		return d.Reason, nil
	}
}

// givenUp reports whether a file that could not be reached is not asked for again.
func (f *RobotsFiles) givenUp(p *robots.Policy) bool { return robotsGivenUp(p, f.Tries, f.GiveUp) }

func robotsGivenUp(p *robots.Policy, tries int, giveUp time.Duration) bool {
	return p.Failures >= cmp.Or(tries, DefaultMaxAttempts) || p.Waited() > cmp.Or(giveUp, DefaultGiveUp)
}

// Policy returns the rules of an address's origin, fetched if need be; see
// Check.
func (f *RobotsFiles) Policy(ctx context.Context, u weburl.URL, out *pipeline.Out) (*robots.Policy, error) {
	origin := u.Origin()
	previous, ok := f.recent.get(origin)
	if ok && f.Shared && !previous.Fresh(time.Now()) {
		ok = false // another process may have asked meanwhile
	}
	if !ok {
		if b, err := f.Store.Get(ctx, tables.Robots, origin); err == nil {
			p := new(robots.Policy)
			if p.UnmarshalBinary(b) == nil && strings.EqualFold(p.Rules.Agent(), f.Agent) {
				previous = p
				f.remember(origin, p)
			}
		} else if !errors.Is(err, queue.ErrNotFound) {
			return nil, err
		}
	}
	if previous != nil && previous.Fresh(time.Now()) {
		return previous, nil
	}
	v, err, _ := f.fetching.Do(origin, func() (any, error) {
		got, err := f.robotsErrand(ctx, u.Host(), origin, out)
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		switch {
		case errors.Is(got.Err, errNotAlive):
			return nil, pipeline.ErrAgain
		case errors.Is(got.Err, errNotAsked):
			return nil, got.Err
		}
		p := robots.Decide(got, f.Agent, previous)
		if p.Outcome == robots.Unreachable {
			f.reportUnreachable(ctx, origin, p)
		}
		f.remember(origin, p)
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	policy := v.(*robots.Policy)
	return policy, f.keep(ctx, u, policy, out)
}

// remember keeps the rules of an origin in memory, as far as there is room: those of some
// take a megabyte.
func (f *RobotsFiles) remember(origin string, p *robots.Policy) {
	f.weighed.Do(func() { f.recent.weigh = func(p *robots.Policy) int { return p.Rules.Size() } })
	f.recent.put(origin, p)
}

// reportUnreachable logs that a host has to wait for its robots.txt. That of a
// seed is what the operator wants to know.
func (f *RobotsFiles) reportUnreachable(ctx context.Context, origin string, p *robots.Policy) {
	if f.Logger == nil {
		return
	}
	level := slog.LevelInfo
	if f.Important != nil && f.Important(origin) {
		level = slog.LevelWarn
	}
	next := "given up"
	if !f.givenUp(p) {
		next = "tried again in " + time.Until(p.Expires).Round(time.Second).String()
	}
	f.Logger.Log(ctx, level, p.Decide("/").Reason, "origin", origin, "next", next)
}

// keep adds fetched rules to the stage's transaction, and returns
// pipeline.ErrAgain if the host wants time between the two requests.
func (f *RobotsFiles) keep(ctx context.Context, u weburl.URL, policy *robots.Policy, out *pipeline.Out) error {
	b, err := policy.MarshalBinary()
	if err != nil {
		return err
	}
	for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
		tx.Put(tables.Robots, u.Origin(), b)
	}
	var delay time.Duration
	if f.Politeness != nil {
		if delay, err = f.Politeness.SetCrawlDelay(ctx, u.Host(), policy.Rules.CrawlDelay(), out); err != nil {
			return err
		}
	}
	if f.Sitemaps != nil {
		names, guess := policy.Rules.Sitemaps(), false
		if len(names) == 0 && policy.Outcome != robots.Unreachable {
			names, guess = wellKnownSitemaps, true
		}
		all := make([]weburl.URL, 0, len(names))
		for _, s := range names {
			if to, err := u.Resolve(s); err == nil {
				all = append(all, to)
			}
		}
		if err := f.Sitemaps(ctx, all, u.Origin()+"/robots.txt", guess, out); err != nil {
			return err
		}
	}
	if f.slow != nil && f.Politeness != nil {
		// The pause of a slow host is waited for by whoever asks for the page.
		if until, slow, err := f.Politeness.Rests(ctx, u.Host()); err != nil || slow && !until.IsZero() {
			return err
		}
	}
	if asked := policy.Status != 0; delay > 0 && asked && policy.Outcome != robots.Unreachable {
		out.Tx().DelayGroup(StageCrawl, u.Host(), time.Now().Add(delay))
		return pipeline.ErrAgain
	}
	return nil
}

// fetch fetches a robots.txt file, with its redirects.
func (f *RobotsFiles) fetch(ctx context.Context, origin string, may alive) robots.Fetch {
	target := origin + "/robots.txt"
	for range robots.MaxRedirects + 1 {
		resp, err := f.Fetcher.Fetch(ctx, stages.FetchRequest{URL: target, Prepare: ifAlive(may, f.Prepare)})
		got := robots.Fetch{Time: time.Now(), Err: err}
		if resp == nil {
			e := stages.AsError(err)
			got.NoServer = e != nil && e.Permanent && target == origin+"/robots.txt" && e.Reason != stages.ReasonProtocol
			return got
		}
		got.Status, got.Body = resp.Status, resp.Body
		if e := stages.AsError(err); e != nil {
			if resp.Status >= 300 {
				got.Err = nil // the status says it
			}
			got.Cut = e.Reason == stages.ReasonTruncated
			if (e.Permanent || got.Cut) && resp.Status < 300 {
				got.Err = nil // what can be read of it is enough: a wrong label does not cost the host
			}
			if !e.RetryAfter.IsZero() {
				got.RetryAfter = time.Until(e.RetryAfter)
			}
		}
		if resp.Redirect == "" {
			return got
		}
		target = resp.Redirect
	}
	return robots.Fetch{Time: time.Now(), Status: http.StatusFound}
}
