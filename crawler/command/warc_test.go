package command_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/stages/warc"
)

// What a crawl with --warc keeps can be found through each form of its index.
func TestCrawlWithArchive(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "data")
	out := must(t, s.crawlArgs(dir, "--stages", "crawl", "--warc")...)
	if want := "weir export --dir " + dir + " captures --format cdxj"; !strings.Contains(out, want) {
		t.Errorf("the crawl does not say how to go on with %q:\n%s", want, out)
	}
	captures := lines[crawler.Capture](t, must(t, "export", "--dir", dir, "captures"))
	pages := lines[inspect.PageRow](t, must(t, "export", "--dir", dir, "pages"))
	if len(captures) < len(pages) || len(pages) == 0 {
		t.Errorf("%d captures of %d pages", len(captures), len(pages))
	}
	for _, c := range captures {
		f, err := os.Open(filepath.Join(dir, "warc", c.File))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		record, err := warc.NewReader(io.NewSectionReader(f, c.Offset, c.Length)).Next()
		if err != nil || record.Type != "response" || record.TargetURI != c.URL {
			t.Errorf("%+v: record %+v, %v", c, record, err)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(must(t, "export", "--dir", dir, "captures", "--format", "csv"))).ReadAll()
	if err != nil || len(rows) != len(captures)+1 {
		t.Errorf("%d rows of CSV, %v", len(rows), err)
	}
	form := regexp.MustCompile(`^1,0,0,127:\d+\)/\S* \d{14} (\{.*\})$`)
	n := 0
	for line := range strings.Lines(must(t, "export", "--dir", dir, "captures", "--format", "cdxj")) {
		n++
		m := form.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Errorf("line of CDXJ: %s", line)
			continue
		}
		var fields map[string]string // all are strings, as replay tools expect
		if err := json.Unmarshal([]byte(m[1]), &fields); err != nil || fields["url"] == "" || fields["filename"] == "" || fields["length"] == "" {
			t.Errorf("%s: %v", line, err)
		}
	}
	if n != len(captures) {
		t.Errorf("%d lines of CDXJ for %d captures", n, len(captures))
	}
	for _, args := range [][]string{
		{"export", "--dir", dir, "pages", "--format", "cdxj"},
		{"crawl", "--dir", dir, "--stage", "warc=cat"},
	} {
		if r := weir(t, args...); r.code != 2 {
			t.Errorf("weir %q: exit code %d, want 2\n%s", args, r.code, r.err)
		}
	}
}

// A crawl with requisites says what are parts of pages, and its archive is named and
// described as was asked for.
func TestCrawlWithRequisites(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, `<title>Front</title><img src=/a.png><img src=/b.png><img src=/none.png>`)
		case "/a.png", "/b.png":
			w.Header().Set("Content-Type", "image/png")
			fmt.Fprint(w, "\x89PNG the same")
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "data")
	must(t, "crawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl", "--warc", "--requisites",
		"--warc-prefix", "shelf", "--warc-size", "100000", "--warc-info", "operator: A. Librarian", s.URL)
	assets := lines[crawler.Asset](t, must(t, "export", "--dir", dir, "assets"))
	lost := 0
	for _, a := range assets {
		if a.Reason != "" {
			lost++
		}
	}
	if len(assets) != 4 || lost != 2 { // with /favicon.ico
		t.Errorf("%d assets, %d lost: %+v", len(assets), lost, assets)
	}
	if out := must(t, "why", "--dir", dir, s.URL+"/a.png"); !strings.Contains(out, "state     asset: it is a part of a page") || !strings.Contains(out, "image/png, 13 bytes; a part of "+s.URL+"/") {
		t.Errorf("why:\n%s", out)
	}
	if out := must(t, "status", "--dir", dir); !strings.Contains(out, "1 page, 0 failures") || !strings.Contains(out, "parts of pages: 4, 2 of them not to be had") {
		t.Errorf("status:\n%s", out)
	}
	if out := must(t, "export", "--dir", dir, "captures", "--format", "cdxj"); strings.Count(out, `"mime":"warc/revisit"`) != 2 { // b.png, and one 404 like the other
		t.Errorf("index:\n%s", out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "warc", "shelf-*.warc.gz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %q, %v", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if record, err := warc.NewReader(f).Next(); err != nil || !strings.Contains(string(record.Block), "operator: A. Librarian\r\n") {
		t.Errorf("the first record is %+v, %v", record, err)
	}
	for args, want := range map[string]string{
		"--requisites=some":  "must be none, all or site",
		"--warc-size=0":      "must be a size such as",
		"--warc-info=nobody": `'name: value'`,
		"--warc-prefix=a/b":  "part of a file's name",
	} {
		if r := weir(t, "crawl", "--dir", dir, args); r.code != 2 || !strings.Contains(r.err, want) {
			t.Errorf("weir crawl %s: exit code %d, %s; want %q", args, r.code, r.err, want)
		}
	}
}
