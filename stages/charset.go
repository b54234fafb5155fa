package stages

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// ToUTF8 converts a page to UTF-8 and returns it with the name of the encoding
// that it was read as, as the Encoding Standard names it. contentType is the
// HTTP header's, or "".
//
// A byte order mark decides. Otherwise the header's charset and the page's own
// declaration, found by the prescan of the HTML standard, are believed as far as
// the bytes bear them out:
//
//   - bytes that are UTF-8 beyond chance are UTF-8, whatever is declared; a
//     few bad bytes and an end in the middle of a character are forgiven;
//   - of two declarations that differ, the header's holds, unless the bytes
//     speak for the other;
//   - a declaration that the bytes disprove is none: UTF-8 whose characters are
//     mostly broken, an encoding in which they mean nothing, a Latin one of
//     text that has next to no Latin letters;
//   - without a declaration the encoding is detected, and windows-1252 if
//     nothing speaks for another.
//
// gb2312 and gbk are read as GB18030, which contains both. The result is always
// valid UTF-8, without a byte order mark; what cannot be read becomes U+FFFD. If
// body is valid UTF-8 already, the result shares its memory.
func ToUTF8(body []byte, contentType string) (utf8Body []byte, name string) {
	enc, name := pageEncoding(body, contentType)
	if name == "utf-8" {
		return validUTF8(bytes.TrimPrefix(body, []byte("\ufeff"))), name
	}
	out, err := enc.NewDecoder().Bytes(body)
	if err != nil {
		return validUTF8(body), "utf-8"
	}
	return validUTF8(bytes.TrimPrefix(out, []byte("\ufeff"))), name
}

// pageEncoding decides what a page is to be read as.
func pageEncoding(body []byte, contentType string) (encoding.Encoding, string) {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return encoding.Nop, "utf-8"
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		return lookupEncoding("utf-16be")
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		return lookupEncoding("utf-16le")
	}
	if name := wideText(body); name != "" {
		return lookupEncoding(name)
	}
	declared := make([]string, 0, 2)
	for _, label := range []string{charsetParam(contentType), prescan(body)} {
		if _, name := lookupEncoding(label); name != "" && !strings.HasPrefix(name, "utf-16") {
			declared = append(declared, name)
		}
	}
	census := scanUTF8(body)
	if census.good == 0 && census.bad == 0 {
		// ASCII, but for encodings that write with it what is not.
		if len(declared) > 0 && declared[0] == "iso-2022-jp" || hasJISEscape(body) {
			return lookupEncoding("iso-2022-jp")
		}
		if len(declared) > 0 && declared[0] != "replacement" {
			return lookupEncoding(declared[0])
		}
		return encoding.Nop, "utf-8"
	}
	if census.isUTF8(declared) {
		return encoding.Nop, "utf-8"
	}
	sample := textSample(body)
	if len(declared) == 2 && declared[0] != declared[1] {
		if _, detected := detectEncoding(sample); sameFamily(detected, declared[1]) && !sameFamily(detected, declared[0]) {
			declared[0] = declared[1]
		}
	}
	for _, name := range declared {
		if name == "replacement" {
			// The encodings of this name (ISO-2022-KR and others) are refused
			// by browsers, as they hide markup. What is ASCII in them stays
			// readable.
			return encoding.Nop, "utf-8"
		}
		if name == "utf-8" {
			continue // disproved above
		}
		if enc, name := lookupEncoding(name); !disproved(enc, name, sample) {
			return enc, name
		}
	}
	return detectEncoding(sample)
}

// lookupEncoding finds an encoding by a label, and returns nil and "" if there
// is none of that name.
func lookupEncoding(label string) (encoding.Encoding, string) {
	if label == "" {
		return nil, ""
	}
	enc, name := charset.Lookup(label)
	switch name {
	case "gbk":
		enc = simplifiedchinese.GB18030
	case "utf-8":
		enc = encoding.Nop
	case "replacement":
		enc = encoding.Nop
	}
	return enc, name
}

// A utf8Census counts what a text holds beyond ASCII.
type utf8Census struct {
	good int // well-formed characters of more than one byte; four may mean more
	bad  int // bytes that belong to none, but for an end that is cut
}

