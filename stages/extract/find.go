package extract

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	readability "codeberg.org/readeck/go-readability"
	"github.com/markusmobius/go-htmldate"
	"github.com/markusmobius/go-trafilatura"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages"
)

// A finding is what a library found in a page. Its tree belongs to it, unless
// the method is "body": then it is the document's own.
type finding struct {
	method              string
	root                *html.Node
	lines               []string
	title, byline, site string
	date                time.Time
}

// find runs the mode's library on the page, for as long as it may take. It
// returns nil and the reason if there is no finding.
func (x *Extractor) find(ctx context.Context, d *stages.Document) (*finding, string) {
	switch {
	case ctx.Err() != nil:
		return nil, "cancelled"
	case d.Flat:
		return nil, "the page is nested too deep or has too many elements"
	case d.Nodes > cmp.Or(x.MaxNodes, DefaultExtractMaxNodes):
		return nil, fmt.Sprintf("the page has %d nodes", d.Nodes)
	case x.abandoned.Load() >= x.maxAbandoned():
		return nil, "too many pages are taking too long"
	}
	return x.inTime(ctx, func() (*finding, error) { return x.contained(d) })
}

// inTime runs search in a goroutine that is left behind, and counted in
// abandoned until it ends, if it takes too long.
func (x *Extractor) inTime(ctx context.Context, search func() (*finding, error)) (*finding, string) {
	type result struct {
		f   *finding
		err error
	}
	done := make(chan result, 1) // so that an abandoned goroutine ends
	var finished atomic.Bool     // set by the goroutine at its end and by this one on giving up
	go func() {
		f, err := search()
		done <- result{f, err}
		if finished.Swap(true) {
			x.abandoned.Add(-1)
		}
	}()
	timeout := cmp.Or(x.Timeout, DefaultExtractTimeout)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	note := ""
	select {
	case r := <-done:
		if r.err != nil {
			return nil, r.err.Error()
		}
		return r.f, ""
	case <-timer.C:
		note = fmt.Sprintf("no main text found within %v", timeout)
	case <-ctx.Done():
		note = "cancelled"
	}
	x.abandoned.Add(1)
	if finished.Swap(true) {
		x.abandoned.Add(-1) // it ended just now
	}
	return nil, note
}

// contained runs the library and turns its panics into errors.
func (x *Extractor) contained(d *stages.Document) (f *finding, err error) {
	defer func() {
		if r := recover(); r != nil {
			f, err = nil, fmt.Errorf("the extractor panicked: %v", clipText(fmt.Sprint(r), 200))
		}
	}()
	u, _ := url.Parse(d.Base)
	switch x.Mode {
	case ModeFast:
		f, err = x.readability(d, u)
		if size, expected := f.size(), paragraphText(d.Root()); size*10 < expected*4 {
			f = longer(f, x.trafilatura, d, u, 2)
		}
	case ModeAccurate:
		f, err = x.trafilatura(d, u)
	default:
		f, err = x.trafilatura(d, u)
		if size := f.size(); size < shortText {
			// Its own last resort takes nearly all there is, in one piece.
			if g, _ := x.readability(d, u); g.size() > 0 {
				f = g.with(f)
			}
		} else if size*2 < paragraphText(d.Root()) {
			f = longer(f, x.readability, d, u, 2)
		}
	}
	if f != nil {
		x.searchDate(d, f)
		return f, nil
	}
	return nil, err
}

// shortText is the size of a main text, in bytes, below which the balanced mode
// asks the other library too. It and the other numbers here were chosen with
// extracteval; they concern one page in ten, and one article in fifty.
const shortText = 500

// longer runs the other library and returns its finding if that is at least so
// many times as long as f.
func longer(f *finding, other func(*stages.Document, *url.URL) (*finding, error), d *stages.Document, u *url.URL, times int) *finding {
	g, err := other(d, u)
	if err != nil || g.size() < times*f.size() {
		return f
	}
	return g.with(f)
}

