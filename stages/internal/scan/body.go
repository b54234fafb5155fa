package scan

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// The rules of the standard for start tags, section 13.2.6.4, but for tables.

// start does what the start tag that was read asks for.
func (s *scanner) start() {
	s.begun = true
	top := s.top()
	switch {
	case top.ns == 0:
		s.startHTML()
	case !top.isIntegrationPoint():
		s.startForeign(top.ns)
	case equalFold(s.tag.name, "mglyph") || equalFold(s.tag.name, "malignmark"):
		s.lost = true // which belong to MathML even there
	default:
		s.startHTML()
	}
}

func (s *scanner) startHTML() {
	if s.tag.atom == atom.Html {
		s.startRoot()
		return
	}
	for !s.lost {
		switch s.mode {
		case beforeHead:
			s.push(s.newNode(atom.Head, nil))
			s.mode = inHead
			if s.tag.atom == atom.Head {
				return
			}
		case inHead:
			if s.startHead() {
				return
			}
			switch s.tag.atom {
			case atom.Head:
				return
			case atom.Noscript:
				s.open()
				s.mode = inHeadNoscript
				return
			}
			s.pop()
			s.mode = afterHead
		case inHeadNoscript:
			switch s.tag.atom {
			case atom.Basefont, atom.Bgsound, atom.Link, atom.Meta, atom.Noframes, atom.Style:
				s.startHead()
				return
			case atom.Head, atom.Noscript:
				return
			}
			s.pop()
			s.mode = inHead
		case afterHead:
			if s.startHead() {
				return
			}
			switch s.tag.atom {
			case atom.Head:
				return
			case atom.Frameset:
				s.lost = true
				return
			}
			s.push(s.newNode(atom.Body, nil))
			s.mode = inBody
			if s.tag.atom == atom.Body {
				return
			}
		case inBody:
			s.startBody()
			return
		default:
			if s.startTable() {
				return
			}
		}
	}
}

// startRoot is the tag <html>, of which there may be several.
func (s *scanner) startRoot() {
	if s.lang || s.templates > 0 {
		return
	}
	for _, a := range s.attributes(false) {
		if a.Key != "lang" {
			continue
		}
		s.lang = true
		if a.Val != "" {
			s.elements = append([]Element{{Atom: atom.Html, Attr: []html.Attribute{a}}}, s.elements...)
			for i := range s.captures {
				s.captures[i].element++
			}
		}
		return
	}
}

// startHead does what is done wherever the tag is, and reports whether it was one of
// these.
func (s *scanner) startHead() bool {
	switch s.tag.atom {
	case atom.Base, atom.Basefont, atom.Bgsound, atom.Link, atom.Meta:
		s.void()
	case atom.Script, atom.Title, atom.Noframes, atom.Style:
		s.raw()
	case atom.Template:
		if s.foreign > 0 || len(s.captures) > 0 {
			// x/net/html ignores the rest of the page, or has rules of its own for
			// the text.
			s.lost = true
			return true
		}
		s.open()
		s.mark()
		s.mode = inBody
	default:
		return false
	}
	return true
}

var headings = []atom.Atom{atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6}

func isHeading(a atom.Atom) bool {
	switch a {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return true
	}
	return false
}

