package crawler

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract"
)

// Page is the record of an address that was fetched: a success, or a redirect,
// whose target is in Redirect.
type Page struct {
	URL         string        `json:"url"`
	Method      string        `json:"method,omitempty"` // if it is not GET
	Label       string        `json:"label,omitempty"`  // of the request
	Status      int           `json:"status"`
	Generation  int           `json:"generation"`
	Depth       int           `json:"depth"`
	Referrer    string        `json:"referrer,omitempty"`
	FetchedAt   time.Time     `json:"fetched_at"`
	Took        time.Duration `json:"took_ns"`
	FirstByte   time.Duration `json:"first_byte_ns"`
	Remote      string        `json:"remote,omitempty"`
	ContentType string        `json:"content_type"`
	Bytes       int           `json:"bytes"`
	Digest      string        `json:"digest,omitempty"` // sha256:hex of the body
	DuplicateOf string        `json:"duplicate_of,omitempty"`
	Redirect    string        `json:"redirect,omitempty"`
	Title       string        `json:"title,omitempty"`
	Canonical   string        `json:"canonical,omitempty"`
	NoIndex     bool          `json:"noindex,omitempty"`
	TooLarge    bool          `json:"too_large,omitempty"` // for the queue to the next stage, so it has no text
	ETag        string        `json:"etag,omitempty"`
	Modified    string        `json:"last_modified,omitempty"`
	Attempts    int           `json:"attempts"`
	Items       int           `json:"items,omitempty"`       // that functions wrote in its transaction
	Soft404     bool          `json:"soft_404,omitempty"`    // it says that it does not exist, with status 200
	VanishedAt  *time.Time    `json:"vanished_at,omitempty"` // since when it is 404 or 410; the rest is what it was
	Round       int           `json:"round,omitempty"`       // that the rest is from
	Request     []byte        `json:"request,omitempty"`     // that fetches it again, if it is no plain one
	Links       []Link        `json:"links,omitempty"`
	Dropped     int           `json:"links_dropped,omitempty"` // from Links, for want of room, or over stages.DefaultMaxLinks

	known *known // what was known before
}

// Link is a link of a page.
type Link struct {
	To     string `json:"to"`
	Anchor string `json:"anchor,omitempty"`
}

// Failure is the record of an address that was given up.
type Failure struct {
	URL        string    `json:"url"`
	Method     string    `json:"method,omitempty"` // if it is not GET
	Label      string    `json:"label,omitempty"`  // of the request
	Reason     string    `json:"reason"`           // a short word: http_404, timeout, robots, …
	Detail     string    `json:"detail"`
	Status     int       `json:"status,omitempty"`
	Generation int       `json:"generation"`
	Depth      int       `json:"depth"`
	Referrer   string    `json:"referrer,omitempty"`
	Attempts   int       `json:"attempts"`
	At         time.Time `json:"at"`
	Round      int       `json:"round,omitempty"`
	Request    []byte    `json:"request,omitempty"` // that fetches it again, if it is no plain one

	known *known // what was known before
}

// Reasons of failures beside those of package stages.
const (
	ReasonRobots       = "robots"             // robots.txt forbids it
	ReasonMaxPages     = "max_pages"          // Settings.MaxPages had been fetched: what a Skip begins with
	ReasonRedirectLoop = "redirect_loop"      // it led back to where it came from
	ReasonRedirects    = "too_many_redirects" // more than ten in a row
	ReasonHostDown     = "host_down"          // its host has failed for half a day, whatever was asked
	ReasonPanic        = "internal"           // the stage failed at it every time
	ReasonFunction     = "function"           // its function failed, or panicked
	ReasonJudged       = "judged"             // its function has said that it is not the page
	ReasonSoft404      = "soft_404"           // it says that it does not exist, or leads to the front page: why a page has vanished
)

// Skip is the record of a link that was not followed.
type Skip struct {
	URL    string `json:"url"`
	Reason string `json:"reason"` // the rule that decided
	From   string `json:"from"`   // the page it was first found on

	// Request is that of an address that was left out for a limit of how much is
	// fetched: a later round takes it.
	Request []byte `json:"request,omitempty"`

	foundHost bool // its reason is to end with the host of its key; see FromKey
}

// Text is what the extract stage has found. It is that of extract.Extractor, or
// of the program in its place.
type Text struct {
	Title     string   `json:"title,omitempty"`
	Byline    string   `json:"byline,omitempty"`
	Site      string   `json:"site,omitempty"`
	Published string   `json:"published,omitempty"`
	Language  string   `json:"language,omitempty"`
	Type      string   `json:"type,omitempty"` // of the page, such as extract.TypeArticle
	Text      string   `json:"text"`
	Markdown  string   `json:"markdown,omitempty"` // if Settings.Markdown asks for it
	Comments  []string `json:"comments,omitempty"` // likewise
	Method    string   `json:"method,omitempty"`
	Note      string   `json:"note,omitempty"` // why the text is not all, or not there

	// SimHash is the fingerprint of the text, as 16 hexadecimal digits, and
	// NearDuplicateOf the first page with nearly the same, if there was one.
	SimHash         string `json:"simhash,omitempty"`
	NearDuplicateOf string `json:"near_duplicate_of,omitempty"`
}

