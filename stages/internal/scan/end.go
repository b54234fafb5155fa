package scan

import (
	"golang.org/x/net/html/atom"
)

// The rules of the standard for end tags, and for what is not HTML.

// end does what the end tag that was read asks for.
func (s *scanner) end() {
	s.begun = true
	if s.top().ns != 0 && s.endForeign() {
		return
	}
	for !s.lost {
		a := s.tag.atom
		implies := a == atom.Body || a == atom.Html || a == atom.Br
		switch s.mode {
		case beforeHead:
			if !implies && a != atom.Head {
				return
			}
			s.push(s.newNode(atom.Head, nil))
			s.mode = inHead
		case inHead:
			if a == atom.Template {
				s.endTemplate()
				return
			}
			if !implies && a != atom.Head {
				return
			}
			s.pop()
			s.mode = afterHead
			if a == atom.Head {
				return
			}
		case inHeadNoscript:
			if a != atom.Noscript && a != atom.Br {
				return
			}
			s.pop()
			s.mode = inHead
			if a == atom.Noscript {
				return
			}
		case afterHead:
			if a == atom.Template {
				s.endTemplate()
				return
			}
			if !implies {
				return
			}
			s.push(s.newNode(atom.Body, nil))
			s.mode = inBody
		case inBody:
			s.endBody()
			return
		default:
			if s.endTable() {
				return
			}
		}
	}
}

// endBody is the end tag in a body. It always reports true.
func (s *scanner) endBody() bool {
	switch a := s.tag.atom; a {
	case atom.Body, atom.Html:
		// What comes now belongs to the body, but comments do not.
		s.lost = s.lost || len(s.captures) > 0
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Button, atom.Center, atom.Details, atom.Dialog,
		atom.Dir, atom.Div, atom.Dl, atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Header, atom.Hgroup,
		atom.Listing, atom.Main, atom.Menu, atom.Nav, atom.Ol, atom.Pre, atom.Search, atom.Section, atom.Select,
		atom.Summary, atom.Ul:
		if s.inScope(defaultScope, a) >= 0 {
			s.impliedEnds(0)
			s.closeTo(defaultScope, a)
		}
	case atom.Form:
		s.endForm()
	case atom.P:
		if !s.closeTo(buttonScope, atom.P) {
			s.leaveForeign()
			s.push(s.newNode(atom.P, nil))
			s.pop()
		}
	case atom.Li:
		s.closeTo(listScope, atom.Li)
	case atom.Dd, atom.Dt:
		s.closeTo(defaultScope, a)
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		s.closeTo(defaultScope, headings...)
	case atom.A, atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.Nobr, atom.S, atom.Small, atom.Strike,
		atom.Strong, atom.Tt, atom.U:
		s.adopt(a, s.tag.name)
	case atom.Applet, atom.Marquee, atom.Object:
		if s.closeTo(defaultScope, a) {
			s.unmark()
		}
	case atom.Br:
		s.tag.attr = s.tag.attr[:0]
		s.start()
	case atom.Template:
		s.endTemplate()
	default:
		s.closeOther(a, s.tag.name)
	}
	return true
}

func (s *scanner) endForm() {
	if s.templates > 0 {
		if s.inScope(defaultScope, atom.Form) >= 0 {
			s.impliedEnds(0)
			s.closeTo(defaultScope, atom.Form)
		}
		return
	}
	n := s.form
	s.form = nil
	i := s.inScope(defaultScope, atom.Form)
	if n == nil || i < 0 || s.stack[i] != n {
		return
	}
	s.impliedEnds(0)
	s.remove(i)
}

func (s *scanner) endTemplate() {
	if s.templates == 0 {
		return
	}
	s.impliedEnds(0)
	for i := len(s.stack) - 1; i >= 0; i-- {
		if n := s.stack[i]; n.ns == 0 && n.atom == atom.Template {
			s.cut(i)
			break
		}
	}
	s.unmark()
	s.resetMode()
}

// startForeign is a start tag within SVG or MathML.
func (s *scanner) startForeign(ns namespace) {
	a := s.tag.atom
	if isHTMLOnly(a) || a == atom.Font && (s.has("color") || s.has("face") || s.has("size")) {
		s.leaveForeign()
		s.startHTML()
		return
	}
	s.openForeign(ns)
}

// leaveForeign closes elements up to one in which HTML may be.
func (s *scanner) leaveForeign() {
	for top := s.top(); top.ns != 0 && !top.isIntegrationPoint(); top = s.top() {
		s.pop()
	}
}

// openForeign opens an element of SVG or MathML.
func (s *scanner) openForeign(ns namespace) {
	n := s.newNode(s.tag.atom, s.tag.name)
	n.ns = ns
	n.special = n.isIntegrationPoint()
	s.push(n)
	switch {
	case ns == math && equalFold(n.name, "annotation-xml"):
		s.lost = true // whose content depends on more
	case n.atom == atom.Script:
		s.lost = true // which may be data all the same
	case s.emit(true) && n.atom == atom.A:
		s.capture(n, s.maxText, true)
	}
	if s.tag.selfClosing {
		s.pop()
	}
}

// endForeign is an end tag within SVG or MathML. It reports false if it is for HTML.
func (s *scanner) endForeign() bool {
	for i := len(s.stack) - 1; i > 0; i-- {
		if equalFold(s.stack[i].name, s.tag.name) {
			s.cut(i)
			return true
		}
		if s.stack[i-1].ns == 0 {
			break
		}
	}
	return false
}

// isIntegrationPoint reports whether what is in an element of SVG or MathML may be
// HTML.
func (n *node) isIntegrationPoint() bool {
	switch n.ns {
	case svg:
		return equalFold(n.name, "title") || equalFold(n.name, "desc") || equalFold(n.name, "foreignobject")
	case math:
		return equalFold(n.name, "mi") || equalFold(n.name, "mo") || equalFold(n.name, "mn") || equalFold(n.name, "ms") ||
			equalFold(n.name, "mtext")
	}
	return false
}

// isHTMLOnly reports whether an element ends SVG and MathML.
func isHTMLOnly(a atom.Atom) bool {
	switch a {
	case atom.B, atom.Big, atom.Blockquote, atom.Body, atom.Br, atom.Center, atom.Code, atom.Dd, atom.Div, atom.Dl, atom.Dt,
		atom.Em, atom.Embed, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Head, atom.Hr, atom.I, atom.Img,
		atom.Li, atom.Listing, atom.Menu, atom.Meta, atom.Nobr, atom.Ol, atom.P, atom.Pre, atom.Ruby, atom.S, atom.Small,
		atom.Span, atom.Strong, atom.Strike, atom.Sub, atom.Sup, atom.Table, atom.Tt, atom.U, atom.Ul, atom.Var:
		return true
	}
	return false
}
