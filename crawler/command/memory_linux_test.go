package command_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var memoryHosts = flag.Int("memory.hosts", 0, "hosts of TestPeakMemory with a large page each; 0 leaves the test out")

// A largePage is a page that takes much memory when it is taken for granted.
type largePage struct {
	name        string
	contentType string
	write       func(w io.Writer)
}

// repeated writes a text again and again, n bytes or a little more of it.
func repeated(before, text, after string, n int) func(io.Writer) {
	return func(w io.Writer) {
		io.WriteString(w, before)
		piece := strings.Repeat(text, 1+(32<<10)/len(text))
		for left := n; left > 0; left -= len(piece) {
			io.WriteString(w, piece)
		}
		io.WriteString(w, after)
	}
}

// numbered is repeated for a format with a number.
func numbered(before, format, after string, times int) func(io.Writer) {
	return func(w io.Writer) {
		io.WriteString(w, before)
		for i := range times {
			fmt.Fprintf(w, format, i)
		}
		io.WriteString(w, after)
	}
}

const html = "text/html; charset=utf-8"

var largePages = []largePage{
	{"paragraphs with links", html, numbered("<title>p</title><body>",
		"<p>This is paragraph %[1]d of a page that is far too long, and it has <a href=/p/%[1]d>a link</a> as all the others do, in a sentence.\n", "", 76_000)},
	{"one tag with 900,000 attributes", html, numbered("<title>a</title><body><p>before<div", " a%d=1", ">behind</div>", 900_000)},
	{"500,000 links", html, numbered("<title>l</title><body>", "<a href=/%d>x</a>", "", 500_000)},
	{"elements within each other", html, repeated("<title>n</title><body>", "<div>", "the end", 9<<20)},
	{"rows of a table", html, repeated("<title>t</title><body><table>", "<tr><td>x<td>", "</table>", 9<<20)},
	{"entities", html, repeated("<title>e</title><body><p>", "&amp;", "", 9<<20)},
	{"emoji as entities", html, repeated("<title>e</title><body><p>", "&#x1F600;", "", 9<<20)},
	{"punctuation", html, repeated("<title>p</title><body><p>", ".,;:!?", "", 9<<20)},
	{"single letters", "text/plain; charset=utf-8", repeated("", "a b c d ", "", 9<<20)},
	{"comments", html, repeated("<title>c</title><body>", "<!---->\n", "the end", 9<<20)},
	{"JSON-LD", html, repeated(`<title>j</title><script type="application/ld+json">[`, `{"@type":"Thing","name":"x"},`, `{}]</script><p>text`, 9<<20)},
}

// mostMemory is what a crawl of large pages may have at its peak, resident and no
// mapped file: the tables that Badger maps the system takes back when it likes.
const mostMemory = 400 << 20

// Many hosts have a large page each, of one kind at a time: whatever it is, the crawl
// with all of its stages stays under a bound, and every page is fetched.
func TestPeakMemory(t *testing.T) {
	if *memoryHosts == 0 {
		t.Log("give -memory.hosts to run it; it takes minutes")
		return
	}
	for _, p := range largePages {
		t.Run(p.name, func(t *testing.T) { crawlLarge(t, *memoryHosts, p) })
	}
	// A program's answer is no page, but a line.
	t.Run("a line of 2,000,000 values", func(t *testing.T) {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		crawlLarge(t, min(*memoryHosts, 6), largePage{"small", html, repeated("<title>s</title><p>", "some text ", "", 100)},
			"--stages", "crawl,extract", "--stage", "values="+exe+" values-child")
	})
}

// statusSize is a size from /proc/PID/status, in bytes, or 0.
func statusSize(status []byte, field string) int64 {
	_, after, _ := bytes.Cut(status, []byte(field))
	var kilobytes int64
	if _, err := fmt.Sscan(string(after), &kilobytes); err != nil {
		return 0
	}
	return kilobytes << 10
}

func crawlLarge(t *testing.T, hosts int, page largePage, more ...string) {
	args := append([]string{"crawl", "--dir", filepath.Join(t.TempDir(), "crawl"), "--allow-private", "--delay", "0", "--progress", "off"}, more...)
	for range hosts {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				http.NotFound(w, r)
				return
			}
			w.Header().Set("Content-Type", page.contentType)
			b := bufio.NewWriterSize(w, 64<<10)
			page.write(b)
			b.Flush()
		}))
		defer s.Close()
		args = append(args, s.URL+"/")
	}
	began := time.Now()
	cmd, out, errs := start(t, append(args, "--max-pages", fmt.Sprint(hosts))...)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var peak, files int64
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, errs)
			}
			running = false
		case <-tick.C:
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if err != nil {
				continue // it is about to end
			}
			peak = max(peak, statusSize(status, "RssAnon:"))
			files = max(files, statusSize(status, "RssFile:"))
		}
	}
	t.Logf("%d hosts: %d MB at the peak, up to %d MB of mapped files beside it, %v of processor time, %v", hosts, peak>>20, files>>20,
		(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(time.Second), time.Since(began).Round(time.Second))
	if peak > mostMemory {
		t.Errorf("%d MB resident at the peak, want %d at most", peak>>20, mostMemory>>20)
	}
	if !strings.Contains(out.String()+errs.String(), fmt.Sprintf("%d pages", hosts)) {
		t.Errorf("want %d pages:\n%s%s", hosts, out, errs)
	}
}
