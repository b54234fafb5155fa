package command_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/stages/tag"
)

var (
	update = flag.Bool("update", false, "write the golden files")
	long   = flag.Bool("long", false, "read a million seeds; more rounds and more kills")
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "stage-child" {
		stageChild()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "values-child" {
		valuesChild()
		return
	}
	if os.Getenv(asWeir) != "" {
		command.Main(nil) // it exits
	}
	code := m.Run()
	stopDatabase()
	os.Exit(code)
}

// stageChild is a stage in another program: it counts letters, and fails at
// pages whose text has "otter" as long as the file named by its argument is
// there.
func stageChild() {
	fmt.Println(`{"weir":1}`)
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil { // the other side's hello
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var batch struct {
			Items []struct {
				ID   uint64
				Item crawler.Doc
			}
		}
		if err := json.Unmarshal([]byte(line), &batch); err != nil {
			return
		}
		for _, it := range batch.Items {
			if _, err := os.Stat(os.Args[2]); err == nil && strings.Contains(it.Item.Text, "otter") {
				fmt.Printf("{\"id\":%d,\"ok\":false,\"error\":\"afraid of otters\",\"permanent\":true}\n", it.ID)
				continue
			}
			fmt.Printf("{\"id\":%d,\"ok\":true,\"emit\":{\"result\":[{\"letters\":%d}]}}\n", it.ID, len(it.Item.Text))
		}
	}
}

// valuesChild is a stage whose result is a line of 4 MB with 2,000,000 values.
func valuesChild() {
	fmt.Println(`{"weir":1}`)
	in := bufio.NewReader(os.Stdin)
	values := bytes.Repeat([]byte("1,"), 2_000_000)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		for _, at := range bytes.Split(line, []byte(`{"id":`))[1:] {
			id, _, _ := bytes.Cut(at, []byte(","))
			fmt.Printf(`{"id":%s,"ok":true,"emit":{"result":[[%s1]]}}`+"\n", id, values)
		}
	}
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

// weir runs a command in this process.
func weir(t *testing.T, args ...string) result {
	t.Helper()
	return weirContext(t, t.Context(), "", args...)
}

func weirContext(t *testing.T, ctx context.Context, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := command.Run(ctx, nil, append([]string{"weir"}, args...), strings.NewReader(stdin), &out, &errs)
	return result{code, out.String(), errs.String()}
}

// must runs a command that has to succeed, and returns what it has written.
func must(t *testing.T, args ...string) string {
	t.Helper()
	r := weir(t, args...)
	if r.code != 0 {
		t.Fatalf("weir %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// site is a small web of six pages. A page of gate is answered when the gate
// opens.
type site struct {
	*httptest.Server
	gate    map[string]chan struct{}
	reached chan string // paths of gates
	mu      sync.Mutex
	hits    map[string]int
}

func newSite(t *testing.T, gates ...string) *site {
	s := &site{hits: make(map[string]int), gate: make(map[string]chan struct{}), reached: make(chan string, 100)}
	for _, g := range gates {
		s.gate[g] = make(chan struct{})
	}
	text := "The old mill stands beside the river. A grey heron waits for fish, and the miller sleeps in the warm afternoon sun. "
	page := func(w http.ResponseWriter, title, more string, links ...string) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<html lang=en><title>%s</title><body><article><h1>%s</h1><p>%s%s</p></article>", title, title, text, more)
		for _, l := range links {
			fmt.Fprintf(w, "<a href=%q>to %s</a> ", l, l)
		}
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.hits[r.URL.Path]++
		s.mu.Unlock()
		if gate := s.gate[r.URL.Path]; gate != nil {
			s.reached <- r.URL.Path
			select {
			case <-gate:
			case <-r.Context().Done():
				return
			}
		}
		switch r.URL.Path {
		case "/robots.txt":
			fmt.Fprint(w, "User-agent: *\nDisallow: /private\n")
		case "/":
			page(w, "home", "", "/a", "/b", "/missing", "/private/x", "/old", "http://elsewhere.example/")
		case "/a":
			page(w, "first", "It is warm, \"quite\" warm, for a day in May.", "/", "/deep")
		case "/b":
			page(w, "second", "An otter lives here.", "/a")
		case "/deep":
			page(w, "deep", "")
		case "/old":
			http.Redirect(w, r, "/a", http.StatusMovedPermanently)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[path]
}

// crawlArgs is the command that crawls the site.
func (s *site) crawlArgs(dir string, more ...string) []string {
	args := []string{"crawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off"}
	return append(append(args, more...), s.URL)
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(foreign, "letter.txt")
	missing := filepath.Join(t.TempDir(), "none")
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown command", []string{"crwl"}, 2, `unknown command "crwl"`},
		{"unknown flag", []string{"crawl", "--dpth", "3"}, 2, "unknown flag"},
		{"bad number", []string{"crawl", "--depth", "x", "a.example"}, 2, "a whole number from 0"},
		{"no URL", []string{"crawl", "--dir", missing}, 2, "name a URL"},
		{"scheme", []string{"crawl", "--dir", missing, "ftp://a.example/"}, 2, "scheme is not http or https"},
		{"unparsable URL", []string{"crawl", "--dir", missing, "http://[::1"}, 2, "no web address"},
		{"private seed", []string{"crawl", "--dir", missing, "http://127.0.0.1:1/"}, 2, "--allow-private"},
		{"scope", []string{"crawl", "--dir", missing, "--scope", "all", "a.example"}, 2, "host, domain or any"},
		{"mode", []string{"crawl", "--dir", missing, "--mode", "best", "a.example"}, 2, "accurate, balanced or fast"},
		{"progress", []string{"crawl", "--dir", missing, "--progress", "loud", "a.example"}, 2, "auto, plain, json or off"},
		{"regexp", []string{"crawl", "--dir", missing, "--deny", "(", "a.example"}, 2, "missing closing"},
		{"delay", []string{"crawl", "--dir", missing, "--delay", "-1s", "a.example"}, 2, "it must be a time"},
		{"workers", []string{"crawl", "--dir", missing, "--workers", "0", "a.example"}, 2, "a whole number from 1 to 10000"},
		{"stages without crawl", []string{"crawl", "--dir", missing, "--stages", "extract", "a.example"}, 2, "must begin with crawl"},
		{"unknown stage", []string{"crawl", "--dir", missing, "--stages", "crawl,topics", "a.example"}, 2, `stage "topics" is not known`},
		{"stage form", []string{"crawl", "--dir", missing, "--stage", "topics", "a.example"}, 2, "'name=command args'"},
		{"stage quote", []string{"crawl", "--dir", missing, "--stage", "topics=a 'b", "a.example"}, 2, "not closed"},
		{"stage program", []string{"crawl", "--dir", missing, "--stage", "topics=/no/such/program", "a.example"}, 2, "/no/such/program"},
		{"foreign folder", []string{"crawl", "--dir", foreign, "a.example"}, 1, "it holds letter.txt"},
		{"folder is a file", []string{"crawl", "--dir", file, "a.example"}, 1, "letter.txt"},
		{"no crawl", []string{"status", "--dir", missing}, 1, "there is no crawl in"},
		{"no crawl to explain", []string{"why", "--dir", missing, "a.example"}, 1, "there is no crawl in"},
		{"kind of export", []string{"export", "--dir", missing, "images"}, 2, `there are no "images" to export`},
		{"format", []string{"export", "--dir", missing, "--format", "xml", "pages"}, 2, "jsonl, csv, parquet"},
		{"conllu links", []string{"export", "--dir", missing, "--format", "conllu", "links"}, 2, "only pages"},
		{"dead", []string{"dead"}, 2, "list, retry or drop"},
		{"dead ids", []string{"dead", "retry"}, 2, "--all"},
		{"dead id", []string{"dead", "drop", "x"}, 2, "not the id"},
		{"why", []string{"why"}, 2, "give it one URL"},
		{"extract a missing file", []string{"extract", missing}, 1, "none"},
		{"extract what is not known", []string{"extract", "--with", "smell", missing}, 2, "markdown, links"},
		{"extract small chunks", []string{"extract", "--chunk-tokens", "1", missing}, 2, "8 or more"},
		{"tag a missing file", []string{"tag", missing}, 1, "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := weir(t, test.args...)
			if r.code != test.code || !strings.Contains(r.err, test.want) {
				t.Errorf("weir %q: exit code %d, want %d, with %q in\n%s", test.args, r.code, test.code, test.want, r.err)
			}
			if strings.Contains(r.err, "goroutine") || r.out != "" {
				t.Errorf("weir %q wrote\n%s%s", test.args, r.out, r.err)
			}
			if _, err := os.Stat(missing); err == nil {
				t.Errorf("weir %q has made a folder", test.args)
			}
		})
	}
}

func TestHelpIsGolden(t *testing.T) {
	for _, command := range []string{"", "crawl", "serve", "work", "status", "export", "dead", "dead list", "dead retry", "dead drop", "why", "changes", "holding", "check", "version", "extract", "tag", "demo"} {
		t.Run(command, func(t *testing.T) {
			got := must(t, append(strings.Fields(command), "--help")...)
			if command != "" && command != "version" && !strings.Contains(got, "Examples:") {
				t.Errorf("no examples in the help of %s", command)
			}
			name := filepath.Join("testdata", "help", strings.TrimPrefix(strings.ReplaceAll("weir "+command, " ", "-"), "-")+".txt")
			if *update {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
				t.Errorf("help of %q has changed (go test ./crawler/command -run Help -update writes it):\n%s", command, got)
			}
		})
	}
}

// lines parses JSON lines.
func lines[T any](t *testing.T, text string) []T {
	t.Helper()
	var all []T
	dec := json.NewDecoder(strings.NewReader(text))
	for {
		var v T
		err := dec.Decode(&v)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		all = append(all, v)
	}
}

func TestCrawlAndWhatItLeaves(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	r := weir(t, s.crawlArgs(dir)...)
	if r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures in 3 generations") || !strings.Contains(r.out, "weir export") {
		t.Fatalf("crawl: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	t.Run("status", func(t *testing.T) {
		st := lines[map[string]any](t, must(t, "status", "--dir", dir, "--json"))[0]
		if st["done"] != true || st["pages"] != 5.0 || st["failures"] != 2.0 || st["generation"] != 2.0 {
			t.Errorf("status %v", st)
		}
		for list, keys := range map[string]string{
			"queues":      "name ready delayed leased dead",
			"generations": "number urls fetched failed started finished complete",
		} {
			for _, key := range strings.Fields(keys) {
				if _, ok := st[list].([]any)[0].(map[string]any)[key]; !ok {
					t.Errorf("%s have no %q: %v", list, key, st[list])
				}
			}
		}
		if text := must(t, "status", "--dir", dir); !strings.Contains(text, "complete") {
			t.Errorf("status says\n%s", text)
		}
	})
	t.Run("pages", func(t *testing.T) {
		pages := make(map[string]inspect.PageRow)
		for _, p := range lines[inspect.PageRow](t, must(t, "export", "--dir", dir, "pages")) {
			pages[strings.TrimPrefix(p.URL, s.URL)] = p
		}
		a := pages["/a"]
		if len(pages) != 5 || a.Status != 200 || a.Depth != 1 || a.Generation != 1 || a.Referrer != s.URL+"/" || a.Language != "en" ||
			a.Title != "first" || !strings.Contains(a.Text, "quite") || len(a.Links) != 2 || a.Bytes == 0 || a.Digest == "" || a.FetchedAt.IsZero() {
			t.Errorf("%d pages, /a is %+v", len(pages), a)
		}
		if len(a.Sentences) < 3 {
			t.Errorf("sentences of /a: %v", a.Sentences)
		}
		tags := make(map[[2]string]bool)
		for _, sentence := range a.Sentences {
			for _, w := range sentence {
				tags[w] = true
			}
		}
		if !tags[[2]string{"river", "NN"}] || !tags[[2]string{"stands", "VBZ"}] {
			t.Errorf("tags of /a: %v", a.Sentences)
		}
		if old := pages["/old"]; old.Redirect != s.URL+"/a" || old.Status != 301 {
			t.Errorf("/old is %+v", old)
		}
	})
	t.Run("csv", func(t *testing.T) {
		for kind, rows := range map[string]int{"pages": 5, "links": 9, "failures": 2, "generations": 3} {
			table, err := csv.NewReader(strings.NewReader(must(t, "export", "--dir", dir, kind, "--format", "csv"))).ReadAll()
			if err != nil || len(table) != rows+1 {
				t.Errorf("%s: %d rows, %v, want %d and a head", kind, len(table), err, rows)
			}
		}
	})
	t.Run("links", func(t *testing.T) {
		links := lines[inspect.LinkRow](t, must(t, "export", "--dir", dir, "links"))
		if len(links) != 9 || links[0].From != s.URL+"/" || links[0].To != s.URL+"/a" || links[0].Anchor != "to /a" {
			t.Errorf("links %+v", links)
		}
	})
	t.Run("failures", func(t *testing.T) {
		reasons := make(map[string]string)
		for _, f := range lines[crawler.Failure](t, must(t, "export", "--dir", dir, "failures")) {
			reasons[strings.TrimPrefix(f.URL, s.URL)] = f.Reason
		}
		if reasons["/missing"] != "http_404" || reasons["/private/x"] != "robots" || len(reasons) != 2 {
			t.Errorf("failures %v", reasons)
		}
	})
	t.Run("conllu to a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "pages.conllu")
		must(t, "export", "--dir", dir, "pages", "--format", "conllu", "-o", file)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sentences, err := tag.ReadTreebank(bytes.NewReader(b))
		if err != nil || len(sentences) < 8 || !sentences[0].NewDocument {
			t.Errorf("%d sentences, %v in\n%s", len(sentences), err, b)
		}
		for _, want := range []string{"# newdoc id = " + s.URL + "/a\n", "# text = ", "TokenRange="} {
			if !bytes.Contains(b, []byte(want)) {
				t.Errorf("no %q in\n%s", want, b)
			}
		}
		ids := make(map[string]bool)
		for line := range strings.Lines(string(b)) {
			if id, ok := strings.CutPrefix(line, "# sent_id = "); ok {
				if ids[id] {
					t.Errorf("sentence id %s is there twice", id)
				}
				ids[id] = true
			}
		}
		if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
			t.Errorf("files beside the export: %v, %v", entries, err)
		}
	})
	t.Run("why", func(t *testing.T) {
		for address, want := range map[string]string{
			s.URL + "/a":                "page, text and tags",
			s.URL + "/missing":          "http_404",
			s.URL + "/private/x":        "Disallow: /private",
			s.URL + "/old":              "to " + s.URL + "/a",
			s.URL + "/never":            "never met",
			"http://elsewhere.example/": "--scope host",
		} {
			if text := must(t, "why", "--dir", dir, address); !strings.Contains(text, want) {
				t.Errorf("why %s has no %q:\n%s", address, want, text)
			}
		}
		e := lines[inspect.Explanation](t, must(t, "why", "--dir", dir, s.URL+"/missing", "--json"))[0]
		if e.State != inspect.StateFailed || e.Failure == nil || e.Failure.Status != 404 {
			t.Errorf("why --json: %+v", e)
		}
	})
	t.Run("others", func(t *testing.T) {
		for _, args := range [][]string{{"check"}, {"holding"}, {"dead", "list"}} {
			must(t, append(args, "--dir", dir)...)
		}
	})
	t.Run("again", func(t *testing.T) {
		hits := s.count("/a")
		r := weir(t, s.crawlArgs(dir)...)
		if r.code != 0 || !strings.Contains(r.err, "complete already") || s.count("/a") != hits {
			t.Errorf("exit code %d, /a fetched %d times\n%s%s", r.code, s.count("/a"), r.out, r.err)
		}
	})
	t.Run("files that cannot be", func(t *testing.T) {
		for args, want := range map[string]string{
			"export pages -o " + t.TempDir(): "it is a folder; give the name of a file",
			"crawl --seeds none.txt":         "--seeds: open none.txt: no such file or directory\n",
		} {
			r := weir(t, append(strings.Fields(args), "--dir", dir)...)
			if r.code == 0 || !strings.Contains(r.err, want) {
				t.Errorf("%s: exit code %d, %s; want %q", args, r.code, r.err, want)
			}
		}
	})
	t.Run("closed pipe", func(t *testing.T) {
		in, out := io.Pipe()
		in.Close()
		var errs bytes.Buffer
		if code := command.Run(t.Context(), nil, []string{"weir", "export", "--dir", dir, "pages"}, nil, out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("exit code %d\n%s", code, errs.String())
		}
	})
}

