// Package extract takes the main text out of web pages: what a reader came for,
// without what stands around it.
//
//	doc := stages.ParseDocument(page, url, &stages.DocumentOptions{Tree: true})
//	var x extract.Extractor
//	text := x.Extract(ctx, doc, "")
//	fmt.Println(text.Title, text.Text)
//
// A page is read into blocks, such as paragraphs and list items, and a small
// trained model judges each: see docs/extract.md.
package extract

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

// A Mode says how closely an [Extractor] looks, and so what time it takes. The
// quality differs by less than chance, as far as was measured.
type Mode string

// The modes. docs/extract.md has what they reach and what they cost.
const (
	// ModeBalanced looks at each block twice: for itself, and knowing what
	// the first look has found around it. It is the default.
	ModeBalanced Mode = "balanced"
	// ModeAccurate asks several models for the second look.
	ModeAccurate Mode = "accurate"
	// ModeFast looks at each block once.
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

func (m Mode) looks() content.Looks {
	switch m {
	case ModeFast:
		return content.FirstLook
	case ModeAccurate:
		return content.ManyLooks
	}
	return content.SecondLook
}

// DefaultMaxText is the default of an [Extractor].
const DefaultMaxText = 1 << 20 // bytes

const wordsPerMinute = 238

// The types of pages, by what their content looks like.
const (
	TypeArticle       = string(content.Article)       // running text
	TypeDocumentation = string(content.Documentation) // a manual, a reference
	TypeForum         = string(content.Forum)         // posts of several people
	TypeProduct       = string(content.Product)       // one thing that is sold
	TypeListing       = string(content.Listing)       // many entries of one kind
	TypeCollection    = string(content.Collection)    // a category of products
	TypeService       = string(content.Service)       // what somebody offers
)

// An Extractor takes the main text out of pages. The zero value is ready.
//
// No page fails: where the model finds no main text, or the context of the call has ended,
// the result is the readable text of the whole body, and Method says so. The time that a
// page takes grows with its size and no faster, and the size is bounded: by the nodes of
// its tree (stages.DocumentOptions), and by 20,000 blocks, of which the last has all that
// comes after. No clock is asked, so what becomes of a page is the same on every machine.
//
// An Extractor is safe for use by many goroutines. It must not be changed after
// its first use.
type Extractor struct {
	// Mode is the mode; [ModeBalanced] if empty or unknown.
	Mode Mode
	// Markdown, Links and Images ask for these fields of the result. They do
	// not change the text.
	Markdown, Links, Images bool
	// Comments asks for the comments of readers, which are no part of the text,
	// and for the replies of a forum, which are. Items asks for what the page
	// says in the terms of schema.org.
	Comments, Items bool
	// Chunks asks for the text in chunks; not if nil.
	Chunks *ChunkOptions

	// PDF reads PDF files for Document, as (*pdf.Reader).Read of package
	// stages/pdf does. Without it they are refused: it is a large library.
	PDF func(ctx context.Context, file []byte) (*PDF, error)

	// MaxText bounds Text and Markdown each, in bytes; [DefaultMaxText] if
	// zero. What is over is cut off between lines.
	MaxText int
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
	// Published is the date of publication: RFC 3339, or a date alone.
	Published string `json:"published,omitempty"`
	// Language is an ISO 639-1 code, or 639-3 where there is none; see
	// [stages.DetectLanguage].
	Language string `json:"language,omitempty"`
	// Canonical is the page's canonical URL.
	Canonical string `json:"canonical,omitempty"`
	// Type is the type of the page, such as [TypeArticle].
	Type string `json:"type,omitempty"`

	// Text is the main text, one line for each paragraph, heading, list item
	// and table row, whose cells are separated by tabs; the lines of
	// preformatted text and those that a page breaks are kept.
	Text string `json:"text"`
	// Markdown is the same as GitHub Flavored Markdown.
	Markdown string `json:"markdown,omitempty"`
	// Links and Images are those within the main text, resolved.
	Links  []stages.Link `json:"links,omitempty"`
	Images []Image       `json:"images,omitempty"`

	// Words is how many words Text has, and ReadingTime how long an adult takes
	// to read them silently, in seconds, at 238 words a minute (Brysbaert 2019).
	Words       int `json:"words"`
	ReadingTime int `json:"reading_time,omitempty"`
	// Chunks are parts of Text for search and retrieval.
	Chunks []Chunk `json:"chunks,omitempty"`
	// Comments are the comments of readers; of a forum they begin with the
	// posts behind the first, which stand in Text too.
	Comments []string `json:"comments,omitempty"`
	// Items are the objects that the page describes in JSON-LD or microdata,
	// in the shape of JSON-LD: each has its "@type", such as "Product".
	Items []map[string]any `json:"items,omitempty"`

	// Method says what found the text: "model" or "body".
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
// a [stages.ParseDocument] and an [Extractor.Extract]. url is the page's
// address, which relative links need, or "". contentType is the HTTP header, or
// "".
func (x *Extractor) HTML(ctx context.Context, page []byte, url, contentType string) *Text {
	utf8, _ := stages.ToUTF8(page, contentType)
	return x.Extract(ctx, stages.ParseDocument(utf8, url, &stages.DocumentOptions{Tree: true}), "")
}

// HTML extracts the text of one page with the zero [Extractor] in the mode
// given; see [Extractor.HTML].
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
		URL: d.URL, Description: d.Meta.Description, Canonical: d.Meta.Canonical,
		OpenGraph: d.Meta.OpenGraph, Fields: d.Meta.Fields, JSONLD: d.Meta.JSONLD,
	}
	found := x.find(ctx, d)
	t.Method, t.Note, t.Type = found.method, found.note, found.pageType
	t.describe(d, found)
	limit := cmp.Or(x.MaxText, DefaultMaxText)
	titles := []string{t.Title, d.Meta.OpenGraph["og:title"], d.Meta.Title}
	found.beginAtTitle(titles...)
	lines := withoutTitle(found.lines(), titles...)
	var cut bool
	t.Text, cut = joinLines(lines, limit)
	t.Words = content.Words(t.Text)
	t.ReadingTime = t.Words * 60 / wordsPerMinute
	if x.Chunks != nil {
		t.Chunks = chunks(lines, len(t.Text), x.Chunks)
	}
	if x.Comments {
		t.Comments = found.page.Comments(found.keep)
		if t.Type == TypeForum {
			if posts := found.page.Posts(found.keep); len(posts) > 1 {
				t.Comments = append(posts[1:], t.Comments...)
			}
		}
	}
	if x.Items {
		t.Items = append(found.page.Objects, found.page.Microdata()...)
	}
	if cut {
		t.Note = strings.TrimPrefix(t.Note+"; the text is cut", "; ")
	}
	if x.Markdown || x.Links || x.Images {
		x.render(t, found, d, limit)
	}
	t.Language = stages.DetectLanguage(t.Text, d.Meta.Lang, cmp.Or(contentLanguage, d.Meta.ContentLanguage))
	return t
}

