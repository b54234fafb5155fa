package crawler

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
)

// record begins the record of a page.
func record(out *pipeline.Out, r Request, resp *stages.FetchResponse) *Page {
	return &Page{
		URL: r.URL, Method: r.Method, Label: r.Label, Status: resp.Status, Generation: out.Generation(), Depth: r.Depth,
		Referrer: r.Referrer, FetchedAt: resp.Fetched.UTC(), Took: resp.Timings.Total, FirstByte: resp.Timings.FirstByte,
		Remote: resp.Remote, ContentType: resp.ContentType, Bytes: len(resp.Body), Attempts: r.attempts(out),
		ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified"),
	}
}

// keep adds the record of a page.
func (v *Visitor) keep(ctx context.Context, out *pipeline.Out, r Request, page *Page) (err error) {
	page.Round, page.known = v.round.number(), r.known
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
		return false, v.giveUp(out, r, ReasonFunction, "the request has "+v.router.unhandled(r.Label), resp.Status)
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
		Body: resp.Body, Fetched: resp.Fetched, Generation: out.Generation(), Attempt: r.attempts(out), parse: new(parse),
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
// such item, and a record of a third.
func (v *Visitor) room(used int) int { return v.Store.MaxItem() - used }

const (
	// largePage is how large a page may be, in bytes, that goes on with its tree.
	largePage = 1 << 20
	// encodedMore is more than the lengths of a Doc's parts take, and than what a compressor
	// adds to what it cannot compress.
	encodedMore = 4 << 10
)

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
	beside := len(doc.URL) + len(doc.Key) + len(doc.Label) + len(doc.ContentType) + len(doc.Language) + encodedMore
	if history != nil {
		beside += room / 2 // which it is far from
	}
	if len(doc.HTML) < min(largePage, room-beside) {
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
