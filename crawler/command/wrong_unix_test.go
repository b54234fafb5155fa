//go:build unix

package command_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wrongCommandLines are command lines that cannot be, cut at blanks.
const wrongCommandLines = `crwl
example.com
crawl
crawl --dpth 3 a.example
crawl --max-page 3 a.example
crawl --depth -3 a.example
crawl --depth x a.example
crawl --max-pages -1 a.example
crawl --max-bytes lots a.example
crawl --max-time -5m a.example
crawl --max-body 3 a.example
crawl --memory 0 a.example
crawl --workers 0 a.example
crawl --workers 1000000 a.example
crawl --per-host 0 a.example
crawl --per-host 5000 a.example
crawl --delay -1s a.example
crawl --delay 5 a.example
crawl --rate -1 a.example
crawl --retries -1 a.example
crawl --grace -1s a.example
crawl --give-up 0 a.example
crawl --timeout 0 a.example
crawl --user-agent= a.example
crawl --scope all a.example
crawl --links some a.example
crawl --mode best a.example
crawl --progress loud a.example
crawl --log-level noisy a.example
crawl --log-format xml a.example
crawl --allow ( a.example
crawl --deny [ a.example
crawl --types pdf a.example
crawl --header X-Test a.example
crawl --header Host:b a.example
crawl --header Authorization:b a.example
crawl --header X-Api-Key:secret a.example
crawl --auth basic:me:pw a.example
crawl --auth a.example=basic:me:pw a.example
crawl --auth a.example=bearer:tok3n a.example
crawl --auth a.example=ntlm:me:env:PW a.example
crawl --auth a.example=basic:me:env:WEIR_NOT_SET a.example
crawl --proxy ftp://p:1 a.example
crawl --proxy http://me:pw@p:1 a.example
crawl --client-cert none.pem a.example
crawl --client-key none.pem a.example
crawl --ca-file none.pem a.example
crawl --cookie-file none.txt a.example
crawl --seeds none.txt
crawl --host a.example=1 a.example
crawl --host a.example,workers=3 a.example
crawl --trap-length 0 a.example
crawl --stages extract,crawl a.example
crawl --stages crawl,topics a.example
crawl --stages crawl,tag,tag a.example
crawl --stage topics a.example
crawl --stage crawl=true a.example
crawl --stage t=/no/such/program a.example
crawl --sitemaps=perhaps a.example
crawl --config none.yaml
crawl --recrawl=some
crawl --every -1h a.example
crawl --history -1 a.example
crawl ftp://a.example/
crawl http://[::1
crawl http://me:pw@a.example/
crawl http://127.0.0.1:1/
crawl --requisites css a.example
crawl --recrawl due
crawl --dir /dev/null/x a.example
crawl --seeds /
crawl --cookie-file / a.example
crawl --listen nowhere a.example
crawl --listen 0.0.0.0:7420 a.example
crawl --listen 127.0.0.1:0 --tls-cert none.pem --tls-key none.pem a.example
crawl -
crawl @seeds.txt
crawl --dry-run
status --dir none
status x
config x
why
why a.example b.example
export
export image
export pages --format xml
export links --format conllu
export items
dead
dead retry
dead drop x
fetch
serve --listen nowhere
serve --dir /dev/null/x --listen 127.0.0.1:0
completion tcsh
work nowhere
copy none
copy none other
fetch --select [ a.example
fetch nosuch.html
fetch ./nosuch
fetch --label none a.example
fetch --header x a.example
extract
extract none.html
tag none.txt
man crwal
help crwal
crawl --dir= a.example
work
extract --mode best -`

// wrongFiles are files of settings that cannot be.
var wrongFiles = []string{
	"dpth: 3\n",
	"depth: -3\nworkers: many\n",
	"depth: [1, 2]\n",
	"depth:\n  a: 1\n",
	"- depth\n",
	"just text\n",
	"depth: 3\ndepth: 4\n",
	"depth: 3\n bad: indent\n",
	"allow: \"(\"\n",
	"allow:\n  - a\n  - {b: c}\n",
	"header: {Authorization: x}\n",
	"header:\n  X-Token: written\n",
	"host: a.example\n",
	"host:\n  a.example: 3\n",
	"host:\n  a.example:\n    delya: 5s\n",
	"host:\n  a.example:\n    workers: 5\n",
	"host:\n  \"a b\":\n    delay: 5s\n",
	"host:\n  a.example:\n    auth: basic:me:pw\n",
	"seeds:\n  - ftp://a.example\n  - https://b.example\n  - -\n",
	"seeds:\n  - depth: 3\n",
	"seeds:\n  - url: https://a.example\n    dephts: 3\n",
	"seeds:\n  - http://me:pw@a.example\n",
	"config: other.yaml\n",
	"dry-run: true\n",
	"progress: loud\n",
	"verbose: maybe\n",
	"sitemaps: perhaps\n",
	"stages: []\n",
	"stage:\n  topics: \"a 'b\"\n",
	"depth: &a 3\nmax-pages: *a\n",
	"depth: 3\n---\ndepth: 4\n",
	"\"unclosed: 3\n",
}

// What is wrong is told by name, with what to do, and with exit code 2 where it is
// the command line's or the file's fault; no folder is made and no crawl begun.
func TestWrongCommandLinesAreGolden(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	var b strings.Builder
	try := func(what string, args ...string) {
		t.Helper()
		r := weir(t, args...)
		fmt.Fprintf(&b, "%s\n", what)
		for line := range strings.Lines(r.err) {
			fmt.Fprintf(&b, "    %s", line)
		}
		fmt.Fprintf(&b, "    = %d\n", r.code)
		if r.code == 0 || r.out != "" || strings.Contains(r.err, "goroutine") {
			t.Errorf("%s: exit code %d\n%s%s", what, r.code, r.out, r.err)
		}
		if left, err := filepath.Glob("*"); err != nil || len(left) > 1 || len(left) == 1 && left[0] != "crawl.yaml" {
			t.Fatalf("%s: it has left %v, %v", what, left, err)
		}
	}
	for line := range strings.SplitSeq(wrongCommandLines, "\n") {
		args := strings.Fields(line)
		for i, a := range args {
			if strings.HasPrefix(a, "a.example,") {
				args[i] = strings.ReplaceAll(a, ",", " ")
			}
		}
		try("weir "+line, args...)
	}
	for _, text := range wrongFiles {
		if err := os.WriteFile("crawl.yaml", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		try(strings.TrimSuffix("-- "+strings.ReplaceAll(text, "\n", "\n-- "), "\n-- "), "crawl", "-c", "crawl.yaml", "a.example")
	}
	got := b.String()
	name := filepath.Join(testdata, "wrong.txt")
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Split(strings.ReplaceAll(string(want), "\r\n", "\n"), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(before) || before[i] != line {
			t.Fatalf("messages have changed (go test ./crawler/command -run Wrong -update writes them), first line %d:\n%s", i+1, line)
		}
	}
}

// testdata is the folder of golden files, wherever a test has gone.
var testdata = func() string {
	dir, err := filepath.Abs("testdata")
	if err != nil {
		panic(err)
	}
	return dir
}()
