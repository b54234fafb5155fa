package crawler

import (
	"encoding/base32"
	"strings"
)

// A Capture is stored like a Page: its names are not, and what follows from another of its
// fields is short. There is one for each answer.

// sha1Form is what a digest begins with that has 20 bytes behind it.
const sha1Form = "sha1:"

// MarshalBinary implements encoding.BinaryMarshaler.
func (c Capture) MarshalBinary() ([]byte, error) {
	sum, err := base32.StdEncoding.DecodeString(strings.TrimPrefix(c.Digest, sha1Form))
	short := err == nil && sha1Form+base32.StdEncoding.EncodeToString(sum) == c.Digest
	b := make(packed, 0, 160+len(c.URL)+len(c.Key))
	b.flag(short)
	if b.text(c.URL); short {
		b.text(string(sum))
	} else {
		b.text(c.Digest)
	}
	for _, s := range []string{c.MIME, c.File, c.Archive, c.Truncated, c.Revisit} {
		b.text(s)
	}
	for _, n := range []int64{int64(c.Status), c.Offset, c.Length} {
		b.signed(n)
	}
	b.near(c.Key, c.URL)
	b.near(c.RefersTo, c.URL)
	if b, err = appendTime(b, c.Time); err != nil {
		return nil, err
	}
	return appendTime(b, c.RefersAt)
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (c *Capture) UnmarshalBinary(data []byte) error {
	u := unpack(data)
	short := u.Bool()
	*c = Capture{URL: u.Text(), Digest: u.Text()}
	if short {
		c.Digest = sha1Form + base32.StdEncoding.EncodeToString([]byte(c.Digest))
	}
	for _, s := range []*string{&c.MIME, &c.File, &c.Archive, &c.Truncated, &c.Revisit} {
		*s = u.Text()
	}
	c.Status, c.Offset, c.Length = int(u.Varint()), u.Varint(), u.Varint()
	c.Key, c.RefersTo = u.near(c.URL), u.near(c.URL)
	c.Time, c.RefersAt = u.time(), u.time()
	return u.end()
}
