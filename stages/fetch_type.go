package stages

import (
	"bytes"
	"net/http"
	"strings"
)

// vagueTypes say nothing of what a body is: servers send them for files whose
// type they do not know.
var vagueTypes = map[string]bool{
	"": true, "application/octet-stream": true, "application/unknown": true, "binary/octet-stream": true,
	"unknown/unknown": true, "*/*": true, "application/x-unknown": true, "content/unknown": true,
}

// contentType returns the Content-Type of a header: of several, the last that
// is one (Fetch standard, "extract a MIME type").
func contentType(h http.Header) string {
	values := h["Content-Type"]
	for i := len(values) - 1; i >= 0; i-- {
		if mediaType(values[i]) != "" {
			return values[i]
		}
	}
	return ""
}

// mediaType returns the media type of a Content-Type, in lower case and without
// parameters, however badly those are written. What has no slash is no type.
func mediaType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	t, _, _ = strings.Cut(t, ",")
	t = strings.ToLower(strings.TrimSpace(t))
	if kind, sub, ok := strings.Cut(t, "/"); !ok || kind == "" || sub == "" {
		return ""
	}
	return t
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
		if t := xmlType(head); t == "application/xhtml+xml" {
			return t
		}
	case declared == "text/html":
		if t := xmlType(head); t == "application/rss+xml" || t == "application/atom+xml" {
			return t
		}
		return binaryType(head)
	case declared == "text/plain" || declared == "application/xhtml+xml":
		return binaryType(head)
	}
	return ""
}

// sniffUnknown returns the type of a body of which nothing is known.
func sniffUnknown(head []byte) string {
	if len(head) == 0 {
		return "text/plain"
	}
	found := http.DetectContentType(head)
	t := mediaType(found)
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

// binaryType returns the type of binary data, or "" for text, and for what has
// no known signature.
func binaryType(head []byte) string {
	if len(head) == 0 {
		return ""
	}
	found := http.DetectContentType(head)
	t := mediaType(found)
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
		default:
			return rootType(head)
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
