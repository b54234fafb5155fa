package warc

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// origPrefix precedes the name of a header that the server sent and that does
// not hold for the body as it is stored.
const origPrefix = "X-Archive-Orig-"

// barePercent matches a percent sign that begins no escape, as in "/100%". It
// means itself.
var barePercent = regexp.MustCompile(`%([^0-9a-fA-F]|[0-9a-fA-F][^0-9a-fA-F]|.?$)`)

// Exchange is an HTTP GET request with its response.
type Exchange struct {
	// URL is what was asked for, absolute, as it was requested.
	URL string
	// Time is when the request began.
	Time time.Time
	// IP is the address that answered, or "" if it is not known.
	IP string
	// Proto is the protocol of the response, as in http.Response: "HTTP/1.1",
	// "HTTP/2.0". The records hold HTTP/1.1 text whatever it was, because
	// that is the only form that they have; which it was is kept in
	// WARC-Protocol, as "h2" for instance. The zero value means not known.
	Proto string
	// Status is the three-digit status. The reason phrase is the usual one,
	// unless RawHeader has another.
	Status int
	// RequestHeader is what was sent; nil means that no request record is
	// wanted. A Host field in it takes precedence over the host of the URL.
	RequestHeader http.Header
	// Header is what was received.
	Header http.Header
	// RawHeader is the same as the server sent it, from the status line to the
	// empty line, with its order, its spelling and its reason phrase; nil if that
	// is not known, as of HTTP/2.
	RawHeader []byte
	// Body is the body as it arrived: its transfer coding undone, its content
	// codings not.
	Body []byte
	// Truncated says why Body is not complete: "length", "time", "disconnect"
	// or "unspecified" (section 5.13). The zero value means that it is.
	Truncated string
	// Revisit says where the archive has the body already, so that the response need
	// not be stored again. Nil means that it is stored.
	Revisit *Revisit

	digest string // of Body, by AppendRecords
}

// PayloadDigest returns the digest of the body that was appended last.
func (x *Exchange) PayloadDigest() string { return x.digest }

// AppendRecords appends a response record, or a revisit record in its place, and, if there is a request header,
// a request record that is linked to it by WARC-Concurrent-To, each a gzip
// member. It returns the longer slice and how many bytes of it the response
// takes, which comes first, so that it lies where the bytes begin. It fails if
// the URL cannot be parsed; b is then returned as it was.
//
// In the block of the response, headers are those of RawHeader; without it they
// are sorted by name, one line to each value. Transfer-Encoding is left out and
// Content-Length is that of Body, because the body is stored without transfer
// coding. Where this differs from what the server sent, the original is kept
// under its name with the prefix "X-Archive-Orig-", in its place.
func (x *Exchange) AppendRecords(b []byte) (out []byte, response int, err error) {
	u, err := url.Parse(x.URL)
	if err != nil {
		u, err = url.Parse(barePercent.ReplaceAllString(x.URL, "%25$1"))
	}
	if err != nil {
		return b, 0, fmt.Errorf("warc: exchange: %w", err)
	}
	shared := x.sharedFields(u)
	x.digest = Digest(x.Body)
	res := &Record{
		Type:        "response",
		ID:          NewID(),
		Date:        x.Time,
		TargetURI:   x.URL,
		ContentType: "application/http; msgtype=response",
		Fields:      append(slices.Clone(shared), Field{"WARC-Payload-Digest", x.digest}),
		Block:       x.responseHead(),
		body:        x.Body,
		packed:      x.packed(),
	}
	if x.Revisit != nil {
		res.refer(x.Revisit)
	} else if x.Truncated != "" {
		res.Fields = append(res.Fields, Field{"WARC-Truncated", x.Truncated})
	}
	out, err = AppendGzip(slices.Grow(b, 2048+len(x.Body)/2), res)
	if err != nil {
		return b, 0, err
	}
	response = len(out) - len(b)
	if x.RequestHeader == nil {
		return out, response, nil
	}
	out, err = AppendGzip(out, &Record{
		Type:        "request",
		ID:          NewID(),
		Date:        x.Time,
		TargetURI:   x.URL,
		ContentType: "application/http; msgtype=request",
		Fields:      append(slices.Clone(shared), Field{"WARC-Concurrent-To", res.ID}),
		Block:       x.requestBlock(u),
	})
	if err != nil {
		return b, 0, err
	}
	return out, response, nil
}

// sharedFields returns the fields that both records have.
func (x *Exchange) sharedFields(u *url.URL) []Field {
	var fields []Field
	if x.IP != "" {
		fields = append(fields, Field{"WARC-IP-Address", x.IP})
	}
	if p := protocol(x.Proto, u.Scheme); p != "" {
		fields = append(fields, Field{"WARC-Protocol", p})
	}
	return fields
}

// protocol returns the value of WARC-Protocol, a field that is not in the
// standard but is proposed for it and in use at Common Crawl and others: the
// identifier that TLS negotiates for a protocol (RFC 7301).
func protocol(proto, scheme string) string {
	switch proto {
	case "HTTP/1.0", "HTTP/1.1":
		return strings.ToLower(proto)
	case "HTTP/2.0", "HTTP/2":
		if scheme == "http" {
			return "h2c"
		}
		return "h2"
	case "HTTP/3.0", "HTTP/3":
		return "h3"
	}
	return ""
}

