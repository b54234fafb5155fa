package sitemap

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Errors of [Parse]. The entries before them have been handed over.
var (
	// ErrNotSitemap is returned if the data is nothing that lists URLs: HTML,
	// for instance, or an image.
	ErrNotSitemap = errors.New("not a sitemap")
	// ErrMalformed is returned if the data breaks off or cannot be read on.
	ErrMalformed = errors.New("malformed sitemap")
	// ErrTooManyURLs is returned if there are more entries than Options.MaxURLs.
	ErrTooManyURLs = errors.New("sitemap has too many URLs")
	// ErrTooLarge is returned if the uncompressed data is larger than
	// Options.MaxBytes.
	ErrTooLarge = errors.New("sitemap is too large")
)

// The limits of the sitemaps.org protocol.
const (
	DefaultMaxURLs  = 50_000
	DefaultMaxBytes = 50 << 20
)

// Options are the limits of [Parse]. Nil and zero fields mean the defaults.
type Options struct {
	MaxURLs  int   // entries that are handed over: 50,000
	MaxBytes int64 // uncompressed size: 50 MiB
}

// Kind is the format of a file.
type Kind string

// The formats.
const (
	URLSet Kind = "urlset"       // pages
	Index  Kind = "sitemapindex" // other sitemaps
	RSS    Kind = "rss"          // RSS 0.9x, 1.0 and 2.0
	Atom   Kind = "atom"
	Text   Kind = "text" // a URL a line
)

// Entry is one URL of a sitemap.
type Entry struct {
	// Loc is the URL, without blanks around it and otherwise as written: it
	// may be relative or nonsense. It is not empty.
	Loc string
	// Sitemap says that Loc is another sitemap and not a page.
	Sitemap bool
	// LastMod is when the page was last changed, or zero if the sitemap does
	// not say so in a form that can be read. A date without a time is its
	// midnight in UTC.
	LastMod time.Time
	// ChangeFreq is one of always, hourly, daily, weekly, monthly, yearly and
	// never, or empty.
	ChangeFreq string
	// Priority is from 0 to 1; 0.5 unless the sitemap says otherwise.
	Priority float64
}

// Result tells about a file that was read.
type Result struct {
	Kind    Kind  // empty if ErrNotSitemap
	URLs    int   // entries handed over
	Skipped int   // entries and lines without a URL
	Bytes   int64 // uncompressed bytes read
}

// Parse reads a sitemap from r and calls handle for each entry, in order. An
// error of handle ends it and is returned as it is. Other errors are this
// package's, and those of r wrapped in [ErrMalformed]. A caller that accepts
// part of a sitemap uses what it got beside any of the errors.
func Parse(r io.Reader, o *Options, handle func(Entry) error) (Result, error) {
	p := &parser{handle: handle, maxURLs: DefaultMaxURLs}
	in := &input{max: DefaultMaxBytes}
	if o != nil && o.MaxURLs > 0 {
		p.maxURLs = o.MaxURLs
	}
	if o != nil && o.MaxBytes > 0 {
		in.max = o.MaxBytes
	}

	err := in.open(r)
	if err == nil && in.isXML {
		err = p.xml(in)
	} else if err == nil {
		err = p.text(in)
	}
	p.result.Bytes = in.bytes
	switch {
	case err == nil:
		return p.result, nil
	case p.handleErr != nil:
		return p.result, p.handleErr
	case errors.Is(err, ErrTooManyURLs), errors.Is(err, ErrTooLarge), errors.Is(err, ErrNotSitemap):
		return p.result, fmt.Errorf("sitemap: %w", err)
	}
	return p.result, fmt.Errorf("sitemap: %w: %w", ErrMalformed, err)
}

// parser hands over entries, whatever they come from.
type parser struct {
	handle    func(Entry) error
	handleErr error // what handle returned
	maxURLs   int
	result    Result
}

// emit hands over an entry.
func (p *parser) emit(e Entry) error {
	if e.Loc == "" {
		p.result.Skipped++
		return nil
	}
	if p.result.URLs == p.maxURLs {
		return ErrTooManyURLs
	}
	p.result.URLs++
	p.handleErr = p.handle(e)
	return p.handleErr
}
