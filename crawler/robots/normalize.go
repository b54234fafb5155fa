package robots

import (
	"strings"

	"github.com/seed-301537d8/weir/crawler/internal/percent"
)

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
		octet, escaped := percent.Decode(s[i:])
		if escaped {
			c = octet
			i += 2
		}
		switch {
		case percent.Unreserved(c), strings.IndexByte(":@!'(),;[]", c) >= 0:
			out = append(out, c)
		case c == '/' || c == '?':
			if escaped && !inQuery {
				out = percent.Append(out, c)
				break
			}
			inQuery = inQuery || c == '?'
			out = append(out, c)
		case strings.IndexByte("#&+=%", c) >= 0 && !escaped:
			out = append(out, c)
		default:
			out = percent.Append(out, c)
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
		if c, ok := percent.Decode(s[i:]); ok {
			out = percent.Append(out, c)
			i += 2
		} else if s[i] >= 0x80 {
			out = percent.Append(out, s[i])
		} else {
			out = append(out, s[i])
		}
	}
	return string(out)
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
