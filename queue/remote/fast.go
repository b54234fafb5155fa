package remote

import (
	"encoding/binary"
)

// What pages consist of, the requests of commits with items, records and counters, is read
// without reflection: that is what a server does most. A request that has anything else,
// or is not encoded as Go clients do it, is left to the library, as is one that is wrong.
//
// It is read twice. The first time nothing is kept, but it is known afterwards that all of
// it can be read so. The second time each change goes into the transaction as it is read, and
// what is kept of it is the request's own memory where the store makes a copy anyway.

// fastCommit reads a request in CBOR (RFC 8949) into m, if it is one of commit; the changes
// of its transactions are left to transaction.each. It returns how many transactions and
// changes there are, and whether it could; if not, m is as it was. One of more transactions
// than a call may have is left to the library, once it has been weighed.
func fastCommit(b []byte, v any) (objects int, ok bool) {
	request, ok := v.(*commitRequest)
	if !ok {
		return 0, false
	}
	var m commitRequest
	r := fastReader{rest: b, checking: true}
	for range r.count(mapType) {
		switch r.header(uintType) {
		case 1:
			m.Client = string(r.next(textType))
		case 2:
			n := r.count(arrayType)
			if n > maxTransactions {
				return 0, false
			}
			m.Transactions = make([]transaction, n)
			objects += n
			for i := range m.Transactions {
				objects += r.transaction(&m.Transactions[i])
			}
		default:
			r.fail()
		}
	}
	if r.failed || len(r.rest) != 0 {
		return 0, false
	}
	*request = m
	return objects, true
}

// each calls fn with the changes in their order, until it returns an error. A change is
// fn's until it returns.
func (t *transaction) each(fn func(*change) error) error {
	for i := range t.Changes {
		if err := fn(&t.Changes[i]); err != nil {
			return err
		}
	}
	if t.unread == nil {
		return nil
	}
	r := fastReader{rest: t.unread, text: string(t.unread)}
	var c change
	var it item
	for range r.count(arrayType) {
		c = change{}
		r.change(&c, &it)
		if err := fn(&c); err != nil {
			return err
		}
	}
	return nil
}

// len returns how many changes there are.
func (t *transaction) len() int {
	if t.unread == nil {
		return len(t.Changes)
	}
	r := fastReader{rest: t.unread}
	return r.count(arrayType)
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
	rest     []byte
	text     string // all that there was to read, unless checking
	failed   bool
	checking bool // nothing is kept of what is read

	name, group string // the last ones
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

// string returns a text of its own.
func (r *fastReader) string() string {
	b := r.next(textType)
	if r.checking {
		return ""
	}
	return string(b)
}

// again is string for one that is often the same as the last.
func (r *fastReader) again(last *string) string {
	b := r.next(textType)
	if r.checking {
		return ""
	}
	if *last != string(b) {
		*last = string(b)
	}
	return *last
}

// part returns a text that is a part of all that there was to read, for who does not keep it.
func (r *fastReader) part() string {
	n := len(r.next(textType))
	if r.checking || r.failed {
		return ""
	}
	end := len(r.text) - len(r.rest)
	return r.text[end-n : end]
}

// bytes returns bytes of their own.
func (r *fastReader) bytes() []byte {
	b := r.next(bytesType)
	if r.failed || r.checking {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

// bytesPart returns bytes of the request, for who does not keep them.
func (r *fastReader) bytesPart() []byte {
	b := r.next(bytesType)
	return b[:len(b):len(b)]
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

// transaction reads one but for its changes, and returns how many those are.
func (r *fastReader) transaction(t *transaction) (changes int) {
	for range r.count(mapType) {
		switch r.header(uintType) {
		case 1:
			t.ID = string(r.next(textType))
		case 2:
			begin := r.rest
			changes = r.count(arrayType)
			var c change
			var it item
			for range changes {
				if r.change(&c, &it); r.failed {
					return 0
				}
			}
			t.unread = begin[:len(begin)-len(r.rest)]
		case 3:
			t.Since = r.header(uintType)
		default:
			r.fail()
		}
		if r.failed {
			return 0
		}
	}
	return changes
}

// change reads a change into c, and its item, if it has one, into it.
func (r *fastReader) change(c *change, it *item) {
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
			c.Name = r.again(&r.name)
		case 5:
			c.Key = r.string()
		case 7:
			*it = item{}
			c.Item = it
			r.item(it)
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
			it.Body = r.bytesPart()
		case 2:
			it.Key = r.part()
		case 4:
			it.Group = r.again(&r.group)
		case 5:
			it.Priority = int(r.int())
		case 6:
			it.Delay = r.int()
		case 7:
			it.Wait = r.int()
		case 8:
			it.Expires = r.int()
		case 10:
			it.Batch = r.string()
		default:
			r.fail()
		}
		if r.failed {
			return
		}
	}
}
