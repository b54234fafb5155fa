package weburl

import "testing"

// FuzzQuickAgainstFull holds the hand-written path to the WHATWG parser: where
// both answer, the answers are the same; where the parser refuses, so must
// the quick path.
func FuzzQuickAgainstFull(f *testing.F) {
	for _, c := range readWPT(f) {
		base := ""
		if c.Base != nil {
			base = *c.Base
		}
		f.Add(base, c.Input)
	}
	for _, href := range []string{"../a/./b/..?x#y", "//Example.COM:080/%7e", `\a\..\b`, "a%%34%31", "http://a_b.example-.com/", "é"} {
		f.Add("http://example.com/a/b?c", href)
	}
	f.Fuzz(func(t *testing.T, rawBase, href string) {
		base, err := Parse(rawBase)
		if err != nil {
			base = URL{}
		}
		ref := strip(href)
		scheme := schemeOf(ref)
		if scheme != "" && !isHTTP(scheme) || scheme == "" && base.IsZero() {
			return
		}
		ref = slashes(cutFragment(ref))
		quick, reason := base.quick(ref, scheme)
		if reason == needFull {
			return
		}
		if ref == "" || ref[0] == '?' {
			return // full leaves these to quick
		}
		full, fullReason := base.full(ref)
		if quick != full || reason != fullReason {
			t.Errorf("base %q, reference %q:\nquick %q, %v\nfull  %q, %v", base, ref, quick, reason, full, fullReason)
		}
	})
}

func cutFragment(s string) string {
	for i := range len(s) {
		if s[i] == '#' {
			return s[:i]
		}
	}
	return s
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
