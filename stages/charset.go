package stages

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
)

// charsetWindow is how far into a page its own declaration is looked for. The
// HTML standard says 1,024 bytes; pages with long comments or scripts in front
// declare theirs later.
const charsetWindow = 16 << 10

// ToUTF8 converts a page to UTF-8 and returns it with the name of the encoding
// that it was read as. contentType is the HTTP header's, or "".
//
// A byte order mark decides first, then the header's charset, then the page's
// own <meta>; where none is known, UTF-8 if the bytes are valid, else
// windows-1252. Two lies are common enough to be seen through: windows-1252 (or
// ISO-8859-1) declared on bytes that are valid UTF-8 beyond ASCII, and UTF-8
// declared on bytes that hold none.
//
// The result is always valid UTF-8, without a byte order mark; what cannot be
// read becomes U+FFFD. If body is valid UTF-8 already, the result shares its
// memory.
func ToUTF8(body []byte, contentType string) (utf8Body []byte, name string) {
	if rest, ok := bytes.CutPrefix(body, []byte("\xef\xbb\xbf")); ok {
		return validUTF8(rest), "utf-8"
	}
	enc, name := declaredEncoding(body, contentType)
	valid, high, multi := scanUTF8(body)
	switch {
	case name == "" && valid, name == "windows-1252" && valid && high:
		return body, "utf-8"
	case name == "utf-8" && valid:
		return body, name
	case name == "", name == "utf-8" && !multi && len(body) > 0:
		enc, name = charset.Lookup("windows-1252")
	case name == "utf-8":
		return validUTF8(body), name
	case name == "replacement":
		// The encodings of this name (ISO-2022-KR and others) are refused by
		// browsers, as they hide markup. What is ASCII in them stays readable.
		return validUTF8(body), name
	}
	out, err := enc.NewDecoder().Bytes(body)
	if err != nil {
		return validUTF8(body), "utf-8"
	}
	return validUTF8(bytes.TrimPrefix(out, []byte("\ufeff"))), name
}

// declaredEncoding returns what the byte order mark, the header or the page
// declares, and "" if that is nothing known.
func declaredEncoding(body []byte, contentType string) (encoding.Encoding, string) {
	switch {
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		return charset.Lookup("utf-16be")
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		return charset.Lookup("utf-16le")
	}
	if label := charsetParam(contentType); label != "" {
		if e, name := charset.Lookup(label); e != nil {
			return e, name
		}
	}
	label := metaCharset(body[:min(len(body), charsetWindow)])
	e, name := charset.Lookup(label)
	if e == nil {
		return nil, ""
	}
	if strings.HasPrefix(name, "utf-16") {
		// A declaration that can be read byte by byte is not UTF-16; the HTML
		// standard says to take UTF-8.
		return charset.Lookup("utf-8")
	}
	return e, name
}

func charsetParam(contentType string) string {
	if contentType == "" {
		return ""
	}
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		return params["charset"]
	}
	return charsetAfter(strings.ToLower(contentType))
}

// metaCharset finds the charset that a page's <meta> or XML declaration names.
func metaCharset(head []byte) string {
	s := strings.ToLower(string(head))
	if strings.HasPrefix(s, "<?xml") {
		if end := strings.Index(s, "?>"); end > 0 {
			if _, after, ok := strings.Cut(s[:end], "encoding"); ok {
				if label := charsetValue(after); label != "" {
					return label
				}
			}
		}
	}
	for {
		i := strings.Index(s, "<meta")
		if i < 0 {
			return ""
		}
		s = s[i+len("<meta"):]
		end := strings.IndexByte(s, '>')
		if end < 0 {
			return ""
		}
		if label := charsetAfter(s[:end]); label != "" {
			return label
		}
		s = s[end:]
	}
}

func charsetAfter(s string) string {
	_, after, ok := strings.Cut(s, "charset")
	if !ok {
		return ""
	}
	return charsetValue(after)
}

// charsetValue reads `="utf-8"` in all the ways it is written.
func charsetValue(s string) string {
	s = strings.TrimLeft(s, " \t\r\n")
	s, ok := strings.CutPrefix(s, "=")
	if !ok {
		return ""
	}
	s = strings.TrimLeft(s, " \t\r\n\"'")
	end := strings.IndexAny(s, " \t\r\n\"';,/>?")
	if end >= 0 {
		s = s[:end]
	}
	return s
}

// scanUTF8 reports whether b is valid UTF-8, whether it has bytes beyond ASCII,
// and whether it has at least one well-formed character beyond ASCII.
func scanUTF8(b []byte) (valid, high, multi bool) {
	if utf8.Valid(b) {
		for _, c := range b {
			if c >= utf8.RuneSelf {
				return true, true, true
			}
		}
		return true, false, false
	}
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			b = b[1:]
			continue
		}
		if _, n := utf8.DecodeRune(b); n > 1 {
			return false, true, true
		}
		b = b[1:]
	}
	return false, true, false
}

func validUTF8(b []byte) []byte { return bytes.ToValidUTF8(b, []byte("\ufffd")) }
