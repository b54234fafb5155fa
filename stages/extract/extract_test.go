package extract

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"github.com/seed-301537d8/weir/stages"
)

var update = flag.Bool("update", false, "write the golden files of testdata/pages anew")

// TestExtractGolden compares what each page of testdata/pages becomes with
// the file beside it. Run with -update to write these anew, and read the diff.
func TestExtractGolden(t *testing.T) {
	pages, err := filepath.Glob("testdata/pages/*.html")
	if err != nil || len(pages) < 12 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, file := range pages {
		name := strings.TrimSuffix(filepath.Base(file), ".html")
		t.Run(name, func(t *testing.T) {
			page, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[Mode]*Text)
			for _, m := range []Mode{ModeFast, ModeBalanced, ModeAccurate} {
				x := &Extractor{Mode: m, Markdown: m == ModeBalanced, Links: true, Images: true}
				got[m] = x.HTML(t.Context(), page, "https://example.org/dir/"+name, "")
			}
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(got); err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".html") + ".json"
			if *update {
				if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Errorf("%s differs; to see how: go test ./stages/extract -run TestExtractGolden -update && git diff", golden)
			}
		})
	}
}

const article = `<!doctype html><html lang="en"><head><title>The Weir - Site</title>
<meta property="og:title" content="The Weir"><meta property="og:site_name" content="Rivers">
<meta name="author" content="A. Fisher"><meta property="article:published_time" content="2025-03-04T05:06:07Z">
<link rel=canonical href="/weir"></head><body>
<nav><ul><li><a href=/1>Home</a></li><li><a href=/2>News</a></li></ul></nav>
<article><h1>The Weir</h1><p>A weir is a barrier across the width of a river that alters the flow of water
and usually results in a change in the height of the river level. Weirs are also used to control outlets.</p>
<h2>Uses</h2><p>They measure discharge, they keep rivers navigable, and fishing weirs let the water through
and keep the fish, which is what gave this program its name; see <a href="/fish">the fish</a>.</p>
<ul><li>First the water flows over the crest of the weir.</li><li>Then it falls into the pool below the weir.</li></ul>
<pre>level = 3
  flow  = 4</pre>
<p>The largest ones are kilometres long, and the oldest ones were built of wood and stone by people who left
no other trace of themselves than the posts in the mud of the rivers.</p></article>
<footer><p>Copyright, imprint, all rights reserved</p></footer></body></html>`

func TestExtractFindsTheArticle(t *testing.T) {
	for _, m := range []Mode{"", ModeFast, ModeBalanced, ModeAccurate} {
		x := &Extractor{Mode: m, Markdown: true, Links: true}
		d := stages.ParseDocument([]byte(article), "https://rivers.example/a", nil)
		before := render(t, d.Root())
		got := x.Extract(t.Context(), d, "")
		if render(t, d.Root()) != before {
			t.Errorf("%q: the tree was changed", m)
		}
		if got.Title != "The Weir" || got.Site != "Rivers" || got.Byline != "A. Fisher" || got.Published != "2025-03-04T05:06:07Z" || got.Language != "en" || got.Canonical != "https://rivers.example/weir" {
			t.Errorf("%q: %+v", m, got)
		}
		lines := strings.Split(got.Text, "\n")
		for _, want := range []string{"Uses", "First the water flows over the crest of the weir.", "Then it falls into the pool below the weir.", "level = 3", "  flow  = 4"} {
			found := false
			for _, l := range lines {
				found = found || l == want
			}
			if !found {
				t.Errorf("%q: no line %q in\n%s", m, want, got.Text)
			}
		}
		for _, no := range []string{"imprint", "News", "Home"} {
			if strings.Contains(got.Text, no) {
				t.Errorf("%q: %q is in the text", m, no)
			}
		}
		for _, want := range []string{"## Uses", "- First the water", "[the fish](https://rivers.example/fish)", "```"} {
			if !strings.Contains(got.Markdown, want) {
				t.Errorf("%q: no %q in\n%s", m, want, got.Markdown)
			}
		}
		if len(got.Links) != 1 || got.Links[0].URL != "https://rivers.example/fish" {
			t.Errorf("%q: links %+v", m, got.Links)
		}
	}
}

