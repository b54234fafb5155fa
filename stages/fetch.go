package stages

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// DefaultUserAgent is the User-Agent of a Fetcher that names none. Operators
// of a crawl should name themselves and a page that says what they do.
const DefaultUserAgent = "weir/0.1 (+https://github.com/seed-301537d8/weir)"

// DefaultMaxBody is the largest body, after decompression, that a Fetcher
// accepts unless told otherwise: 10 MiB.
const DefaultMaxBody = 10 << 20

// A Fetcher makes HTTP requests for a crawl: one request per call, redirects
// reported but not followed, everything bounded. The zero value is ready.
//
// A Fetcher is safe for use by many goroutines, which should share one. It must
// not be copied or changed after its first use.
type Fetcher struct {
	// UserAgent is sent with every request; [DefaultUserAgent] if empty.
	UserAgent string
	// Accept and AcceptLanguage are sent as the headers of these names. Accept
	// defaults to HTML first, then anything; AcceptLanguage to nothing.
	Accept         string
	AcceptLanguage string

	// Types lists the media types that are wanted, such as "text/html",
	// "text/*" or "application/*+xml". A response of another type fails with
	// [ReasonType] before its body is read. Nil means [DefaultTypes]; "*/*"
	// takes everything.
	Types []string

	// MaxBody bounds the body after decompression, in bytes; [DefaultMaxBody]
	// if zero.
	MaxBody int64
	// MaxWire bounds the body as it arrives, in bytes; MaxBody if zero.
	MaxWire int64
	// Cut keeps the beginning of a body that is over MaxBody or MaxWire, or whose
	// coding is broken: Fetch returns it with the error.
	Cut bool
	// KeepWire fills in the response's RequestHeader and Wire, for an archive.
	KeepWire bool
	// MaxRatio bounds how many times larger the body may be than what arrived,
	// once it is over 4 MiB; 1,100 if zero.
	MaxRatio int64
	// MaxHeader bounds the response's header, in bytes; 256 KiB if zero, which is
	// what browsers take.
	MaxHeader int64

	// DialTimeout bounds name resolution and connecting together; 10 s if zero.
	DialTimeout time.Duration
	// TLSTimeout bounds the TLS handshake; 10 s if zero.
	TLSTimeout time.Duration
	// HeaderTimeout bounds the wait from the written request to the first
	// header; 20 s if zero.
	HeaderTimeout time.Duration
	// IdleTimeout bounds each pause between two pieces of the body; 15 s if zero.
	IdleTimeout time.Duration
	// Timeout bounds the whole request with its body; 60 s if zero.
	Timeout time.Duration

	// Budget bounds the memory of large bodies that are under way. A body for which
	// there is no room waits, within no time limit, and keeps its share until
	// [FetchResponse.Release]. Nil means that there is no bound.
	Budget *Budget

	// AllowPrivate permits addresses that are not public: loopback, private,
	// link-local, and the rest of IANA's special-purpose registries. They are
	// refused otherwise, after name resolution, so that a public name cannot
	// lead the crawler inside.
	AllowPrivate bool

	// MaxIdleConns bounds the connections kept for reuse over all hosts; 1,024
	// if zero. MaxIdlePerHost bounds them per host; 64 if zero. An idle
	// connection is closed after IdleConnTimeout; 30 s if zero.
	MaxIdleConns    int
	MaxIdlePerHost  int
	IdleConnTimeout time.Duration

	// Sessions are the TLS sessions that may be resumed, which spares a server and
	// us the most of a handshake when a connection is made anew. Fetchers of one
	// crawl may share them. Nil means the last 1,024 of this Fetcher.
	Sessions tls.ClientSessionCache

	// Connections is a Fetcher whose connections this one uses, with the names that it
	// has looked up: so what one asks of a host comes on the connection that the other
	// has made. All that is said above and below of connections, of proxies and of the
	// header, and KeepWire, is then as it says there. It must not be this one, nor use
	// another's itself. Nil means that this one makes its own.
	Connections *Fetcher

	// Resolver looks names up. Fetchers of one crawl may share it. Nil means one of
	// this Fetcher's own that remembers answers; see [NewResolver].
	Resolver *net.Resolver

	// Proxy returns the proxy for a request, or nil for none; see
	// [http.Transport]. Nil means that there is none. The address guard of
	// AllowPrivate holds for the request's host, which is looked up before the
	// proxy is asked, and not for the proxy itself, which may be inside.
	Proxy func(*http.Request) (*url.URL, error)

	// Transport makes the transport of another one: it is given the built-in
	// one, with all of the above and the address guard, and returns what is to
	// be used, be it the same with other settings or one around it. What it
	// returns without using the built-in one has no guard. It is called again for
	// each proxy that is chosen for https. Nil means the built-in one.
	Transport func(builtin *http.Transport) http.RoundTripper

	once      sync.Once
	guard     *guard
	transport http.RoundTripper
	tunnels   tunnels
	types     []string

	builtin    bool // transport says when it has a connection
	handshakes handshakes
}

