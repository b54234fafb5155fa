package extract

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A span is the text of one block of Markdown while it is collected: pieces of
// text and the marks around them. A mark is written only if there is text
// within it, next to that text, and only where it means what it should (GFM
// section 6.2: left- and right-flanking).
type span struct {
	pieces  []piece
	opened  []int          // pieces that are marks still open
	waiting []mark         // marks opened since the last text
	skipped map[string]int // see skip
	blank   bool           // whether white space stands before the next text
	lines   bool           // whether a line break does
}

type mark struct{ sign, url string }

// A piece is a text, or the start or the end of a mark.
type piece struct {
	text  string
	mark  mark
	start bool // of a mark
	other int  // the piece at the other end of a mark; -1 while it is open
	raw   bool // of text: to be written as it is
}

func (s *span) space() { s.blank = true }

func (s *span) lineBreak(asSpace bool) {
	if asSpace || s.inCode() {
		s.blank = true
		return
	}
	s.lines = true
}

func (s *span) inCode() bool {
	for _, m := range s.waiting {
		if m.sign == "`" {
			return true
		}
	}
	for _, i := range s.opened {
		if s.pieces[i].mark.sign == "`" {
			return true
		}
	}
	return false
}

// isOpen reports whether a mark of that sign is open: they do not nest.
func (s *span) isOpen(sign string) bool {
	for _, m := range s.waiting {
		if m.sign == sign {
			return true
		}
	}
	for _, i := range s.opened {
		if s.pieces[i].mark.sign == sign {
			return true
		}
	}
	return false
}

func (s *span) open(sign, url string) {
	if s.isOpen(sign) || s.inCode() {
		s.skip(sign)
		return
	}
	s.waiting = append(s.waiting, mark{sign, url})
}

// skip notes a mark that is not written but has an end: one within its like, or
// within code.
func (s *span) skip(sign string) {
	if s.skipped == nil {
		s.skipped = make(map[string]int)
	}
	s.skipped[sign]++
}

// close ends the innermost mark of that sign.
func (s *span) close(sign string) {
	if s.skipped[sign] > 0 {
		s.skipped[sign]--
		return
	}
	for i := len(s.waiting) - 1; i >= 0; i-- {
		if s.waiting[i].sign == sign {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			return
		}
	}
	for i := len(s.opened) - 1; i >= 0; i-- {
		at := s.opened[i]
		if s.pieces[at].mark.sign == sign {
			s.opened = append(s.opened[:i], s.opened[i+1:]...)
			s.pieces[at].other = len(s.pieces)
			s.pieces = append(s.pieces, piece{mark: s.pieces[at].mark, other: at})
			return
		}
	}
}

// begin writes what waits for text.
func (s *span) begin() {
	if len(s.pieces) > 0 {
		switch {
		case s.lines:
			s.pieces = append(s.pieces, piece{text: "\n", raw: true, other: -1})
		case s.blank:
			s.pieces = append(s.pieces, piece{text: " ", raw: true, other: -1})
		}
	}
	s.blank, s.lines = false, false
	for _, m := range s.waiting {
		s.opened = append(s.opened, len(s.pieces))
		s.pieces = append(s.pieces, piece{mark: m, start: true, other: -1})
	}
	s.waiting = s.waiting[:0]
}

// text adds text with its white space collapsed.
func (s *span) text(t string) {
	words := strings.Fields(t)
	if len(words) == 0 {
		s.blank = s.blank || t != ""
		return
	}
	first, _ := utf8.DecodeRuneInString(t)
	last, _ := utf8.DecodeLastRuneInString(t)
	s.blank = s.blank || unicode.IsSpace(first)
	s.begin()
	s.pieces = append(s.pieces, piece{text: strings.Join(words, " "), raw: false, other: -1})
	s.blank = unicode.IsSpace(last)
}

func (s *span) image(alt, url string) {
	if s.inCode() {
		return
	}
	s.begin()
	s.pieces = append(s.pieces, piece{text: "![" + escapeText(alt, false) + "](" + escapeURL(url) + ")", raw: true, other: -1})
}

// end returns the text, with the marks that are still open ended. They are
// open again in what follows.
func (s *span) end(oneLine bool) string {
	again := make([]mark, 0, len(s.opened)+len(s.waiting))
	for _, i := range s.opened {
		again = append(again, s.pieces[i].mark)
	}
	again = append(again, s.waiting...)
	for i := len(s.opened) - 1; i >= 0; i-- {
		at := s.opened[i]
		s.pieces[at].other = len(s.pieces)
		s.pieces = append(s.pieces, piece{mark: s.pieces[at].mark, other: at})
	}
	s.nest()
	s.dropBadMarks()
	text := s.render(oneLine)
	s.pieces, s.opened, s.waiting = s.pieces[:0], s.opened[:0], again
	s.blank, s.lines = false, false
	return text
}

