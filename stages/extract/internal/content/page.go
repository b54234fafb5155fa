// Package content decides which parts of a page are its content.
//
// A page is read once into elements and blocks. A block is a run of text that no
// block element interrupts: a paragraph, a heading, a list item, a row of a
// table, a listing. A [Model] gives each block the probability that it is
// content, from what stands in it, where it stands, what its elements are
// called and what its neighbours are, and takes the set of blocks of which it
// expects the best F1. Everything here needs time and memory in proportion to
// the page.
package content

import (
	"context"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages"
)

// A Page is a document read into blocks.
type Page struct {
	Blocks []Block
	// Texts are the text nodes of the blocks, in document order.
	Texts []TextNode
	// Objects are the objects at the top of the page's JSON-LD.
	Objects []map[string]any

	elements []element
	images   []imageProperty
	tokens   []uint32 // hashed names, of the elements in turn
	doc      *stages.Document
	url      *url.URL
	facts    pageFacts
	order    order
	longest  int // index of the element that holds the most running text
}

// A Block is a run of text.
type Block struct {
	// Text has collapsed white space. A line break of the page is a line break
	// here, the cells of a row are separated by tabs, and the lines of
	// preformatted text are as they are.
	Text string
	// Pre says that the text is preformatted.
	Pre bool
	// Source says where the text comes from.
	Source Source

	// Heading is the level of the heading that the text is, or 0.
	Heading int

	elem int32 // the block element, or cell, or row, that it stands in
	counts
}

// A Source is where a block's text comes from.
type Source uint8

// The sources.
const (
	FromTree   Source = iota // the page's elements
	FromJSONLD               // a JSON-LD block, such as a product's description
)

// A TextNode is a text node of a block, or an element that stands for text.
type TextNode struct {
	Node  *html.Node
	Block int32
	// Apart says that a space comes before it that the page does not have.
	Apart bool
}

// counts are sums over a block or over the blocks of an element.
type counts struct {
	words, linkWords int32
	stops            int32 // ends of sentences and commas
	paragraphWords   int32 // words of blocks of running text
	blocks           int32
}

func (c *counts) add(o counts) {
	c.words += o.words
	c.linkWords += o.linkWords
	c.stops += o.stops
	c.paragraphWords += o.paragraphWords
	c.blocks += o.blocks
}

// A place is a set of what a block stands in.
type place uint64

const (
	inNav place = 1 << iota
	inHeader
	inFooter
	inAside
	inForm
	inArticle
	inMain
	inTable
	inList
	inHidden
	inDialog
	inButton
	inHeading
	inFigure
	inQuote
	inDetails
	inDefinitions
	inLabel
	inPre
	inSection
	inCell
	inAnchor
	inTemplate
	inNoscript
	inItemprop
	inCode
	inComments
	inReviews    // of customers, by the names of what it stands in
	inOverlay    // what is shown over the page when somebody clicks, by the same
	inReaderOnly // shown to screen readers only
	inRelated    // what leads to other pages, by the names of what it stands in
	inSignature  // of a writer, below each of his posts
	inAppeal     // a call to do something: to subscribe, to buy
	inAuthor     // who has written it
	inTrail      // the way from the home page to this one
	inDisclaimer
	inCaption // of a figure
)

// An element is an element of the page that text may stand in.
type element struct {
	node       *html.Node
	parent     int32
	holder     int32 // the nearest element around that a block belongs to, or itself
	depth      uint16
	twins      uint16 // siblings with the same name and classes, itself included
	twin       uint16 // how many of them come before
	place      place
	signature  uint32 // of its name and classes
	tokens     [2]int32
	sum        counts
	firstBlock int32
	lastBlock  int32 // exclusive
}

// places are the elements that say what stands in them.
var places = map[atom.Atom]place{
	atom.Nav: inNav, atom.Header: inHeader, atom.Footer: inFooter, atom.Aside: inAside, atom.Form: inForm,
	atom.Article: inArticle, atom.Main: inMain, atom.Table: inTable, atom.Ul: inList, atom.Ol: inList, atom.Menu: inList | inNav,
	atom.Dialog: inDialog, atom.Button: inButton, atom.H1: inHeading, atom.H2: inHeading, atom.H3: inHeading,
	atom.H4: inHeading, atom.H5: inHeading, atom.H6: inHeading, atom.Figure: inFigure, atom.Blockquote: inQuote,
	atom.Details: inDetails, atom.Dl: inDefinitions, atom.Label: inLabel, atom.Pre: inPre, atom.Section: inSection,
	atom.Td: inCell, atom.Th: inCell, atom.A: inAnchor, atom.Template: inTemplate, atom.Noscript: inNoscript, atom.Code: inCode,
	atom.Figcaption: inCaption,
}

