package stages

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/internal/cputime"
)

// The HTML standard's parser can be made to build far more tree than there is
// page: each paragraph opens anew every formatting element that was left open,
// so n of these and m paragraphs make n times m nodes. Three things bound it:
// a count beforehand of what the tags can grow to; a watch on how much of the
// processor the parser takes for each piece it reads; and x/net/html's own limit of
// 512 open elements. A page that runs into one of them is read flat.

// parseTree returns the page's tree, or nil if it is beyond the limits.
func parseTree(body []byte, maxNodes int) (root *html.Node) {
	if treeCost(body, maxNodes) > maxNodes {
		return nil
	}
	return makeTree(body)
}

// makeTree is parseTree for a page that is known to be small enough.
func makeTree(body []byte) (root *html.Node) {
	defer func() {
		// A bug in the parser must not take the page with it.
		if recover() != nil {
			root = nil
		}
	}()
	r := &pacedReader{b: body}
	defer r.done()
	// Without scripts, <noscript> is what the page is.
	root, err := html.ParseWithOptions(r, html.ParseOptionEnableScripting(false))
	if err != nil {
		return nil
	}
	return root
}

// formatting names the elements that the parser opens anew.
var formatting = map[string]bool{
	"a": true, "b": true, "big": true, "code": true, "em": true, "font": true, "i": true, "nobr": true,
	"s": true, "small": true, "strike": true, "strong": true, "tt": true, "u": true,
}

// treeCost estimates the nodes that the parser will make of a page: for each
// tag or comment one, one for a text, one for each attribute, which takes as much
// memory, and one for each formatting element left open. It stops at limit. It
// only looks at tags, so script text can raise it a little.
func treeCost(body []byte, limit int) int {
	cost := 0
	open := make(map[string]int, 8)
	total := 0
	for cost <= limit {
		i := bytes.IndexByte(body, '<')
		if i < 0 || i+1 >= len(body) {
			break
		}
		body = body[i+1:]
		end := body[0] == '/'
		if end {
			body = body[1:]
		}
		n := 0
		for n < len(body) && n <= 6 && (body[n]|0x20 >= 'a' && body[n]|0x20 <= 'z') {
			n++
		}
		cost += 2
		if n == 0 {
			continue
		}
		if !end {
			attributes := countAttributes(body)
			cost += attributes
		}
		lower := [6]byte{}
		for i := range min(n, 6) {
			lower[i] = body[i] | 0x20
		}
		if n <= 6 && formatting[string(lower[:n])] {
			name := string(lower[:n])
			switch {
			case end && open[name] > 0:
				open[name]--
				total--
			case !end && name != "a" && name != "nobr": // these close their like
				open[name]++
				total++
			}
		} else if !end && total > 8 {
			cost += min(total, 512)
		}
	}
	return cost
}

// countAttributes returns how many attributes a tag may have, at most: one for
// each run of blanks or "=" in it.
func countAttributes(tag []byte) int {
	end := bytes.IndexByte(tag, '>')
	if end < 0 {
		end = len(tag)
	}
	tag = tag[:end]
	n := bytes.Count(tag, []byte{'='})
	blanks := 0
	if len(tag) > 64 {
		blanks = countBlanks(tag)
	}
	if n > 64 || blanks > 64 {
		return max(n, blanks) // bare names, which need no "="
	}
	return n
}

// countBlanks returns how many runs of blanks and slashes a tag has.
func countBlanks(tag []byte) (n int) {
	for i, c := range tag {
		if c > ' ' && c != '/' {
			continue
		}
		if c == '/' || isSpace(c) && i > 0 && !isSpace(tag[i-1]) {
			n++
		}
	}
	return n
}

// slowPiece is how long the parser may take over one piece of 4 KiB before it
// is given smaller ones and watched; parseLimit is how much of the processor it may take
// from then on, which no other work on the machine adds to.
const (
	slowPiece  = 20 * time.Millisecond
	parseLimit = 2 * time.Second
)

var errSlowParse = errors.New("the page takes too long to parse")

// A pacedReader gives the parser a page in pieces and stops when the parser,
// not the reader, is slow.
type pacedReader struct {
	b       []byte
	last    time.Time
	watched bool          // its goroutine keeps its thread, whose processor time is
	begun   time.Duration // this at the beginning
}

