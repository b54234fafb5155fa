package crawler

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// With Settings.Requisites, what pages need to be shown is fetched as well: as assets,
// which are no pages. They have records and an identity in the frontier of their own,
// no depth, no part in MaxPages, and no stage but the archive. Robots.txt holds for
// them as for pages, and so does the distance between two requests to a host.
//
//   - An address that was fetched as a page is no asset any more: the archive has it.
//   - An address that was fetched as an asset is not asked for again as a page, unless
//     its type is one of a page.
//   - What an asset needs in turn (a style sheet its images, a frame all that a page
//     does) is followed maxAssetNesting deep.

// Asset is the record of an address that was fetched as a part of a page. Its JSON
// form is stable.
type Asset struct {
	URL         string    `json:"url"`
	Of          string    `json:"of"` // the page, or the asset, that it was first found in
	Status      int       `json:"status,omitempty"`
	Generation  int       `json:"generation"`
	FetchedAt   time.Time `json:"fetched_at"`
	ContentType string    `json:"content_type,omitempty"`
	Bytes       int       `json:"bytes"`
	Digest      string    `json:"digest,omitempty"`   // sha256:hex of the body
	Redirect    string    `json:"redirect,omitempty"` // where it leads
	Reason      string    `json:"reason,omitempty"`   // why there is none; see Failure
	Detail      string    `json:"detail,omitempty"`
	ETag        string    `json:"etag,omitempty"`
	Modified    string    `json:"last_modified,omitempty"`
	Nesting     int       `json:"nesting,omitempty"` // of assets that led here

	// When it was last visited, in which round, and after how long it is due.
	Visited  time.Time     `json:"visited"`
	Round    int           `json:"round,omitempty"`
	Interval time.Duration `json:"interval_ns,omitempty"`
	Next     time.Time     `json:"next,omitzero"`
}

// Which requisites of pages are fetched.
const (
	RequisitesNone = "none"
	RequisitesSite = "site" // those on the hosts that the scope takes
	RequisitesAll  = "all"  // wherever they are
)

// maxAssetNesting is how many assets in a row lead to one: a style sheet that imports
// another that shows an image is three.
const maxAssetNesting = 5

// assetPriority is added to the priority of the page that an asset is of. Assets come
// first, so that the pages in an archive are soon whole, and so that what is an asset
// and a link is known for what it is before it is tried as a page.
const assetPriority = 5

// assets decides which requisites are fetched.
func (o *Options) assets(origins []weburl.URL) (Scope, error) {
	s := o.Settings.Scope
	s.MaxDepth, s.Allow = 0, nil
	if o.Settings.Requisites == RequisitesAll {
		s.Within = scope.WithinAny
	}
	return s.New(origins)
}

// offerAssets enqueues what a page or an asset needs, as far as it is wanted.
func (v *Visitor) offerAssets(out *pipeline.Out, r Request, from string, links []stages.Link) error {
	nesting := 1
	if r.asset {
		if nesting = r.nesting + 1; nesting > maxAssetNesting {
			return nil
		}
	}
	var offered []string
	var skips []*Skip
	for _, l := range links {
		to, err := weburl.Parse(l.URL)
		if err != nil {
			continue
		}
		next := Request{
			URL: to.String(), Depth: r.Depth, Referrer: from, Priority: min(r.Priority+assetPriority, queue.MaxPriority),
			asset: true, nesting: nesting, parsed: to,
		}
		if d := v.assetScope.Decide(to, 1); !d.Accepted {
			skips = append(skips, &Skip{URL: next.URL, Reason: "requisite: " + d.String(), From: from})
			continue
		}
		identity := v.Options.FrontierKey(next)
		if v.known.has(identity) {
			continue
		}
		v.Edges.Requests.Emit(out, next)
		offered = append(offered, identity)
	}
	out.OnCommit(func() {
		for _, identity := range offered {
			v.known.add(identity)
		}
	})
	return v.Recorder.Skip(out, skips...)
}

// pageAssets enqueues what a page needs, with the icon that browsers ask for where a
// page names none.
func (v *Visitor) pageAssets(out *pipeline.Out, visit *Visit) error {
	if v.assetScope == nil || !visit.IsHTML() {
		return nil
	}
	d := visit.Page()
	links := d.Requisites()
	_, more := stages.HeaderLinks(visit.Header, visit.URL)
	links = append(links, more...)
	if d.Selection().Find(`link[rel~="icon" i]`).Length() == 0 {
		if u, err := weburl.Parse(visit.URL); err == nil {
			links = append(links, stages.Link{URL: u.Origin() + "/favicon.ico"})
		}
	}
	return v.offerAssets(out, visit.Request, visit.URL, links)
}

// wasPage reports whether an asset has been fetched as a page, so that there is
// nothing to do.
func (v *Visitor) wasPage(ctx context.Context, r *Request) (bool, error) {
	if !r.asset || r.round > 0 {
		return false, nil
	}
	return tables.Has(ctx, v.Store, tables.Pages, r.Key())
}

