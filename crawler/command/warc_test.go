package command_test

import (
	"encoding/csv"
	"encoding/json"
	"io"
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