func (r *pacedReader) Read(p []byte) (int, error) {
	if r.watched {
		if cputime.OfThread()-r.begun > parseLimit {
			return 0, errSlowParse
		}
		p = p[:min(len(p), 512)]
	} else {
		now := time.Now()
		if !r.last.IsZero() && now.Sub(r.last) > slowPiece {
			runtime.LockOSThread()
			r.watched, r.begun = true, cputime.OfThread()
		}
		r.last = now
	}
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// done is called when the parser is.
func (r *pacedReader) done() {
	if r.watched {
		runtime.UnlockOSThread()
	}
}

// flatBlocks are the elements that begin a block of their own in a flat tree.
var flatBlocks = map[atom.Atom]atom.Atom{
	atom.P: atom.P, atom.Div: atom.P, atom.Section: atom.P, atom.Article: atom.P, atom.Td: atom.P, atom.Th: atom.P,
	atom.Tr: atom.P, atom.Dt: atom.P, atom.Dd: atom.P, atom.Br: atom.P, atom.Table: atom.P, atom.Ul: atom.P, atom.Ol: atom.P,
	atom.Main: atom.P, atom.Header: atom.P, atom.Footer: atom.P, atom.Figure: atom.P, atom.Body: atom.P,
	atom.Li: atom.Li, atom.Pre: atom.Pre, atom.Blockquote: atom.Blockquote,
	atom.H1: atom.H1, atom.H2: atom.H2, atom.H3: atom.H3, atom.H4: atom.H4, atom.H5: atom.H5, atom.H6: atom.H6,
}

// flatTree reads a page as a sequence of blocks of text and links below <body>,
// and of metadata below <head>. It takes any bytes, needs time and memory in
// proportion to them, and stops at maxNodes.
func flatTree(body []byte, maxNodes int) *html.Node {
	t := &flattener{z: html.NewTokenizer(bytes.NewReader(body))}
	t.z.SetMaxBuf(len(body) + 4096)
	t.root = &html.Node{Type: html.DocumentNode}
	t.html = t.add(t.root, atom.Html)
	t.head = t.add(t.html, atom.Head)
	t.body = t.add(t.html, atom.Body)
	for t.nodes < maxNodes && t.token() {
	}
	return t.root
}

type flattener struct {
	z                      *html.Tokenizer
	root, html, head, body *html.Node
	block, anchor          *html.Node
	raw                    atom.Atom // the element whose raw text comes next
	template               int       // templates that are open, whose content is not the page's
	nodes                  int
}

func (t *flattener) add(parent *html.Node, a atom.Atom, attrs ...html.Attribute) *html.Node {
	n := &html.Node{Type: html.ElementNode, DataAtom: a, Data: a.String(), Attr: attrs}
	parent.AppendChild(n)
	t.nodes++
	return n
}

// token reads one token; false at the end.
func (t *flattener) token() bool {
	switch t.z.Next() {
	case html.ErrorToken:
		return false
	case html.TextToken:
		t.text()
	case html.StartTagToken, html.SelfClosingTagToken:
		t.start(t.tag())
	case html.EndTagToken:
		name, _ := t.z.TagName()
		t.raw = 0
		switch a := atom.Lookup(name); {
		case a == atom.Template && t.template > 0:
			t.template--
		case a == atom.A:
			t.anchor = nil
		default:
			if _, ok := flatBlocks[a]; ok {
				t.block, t.anchor = nil, nil
			}
		}
	}
	return true
}

// maxFlatAttributes bounds the attributes of a tag in a flat tree.
const maxFlatAttributes = 32

// tag returns the tag that was read, with its first attributes.
func (t *flattener) tag() html.Token {
	name, more := t.z.TagName()
	tok := html.Token{DataAtom: atom.Lookup(name)}
	for more && len(tok.Attr) < maxFlatAttributes {
		var key, value []byte
		key, value, more = t.z.TagAttr()
		k := string(key)
		if k == "xlink:href" {
			k = "href"
		}
		tok.Attr = append(tok.Attr, html.Attribute{Key: k, Val: string(value)})
	}
	return tok
}

func (t *flattener) text() {
	s := string(t.z.Text())
	if t.template > 0 || strings.TrimSpace(s) == "" {
		return
	}
	parent := t.anchor
	switch {
	case t.raw == atom.Title || t.raw == atom.Script:
		parent = t.head.LastChild
	case t.raw != 0:
		return
	case parent == nil && t.block != nil:
		parent = t.block
	case parent == nil:
		t.block = t.add(t.body, atom.P)
		parent = t.block
	}
	if t.raw != atom.Script {
		s = html.UnescapeString(s)
	}
	parent.AppendChild(&html.Node{Type: html.TextNode, Data: s})
	t.nodes++
}

func (t *flattener) start(tok html.Token) {
	t.raw = 0
	if tok.DataAtom == atom.Template {
		t.template++
	}
	if t.template > 0 {
		return
	}
	switch tok.DataAtom {
	case atom.Html:
		if len(t.html.Attr) == 0 {
			t.html.Attr = tok.Attr
		}
	case atom.Title, atom.Script:
		t.raw = tok.DataAtom
		t.add(t.head, tok.DataAtom, tok.Attr...)
	case atom.Noscript:
		t.z.NextIsNotRawText()
	case atom.Style, atom.Textarea, atom.Noembed, atom.Noframes, atom.Xmp, atom.Plaintext:
		t.raw = tok.DataAtom
	case atom.Meta, atom.Link, atom.Base:
		t.add(t.head, tok.DataAtom, tok.Attr...)
	case atom.Area, atom.Iframe, atom.Frame, atom.Object, atom.Embed:
		t.add(t.body, tok.DataAtom, tok.Attr...)
	case atom.A:
		if t.block == nil {
			t.block = t.add(t.body, atom.P)
		}
		t.anchor = t.add(t.block, atom.A, tok.Attr...)
	default:
		if a, ok := flatBlocks[tok.DataAtom]; ok {
			t.block, t.anchor = nil, nil
			if a != atom.P {
				t.block = t.add(t.body, a)
			}
		}
	}
}
