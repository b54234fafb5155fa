package weburl

import (
	"slices"
	"strings"
)

// Options choose what the identity of a page leaves out beyond the safe form.
// Each of them folds addresses that usually, but not by any standard, lead to
// the same page. The zero value, and nil, mean the safe form.
type Options struct {
	// SortQuery sorts the parameters of the query by name. Parameters of one
	// name keep their order, which servers may give a meaning.
	SortQuery bool `json:"sort_query,omitempty"`
	// DropTracking removes parameters that only tell the site where a visitor
	// came from: utm_*, gclid, fbclid and their like.
	DropTracking bool `json:"drop_tracking,omitempty"`
	// DropSession removes session ids: ;jsessionid=… from the path,
	// (S(…)) segments of ASP.NET, and the parameters jsessionid, PHPSESSID,
	// ASPSESSIONID*, CFID, CFTOKEN, sessionid, session_id, sessid, osCsid and
	// zenid. The parameters sid, s, sess and session go only if the value looks
	// like a session id (at least 16 letters and digits, with one of each),
	// because many sites number their pages by them.
	DropSession bool `json:"drop_session,omitempty"`
	// DropParams names further parameters to remove, in any case of letters.
	DropParams []string `json:"drop_params,omitempty"`
	// StripWWW removes "www." before a registered domain or its subdomains.
	StripWWW bool `json:"strip_www,omitempty"`
	// StripTrailingSlash removes slashes at the end of any path but "/".
	StripTrailingSlash bool `json:"strip_trailing_slash,omitempty"`
}

// Canonical returns the canonical form of an absolute URL: Parse, then
// [URL.Canonical]. It is idempotent under the same options.
func Canonical(raw string, o *Options) (string, error) {
	u, err := Parse(raw)
	if err != nil {
		return "", err
	}
	return u.Canonical(o).String(), nil
}

// Canonical returns the form of u that identifies its page under the options.
// Without options that is u itself.
func (u URL) Canonical(o *Options) URL {
	if o == nil || u.IsZero() {
		return u
	}
	origin, path, query := u.Origin(), u.Path(), u.s[u.query:]
	if o.DropSession {
		path = dropSessionPath(path)
	}
	if query != "" && (o.SortQuery || o.DropTracking || o.DropSession || len(o.DropParams) > 0) {
		query = o.query(query)
	}
	if o.StripWWW {
		if host := u.Hostname(); strings.HasPrefix(host, "www.") {
			origin = u.Scheme() + "://" + stripWWW(host) + u.Host()[len(host):]
		}
	}
	if path != u.Path() {
		// What was left of a segment may be a dot segment, as in "/a/..;jsessionid=1".
		path = string(appendPath(nil, 0, path))
	}
	if o.StripTrailingSlash {
		for len(path) > 1 && strings.HasSuffix(path, "/") {
			path = path[:len(path)-1]
		}
	}
	if len(origin)+len(path)+len(query) == len(u.s) && !o.SortQuery {
		return u // forms differ only by what was removed
	}
	return URL{
		s:     origin + path + query,
		path:  int32(len(origin)),
		query: int32(len(origin) + len(path)),
	}
}

// query rewrites a query, which begins with "?". It returns "" if nothing is left.
func (o *Options) query(query string) string {
	params := make([]string, 0, 16)
	for p := range strings.SplitSeq(query[1:], "&") {
		if p != "" && !o.drops(p) {
			params = append(params, p)
		}
	}
	if len(params) == 0 {
		return ""
	}
	if o.SortQuery {
		slices.SortStableFunc(params, func(a, b string) int {
			return strings.Compare(paramName(a), paramName(b))
		})
	}
	return "?" + strings.Join(params, "&")
}

// drops reports whether a parameter is to be removed.
func (o *Options) drops(param string) bool {
	name := strings.ToLower(paramName(param))
	return o.DropTracking && isTracking(name) ||
		o.DropSession && isSession(name, param[min(len(name)+1, len(param)):]) ||
		len(o.DropParams) > 0 && slices.ContainsFunc(o.DropParams, func(s string) bool {
			return strings.EqualFold(s, name)
		})
}

func paramName(param string) string {
	name, _, _ := strings.Cut(param, "=")
	return name
}

// isTracking reports whether a parameter, in lower case, is one that
// advertisers, newsletters and analytics add to links.
func isTracking(name string) bool {
	switch name {
	case "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "srsltid", "_ga", "_gl", // Google
		"fbclid", "igshid", "igsh", // Meta
		"msclkid", "yclid", "ymclid", "ysclid", "ttclid", "twclid", "li_fat_id", "rdt_cid", "epik", // others' ads
		"mc_cid", "mc_eid", "mkt_tok", "_hsenc", "_hsmi", "hsctatracking", "__hssc", "__hstc", "__hsfp", // newsletters
		"vero_id", "vero_conv", "oly_anon_id", "oly_enc_id", "wickedid", "_openstat", "s_kwcid":
		return true
	}
	return strings.HasPrefix(name, "utm_")
}

// isSession reports whether a parameter, its name in lower case, carries a
// session id.
func isSession(name, value string) bool {
	switch name {
	case "jsessionid", "phpsessid", "cfid", "cftoken", "sessionid", "session_id", "sessid", "oscsid", "zenid":
		return true
	case "sid", "s", "sess", "session":
		return looksRandom(value)
	}
	return strings.HasPrefix(name, "aspsessionid")
}

// looksRandom reports whether s consists of 16 or more ASCII letters and
// digits, with at least one of each.
func looksRandom(s string) bool {
	letters, digits := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			letters++
		default:
			return false
		}
	}
	return letters > 0 && digits > 0 && letters+digits >= 16
}

// dropSessionPath removes session ids from a path.
func dropSessionPath(path string) string {
	if !strings.Contains(path, ";") && !strings.Contains(path, "(") {
		return path
	}
	var kept []string
	for segment := range strings.SplitSeq(path[1:], "/") {
		if isASPSession(segment) {
			continue
		}
		name, params, found := strings.Cut(segment, ";")
		if !found {
			kept = append(kept, segment)
			continue
		}
		for p := range strings.SplitSeq(params, ";") {
			k, v, _ := strings.Cut(p, "=")
			if !isSession(strings.ToLower(k), v) {
				name += ";" + p
			}
		}
		kept = append(kept, name)
	}
	return "/" + strings.Join(kept, "/")
}

// isASPSession reports whether a segment is a session id of ASP.NET without
// cookies: (S(lit3py55t21z5v55vlm25s55)).
func isASPSession(segment string) bool {
	s, ok := strings.CutPrefix(segment, "(S(")
	if !ok {
		return false
	}
	s, ok = strings.CutSuffix(s, "))")
	return ok && looksRandom(s)
}

// stripWWW removes "www." as often as it stands before a host that is
// registered: www.com and www.co.uk are domains of their own.
func stripWWW(host string) string {
	for {
		rest, ok := strings.CutPrefix(host, "www.")
		if !ok || registrable(host) == strings.TrimSuffix(host, ".") {
			return host
		}
		host = rest
	}
}
