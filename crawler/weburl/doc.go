// Package weburl gives web addresses one canonical form, so that a crawl
// meets every page once.
//
// A [URL] is an absolute http or https address in safe canonical form: parsed
// as browsers parse (the WHATWG URL Standard), and rewritten only where the
// standards say that the two spellings mean the same resource:
//
//   - the fragment and any credentials are removed;
//   - scheme and host are in lower case, international names in punycode, IPv4
//     addresses in dotted decimal, and a default port is dropped;
//   - "." and ".." segments are resolved and an empty path becomes "/";
//   - percent-escapes are in upper case, and those of unreserved characters
//     (RFC 3986 section 2.3) are decoded.
//
// Links are read with [URL.Resolve], which accepts what pages really contain:
// blanks, line breaks, backslashes, missing schemes. What it does not accept
// is an [*Error] whose [Reason] can be stored and shown.
//
// Forms that fold more than the standards promise (order of parameters,
// tracking parameters, session ids, www, trailing slash) are the caller's
// decision, in [Options]. Such a form identifies a page and may not be one
// that the server answers: fetch the [URL], key the seen-set with
// [URL.Canonical].
//
// All functions are safe for concurrent use.
//
// Most links take one allocation. Hosts that are not domain names in plain
// ASCII go to a full WHATWG parser; the rest is written by hand, and tests and
// a fuzz target hold it to that parser's answers.
package weburl
