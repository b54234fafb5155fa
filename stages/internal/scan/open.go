package scan

import (
	"bytes"
	"sync"

	"golang.org/x/net/html/atom"
)

// A mode is an insertion mode of the standard.
type mode uint8

const (
	beforeHead mode = iota
	inHead
	inHeadNoscript
	afterHead
	inBody
	inTable
	inCaption
	inColumnGroup
	inTableBody
	inRow
	inCell
)

// maxDepth is how deep golang.org/x/net/html nests elements.
const maxDepth = 512

// A namespace other than HTML's.
type namespace uint8

const (
	svg namespace = iota + 1
	math
)

// A node is an element that is open or may be opened anew.
type node struct {
	atom     atom.Atom
	name     []byte
	ns       namespace
	special  bool
	open     bool // on the stack
	listed   bool // among the active formatting elements
	links    bool // an <a> that leads somewhere
	captures bool
	raw      []byte // the tag of a formatting element
}

// scanner is the standard's parser without its tree.
type scanner struct {
	page     []byte
	at       int
	maxText  int
	mode     mode
	lost     bool // the tree is needed
	elements []Element
	captures []capture
	tag      tag

	begun               bool // something but white space and comments has come
	doctype, doctypeEnd int
	lang                bool // <html> has one

	stack      []*node // of open elements
	formatting []*node // active formatting elements; nil is a marker
	form       *node
	templates  int // that are open
	foreign    int // elements of other namespaces that are open
	styles     int // of these, <style>, whose content is no text

	slab   [64]node
	used   int     // of slab
	closed []*node // may be used again
}

// scanners are kept from page to page, for their slices.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// free gives a scanner back, without what it has read.
func (s *scanner) free() {
	clear(s.slab[:s.used])
	clear(s.stack[:cap(s.stack)])
	clear(s.formatting[:cap(s.formatting)])
	clear(s.closed[:cap(s.closed)])
	s.tag.attr = s.tag.attr[:0]
	*s = scanner{
		slab: s.slab, stack: s.stack[:0], formatting: s.formatting[:0], closed: s.closed[:0], captures: s.captures[:0],
		tag: tag{attr: s.tag.attr},
	}
	scanners.Put(s)
}

func (s *scanner) newNode(a atom.Atom, name []byte) *node {
	var n *node
	switch last := len(s.closed) - 1; {
	case last >= 0:
		n, s.closed = s.closed[last], s.closed[:last]
	case s.used < len(s.slab):
		n = &s.slab[s.used]
		s.used++
	default:
		n = new(node)
	}
	*n = node{atom: a, name: name, special: isSpecial(a)}
	return n
}

func (s *scanner) top() *node { return s.stack[len(s.stack)-1] }

// push opens an element.
func (s *scanner) push(n *node) {
	s.boundary()
	n.open = true
	s.stack = append(s.stack, n)
	if n.ns != 0 {
		s.foreign++
		if n.atom == atom.Style {
			s.styles++
		}
	} else if n.atom == atom.Template {
		s.templates++
	}
	if len(s.stack) > maxDepth {
		s.lost = true
	}
}

// open pushes the element of the tag that was read.
func (s *scanner) open() *node {
	n := s.newNode(s.tag.atom, s.tag.name)
	s.push(n)
	return n
}

// cut closes elements until n are left.
func (s *scanner) cut(n int) {
	for len(s.stack) > n {
		s.pop()
	}
}

func (s *scanner) pop() {
	s.remove(len(s.stack) - 1)
}

// remove takes an element from the stack.
func (s *scanner) remove(i int) {
	if i == len(s.stack)-1 {
		s.boundary()
	}
	n := s.stack[i]
	s.stack = append(s.stack[:i], s.stack[i+1:]...)
	n.open = false
	if n.ns != 0 {
		s.foreign--
		if n.atom == atom.Style {
			s.styles--
		}
	} else if n.atom == atom.Template {
		s.templates--
	}
	if n.captures {
		if i != len(s.stack) {
			s.lost = true // what is above it may still be below it in the tree
		}
		last := len(s.captures) - 1
		s.captures[last].end(s)
		s.captures = s.captures[:last]
		n.captures = false
	}
	if !n.listed && n != s.form {
		s.closed = append(s.closed, n)
	}
}

