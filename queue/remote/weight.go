package remote

// What a message takes in memory may be hundreds of times its length: a change is a byte at
// least, and a struct. So it is weighed before it is decoded.

const (
	objectWeight = 320 // bytes of an object of a message: a change, an item
	valueWeight  = 24  // and of any other value
)

// weigh returns how many bytes a message takes at most when it is decoded, beside those of
// its own. It may be anything: what is wrong with it is not found here.
func weigh(b []byte, binary bool) int {
	if binary {
		w := cborWeight{rest: b}
		for len(w.rest) > 0 {
			w.value(0)
		}
		return w.sum
	}
	sum, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{':
			sum += objectWeight
		case c == ',', c == '[':
			sum += valueWeight
		}
	}
	return sum
}

// cborWeight takes values of CBOR off the front.
type cborWeight struct {
	rest []byte
	sum  int
}

// maxNested is how deeply the values of a message may be nested.
const maxNested = 16

// value weighs the next value. What cannot be read has no weight, as it is not decoded.
func (w *cborWeight) value(depth int) {
	if len(w.rest) == 0 || depth > maxNested {
		w.rest = nil
		return
	}
	major, low := w.rest[0]>>5, w.rest[0]&31
	if low == 31 { // of no definite length; or its end, which has no weight
		w.rest = w.rest[1:]
		switch major {
		case bytesType, textType, arrayType, mapType:
			w.sum += objectWeight
			for len(w.rest) > 0 && w.rest[0] != 0xff {
				w.value(depth + 1)
			}
			w.rest = w.rest[min(1, len(w.rest)):]
		}
		return
	}
	r := fastReader{rest: w.rest}
	n := r.header(major)
	w.rest = r.rest
	w.sum += valueWeight
	switch major {
	case bytesType, textType:
		w.rest = w.rest[min(n, uint64(len(w.rest))):]
	case mapType:
		w.sum += objectWeight
		for range n {
			if w.value(depth + 1); len(w.rest) == 0 {
				break
			}
			w.value(depth + 1)
		}
	case arrayType:
		for range n {
			if len(w.rest) == 0 {
				break
			}
			w.value(depth + 1)
		}
	case 6: // a tag
		w.value(depth + 1)
	}
}
