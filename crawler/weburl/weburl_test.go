package weburl

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
)

func mustParse(t testing.TB, raw string) URL {
	t.Helper()
	u, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParse(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"as it is", "https://example.com/a/b?x=1&y=2", "https://example.com/a/b?x=1&y=2"},
		{"fragment", "http://example.com/a#top", "http://example.com/a"},
		{"fragment with question mark", "http://example.com/a#/?x", "http://example.com/a"},
		{"empty path", "http://example.com", "http://example.com/"},
		{"empty path before query", "http://example.com?q", "http://example.com/?q"},
		{"empty query is kept", "http://example.com/?", "http://example.com/?"},
		{"case of scheme and host", "HTTP://EXAMPLE.com/A", "http://example.com/A"},
		{"default port", "http://example.com:80/", "http://example.com/"},
		{"default port, https", "https://example.com:443/", "https://example.com/"},
		{"the other default port", "https://example.com:80/", "https://example.com:80/"},
		{"zeros before port", "http://example.com:0080/", "http://example.com/"},
		{"zeros before port, many", "http://example.com:00000008080/", "http://example.com:8080/"},
		{"empty port", "http://example.com:/", "http://example.com/"},
		{"dot segments", "http://example.com/a/./b/../c", "http://example.com/a/c"},
		{"dot segments at the end", "http://example.com/a/b/..", "http://example.com/a/"},
		{"dot segments above the root", "http://example.com/../../a", "http://example.com/a"},
		{"escaped dot segments", "http://example.com/a/%2e%2E/b/.%2e/c", "http://example.com/c"},
		{"three dots are a name", "http://example.com/.../a", "http://example.com/.../a"},
		{"empty segments", "http://example.com//a//../b", "http://example.com//a/b"},
		{"case of escapes", "http://example.com/%c3%a9%2f", "http://example.com/%C3%A9%2F"},
		{"unneeded escapes", "http://example.com/%7Ejoe/%41%2D%5f?%61=%7e", "http://example.com/~joe/A-_?a=~"},
		{"needed escapes", "http://example.com/a b\"<>`{}^|?a b\"<>'`{}", "http://example.com/a%20b%22%3C%3E%60%7B%7D%5E|?a%20b%22%3C%3E%27`{}"},
		{"bare percent", "http://example.com/100%/5%zz", "http://example.com/100%/5%zz"},
		{"escapes must not form escapes", "http://example.com/%%34%31/%4%31", "http://example.com/%%341/%4%31"},
		{"UTF-8", "http://example.com/é?é", "http://example.com/%C3%A9?%C3%A9"},
		{"not UTF-8", "http://example.com/\xe9", "http://example.com/%E9"},
		{"international name", "http://bücher.example/", "http://xn--bcher-kva.example/"},
		{"punycode", "http://XN--BCHER-KVA.example/", "http://xn--bcher-kva.example/"},
		{"escaped host", "http://ex%61mple.com/", "http://example.com/"},
		{"full-width host", "http://ｅｘａｍｐｌｅ.com/", "http://example.com/"},
		{"IPv4", "http://0x7f.1/", "http://127.0.0.1/"},
		{"IPv6", "http://[0:0::1]:8080/", "http://[::1]:8080/"},
		{"credentials", "http://user:pass@example.com/", "http://example.com/"},
		{"blanks and line breaks", " \n http://exa\nmple.com/a\r\n/b\t \x00", "http://example.com/a/b"},
		{"blank within", "http://example.com/a b", "http://example.com/a%20b"},
		{"blank before the query", "http://user@example.com/a ?b", "http://example.com/a%20?b"},
		{"blank before the fragment", "http://user@example.com/a #b", "http://example.com/a%20"},
		{"backslashes", `http:\\example.com\a?\b`, `http://example.com/a?\b`},
		{"slashes too many", "http:////example.com/", "http://example.com/"},
		{"slashes too few", "http:example.com/", "http://example.com/"},
		{"trailing dot of the host is kept", "http://example.com./", "http://example.com./"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.String(); got != tt.want {
				t.Errorf("Parse(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if again := mustParse(t, u.String()); again != u {
				t.Errorf("Parse(%q) = %q, not the same", u, again)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	const base = "https://example.com/a/b/c?x=1"
	tests := []struct{ href, want string }{
		{"", "https://example.com/a/b/c?x=1"},
		{"#top", "https://example.com/a/b/c?x=1"},
		{"  \n", "https://example.com/a/b/c?x=1"},
		{"?", "https://example.com/a/b/c?"},
		{"?y#z", "https://example.com/a/b/c?y"},
		{"d", "https://example.com/a/b/d"},
		{"d/", "https://example.com/a/b/d/"},
		{".", "https://example.com/a/b/"},
		{"./d", "https://example.com/a/b/d"},
		{"..", "https://example.com/a/"},
		{"../d", "https://example.com/a/d"},
		{"../../../../d", "https://example.com/d"},
		{"/d", "https://example.com/d"},
		{`\d`, "https://example.com/d"},
		{"//example.org", "https://example.org/"},
		{"//example.org:443/d", "https://example.org/d"},
		{"///example.org/d", "https://example.org/d"},
		{"https:d", "https://example.com/a/b/d"},
		{"http:d", "http://d/"},
		{"http://example.org/d", "http://example.org/d"},
		{" /d\n ", "https://example.com/d"},
		{"d\n/e", "https://example.com/a/b/d/e"},
		{"./a:b", "https://example.com/a/b/a:b"},
		{"2:b", "https://example.com/a/b/2:b"},
		{"d;p=1?q=1", "https://example.com/a/b/d;p=1?q=1"},
	}
	for _, tt := range tests {
		t.Run(tt.href, func(t *testing.T) {
			u, err := mustParse(t, base).Resolve(tt.href)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.String(); got != tt.want {
				t.Errorf("Resolve(%q) = %q, want %q", tt.href, got, tt.want)
			}
		})
	}
}

// A header has bytes, not text.
func TestResolveOfBytesThatAreNoText(t *testing.T) {
	for href, want := range map[string]string{
		"/caf\xe9?q=\xe9":         "https://example.com/caf%E9?q=%E9",
		"/caf\xc3\xa9?q=\xc3\xa9": "https://example.com/caf%C3%A9?q=%C3%A9",
		"/sale-50%-off":           "https://example.com/sale-50%-off",
		`\\example.org\a\b`:       "https://example.org/a/b",
	} {
		if u, err := mustParse(t, "https://example.com/a").Resolve(href); err != nil || u.String() != want {
			t.Errorf("Resolve(%q) = %q, %v, want %q", href, u, err, want)
		}
	}
}

func TestEncodeQuery(t *testing.T) {
	for _, tt := range []struct {
		enc        encoding.Encoding
		href, want string
	}{
		{charmap.Windows1251, "/поиск?q=привет#якорь", "https://example.com/%D0%BF%D0%BE%D0%B8%D1%81%D0%BA?q=%EF%F0%E8%E2%E5%F2"},
		{charmap.Windows1251, "?q=%D0%BF&r=日", "https://example.com/?q=%D0%BF&r=%26%2326085%3B"},
		{japanese.ShiftJIS, "?q=表", "https://example.com/?q=%95\\"},
		{japanese.EUCJP, "/a?b", "https://example.com/a?b"},
		{japanese.EUCJP, "/a#?日", "https://example.com/a"},
		{simplifiedchinese.GB18030, "?q=中 文", "https://example.com/?q=%D6%D0%20%CE%C4"},
	} {
		u, err := mustParse(t, "https://example.com/").Resolve(EncodeQuery(tt.href, tt.enc))
		if err != nil || u.String() != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.href, u, err, tt.want)
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name, in string
		reason   Reason
		scheme   string
	}{
		{"script", "javascript:void(0)", NotHTTP, "javascript"},
		{"script in disguise", " java\nScript:alert('http://a/')", NotHTTP, "javascript"},
		{"mail", "mailto:a@example.com", NotHTTP, "mailto"},
		{"telephone", "tel:+123", NotHTTP, "tel"},
		{"data, long", "data:text/plain," + strings.Repeat("x", 1<<20), NotHTTP, "data"},
		{"ftp", "ftp://example.com/", NotHTTP, "ftp"},
		{"websocket", "ws://example.com/", NotHTTP, "ws"},
		{"no scheme", "example.com/a", NotAbsolute, ""},
		{"nothing", "", NotAbsolute, ""},
		{"no host", "http://", BadHost, ""},
		{"no host but a port", "http://:80/", BadHost, ""},
		{"no host but a query", "http://?q", BadHost, ""},
		{"blank in host", "http://a b/", BadHost, ""},
		{"angle in host", "http://<host>/", BadHost, ""},
		{"bad IPv4", "http://1.2.3.400/", BadHost, ""},
		{"bad IPv6", "http://[::1/", BadHost, ""},
		{"bad port", "http://example.com:x/", BadPort, ""},
		{"port too great", "http://example.com:65536/", BadPort, ""},
		{"too long", "http://example.com/" + strings.Repeat("x", MaxLength), TooLong, ""},
		{"too long when escaped", "http://example.com/" + strings.Repeat(" x", MaxLength/3), TooLong, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u, err := Parse(tt.in)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Parse = %q, %v; want an *Error", u, err)
			}
			if !errors.Is(err, tt.reason) || e.Scheme != tt.scheme {
				t.Errorf("reason %q, scheme %q; want %q, %q", e.Reason, e.Scheme, tt.reason, tt.scheme)
			}
			if len(e.Input) > 128 {
				t.Errorf("the error keeps %d bytes of its input", len(e.Input))
			}
			if !u.IsZero() {
				t.Errorf("URL %q beside an error", u)
			}
		})
	}
}

