// Package wire reads the binary records of the project: varints as
// encoding/binary has them, and strings with their length in front.
//
// Whoever writes a record appends to a slice, with binary.AppendUvarint and
// [AppendString]. Whoever reads one takes it apart with a [Reader] in the same
// order, and asks once, at the end, whether all went well.
package wire

import (
	"encoding/binary"
	"math"
)

// AppendString appends a string with its length in front.
func AppendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendBool appends a byte that is 1 or 0.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// A Reader takes values off the front of a record. What it is given may be
// anything: it never panics, and what it returns is never longer than the record.
// After the first failure every call returns a zero value, and OK is false.
type Reader struct {
	rest   []byte
	failed bool
}

// NewReader returns a Reader of a record, whose bytes it does not copy.
func NewReader(record []byte) Reader { return Reader{rest: record} }

// OK reports whether everything could be read so far.
func (r *Reader) OK() bool { return !r.failed }

// Done reports whether everything could be read, and nothing is left.
func (r *Reader) Done() bool { return !r.failed && len(r.rest) == 0 }

// Len returns how many bytes are left.
func (r *Reader) Len() int { return len(r.rest) }

// Fail makes the record malformed: for a caller that has read something which
// cannot be.
func (r *Reader) Fail() { r.failed, r.rest = true, nil }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.rest) == 0 {
		r.Fail()
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

// Bool reads what AppendBool has written.
func (r *Reader) Bool() bool {
	c := r.Byte()
	if c > 1 {
		r.Fail()
	}
	return c == 1
}

// Uvarint reads an unsigned number.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Varint reads a signed number.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Int reads an unsigned number of at most 31 bits.
func (r *Reader) Int() int {
	v := r.Uvarint()
	if v > math.MaxInt32 {
		r.Fail()
		return 0
	}
	return int(v)
}

// Count reads how many things follow, each of which takes so many bytes at least,
// so that a false count makes nobody allocate more than the record is long.
func (r *Reader) Count(each int) int {
	n := r.Uvarint()
	if n > uint64(len(r.rest)/each) {
		r.Fail()
		return 0
	}
	return int(n)
}

// Next reads n bytes, which share memory with the record.
func (r *Reader) Next(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.Fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// Bytes reads a string with its length in front. The bytes share memory with the
// record.
func (r *Reader) Bytes() []byte { return r.Next(r.Count(1)) }

// Text is Bytes as a string of its own.
func (r *Reader) Text() string { return string(r.Bytes()) }

// Rest reads all that is left. The bytes share memory with the record.
func (r *Reader) Rest() []byte {
	b := r.rest
	r.rest = nil
	return b
}
