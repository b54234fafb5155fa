package crawler

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/polite"
	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/sitemap"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// maxRedirects is how many redirects in a row are followed.
const maxRedirects = 10

// visit is the crawl stage: it fetches one address. Whatever comes of it is one
// transaction: a page, a failure, or another attempt later.
func (c *Crawler) visit(ctx context.Context, r Request, out *pipeline.Out) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = c.panicked(ctx, r, out, v)
		}
	}()
	u, err := weburl.Parse(r.URL)
	if err != nil {
		return c.refuse(out, r, "bad_url", err.Error())
	}
	// Whoever is visited is in the queue's seen-set, for good.
	c.known.put(c.identity(r), true)
	if c.limit.reached() {
		return c.refuseForLimit(out, r)
	}
	if down, err := c.hostDown(ctx, u.Host()); err != nil {
		return err
	} else if down != "" {
		return c.refuse(out, r, ReasonHostDown, down)
	}
	if !c.settings.IgnoreRobots {
		policy, err := c.policy(ctx, u, out)
		if err != nil {
			return err
		}
		switch d := policy.Decide(r.URL); {
		case d.Allowed:
		case d.Temporary && policy.Failures < c.settings.MaxAttempts:
			out.OnFailure().DelayGroup(StageCrawl, u.Host(), policy.Expires)
			return pipeline.RetryAfter(time.Until(policy.Expires), fmt.Errorf("robots.txt of %s: %s", u.Origin(), d.Reason))
		default:
			return c.refuse(out, r, ReasonRobots, d.Reason)
		}
	}
	if ok, err := c.limit.begin(ctx); err != nil {
		return err
	} else if !ok {
		return c.refuseForLimit(out, r)
	}
	kept := false
	defer func() { c.limit.end(kept) }()
	kept, err = c.fetch(ctx, out, r, u)
	kept = kept && err == nil
	return err
}

// fetch fetches an address that may be, and reports whether that gave a page.
func (c *Crawler) fetch(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL) (kept bool, err error) {
	resp, err := c.fetcher.Fetch(ctx, stages.FetchRequest{URL: r.URL})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	state, stateErr := c.account(ctx, u.Host(), resp, err, out)
	if stateErr != nil {
		return false, stateErr
	}
	if err := c.capture(out, r, resp, err); err != nil {
		return false, err
	}
	if err != nil {
		return false, c.failed(ctx, out, r, resp, err, state)
	}
	return c.keep(ctx, out, r, u, resp)
}

// refuse gives an address up for which its host was not asked: the host's next
// address need not wait.
func (c *Crawler) refuse(out *pipeline.Out, r Request, reason, detail string) error {
	out.GroupUnused()
	return c.giveUp(out, r, reason, detail, 0)
}

func (c *Crawler) refuseForLimit(out *pipeline.Out, r Request) error {
	return c.refuse(out, r, ReasonMaxPages, fmt.Sprintf("%d pages have been fetched, which is the limit", c.settings.MaxPages))
}

