package crawler

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// policy returns the robots.txt rules of an origin. If they have to be fetched
// first, they are, and stored with the stage's transaction; the page itself is
// then left for the next turn of its host, so that both keep the distance.
func (c *Crawler) policy(ctx context.Context, u weburl.URL, out *pipeline.Out) (*robots.Policy, error) {
	origin := u.Origin()
	previous, ok := c.robots.get(origin)
	if !ok {
		if b, err := c.store.Get(ctx, tableRobots, origin); err == nil {
			p := new(robots.Policy)
			if p.UnmarshalBinary(b) == nil && strings.EqualFold(p.Rules.Agent(), c.agent) {
				previous = p
				c.robots.put(origin, p)
			}
		} else if !errors.Is(err, queue.ErrNotFound) {
			return nil, err
		}
	}
	if previous != nil && previous.Fresh(time.Now()) {
		return previous, nil
	}
	v, err, _ := c.fetching.Do(origin, func() (any, error) {
		p := robots.Decide(c.fetchRobots(ctx, origin), c.agent, previous)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if p.Outcome == robots.Unreachable {
			c.reportUnreachable(ctx, u, p)
		}
		c.robots.put(origin, p)
		return p, nil
	})
	if err != nil {
		return nil, err
	}
	policy := v.(*robots.Policy)
	return policy, c.storePolicy(ctx, u, policy, out)
}

// reportUnreachable logs that a host has to wait for its robots.txt. That of a
// seed is what the operator wants to know.
func (c *Crawler) reportUnreachable(ctx context.Context, u weburl.URL, p *robots.Policy) {
	level := slog.LevelInfo
	if slices.ContainsFunc(c.seeds, func(seed weburl.URL) bool { return seed.Origin() == u.Origin() }) {
		level = slog.LevelWarn
	}
	next := "given up"
	if p.Failures < c.settings.MaxAttempts {
		next = "tried again in " + time.Until(p.Expires).Round(time.Second).String()
	}
	c.log.Log(ctx, level, p.Decide("/").Reason, "origin", u.Origin(), "next", next)
}

// storePolicy adds fetched rules to the stage's transaction, and returns
// pipeline.ErrAgain if the host wants time between the two requests.
func (c *Crawler) storePolicy(ctx context.Context, u weburl.URL, policy *robots.Policy, out *pipeline.Out) error {
	b, err := policy.MarshalBinary()
	if err != nil {
		return err
	}
	for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
		tx.Put(tableRobots, u.Origin(), b)
	}
	c.hostsMu.Lock()
	state, err := c.hostState(ctx, u.Host())
	if err == nil {
		state.CrawlDelay = policy.Rules.CrawlDelay()
		c.hosts.put(u.Host(), state)
	}
	c.hostsMu.Unlock()
	if err != nil {
		return err
	}
	if state.CrawlDelay > 0 {
		for _, tx := range []*queue.Tx{out.Tx(), out.OnFailure()} {
			if err := put(tx, tableHosts, u.Host(), state); err != nil {
				return err
			}
		}
	}
	if c.settings.Sitemaps {
		// These are seeds of their own, and stored as such at once: what a stage
		// emits is dropped with ErrAgain.
		for _, s := range policy.Rules.Sitemaps() {
			to, err := u.Resolve(s)
			if err != nil || !c.decide(to, 0).Accepted {
				continue
			}
			item, err := c.requests.Item(Request{URL: to.String(), Sitemap: true, Referrer: u.Origin() + "/robots.txt"})
			if err != nil {
				return err
			}
			out.Tx().Enqueue(StageCrawl, item)
		}
	}
	asked := policy.Status != 0
	if delay, _ := state.Delay(&c.polite); delay > 0 && asked && policy.Outcome != robots.Unreachable {
		out.Tx().DelayGroup(StageCrawl, u.Host(), time.Now().Add(delay))
		return pipeline.ErrAgain
	}
	return nil
}

// fetchRobots fetches a robots.txt file, with its redirects.
func (c *Crawler) fetchRobots(ctx context.Context, origin string) robots.Fetch {
	target := origin + "/robots.txt"
	for range robots.MaxRedirects + 1 {
		resp, err := c.robotFiles.Fetch(ctx, stages.FetchRequest{URL: target})
		f := robots.Fetch{Time: time.Now(), Err: err}
		if resp == nil {
			e := stages.AsError(err)
			f.NoServer = e != nil && e.Permanent && target == origin+"/robots.txt"
			return f
		}
		f.Status, f.Body = resp.Status, resp.Body
		if e := stages.AsError(err); e != nil {
			if resp.Status >= 400 {
				f.Err = nil // the status says it
			}
			if e.Reason == stages.ReasonTooLarge && resp.Status < 300 {
				f.Err = nil // what arrived is enough
			}
			if !e.RetryAfter.IsZero() {
				f.RetryAfter = time.Until(e.RetryAfter)
			}
		}
		if resp.Redirect == "" {
			return f
		}
		target = resp.Redirect
	}
	return robots.Fetch{Time: time.Now(), Status: http.StatusFound}
}
