package command_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
	"github.com/seed-301537d8/weir/queue/badgerqueue"
)

// note is what the program of these tests takes from a page.
type note struct {
	Title string
	Words []string
	Count int `json:"n"`
}

func notes(links string) *crawler.Options {
	return &crawler.Options{
		Settings: crawler.Settings{Links: links},
		Items:    map[string]any{"notes": note{}},
		Functions: []crawler.Function{{Visit: func(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
			title := v.Text("title")
			if title == "deep" {
				out.GiveUp("too deep, \x1b[31mred")
				return nil
			}
			out.Item("notes", title, note{title, strings.Fields(v.Text("h1")), 1})
			out.Follow("a")
			return nil
		}}},
	}
}

// program runs a command of a program that is called noter.
func program(t *testing.T, options *crawler.Options, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := command.Run(t.Context(), options, append([]string{"noter"}, args...), nil, &out, &errs)
	return result{code, out.String(), errs.String()}
}

func TestAProgramHasAllCommands(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	options := notes(crawler.LinksNone)
	expect := func(code int, want string, args ...string) {
		t.Helper()
		if r := program(t, options, args...); r.code != code || !strings.Contains(r.out+r.err, want) {
			t.Errorf("noter %s: exit code %d, want %d and %q:\n%s%s", strings.Join(args, " "), r.code, code, want, r.out, r.err)
		}
	}
	expect(2, "name a URL", "crawl", "--dir", dir)
	options.Seeds = crawler.Seeds(s.URL)
	expect(0, "noter export --dir "+dir+" pages", "crawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl")
	expect(0, "items notes: 3", "status", "--dir", dir)
	expect(0, `{"Title":"first","Words":["first"],"n":1}`+"\n", "export", "--dir", dir, "items", "notes")
	expect(0, "Title,Words,n\nfirst,\"[\"\"first\"\"]\",1\n", "export", "--dir", dir, "items", "notes", "--format", "csv")
	expect(0, "judged: too deep", "why", "--dir", dir, s.URL+"/deep")
	expect(0, `"reason":"judged","detail":"too deep`, "export", "--dir", dir, "failures")
	expect(0, "noter crawl", "crawl", "--help")
	expect(0, "complete already", "crawl", "--dir", dir, "--progress", "off")
	expect(2, `no items "words"; it has notes`, "export", "--dir", dir, "items", "words")
	expect(2, "export items NAME", "export", "--dir", dir, "items")
	expect(0, `{"Title":"second"`, "fetch", "--allow-private", s.URL+"/b")
	expect(1, "judged: too deep", "fetch", "--allow-private", s.URL+"/deep")
	// weir itself can look, and export, but not go on without the functions.
	if out := must(t, "export", "--dir", dir, "items", "notes"); strings.Count(out, "\n") != 3 {
		t.Errorf("weir exports %q", out)
	}
}

