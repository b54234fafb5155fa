package cli

import "testing"

func TestSurt(t *testing.T) {
	for address, want := range map[string]string{
		"http://www.Example.com/Path?b=2&a=1": "com,example)/path?a=1&b=2",
		"https://docs.example.co.uk":          "uk,co,example,docs)/",
		"http://example.com:8080/":            "com,example:8080)/",
		"http://127.0.0.1:81/x":               "127.0.0.1:81)/x",
		"http://example.com/a%20b?":           "com,example)/a%20b",
	} {
		if got := surt(address); got != want {
			t.Errorf("surt(%q) = %q, want %q", address, got, want)
		}
	}
}