func TestParts(t *testing.T) {
	tests := []struct{ in, scheme, host, hostname, port, origin, path, query, domain string }{
		{"https://www.example.co.uk:8443/a/b?q=1", "https", "www.example.co.uk:8443", "www.example.co.uk", "8443", "https://www.example.co.uk:8443", "/a/b", "q=1", "example.co.uk"},
		{"http://user.github.io/", "http", "user.github.io", "user.github.io", "", "http://user.github.io", "/", "", "user.github.io"},
		{"http://github.io/?", "http", "github.io", "github.io", "", "http://github.io", "/", "", "github.io"},
		{"http://127.0.0.1:80/", "http", "127.0.0.1", "127.0.0.1", "", "http://127.0.0.1", "/", "", "127.0.0.1"},
		{"http://[::1]/", "http", "[::1]", "::1", "", "http://[::1]", "/", "", "::1"},
		{"http://[::1]:81/", "http", "[::1]:81", "::1", "81", "http://[::1]:81", "/", "", "::1"},
		{"http://localhost:8080/a", "http", "localhost:8080", "localhost", "8080", "http://localhost:8080", "/a", "", "localhost"},
		{"http://a.example.com./", "http", "a.example.com.", "a.example.com.", "", "http://a.example.com.", "/", "", "example.com"},
	}
	for _, tt := range tests {
		u := mustParse(t, tt.in)
		check := func(name, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s of %s = %q, want %q", name, tt.in, got, want)
			}
		}
		check("Scheme", u.Scheme(), tt.scheme)
		check("Host", u.Host(), tt.host)
		check("Hostname", u.Hostname(), tt.hostname)
		check("Port", u.Port(), tt.port)
		check("Origin", u.Origin(), tt.origin)
		check("Path", u.Path(), tt.path)
		check("Query", u.Query(), tt.query)
		check("RegistrableDomain", u.RegistrableDomain(), tt.domain)
	}
}

