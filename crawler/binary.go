package crawler

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/seed-301537d8/weir/internal/wire"
)

// The records of which there are most, or that are longest, have a binary form:
// to write and read it costs a tenth of what JSON does.

// MarshalBinary implements encoding.BinaryMarshaler.
func (d Doc) MarshalBinary() ([]byte, error) {
	history := []byte{}
	if d.history != nil {
		var err error
		if history, err = json.Marshal(d.history); err != nil {
			return nil, err
		}
	}
	b := make(packed, 0, len(d.URL)+len(d.Title)+len(d.Text)+len(d.Results)+len(history)+len(d.HTML)+64)
	b.text(d.URL)
	b.text(d.Key)
	b.text(d.Label)
	b.number(d.Depth)
	b.flag(d.NoFollow)
	b.text(d.ContentType)
	b.text(d.Language)
	b.text(d.Title)
	b.text(d.Text)
	b.text(string(d.Results))
	b.text(string(history))
	return append(b, d.HTML...), nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (d *Doc) UnmarshalBinary(b []byte) error {
	u := unpack(b)
	*d = Doc{
		URL: u.Text(), Key: u.Text(), Label: u.Text(), Depth: u.Int(), NoFollow: u.Bool(),
		ContentType: u.Text(), Language: u.Text(), Title: u.Text(), Text: u.Text(),
	}
	if results := u.Text(); results != "" {
		d.Results = json.RawMessage(results)
	}
	history := u.Text()
	d.HTML = u.Rest()
	if err := u.end(); err != nil || history == "" {
		return err
	}
	d.history = new(History)
	if err := json.Unmarshal([]byte(history), d.history); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (c Captured) MarshalBinary() ([]byte, error) {
	head, err := json.Marshal(c.Capture)
	if err != nil {
		return nil, err
	}
	b := make(packed, 0, len(head)+len(c.records)+8)
	b.text(string(head))
	return append(b, c.records...), nil
}

// Compressed says that nothing is left to compress.
func (c Captured) Compressed() bool { return true }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (c *Captured) UnmarshalBinary(b []byte) error {
	u := unpack(b)
	head := u.Text()
	c.records = u.Rest()
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

// packed is a record in the making.
type packed []byte

func (b *packed) number(n int) { *b = binary.AppendUvarint(*b, uint64(n)) }

func (b *packed) signed(n int64) { *b = binary.AppendVarint(*b, n) }

// difference adds a number that is near another one.
func (b *packed) difference(n, from int) { b.signed(int64(n - from)) }

func (b *packed) text(s string) {
	*b = wire.AppendString(*b, s)
}

func (b *packed) flag(set bool) { *b = wire.AppendBool(*b, set) }

func (b *packed) counts(all []Count) {
	b.number(len(all))
	for _, c := range all {
		b.text(c.Text)
		b.number(c.Count)
	}
}

var errMalformed = errors.New("record is malformed")

// unpacker reads what packed holds.
type unpacker struct{ wire.Reader }

func unpack(b []byte) unpacker { return unpacker{wire.NewReader(b)} }

func (u *unpacker) difference(from int) int {
	v := u.Varint()
	if v > math.MaxInt32 || v < -math.MaxInt32 {
		u.Fail()
		return 0
	}
	return from + int(v)
}

func (u *unpacker) counts() []Count {
	n := u.Count(2)
	if n == 0 {
		return nil
	}
	all := make([]Count, n)
	for i := range all {
		all[i] = Count{u.Text(), u.Int()}
	}
	return all
}

// end returns an error unless all was well and is read.
func (u *unpacker) end() error {
	if !u.Done() {
		return errMalformed
	}
	return nil
}
