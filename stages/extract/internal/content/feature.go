package content

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/atom"
)

// A vector collects the features of one block or page. Their order is part of
// the model: whoever changes it trains the model anew.
type vector []float32

func (v *vector) add(values ...float32) { *v = append(*v, values...) }

func (v *vector) is(b bool) {
	var x float32
	if b {
		x = 1
	}
	*v = append(*v, x)
}

func (v *vector) log(n int32) { *v = append(*v, float32(math.Log1p(float64(max(n, 0))))) }

func share(a, b int32) float32 {
	if b <= 0 {
		return 0
	}
	return float32(a) / float32(b)
}

// level returns the ancestor of an element so many levels up, or the topmost.
func (p *Page) level(i int32, up int) int32 {
	for ; up > 0 && p.elements[i].parent >= 0; up-- {
		i = p.elements[i].parent
	}
	return i
}

// A kind is a kind of block by its element.
type kind uint8

var kinds = map[atom.Atom]kind{
	atom.P: 1, atom.H1: 2, atom.H2: 3, atom.H3: 4, atom.H4: 5, atom.H5: 5, atom.H6: 5, atom.Li: 6, atom.Td: 7, atom.Th: 7,
	atom.Tr: 7, atom.Pre: 8, atom.Dt: 9, atom.Dd: 10, atom.Div: 11, atom.Button: 12, atom.Label: 13, atom.Figcaption: 14,
	atom.Caption: 14, atom.Summary: 15, atom.Section: 16, atom.Article: 16, atom.Blockquote: 17, atom.Body: 18,
}

// scan walks the blocks for what depends on their order.
type scan struct {
	word         int32
	sinceHeading int32
	headings     int32
	sinceTop     int32 // blocks since the first h1, or -1
	headingLevel float32
}

// pageVector returns the features that say something of the page as a whole,
// without its linear scores.
func (p *Page) pageVector() vector {
	f := &p.facts
	var all counts
	if len(p.elements) > 0 {
		all = p.elements[0].sum
	}
	var v vector
	v.log(all.words)
	v.log(all.blocks)
	v.log(all.paragraphWords)
	v.add(share(all.linkWords, all.words), share(all.paragraphWords, all.words), share(all.words, all.blocks), share(all.stops, all.words))
	v.log(int32(f.paragraphs))
	v.log(int32(f.headings))
	v.log(int32(f.items))
	v.log(int32(f.rows))
	v.log(int32(f.pres))
	v.log(int32(f.forms))
	v.log(int32(f.articles))
	v.log(int32(f.buttons))
	v.log(int32(f.prices))
	for t := claimsArticle; t <= claimsOther; t <<= 1 {
		v.is(f.types&t != 0)
	}
	v.add(float32(f.pathDepth), float32(f.pathDigits), float32(f.pathLen))
	// The largest group of twins with running text: posts of a forum, say; and
	// that of those with links: cards.
	var posts, cards, postWords, cardWords int32
	for i := range p.elements {
		e := &p.elements[i]
		if e.twin != 0 || e.twins < 2 {
			continue
		}
		switch {
		case e.sum.paragraphWords > 20 && e.sum.linkWords*3 < e.sum.words:
			if int32(e.twins) > posts {
				posts, postWords = int32(e.twins), e.sum.words
			}
		case e.sum.words > 3 && e.sum.linkWords*2 > e.sum.words:
			if int32(e.twins) > cards {
				cards, cardWords = int32(e.twins), e.sum.words
			}
		}
	}
	v.log(posts)
	v.log(postWords)
	v.log(cards)
	v.log(cardWords)
	if len(p.elements) > 0 {
		l := &p.elements[p.longest]
		v.add(float32(l.depth), share(l.sum.paragraphWords, all.paragraphWords), share(l.sum.words, all.words), share(l.sum.linkWords, l.sum.words))
	} else {
		v.add(0, 0, 0, 0)
	}
	return v
}

