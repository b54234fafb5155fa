package tag

import (
	"unicode"
	"unicode/utf8"
)

const (
	maxAffix = 5  // prefixes and suffixes are up to this many letters long
	maxRunes = 48 // longer words are cut in the middle for affixes and shapes
)

// A word is what the features see of a token. All parts are hashes or small
// numbers, so that a reused slice of words needs no memory of its own.
type word struct {
	form   uint32           // the token as written, digits as 0
	low    uint32           // the same in lower case
	prefix [maxAffix]uint32 // of 1 to 5 letters, in lower case; 0 when the word is shorter
	suffix [maxAffix]uint32
	shape  uint32 // kinds of characters, runs shortened
	caps   uint32 // one of the caps constants
	class  uint16 // tag dictionary class of the form, or else of its lower case
	lex    [2]uint16
}

// Values of word.caps.
const (
	capsNone = iota
	capsFirst
	capsAll
	capsMixed
	capsSymbol // no letters
)

// analyse fills in w for the token s, whose dictionary entries it looks up.
func (x *lexicon) analyse(s string, w *word) {
	*w = word{}
	var buf [maxRunes]rune
	var kinds [maxRunes]byte
	n, total := 0, 0
	form, low := uint64(hashSeed), uint64(hashSeed)
	upper, lower, firstUpper := 0, 0, false
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		i += size
		l, kind := lowerKind(r)
		switch kind {
		case 'X':
			upper++
			if total == 0 {
				firstUpper = true
			}
		case 'x':
			lower++
		case 'd':
			r, l = '0', '0'
		}
		form = hashRune(form, r)
		low = hashRune(low, l)
		total++
		if total <= maxAffix {
			w.prefix[total-1] = hashEnd(low)
		}
		if n == maxRunes {
			copy(buf[maxRunes/2:], buf[maxRunes/2+1:])
			copy(kinds[maxRunes/2:], kinds[maxRunes/2+1:])
			n--
		}
		buf[n], kinds[n] = l, kind
		n++
	}
	w.form, w.low = hashEnd(form), hashEnd(low)
	h := uint64(hashSeed)
	for i := 0; i < maxAffix && i < n; i++ {
		h = hashRune(h, buf[n-1-i])
		w.suffix[i] = hashEnd(h)
	}
	w.shape = shapeOf(kinds[:n])
	switch {
	case upper+lower == 0:
		w.caps = capsSymbol
	case upper == 0:
		w.caps = capsNone
	case firstUpper && lower > 0 && upper == 1:
		w.caps = capsFirst
	case lower == 0 && upper > 1:
		w.caps = capsAll
	case firstUpper && lower == 0:
		w.caps = capsFirst
	default:
		w.caps = capsMixed
	}
	e := x.find(w.low)
	w.class, w.lex = e.class, e.lex
	if w.form != w.low {
		if f := x.find(w.form); f.class != 0 {
			w.class = f.class
		}
	}
}

// lowerKind returns r in lower case and its kind: X for upper case, x for
// lower case and letters without case, d for digits, s for anything above
// ASCII that is neither, and ASCII punctuation for itself.
func lowerKind(r rune) (rune, byte) {
	switch {
	case 'a' <= r && r <= 'z':
		return r, 'x'
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A', 'X'
	case '0' <= r && r <= '9':
		return r, 'd'
	case r < utf8.RuneSelf:
		return r, byte(r)
	case r == '’':
		return '\'', '\'' // so that don’t is don't
	case unicode.IsUpper(r):
		return unicode.ToLower(r), 'X'
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return r, 'x'
	case unicode.IsDigit(r):
		return r, 'd'
	}
	return r, 's'
}

func hashRune(h uint64, r rune) uint64 {
	if r < utf8.RuneSelf {
		return hashByte(h, byte(r))
	}
	h = hashByte(h, byte(r>>16)|0x80)
	h = hashByte(h, byte(r>>8))
	return hashByte(h, byte(r))
}

// shapeOf hashes the kinds of a word's characters with each run cut to two,
// so that Anna and Johannes share a shape and IBM and IT do.
func shapeOf(kinds []byte) uint32 {
	h := uint64(hashSeed)
	var last byte
	run, out := 0, 0
	for _, k := range kinds {
		if k == last {
			run++
		} else {
			last, run = k, 1
		}
		if run > 2 {
			continue
		}
		h = hashByte(h, k)
		if out++; out == 12 {
			break
		}
	}
	return hashEnd(h)
}
