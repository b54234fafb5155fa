package stages

import (
	"bytes"

	"golang.org/x/net/html"
)

// closeEmpty returns XHTML as HTML that means the same: elements that close
// themselves get an end tag, if HTML would take the rest of the page for their
// content, and CDATA sections become text. A page without either is returned as
// it is.
func closeEmpty(body []byte) []byte {
	body = withoutPrefix(body)
	var out []byte
	done := 0 // of body, that is in out
	for i := 0; i < len(body); {
		next := bytes.IndexByte(body[i:], '<')
		if next < 0 {
			break
		}
		i += next
		switch rest := body[i:]; {
		case bytes.HasPrefix(rest, []byte("<!--")):
			i = after(body, i, "-->")
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			end := after(body, i, "]]>")
			text := bytes.TrimSuffix(body[i+len("<![CDATA["):end], []byte("]]>"))
			out = append(out, body[done:i]...)
			if isCommentedOut(body[:i]) {
				out = append(out, text...) // script or style, where HTML knows no escapes
			} else {
				out = append(out, html.EscapeString(string(text))...)
			}
			i, done = end, end
		case len(rest) > 1 && isTagStart(rest[1:]) && rest[1] != '/':
			s := tagScanner{b: rest[1:]}
			name := s.name()
			for s.attribute() {
			}
			end := len(body) - len(s.b) // of the tag, but for ">"
			if end < len(body) {
				end++
			}
			if end-2 > i && body[end-2] == '/' && body[end-1] == '>' && !voidElements[name] {
				out = append(out, body[done:end-2]...)
				out = append(out, "></"+name+">"...)
				done = end
			}
			i = end
		default:
			i++
		}
	}
	if done == 0 {
		return body
	}
	return append(out, body[done:]...)
}

// withoutPrefix returns XHTML without the prefix of its elements, if the root has
// one, as in <h:html xmlns:h="http://www.w3.org/1999/xhtml">.
func withoutPrefix(body []byte) []byte {
	head := body[:min(len(body), sniffLen)]
	end := bytes.Index(head, []byte(":html"))
	start := bytes.LastIndexByte(head[:max(end, 0)], '<') + 1
	if start == 0 || xmlType(head[start-1:]) != "application/xhtml+xml" {
		return body
	}
	prefix := string(head[start : end+1])
	body = bytes.ReplaceAll(body, []byte("<"+prefix), []byte("<"))
	return bytes.ReplaceAll(body, []byte("</"+prefix), []byte("</"))
}

// after returns where the first end behind i ends, or the end of b.
func after(b []byte, i int, end string) int {
	if n := bytes.Index(b[i:], []byte(end)); n >= 0 {
		return i + n + len(end)
	}
	return len(b)
}

// isCommentedOut reports whether what comes next is hidden from HTML by a
// comment of a script or a style sheet, as XHTML for all readers is written.
func isCommentedOut(before []byte) bool {
	before = bytes.TrimRight(before, " \t")
	return bytes.HasSuffix(before, []byte("//")) || bytes.HasSuffix(before, []byte("/*"))
}

// voidElements never have content in HTML, so that a slash at their end makes no
// difference.
var voidElements = map[string]bool{
	"area": true, "base": true, "br": true, "col": true, "embed": true, "hr": true, "img": true, "input": true,
	"link": true, "meta": true, "param": true, "source": true, "track": true, "wbr": true, "frame": true,
}
