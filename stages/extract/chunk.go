package extract

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Defaults of [ChunkOptions].
const (
	DefaultChunkTokens  = 512
	DefaultChunkOverlap = 64
)

// ChunkOptions say how a text is cut into chunks for search and retrieval; zero
// fields mean the defaults.
type ChunkOptions struct {
	// MaxTokens bounds a chunk; [DefaultChunkTokens] if zero.
	MaxTokens int
	// Overlap is how many tokens of one chunk the next one repeats, if both are
	// under the same headings; [DefaultChunkOverlap] if zero, none if negative.
	// At most half of MaxTokens.
	Overlap int
	// Tokens counts the tokens of a text; [CountTokens] if nil.
	Tokens func(string) int
}

// A Chunk is a part of a text: a section or a part of one.
type Chunk struct {
	// Start and End are offsets into Text.Text, in bytes.
	Start int `json:"start"`
	End   int `json:"end"`
	// Path are the headings that the chunk is under, the outermost first. A
	// chunk begins with the last of them where the section begins.
	Path []string `json:"path,omitempty"`
	// Tokens is how many tokens it has.
	Tokens int `json:"tokens"`
	// Text is the part itself.
	Text string `json:"text"`
}

// CountTokens estimates how many tokens language models make of a text: one for
// each four letters of a word begun, for each letter of a script that is
// written without spaces, and for each sign.
func CountTokens(s string) int {
	n, letters := 0, 0
	for _, c := range s {
		switch {
		case c >= 0x2E80 && c <= 0x9FFF || c >= 0xAC00 && c <= 0xD7AF || c >= 0xF900 && c <= 0xFAFF || c >= 0x0E00 && c <= 0x0EFF:
			n++
			letters = 0
		case unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c):
			if letters%4 == 0 {
				n++
			}
			letters++
		default:
			letters = 0
			if !unicode.IsSpace(c) {
				n++
			}
		}
	}
	return n
}

// A line is one line of a text.
type line struct {
	text    string
	heading int // its level, or 0
}

// chunks cuts lines that are joined by newlines, up to size bytes of them, into
// chunks.
func chunks(lines []line, size int, o *ChunkOptions) []Chunk {
	c := &chunker{count: o.Tokens, limit: cmp.Or(o.MaxTokens, DefaultChunkTokens), overlap: cmp.Or(o.Overlap, DefaultChunkOverlap)}
	if c.count == nil {
		c.count = CountTokens
	}
	c.limit = max(c.limit, 8)
	c.overlap = max(0, min(c.overlap, c.limit/2))
	at := 0
	for _, l := range lines {
		if at+len(l.text) > size {
			break
		}
		if l.heading > 0 {
			c.flush(false)
			c.open(l)
		}
		c.add(l.text, at)
		at += len(l.text) + 1
	}
	c.flush(false)
	return c.out
}

type chunker struct {
	count          func(string) int
	limit, overlap int
	out            []Chunk
	headings       []line
	parts          []part // of the present chunk
	tokens         int
	fresh          bool // whether parts holds more than what the last chunk ended with
}

// A part is a line, or a piece of one that is longer than a chunk.
type part struct {
	text       string
	start, end int
	tokens     int
	joint      string // what stands before it, if it is not the first
}

// open notes a heading and forgets those that it ends.
func (c *chunker) open(l line) {
	for k := len(c.headings); k > 0 && c.headings[k-1].heading >= l.heading; k-- {
		c.headings = c.headings[:k-1]
	}
	c.headings = append(c.headings, l)
}

func (c *chunker) add(text string, at int) {
	for i, p := range c.cut(text, at) {
		p.joint = "\n"
		if i > 0 {
			p.joint = text[c.parts[len(c.parts)-1].end-at : p.start-at]
		}
		if c.tokens+p.tokens > c.limit && c.fresh {
			c.flush(true)
		}
		for c.tokens+p.tokens > c.limit && len(c.parts) > 0 { // less overlap
			c.tokens -= c.parts[0].tokens
			c.parts = c.parts[1:]
		}
		c.parts = append(c.parts, p)
		c.tokens += p.tokens
		c.fresh = true
	}
}

// cut returns a line as parts, cut behind sentences or else words; whole if it
// fits.
func (c *chunker) cut(text string, at int) []part {
	if n := c.count(text); n <= c.limit-c.overlap {
		return []part{{text: text, start: at, end: at + len(text), tokens: n}}
	}
	var parts []part
	most := max(1, (c.limit-c.overlap)/2)
	start, tokens := 0, 0
	emit := func(end int) {
		if s := strings.TrimRight(text[start:end], " \t\n"); s != "" {
			parts = append(parts, part{text: s, start: at + start, end: at + start + len(s), tokens: c.count(s)})
		}
		start, tokens = end, 0
	}
	for i := 0; i < len(text); {
		end := wordEnd(text, i)
		n := c.count(text[i:end])
		if tokens+n > most && tokens > 0 {
			emit(i)
		}
		tokens += n
		word := strings.TrimRight(text[i:end], " \t\n")
		if tokens*2 > most && word != "" && strings.ContainsRune(".!?。！？", lastRune(word)) {
			emit(end)
		}
		i = end
	}
	emit(len(text))
	return parts
}

// maxWord bounds what is taken for one word when a line is cut, in bytes.
const maxWord = 64

// wordEnd returns the end of the word at i, its white space included.
func wordEnd(s string, i int) int {
	start := i
	for i < len(s) && s[i] != ' ' && s[i] != '\n' && s[i] != '\t' {
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if i-start >= maxWord || s[i-n] >= 0xE2 {
			return i
		}
	}
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t') {
		i++
	}
	return i
}

func lastRune(s string) rune {
	c, _ := utf8.DecodeLastRuneInString(s)
	return c
}

// flush ends the chunk. If the section goes on, the next begins with its last
// parts, as many as overlap.
func (c *chunker) flush(goesOn bool) {
	if c.fresh {
		var b strings.Builder
		for i, p := range c.parts {
			if i > 0 {
				b.WriteString(p.joint)
			}
			b.WriteString(p.text)
		}
		chunk := Chunk{Start: c.parts[0].start, End: c.parts[len(c.parts)-1].end, Text: b.String()}
		chunk.Tokens = c.count(chunk.Text)
		for _, h := range c.headings {
			chunk.Path = append(chunk.Path, h.text)
		}
		c.out = append(c.out, chunk)
	}
	keep := len(c.parts)
	c.tokens = 0
	for goesOn && keep > 0 && c.tokens+c.parts[keep-1].tokens <= c.overlap {
		keep--
		c.tokens += c.parts[keep].tokens
	}
	c.parts = append(c.parts[:0], c.parts[keep:]...)
	c.fresh = false
}
