package robots

import "strings"

// normalize brings escapes into one form, so that octets can be compared (RFC
// 9309 section 2.2.2). It is applied to addresses and to the literal parts of
// patterns:
//
//   - escapes are in upper case;
//   - octets that no URI may contain are escaped: "/ツ" is "/%E3%83%84";
//   - escaped unreserved characters are decoded: "%7E" is "~";
//   - escaped reserved characters are decoded where they delimit nothing:
//     ":@!'(),;[]" everywhere, "/" and "?" in a query. This is the RFC's rule
//     that both spellings are one, in the direction that keeps patterns as
//     people write them;
//   - "*" and "$", which in patterns mean something else, are escaped (section
//     2.2.3: "%2A" in a pattern is a "*" in an address).
//
// A pattern's query begins behind its first "?". One without is read as a path,
// so that "/*%2Fa" does not match a "/a" within a query.
//
// inQuery says whether s begins within the query; the result is the same for
// what follows s.
func normalize(s string, inQuery bool) (_ string, inQueryAfter bool) {
	if i := strings.IndexFunc(s, needsWork); i < 0 {
		return s, inQuery || strings.IndexByte(s, '?') >= 0
	}
	out := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		c := s[i]
		escaped := c == '%' && i+2 < len(s) && ishex(s[i+1]) && ishex(s[i+2])
		if escaped {
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		switch {
		case unreserved(c), strings.IndexByte(":@!'(),;[]", c) >= 0:
			out = append(out, c)
		case c == '/' || c == '?':
			if escaped && !inQuery {
				out = appendEscape(out, c)
				break
			}
			inQuery = inQuery || c == '?'
			out = append(out, c)
		case strings.IndexByte("#&+=%", c) >= 0 && !escaped:
			out = append(out, c)
		default:
			out = appendEscape(out, c)
		}
	}
	return string(out), inQuery
}

// needsWork reports whether normalize might change r. Errors of UTF-8 are
// above ASCII, too.
func needsWork(r rune) bool {
	return r <= ' ' || r >= 0x7f || r == '%' || strings.IndexByte("*$\"<>\\^`{|}", byte(r)) >= 0
}

// normalizeGoogle is what Google's parser does to patterns: escapes in upper
// case and octets above ASCII escaped.
func normalizeGoogle(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%' && i+2 < len(s) && ishex(s[i+1]) && ishex(s[i+2]):
			out = appendEscape(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case c >= 0x80:
			out = appendEscape(out, c)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func appendEscape(out []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(out, '%', digits[c>>4], digits[c&15])
}

func ishex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func unreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// target returns the path and query of an absolute URL, or of what is one
// already.
func target(url string) string {
	if !strings.HasPrefix(url, "/") || strings.HasPrefix(url, "//") {
		if i := strings.Index(url, "//"); i >= 0 {
			url = url[i+2:]
		}
		i := strings.IndexAny(url, "/?#")
		if i < 0 {
			return "/"
		}
		url = url[i:]
	}
	if i := strings.IndexByte(url, '#'); i >= 0 {
		url = url[:i]
	}
	if !strings.HasPrefix(url, "/") {
		url = "/" + url
	}
	return url
}