var defaultTypes = []string{
	"text/html", "application/xhtml+xml", "text/plain",
	"text/xml", "application/xml", "application/*+xml",
}

// DefaultTypes returns the media types that a [Fetcher] takes unless told
// otherwise: HTML, XHTML, plain text and XML, which is what holds links or text.
func DefaultTypes() []string { return append([]string(nil), defaultTypes...) }

// A FetchRequest names what to fetch.
type FetchRequest struct {
	// URL is absolute, with the scheme http or https. A fragment and user
	// information are not sent.
	URL string `json:"url"`
	// ETag and LastModified are those of the copy that the caller has; they
	// make the request conditional (RFC 9110 section 13.1).
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	// Header is sent as well and wins over the Fetcher's own.
	Header http.Header `json:"header,omitempty"`
	// Method is the request's; GET if empty. Body is sent with it.
	Method string `json:"method,omitempty"`
	Body   []byte `json:"body,omitempty"`
	// Types and MaxBody take the place of the Fetcher's for this request,
	// unless they are nil and zero.
	Types   []string `json:"types,omitempty"`
	MaxBody int64    `json:"max_body,omitempty"`
	// Statuses are those, from 400 on, of answers whose body is read as that of a
	// success is. Fetch returns their error all the same; if the body cannot be
	// read the response has none, and no Digest.
	Statuses []int `json:"statuses,omitempty"`
	// Prepare may change the request before it is sent. An error ends it with
	// [ReasonFailed], or is returned as it is if it is an [*Error].
	Prepare func(*http.Request) error `json:"-"`
}

// A FetchResponse is what came back. It owns its Body.
type FetchResponse struct {
	// URL is the URL requested, without its fragment.
	URL string `json:"url"`
	// Status is the HTTP status code.
	Status int `json:"status"`
	// Proto is the protocol, such as "HTTP/2.0".
	Proto string `json:"proto,omitempty"`
	// Header is the response's header.
	Header http.Header `json:"header,omitempty"`
	// NotModified says that a conditional request was answered by 304.
	NotModified bool `json:"not_modified,omitempty"`
	// Redirect is the absolute target of a redirect, in the form of package
	// weburl, or "".
	Redirect string `json:"redirect,omitempty"`

	// Body is the body after Content-Encoding, as its author wrote it; see
	// [FetchResponse.UTF8]. It is empty when the status is not a success. If
	// Fetch fails with [ReasonTruncated] it holds what arrived.
	Body []byte `json:"-"`
	// WireSize is the size of the body as it arrived, in bytes.
	WireSize int64 `json:"wire_size"`
	// Wire is the body as it arrived, before Content-Encoding is undone, and
	// RequestHeader the header that was sent. Both are nil without
	// [Fetcher].KeepWire. Of a status that is not a success Wire has at most
	// 256 KiB; WireCut says that more of the body was to come.
	Wire          []byte      `json:"-"`
	WireCut       bool        `json:"-"`
	RequestHeader http.Header `json:"-"`
	// RawHeader is the header of an HTTP/1 response as the server sent it, from
	// the status line to the empty line. It is nil for HTTP/2 and without
	// [Fetcher].KeepWire.
	RawHeader []byte `json:"-"`
	// ContentType is the media type with its parameters: the header's, or a
	// sniffed one where the header is missing, generic, or plainly wrong.
	ContentType string `json:"content_type,omitempty"`
	// Sniffed says that ContentType is not what the header said.
	Sniffed bool `json:"sniffed,omitempty"`
	// Digest is the SHA-256 of Body; zero where there is none.
	Digest [sha256.Size]byte `json:"-"`

	share *Share // of the memory budget, for Body and Wire

	// Remote is the address that answered, "host:port".
	Remote string `json:"remote,omitempty"`
	// Reused says that the connection had served an earlier request.
	Reused bool `json:"reused,omitempty"`
	// Timings says where the time went.
	Timings Timings `json:"timings"`
	// Fetched is when the request began.
	Fetched time.Time `json:"fetched"`
}

