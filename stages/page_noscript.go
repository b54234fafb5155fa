package stages

import "bytes"

// closeFrames closes each <iframe> in a <noscript> that the page leaves open
// there, as in <noscript><iframe src="…"/></noscript>. A client that runs scripts
// takes the whole for text, so nobody has noticed; for one that does not, what is
// in an <iframe> is text up to its end tag, and that would be the rest of the
// page.
func closeFrames(body []byte) []byte {
	var out []byte
	copied := 0
	for at := 0; ; {
		start := indexTag(body[at:], "<noscript")
		if start < 0 {
			break
		}
		start += at
		length := indexTag(body[start:], "</noscript")
		if length < 0 {
			break
		}
		end := start + length
		if frame := lastTag(body[start:end], "<iframe"); frame >= 0 && indexTag(body[start+frame:end], "</iframe") < 0 {
			out = append(out, body[copied:end]...)
			out = append(out, "</iframe>"...)
			copied = end
		}
		at = end + len("</noscript")
	}
	if out == nil {
		return body
	}
	return append(out, body[copied:]...)
}

// indexTag returns where a tag begins, given in lower case, or -1.
func indexTag(b []byte, tag string) int {
	for at := 0; ; at++ {
		i := bytes.IndexByte(b[at:], '<')
		if i < 0 || len(b)-at-i < len(tag) {
			return -1
		}
		at += i
		if bytes.EqualFold(b[at:at+len(tag)], []byte(tag)) {
			return at
		}
	}
}

// lastTag is indexTag from the end.
func lastTag(b []byte, tag string) int {
	for i := len(b); ; {
		if i = bytes.LastIndexByte(b[:i], '<'); i < 0 {
			return -1
		}
		if len(b)-i >= len(tag) && bytes.EqualFold(b[i:i+len(tag)], []byte(tag)) {
			return i
		}
	}
}
