package weburl

import (
	"strings"
	"testing"
	"unicode/utf8"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// byParser resolves a reference by the WHATWG parser alone and brings what it
// says into canonical form, or returns "" if it fails.
func byParser(base URL, href string) string {
	// The URL Standard has '^' in its path percent-encode set since 2023; the
	// parser has not.
	parser := whatwg.NewParser(whatwg.WithPathPercentEncodeSet(whatwg.PathPercentEncodeSet.Set('^')))
	var u *whatwg.Url
	var err error
	if base.IsZero() {
		u, err = parser.Parse(href)
	} else {
		u, err = parser.ParseRef(base.String(), href)
	}
	if err != nil || u.Host() == "" || u.Scheme() != "http" && u.Scheme() != "https" {
		return ""
	}
	query, _, _ := strings.Cut(u.Href(false), "#")
	if i := strings.IndexByte(query, '?'); i >= 0 {
		query = query[i:]
	} else {
		query = ""
	}
	return u.Scheme() + "://" + u.Host() + string(appendEscaped(nil, u.Pathname(), &pathSlash)) + string(appendEscaped(nil, query, &queryClass))
}

// pathSlash is pathClass with the slash, which separates segments there.
var pathSlash = func() (class [256]bool) {
	class = pathClass
	class['/'] = true
	return class
}()

// FuzzResolveAgainstParser holds Resolve to the WHATWG parser, for every base
// and reference.
func FuzzResolveAgainstParser(f *testing.F) {
	for _, c := range readWPT(f) {
		base := ""
		if c.Base != nil {
			base = *c.Base
		}
		f.Add(base, c.Input)
	}
	for _, href := range []string{
		"../a/./b/..?x#y", "//Example.COM:080/%7e", `\a\..\b`, "a%%34%31", "http://a_b.example-.com/", "é",
		"http:/x@y@z/a", "https:x@y", "http://@/a", "http:///a@/b", "//a:b@c:80?d", "http:?q", "http:#q", "https:",
	} {
		f.Add("http://example.com/a/b?c", href)
		f.Add("", href)
	}
	f.Fuzz(func(t *testing.T, rawBase, href string) {
		if len(href) > 500 || !utf8.ValidString(href) {
			return // the parser is about text, and has U+FFFD for bytes that are none
		}
		base, err := Parse(rawBase)
		if err != nil {
			base = URL{}
		}
		u, err := base.Resolve(href)
		if want := byParser(base, href); u.String() != want {
			t.Errorf("Resolve(%q, %q) = %q, %v; the parser says %q", base, href, u, err, want)
		}
	})
}

// FuzzCanonical checks that a canonical form is a fixed point under every
// option, that its parts make the whole, and that nothing panics.
func FuzzCanonical(f *testing.F) {
	for _, c := range readWPT(f) {
		f.Add(c.Input, uint8(0xff))
	}
	for _, raw := range []string{
		"http://www.www.example.com/a;jsessionid=1/..;sid=2/?utm_a=1&b=2&&a",
		"http://e.com/(S(lit3py55t21z5v55vlm25s55))/;jsessionid=/",
		"http://e.com/%%34%31?%%34%31=%&%75tm_=1",
		"http://www.co.uk./?;", "http://[::1]:1//", "http://1.2.3/%2e%2e/",
	} {
		f.Add(raw, uint8(0xff))
		f.Add(raw, uint8(0))
	}
	f.Fuzz(func(t *testing.T, raw string, flags uint8) {
		o := &Options{
			SortQuery:          flags&1 != 0,
			DropTracking:       flags&2 != 0,
			DropSession:        flags&4 != 0,
			StripWWW:           flags&8 != 0,
			StripTrailingSlash: flags&16 != 0,
		}
		if flags&32 != 0 {
			o.DropParams = []string{"a", "B"}
		}
		u, err := Parse(raw)
		if err != nil {
			return
		}
		if again, err := Parse(u.String()); err != nil || again != u {
			t.Fatalf("Parse(%q) = %q; parsed again %q, %v", raw, u, again, err)
		}
		c := u.Canonical(o)
		if again, err := Parse(c.String()); err != nil || again != c || again.Canonical(o) != c {
			t.Fatalf("Canonical(%q, %+v) = %q; again %q, %v", u, *o, c, again.Canonical(o), err)
		}
		if whole := c.Scheme() + "://" + c.Host() + c.Target(); whole != c.String() {
			t.Fatalf("the parts of %q make %q", c, whole)
		}
		c.RegistrableDomain()
	})
}
