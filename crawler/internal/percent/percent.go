// Package percent has the parts of percent-encoding (RFC 3986 section 2) that
// addresses and robots files share.
package percent

// Append appends the escape of c, in upper case.
func Append(out []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(out, '%', digits[c>>4], digits[c&15])
}

// Decode returns the octet that the escape at the beginning of s stands for, if
// there is one.
func Decode(s string) (c byte, ok bool) {
	if len(s) < 3 || s[0] != '%' || !isHex(s[1]) || !isHex(s[2]) {
		return 0, false
	}
	return hex(s[1])<<4 | hex(s[2]), true
}

// Unreserved reports whether c is unreserved by RFC 3986 section 2.3.
func Unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func hex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
