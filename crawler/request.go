package crawler

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/crawler/scope"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// Request is something to fetch, as it waits in the frontier. Whoever makes one
// sets URL and what else is wanted of the first group; the crawl sets the rest.
type Request struct {
	URL string

	// Label says which function gets the page; see Function.
	Label string

	// Data is for that function: a few words that it does not find on the page.
	// At most 4 KiB in all. It goes with redirects.
	Data map[string]string

	// Method, Header and Body make a request that is no plain GET, such as a
	// form or a query of an API. The request's identity covers them, so each
	// different one is made once. At most 64 KiB in all.
	Method string
	Header http.Header
	Body   []byte

	// Priority orders the requests of one generation, higher ones first. It is
	// from -queue.MaxPriority to queue.MaxPriority, 100; what is beyond is cut to that.
	Priority int

	Depth     int    // links from a seed
	Referrer  string // the page that it was found on
	Redirects int    // in a row that led here
	Sitemap   bool

	// Area is, for a seed, how far the crawl goes from it, in place of the general
	// scope. Nil means that the general one holds. Its Seed need not be set.
	Area *scope.Area

	cookies string   // set by the redirects that led here
	via     []uint64 // hashes of the requests that redirected here
	exact   bool     // the identity is the address itself, not the page that others call it
	guess   bool     // of a sitemap that may not be there
	nesting int      // of indexes of sitemaps, or of assets, that led here

	round int    // that visits the address again; 0 for one that is new
	known *known // what is known of it then

	raised int // which doubling of its in-links it was enqueued for; see priority.go

	asset bool   // it is a part of a page, and no page
	was   *Asset // what is known of it then, of an asset

	deferred int // how often it has left the frontier for its host's sake
	failures int // before it last did, of which the present delivery knows nothing

	parsed weburl.URL // URL, if whoever made the request had it parsed
}

// Bounds of what a request carries, in bytes.
const (
	maxRequestData = 4 << 10
	maxRequestBody = 64 << 10
)

// Seeds returns plain requests for addresses.
func Seeds(urls ...string) []Request {
	requests := make([]Request, len(urls))
	for i, u := range urls {
		requests[i].URL = u
	}
	return requests
}

// Form returns a request that sends a form with the method POST.
func Form(url string, fields url.Values) Request {
	return Request{
		URL: url, Method: http.MethodPost, Body: []byte(fields.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	}
}

// address returns URL, parsed.
func (r *Request) address() (weburl.URL, error) {
	if !r.parsed.IsZero() {
		return r.parsed, nil
	}
	return weburl.Parse(r.URL)
}

// normalize gives the request its canonical form, as a link on a page of base;
// the zero URL will do for an absolute one.
func (r *Request) normalize(base weburl.URL) error {
	var err error
	if r.parsed.IsZero() || r.parsed.String() != r.URL {
		if r.parsed, err = base.Resolve(r.URL); err != nil {
			return err
		}
		r.URL = r.parsed.String()
	}
	if r.Method = strings.ToUpper(r.Method); r.Method == http.MethodGet && len(r.Body) == 0 {
		r.Method = ""
	}
	if strings.ContainsFunc(r.Method, func(c rune) bool { return c < 'A' || c > 'Z' }) {
		return fmt.Errorf("%q is no method", r.Method)
	}
	data, body := len(r.Label), len(r.Body)
	for k, v := range r.Data {
		data += len(k) + len(v)
	}
	for k, vs := range r.Header {
		body += len(k) + len(strings.Join(vs, ""))
	}
	switch {
	case data > maxRequestData:
		return fmt.Errorf("label and data have %d bytes, at most %d are kept", data, maxRequestData)
	case body > maxRequestBody:
		return fmt.Errorf("header and body have %d bytes, at most %d are kept", body, maxRequestBody)
	}
	r.Priority = max(min(r.Priority, queue.MaxPriority), -queue.MaxPriority)
	return nil
}

// plain reports whether a request is a GET with nothing of its own.
func (r *Request) plain() bool { return r.Method == "" && len(r.Header) == 0 && len(r.Body) == 0 }

// variant tells requests of one address apart: "" for a plain one, else
// "#POST-" and a digest of method, header and body. An address has no '#'.
func (r *Request) variant() string {
	if r.plain() {
		return ""
	}
	h := sha256.New()
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(http.CanonicalHeaderKey(a), http.CanonicalHeaderKey(b)), cmp.Compare(a, b))
	})
	for _, name := range names {
		fmt.Fprintf(h, "%s: %q\n", http.CanonicalHeaderKey(name), r.Header[name])
	}
	h.Write(r.Body)
	return "#" + cmp.Or(r.Method, http.MethodGet) + "-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// Key returns the key of the records about what the request fetches.
