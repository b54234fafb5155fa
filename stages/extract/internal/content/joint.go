package content

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A joint is what two texts are to one another that stand in elements side by
// side, without white space between them. Browsers show these as one word, but
// that styles set most of them apart: a name and a role, a price and its unit.
type joint uint8

const (
	noJoint   joint = iota
	weakJoint       // between elements that mark letters in words too
	joinedBox       // between elements of their own
	apart           // on either side of what is no part of the words beside it
)

// marking are the elements that mark letters within words.
var marking = map[atom.Atom]bool{
	atom.B: true, atom.I: true, atom.Em: true, atom.Strong: true, atom.U: true, atom.S: true, atom.Sub: true, atom.Sup: true,
	atom.Mark: true, atom.Font: true, atom.Small: true, atom.Big: true, atom.Code: true, atom.Kbd: true, atom.Tt: true,
	atom.Var: true, atom.Ins: true, atom.Del: true, atom.Q: true, atom.Abbr: true, atom.Ruby: true, atom.Rb: true,
}

// jointBefore returns the joint between an inline element and what stands right
// before it.
func jointBefore(n *html.Node) joint {
	before := n.PrevSibling
	for before != nil && before.Type == html.CommentNode {
		before = before.PrevSibling
	}
	if before == nil || before.Type != html.ElementNode || before.DataAtom == atom.Wbr {
		return noJoint
	}
	if isBare(n) || isBare(before) || len(n.Attr) == 0 && len(before.Attr) == 0 && n.DataAtom == before.DataAtom {
		return weakJoint
	}
	return joinedBox
}

// isBare reports whether an element marks letters and has no class, by which it
// might be something else: an icon, a label.
func isBare(n *html.Node) bool { return marking[n.DataAtom] && attr(n, "class") == "" }

// isNote reports whether an element is the mark of a note: a link that is raised.
func isNote(n *html.Node) bool {
	return n.DataAtom == atom.Sup && n.FirstChild != nil && n.FirstChild == n.LastChild && n.FirstChild.DataAtom == atom.A
}

// jointBeforeText returns the joint between a text and what stands right before it.
func jointBeforeText(n *html.Node) joint {
	before := n.PrevSibling
	if before == nil || before.Type != html.ElementNode || len(before.Attr) == 0 || before.DataAtom == atom.A || isBare(before) {
		return noJoint
	}
	return weakJoint
}

// parts reports whether two texts that meet at a joint are words of their own:
// where a capital follows a small letter or the end of a sentence; between
// elements of their own also where each ends or begins with two letters or
// digits. Scripts that put no space between words are left alone.
func (j joint) parts(before, after string) bool {
	if j == noJoint || before == "" || after == "" {
		return false
	}
	last, size := utf8.DecodeLastRuneInString(before)
	first, width := utf8.DecodeRuneInString(after)
	if unspaced(last) || unspaced(first) {
		return false
	}
	if j == apart {
		return isWordRune(last) && isWordRune(first)
	}
	second, _ := utf8.DecodeRuneInString(after[width:])
	if unicode.IsUpper(first) && (unicode.IsLetter(second) || unicode.IsSpace(second)) {
		switch last {
		case '.', '!', '?', ':', ';', ',', ')', '”', '"':
			return true
		}
		if unicode.IsLower(last) && size < len(before) && isWordRune(beforeLast(before, size)) {
			return true
		}
	}
	return j == joinedBox && isWordRune(last) && isWordRune(first) && isWordRune(second) && isWordRune(beforeLast(before, size))
}

// beforeLast returns the last rune but one.
func beforeLast(s string, size int) rune {
	r, _ := utf8.DecodeLastRuneInString(s[:len(s)-size])
	return r
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func unspaced(r rune) bool {
	return r >= 0x0E00 && (r < 0x1100 && unicode.In(r, unicode.Thai, unicode.Lao, unicode.Myanmar) || unicode.In(r, unicode.Khmer, unicode.Han, unicode.Hiragana, unicode.Katakana))
}