func (s *scanner) startBody() {
	switch a := s.tag.atom; a {
	case atom.Body, atom.Head, atom.Frame:
	case atom.Caption, atom.Col, atom.Colgroup, atom.Tbody, atom.Td, atom.Tfoot, atom.Th, atom.Thead, atom.Tr:
		// In a template they are what it is made for.
		s.lost = s.lost || s.templates > 0
	case atom.Base, atom.Basefont, atom.Bgsound, atom.Link, atom.Meta, atom.Noframes, atom.Script, atom.Style, atom.Template, atom.Title:
		s.startHead()
	case atom.Frameset, atom.Plaintext:
		s.lost = true
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Center, atom.Details, atom.Dialog, atom.Dir, atom.Div,
		atom.Dl, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Header, atom.Hgroup, atom.Main, atom.Menu,
		atom.Nav, atom.Ol, atom.P, atom.Search, atom.Section, atom.Summary, atom.Ul, atom.Pre, atom.Listing:
		s.closeTo(buttonScope, atom.P)
		s.element()
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		s.closeTo(buttonScope, atom.P)
		if isHeading(s.top().atom) {
			s.pop()
		}
		s.element()
	case atom.Form:
		if s.form != nil && s.templates == 0 {
			return
		}
		s.closeTo(buttonScope, atom.P)
		if n := s.element(); s.templates == 0 {
			s.form = n
		}
	case atom.Li, atom.Dd, atom.Dt:
		s.startItem(a)
	case atom.Button:
		if s.inScope(defaultScope, atom.Button) >= 0 {
			s.impliedEnds(0)
			s.closeTo(defaultScope, atom.Button)
		}
		s.reconstruct()
		s.element()
	case atom.A:
		s.startLink()
	case atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.S, atom.Small, atom.Strike, atom.Strong, atom.Tt, atom.U:
		s.reconstruct()
		s.format()
	case atom.Nobr:
		s.reconstruct()
		if s.inScope(defaultScope, atom.Nobr) >= 0 {
			s.adopt(atom.Nobr, s.tag.name)
			s.reconstruct()
		}
		s.format()
	case atom.Applet, atom.Marquee, atom.Object:
		s.reconstruct()
		s.element()
		s.mark()
	case atom.Table:
		if s.inScope(buttonScope, atom.P) >= 0 && !s.quirks() {
			s.closeTo(buttonScope, atom.P)
		}
		s.element()
		s.mode = inTable
	case atom.Image:
		s.tag.atom = atom.Img
		s.startBody()
	case atom.Area, atom.Br, atom.Embed, atom.Img, atom.Keygen, atom.Wbr:
		s.reconstruct()
		s.void()
	case atom.Input:
		s.closeTo(defaultScope, atom.Select)
		s.reconstruct()
		s.void()
	case atom.Param, atom.Source, atom.Track:
		s.void()
	case atom.Hr:
		if s.inScope(buttonScope, atom.P) >= 0 {
			s.impliedEnds(atom.P)
			s.closeTo(defaultScope, atom.P)
		}
		if s.inScope(defaultScope, atom.Select) >= 0 {
			s.impliedEnds(0)
		}
		s.void()
	case atom.Xmp:
		s.closeTo(buttonScope, atom.P)
		s.reconstruct()
		s.raw()
	case atom.Textarea, atom.Iframe, atom.Noembed:
		s.raw()
	case atom.Select:
		if s.closeTo(defaultScope, atom.Select) {
			return
		}
		s.reconstruct()
		s.element()
	case atom.Option, atom.Optgroup:
		s.startOption(a)
	case atom.Rb, atom.Rtc, atom.Rp, atom.Rt:
		if s.inScope(defaultScope, atom.Ruby) >= 0 {
			but := atom.Atom(0)
			if a == atom.Rp || a == atom.Rt {
				but = atom.Rtc
			}
			s.impliedEnds(but)
		}
		s.element()
	case atom.Math, atom.Svg:
		s.reconstruct()
		ns := svg
		if a == atom.Math {
			ns = math
		}
		s.openForeign(ns)
	default:
		s.reconstruct()
		s.element()
	}
}

// startItem closes the item before, in a list.
func (s *scanner) startItem(a atom.Atom) {
	for i := len(s.stack) - 1; i >= 0; i-- {
		n := s.stack[i]
		if n.atom == a && a == atom.Li || a != atom.Li && (n.atom == atom.Dd || n.atom == atom.Dt) {
			s.cut(i)
			break
		}
		if n.special && n.atom != atom.Address && n.atom != atom.Div && n.atom != atom.P {
			break
		}
	}
	s.closeTo(buttonScope, atom.P)
	s.element()
}

func (s *scanner) startOption(a atom.Atom) {
	switch {
	case s.inScope(defaultScope, atom.Select) < 0:
		if s.top().atom == atom.Option {
			s.pop()
		}
	case a == atom.Option:
		s.impliedEnds(atom.Optgroup)
	default:
		s.impliedEnds(0)
	}
	s.reconstruct()
	s.element()
}

// startLink is <a>, which closes the one before.
func (s *scanner) startLink() {
	for i := len(s.formatting) - 1; i >= 0 && s.formatting[i] != nil; i-- {
		n := s.formatting[i]
		if n.atom != atom.A {
			continue
		}
		s.adopt(atom.A, []byte("a"))
		if n.open && n.listed {
			// It is out of scope.
			s.lost = true
			return
		}
		if n.listed {
			s.unlist(i)
		}
		break
	}
	s.reconstruct()
	n := s.format()
	n.links = s.has("href") // also in a template, which it may leave when it is opened anew
	if s.emit(false) {
		s.capture(n, s.maxText, true)
	}
}

// element opens an element that may be of interest.
func (s *scanner) element() *node {
	n := s.open()
	s.emit(false)
	return n
}

