package remote

import (
	"encoding/binary"
)

// What pages consist of, the requests of commits with items, records and counters, is read
// without reflection: that is what a server does most. A request that has anything else,
// or is not encoded as Go clients do it, is left to the library, as is one that is wrong.

// fastCommit reads a request in CBOR (RFC 8949) into m, if it is one of commit. It reports
// whether it could; if not, m is as it was.
func fastCommit(b []byte, v any) bool {
	request, ok := v.(*commitRequest)
	if !ok {
		return false
	}
	var m commitRequest
	r := fastReader{rest: b}
	for range r.count(mapType) {
		switch r.header(uintType) {
		case 1:
			m.Client = r.text()
		case 2:
			m.Transactions = make([]transaction, r.count(arrayType))
			for i := range m.Transactions {
				r.transaction(&m.Transactions[i])
			}
		default:
			r.fail()
		}
	}
	if r.failed || len(r.rest) != 0 {
		return false
	}
	*request = m
	return true
}

// The major types of RFC 8949, section 3.1.
const (
	uintType  = 0
	intType   = 1
	bytesType = 2
	textType  = 3
	arrayType = 4
	mapType   = 5
)

const (
	simpleFalse = 7<<5 | 20
	simpleTrue  = 7<<5 | 21
)

// fastReader takes values off the front. After the first failure it returns zeros.
type fastReader struct {
	rest   []byte
	failed bool
}

func (r *fastReader) fail() { r.failed, r.rest = true, nil }

// header reads the head of a value of a type: its value, or how many bytes or values follow.
func (r *fastReader) header(major byte) uint64 {
	if len(r.rest) == 0 || r.rest[0]>>5 != major {
		r.fail()
		return 0
	}
	low := r.rest[0] & 31
	if low < 24 {
		r.rest = r.rest[1:]
		return uint64(low)
	}
	if low > 27 || len(r.rest) < 1+1<<(low-24) { // of no definite length, or cut off
		r.fail()
		return 0
	}
	b := r.rest[1:]
	switch low {
	case 24:
		r.rest = b[1:]
		return uint64(b[0])
	case 25:
		r.rest = b[2:]
		return uint64(binary.BigEndian.Uint16(b))
	case 26:
		r.rest = b[4:]
		return uint64(binary.BigEndian.Uint32(b))
	}
	r.rest = b[8:]
	return binary.BigEndian.Uint64(b)
}

// count reads the head of an array or a map, whose values take a byte each at least.
func (r *fastReader) count(major byte) int {
	n := r.header(major)
	if n > uint64(len(r.rest)) || n > 1<<20 {
		r.fail()
		return 0
	}
	return int(n)
}

// next returns bytes of the reader's own.
func (r *fastReader) next(major byte) []byte {
	n := r.header(major)
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *fastReader) text() string { return string(r.next(textType)) }

func (r *fastReader) bytes() []byte {
	b := r.next(bytesType)
	if r.failed {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

func (r *fastReader) bool() bool {
	if len(r.rest) == 0 || r.rest[0] != simpleTrue && r.rest[0] != simpleFalse {
		r.fail()
		return false
	}
	v := r.rest[0] == simpleTrue
	r.rest = r.rest[1:]
	return v
}

func (r *fastReader) int() int64 {
	if len(r.rest) > 0 && r.rest[0]>>5 == intType {
		if n := r.header(intType); n < 1<<63 {
			return -1 - int64(n)
		}
		r.fail()
		return 0
	}
	n := r.header(uintType)
	if n >= 1<<63 {
		r.fail()
		return 0
	}
	return int64(n)
}

func (r *fastReader) transaction(t *transaction) {
	for range r.count(mapType) {
		switch r.header(uintType) {
		case 1:
			t.ID = r.text()
		case 2:
			t.Changes = make([]change, r.count(arrayType))
			for i := range t.Changes {
				r.change(&t.Changes[i])
			}
		case 3:
			t.Since = r.header(uintType)
		default:
			r.fail()
		}
		if r.failed {
			return
		}
	}
}

func (r *fastReader) change(c *change) {
	for range r.count(mapType) {
		switch r.header(uintType) {
		case 1:
			n := r.header(uintType)
			if n > 255 {
				r.fail()
			}
			c.Kind = kind(n)
		case 2:
			c.Delivery = r.header(uintType)
		case 3:
			c.Flag = r.bool()
		case 4:
			c.Name = r.text()
		case 5:
			c.Key = r.text()
		case 7:
			c.Item = new(item)
			r.item(c.Item)
		case 8:
			c.Value = r.bytes()
		case 10:
			c.Delta = r.int()
		case 11:
			c.Wait = r.int()
		default:
			r.fail()
		}
		if r.failed {
			return
		}
	}
}

func (r *fastReader) item(it *item) {
	for range r.count(mapType) {
		switch r.header(uintType) {
		case 1:
			it.Body = r.bytes()
		case 2:
			it.Key = r.text()
		case 4:
			it.Group = r.text()
		case 5:
			it.Priority = int(r.int())
		case 6:
			it.Delay = r.int()
		case 7:
			it.Wait = r.int()
		case 8:
			it.Expires = r.int()
		case 10:
			it.Batch = r.text()
		default:
			r.fail()
		}
		if r.failed {
			return
		}
	}
}
