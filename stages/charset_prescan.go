package stages

import (
	"bytes"
	"mime"
	"strings"
)

// prescanWindow is how far into a page its own declaration is looked for. The
// HTML standard says 1,024 bytes; pages with long comments or scripts in front
// declare theirs later.
const prescanWindow = 16 << 10

// charsetParam returns the charset of a Content-Type.
func charsetParam(contentType string) string {
	if contentType == "" {
		return ""
	}
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		return strings.Trim(params["charset"], "'\"")
	}
	return charsetIn(strings.NewReplacer(`"`, "", "'", "").Replace(contentType))
}

// prescan returns the label of the encoding that a page declares, by "prescan a
// byte stream to determine its encoding" of the HTML standard: an XML
// declaration, or a meta element that is no part of a comment, a script or
// another tag's attribute.
func prescan(body []byte) string {
	b := body[:min(len(body), prescanWindow)]
	if bytes.HasPrefix(b, []byte("<?xml")) {
		if end := bytes.Index(b, []byte("?>")); end > 0 {
			if _, after, ok := strings.Cut(string(b[:end]), "encoding"); ok {
				if label := declaredLabel(valueAfterEquals(after)); label != "" {
					return label
				}
			}
		}
	}
	for len(b) > 0 {
		i := bytes.IndexByte(b, '<')
		if i < 0 {
			return ""
		}
		b = b[i:]
		switch {
		case bytes.HasPrefix(b, []byte("<!--")):
			// "<!-->" is a whole comment.
			end := bytes.Index(b[2:], []byte("-->"))
			if end < 0 {
				return ""
			}
			b = b[2+end+3:]
		case hasTagName(b, "meta"):
			s := tagScanner{b: b[len("<meta"):]}
			if label := declaredLabel(s.metaCharset()); label != "" {
				return label
			}
			b = s.b
		case len(b) > 1 && isTagStart(b[1:]):
			s := tagScanner{b: b[1:]}
			isEnd := b[1] == '/'
			name := s.name()
			for s.attribute() {
			}
			b = s.b
			if isEnd {
				continue
			}
			if raw := strings.ToLower(name); raw == "script" || raw == "style" || raw == "textarea" || raw == "title" {
				b = behindElement(b, raw)
			}
		case len(b) > 1 && (b[1] == '!' || b[1] == '/' || b[1] == '?'):
			end := bytes.IndexByte(b, '>')
			if end < 0 {
				return ""
			}
			b = b[end+1:]
		default:
			b = b[1:]
		}
	}
	return ""
}

// declaredLabel returns a label that a page declares, or "" if it is of no
// encoding.
func declaredLabel(label string) string {
	switch _, name := lookupEncoding(label); name {
	case "":
		return ""
	case "x-user-defined":
		return "windows-1252" // as the standard has it
	}
	return label
}

// behindElement returns what follows the end tag of an element whose content is
// no markup.
func behindElement(b []byte, name string) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '<' && i+2+len(name) <= len(b) && b[i+1] == '/' && strings.EqualFold(string(b[i+2:i+2+len(name)]), name) {
			return b[i:]
		}
	}
	return nil
}

func isTagStart(b []byte) bool {
	if len(b) > 1 && b[0] == '/' {
		b = b[1:]
	}
	return len(b) > 0 && 'a' <= b[0]|0x20 && b[0]|0x20 <= 'z'
}

func hasTagName(b []byte, name string) bool {
	n := 1 + len(name)
	return len(b) > n && strings.EqualFold(string(b[1:n]), name) && (isSpace(b[n]) || b[n] == '/')
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

// A tagScanner reads the attributes of a tag, as the prescan does.
type tagScanner struct {
	b          []byte
	key, value string
}

// name reads the name of a tag.
func (s *tagScanner) name() string {
	i := 0
	if i < len(s.b) && s.b[i] == '/' {
		i++
	}
	start := i
	for i < len(s.b) && !isSpace(s.b[i]) && s.b[i] != '>' && s.b[i] != '/' {
		i++
	}
	name := string(s.b[start:i])
	s.b = s.b[i:]
	return name
}

// attribute reads the next attribute into key, in lower case, and value, and
// reports whether there is one. It is "get an attribute" of the standard.
func (s *tagScanner) attribute() bool {
	s.key, s.value = "", ""
	for len(s.b) > 0 && (isSpace(s.b[0]) || s.b[0] == '/') {
		s.b = s.b[1:]
	}
	if len(s.b) == 0 || s.b[0] == '>' {
		return false
	}
	i := 0
	for i < len(s.b) && !isSpace(s.b[i]) && s.b[i] != '/' && s.b[i] != '>' && (s.b[i] != '=' || i == 0) {
		i++
	}
	s.key = strings.ToLower(string(s.b[:i]))
	s.b = s.b[i:]
	rest := bytes.TrimLeft(s.b, " \t\r\n\f")
	if len(rest) == 0 || rest[0] != '=' {
		return true
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n\f")
	if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
		end := bytes.IndexByte(rest[1:], rest[0])
		if end < 0 {
			s.b = nil
			return false
		}
		s.value, s.b = string(rest[1:1+end]), rest[end+2:]
		return true
	}
	end := bytes.IndexAny(rest, " \t\r\n\f>")
	if end < 0 {
		end = len(rest)
	}
	s.value, s.b = string(rest[:end]), rest[end:]
	return true
}

// metaCharset reads the attributes of a meta element and returns what it
// declares.
func (s *tagScanner) metaCharset() string {
	var pragma bool
	charset, content := "", ""
	for s.attribute() {
		switch s.key {
		case "http-equiv":
			pragma = pragma || strings.EqualFold(strings.TrimSpace(s.value), "content-type")
		case "charset":
			if charset == "" {
				charset = strings.TrimSpace(s.value)
			}
		case "content":
			if content == "" {
				content = charsetIn(s.value)
			}
		}
	}
	if charset != "" {
		return charset
	}
	if pragma {
		return content
	}
	return ""
}

// charsetIn is the standard's way to extract an encoding from the value of a
// meta element: what stands behind "charset" and "=".
func charsetIn(s string) string {
	lower := strings.ToLower(s)
	for {
		_, after, ok := strings.Cut(lower, "charset")
		if !ok {
			return ""
		}
		if label := valueAfterEquals(after); label != "" {
			return label
		}
		lower = after
	}
}

// valueAfterEquals reads `= "utf-8"` in all the ways it is written.
func valueAfterEquals(s string) string {
	s, ok := strings.CutPrefix(strings.TrimLeft(s, " \t\r\n\f"), "=")
	if !ok {
		return ""
	}
	s = strings.TrimLeft(s, " \t\r\n\f")
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		end := strings.IndexByte(s[1:], s[0])
		if end < 0 {
			return ""
		}
		return strings.TrimSpace(s[1 : 1+end])
	}
	if end := strings.IndexAny(s, " \t\r\n\f;,"); end >= 0 {
		s = s[:end]
	}
	return strings.Trim(s, `"'`)
}
