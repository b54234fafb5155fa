package crawler

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
)

// The stored form of a Skip: a page of the web at large leads to a hundred addresses that
// are not of the crawl, so these are most of the records of one. What the key of the
// record says is not said again, and a reason is what it has beside what is known.

// reasonBegins are what reasons begin with that are written as their place here, from 1.
// Add at the end.
var reasonBegins = []string{
	"rejected by --scope host: reject unless host is ",
	"rejected by --scope domain: reject unless domain is ",
	"rejected by --scope prefix: reject unless URL begins with ",
	"rejected by --depth: reject if more than ",
	"rejected by --allow: reject unless URL matches ",
	"rejected by --deny: reject if URL matches ",
}

const reasonFound = "; found " // what a scope has found, which is often the address's host

// Flags of a skip.
const (
	flagSkipKey   = 1 << iota // its address is its key
	flagSkipFound             // its reason ends with reasonFound and its host
	flagSkipHost              // its reason has the host that it was found on
	flagSkipRequest
)

// Form implements codec.Formed. Form 0 was JSON.
func (s Skip) Form() byte { return 1 }

// A shortReason is why a link is not followed, without what is known beside it.
type shortReason struct {
	flags byte   // flagSkipFound and flagSkipHost
	begin int    // place of what it begins with in reasonBegins, from 1, or 0
	rest  string // what is behind that
}

func shorten(s *Skip) (r shortReason) {
	r.begin = slices.IndexFunc(reasonBegins, func(b string) bool { return strings.HasPrefix(s.Reason, b) }) + 1
	r.rest = s.Reason
	if r.begin > 0 {
		r.rest = r.rest[len(reasonBegins[r.begin-1]):]
	}
	if before, found, ok := cutLast(r.rest, reasonFound); ok && found == hostIn(s.URL) {
		r.flags |= flagSkipFound
		r.rest = before
	}
	if r.rest != "" && r.rest == hostIn(s.From) {
		r.flags |= flagSkipHost
		r.rest = ""
	}
	return r
}

// lengthen sets the reason of a skip whose From is known, but for the host that was found.
func (r shortReason) lengthen(s *Skip) error {
	switch {
	case r.begin > len(reasonBegins):
		return errMalformed
	case r.begin > 0:
		s.Reason = reasonBegins[r.begin-1]
	}
	if r.flags&flagSkipHost != 0 {
		s.Reason += hostIn(s.From)
	} else {
		s.Reason += r.rest
	}
	return nil
}

// MarshalBinary implements encoding.BinaryMarshaler. An address that is its key is left
// to FromKey.
func (s Skip) MarshalBinary() ([]byte, error) {
	r := shorten(&s)
	flags := r.flags
	if tables.Key(s.URL) == s.URL && s.URL != "" {
		flags |= flagSkipKey
	}
	if s.Request != nil {
		flags |= flagSkipRequest
	}
	b := make(packed, 0, len(s.From)+len(r.rest)+len(s.Request)+16)
	b = append(b, flags)
	if flags&flagSkipKey == 0 {
		b.text(s.URL)
	}
	b.text(s.From)
	b.number(r.begin)
	if flags&flagSkipHost == 0 {
		b.text(r.rest)
	}
	return append(b, s.Request...), nil
}

// UnmarshalForm implements codec.FormReader.
func (s *Skip) UnmarshalForm(form byte, data []byte) error {
	switch form {
	case 0:
		return json.Unmarshal(data, s)
	case 1:
		return s.UnmarshalBinary(data)
	}
	return errForm
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. What is read is not whole until
// FromKey is called with its key.
func (s *Skip) UnmarshalBinary(data []byte) error {
	u := unpack(data)
	flags := u.Byte()
	*s = Skip{}
	if flags&flagSkipKey == 0 {
		s.URL = u.Text()
	}
	s.From = u.Text()
	r := shortReason{flags: flags, begin: u.Int()}
	if flags&flagSkipHost == 0 {
		r.rest = u.Text()
	}
	if err := r.lengthen(s); err != nil {
		return err
	}
	request := u.Rest()
	switch {
	case flags&flagSkipRequest != 0:
		s.Request = request
	case len(request) > 0:
		return errMalformed
	}
	if flags&flagSkipFound != 0 {
		s.Reason += reasonFound
		if flags&flagSkipKey == 0 {
			s.Reason += hostIn(s.URL)
		} else {
			s.foundHost = true
		}
	}
	return u.end()
}

// FromKey completes what is stored under a key.
func (s *Skip) FromKey(key string) {
	if s.URL != "" {
		return
	}
	s.URL = key
	if s.foundHost {
		s.foundHost = false
		s.Reason += hostIn(key)
	}
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// hostIn returns the host of an address without its port, as far as can be told without
// parsing it.
func hostIn(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	host, _, _ := strings.Cut(rest, ":")
	return host
}
