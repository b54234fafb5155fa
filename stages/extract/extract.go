// Package extract takes the main text out of web pages: what a reader came for,
// without what stands around it.
//
//	doc := stages.ParseDocument(page, url, nil)
//	var x extract.Extractor
//	text := x.Extract(ctx, doc, "")
//	fmt.Println(text.Title, text.Text)
package extract

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-301537d8/weir/stages"
)

// A Mode says how an [Extractor] weighs quality against time.
type Mode string

// The modes. extracteval measures them; docs/extract.md has the numbers.
const (
	// ModeBalanced is go-trafilatura without its fallbacks. It is the default.
	ModeBalanced Mode = "balanced"
	// ModeAccurate is go-trafilatura with its fallbacks, which compare its
	// result with those of two other extractors: half as fast.
	ModeAccurate Mode = "accurate"
	// ModeFast is go-readability: about twice as fast as balanced.
	ModeFast Mode = "fast"
)

// ParseMode returns the mode of that name; the empty name is [ModeBalanced].
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return ModeBalanced, nil
	case ModeBalanced, ModeAccurate, ModeFast:
		return m, nil
	}
	return "", fmt.Errorf("extract: unknown mode %q (want accurate, balanced or fast)", s)
}

// Defaults of an [Extractor].
const (
	DefaultExtractTimeout  = 10 * time.Second
	DefaultExtractMaxNodes = 60_000
	DefaultMaxText         = 1 << 20
)

// An Extractor takes the main text out of pages. The zero value is ready.
//
// No page fails: where no main text is found, or finding it takes too long or
// breaks, the result is the readable text of the whole body, and Method says so.
//
// An Extractor is safe for use by many goroutines. It must not be copied or
// changed after its first use.
type Extractor struct {
	// Mode is the mode; [ModeBalanced] if empty or unknown.
	Mode Mode
	// Dates asks for the date of publication where the metadata name none,
	// which is searched for in the page and costs a quarter more time.
	Dates bool
	// Markdown, Links and Images ask for these fields of the result.
	Markdown, Links, Images bool

	// Timeout bounds the time spent on finding the main text of a page;
	// [DefaultExtractTimeout] if zero. The libraries that do it cannot be
	// interrupted: after the timeout their goroutine is left to finish, and the
	// page gets the text of its body.
	Timeout time.Duration
	// MaxAbandoned bounds how many such goroutines there may be. While there
	// are as many, every page gets the text of its body at once. The number of
	// processors if zero. Each holds a few copies of its page's tree.
	MaxAbandoned int
	// MaxNodes bounds the trees that main text is looked for in, in nodes;
	// [DefaultExtractMaxNodes] if zero. Larger pages get the text of their body.
	MaxNodes int
	// MaxText bounds Text and Markdown each, in bytes; [DefaultMaxText] if
	// zero. What is over is cut off between lines.
	MaxText int

	abandoned atomic.Int64
}

// Text is the main text of a page and what is known of it.
type Text struct {
	URL string `json:"url,omitempty"`
	// Title, Byline and Site are those of the article, from the page's
	// metadata where it has them.
	Title  string `json:"title,omitempty"`
	Byline string `json:"byline,omitempty"`
	Site   string `json:"site,omitempty"`
	// Description is the page's own summary.
	Description string `json:"description,omitempty"`
	// Published is RFC 3339, or a date alone: from the metadata, or searched
	// for if Extractor.Dates is set.
	Published string `json:"published,omitempty"`
	// Language is an ISO 639-1 code, or 639-3 where there is none; see
	// [stages.DetectLanguage].
	Language string `json:"language,omitempty"`
	// Canonical is the page's canonical URL.
	Canonical string `json:"canonical,omitempty"`

	// Text is the main text, one line for each paragraph, heading, list item
	// and table row; the lines of preformatted text are kept.
	Text string `json:"text"`
	// Markdown is the same with headings, lists, emphasis and links marked.
	Markdown string `json:"markdown,omitempty"`
	// Links and Images are those within the main text, resolved.
	Links  []stages.Link `json:"links,omitempty"`
	Images []Image       `json:"images,omitempty"`

	// Method says what found the text: "trafilatura", "readability" or "body".
	Method string `json:"method"`
	// Note says why the method is "body", or that the text was cut.
	Note string `json:"note,omitempty"`

	// OpenGraph, Fields and JSONLD are the page's metadata as it gives them.
	OpenGraph map[string]string `json:"opengraph,omitempty"`
	Fields    map[string]string `json:"meta,omitempty"`
	JSONLD    []json.RawMessage `json:"jsonld,omitempty"`
}

