package crawler

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
)

// The records of which there are most, or that are longest, have a binary form:
// to write and read it costs a tenth of what JSON does.

// MarshalBinary implements encoding.BinaryMarshaler.
func (r Request) MarshalBinary() ([]byte, error) {
	b := make(packed, 0, len(r.URL)+len(r.Referrer)+12)
	b.text(r.URL)
	b.text(r.Referrer)
	b.number(r.Depth)
	b.number(r.Redirects)
	b.flag(r.Sitemap)
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (r *Request) UnmarshalBinary(b []byte) error {
	u := unpacker{rest: b}
	*r = Request{URL: u.text(), Referrer: u.text(), Depth: u.number(), Redirects: u.number(), Sitemap: u.flag()}
	return u.end()
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (d Doc) MarshalBinary() ([]byte, error) {
	b := make(packed, 0, len(d.URL)+len(d.Title)+len(d.Text)+len(d.Results)+len(d.HTML)+64)
	b.text(d.URL)
	b.text(d.ContentType)
	b.text(d.Language)
	b.text(d.Title)
	b.text(d.Text)
	b.text(string(d.Results))
	return append(b, d.HTML...), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (d *Doc) UnmarshalBinary(b []byte) error {
	u := unpacker{rest: b}
	*d = Doc{URL: u.text(), ContentType: u.text(), Language: u.text(), Title: u.text(), Text: u.text()}
	if results := u.text(); results != "" {
		d.Results = json.RawMessage(results)
	}
	d.HTML, u.rest = u.rest, nil
	return u.end()
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (c captured) MarshalBinary() ([]byte, error) {
	head, err := json.Marshal(c.Capture)
	if err != nil {
		return nil, err
	}
	b := make(packed, 0, len(head)+len(c.records)+8)
	b.text(string(head))
	return append(b, c.records...), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (c *captured) UnmarshalBinary(b []byte) error {
	u := unpacker{rest: b}
	head := u.text()
	c.records, u.rest = u.rest, nil
	if err := u.end(); err != nil {
		return err
	}
	c.Capture = Capture{}
	return json.Unmarshal([]byte(head), &c.Capture)
}

// MarshalBinary implements encoding.BinaryMarshaler. The forms of all words
// stand together, which compresses best, and tags are numbers in a list.
func (t Tags) MarshalBinary() ([]byte, error) {
	type pair struct{ upos, xpos string }
	var pairs []pair
	index := make(map[pair]int)
	forms, words := 0, 0
	for _, s := range t.Sentences {
		words += len(s.Tokens)
		for _, w := range s.Tokens {
			forms += len(w.Text)
			p := pair{w.UPOS, w.XPOS}
			if _, ok := index[p]; !ok {
				index[p] = len(pairs)
				pairs = append(pairs, p)
			}
		}
	}
	b := make(packed, 0, 512+forms+5*words)
	b.text(t.Language)
	b.flag(t.Tagged)
	b.number(len(pairs))
	for _, p := range pairs {
		b.text(p.upos)
		b.text(p.xpos)
	}
	b.number(forms)
	for _, s := range t.Sentences {
		for _, w := range s.Tokens {
			b = append(b, w.Text...)
		}
	}
	b.number(len(t.Sentences))
	at := 0
	for _, s := range t.Sentences {
		b.difference(s.Start, at)
		b.difference(s.End, s.Start)
		b.number(len(s.Tokens))
		at = s.Start
		for _, w := range s.Tokens {
			b.number(index[pair{w.UPOS, w.XPOS}])
			b.number(len(w.Text))
			b.difference(w.Start, at)
			b.difference(w.End, w.Start+len(w.Text))
			at = w.End
		}
		at = s.End
	}
	b.counts(t.Phrases)
	b.counts(t.Entities)
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (t *Tags) UnmarshalBinary(b []byte) error {
	u := unpacker{rest: b}
	*t = Tags{Language: u.text(), Tagged: u.flag()}
	tags := make([][2]string, u.length(2))
	for i := range tags {
		tags[i] = [2]string{u.text(), u.text()}
	}
	forms := u.text()
	t.Sentences = make([]Sentence, u.length(3))
	at := 0
	for i := range t.Sentences {
		s := &t.Sentences[i]
		s.Start = u.difference(at)
		s.End = u.difference(s.Start)
		s.Tokens = make([]Token, u.length(4))
		at = s.Start
		for j := range s.Tokens {
			kind, size := u.number(), u.number()
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

// packed is a record in the making.
type packed []byte

func (b *packed) number(n int) { *b = binary.AppendUvarint(*b, uint64(n)) }

// difference adds a number that is near another one.
func (b *packed) difference(n, from int) { *b = binary.AppendVarint(*b, int64(n-from)) }

func (b *packed) text(s string) {
	b.number(len(s))
	*b = append(*b, s...)
}

func (b *packed) flag(set bool) {
	if set {
		*b = append(*b, 1)
	} else {
		*b = append(*b, 0)
	}
}

func (b *packed) counts(all []Count) {
	b.number(len(all))
	for _, c := range all {
		b.text(c.Text)
		b.number(c.Count)
	}
}

var errMalformed = errors.New("record is malformed")

// unpacker reads what packed holds. Once it has met something malformed, it
// returns zeros.
type unpacker struct {
	rest []byte
	bad  bool
}

func (u *unpacker) number() int {
	v, n := binary.Uvarint(u.rest)
	if u.bad || n <= 0 || v > math.MaxInt32 {
		u.bad = true
		return 0
	}
	u.rest = u.rest[n:]
	return int(v)
}

// length reads how many things follow, each of which takes so many bytes at
// least.
func (u *unpacker) length(each int) int {
	n := u.number()
	if n > len(u.rest)/each {
		u.bad = true
		return 0
	}
	return n
}

func (u *unpacker) difference(from int) int {
	v, n := binary.Varint(u.rest)
	if u.bad || n <= 0 || v > math.MaxInt32 || v < -math.MaxInt32 {
		u.bad = true
		return 0
	}
	u.rest = u.rest[n:]
	return from + int(v)
}

func (u *unpacker) text() string {
	n := u.length(1)
	s := string(u.rest[:n])
	u.rest = u.rest[n:]
	return s
}

func (u *unpacker) flag() bool {
	n := u.number()
	u.bad = u.bad || n > 1
	return n == 1
}

func (u *unpacker) counts() []Count {
	n := u.length(2)
	if n == 0 {
		return nil
	}
	all := make([]Count, n)
	for i := range all {
		all[i] = Count{u.text(), u.number()}
	}
	return all
}

// end returns an error unless all was well and is read.
func (u *unpacker) end() error {
	if u.bad || len(u.rest) > 0 {
		return errMalformed
	}
	return nil
}