// A finding is which blocks of a page are its main text.
type finding struct {
	page         *content.Page
	keep         []bool
	method, note string
	pageType     string
}

// find finds the main text.
func (x *Extractor) find(ctx context.Context, d *stages.Document) *finding {
	page, err := content.Read(ctx, d)
	if err == nil {
		var v *content.Verdict
		if v, err = content.Default().Judge(ctx, page, x.Mode.looks()); err == nil {
			f := &finding{page: page, keep: content.Default().Select(page, v), method: "model", pageType: string(v.Type)}
			if f.words() > 0 {
				return f
			}
			err = errors.New("no main text found")
		}
	}
	note := err.Error()
	if ctx.Err() != nil {
		note = "cancelled"
	}
	return body(d, page, note)
}

// body takes the readable text of the whole body.
func body(d *stages.Document, page *content.Page, note string) *finding {
	if page == nil {
		// The tree is bounded, so that this is.
		page, _ = content.Read(context.Background(), d)
	}
	f := &finding{page: page, keep: page.Body(), method: "body", note: note}
	if f.words() == 0 {
		// A page that is all navigation or all form still says something.
		for i := range f.keep {
			f.keep[i] = true
		}
	}
	return f
}

// words returns how many blocks there are that say something.
func (f *finding) words() (n int) {
	for i, k := range f.keep {
		if k && f.page.Blocks[i].Text != "" {
			n++
		}
	}
	return n
}