func TestCancelledCrawlResumes(t *testing.T) {
	s := newSite(t, "/b")
	dir := filepath.Join(t.TempDir(), "crawl")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result)
	go func() { done <- weirContext(t, ctx, "", s.crawlArgs(dir, "--depth", "5")...) }()
	<-s.reached
	cancel()
	close(s.gate["/b"]) // it is in flight, and may finish
	r := <-done
	if r.code != 130 || !strings.Contains(r.out, "Everything is kept") || !strings.Contains(r.out, "weir crawl --dir "+dir) {
		t.Fatalf("stopped crawl: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	r = weir(t, "crawl", "--dir", dir, "--stages", "crawl,extract")
	if r.code != 2 || !strings.Contains(r.err, "cannot change before it is complete") {
		t.Errorf("other stages: exit code %d\n%s", r.code, r.err)
	}
	r = weir(t, "crawl", "--dir", dir, "--depth", "9", "--workers", "7", "--deny", "/never", "--progress", "plain")
	if r.code != 0 || !strings.Contains(r.out, "Complete: 5 pages and 2 failures") {
		t.Fatalf("resumed crawl: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	for _, want := range []string{"Going on with", "--depth: was 5, now 9 (for links found from now on)", "--workers: was 256, now 7 (for this run and later ones)", "--deny: was none, now /never"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("no %q in\n%s", want, r.err)
		}
	}
	if n := s.count("/b"); n != 1 {
		t.Errorf("/b was fetched %d times", n)
	}
	must(t, "check", "--dir", dir)
}

func TestCommandsDuringACrawl(t *testing.T) {
	for name, dir := range map[string]string{
		"socket in the folder": filepath.Join(shortTemp(t), "c"),
		"socket elsewhere":     filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 10), "crawl"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "/b")
			done := make(chan result)
			go func() { done <- weirContext(t, t.Context(), "", s.crawlArgs(dir)...) }()
			<-s.reached

			st := lines[inspect.Status](t, must(t, "status", "--dir", dir, "--json"))[0]
			if st.Done || st.Queues[0].Leased < 1 {
				t.Errorf("status during the crawl: %+v", st)
			}
			if text := must(t, "status", "--dir", dir); !strings.Contains(text, fmt.Sprintf("running (pid %d)", os.Getpid())) {
				t.Errorf("status says\n%s", text)
			}
			file := filepath.Join(t.TempDir(), "pages.jsonl")
			must(t, "export", "--dir", dir, "pages", "-o", file)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if pages := lines[inspect.PageRow](t, string(b)); len(pages) == 0 {
				t.Error("no page was exported during the crawl")
			}
			if text := must(t, "why", "--dir", dir, s.URL+"/b"); !strings.Contains(text, "being fetched") {
				t.Errorf("why says\n%s", text)
			}
			if text := must(t, "holding", "--dir", dir); !strings.Contains(text, s.URL+"/b") {
				t.Errorf("holding says\n%s", text)
			}
			must(t, "check", "--dir", dir)
			if r := weir(t, "dead", "--dir", dir, "retry", "12345"); r.code != 1 || !strings.Contains(r.err, "not found") {
				t.Errorf("the exit code of a forwarded command is %d\n%s%s", r.code, r.out, r.err)
			}
			if r := weir(t, s.crawlArgs(dir)...); r.code != 1 || !strings.Contains(r.err, fmt.Sprintf("pid %d", os.Getpid())) || !strings.Contains(r.err, "weir status") {
				t.Errorf("a second crawl: exit code %d\n%s", r.code, r.err)
			}
			close(s.gate["/b"])
			if r := <-done; r.code != 0 {
				t.Errorf("the crawl: exit code %d\n%s%s", r.code, r.out, r.err)
			}
			for _, name := range []string{"CONTROL", "SOCKET"} {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					t.Errorf("%s is still there", name)
				}
			}
		})
	}
}

