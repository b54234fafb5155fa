package robots

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

type vector struct {
	Test, Robots, UA, URL string
	Allowed               bool
}

func readVectors(t testing.TB) (vectors []vector) {
	t.Helper()
	data, err := os.ReadFile("testdata/google_robots_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 140 {
		t.Fatalf("%d vectors, want 140", len(vectors))
	}
	return vectors
}

func TestGoogleVectors(t *testing.T) {
	for i, v := range readVectors(t) {
		if got := ParseDialect([]byte(v.Robots), v.UA, Google).Allowed(v.URL); got != v.Allowed {
			t.Errorf("vector %d, %s: agent %q, URL %q, allowed %v, want %v\n%s", i, v.Test, v.UA, v.URL, got, v.Allowed, v.Robots)
		}
	}
}

// TestGoogleVectorsByRFC runs the same vectors in the default dialect. The few
// differences are those of the two texts.
func TestGoogleVectorsByRFC(t *testing.T) {
	differ := map[string]string{
		"http://foo.bar/foo/bar/ツ":      "octets above ASCII must be escaped before comparison, in the URI too",
		"http://foo.bar/foo/bar/baz":    "the table of section 2.2.2 says that %62%61%7A matches baz",
		"http://foo.com/allowed-slash/": "index.html is no directory in the RFC",
	}
	differences := 0
	for i, v := range readVectors(t) {
		got := Parse([]byte(v.Robots), v.UA).Allowed(v.URL)
		if got == v.Allowed {
			continue
		}
		differences++
		if differ[v.URL] == "" {
			t.Errorf("vector %d, %s: agent %q, URL %q, allowed %v, want %v\n%s", i, v.Test, v.UA, v.URL, got, v.Allowed, v.Robots)
		}
	}
	if differences != 4 {
		t.Errorf("%d differences, want 4", differences)
	}
}

