package tolerant

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// isToken and isValue hold the bytes of names and values of fields (RFC 9110
// sections 5.6.2 and 5.5).
var isToken, isValue = func() (token, value [256]bool) {
	for c := range 256 {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		token[c] = letter || digit || c < 0x80 && strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
		value[c] = c >= ' ' && c != 0x7f || c == '\t'
	}
	return token, value
}()

// mayBeHTTP reports whether what begins so may become a response.
func mayBeHTTP(b []byte) bool {
	for _, begin := range []string{"http", "icy "} {
		n := min(len(b), len(begin))
		if strings.EqualFold(string(b[:n]), begin[:n]) {
			return true
		}
	}
	return false
}

// interim reports whether a header is followed by another one for the same
// request: its status is informational, and not the end of HTTP.
func interim(head []byte) bool {
	_, status, _, ok := statusLine(firstLine(head))
	return ok && status[0] == '1' && status != "101"
}

func firstLine(head []byte) []byte {
	line, _, _ := bytes.Cut(head, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

// statusLine reads a status line in the forms that are met: "HTTP/1.1 200 OK",
// "http/1.0  200", "HTTP 200 OK", "ICY 200 OK". minor is '0' or '1'.
func statusLine(line []byte) (minor byte, status, reason string, ok bool) {
	word, rest, found := bytes.Cut(line, []byte(" "))
	if !found || !mayBeHTTP(append(bytes.Clone(word), ' ')) {
		return 0, "", "", false
	}
	minor = '1'
	if bytes.HasSuffix(word, []byte("1.0")) || strings.EqualFold(string(word), "icy") {
		minor = '0'
	}
	rest = bytes.TrimLeft(rest, " \t")
	if len(rest) < 3 {
		return 0, "", "", false
	}
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return 0, "", "", false
		}
	}
	if len(rest) > 3 && '0' <= rest[3] && rest[3] <= '9' || rest[0] == '0' {
		return 0, "", "", false
	}
	return minor, string(rest[:3]), strings.TrimLeft(string(rest[3:]), " \t"), true
}

// acceptable reports whether net/http takes a header as it is, and for what it
// is. When in doubt it does not: then it is written anew.
func acceptable(head []byte) bool {
	line := firstLine(head)
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' || line[7] != '0' && line[7] != '1' {
		return false
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return false
		}
	}
	if line[9] == '0' || len(line) > 12 && line[12] != ' ' {
		return false
	}
	for _, c := range line[12:] {
		if !isValue[c] {
			return false
		}
	}
	_, rest, _ := bytes.Cut(head, []byte("\n"))
	lengths, codings := 0, 0
	for len(rest) > 0 {
		end := bytes.IndexByte(rest, '\n')
		field := bytes.TrimSuffix(rest[:end], []byte("\r"))
		rest = rest[end+1:]
		if len(field) == 0 {
			return true
		}
		i := 0
		for i < len(field) && isToken[field[i]] {
			i++
		}
		if i == 0 || i == len(field) || field[i] != ':' {
			return false
		}
		value := field[i+1:]
		for _, c := range value {
			if !isValue[c] {
				return false
			}
		}
		switch {
		case isName(field[:i], "content-length"):
			if lengths++; lengths > 1 || !isNumber(bytes.Trim(value, " \t")) {
				return false
			}
		case isName(field[:i], "transfer-encoding"):
			if codings++; codings > 1 || line[7] == '0' || !isName(bytes.Trim(value, " \t"), "chunked") {
				return false
			}
		}
	}
	return true
}

// isName compares a name with one in lower case.
func isName(name []byte, lower string) bool {
	return len(name) == len(lower) && strings.EqualFold(string(name), lower)
}

func isNumber[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) > 0 && len(s) < 19
}

// repair writes a header so that net/http takes it, if it can be read. Lines
// that are no fields are left out, as are bytes that no field may have.
func repair(head []byte) []byte {
	minor, status, reason, ok := statusLine(firstLine(head))
	if !ok {
		return head
	}
	fields := readFields(head)
	lengths, codings := fields.take("content-length"), fields.take("transfer-encoding")
	chunked, others := transferCodings(codings)
	closes := minor == '0' && chunked
	if closes {
		minor = '1' // 1.0 has no chunks, and some servers send them
	}
	var out bytes.Buffer
	out.WriteString("HTTP/1." + string(minor) + " " + status + " " + cleanValue(reason) + "\r\n")
	for _, f := range fields {
		out.WriteString(f.name + ": " + f.value + "\r\n")
	}
	if chunked {
		out.WriteString("Transfer-Encoding: chunked\r\n")
	}
	if len(others) > 0 {
		// They were applied behind the content codings, so they are undone
		// before them.
		out.WriteString("Content-Encoding: " + strings.Join(others, ", ") + "\r\n")
	}
	if !chunked {
		for _, n := range contentLengths(lengths) {
			out.WriteString("Content-Length: " + n + "\r\n")
		}
	}
	if closes {
		out.WriteString("Connection: close\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

type field struct{ name, value string }

type fields []field

// readFields reads the fields of a header.
func readFields(head []byte) (fs fields) {
	_, rest, _ := bytes.Cut(head, []byte("\n"))
	continues := false // what continues a line belongs to a field
	for line := range bytes.Lines(rest) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if continues {
				f := &fs[len(fs)-1]
				f.value = strings.TrimSpace(f.value + " " + cleanValue(string(line)))
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		continues = ok && len(name) > 0 && !slices.ContainsFunc(name, func(c byte) bool { return !isToken[c] })
		if continues {
			fs = append(fs, field{string(name), cleanValue(string(value))})
		}
	}
	return fs
}

// take removes the fields of a name, in lower case, and returns the elements of
// their lists.
func (fs *fields) take(name string) (elements []string) {
	*fs = slices.DeleteFunc(*fs, func(f field) bool {
		if !strings.EqualFold(f.name, name) {
			return false
		}
		for e := range strings.SplitSeq(f.value, ",") {
			if e = strings.TrimSpace(e); e != "" {
				elements = append(elements, e)
			}
		}
		return true
	})
	return elements
}

// transferCodings returns whether a body is chunked, and the codings under it
// that can be undone as content codings. Others, identity among them, are none.
func transferCodings(names []string) (chunked bool, others []string) {
	for _, name := range names {
		name, _, _ = strings.Cut(strings.ToLower(name), ";")
		switch name = strings.TrimSpace(name); name {
		case "chunked":
			chunked = true
		case "gzip", "x-gzip", "deflate", "br", "zstd":
			others = append(others, name)
		}
	}
	return chunked, others
}

// contentLengths returns the lengths that are to be written: one if all agree,
// none if it is no number, and all if they differ, which nobody can read.
func contentLengths(values []string) []string {
	var numbers []string
	for _, v := range values {
		if !isNumber(v) {
			continue
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			continue
		}
		if s := strconv.FormatInt(n, 10); !slices.Contains(numbers, s) {
			numbers = append(numbers, s)
		}
	}
	return numbers
}

// cleanValue returns a value of a field without what must not be in one.
func cleanValue(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !isValue[c] {
			b[i] = ' '
		}
	}
	return strings.Trim(string(b), " \t")
}