// A scope is what an element may be looked for in.
type scope uint8

const (
	defaultScope scope = iota
	listScope
	buttonScope
	tableScope
)

// inScope returns where the highest of the elements is on the stack, or -1 if what
// bounds the scope is above it.
func (s *scanner) inScope(sc scope, atoms ...atom.Atom) int {
	for i := len(s.stack) - 1; i >= 0; i-- {
		n := s.stack[i]
		if n.ns == 0 {
			for _, a := range atoms {
				if n.atom == a {
					return i
				}
			}
		}
		if n.bounds(sc) {
			return -1
		}
	}
	return -1
}

func (n *node) bounds(sc scope) bool {
	if n.ns != 0 {
		return sc != tableScope && n.special
	}
	if sc == tableScope {
		return n.atom == atom.Html || n.atom == atom.Table || n.atom == atom.Template
	}
	switch n.atom {
	case atom.Applet, atom.Caption, atom.Html, atom.Table, atom.Td, atom.Th, atom.Marquee, atom.Object, atom.Template, atom.Select:
		return true
	case atom.Ol, atom.Ul:
		return sc == listScope
	case atom.Button:
		return sc == buttonScope
	}
	return false
}

// closeTo closes the highest of the elements in scope and all above it.
func (s *scanner) closeTo(sc scope, atoms ...atom.Atom) bool {
	i := s.inScope(sc, atoms...)
	if i < 0 {
		return false
	}
	s.cut(i)
	return true
}

// clearTo closes elements until one of these is the current one.
func (s *scanner) clearTo(atoms ...atom.Atom) {
	for i := len(s.stack) - 1; i >= 0; i-- {
		a := s.stack[i].atom
		if a == atom.Html || a == atom.Template {
			s.cut(i + 1)
			return
		}
		for _, b := range atoms {
			if a == b {
				s.cut(i + 1)
				return
			}
		}
	}
}

// impliedEnds closes the elements whose end tags may be left out, but one.
func (s *scanner) impliedEnds(but atom.Atom) {
	for {
		a := s.top().atom
		switch a {
		case atom.Dd, atom.Dt, atom.Li, atom.Optgroup, atom.Option, atom.P, atom.Rb, atom.Rp, atom.Rt, atom.Rtc:
		default:
			return
		}
		if a == but {
			return
		}
		s.pop()
	}
}

// mark keeps formatting elements from being opened within what begins.
func (s *scanner) mark() { s.formatting = append(s.formatting, nil) }

// unmark forgets the formatting elements up to the last mark.
func (s *scanner) unmark() {
	for len(s.formatting) > 0 {
		last := len(s.formatting) - 1
		n := s.formatting[last]
		s.formatting = s.formatting[:last]
		if n == nil {
			return
		}
		n.listed = false
	}
}

// reconstruct opens anew the formatting elements that were closed by others.
func (s *scanner) reconstruct() {
	last := len(s.formatting) - 1
	if last < 0 || s.formatting[last] == nil || s.formatting[last].open {
		return
	}
	first := last
	for first > 0 && s.formatting[first-1] != nil && !s.formatting[first-1].open {
		first--
	}
	for _, n := range s.formatting[first:] {
		if n.links {
			s.lost = true // the tree has the link once more
			return
		}
		s.push(n)
	}
}

// isClosed reports whether a text would reconstruct formatting elements.
func (s *scanner) isClosed() bool {
	last := len(s.formatting) - 1
	return last >= 0 && s.formatting[last] != nil && !s.formatting[last].open
}

// format opens a formatting element. Of three that are alike the first is forgotten.
func (s *scanner) format() *node {
	n := s.open()
	n.raw = s.tag.raw
	alike := 0
	for i := len(s.formatting) - 1; i >= 0 && s.formatting[i] != nil; i-- {
		if m := s.formatting[i]; m.atom == n.atom && bytes.Equal(m.raw, n.raw) {
			if alike++; alike >= 3 {
				s.unlist(i)
			}
		}
	}
	n.listed = true
	s.formatting = append(s.formatting, n)
	return n
}