// TestRFCTables are the examples of RFC 9309, sections 2.2.2, 2.2.3 and 5.
func TestRFCTables(t *testing.T) {
	tests := []struct{ pattern, url string }{
		{"/foo/bar?baz=quz", "/foo/bar?baz=quz"},
		{"/foo/bar?baz=http://foo.bar", "/foo/bar?baz=http%3A%2F%2Ffoo.bar"},
		{"/foo/bar?baz=http://foo.bar", "/foo/bar?baz=http://foo.bar"},
		{"/foo/bar?baz=http%3A%2F%2Ffoo.bar", "/foo/bar?baz=http://foo.bar"},
		{"/foo/bar/ツ", "/foo/bar/%E3%83%84"},
		{"/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84"},
		{"/foo/bar/%e3%83%84", "/foo/bar/ツ"},
		{"/foo/bar/%62%61%7A", "/foo/bar/baz"},
		{"/path/file-with-a-%2A.html", "/path/file-with-a-*.html"},
		{"/path/foo-%24", "/path/foo-$"},
		{"/%7Ejoe/", "/~joe/x"},
		{"/a$b", "/a$b"},
	}
	for _, tt := range tests {
		r := Parse([]byte("user-agent: *\ndisallow: "+tt.pattern), "Weir")
		if r.Allowed("https://example.com" + tt.url) {
			t.Errorf("%q does not match %q", tt.pattern, tt.url)
		}
	}
	for _, tt := range []struct{ pattern, url string }{
		{"/a%2Fb", "/a/b"},
		{"/path/file-*.html$", "/path/file-a.htmlx"},
		{"/path/foo-%2A", "/path/foo-bar"},
		{"/a?b=%26", "/a?b=&"},
		{"/a/", "/a"},
	} {
		r := Parse([]byte("user-agent: *\ndisallow: "+tt.pattern), "Weir")
		if !r.Allowed(tt.url) {
			t.Errorf("%q matches %q", tt.pattern, tt.url)
		}
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, robots, url string
		want              bool
	}{
		{"empty", "", "/a", true},
		{"BOM", "\xef\xbb\xbfUser-agent: *\nDisallow: /", "/a", false},
		{"CR", "User-agent: *\rDisallow: /a\rAllow: /a/b", "/a", false},
		{"CRLF", "User-agent: *\r\nDisallow: /a\r\n\r\nAllow: /a/b", "/a/b", true},
		{"rule before the first group", "Disallow: /\nUser-agent: *\nDisallow: /b", "/a", true},
		{"comment behind a rule", "User-agent: * # all\nDisallow: /a#b", "/a", false},
		{"comment within a group", "User-agent: weir\n# x\n\nUser-agent: other\nDisallow: /", "/a", false},
		{"specific over global", "User-agent: *\nDisallow: /\nUser-agent: WEIR/2.0\nDisallow: /b", "/a", true},
		{"specific without rules", "User-agent: *\nDisallow: /\n\nUser-agent: weir\nDisallow:", "/a", true},
		{"groups merged", "User-agent: weir\nDisallow: /a\nUser-agent: *\nDisallow: /\nUser-agent: weir\nDisallow: /b", "/b", false},
		{"token is no prefix", "User-agent: wei\nDisallow: /", "/a", true},
		{"token is no substring", "User-agent: weirdbot\nDisallow: /", "/a", true},
		{"star with words", "User-agent: * everybody\nDisallow: /", "/a", false},
		{"blanks around the colon", "User-agent : *\n Disallow\t:\t/a \t", "/a", false},
		{"misspelt", "useragent: *\ndissallow: /", "/a", false},
		{"no slash", "User-agent: *\nDisallow: a", "/a", true},
		{"star first", "User-agent: *\nDisallow: *.pdf$", "/a/b.pdf", false},
		{"robots.txt itself", "User-agent: *\nDisallow: /", "/robots.txt", true},
		{"tie between literal and wildcard", "User-agent: *\nDisallow: /abc\nAllow: /a*c", "/abc", true},
		{"tie between wildcards", "User-agent: *\nDisallow: /*bc\nAllow: /a*c", "/abc", true},
		{"parent literal", "User-agent: *\nDisallow: /a\nAllow: /ab\nAllow: /abd/x", "/abd/y", true},
		{"parent literal, far", "User-agent: *\nDisallow: /a\nAllow: /ab/x\nAllow: /ab/y", "/ac", false},
		{"query", "User-agent: *\nDisallow: /*?*sort=", "/a?b=1&sort=2", false},
		{"overlapping parts", "User-agent: *\nDisallow: /a*ab$", "/ab", true},
		{"greedy is not too greedy", "User-agent: *\nDisallow: /*ab*ab$", "/abxabxab", false},
		{"line cut by the limit", "User-agent: *\nAllow: /\nDisallow: /a" + strings.Repeat("x", MaxBody), "/a", true},
		{"rule behind the limit", strings.Repeat("#\n", MaxBody/2) + "User-agent: *\nDisallow: /", "/a", true},
		{"long line cut", "User-agent: *\nDisallow: /a" + strings.Repeat(" ", 2*maxLine) + "b", "/a", false},
		{"only a key", "User-agent: *\nDisallow", "/a", true},
		{"HTML", "<html><body>User-agent: *<br>Disallow: /</body></html>", "/a", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Parse([]byte(tt.robots), "Weir")
			if got := r.Allowed(tt.url); got != tt.want {
				rule, _ := r.Match(tt.url)
				t.Errorf("Allowed(%q) = %v by %q, want %v", tt.url, got, rule, tt.want)
			}
		})
	}
}

