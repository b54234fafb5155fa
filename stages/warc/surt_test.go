package warc

import "testing"

// The answers are those of package surt of the Internet Archive.
func TestSURT(t *testing.T) {
	for address, want := range map[string]string{
		"http://www.Example.com/Path?b=2&a=1": "com,example)/path?a=1&b=2",
		"https://docs.example.co.uk":          "uk,co,example,docs)/",
		"http://example.com:8080/":            "com,example:8080)/",
		"https://example.com:443/":            "com,example)/",
		"http://example.com/a%20b?":           "com,example)/a%20b",
		"http://127.0.0.1:81/x":               "1,0,0,127:81)/x",
		"http://[2001:db8::1]:81/x":           "2001:db8::1:81)/x",
		"http://localhost:8765/docs/":         "localhost:8765)/docs",
		"http://localhost:8765/a//b":          "localhost:8765)/a/b",
		"http://www2.example.com/":            "com,example)/",
		"http://www.com/":                     "com)/",
		"http://example.com./a/./b/../c/":     "com,example)/a/c",
		"http://example.com/%25%37%65?%2561":  "com,example)/~?a",
		"http://example.com/caf%C3%A9":        "com,example)/caf%c3%a9",
		"http://example.com/?a&a=1&a=0&=":     "com,example)/?=&a&a=0&a=1",
		"http://example.com/?x=1&PHPSESSID=0123456789abcdef0123456789abcdef&y=2": "com,example)/?x=1&y=2",
		"http://example.com/?jsessionid=0123456789ABCDEF0123456789abcdef":        "com,example)/",
		"http://example.com/?sid=0123456789abcdef0123456789abcdef&b":             "com,example)/?b",
		"http://example.com/?sid=42":                                             "com,example)/?sid=42",
		"http://example.com/?cfid=1&cftoken=2&b":                                 "com,example)/?b",
		"http://example.com/(S(0123456789abcdefghijklmn))/a.aspx?b":              "com,example)/a.aspx?b",
		"http://example.com/(0123456789abcdefghijklmn)/A.aspx":                   "com,example)/a.aspx",
		"http://user:pass@example.com/a#b":                                       "com,example)/a",
	} {
		if got := SURT(address); got != want {
			t.Errorf("SURT(%q) = %q, want %q", address, got, want)
		}
	}
}