func (s *scanner) unlist(i int) {
	n := s.formatting[i]
	s.formatting = append(s.formatting[:i], s.formatting[i+1:]...)
	n.listed = false
}

// adopt is the adoption agency of the standard, for an end tag of a formatting
// element, as far as it moves nothing.
func (s *scanner) adopt(a atom.Atom, name []byte) {
	if n := s.top(); n.atom == a && !n.listed {
		s.pop()
		return
	}
	at := len(s.formatting) - 1
	for at >= 0 && s.formatting[at] != nil && s.formatting[at].atom != a {
		at--
	}
	if at < 0 || s.formatting[at] == nil {
		s.closeOther(a, name)
		return
	}
	n := s.formatting[at]
	if !n.open {
		s.unlist(at)
		return
	}
	if s.inScope(defaultScope, a) < 0 {
		return
	}
	for i := len(s.stack) - 1; ; i-- {
		if s.stack[i] == n {
			s.unlist(at)
			s.cut(i)
			return
		}
		if s.stack[i].special {
			s.lost = true // a block that overlaps with it: nodes move
			return
		}
	}
}

// closeOther closes an element that has no rule of its own.
func (s *scanner) closeOther(a atom.Atom, name []byte) {
	for i := len(s.stack) - 1; i >= 0; i-- {
		n := s.stack[i]
		if n.ns == 0 && n.atom == a && (a != 0 || equalFold(n.name, name)) {
			s.cut(i)
			return
		}
		if n.special {
			return
		}
	}
}

// resetMode finds the mode that what is open stands for.
func (s *scanner) resetMode() {
	for i := len(s.stack) - 1; i >= 0; i-- {
		switch n := s.stack[i]; n.atom {
		case atom.Td, atom.Th:
			s.mode = inCell
		case atom.Tr:
			s.mode = inRow
		case atom.Tbody, atom.Thead, atom.Tfoot:
			s.mode = inTableBody
		case atom.Caption:
			s.mode = inCaption
		case atom.Colgroup:
			s.mode = inColumnGroup
		case atom.Table:
			s.mode = inTable
		case atom.Head:
			s.mode = inHead
		case atom.Body:
			s.mode = inBody
		case atom.Template:
			if n.ns != 0 {
				continue
			}
			s.mode = inBody
		case atom.Html:
			s.mode = afterHead
		default:
			continue
		}
		return
	}
}

// isSpecial reports whether an element of HTML is special.
func isSpecial(a atom.Atom) bool {
	switch a {
	case atom.Address, atom.Applet, atom.Area, atom.Article, atom.Aside, atom.Base, atom.Basefont, atom.Bgsound,
		atom.Blockquote, atom.Body, atom.Br, atom.Button, atom.Caption, atom.Center, atom.Col, atom.Colgroup, atom.Dd,
		atom.Details, atom.Dir, atom.Div, atom.Dl, atom.Dt, atom.Embed, atom.Fieldset, atom.Figcaption, atom.Figure,
		atom.Footer, atom.Form, atom.Frame, atom.Frameset, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Head,
		atom.Header, atom.Hgroup, atom.Hr, atom.Html, atom.Iframe, atom.Img, atom.Input, atom.Keygen, atom.Li, atom.Link,
		atom.Listing, atom.Main, atom.Marquee, atom.Menu, atom.Meta, atom.Nav, atom.Noembed, atom.Noframes, atom.Noscript,
		atom.Object, atom.Ol, atom.P, atom.Param, atom.Plaintext, atom.Pre, atom.Script, atom.Section, atom.Select,
		atom.Source, atom.Style, atom.Summary, atom.Table, atom.Tbody, atom.Td, atom.Template, atom.Textarea, atom.Tfoot,
		atom.Th, atom.Thead, atom.Title, atom.Tr, atom.Track, atom.Ul, atom.Wbr, atom.Xmp:
		return true
	}
	return false
}