func TestMatchNamesTheRule(t *testing.T) {
	r := Parse([]byte("User-agent: *\nDisallow: /a\n\nAllow: /a/*/c\n"), "Weir")
	for url, want := range map[string]string{
		"/a/b":                        "Disallow: /a (line 2)",
		"https://example.com/a/b/c#d": "Allow: /a/*/c (line 4)",
	} {
		if rule, _ := r.Match(url); rule.String() != want {
			t.Errorf("Match(%q) = %q, want %q", url, rule, want)
		}
	}
	if rule, allowed := r.Match("/b"); rule != (Rule{}) || !allowed {
		t.Errorf("Match(/b) = %q, %v", rule, allowed)
	}
}

func TestExtensions(t *testing.T) {
	tests := []struct {
		name, robots string
		delay        time.Duration
		sitemaps     string
	}{
		{"none", "User-agent: *\nDisallow: /", 0, ""},
		{"own group", "User-agent: *\nCrawl-delay: 9\nDisallow: /x\nUser-agent: weir\nCrawl-delay: 1.5\nDisallow: /x", 1500 * time.Millisecond, ""},
		{"not from all when there is an own group", "User-agent: *\nCrawl-delay: 9\nDisallow: /x\nUser-agent: weir\nDisallow: /x", 0, ""},
		{"greatest", "User-agent: *\nCrawl-delay: 9\nCrawl-delay: 10\nCrawl-delay: 2", 10 * time.Second, ""},
		{"before any group", "Crawl-delay: 9\nUser-agent: *", 0, ""},
		{"comment", "User-agent: *\nCrawl-delay: 3 # seconds", 3 * time.Second, ""},
		{"not a number", "User-agent: *\nCrawl-delay: soon\nCrawl-delay: -1\nCrawl-delay: NaN\nCrawl-delay: +Inf", 0, ""},
		{"overflow", "User-agent: *\nCrawl-delay: 1e300", maxCrawlDelay, ""},
		{"sitemaps", "Sitemap: https://a/1.xml\nUser-agent: x\nSITEMAP: https://a/2.xml # two\nsite-map:https://a/3.xml", 0, "https://a/1.xml https://a/2.xml https://a/3.xml"},
		{"empty sitemap", "Sitemap:\nSitemap: https://a/1.xml", 0, "https://a/1.xml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Parse([]byte(tt.robots), "Weir")
			if got := r.CrawlDelay(); got != tt.delay {
				t.Errorf("CrawlDelay = %v, want %v", got, tt.delay)
			}
			if got := strings.Join(r.Sitemaps(), " "); got != tt.sitemaps {
				t.Errorf("Sitemaps = %q, want %q", got, tt.sitemaps)
			}
		})
	}
}

func TestProductToken(t *testing.T) {
	for in, want := range map[string]string{
		"Weir": "Weir", "Weir/1.0 (+https://example.com/)": "Weir", "Foo Bar": "Foo",
		"foo_bar-baz2": "foo_bar-baz", "": "", "*": "", "1Bot": "",
	} {
		if got := ProductToken(in); got != want {
			t.Errorf("ProductToken(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNilRulesAllow(t *testing.T) {
	var r *Rules
	if !r.Allowed("/") || r.CrawlDelay() != 0 || r.Sitemaps() != nil || r.Agent() != "" {
		t.Error("nil rules forbid or hold something")
	}
}

// Some editors write UTF-16, with a byte order mark or without.
func TestParseUTF16(t *testing.T) {
	const file = "User-agent: *\r\nDisallow: /caf\u00e9\r\n"
	for name, order := range map[string]binary.AppendByteOrder{"little endian": binary.LittleEndian, "big endian": binary.BigEndian} {
		for _, mark := range []string{"\ufeff", ""} {
			var body []byte
			for _, u := range utf16.Encode([]rune(mark + file)) {
				body = order.AppendUint16(body, u)
			}
			r := Parse(body, "weir")
			if r.Allowed("/caf%C3%A9") {
				t.Errorf("%s with mark %q: allowed", name, mark)
			}
			if !r.Allowed("/else") {
				t.Errorf("%s with mark %q: everything is forbidden", name, mark)
			}
			Parse(body[:len(body)-1], "weir")
		}
	}
}