// wasAsset returns the asset that a page has been fetched as, if its type is not one of
// those that are asked for.
func (v *Visitor) wasAsset(ctx context.Context, r *Request, types []string) (*Asset, error) {
	if v.assetScope == nil || r.asset || r.round > 0 || !r.plain() || r.Sitemap {
		return nil, nil
	}
	a := new(Asset)
	ok, err := tables.Get(ctx, v.Store, tables.Assets, r.Key(), a)
	if err != nil || !ok || a.Reason != "" || a.Redirect != "" {
		return nil, err
	}
	if types == nil {
		types = stages.DefaultTypes()
	}
	if stages.MatchType(stages.MediaType(a.ContentType), types) {
		return nil, nil
	}
	return a, nil
}

// recallAsset reads the record of an asset that is visited again.
func (v *Visitor) recallAsset(ctx context.Context, r *Request) error {
	a := new(Asset)
	ok, err := tables.Get(ctx, v.Store, tables.Assets, r.Key(), a)
	if ok {
		r.was = a
	}
	return err
}

// asset settles an asset that came, or that was not modified.
func (v *Visitor) asset(out *pipeline.Out, r Request, u weburl.URL, resp *stages.FetchResponse) error {
	a := &Asset{
		URL: r.URL, Of: r.Referrer, Status: resp.Status, Generation: out.Generation(), FetchedAt: resp.Fetched.UTC(),
		ContentType: resp.ContentType, Bytes: len(resp.Body), Digest: "sha256:" + hex.EncodeToString(resp.Digest[:]),
		Redirect: resp.Redirect, ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified"), Nesting: r.nesting,
	}
	outcome := VisitChanged
	switch {
	case resp.NotModified && r.was != nil:
		was := *r.was
		was.ETag, was.Modified = cmp.Or(a.ETag, was.ETag), cmp.Or(a.Modified, was.Modified)
		a, outcome = &was, VisitSame
	case resp.Redirect != "":
		to, err := u.Resolve(resp.Redirect)
		if err != nil || r.Redirects >= maxRedirects {
			return v.noAsset(out, r, string(stages.ReasonRedirect), fmt.Sprintf("it leads to %s, after %d redirects", resp.Redirect, r.Redirects), resp.Status)
		}
		a.Redirect, a.Digest = to.String(), ""
		next := Request{URL: to.String(), Depth: r.Depth, Referrer: r.URL, Priority: r.Priority, Redirects: r.Redirects + 1, asset: true, nesting: r.nesting, parsed: to}
		if v.assetScope.Decide(to, 1).Accepted {
			v.Edges.Requests.Emit(out, next)
		}
	case r.was != nil && r.was.Digest == a.Digest:
		outcome = VisitSame
	default:
		if err := v.offerAssets(out, r, r.URL, v.assetLinks(resp)); err != nil {
			return err
		}
	}
	return v.keepAsset(out, r, a, outcome)
}

// assetLinks returns what an asset needs in turn.
func (v *Visitor) assetLinks(resp *stages.FetchResponse) []stages.Link {
	body, encoding := stages.ToUTF8(resp.Body, resp.ContentType)
	switch {
	case resp.MediaType() == "text/css":
		base, err := weburl.Parse(resp.URL)
		if err != nil {
			return nil
		}
		var links []stages.Link
		for _, href := range stages.CSSLinks(string(body)) {
			to, err := base.Resolve(href)
			if err == nil && !bytes.HasPrefix([]byte(href), []byte("#")) {
				links = append(links, stages.Link{URL: to.String(), Kind: stages.LinkRequisite})
			}
		}
		return links
	case resp.IsHTML():
		return stages.ParseDocument(body, resp.URL, &stages.DocumentOptions{Encoding: encoding, XHTML: resp.MediaType() == "application/xhtml+xml"}).Requisites()
	}
	return nil
}

// noAsset settles an asset that could not be had.
func (v *Visitor) noAsset(out *pipeline.Out, r Request, reason, detail string, status int) error {
	outcome := VisitFailed
	if r.was != nil && r.was.Reason == reason {
		outcome = VisitSame
	}
	return v.keepAsset(out, r, &Asset{
		URL: r.URL, Of: r.Referrer, Status: status, Generation: out.Generation(), FetchedAt: time.Now().UTC(),
		Reason: reason, Detail: detail, Nesting: r.nesting,
	}, outcome)
}

func (v *Visitor) keepAsset(out *pipeline.Out, r Request, a *Asset, outcome string) error {
	s, tx := &v.Options.Settings, out.Tx()
	a.Visited, a.Round = time.Now().UTC(), v.round.number()
	a.Interval = s.firstInterval()
	if r.was != nil {
		a.Of = r.was.Of
		a.Interval = s.nextInterval(cmp.Or(r.was.Interval, s.firstInterval()), outcome)
	}
	a.Next = a.Visited.Add(a.Interval)
	if r.was == nil {
		tx.Add(tables.Crawl, tables.CounterAssets, 1)
	}
	was, is := r.was != nil && r.was.Reason != "", a.Reason != ""
	if n := int64(btoi(is) - btoi(was)); n != 0 {
		tx.Add(tables.Crawl, tables.CounterLostAssets, n)
	}
	return tables.Put(tx, tables.Assets, r.Key(), *a)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// request is what visits the asset again.
func (a *Asset) request() Request {
	return Request{URL: a.URL, Referrer: a.Of, Priority: assetPriority, asset: true, nesting: a.Nesting}
}
