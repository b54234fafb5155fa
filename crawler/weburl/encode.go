package weburl

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"

	"github.com/seed-301537d8/weir/crawler/internal/percent"
)

// EncodeQuery returns a reference of a page in another encoding than UTF-8 with
// what is not ASCII in its query percent-encoded in that encoding, as the URL
// Standard has it ("percent-encode after encoding") and servers of such pages
// expect. What the encoding has no character for becomes a numeric character
// reference. Path and fragment are always UTF-8, so [URL.Resolve] takes the
// rest.
func EncodeQuery(ref string, enc encoding.Encoding) string {
	query := strings.IndexByte(ref, '?')
	if query < 0 {
		return ref
	}
	end := len(ref)
	if i := strings.IndexByte(ref, '#'); i >= 0 {
		end = i
	}
	if query > end || isASCII(ref[query:end]) {
		return ref
	}
	e := enc.NewEncoder()
	var out []byte
	for _, c := range ref[query:end] {
		if c < utf8.RuneSelf {
			out = append(out, byte(c))
			continue
		}
		e.Reset()
		encoded, err := e.String(string(c))
		if err != nil {
			out = append(out, "%26%23"+strconv.Itoa(int(c))+"%3B"...)
			continue
		}
		for i := range len(encoded) {
			if b := encoded[i]; queryClass[b] {
				out = append(out, b)
			} else {
				out = percent.Append(out, b)
			}
		}
	}
	return ref[:query] + string(out) + ref[end:]
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