func (f *finding) lines() []line {
	var lines []line
	for i, k := range f.keep {
		if b := &f.page.Blocks[i]; k {
			lines = append(lines, line{norm.NFC.String(b.Text), b.Heading})
		}
	}
	return lines
}

// render fills the fields that need the tree of the main text.
func (x *Extractor) render(t *Text, f *finding, d *stages.Document, limit int) {
	root := f.page.Prune(f.keep)
	if x.Markdown {
		for i, k := range f.keep {
			if b := &f.page.Blocks[i]; k && b.Source != content.FromTree {
				for line := range strings.SplitSeq(b.Text, "\n") {
					p := &html.Node{Type: html.ElementNode, Data: "p"}
					p.AppendChild(&html.Node{Type: html.TextNode, Data: line})
					root.AppendChild(p)
				}
			}
		}
		t.Markdown, _ = markdown(root, limit, d.Resolve)
		t.Markdown = norm.NFC.String(t.Markdown)
	}
	if x.Links {
		t.Links = linksIn(root, d.Resolve)
	}
	if x.Images {
		t.Images = imagesIn(root, d.Resolve)
	}
}

// beginAtTitle leaves out what stands before the title: names of sites and ways
// to the page, which are few and short.
func (f *finding) beginAtTitle(titles ...string) {
	const most, longest = 4, 60
	var before []int
	for i, k := range f.keep {
		if !k {
			continue
		}
		text := f.page.Blocks[i].Text
		if isTitle(text, titles) {
			for _, j := range before {
				f.keep[j] = false
			}
			return
		}
		if before = append(before, i); len(before) > most || len(text) > longest {
			return
		}
	}
}

func isTitle(text string, titles []string) bool {
	for _, t := range titles {
		if t = strings.Join(strings.Fields(t), " "); t != "" && strings.EqualFold(text, t) {
			return true
		}
	}
	return false
}

// withoutTitle removes a first line that repeats the title, which has a field of
// its own, if it is not all there is.
func withoutTitle(lines []line, titles ...string) []line {
	if len(lines) > 1 && isTitle(lines[0].text, titles) {
		return lines[1:]
	}
	return lines
}

// joinLines joins lines up to limit bytes.
func joinLines(lines []line, limit int) (s string, cut bool) {
	var b strings.Builder
	for i, l := range lines {
		if b.Len()+len(l.text)+1 > limit+1 {
			if i == 0 {
				return strings.ToValidUTF8(l.text[:limit], ""), true
			}
			return b.String(), true
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l.text)
	}
	return b.String(), false
}

// linksIn returns the links below root.
func linksIn(root *html.Node, resolve func(string) (string, error)) []stages.Link {
	var out []stages.Link
	for n := root; n != nil && len(out) < stages.DefaultMaxLinks; n = next(n, root) {
		if n.Type == html.ElementNode && n.Data == "a" {
			if u, err := resolve(attr(n, "href")); err == nil {
				out = append(out, stages.Link{URL: u, Kind: stages.LinkAnchor, Text: nodeText(n, stages.DefaultMaxLinkText)})
			}
		}
	}
	return out
}

// imagesIn returns the images below root, each URL once.
func imagesIn(root *html.Node, resolve func(string) (string, error)) []Image {
	var out []Image
	seen := make(map[string]bool)
	for n := root; n != nil && len(out) < 1000; n = next(n, root) {
		if n.Type != html.ElementNode || n.Data != "img" {
			continue
		}
		u, err := resolve(attr(n, "src"))
		if err == nil && !seen[u] {
			seen[u] = true
			out = append(out, Image{URL: u, Alt: clipText(attr(n, "alt"), 500)})
		}
	}
	return out
}
