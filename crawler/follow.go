package crawler

import (
	"context"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
)

// Which links of a page are followed, beside those that its function follows.
const (
	LinksAll  = "all"
	LinksNone = "none"
)

// offers are the requests that a page leads to. What functions follow comes first,
// so that its label holds where a link of the page leads to the same.
type offers struct {
	v        *Visitor
	out      *pipeline.Out
	from     *Visit
	nofollow bool            // the page asks for it
	near     string          // the page that this one is a near duplicate of, if that matters
	queued   map[string]bool // addresses with their variants
	skipped  map[string]bool // addresses
	skips    []*Skip
	offered  []string // identities
}

// follow enqueues what a page leads to, as far as it belongs to the crawl.
func (v *Visitor) follow(ctx context.Context, out *pipeline.Out, visit *Visit, decided *Out, nofollow bool, page *Page) error {
	o := &offers{
		v: v, out: out, from: visit, nofollow: nofollow,
		queued: make(map[string]bool), skipped: make(map[string]bool),
	}
	if err := o.addDecided(ctx, decided); err != nil {
		return err
	}
	if links := visit.links(); len(links) > 0 {
		var err error
		if o.near, err = v.skipNear(ctx, visit); err != nil {
			return err
		}
		if err := o.addLinks(ctx, links, page); err != nil {
			return err
		}
		if err := v.noticeLogins(out, visit.URL, visit.parse.links.credentials...); err != nil {
			return err
		}
	}
	if err := o.done(); err != nil {
		return err
	}
	return v.pageAssets(out, visit)
}

// addDecided adds what a function follows.
func (o *offers) addDecided(ctx context.Context, decided *Out) error {
	for _, r := range decided.requests {
		r.Depth, r.Referrer = o.from.Request.Depth+1, o.from.URL
		if err := o.add(ctx, r, ""); err != nil {
			return err
		}
	}
	for _, f := range decided.refused {
		o.skips = append(o.skips, &Skip{URL: f.href, Reason: f.why, From: o.from.URL})
	}
	return nil
}

// addLinks lists the links of a page in its record, and follows them if the crawl
// does.
func (o *offers) addLinks(ctx context.Context, links []stages.Link, page *Page) error {
	found := o.from.parse.links.found
	listed := make(map[string]bool, len(links))
	page.Links = make([]Link, 0, len(links))
	for _, l := range links {
		to, ok := found[l.URL]
		if !ok { // of the header
			var err error
			if to, err = weburl.Parse(l.URL); err != nil {
				continue
			}
		}
		if target := to.String(); !listed[target] {
			listed[target] = true
			page.Links = append(page.Links, Link{To: target, Anchor: l.Text})
		}
		refused := ""
		switch filter := o.v.Options.Filter; {
		case l.Kind == stages.LinkCanonical && to.String() == o.from.URL:
			continue
		case o.v.Options.Settings.Links == LinksNone:
			continue
		case filter != nil && !filter(o.from, l):
			refused = "the link filter says no"
		case l.NoFollow && !o.v.Options.Settings.IgnoreRobots:
			refused = "the link has rel=nofollow"
		case o.near != "":
			refused = "the page is a near duplicate of " + o.near
		}
		r := Request{URL: to.String(), Depth: o.from.Request.Depth + 1, Referrer: o.from.URL, parsed: to}
		if err := o.add(ctx, r, refused); err != nil {
			return err
		}
	}
	return nil
}

// add enqueues a request, or records why not.
func (o *offers) add(ctx context.Context, r Request, refused string) error {
	to, err := r.address()
	if err != nil {
		return err
	}
	target := r.URL + r.variant()
	if o.queued[target] {
		return nil
	}
	if refused == "" && o.nofollow {
		refused = "the page asks robots not to follow its links"
	}
	if refused == "" {
		if d := o.v.Scope.Decide(to, r.Depth); !d.Accepted {
			refused = d.String()
			if d.Rule.Kind.IsTrap() && !o.isKnownSkip(r.URL) {
				countTrap(o.out, string(d.Rule.Kind))
			}
		}
	}
	if refused != "" {
		if o.skipped[r.URL] {
			return nil
		}
		o.skipped[r.URL] = true
		o.skips = append(o.skips, &Skip{URL: r.URL, Reason: refused, From: o.from.URL})
		return nil
	}
	o.queued[target] = true
	if o.v.Options.Priority != nil && r.Priority == 0 {
		r.Priority = o.v.Options.Priority(o.from, r)
	}
	r.Priority += o.v.priorities.of(to, r.Depth)
	if o.v.priorities.inLinks {
		if err := o.countInLink(ctx, r); err != nil {
			return err
		}
	}
	identity := o.v.Options.FrontierKey(r)
	if o.v.known.has(identity) {
		return nil
	}
	o.v.Edges.Requests.Emit(o.out, r)
	o.offered = append(o.offered, identity)
	return nil
}

// isKnownSkip reports whether it was said lately that an address is not followed.
func (o *offers) isKnownSkip(url string) bool {
	if o.skipped[url] {
		return true
	}
	records, ok := o.v.Recorder.(*Records)
	return ok && records.skips.has(tables.Key(url))
}

// done adds the records of what is not followed, and lets what was offered be known once
// it is stored.
func (o *offers) done() error {
	if err := o.v.Recorder.Skip(o.out, o.skips...); err != nil {
		return err
	}
	if len(o.offered) > 0 {
		v, offered := o.v, o.offered
		o.out.OnCommit(func() { v.known.add(offered...) })
	}
	return nil
}

// links returns the links of the page and of its header. An answer that is an error
// has none.
func (v *Visit) links() []stages.Link {
	if v.Status >= 400 {
		return nil
	}
	links, _ := stages.HeaderLinks(v.Header, v.URL)
	if v.IsHTML() {
		links = append(links, v.Page().Links()...)
	}
	return links
}

// headerCanonical returns the canonical address that the header names, or "".
func (v *Visit) headerCanonical() string {
	links, _ := stages.HeaderLinks(v.Header, v.URL)
	for _, l := range links {
		if l.Kind == stages.LinkCanonical {
			return l.URL
		}
	}
	return ""
}
