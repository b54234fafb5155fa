package content

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// A line collects the text of a block.
type line struct {
	b     strings.Builder
	gap   byte // what must come before the next text: 0, ' ', '\n' or '\t'
	words int32
}

func (l *line) reset() {
	l.b.Reset()
	l.gap, l.words = 0, 0
}

// take returns the text and begins anew.
func (l *line) take() string {
	s := strings.TrimRight(l.b.String(), " \t\n\r")
	l.reset()
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return strings.TrimLeft(s, "\n")
}

// separate, cell and newline say what stands before the next text, if there is
// text before it. The stronger one wins.
func (l *line) separate() {
	if l.gap == 0 {
		l.gap = ' '
	}
}
func (l *line) cell()    { l.gap = '\t' }
func (l *line) newline() { l.gap = '\n' }

// text adds text with its white space collapsed.
func (l *line) text(s string) {
	for s != "" {
		i := strings.IndexFunc(s, unicode.IsSpace)
		if i == 0 {
			l.separate()
			_, n := utf8.DecodeRuneInString(s)
			s = s[n:]
			continue
		}
		word := s
		if i > 0 {
			word = s[:i]
		}
		s = s[len(word):]
		if l.b.Len() == 0 {
			l.words = 0
		} else if l.gap != 0 {
			l.b.WriteByte(l.gap)
		}
		if l.gap != 0 || l.words == 0 {
			l.words += wordsIn(word)
		}
		l.gap = 0
		l.b.WriteString(word)
	}
}

// pre adds preformatted text, on a line of its own if the one before has ended.
func (l *line) pre(s string, ended bool) {
	switch {
	case ended && EndsLine(l.b.String(), s):
		l.b.WriteByte('\n')
	case l.gap != 0 && l.b.Len() > 0:
		l.b.WriteByte(l.gap)
	}
	l.gap = 0
	if strings.ContainsRune(s, '\r') {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	l.b.WriteString(s)
	for range strings.FieldsSeq(s) {
		l.words++
	}
}

// EndsLine reports whether a line of a listing, ended by an element, needs a line
// feed of its own: neither side of it has one.
func EndsLine(before, after string) bool {
	return before != "" && !strings.HasSuffix(before, "\n") && !strings.HasPrefix(after, "\n") && !strings.HasPrefix(after, "\r\n")
}

// wordsIn estimates the words of a text without white space: one, but for
// scripts that are written without it.
func wordsIn(s string) int32 {
	if s[0] < 0xE0 {
		return 1
	}
	switch runes := int32(utf8.RuneCountInString(s)); {
	case s[0] >= 0xE3 && s[0] <= 0xEF: // Chinese, Japanese, Korean
		return max(1, runes/2)
	case s[0] == 0xE0 && len(s) > 1 && (s[1] == 0xB8 || s[1] == 0xB9 || s[1] == 0xBA || s[1] == 0xBB): // Thai, Lao
		return max(1, runes/5)
	}
	return 1
}

// Words estimates how many words a text has, in any script.
func Words(s string) (n int) {
	for w := range strings.FieldsSeq(s) {
		n += int(wordsIn(w))
	}
	return n
}

func isSpace(s string) bool {
	for _, c := range s {
		if !unicode.IsSpace(c) {
			return false
		}
	}
	return true
}

// formulaText returns a MathML formula as text.
func formulaText(math *html.Node) string {
	var symbols strings.Builder
	n := math
	for {
		if n.Type == html.ElementNode && strings.EqualFold(n.Data, "annotation") {
			if attr(n, "encoding") == "application/x-tex" && n.FirstChild != nil {
				return strings.Join(strings.Fields(n.FirstChild.Data), " ")
			}
		} else if n.Type == html.TextNode {
			symbols.WriteString(strings.TrimSpace(n.Data))
			symbols.WriteByte(' ')
		}
		if n.FirstChild != nil && !(n.Type == html.ElementNode && strings.HasPrefix(strings.ToLower(n.Data), "annotation")) {
			n = n.FirstChild
			continue
		}
		for n != math && n.NextSibling == nil {
			n = n.Parent
		}
		if n == math {
			break
		}
		n = n.NextSibling
	}
	if s := attr(math, "alttext"); s != "" {
		return strings.Join(strings.Fields(s), " ")
	}
	return strings.TrimSpace(symbols.String())
}
