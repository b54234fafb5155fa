package crawler

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/sitemap"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

const (
	// maxNesting is how deep indexes of sitemaps are followed: sitemaps.org has an
	// index list no other index, and some do.
	maxNesting = 3
	// maxSitemaps is how many sitemaps of a host are read.
	maxSitemaps = 5000
)

// wellKnownSitemaps are where a sitemap is looked for that no robots.txt names.
var wellKnownSitemaps = []string{"/sitemap.xml", "/sitemap_index.xml"}

// sitemap enqueues what a sitemap lists, one link deeper than the sitemap. What it
// says of priority orders the pages of a generation: 1.0 is Request.Priority 10,
// 0.0 is -10, and a page that has changed within the last week is 5 higher.
func (v *Visitor) sitemap(ctx context.Context, out *pipeline.Out, r Request, u weburl.URL, resp *stages.FetchResponse) error {
	page := record(out, r, resp)
	page.Digest = "sha256:" + hex.EncodeToString(resp.Digest[:])
	now := time.Now()
	var skips []*Skip
	tooDeep := int64(0)
	result, err := sitemap.Parse(bytes.NewReader(resp.Body), nil, func(e sitemap.Entry) error {
		to, err := u.Resolve(e.Loc)
		if err != nil {
			return nil
		}
		next := Request{URL: to.String(), Depth: r.Depth + 1, Referrer: r.URL, Sitemap: e.Sitemap, parsed: to}
		if e.Sitemap {
			if next.nesting = r.nesting + 1; next.nesting > maxNesting {
				tooDeep++
				skips = append(skips, &Skip{URL: next.URL, Reason: fmt.Sprintf("an index of sitemaps nested more than %d times", maxNesting), From: r.URL})
				return nil
			}
		}
		if d := v.Scope.Decide(to, next.Depth); !d.Accepted {
			skips = append(skips, &Skip{URL: next.URL, Reason: d.String(), From: r.URL})
			return nil
		}
		if v.priorities.sitemap {
			next.Priority = int(e.Priority*20+0.5) - 10
			if !e.LastMod.IsZero() && now.Sub(e.LastMod) < 7*24*time.Hour {
				next.Priority += 5
			}
		}
		next.Priority += v.priorities.of(to, next.Depth)
		v.Edges.Requests.Emit(out, next)
		return v.visitAgain(ctx, out, next, e.LastMod)
	})
	switch {
	case errors.Is(err, sitemap.ErrNotSitemap) && r.guess:
		return v.noSitemap(out, r, "it is no sitemap")
	case errors.Is(err, sitemap.ErrNotSitemap), errors.Is(err, sitemap.ErrTooManyURLs), errors.Is(err, sitemap.ErrTooLarge), errors.Is(err, sitemap.ErrMalformed):
		err = v.notice(out, Notice{NoticeSitemap, r.URL, fmt.Sprintf("the sitemap %s was not read whole: %v; %d entries were taken", r.URL, err, result.URLs)})
	}
	if err != nil {
		return err
	}
	countTraps(out, "sitemap-nesting", tooDeep)
	if err := v.Recorder.Skip(out, skips...); err != nil {
		return err
	}
	if _, err := v.found(out, r, page); err != nil {
		return err
	}
	return v.keep(ctx, out, r, page)
}

// noSitemap settles an address where a sitemap might have been.
func (v *Visitor) noSitemap(out *pipeline.Out, r Request, why string) error {
	return v.Recorder.Skip(out, &Skip{URL: r.URL, Reason: "no sitemap in one of the places where they are: " + why, From: r.Referrer})
}

// isSitemap reports whether what a seed gave lists pages: somebody named it, so
// it is followed whether sitemaps are wanted or not.
func (v *Visitor) isSitemap(r Request, resp *stages.FetchResponse) bool {
	if r.Depth > 0 || r.Label != "" || resp.IsHTML() || resp.MediaType() == "application/xhtml+xml" {
		return false
	}
	entries := 0
	enough := errors.New("enough")
	result, err := sitemap.Parse(io.LimitReader(bytes.NewReader(resp.Body), 1<<20), nil, func(sitemap.Entry) error {
		if entries++; entries == 20 {
			return enough
		}
		return nil
	})
	if result.Kind == sitemap.Text {
		return result.Skipped == 0 && (err == nil || errors.Is(err, enough))
	}
	return result.Kind != ""
}

// sitemapTypes are the media types that a seed may have to be a sitemap, beside
// those of pages.
var sitemapTypes = []string{"application/gzip", "application/x-gzip", "application/rss+xml", "application/atom+xml", "application/octet-stream"}

// offerSitemaps enqueues the sitemaps that a robots.txt names, or that may be in one
// of the usual places. These are seeds of their own, and stored as such at once:
// what a stage emits is dropped with pipeline.ErrAgain. A file may name more than a
// transaction has room for, so some are stored ahead, which does no harm: each enters the
// frontier once.
func (v *Visitor) offerSitemaps(ctx context.Context, all []weburl.URL, referrer string, guess bool, out *pipeline.Out) error {
	var tx queue.Tx
	size := 0
	for _, u := range all {
		if !v.Scope.Decide(u, 0).Accepted {
			continue
		}
		item, err := v.Edges.Requests.Item(Request{URL: u.String(), Sitemap: true, guess: guess, Referrer: referrer})
		if err != nil {
			return err
		}
		tx.Enqueue(StageCrawl, item)
		if size += 200 + len(item.Key) + len(item.Body); size < seedsAtOnce { // item and mark
			continue
		}
		if err := commit(ctx, v.Store, &tx); err != nil {
			return err
		}
		tx.Reset()
		size = 0
	}
	out.Tx().Append(&tx)
	return nil
}

// hostOfSitemaps is the pattern that the sitemaps of a host are counted by.
func hostOfSitemaps(u weburl.URL) string { return "sitemaps of " + strings.ToLower(u.Host()) }