// nest drops marks that overlap others without standing within them.
func (s *span) nest() {
	var open []int
	for i, p := range s.pieces {
		switch {
		case p.mark.sign == "" || p.mark.sign[0] == '-':
		case p.start:
			open = append(open, i)
		case len(open) > 0 && open[len(open)-1] == p.other:
			open = open[:len(open)-1]
		default:
			for k, at := range open {
				if at == p.other {
					open = append(open[:k], open[k+1:]...)
					s.drop(i)
					break
				}
			}
		}
	}
}

func (s *span) drop(i int) {
	j := s.pieces[i].other
	s.pieces[i].mark.sign = "-"
	s.pieces[j].mark.sign = "-"
}

// written reports whether a piece has something to be written.
func (p *piece) written() bool { return p.mark.sign == "" || p.mark.sign[0] != '-' }

// dropBadMarks drops emphasis whose signs would not be read as such.
func (s *span) dropBadMarks() {
	before := make([]rune, len(s.pieces)) // the last letter before each piece; 0 at the start
	closed := make([]bool, len(s.pieces)) // whether a mark ends right before
	var c rune
	end := false
	for i := range s.pieces {
		p := &s.pieces[i]
		before[i], closed[i] = c, end
		switch {
		case p.text != "":
			c, _ = utf8.DecodeLastRuneInString(p.text)
			end = false
		case p.written() && !p.start:
			end = true
		}
	}
	var after rune // the first letter after
	started := false
	for i := len(s.pieces) - 1; i >= 0; i-- {
		p := &s.pieces[i]
		switch {
		case p.text != "":
			after, _ = utf8.DecodeRuneInString(p.text)
			started = false
			continue
		case !p.written():
			continue
		}
		sign := p.mark.sign
		if sign == "*" || sign == "**" || sign == "~~" {
			bad := false
			if p.start {
				bad = isPunct(after) && before[i] != 0 && !unicode.IsSpace(before[i]) && !isPunct(before[i]) || closed[i]
			} else {
				bad = isPunct(before[i]) && after != 0 && !unicode.IsSpace(after) && !isPunct(after) || started
			}
			if bad {
				s.drop(i)
				continue
			}
		}
		if p.start {
			started = true
		}
	}
}

func isPunct(c rune) bool { return unicode.IsPunct(c) || unicode.IsSymbol(c) }

func (s *span) render(oneLine bool) string {
	var b strings.Builder
	for i := 0; i < len(s.pieces); i++ {
		p := &s.pieces[i]
		switch {
		case p.mark.sign == "`" && p.start:
			i = s.renderCode(&b, i)
		case p.mark.sign == "[" && p.start:
			b.WriteByte('[')
		case p.mark.sign == "[":
			b.WriteString("](" + escapeURL(p.mark.url) + ")")
		case p.mark.sign != "":
			if p.written() {
				b.WriteString(p.mark.sign)
			}
		case p.raw && p.text == "\n" && oneLine:
			b.WriteByte(' ')
		case p.raw:
			b.WriteString(p.text)
		default:
			next := i+1 < len(s.pieces) && s.pieces[i+1].mark.sign == "[" && s.pieces[i+1].start
			b.WriteString(escapeText(p.text, next))
		}
	}
	return b.String()
}

// renderCode writes inline code, which begins at piece i, and returns its last. Code
// right behind code is one with it: the signs between would be read as one.
func (s *span) renderCode(b *strings.Builder, i int) int {
	var code strings.Builder
	end := i
	for i < len(s.pieces) && s.pieces[i].mark.sign == "`" && s.pieces[i].start {
		end = s.pieces[i].other
		for _, p := range s.pieces[i+1 : end] {
			if p.text == "\n" {
				code.WriteByte(' ')
			} else if p.mark.sign == "" {
				code.WriteString(p.text)
			}
		}
		i = end + 1
		for i < len(s.pieces) && !s.pieces[i].written() {
			i++
		}
	}
	c := code.String()
	fence := strings.Repeat("`", longestRun(c, '`')+1)
	if c != "" && (c[0] == '`' || c[len(c)-1] == '`') {
		c = " " + c + " "
	}
	b.WriteString(fence + c + fence)
	return end
}

// escapeText escapes what would mean something within a line. beforeLink says
// that a link follows.
func escapeText(s string, beforeLink bool) string {
	if !strings.ContainsAny(s, "\\`*_[]<&~!|") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		escape := false
		switch c {
		case '\\', '`', '*', '[', ']', '~':
			escape = true
		case '_':
			escape = i == 0 || i+1 == len(s) || !isWordByte(s[i-1]) || !isWordByte(s[i+1])
		case '<':
			escape = i+1 == len(s) || isWordByte(s[i+1]) || strings.IndexByte("/!?", s[i+1]) >= 0
		case '&':
			escape = i+1 == len(s) || isWordByte(s[i+1]) || s[i+1] == '#'
		case '!':
			escape = beforeLink && i+1 == len(s)
		}
		if escape {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

var urlEscaper = strings.NewReplacer("(", "%28", ")", "%29", " ", "%20", "<", "%3C", ">", "%3E", "\\", "%5C", "|", "%7C", "\n", "", "\t", "%09")

func escapeURL(u string) string { return urlEscaper.Replace(u) }
