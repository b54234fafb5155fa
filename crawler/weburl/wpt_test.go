package weburl

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// wptCase is a case of the URL tests of web-platform-tests.
type wptCase struct {
	Input, Href        string
	Base               *string
	Failure            bool
	Protocol, Host     string
	Pathname, Search   string
	Username, Password string
}

func readWPT(t testing.TB) (cases []wptCase) {
	t.Helper()
	data, err := os.ReadFile("testdata/wpt-urltestdata.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, raw := range all {
		if raw[0] == '"' {
			continue // a comment
		}
		var c wptCase
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// brokenPunycode lists the inputs that this package refuses and the tests
// accept: hosts with an "xn--" label that is not the punycode of anything.
// No such name can be registered.
var brokenPunycode = []string{
	"http://a.b.c.xn--pokxncvks",
	"http://10.0.0.xn--pokxncvks",
	"http://a.b.c.XN--pokxncvks",
	"http://a.b.c.Xn--pokxncvks",
	"http://10.0.0.XN--pokxncvks",
	"http://10.0.0.xN--pokxncvks",
	"https://xn--/",
}

// TestWPT holds Parse and Resolve to every case of web-platform-tests that is
// about http and https: a base of these schemes or none, and a result of
// these schemes or a failure. Results with another scheme must be refused.
func TestWPT(t *testing.T) {
	const (
		passed   = "passed"
		refused  = "other scheme, refused"
		baseElse = "excluded: the base is not http or https"
		known    = "excluded: broken punycode, refused here"
	)
	counts := map[string]int{}
	for _, c := range readWPT(t) {
		var base URL
		if c.Base != nil {
			var err error
			if base, err = Parse(*c.Base); err != nil {
				if !hasScheme(c.Input) {
					counts[baseElse]++ // a relative reference in a page that no crawl has
					continue
				}
				base = URL{}
			}
		}
		u, err := base.Resolve(c.Input)
		switch {
		case slices.Contains(brokenPunycode, c.Input):
			if !errors.Is(err, BadHost) {
				t.Errorf("Resolve(%q, %q) = %q, %v; no longer a difference", base, c.Input, u, err)
			}
			counts[known]++
		case c.Failure:
			if err == nil {
				t.Errorf("Resolve(%q, %q) = %q, want a failure", base, c.Input, u)
				continue
			}
			counts[passed]++
		case c.Protocol != "http:" && c.Protocol != "https:":
			if !errors.Is(err, NotHTTP) && !errors.Is(err, NotAbsolute) {
				t.Errorf("Resolve(%q, %q) = %q, %v; want it refused: %s", base, c.Input, u, err, c.Href)
				continue
			}
			counts[refused]++
		default:
			// The canonical form differs from href by three things only.
			want := strings.TrimSuffix(c.Protocol, ":") + "://" + c.Host + unescape(c.Pathname)
			if strings.Contains(strings.SplitN(c.Href, "#", 2)[0], "?") {
				want += "?" + unescape(strings.TrimPrefix(c.Search, "?"))
			}
			if err != nil || u.String() != want {
				t.Errorf("Resolve(%q, %q) = %q, %v; want %q", base, c.Input, u, err, want)
				continue
			}
			counts[passed]++
		}
	}
	for what, n := range counts {
		t.Logf("%4d %s", n, what)
	}
	if counts[passed] < 400 {
		t.Errorf("only %d cases passed; is the file whole?", counts[passed])
	}
}

func hasScheme(s string) bool { return schemeOf(strip(s)) != "" }

var escape = regexp.MustCompile(`%[0-9a-fA-F]{2}`)

// unescape is a plain second writing of the rule for escapes: upper case, and
// unreserved characters decoded.
func unescape(s string) string {
	return escape.ReplaceAllStringFunc(s, func(e string) string {
		c, err := strconv.ParseUint(e[1:], 16, 8)
		if err == nil && c < utf8.RuneSelf && regexp.MustCompile(`[A-Za-z0-9._~-]`).MatchString(string(rune(c))) {
			return string(rune(c))
		}
		return strings.ToUpper(e)
	})
}
