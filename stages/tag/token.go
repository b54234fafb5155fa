package tag

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"

	"github.com/seed-301537d8/weir/stages/tag/internal/segment"
)

// A span is a token as it stands in the text.
type span struct {
	start, end int
	// space tells what stands between the token and the one before.
	space gap
	// part and parts say that the language's rules cut a token of the text
	// into several words, of which this is one.
	part, parts uint8
}

// A gap is the white space before a token.
type gap uint8

const (
	gapNone gap = iota
	gapSpace
	gapLine      // a line break among the spaces
	gapParagraph // a blank line, at which a sentence ends in any case
)

// A tokenizer cuts a text into spans. The Unicode word boundaries of UAX #29
// are the ground that its rules stand on: the rules decide about chunks with
// punctuation inside, and UAX #29 about everything that they do not know.
type tokenizer struct {
	text  string
	spans []span
	style style
	abbr  map[string]bool
	words *words.Iterator[string] // made once, then set to each chunk
	gap   gap

	// wordEnd is where the word ends that UAX #29 found last. What is left of
	// it when a rule has taken its beginning is not read again, so that a
	// long run without white space is read once.
	wordEnd int

	// cuts are the ends of the words of a run that a dictionary has cut, those
	// that are still to come.
	cuts, cutsBuf []int
}

// run cuts text[from:], before which there is the given gap.
func (t *tokenizer) run(text string, from int, before gap) {
	t.text, t.spans = text, t.spans[:0]
	t.gap, t.wordEnd, t.cuts = before, 0, nil
	for i := from; i < len(text); {
		if n, breaks := spaces(text[i:]); n > 0 {
			i += n
			g := gapSpace
			if breaks == 1 {
				g = gapLine
			} else if breaks > 1 {
				g = gapParagraph
			}
			t.gap = max(t.gap, g)
			continue
		}
		// Most chunks are plain words: letters up to the next space.
		j := i
		for j < len(text) && isASCIILetter(text[j]) {
			j++
		}
		if j > i && (j == len(text) || text[j] == ' ' || text[j] == '\n') {
			if t.style.verbClitics {
				t.word(i, j)
			} else {
				t.emit(i, j)
			}
			i = j
			continue
		}
		end := j + chunkLen(text[j:])
		if t.style.spacedNumbers {
			if n := t.spacedNumber(i, end); n > end {
				t.emit(i, n)
				i = n
				continue
			}
		}
		t.chunk(i, end)
		i = end
	}
}

func (t *tokenizer) emit(start, end int) {
	t.spans = append(t.spans, span{start: start, end: end, space: t.gap})
	t.gap = gapNone
}

// spaces returns the length of the white space that s begins with, and how
// many line breaks are in it.
func spaces(s string) (n, breaks int) {
	for n < len(s) {
		c := s[n]
		switch {
		case c == '\n':
			breaks++
			n++
		case c == ' ' || c == '\t' || c == '\r' || c == '\v':
			n++
		case c == '\f':
			breaks += 2
			n++
		case c < utf8.RuneSelf:
			return n, breaks
		default:
			r, size := utf8.DecodeRuneInString(s[n:])
			switch {
			case r == '\u2029':
				breaks += 2
			case r == '\u2028' || r == '\u0085':
				breaks++
			case r == '\u200B' || r == '\uFEFF':
			case !unicode.IsSpace(r):
				return n, breaks
			}
			n += size
		}
	}
	return n, breaks
}

// chunkLen returns the length of s up to its first white space.
func chunkLen(s string) int {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c == ' ' || c >= '\t' && c <= '\r' {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if unicode.IsSpace(r) || r == '\u200B' || r == '\uFEFF' {
			return i
		}
		i += size
	}
	return len(s)
}

// chunk cuts text[s:e], which holds no white space.
func (t *tokenizer) chunk(s, e int) {
	for s < e {
		n := t.next(t.text[s:e], s)
		t.word(s, s+n)
		s += n
	}
}

// next returns the length of the first token of the chunk rest c.
func (t *tokenizer) next(c string, at int) int {
	b := c[0]
	switch {
	case b >= segment.FirstByte:
		if n := t.segment(c, at); n > 0 {
			return n
		}
	case isDigit(b):
		if n := t.style.number(c); n > 0 {
			if t.style.ordinals && n <= 2 && n+1 == len(c) && c[n] == '.' && t.ordinal(at+n+1) {
				return n + 1
			}
			return n
		}
	case isASCIILetter(b) || b >= utf8.RuneSelf:
	default:
		return t.mark(c)
	}
	if strings.HasPrefix(c, "’’") || strings.HasPrefix(c, "‘’") || strings.HasPrefix(c, "‘‘") {
		return 2 * len("’")
	}
	if n := address(c); n > 0 {
		return n
	}
	if n := emoticon(c); n > 1 && isASCIILetter(b) {
		return n
	}
	n := asciiWord(c)
	if n == 0 {
		n = t.wordLen(c, at)
	}
	n = trimWord(c[:n])
	if n < len(c) && (c[n] == '$' && n <= 3 && isUpper(c[n-1]) || strings.HasPrefix(c[n:], "°") && n == 1) {
		_, size := utf8.DecodeRuneInString(c[n:])
		return n + size // US$, n°
	}
	if n == 2 && len(c) >= 4 && c[:4] == "km/h" {
		return 4
	}
	n = t.style.joinHyphens(c, n)
	if m := ampersand(c, n); m > n {
		return m
	}
	return t.dots(c, n)
}