// failed decides about an address whose fetch failed: another attempt if the
// failure may pass, the end if not.
func (c *Crawler) failed(ctx context.Context, out *pipeline.Out, r Request, resp *stages.FetchResponse, err error, state polite.HostState) error {
	status := 0
	if resp != nil {
		status = resp.Status
	}
	e := stages.AsError(err)
	if e == nil {
		return err
	}
	tries, countErr := c.failedTry(ctx, r, out)
	if countErr != nil {
		return countErr
	}
	if e.Permanent || tries >= c.settings.MaxAttempts || state.GivenUp(&c.polite) {
		return c.giveUp(out, r, string(e.Reason), detail(e), status)
	}
	if wait := max(time.Until(e.RetryAfter), state.Wait(time.Now())); !e.RetryAfter.IsZero() || state.Reason == polite.ByBackoff {
		return pipeline.RetryAfter(wait, err)
	}
	return c.retry(tries, err)
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
func (c *Crawler) giveUp(out *pipeline.Out, r Request, reason, detail string, status int) error {
	tx := out.Tx()
	tx.Add(tableCrawl, counterFailures, 1)
	tx.Add(tableCrawl, generationCounter(out.Generation(), counterFailures), 1)
	c.forgetTries(r.URL, out)
	return put(tx, tableFailures, recordKey(r.URL), Failure{
		URL: r.URL, Reason: reason, Detail: detail, Status: status, Generation: out.Generation(),
		Depth: r.Depth, Referrer: r.Referrer, Attempts: out.Attempt(), At: time.Now().UTC(),
	})
}

// keep records a page, follows its links and hands it on. It reports whether it
// is a page: a redirect to nowhere is a failure.
func (c *Crawler) keep(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL, resp *stages.FetchResponse) (bool, error) {
	page := Page{
		URL: r.URL, Status: resp.Status, Generation: out.Generation(), Depth: r.Depth, Referrer: r.Referrer,
		FetchedAt: resp.Fetched.UTC(), Took: resp.Timings.Total, FirstByte: resp.Timings.FirstByte, Remote: resp.Remote,
		ContentType: resp.ContentType, Bytes: len(resp.Body), Attempts: out.Attempt(),
		ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified"),
	}
	if resp.Redirect != "" {
		return c.redirect(out, r, u, resp.Redirect, page)
	}
	page.Digest = "sha256:" + hex.EncodeToString(resp.Digest[:])
	if err := c.markDuplicate(ctx, out, &page); err != nil {
		return false, err
	}
	if r.Sitemap {
		c.followSitemap(out, r, u, resp.Body)
		return true, c.record(out, page)
	}
	about := robots.ParseHeader(resp.Header.Values("X-Robots-Tag"), c.agent)
	doc := Doc{URL: r.URL, ContentType: resp.ContentType, Language: resp.Header.Get("Content-Language"), HTML: resp.UTF8()}
	if resp.IsHTML() {
		links := linkResolver{found: make(map[string]weburl.URL)}
		d := stages.ParseDocument(doc.HTML, r.URL, &stages.DocumentOptions{Resolve: links.resolve})
		page.Title, page.Canonical, page.Dropped = d.Meta.Title, d.Meta.Canonical, d.LinksDropped()
		meta := d.Meta.Robots(c.agent)
		about = about.Merge(robots.Directives{NoIndex: meta.NoIndex, NoFollow: meta.NoFollow})
		if err := c.followLinks(out, r, d, &links, about.NoFollow && !c.settings.IgnoreRobots, &page); err != nil {
			return false, err
		}
	}
	page.NoIndex = !about.MayIndex(time.Now()) && !c.settings.IgnoreRobots
	readable := resp.IsHTML() || resp.MediaType() == "text/plain"
	if len(c.docs) > 0 && readable && !page.NoIndex {
		item, err := c.docs[0].Item(doc)
		if err != nil {
			return false, err
		}
		if page.TooLarge = len(item.Body) > c.room(); !page.TooLarge {
			out.Enqueue(c.docs[0], item)
		}
	}
	return true, c.record(out, page)
}

// room is how large an item with the whole page may be, in bytes. A transaction
// takes one and a half times MaxItem: one such item, or two of half the size
// where there is an archive, and a record of a third.
func (c *Crawler) room() int {
	if c.captures != nil {
		return c.store.MaxItem() / 2
	}
	return c.store.MaxItem()
}

// record adds a page's record and counts it. Links that the record has no room
// for are followed and not recorded.
func (c *Crawler) record(out *pipeline.Out, page Page) error {
	tx := out.Tx()
	c.forgetTries(page.URL, out)
	tx.Add(tableCrawl, counterPages, 1)
	tx.Add(tableCrawl, generationCounter(page.Generation, counterPages), 1)
	for {
		b, err := codec.Encode(page)
		if err != nil {
			return fmt.Errorf("encode record of %s: %w", page.URL, err)
		}
		if len(b) <= c.store.MaxItem()/3 || len(page.Links) == 0 {
			tx.Put(tablePages, recordKey(page.URL), b)
			return nil
		}
		keep := len(page.Links) / 2
		page.Dropped += len(page.Links) - keep
		page.Links = page.Links[:keep]
	}
}

// linkResolver is weburl's reading of the links of one page, for
// stages.ParseDocument. It keeps what it has parsed, by its text.
type linkResolver struct {
	base  weburl.URL
	text  string // that base was parsed from
	found map[string]weburl.URL
}

func (l *linkResolver) resolve(base, href string) (string, error) {
	if l.text != base {
		b, err := weburl.Parse(base)
		if err != nil {
			return "", err
		}
		l.base, l.text = b, base
	}
	to, err := l.base.Resolve(href)
	if err != nil {
		return "", err
	}
	l.found[to.String()] = to
	return to.String(), nil
}

// resolve is the same for those who need the text alone.
func resolve(base, href string) (string, error) {
	b, err := weburl.Parse(base)
	if err != nil {
		return "", err
	}
	target, err := b.Resolve(href)
	return target.String(), err
}

// markDuplicate notes that a page has the content of an earlier one. Of two
// pages that arrive at the same moment neither may be noted.
func (c *Crawler) markDuplicate(ctx context.Context, out *pipeline.Out, page *Page) error {
	if page.Bytes == 0 {
		return nil
	}
	first, err := c.store.Get(ctx, tableDigests, page.Digest)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		out.Tx().Put(tableDigests, page.Digest, []byte(page.URL))
	case err != nil:
		return err
	case string(first) != page.URL:
		page.DuplicateOf = string(first)
	}
	return nil
}

