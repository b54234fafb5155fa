package weburl

import "fmt"

// A Reason says why a string is not an address that a crawl can fetch. Its
// text is short, stable and fit to be stored. It is an error, so that
// errors.Is(err, weburl.NotHTTP) asks for it.
type Reason string

// The reasons an [*Error] may carry.
const (
	// NotHTTP: the scheme is neither http nor https (mailto, javascript, data, …).
	NotHTTP Reason = "scheme is not http or https"
	// NotAbsolute: a relative reference where an absolute URL is needed.
	NotAbsolute Reason = "not an absolute URL"
	// BadHost: the host is missing or is no domain name or IP address.
	BadHost Reason = "host is missing or not valid"
	// BadPort: the port is not a number up to 65535.
	BadPort Reason = "port is not valid"
	// TooLong: the URL is longer than MaxLength.
	TooLong Reason = "URL is too long"
)

// Error implements error.
func (r Reason) Error() string { return string(r) }

// Error is the error of [Parse], [Canonical] and [URL.Resolve].
type Error struct {
	Reason Reason
	Scheme string // the scheme in lower case, when Reason is NotHTTP
	Input  string // the input, cut to at most 128 bytes
}

// Error implements error.
func (e *Error) Error() string {
	if e.Scheme != "" {
		return fmt.Sprintf("weburl: %q: %s: %s", e.Input, e.Reason, e.Scheme)
	}
	return fmt.Sprintf("weburl: %q: %s", e.Input, e.Reason)
}

// Unwrap returns the Reason.
func (e *Error) Unwrap() error { return e.Reason }

// refuse returns the error for input.
func refuse(r Reason, input string) *Error {
	return &Error{Reason: r, Input: cut(input)}
}

// cut bounds what an error keeps of its input: a data: URL may be megabytes.
func cut(s string) string {
	const most = 128
	if len(s) <= most {
		return s
	}
	return string([]byte(s[:most])) // a copy, so that the rest can be collected
}