// blockVector appends the features of block i: of itself, of its place, and of
// what stands around it. linear are its linear scores.
func (p *Page) blockVector(v vector, i int, s *scan, page vector, linear [linears]float32) vector {
	b := &p.Blocks[i]
	e := &p.elements[b.elem]
	all := p.elements[0].sum

	// The text.
	shape := shapeOf(b.Text)
	v.log(b.words)
	v.add(share(b.linkWords, b.words), share(int32(len(b.Text)), b.words), shape.digits, shape.upper, shape.nonLatin)
	v.log(b.stops)
	v.is(shape.endsSentence)
	v.is(shape.startsUpper)
	v.is(shape.copyright)
	v.is(shape.price)
	v.is(shape.colon)
	v.add(shape.bars, shape.lines)
	v.add(linear[:]...)
	inTitle, inSummary, n := int32(0), int32(0), int32(0)
	eachWord(clip(b.Text, 600), func(h uint32) {
		n++
		if p.facts.title[h] {
			inTitle++
		}
		if p.facts.summary[h] {
			inSummary++
		}
	})
	v.add(share(inTitle, n), share(inTitle, int32(len(p.facts.title))), share(inSummary, n), share(inSummary, int32(len(p.facts.summary))))
	v.is(b.Source == FromJSONLD)
	// More words than there are between blanks: an address.
	v.is(strings.Contains(clip(b.Text, 10), "://"))
	v.add(float32(n) / float32(max(fields(clip(b.Text, 600)), 1)))
	p.orderVector(&v, i)

	// The place.
	v.add(float32(kinds[e.node.DataAtom]), float32(e.depth))
	for _, in := range []place{
		inNav, inHeader, inFooter, inAside, inForm, inArticle, inMain, inTable, inList, inHidden, inDialog, inButton, inHeading,
		inFigure, inQuote, inDetails, inDefinitions, inLabel, inPre, inNoscript, inItemprop,
	} {
		v.is(e.place&in != 0)
	}
	v.add(share(int32(i), int32(len(p.Blocks))), share(s.word, all.words))
	v.log(int32(i))
	v.log(int32(len(p.Blocks) - i))
	v.log(s.sinceHeading)
	v.log(s.headings)
	v.add(float32(s.sinceTop), s.headingLevel)

	// The elements around.
	at := b.elem
	for up := range 5 {
		if up > 0 {
			at = p.level(at, 1)
		}
		a := &p.elements[at]
		v.log(a.sum.words)
		v.add(share(a.sum.linkWords, a.sum.words), share(a.sum.paragraphWords, a.sum.words))
		if up > 0 {
			v.log(a.sum.blocks)
			v.log(int32(a.twins))
			v.add(share(a.sum.words, all.words))
		}
	}
	at = p.level(b.elem, 8)
	v.log(p.elements[at].sum.words)
	v.add(share(p.elements[at].sum.linkWords, p.elements[at].sum.words))

	// The nearest element that has twins: a card, a post, a row.
	at = b.elem
	for up := 0; up < 10 && p.elements[at].parent >= 0 && p.elements[at].twins < 2; up++ {
		at = p.elements[at].parent
	}
	p.twinVector(&v, at, all)
	// And the farthest within ten: the largest group.
	largest := b.elem
	at = b.elem
	for range 10 {
		if p.elements[at].twins >= 2 && p.elements[at].sum.words >= 2*p.elements[largest].sum.words {
			largest = at
		}
		if p.elements[at].parent < 0 {
			break
		}
		at = p.elements[at].parent
	}
	p.twinVector(&v, largest, all)

	// The element with most of the running text.
	l := &p.elements[p.longest]
	inside := int32(i) >= l.firstBlock && int32(i) < l.lastBlock
	v.is(inside)
	switch {
	case int32(i) < l.firstBlock:
		v.add(float32(int32(i) - l.firstBlock))
	case int32(i) >= l.lastBlock:
		v.add(float32(int32(i) - l.lastBlock + 1))
	default:
		v.add(0)
	}

	// The neighbours.
	for _, d := range []int{-3, -2, -1, 1, 2, 3} {
		j := i + d
		if j < 0 || j >= len(p.Blocks) {
			v.add(0, 0, 0)
			continue
		}
		o := &p.Blocks[j]
		v.log(o.words)
		v.add(share(o.linkWords, o.words))
		v.is(p.elements[o.elem].signature == e.signature)
	}
	v.add(page...)
	return v
}

