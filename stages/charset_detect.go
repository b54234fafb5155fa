package stages

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gogs/chardet"
	"golang.org/x/text/encoding"
)

// maxSample is how much of a page the detector looks at, in bytes.
const maxSample = 64 << 10

// textSample returns the text of a page that is not ASCII, without its tags,
// and the whole page's beginning if there is none outside of them.
func textSample(body []byte) []byte {
	sample := make([]byte, 0, min(len(body), maxSample))
	for rest := body; len(rest) > 0 && len(sample) < maxSample; {
		end := bytes.IndexByte(rest, '<')
		if end < 0 {
			end = len(rest)
		}
		if text := rest[:end]; countHigh(text) > 0 {
			text = text[:min(len(text), maxSample-len(sample))]
			sample = append(append(sample, text...), '\n')
		}
		rest = rest[end:]
		if stop := bytes.IndexByte(rest, '>'); stop >= 0 {
			rest = rest[stop+1:]
		} else {
			break
		}
	}
	if len(sample) == 0 {
		first := max(bytes.IndexFunc(body, func(r rune) bool { return r >= utf8.RuneSelf }), 0)
		sample = body[first:min(len(body), first+maxSample)]
	}
	return sample
}

func countHigh(b []byte) (n int) {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

const (
	// sure is the confidence, of 100, from which the detector is believed before
	// the encodings that it does not know are tried.
	sure = 70
	// enough is how many bytes beyond ASCII tell an encoding from another.
	enough = 6
)

// undetected are the encodings that the detector does not know and whose
// languages have a script of their own. Thai is written without blanks between
// words, by which it differs from other letters in the same bytes.
var undetected = []struct {
	name   string
	script *unicode.RangeTable
	run    int // letters in a row, on the average, at the least
}{{"ibm866", unicode.Cyrillic, 1}, {"windows-874", unicode.Thai, 10}}

// detectEncoding returns the encoding that the bytes of a text speak for. The
// detector goes by how frequent characters are; what it proposes must also make
// sense of the bytes.
func detectEncoding(sample []byte) (encoding.Encoding, string) {
	if countHigh(sample) < enough {
		return lookupEncoding("windows-1252")
	}
	candidates, _ := chardet.NewTextDetector().DetectAll(sample)
	var best encoding.Encoding
	bestName, confidence := "", 0
	for _, c := range candidates {
		enc, name := lookupEncoding(c.Charset)
		if enc == nil || strings.HasPrefix(name, "utf-") || c.Confidence <= confidence || meaningless(enc, sample) {
			continue
		}
		best, bestName, confidence = enc, name, c.Confidence
	}
	if confidence < sure {
		for _, u := range undetected {
			if enc, name := lookupEncoding(u.name); isScript(enc, sample, u.script, u.run) {
				return enc, name
			}
		}
	}
	if best == nil {
		return lookupEncoding("windows-1252")
	}
	// The detector names the ISO encodings; what is on the web are the larger
	// ones of Windows, which browsers read for some of them by the same name.
	switch bestName {
	case "iso-8859-8", "iso-8859-8-i":
		if enc, name := lookupEncoding("windows-1255"); !meaningless(enc, sample) {
			return enc, name
		}
	case "iso-8859-7":
		if bytes.ContainsAny(sample, "\xa2") {
			if enc, name := lookupEncoding("windows-1253"); !meaningless(enc, sample) {
				return enc, name
			}
		}
	}
	return best, bestName
}

// meaningless reports whether the text has more than one character in a hundred
// that the encoding has none for. A cut at the end is forgiven.
func meaningless(enc encoding.Encoding, sample []byte) bool {
	out, err := enc.NewDecoder().Bytes(sample)
	if err != nil {
		return true
	}
	broken, high := 0, 0
	for i, c := range string(out) {
		switch {
		case c == utf8.RuneError && i+3 < len(out), 0x80 <= c && c < 0xa0, 0xe000 <= c && c < 0xf900:
			broken++
		case c >= utf8.RuneSelf:
			high++
		}
	}
	return broken*100 > high
}

// isScript reports whether what is beyond ASCII in a text is of one script, read
// in that encoding, with that many letters in a row, and there is enough of it
// to tell.
func isScript(enc encoding.Encoding, sample []byte, script *unicode.RangeTable, run int) bool {
	out, err := enc.NewDecoder().Bytes(sample)
	if err != nil {
		return false
	}
	in, outside, runs, inside := 0, 0, 0, false
	for _, c := range string(out) {
		was := inside
		inside = unicode.Is(script, c)
		switch {
		case inside && !was:
			runs++
			fallthrough
		case inside:
			in++
		case c >= utf8.RuneSelf && c != 0xa0:
			outside++
		}
	}
	return in >= 16 && outside*50 <= in && in >= runs*run
}

// sameFamily reports whether two names are of encodings that agree on the
// letters of their languages.
func sameFamily(a, b string) bool {
	return a == b || encodingFamily(a) == encodingFamily(b)
}

func encodingFamily(name string) string {
	switch name {
	case "gbk", "gb18030":
		return "gb18030"
	case "iso-8859-7", "windows-1253":
		return "greek"
	case "iso-8859-8", "iso-8859-8-i", "windows-1255":
		return "hebrew"
	case "koi8-r", "koi8-u":
		return "koi8"
	case "windows-1252", "iso-8859-15", "macintosh":
		return "western"
	}
	return name
}