// Timings says where the time of a request went. Phases that did not happen,
// as on a reused connection, are zero.
type Timings struct {
	DNS       time.Duration `json:"dns_ns,omitempty"`
	Connect   time.Duration `json:"connect_ns,omitempty"`
	TLS       time.Duration `json:"tls_ns,omitempty"`
	FirstByte time.Duration `json:"first_byte_ns"` // from the start to the first byte of the header
	Total     time.Duration `json:"total_ns"`
}

// Release gives the memory of Body and Wire back to the Fetcher's budget. Neither
// may be used any more. It is only needed if there is a budget; a nil response
// and one that was released may be released again.
func (r *FetchResponse) Release() {
	if r != nil {
		r.share.Release()
	}
}

// Keep moves what the response takes of a budget to the part for answers that wait to be
// used, and reports whether there is room for it there. If not, nothing has changed.
func (r *FetchResponse) Keep(b *Budget) bool {
	if r == nil {
		return true
	}
	n := int64(len(r.Body)+len(r.Wire)) + keptOverhead
	if r.share != nil {
		n = max(n, r.share.n)
	}
	share, ok := b.Keep(n)
	if ok {
		r.share.Release()
		r.share = share
	}
	return ok
}

// keptOverhead is about what a response takes beside its body, in bytes.
const keptOverhead = 4 << 10

// UTF8 returns the body as valid UTF-8; see [ToUTF8].
func (r *FetchResponse) UTF8() []byte {
	b, _ := ToUTF8(r.Body, r.ContentType)
	return b
}

// MediaType returns the media type without parameters, in lower case.
func (r *FetchResponse) MediaType() string { return MediaType(r.ContentType) }

// IsHTML reports whether the body is HTML or XHTML.
func (r *FetchResponse) IsHTML() bool {
	t := r.MediaType()
	return t == "text/html" || t == "application/xhtml+xml"
}

// Fetch makes the request. A response that arrived whole with a status below
// 400 is returned with a nil error: a success, a redirect (see Redirect) or a
// 304 (see NotModified). Any other outcome is an [*Error]; the response comes
// with it as far as it got, and is nil if no header arrived.
//
// Statuses 408, 425, 429 and 5xx may pass (but 501 and 505), the other 4xx are
// permanent.
func (f *Fetcher) Fetch(ctx context.Context, r FetchRequest) (*FetchResponse, error) {
	f.once.Do(f.init)
	req, err := f.newRequest(r, false)
	if err != nil {
		return nil, &Error{Op: "fetch", Subject: clip(r.URL, 500), Reason: ReasonBadURL, Permanent: true, Detail: err.Error(), Err: err}
	}
	resp, err := f.fetch(ctx, r, req)
	if resp != nil && resp.Status == http.StatusBadRequest && req.URL.Opaque != "" {
		// Pages link to "100%.html" and "a|b". Browsers send that, and some servers
		// refuse it. Escaped it means the same.
		if escaped, err := f.newRequest(r, true); err == nil {
			resp.Release()
			return f.fetch(ctx, r, escaped)
		}
	}
	return resp, err
}

