package command_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
)

// A crawl is made again, by a cron job's command line: what has changed is said in
// words and as JSON.
func TestRecrawlAndChanges(t *testing.T) {
	var version atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		page := func(title, text string) {
			fmt.Fprintf(w, "<html lang=en><title>%s</title><article><h1>%s</h1><p>%s</p><p>This page has more to say, which stays as it is in each of its versions.</p></article>", title, title, text)
		}
		switch v := version.Load(); {
		case r.URL.Path == "/":
			page("Front", "Here are <a href=/news>the news</a> and <a href=/old>the old</a> of this site.")
			if v > 0 {
				fmt.Fprint(w, "<a href=/more>more</a>")
			}
		case r.URL.Path == "/news":
			page("News", fmt.Sprintf("Today we have version %d of the news for everybody.", v))
		case r.URL.Path == "/old" && v == 0, r.URL.Path == "/more" && v > 0:
			page("Page", "A page that is there at times, and at other times is not.")
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"crawl", "--recrawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl,extract", s.URL}
	must(t, args...) // the first time it is a crawl
	if out := must(t, "changes", "--dir", dir); !strings.Contains(out, "round 0\n  new      "+s.URL+"/\n") {
		t.Errorf("changes of round 0:\n%s", out)
	}
	version.Store(1)
	r := weir(t, args...)
	if r.code != 0 || !strings.Contains(r.err, "Round 1 of the crawl in "+dir) {
		t.Errorf("exit code %d\n%s\n%s", r.code, r.out, r.err)
	}
	for _, want := range []string{"Round 1 took ", " the same, 2 changed, 0 moved, 1 vanished, 0 failed; 1 new.\n", "weir changes --dir " + dir} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the end of the round lacks %q:\n%s", want, r.out)
		}
	}
	out := must(t, "changes", "--dir", dir)
	for _, want := range []string{
		"round 1\n", "  changed  " + s.URL + "/ (", "1 link more)\n", "  changed  " + s.URL + "/news\n",
		"    -Today we have version 0 of the news for everybody.\n", "    +Today we have version 1 of the news for everybody.\n",
		"  new      " + s.URL + "/more\n", "  vanished " + s.URL + "/old (http_404)\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("changes lack %q:\n%s", want, out)
		}
	}
	for _, since := range []string{"1", "1h", "0"} {
		rows := lines[inspect.ChangeRow](t, must(t, "changes", "--dir", dir, "--since", since, "--json"))
		kinds := make(map[string]int)
		for _, row := range rows {
			kinds[row.Kind]++
			if row.URL == s.URL+"/news" && row.Round == 1 && !strings.Contains(row.Diff, "\n+Today we have version 1") {
				t.Errorf("--since %s: the difference of the news is %q", since, row.Diff)
			}
		}
		want := map[string]int{crawler.VisitNew: 1, crawler.VisitChanged: 2, crawler.VisitVanished: 1}
		if since != "1" {
			want[crawler.VisitNew] = 4
		}
		if fmt.Sprint(kinds) != fmt.Sprint(want) {
			t.Errorf("--since %s: %v, want %v", since, kinds, want)
		}
	}
	if out := must(t, "status", "--dir", dir); !strings.Contains(out, "round                began") || strings.Contains(out, "under way") {
		t.Errorf("status does not tell of the rounds:\n%s", out)
	}
	if out := must(t, "why", "--dir", dir, s.URL+"/old"); !strings.Contains(out, "state     vanished") || !strings.Contains(out, "(round 1), and found vanished") {
		t.Errorf("why:\n%s", out)
	}
	for args, want := range map[string]string{
		"crawl --recrawl=some":                        `--recrawl "some": it must be all or due`,
		"crawl --every=-1h":                           "--every \"-1h\": it must be a time",
		"crawl --min-interval=48h --max-interval=24h": "MinInterval (min-interval) is 48h0m0s, longer than MaxInterval (max-interval), 24h0m0s",
		"crawl --history=-1":                          "--history \"-1\": it must be a whole number from 0",
		"changes --since=soon":                        `--since is "soon"; it must be a round (3)`,
	} {
		if r := weir(t, append(strings.Fields(args), "--dir", dir)...); r.code != 2 || !strings.Contains(r.err, want) {
			t.Errorf("weir %s: exit code %d, %s; want %q", args, r.code, r.err, want)
		}
	}
	// A round in which nothing has changed is no silence.
	must(t, args...)
	if r := weir(t, "changes", "--dir", dir); r.code != 0 || r.out != "" || !strings.Contains(r.err, "Nothing is new, changed or gone in round 2") {
		t.Errorf("changes of round 2: exit code %d\n%s\n%s", r.code, r.out, r.err)
	}
}