// shortTemp is a temporary folder whose path is short enough for a socket.
func shortTemp(t *testing.T) string {
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestStaleSocketIsReplaced(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(shortTemp(t), "c")
	must(t, s.crawlArgs(dir)...)
	for name, content := range map[string]string{"SOCKET": "", "CONTROL": `{"pid":1,"socket":"` + filepath.ToSlash(dir) + `/SOCKET","secret":"x"}`, "PID": "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text := must(t, "status", "--dir", dir); !strings.Contains(text, "complete") {
		t.Errorf("status says\n%s", text)
	}
}

func TestStageInAnotherProgram(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	fear := filepath.Join(t.TempDir(), "fear")
	if err := os.WriteFile(fear, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := must(t, s.crawlArgs(dir, "--stage", fmt.Sprintf("letters='%s' stage-child '%s'", exe, fear))...)
	if !strings.Contains(out, "1 item gave up") {
		t.Errorf("crawl says\n%s", out)
	}
	results := 0
	for _, p := range lines[inspect.PageRow](t, must(t, "export", "--dir", dir, "pages")) {
		if r, ok := p.Results["letters"]; ok && string(r) == fmt.Sprintf(`{"letters":%d}`, len(p.Text)) {
			results++
		}
	}
	if results != 3 {
		t.Errorf("%d results of the stage, want 3", results)
	}
	letters := lines[inspect.DeadItem](t, must(t, "dead", "--dir", dir, "list", "--json"))
	if len(letters) != 1 || letters[0].URL != s.URL+"/b" || !strings.Contains(letters[0].Reason, "afraid of otters") {
		t.Fatalf("dead letters %+v", letters)
	}
	if text := must(t, "why", "--dir", dir, s.URL+"/b"); !strings.Contains(text, "afraid of otters") {
		t.Errorf("why says\n%s", text)
	}
	if err := os.Remove(fear); err != nil {
		t.Fatal(err)
	}
	if text := must(t, "dead", "--dir", dir, "retry", fmt.Sprint(letters[0].ID)); !strings.Contains(text, "1 dead letter retried") {
		t.Errorf("retry says\n%s", text)
	}
	if r := weir(t, "crawl", "--dir", dir, "--progress", "off"); r.code != 0 {
		t.Fatalf("crawl after the retry: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if text := must(t, "dead", "--dir", dir, "list"); !strings.Contains(text, "no dead letters") {
		t.Errorf("dead letters after the retry:\n%s", text)
	}
	if !strings.Contains(must(t, "export", "--dir", dir, "pages"), fmt.Sprintf(`"url":"%s/b"`, s.URL)) {
		t.Error("/b is gone")
	}
}

func TestExtractAndTag(t *testing.T) {
	page := "<html lang=en><title>Mill</title><body><article><p>The old mill stands beside the river, where a grey heron waits for fish.</p></article>"
	r := weirContext(t, t.Context(), page, "extract", "-")
	got := lines[map[string]any](t, r.out)
	if r.code != 0 || len(got) != 1 || got[0]["title"] != "Mill" || got[0]["language"] != "en" || !strings.Contains(got[0]["text"].(string), "grey heron") || got[0]["file"] != nil {
		t.Errorf("extract: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	file := filepath.Join(t.TempDir(), "mill.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := lines[map[string]any](t, must(t, "extract", file, file)); len(got) != 2 || got[1]["file"] != file {
		t.Errorf("extract of two files: %v", got)
	}
	if got := lines[map[string]any](t, must(t, "extract", "--with", "markdown,chunks", file)); len(got) != 1 || got[0]["markdown"] != got[0]["text"] || len(got[0]["chunks"].([]any)) != 1 {
		t.Errorf("extract with Markdown and chunks: %v", got)
	}
	for text, want := range map[string]string{
		"Ann's cat didn't sleep.": "3\tcat\t_\tNOUN\tNN",
		"Le chat dort.":           "2\tchat\t_\tNOUN\t",
	} {
		r := weirContext(t, t.Context(), text, "tag", "-")
		if r.code != 0 || !strings.Contains(r.out, want) || !strings.Contains(r.out, "# text = "+text) || !strings.Contains(r.out, "TokenRange=") {
			t.Errorf("tag %q: exit code %d, no %q in\n%s%s", text, r.code, want, r.out, r.err)
		}
	}
	in := "# text = The cat sleeps.\n1\tThe\tthe\t_\t_\t_\t_\t_\t_\t_\n2\tcat\tcat\t_\t_\t_\t_\t_\t_\t_\n3\tsleeps\tsleep\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n4\t.\t.\t_\t_\t_\t_\t_\t_\t_\n\n"
	r = weirContext(t, t.Context(), in, "tag", "--language", "en", "--conllu", "-")
	if r.code != 0 || !strings.Contains(r.out, "3\tsleeps\tsleep\tVERB\tVBZ\t_\t_\t_\t_\tSpaceAfter=No") {
		t.Errorf("tag --conllu: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if r := weirContext(t, t.Context(), "a\tb\n", "tag", "--language", "en", "--conllu", "-"); r.code != 1 || !strings.Contains(r.err, "line 1") {
		t.Errorf("tag --conllu of something else: exit code %d\n%s", r.code, r.err)
	}
	if r := weirContext(t, t.Context(), "Kissa nukkuu.", "tag", "--language", "fi", "-"); r.code != 0 || !strings.Contains(r.err, "no model for the language fi") {
		t.Errorf("tag in a language without a model: exit code %d\n%s", r.code, r.err)
	}
}

// A text without end is tagged until the context of the command ends.
func TestTagEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	text := endless{"The cat sleeps.\n\n", cancel, new(int)}
	if code := command.Run(ctx, nil, []string{"weir", "tag", "-"}, text, io.Discard, io.Discard); code != 130 {
		t.Errorf("exit code %d, want 130", code)
	}
}

// endless gives a text again and again, and ends a context when it was read often.
type endless struct {
	text  string
	end   func()
	reads *int
}

func (e endless) Read(p []byte) (int, error) {
	if *e.reads++; *e.reads == 100 {
		e.end()
	}
	return copy(p, e.text), nil
}

// asWeir is set for the processes that are the program: the test binary again, which
// saves linking another.
const asWeir = "WEIR_TEST_AS_WEIR"

// weirProcess returns a command that runs the program in a process of its own.
func weirProcess(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asWeir+"=1")
	return cmd
}
