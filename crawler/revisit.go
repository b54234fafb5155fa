package crawler

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages"
)

// stored returns what a record must keep of a request for the address to be asked for
// again, or nil if the rest of the record says it. How it was found this time (by
// redirects, as a guess) is left out.
func (r Request) stored() ([]byte, error) {
	again := Request{
		URL: r.URL, Label: r.Label, Data: r.Data, Method: r.Method, Header: r.Header, Body: r.Body,
		Priority: r.Priority, Depth: r.Depth, Referrer: r.Referrer, Sitemap: r.Sitemap, exact: r.exact, nesting: r.nesting,
	}
	if again.plain() && len(again.Data) == 0 && again.Priority == 0 && !again.Sitemap && !again.exact {
		return nil, nil
	}
	return again.MarshalBinary()
}

// request is what visits the address of a page again.
func (p *Page) request() (Request, error) {
	return storedRequest(p.Request, Request{URL: p.URL, Label: p.Label, Depth: p.Depth, Referrer: p.Referrer})
}

// request is what visits the address of a failure again.
func (f *Failure) request() (Request, error) {
	return storedRequest(f.Request, Request{URL: f.URL, Label: f.Label, Depth: f.Depth, Referrer: f.Referrer})
}

func storedRequest(b []byte, plain Request) (Request, error) {
	if b == nil {
		return plain, nil
	}
	var r Request
	return r, r.UnmarshalBinary(b)
}

// recall reads what is known of an address that is visited again.
func (v *Visitor) recall(ctx context.Context, r *Request) (*known, error) {
	k, key := new(known), r.Key()
	var page Page
	if ok, err := tables.Get(ctx, v.Store, tables.Pages, key, &page); err != nil {
		return nil, err
	} else if ok {
		k.page = &page
	}
	var failure Failure
	if ok, err := tables.Get(ctx, v.Store, tables.Failures, key, &failure); err != nil {
		return nil, err
	} else if ok {
		k.failure = &failure
	}
	ok, err := tables.Get(ctx, v.Store, tables.History, key, &k.history)
	if err != nil || ok {
		return k, err
	}
	// The first visit is in the record alone.
	h := &k.history
	switch {
	case k.page != nil:
		p := k.page
		h.First = VisitMark{Round: p.Round, Generation: p.Generation, At: p.FetchedAt, Outcome: VisitNew, Status: p.Status, Digest: p.Digest}
	case k.failure != nil:
		f := k.failure
		h.First = VisitMark{Round: f.Round, Generation: f.Generation, At: f.At, Outcome: VisitFailed, Status: f.Status, Reason: f.Reason}
	default:
		return k, nil
	}
	h.Visits = []VisitMark{h.First}
	return k, nil
}

// condition makes a request conditional on what is known of its page (RFC 9110
// section 13.1), if a "not modified" would do: what the stages make of a page is there.
func (v *Visitor) condition(ctx context.Context, r *Request, fr *stages.FetchRequest) error {
	if r.asset {
		if r.was == nil || r.was.Reason != "" || r.was.Redirect != "" {
			return nil
		}
		if v.Archive != nil {
			if ok, err := tables.Has(ctx, v.Store, tables.Captures, r.Key()); !ok || err != nil {
				return err
			}
		}
		fr.ETag, fr.LastModified = r.was.ETag, r.was.Modified
		return nil
	}
	if !r.known.live() || !r.plain() && r.Method != http.MethodGet {
		return nil
	}
	ok, err := v.hasResults(ctx, r)
	if ok {
		fr.ETag, fr.LastModified = r.known.page.ETag, r.known.page.Modified
	}
	return err
}