// segment returns the length of the word of a dictionary that c, which stands at
// the place at, begins with: of Chinese, Japanese and Thai. It is 0 for other text.
func (t *tokenizer) segment(c string, at int) int {
	if len(t.cuts) == 0 || t.cuts[0] <= at {
		n := segment.Run(c)
		if n == 0 {
			return 0
		}
		t.cutsBuf = segment.Cut(c[:n], t.cutsBuf[:0])
		t.cuts = t.cutsBuf
		for i := range t.cuts {
			t.cuts[i] += at
		}
	}
	end := t.cuts[0]
	t.cuts = t.cuts[1:]
	return end - at
}

// wordLen returns the length of the word that c, which stands at the place at,
// begins with by UAX #29. Within a word every place before a letter or a digit
// leads to the same end.
func (t *tokenizer) wordLen(c string, at int) int {
	if at < t.wordEnd {
		return t.wordEnd - at
	}
	if t.words == nil {
		t.words = words.FromString(c)
	}
	t.words.SetText(c)
	n := len(c)
	if t.words.Next() {
		n = len(t.words.Value())
	}
	t.wordEnd = at + n
	return n
}

// asciiWord returns the length of the letters and digits that c begins with,
// if UAX #29 surely ends a word there, and 0 otherwise.
func asciiWord(c string) int {
	n := 0
	for n < len(c) && (isASCIILetter(c[n]) || isDigit(c[n])) {
		n++
	}
	if n == 0 || n == len(c) {
		return n
	}
	switch b := c[n]; {
	case b >= utf8.RuneSelf, b == '.', b == '\'', b == '_', b == ':', b == ',', b == ';':
		// These may join what stands around them, but not at the end.
		if n+1 == len(c) && b < utf8.RuneSelf && b != '_' {
			return n
		}
		return 0
	}
	return n
}

// trimWord shortens a UAX #29 word where treebanks end it: at a colon, and at
// a full stop or underscore that is followed by a new sentence.
func trimWord(w string) int {
	for i := 1; i+1 < len(w); i++ {
		switch w[i] {
		case ':', ',', ';':
			if !isDigit(w[i-1]) || !isDigit(w[i+1]) {
				return i
			}
		case '.':
			// "end.Next": a space is missing; "U.S" and "file.Doc" go on.
			if i >= 3 && isLower(w[i-1]) && isLower(w[i-2]) && isUpper(w[i+1]) && i+2 < len(w) && isLower(w[i+2]) {
				return i
			}
		}
	}
	return len(w)
}

// ordinal reports whether the text from i on, behind a short number and a
// full stop, goes on with a word in lower case or the name of a month.
func (t *tokenizer) ordinal(i int) bool {
	n, breaks := spaces(t.text[i:])
	rest := t.text[i+n:]
	if n == 0 || breaks > 1 {
		return false
	}
	r, _ := utf8.DecodeRuneInString(rest)
	if unicode.IsLower(r) {
		return true
	}
	for _, m := range months {
		if strings.HasPrefix(rest, m) {
			return true
		}
	}
	return false
}

var months = []string{
	"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
	"November", "Dezember", "Jahrhundert",
}

// ampersand returns the end of a name like AT&T or B&B, whose first part is
// c[:n], and n if there is none.
func ampersand(c string, n int) int {
	if n > 3 || n+1 >= len(c) || c[n] != '&' || !isASCIILetter(c[n-1]) {
		return n
	}
	m := 0
	for n+1+m < len(c) && isASCIILetter(c[n+1+m]) {
		m++
	}
	if m == 0 || m > 2 || isUpper(c[0]) != isUpper(c[n+1]) || isUpper(c[0]) != isUpper(c[n-1]) {
		return n
	}
	return n + 1 + m
}

// dots adds the full stop of an abbreviation to the word c[:n].
func (t *tokenizer) dots(c string, n int) int {
	if n >= len(c) || c[n] != '.' || n+1 < len(c) && c[n+1] == '.' {
		return n
	}
	w := c[:n]
	if isInitials(w) && (len(w) > 1 || isUpper(w[0]) && t.style.initials) {
		return n + 1
	}
	var buf [24]byte
	if n > len(buf) {
		return n
	}
	low := buf[:0]
	for _, r := range w {
		r, _ = lowerKind(r)
		if len(low)+utf8.RuneLen(r) > len(buf) {
			return n
		}
		low = utf8.AppendRune(low, r)
	}
	if t.abbr[string(low)] {
		return n + 1
	}
	return n
}

