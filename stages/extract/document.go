package extract

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

// The types of documents that are no pages.
const (
	TypeText = "text" // plain text
	TypeFeed = "feed" // RSS, Atom or RDF
	TypeXML  = "xml"  // other XML
	TypePDF  = "pdf"
)

// ErrNotText is returned for a document of a type that text cannot be taken
// out of.
var ErrNotText = errors.New("extract: not a document of text")

// A PDF is what is read of a PDF file.
type PDF struct {
	Title string   // as the file says, or ""
	Pages []string // the text of each page, its lines separated by "\n"
	Cut   bool     // whether there are more pages than were read
}

// Reads reports whether Document takes documents of a media type, given without
// parameters: pages, plain text, feeds and other XML, and PDF if x.PDF is set.
func (x *Extractor) Reads(mediaType string) bool {
	switch mediaType {
	case "text/plain", "text/markdown":
		return true
	}
	kind := kindOf(nil, mediaType)
	return kind == "html" || kind == "xml" || kind == mediaTypePDF && x.PDF != nil
}

const mediaTypePDF = "application/pdf"

// Document extracts the text of a document of any kind: a page as
// [Extractor.HTML] does; plain text as it is; the entries of a feed with their
// titles; the text of other XML, an element a line; the pages of a PDF file, if
// x.PDF is set. contentType is the HTTP header, or "" to go by the bytes alone.
// The error is [ErrNotText] for other kinds, such as images, and what x.PDF
// returns.
func (x *Extractor) Document(ctx context.Context, body []byte, url, contentType string) (*Text, error) {
	switch kind := kindOf(body, contentType); kind {
	case "html":
		return x.HTML(ctx, body, url, contentType), nil
	case "text":
		utf8, _ := stages.ToUTF8(body, contentType)
		s := strings.ReplaceAll(strings.ReplaceAll(string(utf8), "\r\n", "\n"), "\r", "\n")
		return x.plain(&Text{URL: url, Type: TypeText, Method: "plain"}, strings.TrimRight(s, " \t\n")), nil
	case "xml":
		utf8, _ := stages.ToUTF8(body, contentType)
		return x.xml(ctx, utf8, url), nil
	case mediaTypePDF:
		if x.PDF != nil {
			return x.pdf(ctx, body, url)
		}
		fallthrough
	default:
		return nil, fmt.Errorf("%w: %s", ErrNotText, kind)
	}
}

// pdf takes the text out of a PDF file. A word that goes on behind a page is not
// put together: a page number may stand between.
func (x *Extractor) pdf(ctx context.Context, body []byte, url string) (*Text, error) {
	d, err := x.PDF(ctx, body)
	if err != nil {
		return nil, fmt.Errorf("extract: %w", err)
	}
	t := &Text{URL: url, Type: TypePDF, Method: "pdf", Title: clipText(strings.Join(strings.Fields(d.Title), " "), 1000)}
	if d.Cut {
		t.Note = "not all pages are read"
	}
	var pages []string
	for _, p := range d.Pages {
		if p != "" {
			pages = append(pages, p)
		}
	}
	if len(pages) == 0 && len(d.Pages) > 0 {
		t.Note = strings.TrimPrefix(t.Note+"; no text: scanned, it seems", "; ")
	}
	return x.plain(t, strings.Join(pages, "\n\n")), nil
}

// kindOf returns "html", "text" or "xml", or the media type of a document that
// is none of them.
func kindOf(body []byte, contentType string) string {
	t, _, _ := mime.ParseMediaType(contentType)
	t = strings.ToLower(t)
	switch {
	case t == "text/html" || t == "application/xhtml+xml":
		return "html"
	case t == "text/xml" || t == "application/xml" || strings.HasSuffix(t, "+xml") && t != "image/svg+xml":
		return "xml"
	case strings.HasPrefix(t, "text/") || t == "application/json":
		return "text"
	case t != "" && t != "application/octet-stream":
		return t
	}
	sniffed, _, _ := strings.Cut(http.DetectContentType(body), ";")
	head := bytes.TrimLeft(body[:min(len(body), 512)], "\ufeff \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("%PDF-")):
		return mediaTypePDF
	case bytes.HasPrefix(head, []byte("<?xml")) && !bytes.Contains(head, []byte("<html")), bytes.HasPrefix(head, []byte("<rss")), bytes.HasPrefix(head, []byte("<feed")):
		return "xml"
	case sniffed == "text/html" || bytes.HasPrefix(head, []byte("<")):
		return "html"
	case strings.HasPrefix(sniffed, "text/"):
		return "text"
	}
	return sniffed
}