// void is an element without content.
func (s *scanner) void() {
	s.boundary()
	if len(s.stack) >= maxDepth {
		s.lost = true
	}
	s.emit(false)
	if s.tag.atom != atom.Img || len(s.captures) == 0 {
		return
	}
	for _, a := range s.attributes(false) {
		if a.Key == "alt" {
			for i := range s.captures {
				if c := &s.captures[i]; c.alt && c.styles == s.styles {
					c.text.add(a.Val)
				}
			}
			break
		}
	}
}

// raw is an element whose content is text, with its end tag.
func (s *scanner) raw() {
	s.boundary()
	if len(s.stack) >= maxDepth {
		s.lost = true
	}
	a := s.tag.atom
	emitted := s.emit(false)
	content := s.rawText(a.String())
	isText := a == atom.Title || a == atom.Textarea // with character references
	switch {
	case emitted && a == atom.Title:
		t := text{limit: maxTitle}
		t.add(string(unescapeText(content)))
		s.elements[len(s.elements)-1].Text = t.string()
	case emitted && a == atom.Script:
		c := strings.ReplaceAll(string(content), "\r\n", "\n")
		s.elements[len(s.elements)-1].Text = strings.ReplaceAll(c, "\r", "\n")
	}
	if a != atom.Script && a != atom.Style {
		s.characters(content, !isText)
	}
	s.boundary()
	if s.at < len(s.page) && !s.readTag(s.at, s.at+2) {
		s.at = len(s.page)
	}
}

// emit adds the element of the tag that was read, if it is of interest, and reports
// whether it is.
func (s *scanner) emit(foreign bool) bool {
	a := s.tag.atom
	if s.templates > 0 || !wanted(a) {
		return false
	}
	switch a { // most of these do not have it
	case atom.A, atom.Link, atom.Area, atom.Base:
		if !foreign && !s.has("href") {
			return false
		}
	case atom.Blockquote, atom.Del, atom.Ins, atom.Q:
		if !s.has("cite") {
			return false
		}
	case atom.Img:
		if !s.has("longdesc") {
			return false
		}
	case atom.Script:
		if !s.has("type") {
			return false
		}
	}
	e := Element{Atom: a, Foreign: foreign, Attr: s.attributes(foreign)}
	if !e.says() {
		return false
	}
	s.elements = append(s.elements, e)
	return true
}

// has reports whether the tag that was read has an attribute.
func (s *scanner) has(key string) bool {
	for _, a := range s.tag.attr {
		if equalFold(s.page[a.key:a.keyEnd], key) {
			return true
		}
	}
	return false
}

// textToken is a text up to the next tag.
func (s *scanner) textToken(b []byte) {
	top := s.top()
	if top.ns != 0 && !top.isIntegrationPoint() {
		s.characters(b, false)
		return
	}
	switch s.mode {
	case beforeHead, inHead, inHeadNoscript, afterHead:
		if isBlank(b) {
			return
		}
		s.begun = true
		switch s.mode {
		case inHeadNoscript:
			s.cut(len(s.stack) - 2)
		case inHead:
			s.pop()
		}
		s.push(s.newNode(atom.Body, nil))
		s.mode = inBody
	case inColumnGroup:
		if isBlank(b) {
			return
		}
		if top.atom != atom.Colgroup {
			return
		}
		s.pop()
		s.mode = inTable
	}
	switch s.mode {
	case inTable, inTableBody, inRow:
		if (len(s.captures) > 0 || s.isClosed()) && !isBlank(b) {
			s.lost = true // the text goes before the table
		}
		return
	}
	if s.isClosed() {
		if top.atom == atom.Pre || top.atom == atom.Listing {
			s.lost = true // whose first line may be empty, and no text then
		}
		s.reconstruct()
	}
	s.characters(b, false)
}

// isBlank reports whether a text is white space.
func isBlank(b []byte) bool {
	return len(bytes.Trim(unescapeText(b), " \t\r\n\f")) == 0
}

// quirks reports whether the page is in quirks mode, in which a table may be in a
// paragraph. What its doctype means is known to x/net/html.
func (s *scanner) quirks() bool {
	if s.doctypeEnd == 0 {
		return true
	}
	page := string(s.page[s.doctype:s.doctypeEnd]) + "<p><table>"
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return true
	}
	for n := root; n != nil; n = next(n, root) {
		if n.DataAtom == atom.Table {
			return n.Parent.DataAtom == atom.P
		}
	}
	return true
}
