package scan

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxNodes is how many nodes are looked at for a text.
const maxNodes = 5000

// Text returns the text below n with white space collapsed, at most limit bytes of
// it; with alt, the alternative text of images as well.
func Text(n *html.Node, limit int, alt bool) string {
	t := text{limit: limit}
	for c, steps := n, 0; c != nil && !t.full() && steps < maxNodes; steps++ {
		switch {
		case c.Type == html.TextNode:
			t.add(c.Data)
		case c.Type == html.ElementNode && (c.DataAtom == atom.Script || c.DataAtom == atom.Style):
			c = nextAfter(c, n)
			continue
		case alt && c.Type == html.ElementNode && c.DataAtom == atom.Img:
			for i := range c.Attr {
				if c.Attr[i].Key == "alt" {
					t.add(c.Attr[i].Val)
					break
				}
			}
		}
		c = next(c, n)
	}
	return t.string()
}

// A text is words with a blank between them.
type text struct {
	b     []byte
	limit int
}

func (t *text) full() bool { return len(t.b) > t.limit }

func (t *text) add(s string) {
	for w := range strings.FieldsSeq(s) {
		if t.full() {
			return
		}
		if len(t.b) > 0 {
			t.b = append(t.b, ' ')
		}
		t.b = append(t.b, w[:min(len(w), t.limit+4)]...)
	}
}

func (t *text) string() string {
	if len(t.b) > t.limit {
		return strings.ToValidUTF8(string(t.b[:t.limit]), "")
	}
	return string(t.b)
}

// A capture is the text of an element that is open.
type capture struct {
	element int // whose text it is
	alt     bool
	text    text
	pending []byte // of the text node that is being read
	nodes   int
	styles  int // that were open when it began
}

// write adds to the text node that is being read.
func (c *capture) write(b []byte) {
	if c.text.full() {
		return
	}
	c.pending = append(c.pending, b...)
}

// flush ends the text node.
func (c *capture) flush() {
	if len(c.pending) > 0 {
		c.nodes++
		c.text.add(string(c.pending))
		c.pending = c.pending[:0]
	}
}

// end ends the element.
func (c *capture) end(s *scanner) {
	c.flush()
	s.elements[c.element].Text = c.text.string()
}

// capture begins the text of the element that was emitted last.
func (s *scanner) capture(n *node, limit int, alt bool) {
	n.captures = true
	last := len(s.captures)
	if last < cap(s.captures) {
		s.captures = s.captures[:last+1] // with its buffers
	} else {
		s.captures = append(s.captures, capture{})
	}
	c := &s.captures[last]
	*c = capture{
		element: len(s.elements) - 1, alt: alt, styles: s.styles, pending: c.pending[:0],
		text: text{b: c.text.b[:0], limit: limit},
	}
}

// boundary ends the text node of what is open: another node follows.
func (s *scanner) boundary() {
	for i := range s.captures {
		c := &s.captures[i]
		c.flush()
		if c.nodes++; c.nodes > maxNodes/2 && !c.text.full() {
			s.lost = true // its text would be cut by the number of its nodes
		}
	}
}

// characters adds text, which has character references unless raw.
func (s *scanner) characters(b []byte, raw bool) {
	if len(s.captures) == 0 {
		return
	}
	if !raw {
		b = unescapeText(b)
	}
	for i := range s.captures {
		if c := &s.captures[i]; c.styles == s.styles {
			c.write(b)
		}
	}
}

// unescapeText replaces the character references of a text.
func unescapeText(b []byte) []byte {
	for _, c := range b {
		if c == '&' {
			return []byte(html.UnescapeString(string(b)))
		}
	}
	return b
}

// unescapeAttr returns an attribute's value. In attributes a character reference
// without semicolon is one only if it is a whole word and no "=" follows it, since
// it is more likely a parameter of a query.
func unescapeAttr(b []byte) string {
	s := string(b)
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	amp := strings.IndexByte(s, '&')
	if amp < 0 {
		return s
	}
	var out strings.Builder
	for amp >= 0 {
		out.WriteString(s[:amp])
		s = s[amp:]
		n := reference(s)
		name := s[:n]
		value := html.UnescapeString(name)
		if last := name[n-1]; last != ';' && name[min(1, n-1)] != '#' && n < len(s) && s[n] == '=' || !isWhole(name, value) {
			value = name
		}
		out.WriteString(value)
		s = s[n:]
		amp = strings.IndexByte(s, '&')
	}
	out.WriteString(s)
	return out.String()
}

// reference returns how long the character reference is with which s begins, if it
// is one.
func reference(s string) int {
	n := 1
	digit := isAlnum
	if strings.HasPrefix(s, "&#") {
		n, digit = 2, func(c byte) bool { return '0' <= c && c <= '9' }
		if len(s) > 2 && s[2]|0x20 == 'x' {
			n, digit = 3, func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }
		}
	}
	for n < len(s) && digit(s[n]) {
		n++
	}
	if n < len(s) && s[n] == ';' {
		n++
	}
	return n
}

// isWhole reports whether a character reference was replaced as a whole, and not
// only how it begins.
func isWhole(name, value string) bool {
	if name == "&semi;" || strings.HasPrefix(name, "&#") {
		return true
	}
	return utf8.RuneCountInString(value) <= 2 && value[len(value)-1] != name[len(name)-1]
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
