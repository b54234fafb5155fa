package weburl

import (
	"strings"

	whatwgerrors "github.com/nlnwa/whatwg-url/errors"
	whatwg "github.com/nlnwa/whatwg-url/url"
)

// full resolves ref by the WHATWG parser, which decides what the host is:
// international names, IP addresses in all their spellings, credentials,
// slashes too few or too many. Path and query then pass the same last step as
// in the quick path.
func (u URL) full(ref string) (URL, Reason) {
	// The mark at the end keeps the parser from trimming blanks before it.
	before, query := ref+"#", ""
	if i := strings.IndexByte(ref, '?'); i >= 0 {
		before, query = ref[:i+1], ref[i:]
	}
	var w *whatwg.Url
	var err error
	if u.IsZero() {
		w, err = whatwg.Parse(before)
	} else {
		w, err = whatwg.ParseRef(u.s, before)
	}
	switch whatwgerrors.Type(err) {
	case whatwgerrors.PortInvalid, whatwgerrors.PortOutOfRange:
		return URL{}, BadPort
	}
	if err != nil || w.Host() == "" {
		return URL{}, BadHost
	}
	if query == "" {
		query = w.Search()
	}
	authority := w.Scheme() + "://" + w.Host()
	return finish([]byte(authority), len(authority), w.Pathname()+query)
}
