package tag

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// A text is worked on in pieces, so that memory does not follow its size. A
// piece ends at the first blank line, which ends a sentence in any case, behind
// the least size. If there is none within the most it ends anywhere, at
// white space if it can, and its last sentence is begun again with the next
// piece. Where pieces end follows from the text alone: [Tagger.Tag] and
// [Tagger.TagReader] give the same sentences, however the text arrives.
type pieceSize struct{ least, most int } // in bytes

var defaultPieces = pieceSize{64 << 10, 256 << 10}

type piece struct {
	end      int
	anywhere bool // it does not end at a blank line, or with the text
}

// next returns the first piece of text, of which it looks at the most bytes of a
// piece and one more.
func (size pieceSize) next(text string) piece {
	window := text[:min(len(text), size.most)]
	for i := min(size.least, len(window)); i < len(window); {
		if c := window[i]; c > ' ' && c < utf8.RuneSelf {
			i++
			continue
		}
		n, breaks := spaces(window[i:])
		if breaks > 1 {
			return piece{end: i + n}
		}
		if n == 0 {
			_, n = utf8.DecodeRuneInString(window[i:])
		}
		i += n
	}
	if len(text) <= size.most {
		return piece{end: len(text)}
	}
	for i := len(window) - 1; i > 0; i-- {
		if c := window[i]; c == ' ' || c == '\n' {
			return piece{end: i, anywhere: true}
		}
	}
	end := len(window)
	for !utf8.RuneStart(text[end]) && end > size.most-utf8.UTFMax {
		end--
	}
	return piece{end: end, anywhere: true}
}

// add adds a tagged piece to a document; see piece.
func (m *model) add(doc *Document, from int, p piece, before gap) (next int, after gap) {
	sentence, token := len(doc.Sentences), len(doc.tokens)
	next, after = m.piece(doc, from, p, before)
	m.tagPiece(doc, sentence, token)
	return next, after
}

// TagReader tags the text that r gives, of any length, and calls fn with its
// sentences, in order and some hundreds at a time. They are those that Tag
// gives for the whole text. They, and what they point to, are valid until fn
// returns. TagReader holds less than a mebibyte of the text.
func (t *Tagger) TagReader(r io.Reader, fn func([]Sentence) error) error {
	return t.tagReader(r, defaultPieces, fn)
}

func (t *Tagger) tagReader(r io.Reader, size pieceSize, fn func([]Sentence) error) error {
	m := t.model()
	var doc Document
	buf := make([]byte, 0, size.most+1)
	before, at := gapParagraph, 0
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		if buf = buf[:len(buf)+n]; err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("tag: read text: %w", err)
		}
		if len(buf) == 0 {
			return nil
		}
		text := string(buf)
		doc.reset(text)
		next, after := m.add(&doc, 0, size.next(text), before)
		doc.share()
		doc.move(at)
		if len(doc.Sentences) > 0 {
			if err := fn(doc.Sentences); err != nil {
				return err
			}
		}
		buf = buf[:copy(buf, buf[next:])]
		before, at = after, at+next
	}
}

// move adds n to the places of everything.
func (doc *Document) move(n int) {
	for i := range doc.Sentences {
		doc.Sentences[i].Start += n
		doc.Sentences[i].End += n
	}
	for i := range doc.tokens {
		doc.tokens[i].Start += n
		doc.tokens[i].End += n
	}
}