// hasResults reports whether the stages have kept what they make of a page: a crawl
// may have had others when it was last visited.
func (v *Visitor) hasResults(ctx context.Context, r *Request) (bool, error) {
	s, p, key := &v.Options.Settings, r.known.page, r.Key()
	need := []string{}
	if v.Options.extractor().Reads(stages.MediaType(p.ContentType)) && p.Status < 400 && !p.NoIndex && !p.TooLarge && !r.Sitemap {
		for stage, table := range map[string]string{StageExtract: tables.Texts, StageTag: tables.Tags} {
			if s.Runs(stage) {
				need = append(need, table)
			}
		}
	}
	if v.Archive != nil {
		need = append(need, tables.Captures)
	}
	for _, table := range need {
		if ok, err := tables.Has(ctx, v.Store, table, key); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// isSame reports whether an answer says that the page is as it was. (What has no
// bytes, and what stages have not seen yet, is read again.)
func (v *Visitor) isSame(ctx context.Context, r *Request, resp *stages.FetchResponse) (bool, error) {
	if resp.NotModified {
		return true, nil
	}
	if !r.known.live() || resp.Redirect != "" || r.known.page.Digest != bodyDigest(resp) {
		return false, nil
	}
	return v.hasResults(ctx, r)
}

func bodyDigest(resp *stages.FetchResponse) string {
	return "sha256:" + hex.EncodeToString(resp.Digest[:])
}

// same settles a visit that found the page as it was. Its record stays as it is, but
// for the validators, if the server names others now.
func (v *Visitor) same(out *pipeline.Out, r Request, resp *stages.FetchResponse) error {
	k := r.known
	m := VisitMark{At: resp.Fetched.UTC(), Outcome: VisitSame, Status: resp.Status, Digest: k.page.Digest}
	out.Tx().Add(tables.Crawl, tables.GenerationCounter(out.Generation(), tables.CounterPages), 1)
	if _, err := v.remember(out, r, m, nil); err != nil {
		return err
	}
	forgetFailure(out.Tx(), r.Key(), k)
	etag, modified := resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	if resp.NotModified { // which need not repeat them
		etag, modified = or(etag, k.page.ETag), or(modified, k.page.Modified)
	}
	if etag == k.page.ETag && modified == k.page.Modified {
		return nil
	}
	k.page.ETag, k.page.Modified = etag, modified
	return tables.Put(out.Tx(), tables.Pages, r.Key(), *k.page)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// forgetFailure takes the record of a failure back that the present visit has ended.
func forgetFailure(tx *queue.Tx, key string, k *known) {
	if k != nil && k.failure != nil {
		tx.Delete(tables.Failures, key)
		tx.Add(tables.Crawl, tables.CounterFailures, -1)
	}
}

// found notes a visit that gave a page or a redirect.
func (v *Visitor) found(out *pipeline.Out, r Request, page *Page) (*History, error) {
	k := r.known
	m := VisitMark{At: page.FetchedAt, Status: page.Status, Digest: page.Digest, Outcome: VisitNew}
	c := &Change{Title: page.Title, To: page.Redirect}
	if page.Soft404 {
		m.Reason = ReasonSoft404
	} else if isGone(page.Status) { // which its function wanted to see
		m.Reason = fmt.Sprintf("http_%d", page.Status)
	}
	switch {
	case m.Reason != "" && (k.live() || k.redirects()):
		m.Outcome = VisitVanished
	case m.Reason != "":
		m.Outcome, c = VisitSame, nil
	case page.Redirect != "" && k.redirects() && k.page.Redirect == page.Redirect:
		m.Outcome, c = VisitSame, nil
	case page.Redirect != "" && k.live() && goesHome(page.URL, page.Redirect):
		m.Outcome, m.Reason = VisitVanished, ReasonSoft404
	case page.Redirect != "":
		m.Outcome = VisitMoved
		if !k.live() && !k.redirects() {
			c = nil // a redirect that is new is no change of a page
		}
	case k.live():
		m.Outcome = VisitChanged
	}
	if r.Sitemap {
		c = nil
	}
	if k != nil && k.page != nil && page.NoIndex && !k.page.NoIndex { // it asks not to be kept
		out.Tx().Delete(tables.Texts, r.Key())
		out.Tx().Delete(tables.Tags, r.Key())
	}
	if c != nil && k != nil && k.page != nil {
		c.Before = k.page.Digest
		if m.Outcome == VisitChanged {
			c.LinksNew, c.LinksGone = linkChanges(k.page.Links, page.Links)
			m.Links = len(c.LinksNew)+len(c.LinksGone) > 0
		}
	}
	return v.remember(out, r, m, c)
}

// lost notes a visit that gave no page.
func (v *Visitor) lost(out *pipeline.Out, r Request, f *Failure) error {
	k := r.known
	f.Round, f.known = v.round.number(), k
	m := VisitMark{At: f.At, Status: f.Status, Reason: f.Reason, Outcome: VisitFailed}
	var c *Change
	gone := isGone(f.Status)
	if k.live() || k.redirects() {
		c = &Change{Title: k.page.Title, Before: k.page.Digest}
		if gone {
			m.Outcome = VisitVanished
			k.page.VanishedAt = &f.At
			if err := tables.Put(out.Tx(), tables.Pages, r.Key(), *k.page); err != nil {
				return err
			}
		} else if k.failure != nil {
			c = nil // it was told when it first failed
		}
	} else if gone && k != nil {
		m.Outcome = VisitSame
	}
	_, err := v.remember(out, r, m, c)
	return err
}

// compareText keeps the text that a page had before, if the stage extract has found
// another. That it found the same, and no other links, makes a visit that found another
// body one that found no change: what differs is around the text.
//
// The page's history came with it, as the crawl stage wrote it in the transaction of
// the visit, which may be this one. Nobody else writes it before the round is over.
func (v *Visitor) compareText(ctx context.Context, d *Doc, t Text, out *pipeline.Out) error {
	h, key, tx := d.history, d.key(), out.Tx()
	if h == nil {
		return nil
	}
	var stored History
	if _, err := tables.Get(ctx, v.Store, tables.History, key, &stored); err != nil {
		return err
	}
	m := h.Visits[len(h.Visits)-1]
	if n := len(stored.Visits); n > 0 && stored.Visits[n-1].Round > m.Round {
		return nil // it was a dead letter, and the page has been visited since
	}
	var before Text
	if ok, err := tables.Get(ctx, v.Store, tables.Texts, key, &before); err != nil || !ok {
		return err
	}
	if before.Text == t.Text {
		if m.Outcome != VisitChanged {
			return nil
		}
		before = Text{Method: tables.SameText}
	}
	if before.Method == tables.SameText && !m.Links {
		h.sameText(&v.Options.Settings)
		if err := tables.Put(tx, tables.History, key, *h); err != nil {
			return err
		}
		tx.Add(tables.Crawl, tables.RoundCounter(m.Round, VisitChanged), -1)
		tx.Add(tables.Crawl, tables.RoundCounter(m.Round, VisitSame), 1)
	}
	if !slices.Contains(h.Changes, m.Round) {
		return nil
	}
	return tables.Put(tx, tables.Versions, tables.ChangeKey(m.Round, key), before)
}

// isGone reports whether a status says that there is no such page (any more).
func isGone(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }

// goesHome reports whether a redirect leads from a page to the front page of its
// host, which is how many sites say that the page is no more.
func goesHome(from, to string) bool {
	f, err := weburl.Parse(from)
	if err != nil {
		return false
	}
	t, err := weburl.Parse(to)
	if err != nil {
		return false
	}
	path, _, _ := strings.Cut(f.Target(), "?")
	return path != "/" && t.Target() == "/" && strings.TrimPrefix(f.Host(), "www.") == strings.TrimPrefix(t.Host(), "www.")
}

// visitAgain enqueues a known page into the present round if a sitemap says that it
// has changed since it was last visited: a hint that it is due. A date without a time
// of day means the whole day. That a sitemap says it has not is no reason to leave a
// page alone.
func (v *Visitor) visitAgain(ctx context.Context, out *pipeline.Out, to Request, modified time.Time) error {
	if v.round.number() == 0 || modified.IsZero() {
		return nil
	}
	var page Page
	if ok, err := tables.Get(ctx, v.Store, tables.Pages, to.Key(), &page); err != nil || !ok {
		return err
	}
	var h History
	if _, err := tables.Get(ctx, v.Store, tables.History, to.Key(), &h); err != nil {
		return err
	}
	last := page.FetchedAt
	if n := len(h.Visits); n > 0 {
		last = h.Visits[n-1].At
		if h.Visits[n-1].Round == v.round.number() {
			return nil // it has had its visit
		}
	}
	if t := modified.UTC(); t.Equal(t.Truncate(24 * time.Hour)) {
		modified = modified.Add(24 * time.Hour)
	}
	if !modified.After(last) {
		return nil
	}
	r, err := page.request()
	if err != nil {
		return err
	}
	r.round, r.Priority = v.round.number(), max(r.Priority, to.Priority)
	v.Edges.Requests.Emit(out, r)
	return nil
}

// softWords are how titles say that there is no such page.
var softWords = []string{
	"404", "410 gone", "not found", "page not found", "no longer exists", "does not exist", "doesn't exist", "page unavailable",
	"nicht gefunden", "existiert nicht", "page introuvable", "non trouvée", "n'existe pas", "no encontrada", "no existe",
	"non trovata", "não encontrada", "niet gevonden", "nie znaleziono", "не найдена", "ページが見つかりません", "找不到页面",
}

const (
	maxSoftTitle = 80  // characters; a longer one is about something
	maxSoftWords = 200 // of the whole page
)

// softMissing reports whether a page that came with status 200 says that it does not
// exist: its title, of 80 characters at most, has one of softWords as words of its
// own, and all of its text has at most 200 words. Asking each host for an address
// that cannot exist would tell more (Bar-Yossef and others, Sic transit gloria telae,
// WWW 2004), and asks hosts for what nobody links to.
func softMissing(d *stages.Document) bool {
	title := strings.ToLower(strings.Join(strings.Fields(d.Meta.Title), " "))
	if len([]rune(title)) > maxSoftTitle || !slices.ContainsFunc(softWords, func(w string) bool { return hasWords(title, w) }) {
		return false
	}
	words := len(strings.Fields(d.Selection().Find("body").Not("script, style, noscript").Text()))
	return words <= maxSoftWords
}

// hasWords reports whether words stand in a text with no letter or digit beside them.
func hasWords(text, words string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], words)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(words)
		if !isWordByte(text, start-1) && !isWordByte(text, end) {
			return true
		}
		from = end
	}
}

func isWordByte(s string, i int) bool {
	if i < 0 || i >= len(s) {
		return false
	}
	c := s[i] | 0x20
	return 'a' <= c && c <= 'z' || '0' <= s[i] && s[i] <= '9'
}
