package command_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFetchShowsOnePage(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"in short", []string{s.URL + "/a"}, 0, []string{"status 200, text/html; charset=utf-8", "title     first", "language  en",
			"robots    allowed", "1s between requests", "first byte after", "2 targets: 2 to follow"}},
		{"links", []string{"--links", s.URL}, 0, []string{
			"+ " + s.URL + "/a  to /a\n", "- http://elsewhere.example/  to http://elsewhere.example/\n    rejected by --scope host: ", "reject unless host is"}},
		{"any scope", []string{"--links", "--scope", "any", s.URL}, 0, []string{"+ http://elsewhere.example/"}},
		{"headers", []string{"--headers", s.URL}, 0, []string{"Content-Type: text/html; charset=utf-8\n"}},
		{"redirect", []string{s.URL + "/old"}, 0, []string{s.URL + "/old\n  redirects to\n" + s.URL + "/a\n"}},
		{"gone", []string{s.URL + "/missing"}, 1, []string{"failed    http_404: Not Found"}},
		{"forbidden", []string{s.URL + "/private/x"}, 1, []string{"failed    robots: robots.txt: Disallow: /private", "robots    forbidden"}},
		{"forbidden and asked for", []string{"--ignore-robots", s.URL + "/private/x"}, 1, []string{"http_404"}},
		{"selector", []string{"--select", "h1", s.URL}, 0, []string{"home\n"}},
		{"attribute", []string{"--select", "a", "--attr", "href", s.URL + "/a"}, 0, []string{"/\n/deep\n"}},
		{"HTML of a selector", []string{"--select", "h1", "--html", s.URL}, 0, []string{"<h1>home</h1>\n"}},
		{"text", []string{"--text", s.URL}, 0, []string{"The old mill stands beside the river."}},
		{"markdown", []string{"--markdown", s.URL}, 0, []string{"The old mill stands beside the river."}},
		{"body", []string{"--body", s.URL}, 0, []string{"<html lang=en><title>home</title>"}},
		{"selector that is none", []string{"--select", "a[", s.URL}, 2, []string{`--select "a["`}},
		{"header that is none", []string{"--header", "x", s.URL}, 2, []string{"'Name: value'"}},
		{"label that nobody handles", []string{"--label", "x", s.URL}, 2, []string{"no function has the label x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := weir(t, append([]string{"fetch", "--allow-private"}, test.args...)...)
			for _, want := range test.want {
				if r.code != test.code || !strings.Contains(r.out+r.err, want) {
					t.Errorf("exit code %d, want %d and %q:\n%s%s", r.code, test.code, want, r.out, r.err)
				}
			}
		})
	}
	if n := s.count("/private/x"); n != 1 { // by --ignore-robots
		t.Errorf("what robots.txt forbids was fetched %d times", n)
	}
	if r := weir(t, "fetch", s.URL); r.code != 2 || !strings.Contains(r.err, "--allow-private") {
		t.Errorf("a private address: exit code %d\n%s", r.code, r.err)
	}
}

func TestFetchReadsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.html")
	page := `<html lang="de"><title>Mühle</title><script type="application/ld+json">{"@type":"Article"}</script><a href="/fluss">Fluss</a>`
	if err := os.WriteFile(name, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	var got struct {
		URL   string
		Meta  struct{ JSONLD []map[string]string }
		Links []struct {
			To     string
			Follow bool
		}
	}
	if err := json.Unmarshal([]byte(must(t, "fetch", name, "--url", "www.example.com/a/", "--json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.URL != "https://www.example.com/a/" || len(got.Links) != 1 || got.Links[0].To != "https://www.example.com/fluss" || !got.Links[0].Follow ||
		len(got.Meta.JSONLD) != 1 || got.Meta.JSONLD[0]["@type"] != "Article" {
		t.Errorf("got %+v", got)
	}
	r := weirContext(t, t.Context(), page, "fetch", "-", "--select", "title")
	if r.code != 0 || r.out != "Mühle\n" {
		t.Errorf("of standard input: exit code %d, %q\n%s", r.code, r.out, r.err)
	}
}

// A host that refuses says so, and does not go round in circles.
func TestFetchOfAHostThatRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := weir(t, "fetch", "--allow-private", "http://"+addr+"/")
	if r.code != 1 || !strings.Contains(r.out, "robots.txt cannot be fetched: refused") {
		t.Errorf("exit code %d, want 1 and that robots.txt cannot be fetched:\n%s%s", r.code, r.out, r.err)
	}
}
