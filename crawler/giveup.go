package crawler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
)

// leaveOutPage settles a page that the crawl's own rules leave out. It returns the
// pattern that its address is counted by, if there is one.
func (v *Visitor) leaveOutPage(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL) (pattern scope.Pattern, settled bool, err error) {
	refuse, err := v.limited(ctx, out.Generation(), u.Host())
	if err != nil {
		return pattern, false, err
	}
	if refuse != nil {
		return pattern, true, v.leaveOutHost(ctx, out, r, u.Host(), refuse)
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
// If not it says whether the host is slow.
func (v *Visitor) refuseNow(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL) (settled, slow bool, err error) {
	page, file := v.slow.knows(&r, u) // of which there is an answer, or will be
	if !page && !file {
		if settled, slow, err = v.hostRests(ctx, out, r, u); settled || err != nil {
			return settled, slow, err
		}
	}
	var wait *deferral
	var parked *errSlow
	if forbidden, err := v.Robots.Check(ctx, u, out); errors.As(err, &wait) {
		return true, slow, v.deferRequest(out, r, u.Host(), wait.until, err.Error())
	} else if errors.As(err, &parked) {
		return true, slow, v.leaveParked(ctx, out, r, u.Host(), parked)
	} else if err != nil {
		return false, slow, err
	} else if forbidden != "" {
		return true, slow, v.refuse(out, r, ReasonRobots, forbidden)
	}
	if file && !page {
		return v.hostRests(ctx, out, r, u)
	}
	return false, slow, nil
}

// hostRests settles an address whose host is to be left alone for now, or waits for it.
func (v *Visitor) hostRests(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL) (settled, slow bool, err error) {
	if down, err := v.Politeness.Down(ctx, u.Host()); err != nil {
		return false, false, err
	} else if down != "" {
		return true, false, v.refuse(out, r, ReasonHostDown, down)
	}
	until, slow, err := v.Politeness.Rests(ctx, u.Host())
	switch {
	case err != nil || until.IsZero():
		return false, slow, err
	case !slow:
		out.GroupUnused()
		return true, false, v.deferRequest(out, r, u.Host(), until, "its host has failed")
	}
	err = v.slow.rest(ctx, out, u.Host(), func() (time.Time, error) {
		until, _, err := v.Politeness.Rests(ctx, u.Host())
		return until, err
	})
	var leaves *errSlow
	if errors.As(err, &leaves) {
		out.GroupUnused()
		return true, true, v.deferSlow(out, r, u.Host(), leaves)
	}
	return false, true, err
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

// failed decides about an address whose fetch failed: another attempt if the
// failure may pass, the end if not. It reports whether the address is deferred.
func (v *Visitor) failed(ctx context.Context, out *pipeline.Out, r Request, resp *stages.FetchResponse, err error, state polite.HostState) (again bool, _ error) {
	status := 0
	if resp != nil {
		status = resp.Status
	}
	e := stages.AsError(err)
	if e == nil {
		return false, err
	}
	politeness := v.hosts.get(groupOf(r)).Politeness()
	if e.Permanent && r.guess {
		return false, v.noSitemap(out, r, string(e.Reason))
	}
	if e.Permanent || out.Failures()+1+r.failures >= v.Options.Settings.maxAttempts() || state.GivenUp(&politeness) {
		return false, v.giveUp(out, r, string(e.Reason), detail(e), status)
	}
	if state.Deferred {
		r.failures++
		return true, v.deferRequest(out, r, groupOf(r), state.NotBefore, e.Error())
	}
	// The state has bounded what the server asked for.
	if wait := state.Wait(time.Now()); wait > 0 && (!e.RetryAfter.IsZero() || state.Reason == polite.ByBackoff) {
		return false, pipeline.RetryAfter(wait, err)
	}
	return false, err
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
		Depth: r.Depth, Referrer: r.Referrer, Attempts: r.attempts(out), At: time.Now().UTC(),
		Request: again,
	}
	if err := v.lost(out, r, f); err != nil {
		return err
	}
	return v.Recorder.Failure(out, r.Key(), f)
}
