package tag

import "strings"

// Longest names that are looked for, in bytes (RFC 5321 section 4.5.3.1, RFC
// 1035 section 2.3.4). They bound how often a byte is looked at in runs without
// white space.
const (
	maxLocalPart = 64
	maxHostName  = 255
)

// address returns the length of the web or e-mail address, or the file or
// host name, that c begins with, and 0 if there is none. Its time is bounded by
// that length or a constant.
func address(c string) int {
	i := 0
	for i < len(c) && (isASCIILetter(c[i]) || isDigit(c[i])) {
		i++
	}
	if i == 0 || i+1 >= len(c) {
		return 0
	}
	rest := c[i:]
	switch {
	case strings.HasPrefix(rest, "://") && len(rest) > 3:
		return trimURL(c)
	case strings.EqualFold(c[:i], "www") && rest[0] == '.' && len(rest) > 1 && isASCIILetter(rest[1]):
		return trimURL(c)
	case strings.EqualFold(c[:i], "mailto") && rest[0] == ':':
		return trimURL(c)
	}
	if n := mailAddress(c); n > 0 {
		return n
	}
	return hostName(c)
}

// trimURL returns the length of the URL at the start of c without the marks
// that belong to the text around it.
func trimURL(c string) int {
	n := strings.IndexAny(c, "<>\"")
	if n < 0 {
		n = len(c)
	}
	unopened := strings.Count(c[:n], ")") - strings.Count(c[:n], "(")
	for n > 1 {
		switch c[n-1] {
		case '.', ',', ';', ':', '!', '?', '\'', '*', ']', '}', '|':
			n--
			continue
		case ')':
			if unopened > 0 {
				unopened--
				n--
				continue
			}
		}
		break
	}
	return n
}

// mailAddress returns the length of the e-mail address at the start of c.
func mailAddress(c string) int {
	i := 0
	for i < len(c) && i <= maxLocalPart && (isASCIILetter(c[i]) || isDigit(c[i]) || strings.IndexByte("._%+-", c[i]) >= 0) {
		i++
	}
	if i == 0 || i+1 >= len(c) || c[i] != '@' {
		return 0
	}
	j := i + 1
	for j < len(c) && (isASCIILetter(c[j]) || isDigit(c[j]) || c[j] == '.' || c[j] == '-') {
		j++
	}
	for j > i+1 && (c[j-1] == '.' || c[j-1] == '-') {
		j--
	}
	if j == i+1 {
		return 0
	}
	return j
}

// hostName returns the length of a host or file name at the start of c, such
// as example.com/page or report.doc: labels with full stops between them, of
// which the last is one of the known endings.
func hostName(c string) int {
	i, last := 0, -1
	for i < len(c) && i <= maxHostName && (isASCIILetter(c[i]) || isDigit(c[i]) || c[i] == '-' || c[i] == '.' || c[i] == '_') {
		if c[i] == '.' {
			if last == i-1 {
				break
			}
			last = i
		}
		i++
	}
	if i > maxHostName {
		return 0
	}
	for i > 0 && (c[i-1] == '.' || c[i-1] == '-') {
		i--
	}
	dot := strings.LastIndexByte(c[:i], '.')
	if dot < 1 || !knownEnding(c[dot+1:i]) {
		return 0
	}
	if i < len(c) && (c[i] == '/' || c[i] == ':' && i+1 < len(c) && isDigit(c[i+1])) {
		return trimURL(c)
	}
	return i
}

// knownEnding reports whether s, in one case, ends names of hosts or files.
func knownEnding(s string) bool {
	var buf [6]byte
	if len(s) < 2 || len(s) > len(buf) {
		return false
	}
	if isUpper(s[0]) != isUpper(s[len(s)-1]) {
		return false
	}
	for i := 0; i < len(s); i++ {
		buf[i] = s[i] | 0x20
	}
	switch string(buf[:len(s)]) {
	case "com", "org", "net", "edu", "gov", "mil", "info", "biz", "int", "name",
		"io", "co", "tv", "eu", "uk", "us", "ca", "au", "de", "fr", "es", "pt", "br",
		"ch", "nl", "be", "cl", "ar", "mx", "jp", "ru", "cn", "kr",
		"doc", "docx", "xls", "xlsx", "ppt", "pptx", "pdf", "txt", "htm", "html", "php",
		"asp", "aspx", "jsp", "xml", "json", "csv", "zip", "gz", "exe", "jpg", "jpeg",
		"png", "gif", "mp3", "mp4", "avi", "go", "py", "js", "css", "rtf", "eml":
		return true
	}
	return false
}