// fetch makes one request.
func (f *Fetcher) fetch(ctx context.Context, r FetchRequest, req *http.Request) (*FetchResponse, error) {
	start := time.Now()
	if r.Prepare != nil {
		if err := r.Prepare(req); err != nil {
			if e := AsError(err); e != nil {
				return nil, e
			}
			return nil, f.fail(address(req), ReasonFailed, false, err.Error(), err)
		}
	}

	w := newWatch(ctx, cmp.Or(f.Timeout, 60*time.Second))
	defer w.stop()
	tr := &tracer{start: start}
	via := cmp.Or(f.Connections, f)
	if via.builtin && req.URL.Scheme == "https" {
		tr.turn = via.handshakes.enter(w.ctx, req.URL.Host)
	}
	req = req.WithContext(tr.with(w.ctx))
	hr, err := via.roundTrip(req)
	tr.answered()
	tr.turn.leave(err != nil && ctx.Err() == nil)
	if err != nil {
		return nil, f.transportError(ctx, req, w, err)
	}
	defer hr.Body.Close()
	idle := cmp.Or(f.IdleTimeout, 15*time.Second)
	w.body(idle)

	resp := &FetchResponse{
		URL: address(req), Status: hr.StatusCode, Proto: hr.Proto, Header: hr.Header,
		ContentType: contentType(hr.Header), Fetched: start,
	}
	if f.KeepWire {
		resp.RequestHeader, resp.RawHeader = req.Header, tr.header()
	}
	err = f.finish(ctx, &r, req, hr, resp, w, idle)
	tr.into(resp)
	return resp, err
}

// finish reads the rest of the response as its status demands.
func (f *Fetcher) finish(ctx context.Context, r *FetchRequest, req *http.Request, hr *http.Response, resp *FetchResponse, w *watch, idle time.Duration) error {
	switch status := hr.StatusCode; {
	case status == http.StatusNotModified && isConditional(req):
		resp.NotModified = true
		return nil
	case status == http.StatusNotModified: // of what nobody has
		return f.statusError(resp)
	case status == http.StatusMultipleChoices && hr.Header.Get("Location") == "":
		// The page is the choice (RFC 9110 section 15.4.1).
	case status >= 300 && status < 400:
		f.passOver(hr, resp, w, idle, 4<<10)
		return f.redirect(req, hr, resp)
	case status >= 400 && slices.Contains(r.Statuses, status):
		if err := f.readBody(ctx, r, hr, resp, w, idle); err != nil {
			resp.Body, resp.Digest = nil, [sha256.Size]byte{}
		}
		return f.statusError(resp)
	case status >= 400:
		f.passOver(hr, resp, w, idle, 32<<10)
		return f.statusError(resp)
	case status < 200:
		return f.fail(resp.URL, ReasonProtocol, true, fmt.Sprintf("unexpected status %d", status), nil)
	}
	if err := f.readBody(ctx, r, hr, resp, w, idle); err != nil {
		var e *Error
		if errors.As(err, &e) {
			return err
		}
		return f.transportError(ctx, req, w, err)
	}
	return nil
}

// isConditional reports whether a request may be answered by 304.
func isConditional(req *http.Request) bool {
	return req.Header.Get("If-None-Match") != "" || req.Header.Get("If-Modified-Since") != ""
}

func (f *Fetcher) init() {
	f.types = f.Types
	if f.types == nil {
		f.types = defaultTypes
	}
	if f.Connections != nil {
		f.Connections.once.Do(f.Connections.init)
		return
	}
	f.guard = f.newGuard()
	f.transport = f.around(f.newTransport(nil))
	_, f.builtin = f.transport.(*http.Transport)
}