var roles = map[string]place{
	"navigation": inNav, "banner": inHeader, "contentinfo": inFooter, "complementary": inAside, "search": inForm,
	"main": inMain, "article": inArticle, "dialog": inDialog, "alertdialog": inDialog, "menu": inNav, "menubar": inNav,
	"button": inButton, "heading": inHeading, "toolbar": inNav, "form": inForm, "list": inList, "table": inTable,
}

// textless are the elements whose content is never text of a page.
var textless = map[atom.Atom]bool{
	atom.Head: true, atom.Script: true, atom.Style: true, atom.Iframe: true, atom.Svg: true, atom.Canvas: true,
	atom.Audio: true, atom.Video: true, atom.Object: true, atom.Select: true, atom.Datalist: true, atom.Textarea: true,
	atom.Map: true, atom.Noframes: true, atom.Noembed: true, atom.Title: true, atom.Rp: true, atom.Rt: true, atom.Template: true,
}

// breaking are the elements that begin and end a block.
var breaking = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.H1: true, atom.H2: true, atom.H3: true, atom.H4: true, atom.H5: true, atom.H6: true,
	atom.Ul: true, atom.Ol: true, atom.Li: true, atom.Dl: true, atom.Dt: true, atom.Dd: true, atom.Table: true, atom.Tr: true,
	atom.Caption: true, atom.Thead: true, atom.Tbody: true, atom.Tfoot: true, atom.Blockquote: true, atom.Pre: true,
	atom.Section: true, atom.Article: true, atom.Main: true, atom.Header: true, atom.Footer: true, atom.Nav: true,
	atom.Aside: true, atom.Figure: true, atom.Figcaption: true, atom.Address: true, atom.Details: true, atom.Summary: true,
	atom.Form: true, atom.Fieldset: true, atom.Legend: true, atom.Dialog: true, atom.Hr: true, atom.Body: true,
	atom.Html: true, atom.Center: true, atom.Hgroup: true, atom.Button: true, atom.Label: true, atom.Menu: true,
	atom.Search: true, atom.Listing: true, atom.Xmp: true, atom.Plaintext: true,
}

// Textless reports whether an element is one whose content is never text.
func Textless(n *html.Node) bool {
	if n.Type != html.ElementNode {
		return false
	}
	return textless[n.DataAtom] && !(n.DataAtom == atom.Template && attr(n, "shadowrootmode") != "")
}

// Breaking reports whether an element begins and ends a block.
func Breaking(a atom.Atom) bool { return breaking[a] }

// maxBlocks bounds the blocks of a page. What comes after belongs to the last.
const maxBlocks = 20_000

// Read reads a document. If ctx ends meanwhile, it returns its error.
func Read(ctx context.Context, d *stages.Document) (*Page, error) {
	r := reader{page: &Page{doc: d, Blocks: make([]Block, 0, d.Nodes()/8+1), elements: make([]element, 0, d.Nodes()/2+1)}, at: -1}
	r.page.url, _ = url.Parse(d.URL)
	if err := r.walk(ctx, d.Root()); err != nil {
		return nil, err
	}
	r.end()
	if r.over.Len() > 0 {
		r.page.Blocks[len(r.page.Blocks)-1].Text += r.over.String()
	}
	r.page.readObjects()
	r.page.addStructured()
	r.page.sum()
	r.page.markTwins()
	r.page.readFacts()
	r.page.readOrder()
	return r.page, nil
}

// A reader reads the tree in one walk.
type reader struct {
	page  *Page
	at    int32 // index of the innermost open element, or -1
	line  line
	block Block
	begun bool // whether block has begun
	first int  // index in page.Texts of the block's first text
	brs   int  // line breaks since the last text
	// lineEnded says that an element has begun or ended a line of the listing.
	lineEnded bool
	joint     joint           // between the last text and the next
	broken    bool            // whether a cell of the present row has ended a block
	over      strings.Builder // the text of the blocks over maxBlocks
}

func (r *reader) walk(ctx context.Context, root *html.Node) error {
	n := root
	for steps := 0; n != nil; steps++ {
		if steps%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if r.enter(n) {
			if n.FirstChild != nil {
				n = n.FirstChild
				continue
			}
			r.leave(n)
		}
		for n != root && n.NextSibling == nil {
			n = n.Parent
			r.leave(n)
		}
		if n == root {
			return nil
		}
		n = n.NextSibling
	}
	return nil
}

