package tag

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A TreebankSentence is a sentence of a CoNLL-U file, as the trainer and the
// evaluation need it: words with their tags, and how they stand in the text.
type TreebankSentence struct {
	Text         string // the comment "# text", or the words joined when it is missing
	NewDocument  bool   // the sentence begins a document
	NewParagraph bool   // the sentence begins a paragraph, or a document
	Words        []TreebankWord
	Spans        []TreebankSpan // multiword tokens, in order
}

// A TreebankWord is one syntactic word.
type TreebankWord struct {
	Form, UPOS, XPOS string // XPOS is empty where the treebank has "_"
	SpaceAfter       bool
}

// A TreebankSpan is a multiword token such as Portuguese "da", whose words
// "de" and "a" are Words[First:End].
type TreebankSpan struct {
	Form       string
	First, End int
	SpaceAfter bool
}

// Limits of the CoNLL-U reader. A line or a sentence beyond them is an error.
const (
	maxLine  = 1 << 20
	maxWords = 1 << 16
)

// A TreebankReader reads the sentences of a CoNLL-U file one by one.
type TreebankReader struct {
	sc   *bufio.Scanner
	line int
}

// NewTreebankReader returns a reader of the CoNLL-U file r.
func NewTreebankReader(r io.Reader) *TreebankReader {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	return &TreebankReader{sc: sc}
}

// Next returns the next sentence, or io.EOF after the last. Another error
// names the line that is wrong.
func (r *TreebankReader) Next() (*TreebankSentence, error) {
	var s TreebankSentence
	hasText, open := false, 0
	for r.sc.Scan() {
		r.line++
		line := strings.TrimSuffix(r.sc.Text(), "\r")
		if line == "" {
			if len(s.Words) == 0 {
				continue // a stray blank line, or comments of their own
			}
			break
		}
		if line[0] == '#' {
			hasText = s.comment(line) || hasText
			continue
		}
		end, err := s.row(line)
		if err != nil {
			return nil, fmt.Errorf("conllu: line %d: %w", r.line, err)
		}
		open = max(open, end)
	}
	if err := r.sc.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("conllu: line %d: longer than %d bytes", r.line+1, maxLine)
		}
		return nil, err
	}
	if len(s.Words) == 0 {
		return nil, io.EOF
	}
	if open > len(s.Words) {
		return nil, fmt.Errorf("conllu: line %d: the sentence ends inside the multiword token %q", r.line, s.Spans[len(s.Spans)-1].Form)
	}
	if !hasText {
		s.Text = s.joined()
	}
	return &s, nil
}

// ReadTreebank reads all sentences of the CoNLL-U file r.
func ReadTreebank(r io.Reader) ([]*TreebankSentence, error) {
	var out []*TreebankSentence
	for tr := NewTreebankReader(r); ; {
		s, err := tr.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
}

// comment notes what a comment line says and reports whether it gave the text.
func (s *TreebankSentence) comment(line string) bool {
	body := strings.TrimSpace(line[1:])
	name, value, _ := strings.Cut(body, "=")
	switch strings.TrimSpace(name) {
	case "text":
		s.Text = strings.TrimSpace(value)
		return true
	case "newdoc", "newdoc id", "newdoc_id":
		s.NewDocument, s.NewParagraph = true, true
	case "newpar", "newpar id", "newpar_id":
		s.NewParagraph = true
	}
	return false
}

// row adds a line of ten columns and returns the word before which its
// multiword token ends.
func (s *TreebankSentence) row(line string) (int, error) {
	var f [10]string
	rest, more := line, true
	for i := range f {
		if !more {
			return 0, fmt.Errorf("%d columns, want 10", i)
		}
		f[i], rest, more = strings.Cut(rest, "\t")
	}
	if more {
		return 0, errors.New("more than 10 columns")
	}
	id, form := f[0], f[1]
	if form == "" {
		return 0, errors.New("no form")
	}
	spaceAfter := true
	for field := range strings.SplitSeq(f[9], "|") {
		if field == "SpaceAfter=No" {
			spaceAfter = false
		}
	}
	if strings.Contains(id, ".") {
		return 0, nil // an empty node is no word of the text
	}
	if a, b, ok := strings.Cut(id, "-"); ok {
		first, err1 := strconv.Atoi(a)
		last, err2 := strconv.Atoi(b)
		if err1 != nil || err2 != nil || first != len(s.Words)+1 || last < first || last > maxWords {
			return 0, fmt.Errorf("multiword token %q after word %d", id, len(s.Words))
		}
		if n := len(s.Spans); n > 0 && s.Spans[n-1].End > first-1 {
			return 0, fmt.Errorf("multiword token %q inside another", id)
		}
		s.Spans = append(s.Spans, TreebankSpan{form, first - 1, last, spaceAfter})
		return last, nil
	}
	if n, err := strconv.Atoi(id); err != nil || n != len(s.Words)+1 {
		return 0, fmt.Errorf("word %q, want word %d", id, len(s.Words)+1)
	}
	if len(s.Words) == maxWords {
		return 0, fmt.Errorf("more than %d words in a sentence", maxWords)
	}
	w := TreebankWord{Form: form, UPOS: f[3], XPOS: f[4], SpaceAfter: spaceAfter}
	if w.XPOS == "_" {
		w.XPOS = ""
	}
	if w.UPOS == "_" {
		w.UPOS = ""
	}
	s.Words = append(s.Words, w)
	return 0, nil
}

// A surfaceToken is a token as it stands in the text: a word or a span.
type surfaceToken struct {
	form       string
	first, end int
	spaceAfter bool
}

func (s *TreebankSentence) surface() []surfaceToken {
	out := make([]surfaceToken, 0, len(s.Words))
	spans := s.Spans
	for i := 0; i < len(s.Words); {
		if len(spans) > 0 && spans[0].First == i {
			sp := spans[0]
			out = append(out, surfaceToken{sp.Form, sp.First, sp.End, sp.SpaceAfter})
			i, spans = sp.End, spans[1:]
			continue
		}
		w := s.Words[i]
		out = append(out, surfaceToken{w.Form, i, i + 1, w.SpaceAfter})
		i++
	}
	return out
}

func (s *TreebankSentence) joined() string {
	var b strings.Builder
	for _, t := range s.surface() {
		b.WriteString(t.form)
		if t.spaceAfter {
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

// endsWithSpace reports whether the treebank has a space between the sentence
// and the next.
func (s *TreebankSentence) endsWithSpace() bool {
	t := s.surface()
	return len(t) == 0 || t[len(t)-1].spaceAfter
}