// responseHead returns what precedes the body of the response as HTTP/1 text.
func (x *Exchange) responseHead() []byte {
	if len(x.RawHeader) > 0 {
		return x.rawHeader()
	}
	proto := x.Proto
	if proto != "HTTP/1.0" {
		proto = "HTTP/1.1"
	}
	b := fmt.Appendf(nil, "%s %03d %s\r\n", proto, x.Status, http.StatusText(x.Status))
	h := canonical(x.Header)
	if coding, ok := h["Transfer-Encoding"]; ok {
		delete(h, "Transfer-Encoding")
		h[origPrefix+"Transfer-Encoding"] = append(h[origPrefix+"Transfer-Encoding"], coding...)
	}
	length := []string{strconv.Itoa(len(x.Body))}
	if sent := h["Content-Length"]; !x.bodiless() && !slices.Equal(sent, length) {
		if len(sent) > 0 {
			h[origPrefix+"Content-Length"] = append(h[origPrefix+"Content-Length"], sent...)
		}
		h["Content-Length"] = length
	}
	for _, name := range sortedNames(h) {
		b = appendLines(b, name, h[name])
	}
	return append(b, "\r\n"...)
}

// rawHeader returns RawHeader with what holds for the body as it is stored. Lines
// that are no fields are kept: a reader passes over them or does not, as of the
// server itself.
func (x *Exchange) rawHeader() []byte {
	length := strconv.Itoa(len(x.Body))
	b := make([]byte, 0, len(x.RawHeader)+64)
	right := false // there is a Content-Length that holds
	for i, line := 0, x.RawHeader; len(line) > 0; i++ {
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			end = len(line) - 1
		}
		text := bytes.TrimRight(line[:end+1], "\r\n")
		line = line[end+1:]
		if len(text) == 0 {
			break
		}
		name, value, _ := bytes.Cut(text, []byte(":"))
		switch name = bytes.TrimSpace(name); {
		case i == 0:
		case strings.EqualFold(string(name), "Transfer-Encoding"):
			b = append(b, origPrefix...)
		case strings.EqualFold(string(name), "Content-Length") && !x.bodiless():
			if string(bytes.TrimSpace(value)) == length && !right {
				right = true
				break
			}
			b = append(b, origPrefix...)
		}
		b = append(append(b, text...), "\r\n"...)
	}
	if !right && !x.bodiless() {
		b = append(b, "Content-Length: "+length+"\r\n"...)
	}
	return append(b, "\r\n"...)
}

// bodiless says whether the response is of a kind that ends with its header,
// whatever Content-Length says (RFC 9112 section 6.3), and has no body.
func (x *Exchange) bodiless() bool {
	noBody := x.Status/100 == 1 || x.Status == http.StatusNoContent || x.Status == http.StatusNotModified
	return noBody && len(x.Body) == 0
}

// packed says whether the body is compressed, by what its header says.
func (x *Exchange) packed() bool {
	for _, v := range x.Header.Values("Content-Encoding") {
		for coding := range strings.SplitSeq(v, ",") {
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip", "br", "zstd", "deflate":
				return true
			}
		}
	}
	return false
}

// requestBlock returns the request as HTTP/1.1 text.
func (x *Exchange) requestBlock(u *url.URL) []byte {
	h := x.RequestHeader
	if !isCanonical(h) {
		h = canonical(h)
	}
	host := u.Host
	if sent := h["Host"]; len(sent) > 0 {
		host = sent[0]
	}
	b := append(make([]byte, 0, 512), "GET "...)
	b = append(b, cleanURI(u.RequestURI())...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendLine(b, "Host", host)
	for _, name := range sortedNames(h) {
		if name != "Host" {
			b = appendLines(b, name, h[name])
		}
	}
	return append(b, "\r\n"...)
}

// isCanonical reports whether canonical(h) is h.
func isCanonical(h http.Header) bool {
	for name := range h {
		if name == "" || cleanName(name) != name || http.CanonicalHeaderKey(name) != name {
			return false
		}
	}
	return true
}

// canonical returns a copy of h whose names are safe and in canonical form.
// Values of names that become the same are in the order of the names.
func canonical(h http.Header) http.Header {
	c := make(http.Header, len(h))
	for _, name := range sortedNames(h) {
		if name == "" {
			continue
		}
		key := http.CanonicalHeaderKey(cleanName(name))
		c[key] = append(c[key], h[name]...)
	}
	return c
}

// sortedNames returns the names in h in their order.
func sortedNames(h http.Header) []string {
	return slices.Sorted(maps.Keys(h))
}

// lineBreaks replaces what must not be in the value of a header, as RFC 9110
// section 5.5 says.
var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")

// appendLines appends a line for each value of a field.
func appendLines(b []byte, name string, values []string) []byte {
	for _, value := range values {
		b = appendLine(b, name, value)
	}
	return b
}

func appendLine(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	if strings.ContainsAny(value, "\r\n\x00") {
		value = lineBreaks.Replace(value)
	}
	b = append(b, value...)
	return append(b, "\r\n"...)
}