// redirect records a redirect and follows it as a link to another address.
func (c *Crawler) redirect(out *pipeline.Out, r Request, u weburl.URL, target string, page Page) (bool, error) {
	to, err := u.Resolve(target)
	if err != nil {
		return false, c.giveUp(out, r, string(stages.ReasonRedirect), err.Error(), page.Status)
	}
	if r.Redirects >= maxRedirects {
		return false, c.giveUp(out, r, ReasonRedirects, fmt.Sprintf("%d redirects in a row led here, and on to %s", r.Redirects, to), page.Status)
	}
	page.Redirect = to.String()
	next := Request{URL: to.String(), Depth: r.Depth, Referrer: r.URL, Redirects: r.Redirects + 1, Sitemap: r.Sitemap}
	// A seed that moves to another host takes the scope with it no farther
	// than to the page itself.
	if d := c.scope.Decide(to, r.Depth); d.Accepted {
		c.requests.Emit(out, next)
	} else if err := c.skip(out, to, d.String(), r.URL); err != nil {
		return false, err
	}
	return true, c.record(out, page)
}

// followLinks enqueues the links of a page that are in scope.
func (c *Crawler) followLinks(out *pipeline.Out, r Request, d *stages.Document, resolver *linkResolver, nofollow bool, page *Page) error {
	listed := make(map[string]bool)
	queued := make(map[string]bool)
	var offered []string // identities
	for _, l := range d.Links() {
		to, ok := resolver.found[l.URL]
		if !ok {
			continue
		}
		target := to.String()
		first := !listed[target]
		if first {
			listed[target] = true
			page.Links = append(page.Links, Link{To: target, Anchor: l.Text})
		}
		refused := ""
		switch {
		case l.Kind == stages.LinkCanonical && target == r.URL, queued[target]:
			continue
		case nofollow:
			refused = "the page asks robots not to follow its links"
		case l.NoFollow && !c.settings.IgnoreRobots:
			refused = "the link has rel=nofollow"
		case c.settings.Depth >= 0 && r.Depth >= c.settings.Depth:
			refused = fmt.Sprintf("deeper than %d links from a seed (--depth)", c.settings.Depth)
		default:
			if d := c.decide(to, r.Depth+1); !d.Accepted {
				refused = d.String()
			}
		}
		if refused != "" {
			if first {
				if err := c.skip(out, to, refused, r.URL); err != nil {
					return err
				}
			}
			continue
		}
		queued[target] = true
		next := Request{URL: target, Depth: r.Depth + 1, Referrer: r.URL, parsed: to}
		identity := c.identity(next)
		if _, ok := c.known.get(identity); !ok {
			c.requests.Emit(out, next)
			offered = append(offered, identity)
		}
	}
	out.OnCommit(func() {
		for _, identity := range offered {
			c.known.put(identity, true)
		}
	})
	return nil
}

func (c *Crawler) decide(u weburl.URL, depth int) scope.Decision { return c.scope.Decide(u, depth) }

// skip records that a link was not followed. What was recorded lately is not
// written again.
func (c *Crawler) skip(out *pipeline.Out, to weburl.URL, reason, from string) error {
	key := recordKey(to.String())
	if _, ok := c.skips.get(key); ok {
		return nil
	}
	b, err := codec.Encode(Skip{URL: to.String(), Reason: reason, From: from})
	if err != nil {
		return fmt.Errorf("encode record of %s/%s: %w", tableSkips, key, err)
	}
	out.PutAhead(tableSkips, key, b)
	out.OnCommit(func() { c.skips.put(key, true) })
	return nil
}

// followSitemap enqueues what a sitemap lists, one link deeper than the sitemap.
func (c *Crawler) followSitemap(out *pipeline.Out, r Request, u weburl.URL, body []byte) {
	_, err := sitemap.Parse(bytes.NewReader(body), nil, func(e sitemap.Entry) error {
		to, err := u.Resolve(e.Loc)
		if err != nil {
			return nil
		}
		next := Request{URL: to.String(), Depth: r.Depth + 1, Referrer: r.URL, Sitemap: e.Sitemap}
		if c.settings.Depth >= 0 && next.Depth > c.settings.Depth {
			return nil
		}
		if d := c.decide(to, next.Depth); !d.Accepted {
			return c.skip(out, to, d.String(), r.URL)
		}
		c.requests.Emit(out, next)
		return nil
	})
	if err != nil {
		c.log.Warn("sitemap not read whole", "url", r.URL, "err", err)
	}
}
