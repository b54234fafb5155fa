package scan

import (
	"bytes"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A tag is a start or an end tag, as it stands on the page.
type tag struct {
	atom        atom.Atom // 0 for a name that HTML does not know
	name        []byte    // as written
	raw         []byte    // all of it
	selfClosing bool
	attr        []span
}

// A span is where an attribute's name and value are.
type span struct{ key, keyEnd, value, valueEnd int }

// token reads what comes next: a text up to a tag, or a tag, a comment and the like.
// It reports false at the end.
func (s *scanner) token() bool {
	start, page := s.at, s.page
	i := start
	for {
		n := bytes.IndexByte(page[i:], '<')
		if n < 0 || i+n+1 >= len(page) {
			i = len(page)
			break
		}
		i += n
		if c := page[i+1]; isLetter(c) || c == '!' || c == '?' || c == '/' && i+2 < len(page) {
			break
		}
		i++
	}
	if i > start {
		s.at = i
		s.textToken(page[start:i])
		return true
	}
	switch c := page[i+1]; {
	case c == '!':
		return s.declaration(i + 2)
	case c == '?':
		s.boundary()
		return s.behind(i+1, '>')
	case c != '/':
		if !s.readTag(i, i+1) {
			return false
		}
		s.start()
		return true
	case isLetter(page[i+2]):
		if !s.readTag(i, i+2) {
			return false
		}
		s.end()
		return true
	default: // "</>" and the like are comments
		s.boundary()
		return s.behind(i+2, '>')
	}
}

// behind goes on after the next c, and reports whether there is one.
func (s *scanner) behind(i int, c byte) bool {
	n := bytes.IndexByte(s.page[i:], c)
	if n < 0 {
		return false
	}
	s.at = i + n + 1
	return true
}

// declaration reads what begins with "<!".
func (s *scanner) declaration(i int) bool {
	rest := s.page[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("--")):
		s.boundary()
		return s.comment(i + 2)
	case len(rest) >= 7 && equalFold(rest[:7], "doctype"):
		if !s.begun {
			s.begun = true
			s.doctype = i - 2
			if n := bytes.IndexByte(rest, '>'); n >= 0 {
				s.doctypeEnd = i + n + 1
			}
		}
		return s.behind(i+7, '>')
	case s.top().ns != 0 && bytes.HasPrefix(rest, []byte("[CDATA[")):
		i += len("[CDATA[")
		end := bytes.Index(s.page[i:], []byte("]]>"))
		if s.at = i + end + 3; end < 0 {
			end, s.at = len(s.page)-i, len(s.page)
		}
		if end > 0 {
			s.textToken(s.page[i : i+end]) // in which x/net/html reads character references, too
		}
		return true
	}
	s.boundary()
	return s.behind(i, '>')
}

// comment goes on after a comment that has begun at i.
func (s *scanner) comment(i int) bool {
	rest := s.page[i:]
	switch {
	case bytes.HasPrefix(rest, []byte(">")):
		s.at = i + 1
		return true
	case bytes.HasPrefix(rest, []byte("->")):
		s.at = i + 2
		return true
	}
	for at := 0; ; {
		n := bytes.Index(rest[at:], []byte("--"))
		if n < 0 {
			return false
		}
		at += n
		switch after := rest[at+2:]; {
		case bytes.HasPrefix(after, []byte(">")):
			s.at = i + at + 3
			return true
		case bytes.HasPrefix(after, []byte("!>")):
			s.at = i + at + 4
			return true
		}
		at++
	}
}

// readTag reads the tag that begins at i and whose name begins at name. It reports
// false if the page ends in it.
func (s *scanner) readTag(begin, name int) bool {
	page, t := s.page, &s.tag
	i := name
	for i < len(page) && !isSpace(page[i]) && page[i] != '/' && page[i] != '>' {
		i++
	}
	t.name, t.attr = page[name:i], t.attr[:0]
	t.atom = lookup(t.name)
	valueEnd := 0
	for {
		for i < len(page) && isSpace(page[i]) {
			i++
		}
		if i >= len(page) {
			return false
		}
		if page[i] == '>' {
			break
		}
		a := span{key: i}
		for i < len(page) && !isSpace(page[i]) && page[i] != '/' && page[i] != '>' && (page[i] != '=' || i == a.key) {
			i++
		}
		a.keyEnd = i
		for i < len(page) && isSpace(page[i]) {
			i++
		}
		if i >= len(page) {
			return false
		}
		a.value, a.valueEnd = i, i
		switch {
		case page[i] == '/':
			i++
		case page[i] == '=':
			for i++; i < len(page) && isSpace(page[i]); i++ {
			}
			if i >= len(page) {
				return false
			}
			switch c := page[i]; c {
			case '>':
				a.value, a.valueEnd = i, i
			case '"', '\'':
				n := bytes.IndexByte(page[i+1:], c)
				if n < 0 {
					return false
				}
				a.value, a.valueEnd = i+1, i+1+n
				i = a.valueEnd + 1
			default:
				a.value = i
				for i < len(page) && !isSpace(page[i]) && page[i] != '>' {
					i++
				}
				a.valueEnd = i
			}
		}
		if a.key != a.keyEnd {
			t.attr = append(t.attr, a)
			valueEnd = a.valueEnd
		}
	}
	t.raw = page[begin : i+1]
	t.selfClosing = page[i-1] == '/'
	if t.selfClosing && valueEnd == i {
		// An unquoted value that ends with the slash. Whether the attribute
		// counts, if it is there twice, nobody needs to know.
		t.selfClosing = false
		s.lost = s.lost || s.top().ns != 0
	}
	s.at = i + 1
	return true
}