// plain fills in a text that is as it is.
func (x *Extractor) plain(t *Text, s string) *Text {
	limit := cmp.Or(x.MaxText, DefaultMaxText)
	var lines []line
	for l := range strings.SplitSeq(norm.NFC.String(s), "\n") {
		lines = append(lines, line{text: l})
	}
	var cut bool
	if t.Text, cut = joinLines(lines, limit); cut {
		t.Note = strings.TrimPrefix(t.Note+"; the text is cut", "; ")
	}
	t.Words = content.Words(t.Text)
	t.ReadingTime = t.Words * 60 / wordsPerMinute
	if x.Chunks != nil {
		t.Chunks = chunks(lines, len(t.Text), x.Chunks)
	}
	if x.Markdown {
		t.Markdown = t.Text
	}
	t.Language = stages.DetectLanguage(t.Text, t.Language, "")
	return t
}

// xml takes the text out of XML, up to where it is broken.
func (x *Extractor) xml(ctx context.Context, body []byte, url string) *Text {
	t := &Text{URL: url, Type: TypeXML, Method: "xml"}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 already
	r := feedReader{text: t, limit: cmp.Or(x.MaxText, DefaultMaxText)}
	for n := 0; r.size <= r.limit; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			t.Note = "cancelled before its end"
			break
		}
		token, err := d.RawToken()
		if err != nil {
			if err != io.EOF {
				t.Note = "broken: " + err.Error()
			}
			break
		}
		r.token(token)
	}
	r.end()
	return x.plain(t, strings.Join(r.lines, "\n"))
}

// A feedReader reads a feed, or other XML, one token after the other.
type feedReader struct {
	text    *Text
	limit   int
	size    int
	lines   []string
	path    []string // the open elements, at most maxPath of them
	depth   int
	data    strings.Builder
	feed    bool
	entries int
}

const maxPath = 64

func (r *feedReader) token(token xml.Token) {
	switch token := token.(type) {
	case xml.StartElement:
		name := strings.ToLower(token.Name.Local)
		if r.depth == 0 && (name == "rss" || name == "feed" || name == "rdf") {
			r.feed = true
			r.text.Type, r.text.Method = TypeFeed, "feed"
		}
		if r.inXHTML() {
			r.data.WriteString("<" + name + ">") // read again as markup in end
		} else {
			r.end()
		}
		if r.depth < maxPath {
			r.path = append(r.path, name)
		}
		if name == "item" || name == "entry" {
			r.entries++
		}
		r.depth++
	case xml.EndElement:
		if r.depth == 0 {
			return
		}
		r.depth--
		if r.depth < len(r.path) {
			name := r.path[len(r.path)-1]
			if !r.nestedXHTML() {
				r.end()
			} else {
				r.data.WriteString("</" + name + ">")
			}
			r.path = r.path[:len(r.path)-1]
		}
	case xml.CharData:
		if r.size+r.data.Len() <= r.limit {
			r.data.Write(token)
		}
	}
}

// inXHTML reports whether the present element is or stands in Atom's content.
func (r *feedReader) inXHTML() bool {
	if !r.feed {
		return false
	}
	for _, name := range r.path {
		if name == "content" || name == "summary" {
			return true
		}
	}
	return false
}

// nestedXHTML is inXHTML without the outermost of these elements.
func (r *feedReader) nestedXHTML() bool {
	if len(r.path) == 0 {
		return false
	}
	last := r.path
	r.path = r.path[:len(r.path)-1]
	in := r.inXHTML()
	r.path = last
	return in
}

// end ends the text of an element.
func (r *feedReader) end() {
	s := r.data.String()
	r.data.Reset()
	if strings.TrimSpace(s) == "" || len(r.path) == 0 {
		return
	}
	name := r.path[len(r.path)-1]
	if !r.feed {
		r.add(strings.Join(strings.Fields(s), " "))
		return
	}
	switch name {
	case "title":
		s = strings.Join(strings.Fields(content.Markup(s)), " ")
		if r.entries == 0 {
			r.text.Title = cmp.Or(r.text.Title, clipText(s, 1000))
			return
		}
		r.add(s)
	case "description", "subtitle", "summary", "content", "encoded":
		s = content.Markup(s)
		if r.entries == 0 {
			r.text.Description = cmp.Or(r.text.Description, clipText(s, 4<<10))
			return
		}
		r.add(s)
	case "language":
		r.text.Language = clipText(s, 20)
	}
}

func (r *feedReader) add(s string) {
	if s != "" && (len(r.lines) == 0 || r.lines[len(r.lines)-1] != s) {
		r.lines = append(r.lines, s)
		r.size += len(s) + 1
	}
}
