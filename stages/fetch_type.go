package stages

import (
	"bytes"
	"cmp"
	"net/http"
	"strings"
)

// vagueTypes say nothing of what a body is: servers send them for files whose
// type they do not know.
var vagueTypes = map[string]bool{
	"": true, "application/octet-stream": true, "application/unknown": true, "binary/octet-stream": true,
	"unknown/unknown": true, "*/*": true, "application/x-unknown": true, "content/unknown": true,
}

// contentType returns the Content-Type of a header: of several, be they lines or
// between commas, the last that is one. It has the charset of an earlier one of
// the same type if it names none (Fetch standard, "extract a MIME type").
func contentType(h http.Header) string {
	found := ""
	for _, line := range h["Content-Type"] {
		for v := range strings.SplitSeq(line, ",") {
			switch t := MediaType(v); {
			case t == "", t == "*/*" && found != "":
			case t == MediaType(found) && charsetParam(v) == "":
			default:
				found = strings.TrimSpace(v)
			}
		}
	}
	return found
}

// MediaType returns the media type of a Content-Type, in lower case and without
// parameters, however badly those are written. What is not two tokens with a
// slash between them is no type (RFC 9110 section 8.3.1), and gives "".
func MediaType(contentType string) string {
	t := strings.TrimSpace(contentType)
	if end := strings.IndexAny(t, "; \t,("); end >= 0 {
		t = t[:end]
	}
	kind, sub, _ := strings.Cut(t, "/")
	if !isToken(kind) || !isToken(sub) {
		return ""
	}
	return strings.ToLower(t)
}

// isToken reports whether s is a token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// MatchType reports whether a media type is one of the patterns.
func MatchType(t string, patterns []string) bool {
	for _, p := range patterns {
		if p == t || p == "*/*" {
			return true
		}
		if before, after, ok := strings.Cut(p, "*"); ok &&
			len(t) >= len(p) && strings.HasPrefix(t, before) && strings.HasSuffix(t, after) {
			return true
		}
	}
	return false
}

// sniffLen is how much of a body its type is told by: the "resource header" of
// the MIME Sniffing standard.
const sniffLen = 1445

// sniffType returns the type of a body where the declared one says nothing or
// is plainly wrong, and "" where the declared one stands. It follows the MIME
// Sniffing standard in that plain text is never HTML, HTML may be a feed, and
// text has no binary bytes whatever it begins with; and goes beyond it in that
// binary data sent as text is what it is, and XML with an html root is XHTML.
func sniffType(declared string, body []byte) string {
	head := bytes.TrimPrefix(body[:min(len(body), sniffLen)], []byte("\ufeff"))
	switch {
	case vagueTypes[declared]:
		return sniffUnknown(head)
	case declared == "text/xml" || declared == "application/xml":
		if t := xmlType(head); t == "application/xhtml+xml" || t == "text/html" {
			return t
		}
	case declared == "text/html":
		if t := xmlType(head); t == "application/rss+xml" || t == "application/atom+xml" {
			return t
		}
		return binaryType(head)
	case declared == "text/plain" && bytes.IndexByte(head, 0) >= 0 && !hasMark(head) && wideText(head) == "":
		return cmp.Or(binaryType(head), "application/octet-stream")
	case declared == "text/plain" || declared == "application/xhtml+xml":
		return binaryType(head)
	}
	return ""
}

// sniffUnknown returns the type of a body of which nothing is known.
func sniffUnknown(head []byte) string {
	head = bytes.TrimLeft(head, " \t\r\n\f")
	switch {
	case len(head) == 0:
		return "text/plain"
	case beginsWithTag(head):
		return "text/html"
	}
	found := http.DetectContentType(head)
	t := MediaType(found)
	switch {
	case t == "text/xml":
		if x := xmlType(head); x != "" {
			return x
		}
		return t
	case strings.HasPrefix(t, "text/"):
		return t // without the charset, which is a guess
	case !isBinary(head) && t != "application/pdf" && t != "application/postscript":
		return "text/plain" // that begins with BM, say
	}
	return found
}

// beginsWithTag reports whether a text begins with the tag of an element that
// authors begin pages with and that the MIME Sniffing standard does not list.
func beginsWithTag(head []byte) bool {
	for _, name := range []string{"meta", "link", "base", "center", "form", "ul", "img", "noscript"} {
		if hasTagName(head, name) {
			return true
		}
	}
	return false
}

// hasMark reports whether a text begins with a byte order mark of UTF-16.
func hasMark(head []byte) bool {
	return bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff"))
}

// binaryType returns the type of binary data, or "" for text, and for what has
// no known signature.
func binaryType(head []byte) string {
	if len(head) == 0 {
		return ""
	}
	found := http.DetectContentType(head)
	t := MediaType(found)
	switch {
	case strings.HasPrefix(t, "text/"), t == "application/octet-stream":
		return ""
	case isBinary(head), t == "application/pdf", t == "application/postscript":
		return found
	}
	return ""
}

// isBinary reports whether there is a "binary data byte" of the MIME Sniffing
// standard: a control character that no text has.
func isBinary(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b {
			return true
		}
	}
	return false
}

// xmlType returns the type that the root element of an XML file stands for, or
// "" if it is none of those known here.
func xmlType(head []byte) string {
	const doctype = "<!doctype html"
	isPage := false
	for {
		head = bytes.TrimLeft(head, " \t\r\n\f")
		end := ""
		switch {
		case bytes.HasPrefix(head, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(head, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(head, []byte("<!")):
			end = ">"
			isPage = len(head) >= len(doctype) && strings.EqualFold(string(head[:len(doctype)]), doctype)
			if isPage && head[2] == 'd' {
				return "text/html" // XML has it in capitals
			}
		default:
			if t := rootType(head); t != "" || !isPage {
				return t
			}
			return "text/html"
		}
		i := bytes.Index(head, []byte(end))
		if i < 0 {
			return ""
		}
		head = head[i+len(end):]
	}
}

func rootType(head []byte) string {
	head, ok := bytes.CutPrefix(head, []byte("<"))
	if !ok {
		return ""
	}
	name := head
	if end := bytes.IndexAny(head, " \t\r\n\f/>"); end >= 0 {
		name = head[:end]
	}
	switch string(name) {
	case "html":
		return "application/xhtml+xml"
	case "rss", "rdf:RDF":
		return "application/rss+xml"
	case "feed":
		return "application/atom+xml"
	}
	if bytes.HasSuffix(name, []byte(":html")) && bytes.Contains(head, []byte("http://www.w3.org/1999/xhtml")) {
		return "application/xhtml+xml"
	}
	return ""
}