func render(t *testing.T, n *html.Node) string {
	t.Helper()
	var b strings.Builder
	if err := html.Render(&b, n); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// No page is lost: something is always said, and in time.
func TestExtractTakesAnyPage(t *testing.T) {
	for name, page := range map[string]string{
		"empty":           "",
		"binary":          "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
		"words":           "just a few words and no markup at all",
		"only navigation": "<nav><a href=/a>The archive of the year</a></nav>",
		"utf-16":          "\xff\xfeh\x00e\x00l\x00l\x00o\x00",
		"hidden":          "<p hidden>The archive of the year",
	} {
		for _, m := range []Mode{ModeFast, ModeBalanced, ModeAccurate} {
			t.Run(name+"/"+string(m), func(t *testing.T) {
				x := &Extractor{Mode: m, Markdown: true, Links: true, Images: true}
				got := x.HTML(t.Context(), []byte(page), "http://e.example/", "")
				if got.Text == "" && name != "empty" {
					t.Errorf("no text: %+v", got)
				}
				if len(got.Text) > DefaultMaxText || !utf8.ValidString(got.Text) {
					t.Errorf("%d bytes of text", len(got.Text))
				}
			})
		}
	}
}

// Where the caller has no time, the text is the page's without its frame.
func TestExtractCancelled(t *testing.T) {
	d := stages.ParseDocument([]byte(article), "https://rivers.example/a", nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := new(Extractor).Extract(ctx, d, "")
	if got.Method != "body" || got.Note != "cancelled" || !strings.Contains(got.Text, "keep rivers") {
		t.Errorf("method %s, note %q, text %q", got.Method, got.Note, got.Text)
	}
	if strings.Contains(got.Text, "imprint") {
		t.Error("the footer is in the text")
	}
}

func TestTextBeginsBehindTheTitle(t *testing.T) {
	page := strings.Replace(article, "<article>", `<header><a href="/">Rivers</a></header><article>`, 1)
	got := (&Extractor{Markdown: true}).HTML(t.Context(), []byte(page), "https://rivers.example/a", "")
	if !strings.HasPrefix(got.Text, "A weir is a barrier") || strings.Contains(got.Markdown, "[Rivers]") {
		t.Errorf("text %.60q, Markdown %.60q", got.Text, got.Markdown)
	}
}

func TestExtractCapsText(t *testing.T) {
	x := &Extractor{MaxText: 300}
	got := x.HTML(t.Context(), []byte(article), "", "")
	if len(got.Text) > 300 || !strings.Contains(got.Note, "cut") {
		t.Errorf("%d bytes, note %q", len(got.Text), got.Note)
	}
}

func TestNormalDate(t *testing.T) {
	for in, want := range map[string]string{
		"2025-03-04": "2025-03-04", "2025-03-04T05:06:07+0200": "2025-03-04T05:06:07+02:00", "2025-03-04T05:06:07.123Z": "2025-03-04T05:06:07Z",
		"2025/03/04": "2025-03-04", "yesterday": "", "": "", "Tue, 04 Mar 2025 05:06:07 GMT": "2025-03-04T05:06:07Z",
	} {
		if got := normalDate(in); got != want {
			t.Errorf("normalDate(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseMode(t *testing.T) {
	if m, err := ParseMode(""); m != ModeBalanced || err != nil {
		t.Errorf("got %v, %v", m, err)
	}
	if m, err := ParseMode("fast"); m != ModeFast || err != nil {
		t.Errorf("got %v, %v", m, err)
	}
	if _, err := ParseMode("best"); err == nil {
		t.Error("an unknown mode passed")
	}
}

func FuzzExtract(f *testing.F) {
	f.Add([]byte(article))
	f.Add([]byte("<p>a<table><tr><td>b<pre>c\n d</pre><ul><li>e<ol><li>f"))
	f.Add([]byte("<h1>#</h1><blockquote><p>>x</blockquote><img src=a><a href=b><b></b></a>"))
	f.Add([]byte("\xff\x00<li></ol></td></pre></tr>"))
	f.Fuzz(func(t *testing.T, page []byte) {
		for _, m := range []Mode{ModeFast, ModeBalanced} {
			x := &Extractor{Mode: m, Markdown: true, Links: true, Images: true}
			got := x.HTML(context.Background(), page, "http://e.example/a", "")
			if !utf8.ValidString(got.Text) || !utf8.ValidString(got.Markdown) {
				t.Errorf("not UTF-8: %q", got.Text)
			}
			if strings.Contains(got.Note, "within") && len(page) < 2000 {
				t.Errorf("%s: %s", m, got.Note)
			}
			if _, err := json.Marshal(got); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	d := stages.ParseDocument([]byte(article), "https://rivers.example/a", nil)
	for _, m := range []Mode{ModeFast, ModeBalanced, ModeAccurate} {
		b.Run(string(m), func(b *testing.B) {
			x := &Extractor{Mode: m}
			b.ReportAllocs()
			for b.Loop() {
				x.Extract(b.Context(), d, "")
			}
		})
	}
}