func scanUTF8(b []byte) (c utf8Census) {
	if utf8.Valid(b) { // nearly always, and fast
		for i := 0; i < len(b) && c.good < 4; i++ {
			for i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:])&0x8080808080808080 == 0 {
				i += 8
			}
			if i == len(b) {
				break
			}
			if b[i] >= utf8.RuneSelf && utf8.RuneStart(b[i]) {
				c.good++
			}
		}
		return c
	}
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, n := utf8.DecodeRune(b[i:])
		switch {
		case n > 1:
			c.good++
		case len(b)-i < utf8.UTFMax && !utf8.FullRune(b[i:]):
			return c
		default:
			c.bad++
		}
		i += n
	}
	return c
}

// isUTF8 reports whether the bytes are UTF-8. Text of another encoding that is
// well-formed by chance is a character or two, or three where characters have
// two bytes.
func (c utf8Census) isUTF8(declared []string) bool {
	for _, name := range declared {
		if name == "utf-8" {
			return c.good >= c.bad && c.good > 0
		}
	}
	least := 1
	if len(declared) > 0 && isMultibyte(declared[0]) {
		least = 4
	}
	return c.good >= least && c.good >= 8*c.bad
}

// wideText recognises UTF-16 without a byte order mark, which begins as a page
// does: with a tag or white space in ASCII.
func wideText(body []byte) string {
	head := body[:min(len(body), 256)&^1]
	if len(head) < 16 {
		return ""
	}
	even, odd := 0, 0
	for i, c := range head {
		if c == 0 && i%2 == 0 {
			even++
		} else if c == 0 {
			odd++
		}
	}
	most := len(head) / 2 * 9 / 10
	switch {
	case odd >= most && even == 0 && head[0] < utf8.RuneSelf:
		return "utf-16le"
	case even >= most && odd == 0 && head[1] < utf8.RuneSelf:
		return "utf-16be"
	}
	return ""
}

// hasJISEscape reports whether a text turns to two-byte characters as
// ISO-2022-JP does.
func hasJISEscape(body []byte) bool {
	for {
		i := bytes.Index(body, []byte("\x1b$"))
		if i < 0 || i+2 >= len(body) {
			return false
		}
		if c := body[i+2]; c == 'B' || c == '@' {
			return bytes.Contains(body[i:], []byte("\x1b(B")) || bytes.Contains(body[i:], []byte("\x1b(J"))
		}
		body = body[i+2:]
	}
}

// isMultibyte reports whether an encoding writes some characters in several
// bytes.
func isMultibyte(name string) bool {
	switch name {
	case "gbk", "gb18030", "big5", "euc-jp", "euc-kr", "shift_jis", "iso-2022-jp":
		return true
	}
	return false
}

// disproved reports whether a text cannot be of the encoding that it is said to
// be: one character in twenty has no meaning, or it is an encoding for Latin
// letters and most letters of the text are beyond ASCII.
func disproved(enc encoding.Encoding, name string, sample []byte) bool {
	out, err := enc.NewDecoder().Bytes(sample)
	if err != nil {
		return true
	}
	high, broken, letters, plain := 0, 0, 0, 0
	for _, c := range string(out) {
		switch {
		case c == utf8.RuneError, 0x80 <= c && c < 0xa0:
			high++
			broken++
		case c >= utf8.RuneSelf:
			high++
			if unicode.IsLetter(c) {
				letters++
			}
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			plain++
		}
	}
	return broken*20 > high || isLatin(name) && letters > 8 && letters > plain
}

// isLatin reports whether an encoding is for languages of Latin letters.
func isLatin(name string) bool {
	switch name {
	case "windows-1252", "windows-1254", "windows-1250", "windows-1257", "windows-1258", "macintosh",
		"iso-8859-2", "iso-8859-3", "iso-8859-4", "iso-8859-10", "iso-8859-13", "iso-8859-14", "iso-8859-15", "iso-8859-16":
		return true
	}
	return false
}

func validUTF8(b []byte) []byte {
	if utf8.Valid(b) { // nearly always, and faster
		return b
	}
	return bytes.ToValidUTF8(b, []byte("\ufffd"))
}
