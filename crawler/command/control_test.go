package command_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// Whatever the web says, no command lets a character through that would do something to
// a terminal.
func TestNoCommandWritesControlCharacters(t *testing.T) {
	const evil = "a\x1b[2Jb\u009bc\u202ed\u2066e\x07f\u200fg\x7fh"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprintf(w, "User-agent: *\nDisallow: /no%s\nDisallow: /forbidden\n# %s\nSitemap: /map%s\n", evil, evil, evil)
		case "/gone":
			http.Error(w, evil, http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Language", "en")
			fmt.Fprintf(w, "<html lang='%[1]s'><title>%[1]s</title><meta name=description content='%[1]s'><p>The water %[1]s is wide.<a href='/gone'>%[1]s</a><a href='/forbidden'>x</a><a href='mailto:%[1]s'>m</a><a href='http://[%[1]s/'>bad</a><a href='/%[1]s'>%[1]s</a>", evil)
		}
	}))
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "crawl")
	seed := s.URL + "/"
	escaped := 0
	for _, args := range [][]string{
		{"crawl", "--dir", dir, "--allow-private", "--delay", "0", "--sitemaps", "--log-level", "debug", "--max-pages", "3", seed},
		{"status", "--dir", dir}, {"status", "--dir", dir, "--json"}, {"holding", "--dir", dir},
		{"why", "--dir", dir, seed}, {"why", "--dir", dir, seed + evil}, {"why", "--dir", dir, s.URL + "/gone"}, {"why", "--dir", dir, s.URL + "/forbidden"}, {"why", "--dir", dir, "--json", seed},
		{"export", "--dir", dir, "pages"}, {"export", "--dir", dir, "pages", "--format", "csv"}, {"export", "--dir", dir, "pages", "--format", "conllu"},
		{"export", "--dir", dir, "links"}, {"export", "--dir", dir, "links", "--format", "csv"}, {"export", "--dir", dir, "failures"}, {"export", "--dir", dir, "failures", "--format", "csv"},
		{"export", "--dir", dir, "generations", "--format", "csv"}, {"changes", "--dir", dir}, {"dead", "list", "--dir", dir}, {"check", "--dir", dir},
		{"fetch", "--allow-private", seed}, {"fetch", "--allow-private", s.URL + "/" + evil}, {"fetch", "--allow-private", "--dir", dir, s.URL + "/gone"},
		{"crawl", "--dir", dir + evil, "--depth", evil}, {"config", "--dir", dir}, {"no" + evil},
	} {
		r := weir(t, args...)
		for _, text := range []string{r.out, r.err} {
			escaped += strings.Count(text, `\u202e`)
			for i, c := range text {
				if c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) {
					t.Errorf("weir %q writes %U: %q", args, c, text[max(i-40, 0):min(i+40, len(text))])
					break
				}
			}
		}
	}
	if escaped < 20 {
		t.Errorf("what the site says was shown %d times", escaped)
	}
}
