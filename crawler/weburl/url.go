package weburl

import (
	"fmt"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// MaxLength is the greatest length in bytes of a URL, in canonical form. It
// is what RFC 9110 section 4.1 asks every party to support at the least.
const MaxLength = 8000

// URL is an absolute http or https address in safe canonical form. It is made
// by [Parse] and [URL.Resolve]. URLs are comparable: two are equal if and only
// if their strings are. The zero URL is no address; its String is empty.
type URL struct {
	s     string
	path  int32 // where the path begins: the end of host and port
	query int32 // where '?' stands, or len(s)
}

// Parse returns the canonical form of an absolute URL. It accepts whatever
// [URL.Resolve] accepts, but nothing relative. Errors are [*Error].
func Parse(raw string) (URL, error) {
	return URL{}.Resolve(raw)
}

// IsZero reports whether u is the zero URL.
func (u URL) IsZero() bool { return u.s == "" }

// String returns the URL in canonical form. It does not allocate.
func (u URL) String() string { return u.s }

// Scheme returns "http" or "https", or "" for the zero URL.
func (u URL) Scheme() string {
	return u.s[:max(u.hostStart()-len("://"), 0)]
}

// Host returns the host with its port, unless that is the default of the
// scheme. It is the politeness group of the URL: http and https on default
// ports share it, since they are mostly one server.
func (u URL) Host() string { return u.s[u.hostStart():u.path] }

// Hostname returns the host without port, and without the brackets of an IPv6
// address.
func (u URL) Hostname() string {
	h := u.Host()
	if strings.HasPrefix(h, "[") {
		return h[1:strings.IndexByte(h, ']')]
	}
	if i := strings.IndexByte(h, ':'); i >= 0 {
		return h[:i]
	}
	return h
}

// Port returns the port, or "" if it is the default of the scheme.
func (u URL) Port() string {
	h := u.Host()
	if i := strings.LastIndexByte(h, ':'); i >= 0 && !strings.HasSuffix(h, "]") {
		return h[i+1:]
	}
	return ""
}

// Origin returns scheme, host and port. A robots.txt holds for one origin
// (RFC 9309 section 2.3).
func (u URL) Origin() string { return u.s[:u.path] }

// Path returns the path, which begins with "/" and is percent-encoded.
func (u URL) Path() string { return u.s[u.path:u.query] }

// Query returns the query without its "?", percent-encoded.
func (u URL) Query() string {
	if int(u.query) == len(u.s) {
		return ""
	}
	return u.s[u.query+1:]
}

// Target returns path and query, as they stand in a request and as rules of a
// robots.txt are matched against.
func (u URL) Target() string { return u.s[u.path:] }

// RegistrableDomain returns the part of the host that somebody registered: the
// public suffix and one more label (example.co.uk for www.example.co.uk). The
// public suffix list includes its private part, so that each user of a shared
// host such as github.io is a domain of its own. IP addresses, single labels
// and public suffixes themselves are returned as they are.
func (u URL) RegistrableDomain() string {
	return registrable(u.Hostname())
}

func registrable(host string) string {
	host = strings.TrimSuffix(host, ".")
	if host == "" || isIP(host) {
		return host
	}
	d, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return host
	}
	return d
}

// isIP reports whether a canonical host is an IP address: a domain name cannot
// hold ':' and its last label cannot begin with a digit and be a number.
func isIP(host string) bool {
	if strings.IndexByte(host, ':') >= 0 {
		return true
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	return last != "" && strings.Trim(last, "0123456789") == ""
}

// MarshalText implements encoding.TextMarshaler.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler by [Parse]. An empty text
// is the zero URL.
func (u *URL) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*u = URL{}
		return nil
	}
	v, err := Parse(string(text))
	if err != nil {
		return fmt.Errorf("unmarshal URL: %w", err)
	}
	*u = v
	return nil
}

// hostStart returns where the host begins: behind "http://" or "https://".
func (u URL) hostStart() int {
	switch {
	case u.s == "":
		return 0
	case u.s[4] == 's':
		return len("https://")
	}
	return len("http://")
}