// size returns the size of the text in bytes; none has 0.
func (f *finding) size() int {
	if f == nil {
		return 0
	}
	n := 0
	for _, l := range f.lines {
		n += len(l) + 1
	}
	return n
}

// with returns f with what o knows besides the text and f does not.
func (f *finding) with(o *finding) *finding {
	if o != nil {
		f.title, f.byline, f.site = firstOf(f.title, o.title), firstOf(f.byline, o.byline), firstOf(f.site, o.site)
	}
	return f
}

// paragraphText returns how much text stands in long paragraphs without links:
// a floor for the main text of most pages, in bytes.
func paragraphText(root *html.Node) int {
	total := 0
	for n := root; n != nil; {
		if n.Type != html.ElementNode || n.DataAtom != atom.P {
			n = next(n, root)
			continue
		}
		size, link := 0, false
		for c := n.FirstChild; c != nil; c = next(c, n) {
			switch {
			case c.Type == html.TextNode:
				size += len(strings.TrimSpace(c.Data))
			case c.DataAtom == atom.A:
				link = true
			}
		}
		if size > 80 && !link {
			total += size
		}
		n = nextAfter(n, root)
	}
	return total
}

// trafilatura leaves the tree as it is: the library works on clones of it, and
// only reads the original for metadata. The date search, which does not promise
// that, gets a clone.
func (x *Extractor) trafilatura(d *stages.Document, u *url.URL) (*finding, error) {
	res, err := trafilatura.ExtractDocument(d.Root(), trafilatura.Options{
		OriginalURL:     u,
		EnableFallback:  x.Mode == ModeAccurate,
		ExcludeComments: true,
		IncludeLinks:    x.Links || x.Markdown,
		IncludeImages:   x.Images || x.Markdown,
		HtmlDateMode:    trafilatura.Disabled,
	})
	if err != nil {
		return nil, fmt.Errorf("no main text found: %w", err)
	}
	f := &finding{
		method: "trafilatura", root: res.ContentNode,
		title: res.Metadata.Title, byline: res.Metadata.Author, site: res.Metadata.Sitename,
	}
	f.lines = textLines(f.root, false)
	return f, nil
}

// readability works on a clone of the tree, which it changes.
func (x *Extractor) readability(d *stages.Document, u *url.URL) (*finding, error) {
	p := readability.NewParser()
	art, err := p.ParseDocument(d.Root(), u)
	if err != nil {
		return nil, fmt.Errorf("no main text found: %w", err)
	}
	f := &finding{
		method: "readability", root: art.Node,
		title: art.Title, byline: art.Byline, site: art.SiteName,
	}
	if art.PublishedTime != nil {
		f.date = *art.PublishedTime
	}
	if f.root == nil {
		f.root = &html.Node{Type: html.DocumentNode}
	}
	f.lines = textLines(f.root, false)
	return f, nil
}

func (x *Extractor) searchDate(d *stages.Document, f *finding) {
	if !x.Dates || !f.date.IsZero() || published(&d.Meta) != "" {
		return
	}
	res, err := htmldate.FromDocument(cloneTree(d.Root()), htmldate.Options{UseOriginalDate: true, SkipExtensiveSearch: x.Mode != ModeAccurate, URL: d.URL})
	if err == nil && !res.IsZero() {
		f.date = res.DateTime
	}
}

// cloneTree copies a tree, without recursion.
func cloneTree(root *html.Node) *html.Node {
	copyOf := func(n *html.Node) *html.Node {
		return &html.Node{Type: n.Type, DataAtom: n.DataAtom, Data: n.Data, Namespace: n.Namespace, Attr: append([]html.Attribute(nil), n.Attr...)}
	}
	out := copyOf(root)
	at := out // the copy of n's parent
	for n := root.FirstChild; n != nil; {
		c := copyOf(n)
		at.AppendChild(c)
		if n.FirstChild != nil {
			n, at = n.FirstChild, c
			continue
		}
		for n != root && n.NextSibling == nil {
			n, at = n.Parent, at.Parent
			if n == root {
				return out
			}
		}
		if n == root {
			return out
		}
		n = n.NextSibling
	}
	return out
}
