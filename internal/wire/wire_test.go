package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

func TestReaderReadsWhatWasAppended(t *testing.T) {
	b := []byte{7}
	b = binary.AppendUvarint(b, math.MaxUint64)
	b = binary.AppendVarint(b, math.MinInt64)
	b = binary.AppendUvarint(b, math.MaxInt32)
	b = AppendBool(AppendBool(b, true), false)
	b = AppendString(AppendString(b, "caf\xe9"), "")
	b = append(b, "rest"...)
	r := NewReader(b)
	if c, u, v, n := r.Byte(), r.Uvarint(), r.Varint(), r.Int(); c != 7 || u != math.MaxUint64 || v != math.MinInt64 || n != math.MaxInt32 {
		t.Errorf("read %d, %d, %d, %d", c, u, v, n)
	}
	if yes, no := r.Bool(), r.Bool(); !yes || no {
		t.Errorf("read %v, %v", yes, no)
	}
	if s, empty := r.Text(), r.Bytes(); s != "caf\xe9" || len(empty) != 0 {
		t.Errorf("read %q, %q", s, empty)
	}
	if r.Done() || r.Len() != 4 {
		t.Errorf("%d bytes are left, want 4", r.Len())
	}
	if rest := r.Rest(); string(rest) != "rest" || !r.Done() {
		t.Errorf("the rest is %q, done %v", rest, r.Done())
	}
}

func TestReaderRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		record []byte
		read   func(r *Reader)
	}{
		{"a byte of nothing", nil, func(r *Reader) { r.Byte() }},
		{"a number that is cut short", []byte{0x80}, func(r *Reader) { r.Uvarint() }},
		{"a number of more than 64 bits", bytes.Repeat([]byte{0xff}, 11), func(r *Reader) { r.Uvarint() }},
		{"a signed number that is cut short", []byte{0x80}, func(r *Reader) { r.Varint() }},
		{"an Int of 32 bits", binary.AppendUvarint(nil, 1<<31), func(r *Reader) { r.Int() }},
		{"a Bool that is 2", []byte{2}, func(r *Reader) { r.Bool() }},
		{"a string longer than the record", []byte{3, 'a', 'b'}, func(r *Reader) { r.Text() }},
		{"a length that is no int", binary.AppendUvarint(nil, math.MaxUint64), func(r *Reader) { r.Bytes() }},
		{"more things than the record can hold", []byte{3, 0, 0, 0, 0, 0}, func(r *Reader) { r.Count(2) }},
		{"fewer bytes than none", []byte{1, 2}, func(r *Reader) { r.Next(-1) }},
		{"what the caller refuses", []byte{1, 2}, func(r *Reader) { r.Fail() }},
	} {
		r := NewReader(c.record)
		if c.read(&r); r.OK() {
			t.Errorf("%s is taken", c.name)
		}
		if r.Byte() != 0 || r.Uvarint() != 0 || r.Varint() != 0 || r.Count(1) != 0 || len(r.Bytes()) != 0 || len(r.Rest()) != 0 || r.Done() {
			t.Errorf("%s: something is read after the failure", c.name)
		}
	}
}

// FuzzReader reads arbitrary records with arbitrary calls. No call may panic,
// return more than the record holds, or succeed after a failure.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"), []byte("\x03abc\x80\x01"))
	f.Add([]byte{6, 6, 4}, bytes.Repeat([]byte{0xff}, 12))
	f.Fuzz(func(t *testing.T, calls, record []byte) {
		r := NewReader(record)
		for _, call := range calls {
			left, ok := r.Len(), r.OK()
			got := 0
			switch call % 9 {
			case 0:
				r.Byte()
			case 1:
				r.Uvarint()
			case 2:
				r.Varint()
			case 3:
				if n := r.Int(); n < 0 || n > math.MaxInt32 {
					t.Fatalf("Int %d", n)
				}
			case 4:
				if n := r.Count(3); n*3 > left {
					t.Fatalf("%d things of 3 bytes in %d", n, left)
				}
			case 5:
				got = len(r.Next(int(int8(call))))
			case 6:
				got = len(r.Text())
			case 7:
				r.Bool()
			case 8:
				got = len(r.Rest())
			}
			if r.Len()+got > left {
				t.Fatalf("call %d returned %d bytes of %d and left %d", call%9, got, left, r.Len())
			}
			if !ok && (r.OK() || got > 0) {
				t.Fatalf("call %d succeeded after a failure", call%9)
			}
		}
	})
}