func (f *Fetcher) newRequest(r FetchRequest, escape bool) (*http.Request, error) {
	canonical, err := weburl.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(escapePercents(canonical.String()))
	if err != nil {
		return nil, err
	}
	if target := canonical.Target(); !escape && u.RequestURI() != target {
		if cmp.Or(f.Connections, f).Proxy != nil || strings.HasPrefix(target, "//") {
			target = "//" + u.Host + target // which becomes an absolute address
		}
		u.Opaque, u.RawQuery, _ = strings.Cut(target, "?")
	}
	// The values share one array.
	v := []string{
		cmp.Or(f.UserAgent, DefaultUserAgent),
		cmp.Or(f.Accept, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5"),
		"gzip, br, zstd, deflate",
	}
	h := http.Header{"User-Agent": v[0:1:1], "Accept": v[1:2:2], "Accept-Encoding": v[2:3:3]}
	if f.AcceptLanguage != "" {
		h["Accept-Language"] = []string{f.AcceptLanguage}
	}
	if r.ETag != "" {
		h["If-None-Match"] = []string{r.ETag}
	}
	if r.LastModified != "" {
		h["If-Modified-Since"] = []string{r.LastModified}
	}
	for k, v := range r.Header {
		h[http.CanonicalHeaderKey(k)] = v
	}
	req := &http.Request{
		Method: cmp.Or(r.Method, http.MethodGet), URL: u, Header: h, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if len(r.Body) > 0 {
		req.ContentLength = int64(len(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req, nil
}

// address returns the URL of a request.
func address(req *http.Request) string {
	switch {
	case strings.HasPrefix(req.URL.Opaque, "//"):
		return req.URL.RequestURI()
	case req.URL.Opaque != "":
		return req.URL.Scheme + "://" + req.URL.Host + req.URL.RequestURI()
	}
	return req.URL.String()
}

// escapePercents escapes the percent signs of a URL that begin no escape.
func escapePercents(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	isHex := func(i int) bool { return i < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i]) >= 0 }
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		if s[i] == '%' && !(isHex(i+1) && isHex(i+2)) {
			b.WriteString("25")
		}
	}
	return b.String()
}

func (f *Fetcher) fail(subject string, reason Reason, permanent bool, detail string, err error) *Error {
	return &Error{Op: "fetch", Subject: subject, Reason: reason, Permanent: permanent, Detail: clip(detail, 500), Err: err}
}

// redirect resolves the Location of a 3xx, as links are: with whatever bytes the
// server has sent.
func (f *Fetcher) redirect(req *http.Request, hr *http.Response, resp *FetchResponse) error {
	loc := hr.Header.Get("Location")
	if loc == "" {
		return f.fail(resp.URL, ReasonRedirect, true, fmt.Sprintf("status %d without a Location", resp.Status), nil)
	}
	base, err := weburl.Parse(address(req))
	if err != nil {
		return f.fail(resp.URL, ReasonRedirect, true, err.Error(), err)
	}
	target, err := base.Resolve(loc)
	if err != nil {
		return f.fail(resp.URL, ReasonRedirect, true, "Location "+strconv.Quote(clip(loc, 200)), err)
	}
	resp.Redirect = target.String()
	return nil
}

func (f *Fetcher) statusError(resp *FetchResponse) *Error {
	s := resp.Status
	permanent := s < 500
	switch s {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		permanent = false
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		permanent = true
	}
	e := f.fail(resp.URL, statusReason(s), permanent, http.StatusText(s), nil)
	if !permanent {
		e.RetryAfter = ParseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return e
}

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 7 * 24 * time.Hour

// ParseRetryAfter reads a Retry-After header (RFC 9110 section 10.2.3), seconds
// or a date, and returns the time that it names: zero if it names none or one
// that has passed, and at most seven days from now.
func ParseRetryAfter(v string, now time.Time) time.Time {
	v = strings.TrimSpace(v)
	if v == "" {
		return time.Time{}
	}
	var d time.Duration
	if secs, err := strconv.ParseInt(v, 10, 64); err == nil {
		d = time.Duration(min(max(secs, 0), int64(maxRetryAfter/time.Second))) * time.Second
	} else if errors.Is(err, strconv.ErrRange) && v[0] != '-' {
		d = maxRetryAfter
	} else if t, err := http.ParseTime(v); err == nil {
		d = min(t.Sub(now), maxRetryAfter)
	}
	if d <= 0 {
		return time.Time{}
	}
	return now.Add(d)
}
