package crawler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/andybalholm/cascadia"

	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/stages"
)

// Visit is a page that has been fetched, as a [Function] gets it. A test makes
// one with [NewVisit].
type Visit struct {
	// Request is what was asked for, with its label, its data and its depth.
	Request Request

	// URL is where the page is: that of the request, in canonical form. A
	// redirect is a request of its own, so it is the last one.
	URL string

	Status int
	Header http.Header

	// ContentType is the media type with its parameters: the header's, or what
	// the bytes are where the header is missing or plainly wrong.
	ContentType string

	// Body is the page, in UTF-8 if it is text of any kind. It must not be
	// changed.
	Body []byte

	Fetched    time.Time // when the request began
	Generation int
	Attempt    int // how often the request has been made, this time included

	parse *parse
}

// parse is the one parse of a page, made when it is first asked for, whoever
// that is: a function, the crawl for its links, the stage extract.
type parse struct {
	encoding string // that the page had before it became UTF-8, if that is known
	xhtml    bool

	beforeTree func() // if one is needed for the links; set before the first use

	once  sync.Once
	doc   *stages.Document
	forms bool // those of the page are links
	links linkResolver
}

// NewVisit returns a visit for the test of a function: a page of HTML, with
// status 200, of generation 0, at the first attempt. The test may change its
// fields before it calls the function.
func NewVisit(url string, body []byte) *Visit {
	r := Request{URL: url}
	_ = r.normalize(weburl.URL{}) // of an address that cannot be, links cannot be read
	return &Visit{
		Request: r, URL: r.URL, Status: http.StatusOK, Header: make(http.Header),
		ContentType: "text/html; charset=utf-8", Body: body, Attempt: 1, parse: new(parse),
	}
}

// MediaType returns the media type in lower case, without parameters.
func (v *Visit) MediaType() string { return stages.MediaType(v.ContentType) }

// IsHTML reports whether the page is HTML or XHTML.
func (v *Visit) IsHTML() bool { return isHTML(v.MediaType()) }

func isHTML(mediaType string) bool {
	return mediaType == "text/html" || mediaType == "application/xhtml+xml"
}

// Page returns the parsed page, with its links and what it says about itself. It
// is parsed once, whoever asks.
func (v *Visit) Page() *stages.Document { return v.parse.page(v.Body, v.URL) }

func (p *parse) page(body []byte, url string) *stages.Document {
	p.once.Do(func() {
		p.links.found = make(map[string]weburl.URL)
		p.doc = stages.ParseDocument(body, url, &stages.DocumentOptions{
			Resolve: p.links.resolve, Encoding: p.encoding, XHTML: p.xhtml, Forms: p.forms, BeforeTree: p.beforeTree,
		})
	})
	return p.doc
}

// Document returns the parsed page for goquery. It must not be changed.
func (v *Visit) Document() *goquery.Document { return v.Page().Selection() }

// Find returns the elements that a CSS selector matches. One that is malformed
// is a mistake of the function, and panics with what is wrong.
func (v *Visit) Find(selector string) *goquery.Selection {
	m, err := cascadia.Compile(selector)
	if err != nil {
		panic(fmt.Sprintf("selector %q: %v", selector, err))
	}
	return v.Document().FindMatcher(m)
}

// Text returns the text of the first element that a CSS selector matches, its
// white space collapsed, or "".
func (v *Visit) Text(selector string) string {
	return strings.Join(strings.Fields(v.Find(selector).First().Text()), " ")
}

// JSON decodes the body into a value.
func (v *Visit) JSON(value any) error {
	if err := json.Unmarshal(bytes.TrimPrefix(v.Body, []byte("\ufeff")), value); err != nil {
		return fmt.Errorf("decode %s: %w", v.URL, err)
	}
	return nil
}

// base is what a link of the page is resolved against.
func (v *Visit) base() string {
	if v.IsHTML() {
		return v.Page().Base
	}
	return v.URL
}

// linkResolver is weburl's reading of the links of one page, for
// stages.ParseDocument. It keeps what it has parsed, by its text.
type linkResolver struct {
	base  weburl.URL
	text  string // that base was parsed from
	found map[string]weburl.URL

	credentials []string // targets whose links have a user name or password, some
}

// maxCredentials is how many of these are told of.
const maxCredentials = 10

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
	if strings.IndexByte(href, '@') > 0 && len(l.credentials) < maxCredentials && CheckCredentials(href) != nil {
		l.credentials = append(l.credentials, to.String())
	}
	return to.String(), nil
}

// visitHead is what is stored of a visit beside its body, where a function has a
// queue of its own.
type visitHead struct {
	Request     []byte      `json:"request"`
	Status      int         `json:"status"`
	Header      http.Header `json:"header"`
	ContentType string      `json:"content_type"`
	Fetched     time.Time   `json:"fetched"`
	Generation  int         `json:"generation"`
	Attempt     int         `json:"attempt"`
	Encoding    string      `json:"encoding,omitempty"`
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (v Visit) MarshalBinary() ([]byte, error) {
	r, err := v.Request.MarshalBinary()
	if err != nil {
		return nil, err
	}
	encoding := ""
	if v.parse != nil {
		encoding = v.parse.encoding
	}
	head, err := json.Marshal(visitHead{r, v.Status, v.Header, v.ContentType, v.Fetched, v.Generation, v.Attempt, encoding})
	if err != nil {
		return nil, err
	}
	b := make(packed, 0, len(head)+len(v.Body)+8)
	b.text(string(head))
	return append(b, v.Body...), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (v *Visit) UnmarshalBinary(b []byte) error {
	u := unpack(b)
	head, body := u.Text(), u.Rest()
	if err := u.end(); err != nil {
		return err
	}
	var h visitHead
	if err := json.Unmarshal([]byte(head), &h); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	var r Request
	if err := r.UnmarshalBinary(h.Request); err != nil {
		return err
	}
	*v = Visit{
		Request: r, URL: r.URL, Status: h.Status, Header: h.Header, ContentType: h.ContentType, Body: body,
		Fetched: h.Fetched, Generation: h.Generation, Attempt: h.Attempt, parse: &parse{encoding: h.Encoding},
	}
	v.parse.xhtml = v.MediaType() == "application/xhtml+xml"
	return nil
}
