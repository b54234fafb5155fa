package weburl

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-301537d8/weir/crawler/internal/percent"
)

// Resolve returns the canonical form of a reference found in the page u: of a
// link, a form, a redirect, a <base>. If the page has a <base href>, resolve
// that against the page first and the page's links against the result.
//
// As browsers do, it drops blanks and control characters around the
// reference, and tabs and line breaks within; it reads a backslash as a slash
// before the query; and it takes text as UTF-8. Bytes that are not UTF-8, as a
// header may have them, are percent-encoded as they stand, which browsers do
// too. Credentials are removed and never sent: nobody gave them to the crawl.
// Errors are [*Error], with [NotHTTP] for javascript:, mailto: and the like.
//
// A page of another encoding has its own bytes in the queries of its links: see
// [EncodeQuery].
func (u URL) Resolve(href string) (URL, error) {
	ref := strip(href)
	scheme := schemeOf(ref)
	if scheme != "" && !isHTTP(scheme) {
		e := refuse(NotHTTP, href)
		e.Scheme = strings.ToLower(cut(scheme))
		return URL{}, e
	}
	if i := strings.IndexByte(ref, '#'); i >= 0 {
		ref = ref[:i]
	}
	if scheme == "" && u.IsZero() {
		return URL{}, refuse(NotAbsolute, href)
	}
	if len(ref) > MaxLength {
		return URL{}, refuse(TooLong, href)
	}
	v, reason := u.resolve(slashes(ref), scheme)
	if reason == "" && len(v.s) > MaxLength {
		reason = TooLong
	}
	if reason != "" {
		return URL{}, refuse(reason, href)
	}
	return v, nil
}

// resolve resolves a reference that has passed strip and slashes and has no
// fragment. Scheme is its own, if any.
func (u URL) resolve(ref, scheme string) (URL, Reason) {
	var stack [512]byte
	out := stack[:0]
	rest := ref
	isHTTPS := u.Scheme() == "https"
	if scheme != "" {
		rest = ref[len(scheme)+1:]
		same := !u.IsZero() && isHTTPS == (len(scheme) == len("https"))
		isHTTPS = len(scheme) == len("https")
		if !same && !strings.HasPrefix(rest, "//") {
			// The slashes were forgotten; any number of them will do.
			rest = "//" + rest
		}
	}

	switch {
	case strings.HasPrefix(rest, "//"):
		out = append(out, "http://"...)
		if isHTTPS {
			out = append(out[:0], "https://"...)
		}
		authority, behind := cutAuthority(strings.TrimLeft(rest, "/"))
		out, reason := appendAuthority(out, authority, isHTTPS)
		if reason != "" {
			return URL{}, reason
		}
		return finish(out, len(out), behind), ""
	case rest == "":
		return u, ""
	case rest[0] == '?':
		out = append(out, u.s[:u.query]...)
	case rest[0] == '/':
		out = append(out, u.Origin()...)
	default:
		path := u.Path()
		out = append(out, u.Origin()...)
		out = append(out, path[:strings.LastIndexByte(path, '/')]...)
	}
	return finish(out, int(u.path), rest), ""
}

// cutAuthority splits what follows "//" into the authority, which it frees
// from credentials, and the rest.
func cutAuthority(s string) (authority, rest string) {
	authority = s
	if i := strings.IndexAny(s, "/?"); i >= 0 {
		authority, rest = s[:i], s[i:]
	}
	return authority[strings.LastIndexByte(authority, '@')+1:], rest
}

// appendAuthority appends host and port of an authority.
func appendAuthority(out []byte, authority string, https bool) ([]byte, Reason) {
	if quick, ok := appendPlainAuthority(out, authority, https); ok {
		return quick, ""
	}
	scheme := "http"
	if https {
		scheme = "https"
	}
	host, reason := fullAuthority(scheme, authority)
	return append(out, host...), reason
}

// finish appends path and query to out, which already holds the authority and
// perhaps the directory that a relative path starts from; the path begins at
// pathStart.
func finish(out []byte, pathStart int, rest string) URL {
	path, query := rest, ""
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		path, query = rest[:i], rest[i:]
	}
	out = appendPath(out, pathStart, path)
	u := URL{path: int32(pathStart), query: int32(len(out))}
	if query != "" {
		out = append(out, '?')
		out = appendEscaped(out, query[1:], &queryClass)
	}
	u.s = string(out)
	return u
}

// appendPlainAuthority appends an authority that is a domain name in ASCII
// letters, digits, '-' and '_', or an IPv4 address in dotted decimal, perhaps
// with a port in digits. It declines anything else.
func appendPlainAuthority(out []byte, authority string, https bool) (_ []byte, ok bool) {
	start := len(out)
	label := start
	i := 0
host:
	for ; i < len(authority); i++ {
		c := authority[i]
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_':
			out = append(out, c)
		case 'A' <= c && c <= 'Z':
			out = append(out, c|0x20)
		case c == '.':
			if !plainLabel(out[label:]) {
				return nil, false
			}
			out = append(out, '.')
			label = len(out)
		case c == ':':
			break host
		default:
			return nil, false
		}
	}
	// A last label that begins with a digit may be an IPv4 address.
	if !plainLabel(out[label:]) || '0' <= out[label] && out[label] <= '9' && !isDottedDecimal(out[start:]) {
		return nil, false
	}
	if i == len(authority) {
		return out, true
	}

	digits := authority[i+1:]
	if len(digits) > 5 {
		return nil, false
	}
	port := 0
	for _, c := range []byte(digits) {
		if c < '0' || '9' < c {
			return nil, false
		}
		port = port*10 + int(c-'0')
	}
	isDefault := digits == "" || https && port == 443 || !https && port == 80
	if port > 65535 || isDefault {
		return out, port <= 65535
	}
	out = append(out, ':')
	return strconv.AppendInt(out, int64(port), 10), true
}

