package tag

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteCoNLLU writes sentences in the CoNLL-U format: a comment with the
// number and one with the text of each sentence, a line for each contraction,
// and for each word its form, its tags and in the last column its place in
// the text, in bytes, as TokenRange=start:end. The other columns are "_".
func WriteCoNLLU(w io.Writer, sentences []Sentence) error {
	cw := NewCoNLLUWriter(w)
	if err := cw.Write(sentences); err != nil {
		return err
	}
	return cw.Flush()
}

// A CoNLLUWriter writes sentences as [WriteCoNLLU] does, some at a time.
type CoNLLUWriter struct {
	w *bufio.Writer
	n int // sentences written
}

// NewCoNLLUWriter returns a writer to w. Flush must be called at the end.
func NewCoNLLUWriter(w io.Writer) *CoNLLUWriter { return &CoNLLUWriter{w: bufio.NewWriter(w)} }

// Write writes sentences behind those that were written before.
func (cw *CoNLLUWriter) Write(sentences []Sentence) error {
	for _, s := range sentences {
		cw.n++
		if s.Paragraph {
			cw.w.WriteString("# newpar\n")
		}
		fmt.Fprintf(cw.w, "# sent_id = %d\n# text = %s\n", cw.n, textOf(s))
		writeTokens(cw.w, s)
		if err := cw.w.WriteByte('\n'); err != nil {
			return err
		}
	}
	return nil
}

// Flush writes what is still buffered.
func (cw *CoNLLUWriter) Flush() error { return cw.w.Flush() }

