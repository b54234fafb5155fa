package crawler

// The stored form of Tags. What is alike of all words stands together, which compresses
// best and leaves less to compress: their forms; their shapes; their tags, as numbers in a
// list. Forms come first, as a compressor that has not found anything for a while looks less
// closely.

// Form implements codec.Formed.
func (t Tags) Form() byte { return 1 }

// A shape is the length of a word with a bit that says whether a byte, a blank mostly, is
// between it and the word before. A word that is longer, that has another form than the
// text has, or is somewhere else, has shapeOther and then its numbers.
const (
	shapeLengths = 100
	shapeOther   = 255
)

// tagPair is what a word is tagged with.
type tagPair struct{ upos, xpos string }

// pairList gives pairs of tags their numbers, in the order in which they come.
type pairList struct {
	all   []tagPair
	index map[tagPair]int
	slots [64]int // number plus one of a pair that was asked for last, by its bytes
}

func (l *pairList) number(p tagPair) int {
	slot := uint(len(p.xpos) + 8*len(p.upos))
	if p.upos != "" {
		slot += 5 * uint(p.upos[0])
	}
	if p.xpos != "" {
		slot += 3*uint(p.xpos[0]) + 7*uint(p.xpos[len(p.xpos)-1])
	}
	slot %= uint(len(l.slots))
	if i := l.slots[slot] - 1; i >= 0 && l.all[i] == p {
		return i
	}
	i, ok := l.index[p]
	if !ok {
		i = len(l.all)
		l.index[p] = i
		l.all = append(l.all, p)
	}
	l.slots[slot] = i + 1
	return i
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (t Tags) MarshalBinary() ([]byte, error) {
	forms, words := 0, 0
	for i := range t.Sentences {
		tokens := t.Sentences[i].Tokens
		words += len(tokens)
		for j := range tokens {
			forms += len(tokens[j].Text)
		}
	}
	pairs := pairList{index: make(map[tagPair]int)}
	kinds, shapes := make(packed, 0, words+words/8), make(packed, 0, words+words/2)
	places := make(packed, 0, 5*len(t.Sentences))
	text := make([]byte, 0, forms)
	at := 0
	for i := range t.Sentences {
		s := &t.Sentences[i]
		places.difference(s.Start, at)
		places.difference(s.End, s.Start)
		places.number(len(s.Tokens))
		at = s.Start
		for j := range s.Tokens {
			w := &s.Tokens[j]
			kinds.number(pairs.number(tagPair{w.UPOS, w.XPOS}))
			text = append(text, w.Text...)
			if gap := w.Start - at; gap&^1 == 0 && len(w.Text) < shapeLengths && w.End-w.Start == len(w.Text) {
				shapes = append(shapes, byte(len(w.Text)<<1|gap))
			} else {
				shapes = append(shapes, shapeOther)
				shapes.number(len(w.Text))
				shapes.difference(w.Start, at)
				shapes.difference(w.End, w.Start+len(w.Text))
			}
			at = w.End
		}
		at = s.End
	}
	b := make(packed, 0, 64+len(text)+countsSize(t.Phrases)+countsSize(t.Entities)+16*len(pairs.all)+len(places)+len(shapes)+len(kinds))
	b.text(t.Language)
	b.flag(t.Tagged)
	b.number(len(text))
	b = append(b, text...)
	b.countColumns(t.Phrases)
	b.countColumns(t.Entities)
	b.number(len(pairs.all))
	for _, p := range pairs.all {
		b.text(p.upos)
		b.text(p.xpos)
	}
	b.number(len(t.Sentences))
	b = append(b, places...)
	b = append(b, shapes...)
	return append(b, kinds...), nil
}

// countColumns adds counts, of which what is alike stands together.
func (b *packed) countColumns(all []Count) {
	b.number(len(all))
	for i := range all {
		b.number(len(all[i].Text))
	}
	for i := range all {
		*b = append(*b, all[i].Text...)
	}
	for i := range all {
		b.number(all[i].Count)
	}
}

func (u *unpacker) countColumns() []Count {
	n := u.Count(2)
	if n == 0 {
		return nil
	}
	all, size := make([]Count, n), 0
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = u.Int()
		if size += sizes[i]; size > u.Len() {
			u.Fail()
			return nil
		}
	}
	text := string(u.Next(size))
	for i := range all {
		all[i].Text, text = text[:sizes[i]], text[sizes[i]:]
	}
	for i := range all {
		all[i].Count = u.Int()
	}
	return all
}

