// Package printable keeps what others have written from controlling the terminal
// of whoever reads it: titles, addresses, robots files, messages of other
// programs. All output of the command goes through its [Writer].
package printable

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// String returns s with control characters escaped as JSON does, \u001b, but for
// line feeds and tabs. Control characters are those of ASCII, those of the range
// that some terminals obey too (C1), and those that turn the direction of text
// round or end its line. Bytes that are not UTF-8 become \ufffd.
func String(s string) string {
	for i, c := range s {
		if harmful(c) || c == utf8.RuneError {
			return string(appendClean([]byte(s[:i]), s[i:]))
		}
	}
	return s
}

// Line is String for one line: line feeds and tabs are escaped, too.
func Line(s string) string {
	s = String(s)
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\t' {
			out := []byte(s[:i])
			for _, c := range s[i:] {
				if c == '\n' || c == '\t' {
					out = fmt.Appendf(out, `\u%04x`, c)
					continue
				}
				out = utf8.AppendRune(out, c)
			}
			return string(out)
		}
	}
	return s
}

func appendClean(out []byte, s string) []byte {
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == utf8.RuneError && n <= 1:
			out = append(out, `\ufffd`...)
		case harmful(c):
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = append(out, s[i:i+n]...)
		}
		i += n
	}
	return out
}

// harmful reports whether a terminal, or whoever looks at one, may be misled by a
// character.
func harmful(c rune) bool {
	switch {
	case c < ' ':
		return c != '\n' && c != '\t'
	case c < 0x7f:
		return false
	case c < 0xa0: // DEL and C1
		return true
	case c == 0x061c, c == 0x200e, c == 0x200f, 0x202a <= c && c <= 0x202e, 0x2066 <= c && c <= 0x2069: // bidirectional
		return true
	}
	return c == 0x2028 || c == 0x2029
}

// Writer is an io.Writer that passes on what [String] makes of text. JSON stays
// the JSON that it was. A character may be cut between two writes. It is not
// safe for concurrent use.
type Writer struct {
	w    io.Writer
	held []byte // the beginning of a character
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write implements io.Writer. What it returns counts the bytes of p.
func (w *Writer) Write(p []byte) (int, error) {
	if len(w.held) == 0 && clean(p) {
		return w.w.Write(p)
	}
	s := string(append(w.held, p...))
	w.held = nil
	if cut := incomplete(s); cut > 0 {
		w.held = []byte(s[len(s)-cut:])
		s = s[:len(s)-cut]
	}
	if _, err := io.WriteString(w.w, String(s)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// clean reports whether p may go as it is: it is ASCII without control
// characters, as most output is.
func clean(p []byte) bool {
	for _, c := range p {
		if c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// incomplete returns how many bytes at the end of s begin a character that does
// not end there.
func incomplete(s string) int {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if c := s[len(s)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(s[len(s)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