// textOf returns the text of a sentence as its tokens make it, with one space
// where there is white space in the text: the format demands that the two agree.
func textOf(s Sentence) string {
	var b strings.Builder
	for i := 0; i < len(s.Tokens); {
		n := max(multiword(s.Tokens, i), 1)
		if n > 1 {
			b.WriteString(column(surface(s, s.Tokens[i].Start, s.Tokens[i+n-1].End)))
		} else {
			b.WriteString(column(s.Tokens[i].Text))
		}
		if i += n; i < len(s.Tokens) && spaceFollows(s.Tokens, i-1) {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// multiword returns how many words the token of the text that begins with
// tokens[i] stands for, if they are all there, and 0 if it is one.
func multiword(tokens []Token, i int) int {
	n := int(tokens[i].Parts)
	if n < 2 || i+n > len(tokens) {
		return 0
	}
	for j, t := range tokens[i : i+n] {
		if int(t.Part) != j || int(t.Parts) != n {
			return 0
		}
	}
	return n
}

func writeTokens(bw *bufio.Writer, s Sentence) {
	tokens := s.Tokens
	inside := 0 // words of a multiword token that are to come
	for i, t := range tokens {
		if n := multiword(tokens, i); n > 0 && inside == 0 {
			inside = n
			last := i + n - 1
			end := tokens[last].End
			fmt.Fprintf(bw, "%d-%d\t%s\t_\t_\t_\t_\t_\t_\t_\t%s\n", i+1, last+1,
				column(surface(s, t.Start, end)), place(t.Start, end, spaceFollows(tokens, last)))
		}
		misc := "_"
		if inside == 0 {
			misc = place(t.Start, t.End, spaceFollows(tokens, i))
		} else {
			inside--
		}
		fmt.Fprintf(bw, "%d\t%s\t_\t%s\t%s\t_\t_\t_\t_\t%s\n", i+1, column(t.Text), tagColumn(t.UPOS), tagColumn(t.XPOS), misc)
	}
}

func surface(s Sentence, start, end int) string {
	if a, b := start-s.Start, end-s.Start; 0 <= a && a <= b && b <= len(s.Text) {
		return s.Text[a:b]
	}
	return ""
}

// spaceFollows reports whether white space stands between tokens[i] and the
// next token.
func spaceFollows(tokens []Token, i int) bool {
	return i+1 >= len(tokens) || tokens[i+1].Start > tokens[i].End
}

func place(start, end int, space bool) string {
	if space {
		return fmt.Sprintf("TokenRange=%d:%d", start, end)
	}
	return fmt.Sprintf("SpaceAfter=No|TokenRange=%d:%d", start, end)
}

func tagColumn(tag string) string {
	if tag == "" {
		return "_"
	}
	return column(tag)
}

// column makes s fit into a column: valid UTF-8, without tabs and line breaks,
// and not empty.
func column(s string) string {
	if s = oneLine(s); s == "" {
		return "_"
	}
	return s
}

// oneLine returns s with runs of white space, but for single spaces, replaced
// by one space, and with bytes that are not UTF-8 replaced.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
}

// FillCoNLLU copies the CoNLL-U file r to w and fills in the UPOS and XPOS
// columns of its words. Everything else is kept byte for byte: the other
// columns, comments, multiword tokens, empty nodes, blank lines and line
// ends. XPOS is left as it is if the tagger has no such tags, and both are if
// it has no model.
//
// A line that is neither blank nor a comment and has not ten columns is an
// error, which names it.
func (t *Tagger) FillCoNLLU(r io.Reader, w io.Writer) error {
	br, bw := bufio.NewReader(r), bufio.NewWriter(w)
	f := filler{t: t, w: bw}
	for {
		line, err := readLine(br)
		if len(line) > 0 {
			f.number++
			if err := f.add(line); err != nil {
				return fmt.Errorf("tag: fill conllu: line %d: %w", f.number, err)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("tag: fill conllu: line %d: %w", f.number+1, err)
		}
	}
	if err := f.flush(); err != nil {
		return fmt.Errorf("tag: fill conllu: %w", err)
	}
	if err := bw.Flush(); err != nil {
		return fmt.Errorf("tag: fill conllu: %w", err)
	}
	return nil
}

// readLine reads a line with its line end, of at most maxLine bytes.
func readLine(br *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// A filler holds the lines of one sentence until its words are tagged.
type filler struct {
	t      *Tagger
	w      *bufio.Writer
	number int
	lines  [][]byte
	words  []int // which of the lines are words
	tokens []Token
}

func (f *filler) add(line []byte) error {
	f.lines = append(f.lines, line)
	text := bytes.TrimRight(line, "\r\n")
	if len(text) == 0 {
		return f.flush()
	}
	if text[0] == '#' {
		return nil
	}
	if n := bytes.Count(text, []byte{'\t'}); n != 9 {
		return fmt.Errorf("%d columns, want 10", n+1)
	}
	id, rest, _ := bytes.Cut(text, []byte{'\t'})
	if bytes.ContainsAny(id, "-.") {
		return nil
	}
	if _, err := strconv.ParseUint(string(id), 10, 32); err != nil {
		return fmt.Errorf("the word number %q", id)
	}
	if len(f.tokens) == maxWords {
		return fmt.Errorf("more than %d words in a sentence", maxWords)
	}
	form, _, _ := bytes.Cut(rest, []byte{'\t'})
	if len(form) == 0 {
		return errors.New("no form")
	}
	f.words = append(f.words, len(f.lines)-1)
	f.tokens = append(f.tokens, Token{Text: string(form)})
	return nil
}

// flush tags the sentence and writes its lines.
func (f *filler) flush() error {
	f.t.TagTokens(f.tokens)
	for i, line := range f.lines {
		if len(f.words) > 0 && f.words[0] == i {
			line = fill(line, f.tokens[0])
			f.words, f.tokens = f.words[1:], f.tokens[1:]
		}
		if _, err := f.w.Write(line); err != nil {
			return err
		}
	}
	f.lines, f.words, f.tokens = nil, nil, nil
	return nil
}

// fill replaces the fourth and fifth columns of a line.
func fill(line []byte, t Token) []byte {
	fields := bytes.Split(line, []byte{'\t'})
	if t.UPOS != "" {
		fields[3] = []byte(t.UPOS)
	}
	if t.XPOS != "" {
		fields[4] = []byte(t.XPOS)
	}
	return bytes.Join(fields, []byte{'\t'})
}