func TestZeroURL(t *testing.T) {
	var u URL
	for name, got := range map[string]string{
		"String": u.String(), "Scheme": u.Scheme(), "Host": u.Host(), "Hostname": u.Hostname(),
		"Port": u.Port(), "Origin": u.Origin(), "Path": u.Path(), "Query": u.Query(),
		"Target": u.Target(), "RegistrableDomain": u.RegistrableDomain(),
		"Canonical": u.Canonical(&Options{StripWWW: true}).String(),
	} {
		if got != "" {
			t.Errorf("%s of the zero URL = %q", name, got)
		}
	}
}

func TestText(t *testing.T) {
	u := mustParse(t, "http://example.com/a?b")
	text, err := u.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var v URL
	if err := v.UnmarshalText(text); err != nil || v != u {
		t.Errorf("UnmarshalText(%q) = %q, %v", text, v, err)
	}
	if err := v.UnmarshalText(nil); err != nil || !v.IsZero() {
		t.Errorf("UnmarshalText(nil) = %q, %v", v, err)
	}
	if err := v.UnmarshalText([]byte("mailto:x")); !errors.Is(err, NotHTTP) {
		t.Errorf("UnmarshalText(mailto:x): %v", err)
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name     string
		o        Options
		in, want string
	}{
		{"none", Options{}, "http://www.example.com/a/?utm_source=x&b&a", "http://www.example.com/a/?utm_source=x&b&a"},
		{"sort", Options{SortQuery: true}, "http://e.com/?b=1&a=2&&a=1", "http://e.com/?a=2&a=1&b=1"},
		{"sort names, not prefixes", Options{SortQuery: true}, "http://e.com/?a-b=1&a=1", "http://e.com/?a=1&a-b=1"},
		{"tracking", Options{DropTracking: true}, "http://e.com/?utm_source=x&b=1&UTM_Medium=y&gclid=1&fbclid", "http://e.com/?b=1"},
		{"tracking only", Options{DropTracking: true}, "http://e.com/a?gclid=1", "http://e.com/a"},
		{"tracking, escaped name", Options{DropTracking: true}, "http://e.com/a?%75tm_source=1", "http://e.com/a"},
		{"not tracking", Options{DropTracking: true}, "http://e.com/a?ref=1&utm=1", "http://e.com/a?ref=1&utm=1"},
		{"session in query", Options{DropSession: true}, "http://e.com/a?PHPSESSID=1&b=1&ASPSESSIONIDAB=1&sid=9a8b7c6d5e4f3a2b", "http://e.com/a?b=1"},
		{"other session parameters", Options{DropSession: true}, "http://e.com/a?session=9a8b7c6d5e4f3a2b&osCsid=1&s=word", "http://e.com/a?s=word"},
		{"sid that numbers a page", Options{DropSession: true}, "http://e.com/a?sid=42", "http://e.com/a?sid=42"},
		{"session in path", Options{DropSession: true}, "http://e.com/a;jsessionid=1F.node2;v=2/b;JSESSIONID=2", "http://e.com/a;v=2/b"},
		{"session leaves dots", Options{DropSession: true}, "http://e.com/a/b/..;jsessionid=1", "http://e.com/a/"},
		{"session of ASP.NET", Options{DropSession: true}, "http://e.com/(S(lit3py55t21z5v55vlm25s55))/a.aspx", "http://e.com/a.aspx"},
		{"own parameters", Options{DropParams: []string{"Theme"}}, "http://e.com/?theme=dark&a=1", "http://e.com/?a=1"},
		{"www", Options{StripWWW: true}, "http://www.example.com:81/www.", "http://example.com:81/www."},
		{"www twice", Options{StripWWW: true}, "http://www.www.example.com/", "http://example.com/"},
		{"www of a domain named www", Options{StripWWW: true}, "http://www.com/", "http://www.com/"},
		{"www of a public suffix", Options{StripWWW: true}, "http://www.co.uk/", "http://www.co.uk/"},
		{"www and IPv6", Options{StripWWW: true}, "http://[::1]:81/", "http://[::1]:81/"},
		{"trailing slash", Options{StripTrailingSlash: true}, "http://e.com/a/b//?c", "http://e.com/a/b?c"},
		{"trailing slash of the root", Options{StripTrailingSlash: true}, "http://e.com///", "http://e.com/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Canonical(tt.in, &tt.o)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("Canonical(%q) = %q, want %q", tt.in, got, tt.want)
			}
			if again, err := Canonical(got, &tt.o); err != nil || again != got {
				t.Errorf("Canonical(%q) = %q, %v, not the same", got, again, err)
			}
		})
	}
}
