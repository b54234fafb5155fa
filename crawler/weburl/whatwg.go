package weburl

import (
	whatwgerrors "github.com/nlnwa/whatwg-url/errors"
	whatwg "github.com/nlnwa/whatwg-url/url"
)

// fullAuthority returns host and port in canonical form, as the WHATWG parser
// reads them: international names, IP addresses in all their spellings,
// escapes. The authority comes without credentials: on those the parser spends
// time of the square of their length.
func fullAuthority(scheme, authority string) (string, Reason) {
	if authority == "" {
		return "", BadHost // the parser would look for a host behind the slash
	}
	u, err := whatwg.Parse(scheme + "://" + authority + "/")
	if err == nil && u.Host() != "" {
		return u.Host(), ""
	}
	switch whatwgerrors.Type(err) {
	case whatwgerrors.PortInvalid, whatwgerrors.PortOutOfRange:
		return "", BadPort
	}
	return "", BadHost
}