// What flags chose holds when the crawl goes on; what the program has changed takes
// the place of what it was.
func TestAProgramGoesOnWithItsSettings(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	options := notes(crawler.LinksNone)
	options.Seeds = crawler.Seeds(s.URL)
	run := func(want string, args ...string) {
		t.Helper()
		r := program(t, options, append([]string{"crawl", "--dir", dir, "--progress", "off"}, args...)...)
		if r.code != 0 || !strings.Contains(r.out+r.err, want) {
			t.Errorf("%v: exit code %d, want %q:\n%s%s", args, r.code, want, r.out, r.err)
		}
	}
	run("Complete: 1 page", "--allow-private", "--delay", "0", "--depth", "0", "--stages", "crawl")
	options.Settings.Links = crawler.LinksAll
	run(`--links: was none, now all`)
	store, err := badgerqueue.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	stored, err := crawler.Load(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	if got := stored.Settings; got.Scope.MaxDepth != -1 || got.Links != crawler.LinksAll || !got.AllowPrivate || len(got.Stages) != 1 {
		t.Errorf("the stored settings are %+v", got)
	}
}

func TestBadProgramsAreRefusedByName(t *testing.T) {
	options := notes("")
	options.Functions = append(options.Functions, options.Functions[0])
	options.Items["bad"] = make(chan int)
	dir := filepath.Join(t.TempDir(), "crawl")
	r := program(t, options, "crawl", "--dir", dir, "a.example")
	if _, err := os.Stat(dir); err == nil {
		t.Error("a folder was made for a crawl that cannot begin")
	}
	for _, want := range []string{"noter: ", "two functions have the label default", "the items bad cannot be encoded"} {
		if r.code != 2 || !strings.Contains(r.err, want) {
			t.Errorf("exit code %d, want 2 and %q:\n%s", r.code, want, r.err)
		}
	}
}

func TestSeedsFromAFile(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(t.TempDir(), "crawl")
	name := filepath.Join(t.TempDir(), "seeds")
	if err := os.WriteFile(name, []byte("# two seeds\n\n"+s.URL+"/a\r\n  "+s.URL+"/b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"crawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl", "--depth", "0", "--seeds"}
	if out := must(t, append(args, name)...); !strings.Contains(out, "Complete: 2 pages") {
		t.Errorf("of a file:\n%s", out)
	}
	r := weirContext(t, t.Context(), s.URL+"/deep\n"+s.URL+"/a\n", append(args, "-")...)
	if r.code != 0 || !strings.Contains(r.out, "Complete: 3 pages") || !strings.Contains(r.err, "2 pages so far, 1 waiting") {
		t.Errorf("of standard input: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	r = weirContext(t, t.Context(), s.URL+"/\nftp://a.example/\n", append(args, "-")...)
	if r.code != 2 || !strings.Contains(r.err, "--seeds -, line 2: ") || !strings.Contains(r.err, "ftp://a.example/") {
		t.Errorf("with a line that is no address: exit code %d\n%s", r.code, r.err)
	}
	if r := weir(t, append(args, filepath.Join(t.TempDir(), "none"))...); r.code != 2 || !strings.Contains(r.err, "none") {
		t.Errorf("a file that is not there: exit code %d\n%s", r.code, r.err)
	}
}

// A seed may have a scope and a depth of its own, in a file of seeds and in one of
// settings.
func TestSeedsWithTheirOwnScope(t *testing.T) {
	s := newSite(t)
	seeds := filepath.Join(t.TempDir(), "seeds")
	config := filepath.Join(t.TempDir(), "crawl.yaml")
	for name, text := range map[string]string{
		seeds:  s.URL + "/ depth=1 scope=host\n" + s.URL + "/missing depth=0\n",
		config: "seeds:\n  - url: " + s.URL + "/\n    depth: 1\n    scope: host\n  - {url: " + s.URL + "/missing, depth: 0}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range [][]string{{"--seeds", seeds}, {"-c", config}} {
		dir := filepath.Join(t.TempDir(), "crawl")
		args := append([]string{"crawl", "--dir", dir, "--allow-private", "--delay", "0", "--progress", "off", "--stages", "crawl"}, from...)
		if out := must(t, args...); !strings.Contains(out, "Complete: 4 pages and 2 failures") {
			t.Errorf("%v:\n%s", from, out)
		}
		if out := must(t, "why", "--dir", dir, s.URL+"/deep"); !strings.Contains(out, "skipped") || !strings.Contains(out, "the scope of the seeds") {
			t.Errorf("%v: why:\n%s", from, out)
		}
	}
	// What is wrong is told with its line, and those before it are there.
	dir := filepath.Join(t.TempDir(), "crawl")
	wrong := weirContext(t, t.Context(), s.URL+"/a depth=0\nftp://x/\n", "crawl", "--dir", dir, "--allow-private", "--delay", "0", "--seeds", "-")
	if wrong.code != 2 || !strings.Contains(wrong.err, "line 2: ") || !strings.Contains(wrong.err, "the lines before it are added") {
		t.Errorf("exit code %d\n%s", wrong.code, wrong.err)
	}
	if out := must(t, "crawl", "--dir", dir, "--progress", "off"); !strings.Contains(out, "Complete: 1 page ") {
		t.Errorf("the crawl of the lines before:\n%s", out)
	}
	r := weirContext(t, t.Context(), s.URL+"/ depth=some\n", "crawl", "--dir", filepath.Join(t.TempDir(), "crawl"), "--allow-private", "--seeds", "-")
	if r.code != 2 || !strings.Contains(r.err, `line 1: the depth of a seed is "some"`) {
		t.Errorf("exit code %d\n%s", r.code, r.err)
	}
}