// An Image is one image of the main text.
type Image struct {
	URL string `json:"url"`
	Alt string `json:"alt,omitempty"`
}

// HTML parses a page of any encoding and extracts its text: a [stages.ToUTF8],
// a [stages.ParseDocument] and an [Extractor.Extract]. url is the page's address, which
// relative links need, or "". contentType is the HTTP header, or "".
func (x *Extractor) HTML(ctx context.Context, page []byte, url, contentType string) *Text {
	utf8, _ := stages.ToUTF8(page, contentType)
	return x.Extract(ctx, stages.ParseDocument(utf8, url, nil), "")
}

// HTML extracts the text of one page with the zero [Extractor] in the
// mode given; see [Extractor.HTML].
func HTML(ctx context.Context, page []byte, url string, mode Mode) *Text {
	x := &Extractor{Mode: mode}
	return x.HTML(ctx, page, url, "")
}

// Extract extracts the text of a parsed page. contentLanguage is the HTTP
// header Content-Language, or "". It does not change the tree.
//
// If ctx ends first, the result is the text of the body.
func (x *Extractor) Extract(ctx context.Context, d *stages.Document, contentLanguage string) *Text {
	t := &Text{
		URL: d.URL, Title: d.Meta.Title, Description: d.Meta.Description, Canonical: d.Meta.Canonical,
		OpenGraph: d.Meta.OpenGraph, Fields: d.Meta.Fields, JSONLD: d.Meta.JSONLD,
	}
	found, note := x.find(ctx, d)
	if found == nil || emptyLines(found.lines) {
		t.Note = cmp.Or(note, "no main text found")
		found = x.body(d).with(found)
	}
	t.Method = found.method
	lines := withoutTitle(found.lines, found.title, d.Meta.OpenGraph["og:title"], d.Meta.Title)
	limit := cmp.Or(x.MaxText, DefaultMaxText)
	var cut bool
	t.Text, cut = joinLines(lines, limit)
	t.Text = norm.NFC.String(t.Text)
	if x.Markdown {
		t.Markdown, _ = joinLines(markdownLines(found.root, found.method == "body", d.Resolve), limit)
	}
	if cut {
		t.Note = strings.TrimPrefix(t.Note+"; the text is cut", "; ")
	}
	if x.Links {
		t.Links = linksIn(found.root, d.Resolve)
	}
	if x.Images {
		t.Images = imagesIn(found.root, d.Resolve)
	}
	t.describe(d, found)
	t.Language = stages.DetectLanguage(t.Text, d.Meta.Lang, cmp.Or(contentLanguage, d.Meta.ContentLanguage))
	return t
}

// body returns the readable text of the whole body.
func (x *Extractor) body(d *stages.Document) *finding {
	f := &finding{method: "body", root: bodyOf(d.Root())}
	f.lines = textLines(f.root, true)
	if emptyLines(f.lines) {
		// A page that is all navigation or all form still says something.
		f.lines = textLines(d.Root(), false)
	}
	return f
}

// withoutTitle removes a first line that repeats the title, which has a field of
// its own, if it is not all there is.
func withoutTitle(lines []string, titles ...string) []string {
	if len(lines) < 2 {
		return lines
	}
	for _, t := range titles {
		if strings.EqualFold(lines[0], strings.Join(strings.Fields(t), " ")) {
			return lines[1:]
		}
	}
	return lines
}

func (x *Extractor) maxAbandoned() int64 {
	return int64(cmp.Or(x.MaxAbandoned, runtime.GOMAXPROCS(0)))
}