// countsSize is about how many bytes counts take.
func countsSize(all []Count) int {
	n := 4
	for i := range all {
		n += len(all[i].Text) + 3
	}
	return n
}

// UnmarshalForm implements codec.FormReader.
func (t *Tags) UnmarshalForm(form byte, data []byte) error {
	switch form {
	case 0:
		return t.unmarshal0(data)
	case 1:
		return t.UnmarshalBinary(data)
	}
	return errForm
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (t *Tags) UnmarshalBinary(data []byte) error {
	u := unpack(data)
	*t = Tags{Language: u.Text(), Tagged: u.Bool()}
	forms := u.Text()
	t.Phrases, t.Entities = u.countColumns(), u.countColumns()
	pairs := make([]tagPair, u.Count(2))
	for i := range pairs {
		pairs[i] = tagPair{u.Text(), u.Text()}
	}
	t.Sentences = make([]Sentence, u.Count(3))
	at, words := 0, 0
	for i := range t.Sentences {
		s := &t.Sentences[i]
		s.Start = u.difference(at)
		s.End = u.difference(s.Start)
		at = s.End
		n := u.Int()
		if words += n; 2*words > u.Len() { // each has a shape and a tag
			return errMalformed
		}
		s.Tokens = make([]Token, n)
	}
	for i := range t.Sentences {
		s := &t.Sentences[i]
		at = s.Start
		for j := range s.Tokens {
			w := &s.Tokens[j]
			size := 0
			switch shape := u.Byte(); {
			case shape < 2*shapeLengths:
				size = int(shape >> 1)
				w.Start = at + int(shape&1)
				w.End = w.Start + size
			case shape == shapeOther:
				size = u.Int()
				w.Start = u.difference(at)
				w.End = u.difference(w.Start + size)
			default:
				return errMalformed
			}
			if size > len(forms) {
				return errMalformed
			}
			w.Text, forms = forms[:size], forms[size:]
			at = w.End
		}
	}
	for i := range t.Sentences {
		tokens := t.Sentences[i].Tokens
		for j := range tokens {
			kind := u.Int()
			if kind >= len(pairs) {
				return errMalformed
			}
			tokens[j].UPOS, tokens[j].XPOS = pairs[kind].upos, pairs[kind].xpos
		}
	}
	if forms != "" {
		return errMalformed
	}
	return u.end()
}

// unmarshal0 reads form 0, where all numbers of a word stand together.
func (t *Tags) unmarshal0(b []byte) error {
	u := unpack(b)
	*t = Tags{Language: u.Text(), Tagged: u.Bool()}
	tags := make([][2]string, u.Count(2))
	for i := range tags {
		tags[i] = [2]string{u.Text(), u.Text()}
	}
	forms := u.Text()
	t.Sentences = make([]Sentence, u.Count(3))
	at := 0
	for i := range t.Sentences {
		s := &t.Sentences[i]
		s.Start = u.difference(at)
		s.End = u.difference(s.Start)
		s.Tokens = make([]Token, u.Count(4))
		at = s.Start
		for j := range s.Tokens {
			kind, size := u.Int(), u.Int()
			if kind >= len(tags) || size > len(forms) {
				return errMalformed
			}
			w := &s.Tokens[j]
			w.UPOS, w.XPOS = tags[kind][0], tags[kind][1]
			w.Text, forms = forms[:size], forms[size:]
			w.Start = u.difference(at)
			w.End = u.difference(w.Start + size)
			at = w.End
		}
		at = s.End
	}
	t.Phrases, t.Entities = u.counts(), u.counts()
	return u.end()
}