func (r *reader) enter(n *html.Node) bool {
	if n.Type == html.TextNode {
		r.text(n)
		return false
	}
	if n.Type != html.ElementNode {
		return n.Type == html.DocumentNode
	}
	if Textless(n) {
		if n.DataAtom != atom.Rt && n.DataAtom != atom.Rp {
			r.line.separate()
		}
		return false
	}
	switch n.DataAtom {
	case atom.Br:
		r.lineBreak()
		return false
	case atom.Wbr:
		return false
	case atom.Img, atom.Input, atom.Hr:
		if n.DataAtom == atom.Hr {
			r.end()
		}
		r.line.separate()
		if n.DataAtom == atom.Img && r.at >= 0 && attr(n, "itemprop") != "" {
			r.page.images = append(r.page.images, imageProperty{n, r.at})
		}
		return false
	case atom.Math:
		r.formula(n)
		return false
	}
	if breaksLine(n) {
		r.end()
	} else if j := jointBefore(n); j > r.joint {
		r.joint = j
	}
	if isNote(n) {
		r.joint = apart
	}
	r.lineOf(n)
	r.open(n)
	if r.page.elements[r.at].place&inReaderOnly != 0 {
		r.joint = apart
	}
	switch n.DataAtom {
	case atom.Tr:
		r.broken = false
	case atom.Td, atom.Th:
		if r.broken {
			r.end() // a layout, no table
		}
		r.line.cell()
	case atom.A:
		if touchesLink(n) {
			r.line.separate()
		}
	}
	return true
}

// lineOf ends a line before and behind an element that is one.
func (r *reader) lineOf(n *html.Node) {
	switch {
	case !IsLine(n):
	case r.at >= 0 && r.page.elements[r.at].place&inPre != 0:
		r.lineEnded = true
	default:
		r.line.newline()
	}
}

// touchesLink reports whether an element is a link right behind another: they
// are shown apart.
func touchesLink(n *html.Node) bool {
	return n.DataAtom == atom.A && n.PrevSibling != nil && n.PrevSibling.DataAtom == atom.A
}

func (r *reader) open(n *html.Node) {
	p := r.page
	e := element{node: n, parent: r.at, place: places[n.DataAtom], firstBlock: int32(len(p.Blocks))}
	if r.at >= 0 {
		e.depth = p.elements[r.at].depth + 1
		e.place |= p.elements[r.at].place
	}
	if IsListing(n) {
		e.place |= inPre
	}
	e.holder = int32(len(p.elements))
	if !breaksLine(n) && !isCell(n) && r.at >= 0 {
		e.holder = p.elements[r.at].holder
	}
	start := len(p.tokens)
	p.tokens, e.signature, e.place = elementTokens(n, p.tokens, e.place)
	e.tokens = [2]int32{int32(start), int32(len(p.tokens))}
	r.at = int32(len(p.elements))
	p.elements = append(p.elements, e)
}

func (r *reader) leave(n *html.Node) {
	if r.at < 0 || r.page.elements[r.at].node != n {
		return
	}
	if breaksLine(n) {
		r.end()
	}
	r.lineOf(n)
	r.page.elements[r.at].lastBlock = int32(len(r.page.Blocks))
	if r.page.elements[r.at].place&inReaderOnly != 0 {
		r.joint = apart
	}
	r.at = r.page.elements[r.at].parent
}

// text adds a text node to the block.
func (r *reader) text(n *html.Node) {
	if n.Data == "" || r.at < 0 {
		return
	}
	e := &r.page.elements[r.at]
	pre := e.place&inPre != 0
	if !pre && isSpace(n.Data) {
		r.line.separate()
		return
	}
	if r.joint == noJoint {
		r.joint = jointBeforeText(n)
	}
	r.add(n, n.Data, pre)
}

func (r *reader) add(n *html.Node, s string, pre bool) {
	p := r.page
	if r.brs > 1 && !pre {
		r.end()
	}
	r.brs = 0
	holder := p.elements[r.at].holder
	if !r.begun {
		r.begun = true
		r.block = Block{elem: holder, Pre: pre}
	} else if b := &p.elements[r.block.elem]; holder != r.block.elem && isCell(b.node) {
		r.block.elem = b.parent // of several cells: the block is their row
	}
	parted := false
	if r.line.gap == 0 && p.elements[r.at].place&(inPre|inCode) == 0 && r.joint.parts(r.line.b.String(), s) {
		parted = true
		r.line.separate()
	}
	r.joint = noJoint
	before := r.line.words
	if pre {
		r.line.pre(s, r.lineEnded)
		r.lineEnded = false
	} else {
		r.line.text(s)
	}
	if p.elements[r.at].place&inAnchor != 0 {
		r.block.linkWords += r.line.words - before
	}
	p.Texts = append(p.Texts, TextNode{n, int32(len(p.Blocks)), parted})
}