// isInitials reports whether w is made of single letters with full stops
// between them, like U.S or p.m, or is one letter.
func isInitials(w string) bool {
	if len(w)%2 == 0 {
		return false
	}
	for i := 0; i < len(w); i++ {
		if i%2 == 0 && !isASCIILetter(w[i]) || i%2 == 1 && w[i] != '.' {
			return false
		}
	}
	return true
}

// mark returns the length of the token that c begins with, which is not a
// letter or a digit of ASCII.
func (t *tokenizer) mark(c string) int {
	if n := emoticon(c); n > 0 {
		return n
	}
	switch b := c[0]; b {
	case '.', '!', '?':
		if b != '.' && !t.style.groupMarks {
			return 1
		}
		n := run(c)
		if n < 3 && t.style.groupMarks {
			for n < len(c) && (c[n] == '.' || c[n] == '!' || c[n] == '?') {
				n++
			}
		}
		if n == 1 && b == '.' && len(c) > 1 && isDigit(c[1]) && t.gap != gapNone {
			if m := t.style.number(c[1:]); m > 0 {
				return m + 1
			}
		}
		if n == 1 && b == '.' && t.gap != gapNone {
			if m := asciiWord(c[1:]); m > 0 && isLower(c[1]) && knownEnding(c[1:1+m]) {
				return m + 1 // .doc, .com
			}
		}
		return n
	case '-', '=', '*', '~', '+', '_', '<', '>', '|', '#', '^':
		n := run(c)
		if n == 1 && (b == '+' || b == '-') && t.gap != gapNone && len(c) > 1 && isDigit(c[1]) && t.style.signs {
			if m := t.style.number(c[1:]); m > 0 {
				return m + 1
			}
		}
		if n == 1 && b == '#' && len(c) > 1 && isASCIILetter(c[1]) {
			return 1 + handle(c[1:])
		}
		return n
	case '\'', '`':
		if strings.HasPrefix(c, "''") || strings.HasPrefix(c, "``") {
			return 2
		}
		return t.style.leadingApostrophe(c)
	case '@':
		if n := handle(c[1:]); n > 0 {
			return 1 + n
		}
	case '/':
		if len(c) > 1 && c[1] == '/' {
			return run(c)
		}
	case '&':
		if n := strings.IndexByte(c[:min(len(c), 8)], ';'); n > 1 && asciiWord(c[1:]) == n-1 {
			return n + 1 // an HTML entity that was left over
		}
	}
	return 1
}

// run returns how often c repeats its first byte.
func run(c string) int {
	n := 1
	for n < len(c) && c[n] == c[0] {
		n++
	}
	return n
}

// handle returns the length of a user name or hash tag.
func handle(c string) int {
	n := 0
	for n < len(c) && (isASCIILetter(c[n]) || isDigit(c[n]) || c[n] == '_') {
		n++
	}
	return n
}

// word emits the token text[s:e], cut where the language splits off clitics.
func (t *tokenizer) word(s, e int) {
	first := len(t.spans)
	for e-s > 1 {
		n := t.style.clitic(t.text[s:e])
		if n <= 0 || n >= e-s {
			break
		}
		t.emit(s, s+n)
		s += n
		if t.text[s] == '-' && !t.style.hyphenKeeps && s+1 < e {
			s++ // the hyphen of trata-se is no part of either word
		}
	}
	t.emit(s, e)
	if cut := t.spans[first:]; len(cut) > 1 && len(cut) < 9 && t.style.multiword {
		for i := range cut {
			cut[i].part, cut[i].parts = uint8(i), uint8(len(cut))
		}
	}
}

// spacedNumber returns the end of a number whose digits stand in groups of
// three with spaces between them, as in French; e if there is none.
func (t *tokenizer) spacedNumber(s, e int) int {
	if e-s > 3 || digits(t.text[s:e]) != e-s {
		return e
	}
	for e < len(t.text) && t.text[e] != '\n' && t.text[e] != '\r' {
		_, size := utf8.DecodeRuneInString(t.text[e:])
		n := e + size
		if digits(t.text[n:]) != 3 || n+3 < len(t.text) && isASCIILetter(t.text[n+3]) {
			break
		}
		e = n + 3
		if n, _ := spaces(t.text[e:]); n == 0 {
			break
		}
	}
	return e
}

func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(b byte) bool       { return '0' <= b && b <= '9' }
func isLower(b byte) bool       { return 'a' <= b && b <= 'z' }
func isUpper(b byte) bool       { return 'A' <= b && b <= 'Z' }
func isASCIILetter(b byte) bool { return isLower(b | 0x20) }