// isDottedDecimal reports whether a host is an IPv4 address in canonical form:
// four numbers up to 255 without leading zeros.
func isDottedDecimal(host []byte) bool {
	numbers, n, digits := 1, 0, 0
	for _, c := range host {
		switch {
		case c == '.' && digits > 0 && numbers < 4:
			numbers, n, digits = numbers+1, 0, 0
		case '0' <= c && c <= '9' && (digits == 0 || n > 0):
			n, digits = n*10+int(c-'0'), digits+1
			if n > 255 {
				return false
			}
		default:
			return false
		}
	}
	return numbers == 4 && digits > 0
}

// plainLabel reports whether a lower-case label of a domain name needs no
// check by the rules for international names.
func plainLabel(label []byte) bool {
	if len(label) == 0 || len(label) > 63 {
		return false
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return len(label) < 4 || label[2] != '-' || label[3] != '-'
}

// appendPath appends the segments of path to out, resolving dot segments
// against what stands there from start on. An empty path leaves the one that
// is there, or becomes "/".
func appendPath(out []byte, start int, path string) []byte {
	if path == "" {
		if len(out) == start {
			out = append(out, '/')
		}
		return out
	}
	if path[0] == '/' {
		path = path[1:]
	}
	for {
		segment, more := path, false
		if i := strings.IndexByte(path, '/'); i >= 0 {
			segment, path, more = path[:i], path[i+1:], true
		}
		switch dots(segment) {
		case 0:
			out = append(out, '/')
			out = appendEscaped(out, segment, &pathClass)
		case 2:
			for len(out) > start {
				out = out[:len(out)-1]
				if out[:len(out)+1][len(out)] == '/' {
					break
				}
			}
			fallthrough
		case 1:
			if !more {
				out = append(out, '/')
			}
		}
		if !more {
			return out
		}
	}
}

// dots returns 1 for a "." segment, 2 for a ".." segment, with dots escaped or
// not, and 0 for others.
func dots(segment string) int {
	if segment == "" || segment[0] != '.' && segment[0] != '%' {
		return 0
	}
	n := 0
	for segment != "" {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && segment[0] == '%' && segment[1] == '2' && segment[2]|0x20 == 'e':
			segment = segment[3:]
		default:
			return 0
		}
		if n++; n > 2 {
			return 0
		}
	}
	return n
}

// appendEscaped appends s with its percent-escapes in canonical form, and with
// escapes for what class does not permit.
//
// A '%' that begins no escape is left alone, as browsers leave it. An escape
// directly behind one is then never decoded: it could complete an escape that
// was none before ("%%34%31" must not become "%41").
func appendEscaped(out []byte, s string, class *[256]bool) []byte {
	bare := -3 // index in out of the last '%' that begins no escape
	for i := 0; i < len(s); {
		run := i
		for i < len(s) && class[s[i]] {
			i++
		}
		out = append(out, s[run:i]...)
		if i == len(s) {
			break
		}
		c := s[i]
		v, escaped := percent.Decode(s[i:])
		switch {
		case escaped:
			if percent.Unreserved(v) && len(out)-bare > 2 {
				out = append(out, v)
			} else {
				out = percent.Append(out, v)
			}
			i += 3
		case c == '%':
			bare = len(out)
			out = append(out, c)
			i++
		case c < utf8.RuneSelf:
			out = percent.Append(out, c)
			i++
		default:
			out = percent.Append(out, c)
			i++
		}
	}
	return out
}

// pathClass and queryClass say which bytes stand for themselves: those outside
// the path and the special-query percent-encode sets of the URL Standard, but
// for '%', which needs a look at what follows.
var (
	pathClass  = classWithout("\"#<>?^`{}%")
	queryClass = classWithout("\"#<>'%")
)

func classWithout(escaped string) (class [256]bool) {
	for c := '!'; c <= '~'; c++ {
		class[c] = !strings.ContainsRune(escaped, c)
	}
	return class
}

// strip removes C0 controls and spaces around s, and tabs and line breaks
// within, as the basic parser of the URL Standard begins.
func strip(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	for i := 0; i < len(s); i++ {
		if s[i] == '\t' || s[i] == '\n' || s[i] == '\r' {
			return strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
		}
	}
	return s
}

// slashes turns the backslashes of s before the query into slashes.
func slashes(s string) string {
	end := strings.IndexByte(s, '?')
	if end < 0 {
		end = len(s)
	}
	if strings.IndexByte(s[:end], '\\') < 0 {
		return s
	}
	return strings.ReplaceAll(s[:end], `\`, "/") + s[end:]
}

// schemeOf returns what stands before the first ':' of s if it is a scheme,
// and "" otherwise.
func schemeOf(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		case i > 0 && c == ':':
			return s[:i]
		default:
			return ""
		}
	}
	return ""
}

func isHTTP(scheme string) bool {
	return len(scheme) == 4 && strings.EqualFold(scheme, "http") ||
		len(scheme) == 5 && strings.EqualFold(scheme, "https")
}