func isCell(n *html.Node) bool { return n.DataAtom == atom.Td || n.DataAtom == atom.Th }

// lineBreak ends the line; two in a row end the block.
func (r *reader) lineBreak() {
	if r.at >= 0 && r.page.elements[r.at].place&inPre != 0 {
		r.line.pre("\n", false)
		r.lineEnded = false
		return
	}
	r.brs++
	r.line.newline()
}

// formula adds a formula as the TeX that it was made from, if that is there,
// else as its symbols.
func (r *reader) formula(n *html.Node) {
	if r.at < 0 {
		return
	}
	if s := formulaText(n); s != "" {
		r.line.separate()
		r.add(n, s, false)
		r.line.separate()
	}
}

// end ends the block, if there is one.
func (r *reader) end() {
	r.brs, r.lineEnded = 0, false
	if !r.begun {
		r.line.reset()
		return
	}
	p := r.page
	r.begun = false
	r.broken = r.broken || p.elements[r.at].place&inCell != 0
	r.block.words = r.line.words
	r.block.Text = r.line.take()
	if r.block.Text == "" {
		p.Texts = p.Texts[:r.first]
		return
	}
	if len(p.Blocks) >= maxBlocks {
		r.over.WriteByte('\n')
		r.over.WriteString(r.block.Text)
		for i := r.first; i < len(p.Texts); i++ {
			p.Texts[i].Block = int32(len(p.Blocks)) - 1
		}
	} else {
		r.block.count()
		r.block.Heading = p.headingLevel(r.block.elem)
		p.Blocks = append(p.Blocks, r.block)
	}
	r.first = len(p.Texts)
}

// headingLevel returns the level of the heading that an element is or stands
// in, or 0.
func (p *Page) headingLevel(at int32) int {
	if p.elements[at].place&inHeading == 0 {
		return 0
	}
	for range 6 {
		switch n := p.elements[at].node; n.DataAtom {
		case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
			return int(n.Data[1] - '0')
		}
		if at = p.elements[at].parent; at < 0 {
			break
		}
	}
	return 0
}

// count counts what of counts is not known yet.
func (b *Block) count() {
	b.blocks = 1
	for i := 0; i < len(b.Text); i++ {
		switch b.Text[i] {
		case '.', ',', ';', '!', '?', ':':
			if i+1 == len(b.Text) || b.Text[i+1] == ' ' || b.Text[i+1] == '\n' || b.Text[i+1] == '"' {
				b.stops++
			}
		case 0xE3, 0xEF: // 。 、 ， ！ begin so
			if i+2 < len(b.Text) {
				switch b.Text[i : i+3] {
				case "。", "、", "，", "！", "？":
					b.stops++
				}
			}
		}
	}
	if b.words >= 10 && b.linkWords*5 < b.words*2 && b.stops > 0 {
		b.paragraphWords = b.words
	}
}

// sum adds up what stands in each element.
func (p *Page) sum() {
	for i := range p.Blocks {
		if b := &p.Blocks[i]; b.Source == FromTree {
			p.elements[b.elem].sum.add(b.counts)
		}
	}
	for i := len(p.elements) - 1; i > 0; i-- {
		if e := &p.elements[i]; e.parent >= 0 {
			p.elements[e.parent].sum.add(e.sum)
		}
	}
}

// markTwins numbers the siblings that have the same name and classes: cards,
// posts, rows.
func (p *Page) markTwins() {
	last := make(map[uint64]int32, len(p.elements)/4) // of a parent and signature
	before := make([]int32, len(p.elements))          // the twin before, or -1
	for i := range p.elements {
		e := &p.elements[i]
		key := uint64(uint32(e.parent))<<32 | uint64(e.signature)
		at, ok := last[key]
		last[key] = int32(i)
		before[i] = -1
		if ok {
			before[i] = at
			e.twin = min(p.elements[at].twin+1, 1<<15)
		}
		e.twins = e.twin + 1
	}
	for i := len(p.elements) - 1; i >= 0; i-- {
		if at := before[i]; at >= 0 {
			p.elements[at].twins = p.elements[i].twins
		}
	}
}

func attr(n *html.Node, key string) string {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			return n.Attr[i].Val
		}
	}
	return ""
}