// attributes returns those of interest.
func (s *scanner) attributes(foreign bool) []html.Attribute {
	var attrs []html.Attribute
	var lower [16]byte
	for _, a := range s.tag.attr {
		key := s.page[a.key:a.keyEnd]
		if len(key) > len(lower) {
			continue
		}
		for i, c := range key {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			lower[i] = c
		}
		k := string(lower[:len(key)])
		if foreign {
			switch k {
			case "xlink:href", "xlink:title", "xlink:type":
				k = k[len("xlink:"):]
			case "xml:lang":
				k = "lang"
			}
		}
		if wantedKey(k) {
			attrs = append(attrs, html.Attribute{Key: k, Val: unescapeAttr(s.page[a.value:a.valueEnd])})
		}
	}
	return attrs
}

// rawText goes behind the text of an element whose content is no markup, and
// returns it. The end tag comes next, if there is one.
func (s *scanner) rawText(name string) []byte {
	start := s.at
	if name == "script" {
		s.at = scriptEnd(s.page, start)
	} else {
		s.at = rawEnd(s.page, start, name)
	}
	return s.page[start:s.at]
}

// rawEnd returns where the end tag of an element begins, or the end of the page.
func rawEnd(page []byte, i int, name string) int {
	for {
		n := bytes.Index(page[i:], []byte("</"))
		if n < 0 {
			return len(page)
		}
		if i += n; isEndTag(page[i:], name) {
			return i
		}
		i += 2
	}
}

// isEndTag reports whether b begins with the end tag of an element.
func isEndTag(b []byte, name string) bool {
	n := 2 + len(name)
	if len(b) <= n || b[0] != '<' || b[1] != '/' || !equalFold(b[2:n], name) {
		return false
	}
	return isSpace(b[n]) || b[n] == '/' || b[n] == '>'
}

// scriptEnd is rawEnd for a script, whose end tag does not count in a comment that
// has a start tag of a script before it.
func scriptEnd(page []byte, i int) int {
	escaped, double := false, false
	for {
		n := bytes.IndexByte(page[i:], '<')
		if escaped {
			if dashes := bytes.Index(page[i:], []byte("-->")); dashes >= 0 && (n < 0 || dashes < n) {
				escaped, double = false, false
				i += dashes + len("-->")
				continue
			}
		}
		if n < 0 {
			return len(page)
		}
		i += n
		rest := page[i:]
		switch {
		case isEndTag(rest, "script"):
			if !double {
				return i
			}
			double = false
			i += len("</script>")
		case double:
			i++
		case !escaped:
			if escaped = bytes.HasPrefix(rest, []byte("<!--")); escaped {
				i++ // its dashes may be those of its end
			}
			i++
		case len(rest) > 1 && isLetter(rest[1]):
			double = len(rest) > 7 && equalFold(rest[1:7], "script") && (isSpace(rest[7]) || rest[7] == '/' || rest[7] == '>')
			i++
		default:
			// x/net/html ends the escape at any other character.
			escaped = len(rest) > 1 && rest[1] == '/'
			i++
		}
	}
}

// lookup returns the atom of a name, in any case.
func lookup(name []byte) atom.Atom {
	for _, c := range name {
		if 'A' <= c && c <= 'Z' {
			return lookupLower(name)
		}
	}
	return atom.Lookup(name)
}

func lookupLower(name []byte) atom.Atom {
	var lower [32]byte
	if len(name) > len(lower) {
		return 0
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	return atom.Lookup(lower[:len(name)])
}

// equalFold compares with a name in lower case, by the rules of ASCII.
func equalFold[T ~string | ~[]byte](b []byte, lower T) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		d := lower[i]
		if 'A' <= d && d <= 'Z' {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' }