func (r Request) Key() string {
	_ = r.normalize(weburl.URL{}) // one that cannot be has no records
	return tables.Key(r.URL + r.variant())
}

// edge returns the frontier.
func newFrontier(o *Options) *pipeline.Edge[Request] {
	s := &o.Settings
	e := pipeline.NewEdge[Request](StageCrawl)
	e.Key = o.FrontierKey
	e.Priority = func(r Request) int { return r.Priority }
	e.Group = func(r Request) string {
		u, err := r.address()
		if err != nil || len(u.Host()) > queue.MaxGroup {
			return ""
		}
		return u.Host()
	}
	e.Config = queue.Config{
		MaxAttempts: s.maxAttempts(), MaxDeaths: maxDeaths,
		Groups: queue.GroupPolicy{MaxInFlight: s.PerHost, MinDelay: s.leastDelay()},
	}
	return e
}

// FrontierKey returns the key of a request in the queue [StageCrawl]: what its page
// is known by.
func (o *Options) FrontierKey(r Request) string {
	u, err := r.address()
	if err != nil {
		return r.URL
	}
	if r.exact {
		return tables.BackKey(tables.RoundKey(tables.ExactKey(r.URL+r.variant()), r.round), r.deferred)
	}
	name := ""
	if o.Identity != nil {
		name = o.Identity(u)
	}
	if name == "" {
		name = u.Canonical(&o.Settings.Identity).String()
	}
	name += r.variant()
	if r.asset {
		name = tables.AssetKey(u.String())
	}
	return tables.BackKey(tables.RoundKey(tables.RaisedKey(name, r.raised), r.round), r.deferred)
}

// Flags of a stored request.
const (
	requestSitemap = 1 << iota
	requestHasExtras
)

// requestExtras is what few requests have.
type requestExtras struct {
	Label    string            `json:"label,omitempty"`
	Data     map[string]string `json:"data,omitempty"`
	Method   string            `json:"method,omitempty"`
	Header   http.Header       `json:"header,omitempty"`
	Body     []byte            `json:"body,omitempty"`
	Priority int               `json:"priority,omitempty"`
	Cookies  string            `json:"cookies,omitempty"`
	Via      []uint64          `json:"via,omitempty"`
	Exact    bool              `json:"exact,omitempty"`
	Guess    bool              `json:"guess,omitempty"`
	Nesting  int               `json:"nesting,omitempty"`
	Deferred int               `json:"deferred,omitempty"`
	Failures int               `json:"failures,omitempty"`
	Round    int               `json:"round,omitempty"`
	Asset    bool              `json:"asset,omitempty"`
	Raised   int               `json:"raised,omitempty"`
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (r Request) MarshalBinary() ([]byte, error) {
	b := make(packed, 0, len(r.URL)+len(r.Referrer)+12)
	b.text(r.URL)
	b.text(r.Referrer)
	b.number(r.Depth)
	b.number(r.Redirects)
	flags := 0
	if r.Sitemap {
		flags = requestSitemap
	}
	if r.Label == "" && r.Priority == 0 && len(r.Data) == 0 && r.plain() && len(r.via) == 0 && !r.guess && r.nesting == 0 && r.deferred == 0 && r.round == 0 && !r.exact && !r.asset && r.raised == 0 {
		b.number(flags)
		return b, nil
	}
	b.number(flags | requestHasExtras)
	extras, err := json.Marshal(requestExtras{
		r.Label, r.Data, r.Method, r.Header, r.Body, r.Priority, r.cookies, r.via, r.exact, r.guess, r.nesting, r.deferred, r.failures,
		r.round, r.asset, r.raised,
	})
	return append(b, extras...), err
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (r *Request) UnmarshalBinary(b []byte) error {
	u := unpack(b)
	*r = Request{URL: u.Text(), Referrer: u.Text(), Depth: u.Int(), Redirects: u.Int()}
	flags := u.Int()
	r.Sitemap = flags&requestSitemap != 0
	if flags > requestSitemap|requestHasExtras {
		return errMalformed
	}
	if flags&requestHasExtras == 0 {
		return u.end()
	}
	var x requestExtras
	if err := json.Unmarshal(u.Rest(), &x); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	r.Label, r.Data, r.Method, r.Header, r.Body, r.Priority = x.Label, x.Data, x.Method, x.Header, x.Body, x.Priority
	r.cookies, r.via, r.exact, r.guess, r.nesting = x.Cookies, x.Via, x.Exact, x.Guess, x.Nesting
	r.deferred, r.failures, r.round, r.asset, r.raised = x.Deferred, x.Failures, x.Round, x.Asset, x.Raised
	return nil
}