// Tags is what the tag stage has found: the words of each sentence with their
// parts of speech, and how often noun phrases occur.
type Tags struct {
	Language  string     `json:"language,omitempty"`
	Tagged    bool       `json:"tagged"` // false: there is no model for the language
	Sentences []Sentence `json:"sentences"`
	Phrases   []Count    `json:"noun_phrases,omitempty"`
	Entities  []Count    `json:"entities,omitempty"`
}

// validate refuses numbers that make no sense. Places need not be in the text,
// which another program may have changed.
func (t *Tags) validate() error {
	check := func(what string, n int) error {
		if n < 0 || n > math.MaxInt32 {
			return fmt.Errorf("%s is %d, want 0 to %d", what, n, math.MaxInt32)
		}
		return nil
	}
	for _, s := range t.Sentences {
		if err := cmp.Or(check("start of a sentence", s.Start), check("end of a sentence", s.End)); err != nil {
			return err
		}
		for _, w := range s.Tokens {
			if err := cmp.Or(check("start of a token", w.Start), check("end of a token", w.End)); err != nil {
				return err
			}
		}
	}
	for _, c := range slices.Concat(t.Phrases, t.Entities) {
		if err := check("count of a phrase", c.Count); err != nil {
			return err
		}
	}
	return nil
}

// Sentence is the place of a sentence in the text, in bytes, and its words.
type Sentence struct {
	Start  int     `json:"start"`
	End    int     `json:"end"`
	Tokens []Token `json:"tokens"`
}

// Token is a word: its form, its universal and language-specific tags, and its
// place in the text in bytes. In JSON it is an array.
type Token struct {
	Text       string
	UPOS, XPOS string
	Start, End int
}

// Tag returns the language's own tag where there is one, such as the Penn tag
// in English, and the universal one elsewhere.
func (t Token) Tag() string {
	if t.XPOS != "" {
		return t.XPOS
	}
	return t.UPOS
}

// MarshalJSON implements json.Marshaler.
func (t Token) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{t.Text, t.UPOS, t.XPOS, t.Start, t.End})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Token) UnmarshalJSON(b []byte) error {
	fields := []any{&t.Text, &t.UPOS, &t.XPOS, &t.Start, &t.End}
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	if len(fields) != 5 {
		return fmt.Errorf("a token has %d parts, not 5", len(fields))
	}
	return nil
}

// Count is a phrase and how often it occurs.
type Count struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
}

// Doc is what travels between the stages behind crawl: a page, and what is
// known of it so far. A program in place of a stage gets it as JSON, with the
// page as html; what is no text, such as a PDF file, in base64 as body.
type Doc struct {
	URL         string          `json:"url"`
	Key         string          `json:"key,omitempty"`      // of its records, if that is not the URL
	Label       string          `json:"label,omitempty"`    // of the request
	Depth       int             `json:"depth"`              // links from a seed
	NoFollow    bool            `json:"nofollow,omitempty"` // the page asks robots not to follow its links
	ContentType string          `json:"content_type,omitempty"`
	Language    string          `json:"language,omitempty"` // Content-Language, then what extract has found
	Title       string          `json:"title,omitempty"`
	Text        string          `json:"text,omitempty"`
	Results     json.RawMessage `json:"results,omitempty"` // of the stage before, if it is another program
	HTML        []byte          `json:"-"`                 // UTF-8; of another type that is no text, as it is

	history *History // of the page, in a round that visits it again

	parse *parse // of HTML, if there has been one
}

// Page returns the parsed page. It is parsed once where the crawl and the stages
// behind it run together.
func (d *Doc) Page() *stages.Document {
	if d.parse == nil {
		mediaType, _, _ := strings.Cut(d.ContentType, ";")
		d.parse = &parse{xhtml: strings.EqualFold(strings.TrimSpace(mediaType), "application/xhtml+xml")}
	}
	return d.parse.page(d.HTML, d.URL)
}

// key is that of the document's records.
func (d *Doc) key() string {
	if d.Key != "" {
		return d.Key
	}
	return tables.Key(d.URL)
}

// textOf keeps of an extracted text what is stored.
func textOf(t *extract.Text) Text {
	return Text{
		Title: t.Title, Byline: t.Byline, Site: t.Site, Published: t.Published,
		Language: t.Language, Type: t.Type, Text: t.Text, Markdown: t.Markdown, Comments: t.Comments, Method: t.Method, Note: t.Note,
	}
}
