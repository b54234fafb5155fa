package warc

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// SURT returns the key by which pywb and the Wayback Machine sort and look up an
// http or https address: com,example)/path?a&b for http://www.example.com/path?b&a.
// It follows their canonicaliser, package surt of the Internet Archive, rule by
// rule: the host reversed at its dots, IPv4 addresses too, without www., www2. and
// the default port; everything in lower case; escapes undone as often as there
// are any and done once; dot segments, doubled and trailing slashes and session
// ids removed; parameters sorted.
func SURT(address string) string {
	address, _, _ = strings.Cut(strings.TrimSpace(address), "#")
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		scheme, rest = "http", address
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	path, query, _ := strings.Cut(path, "?")
	key := []byte(surtHost(scheme, authority) + ")")
	key = append(key, surtPath(path)...)
	if q := surtQuery(query); len(q) > 0 {
		key = append(append(key, '?'), q...)
	}
	return string(key)
}

var wwwDigits = regexp.MustCompile(`^www[0-9]*\.`)

func surtHost(scheme, authority string) string {
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
	}
	host = strings.Trim(host, "[]")
	host = strings.Trim(strings.ReplaceAll(string(unescapeAll([]byte(host))), "..", "."), ".")
	host = strings.ToLower(string(escapeOnce([]byte(host))))
	host = wwwDigits.ReplaceAllString(host, "")
	labels := strings.Split(host, ".")
	slices.Reverse(labels)
	host = strings.Join(labels, ",")
	if port != "" && !(scheme == "http" && port == "80") && !(scheme == "https" && port == "443") {
		host += ":" + port
	}
	return host
}

// pathSessions are session ids of ASP.NET in a path.
var pathSessions = []*regexp.Regexp{
	regexp.MustCompile(`^(.*/)\((?:[a-z]\([0-9a-z]{24}\))+\)/([^?]+\.aspx.*)$`),
	regexp.MustCompile(`^(.*/)\([0-9a-z]{24}\)/([^?]+\.aspx.*)$`),
}

func surtPath(path string) []byte {
	p := bytes.ToLower(escapeOnce(plainPath(unescapeAll([]byte(path)))))
	for _, re := range pathSessions {
		p = re.ReplaceAll(p, []byte("$1$2"))
	}
	if len(p) > 1 && p[len(p)-1] == '/' {
		p = p[:len(p)-1]
	}
	return p
}

// plainPath removes dot segments and doubled slashes.
func plainPath(path []byte) []byte {
	if len(path) == 0 {
		return []byte("/")
	}
	var kept [][]byte
	for _, segment := range bytes.Split(path, []byte("/"))[1:] {
		switch {
		case string(segment) == ".":
		case string(segment) == ".." && len(kept) > 0:
			kept = kept[:len(kept)-1]
		default:
			kept = append(kept, segment)
		}
	}
	out := []byte("/")
	for i, segment := range kept {
		out = append(out, segment...)
		if i < len(kept)-1 && len(segment) > 0 {
			out = append(out, '/')
		}
	}
	return out
}

// querySessions are session ids in a query; what follows them is kept.
var querySessions = []*regexp.Regexp{
	regexp.MustCompile(`(?i)^(.*)jsessionid=[0-9a-z]{32}(?:&(.*))?$`),
	regexp.MustCompile(`(?i)^(.*)phpsessid=[0-9a-z]{32}(?:&(.*))?$`),
	regexp.MustCompile(`(?i)^(.*)sid=[0-9a-z]{32}(?:&(.*))?$`),
	regexp.MustCompile(`(?i)^(.*)aspsessionid[a-z]{8}=[a-z]{24}(?:&(.*))?$`),
	regexp.MustCompile(`(?i)^(.*)cfid=[^&]+&cftoken=[^&]+(?:&(.*))?$`),
}

func surtQuery(query string) []byte {
	q := escapeOnce(unescapeAll([]byte(query)))
	for _, re := range querySessions {
		q = re.ReplaceAll(q, []byte("$1$2"))
	}
	q = bytes.ToLower(q)
	if len(q) <= 1 {
		return q
	}
	arguments := bytes.Split(q, []byte("&"))
	slices.SortStableFunc(arguments, func(a, b []byte) int {
		name, value, has := bytes.Cut(a, []byte("="))
		other, otherValue, otherHas := bytes.Cut(b, []byte("="))
		switch c := bytes.Compare(name, other); {
		case c != 0:
			return c
		case has != otherHas && has:
			return 1
		case has != otherHas:
			return -1
		}
		return bytes.Compare(value, otherValue)
	})
	return bytes.Join(arguments, []byte("&"))
}

var escapeExpr = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// unescapeAll undoes escapes until there are none.
func unescapeAll(b []byte) []byte {
	for escapeExpr.Match(b) {
		b = escapeExpr.ReplaceAllFunc(b, func(e []byte) []byte {
			var c byte
			_, _ = fmt.Sscanf(string(e[1:]), "%02x", &c)
			return []byte{c}
		})
	}
	return b
}

// escapeOnce escapes what is no letter, digit or punctuation of ASCII, and "%"
// and "#".
func escapeOnce(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == '%' || c == '#' {
			out = fmt.Appendf(out, "%%%02X", c)
			continue
		}
		out = append(out, c)
	}
	return out
}
