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

var (
	errMalformed = errors.New("record is malformed")
	errForm      = errors.New("record has a form that is unknown: a later version has written it")
)

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