// fields returns how many words there are between white space.
func fields(s string) (n int) {
	for range strings.FieldsSeq(s) {
		n++
	}
	return n
}

// twinVector adds what is known of a group of twins.
func (p *Page) twinVector(v *vector, at int32, all counts) {
	a := &p.elements[at]
	v.log(int32(a.twins))
	v.add(share(int32(a.twin), int32(a.twins)))
	v.log(a.sum.words)
	v.add(share(a.sum.linkWords, a.sum.words), share(a.sum.paragraphWords, a.sum.words))
	if a.parent >= 0 {
		g := &p.elements[a.parent]
		v.add(share(g.sum.words, all.words), share(g.sum.linkWords, g.sum.words))
		v.log(g.sum.words / max(int32(a.twins), 1))
	} else {
		v.add(0, 0, 0)
	}
}

// pass notes a block for those after it.
func (s *scan) pass(p *Page, b *Block) {
	e := &p.elements[b.elem]
	s.word += b.words
	s.sinceHeading++
	if s.sinceTop > 0 {
		s.sinceTop++
	}
	switch e.node.DataAtom {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		s.sinceHeading = 0
		s.headings++
		s.headingLevel = float32(e.node.Data[1] - '0')
		if e.node.DataAtom == atom.H1 && s.sinceTop == 0 {
			s.sinceTop = 1
		}
	}
}

// A shape is what the letters of a text look like.
type shape struct {
	digits, upper, nonLatin, bars, lines               float32
	endsSentence, startsUpper, copyright, price, colon bool
}

func shapeOf(s string) shape {
	var digits, upper, letters, wide, bars, lines float32
	sample := clip(s, 1000)
	var first rune
	var sh shape
	for _, c := range sample {
		if first == 0 && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			first = c
		}
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'A' && c <= 'Z':
			upper++
			letters++
		case c >= 'a' && c <= 'z':
			letters++
		case c == '|' || c == '•' || c == '·' || c == '›' || c == '»':
			bars++
		case c == '\n':
			lines++
		case c == '©':
			sh.copyright = true
		case c == '$' || c == '€' || c == '£' || c == '¥' || c == '₹':
			sh.price = true
		case c >= 0x80:
			letters++
			if c >= 0x250 {
				wide++
			}
		}
	}
	n := float32(utf8.RuneCountInString(sample))
	sh.digits, sh.upper, sh.nonLatin = digits/max(n, 1), upper/max(letters, 1), wide/max(n, 1)
	sh.bars, sh.lines = bars, lines
	sh.startsUpper = unicode.IsUpper(first)
	end := strings.TrimRight(s, `"'”’)] `)
	if end != "" {
		c, _ := utf8.DecodeLastRuneInString(end)
		sh.endsSentence = strings.ContainsRune(".!?。！？…", c)
		sh.colon = c == ':' || c == '：'
	}
	return sh
}

// linearTokens returns the bags of block i: the hashed names of the nearest three
// elements, and those of the elements farther out; its first words; and those of
// the heading before it. It writes over what it is given.
func (p *Page) linearTokens(i int, t [bags][]uint32) [bags][]uint32 {
	for k := range t {
		t[k] = t[k][:0]
	}
	b := &p.Blocks[i]
	at := b.elem
	for up := range 12 {
		e := &p.elements[at]
		bag := 0
		if up >= 3 {
			bag = 1
		}
		t[bag] = append(t[bag], p.tokens[e.tokens[0]:e.tokens[1]]...)
		if e.parent < 0 {
			break
		}
		at = e.parent
	}
	t[2] = textTokens(b.Text, t[2])
	if h := p.order.heading[i]; h >= 0 {
		t[3] = textTokens(p.Blocks[h].Text, t[3])
	}
	return t
}

// linearScores returns what the linear models say of the bags of a block.
func (m *Model) linearScores(t [bags][]uint32) (scores [linears]float32) {
	for k := range scores {
		scores[k] = m.block[k].score(t[k%bags])
	}
	return scores
}
