package extract

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/seed-301537d8/weir/stages"
)

// gfm renders GitHub Flavored Markdown, independently of what writes it here.
var gfm = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough))

// shown returns the tree that a reader of Markdown sees.
func shown(t *testing.T, markdown string) *html.Node {
	t.Helper()
	var b bytes.Buffer
	if err := gfm.Convert([]byte(markdown), &b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "raw HTML omitted") {
		t.Errorf("raw HTML in\n%s", markdown)
	}
	root, err := html.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// wordsShown returns the words of a tree, its images apart.
func wordsShown(root *html.Node) []string {
	var b strings.Builder
	for n := range root.Descendants() {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
		case n.DataAtom == atom.Br || n.DataAtom == atom.Td || n.DataAtom == atom.Th:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(b.String())
}

// What a reader of the Markdown sees is the text of the page, word for word.
func TestMarkdownShowsTheText(t *testing.T) {
	pages, err := filepath.Glob("testdata/pages/*.html")
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, file := range pages {
		t.Run(filepath.Base(file), func(t *testing.T) {
			page, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checkMarkdown(t, page)
		})
	}
}

func checkMarkdown(t *testing.T, page []byte) {
	t.Helper()
	utf8, _ := stages.ToUTF8(page, "")
	d := stages.ParseDocument(utf8, "https://example.org/dir/page", nil)
	x := new(Extractor)
	f := x.find(t.Context(), d)
	got, cut := markdown(f.page.Prune(f.keep), DefaultMaxText, d.Resolve)
	var want []string
	for i, k := range f.keep {
		if k && f.page.Blocks[i].Source == 0 {
			want = append(want, strings.Fields(f.page.Blocks[i].Text)...)
		}
	}
	if words := wordsShown(shown(t, got)); !cut && !slices.Equal(words, want) {
		i := 0
		for i < min(len(words), len(want)) && words[i] == want[i] {
			i++
		}
		t.Errorf("%d words shown, want %d; they differ at %d: %q, want %q\nin %.300q", len(words), len(want), i,
			words[max(0, i-3):min(len(words), i+5)], want[max(0, i-3):min(len(want), i+5)], got)
	}
}

func TestMarkdown(t *testing.T) {
	for _, tc := range []struct{ name, html, want string }{
		{"heading", "<h2>Uses <b>of</b> it</h2><p>x", "## Uses of it\n\nx"},
		{"emphasis", "<p>a <b>b</b>c <i>d </i>e<em> f</em>.", "a **b**c *d* e *f*."},
		{"emphasis that would not be read", "<p>a<b>(b)</b>c", `a(b)c`},
		{"strong and emphasis", "<p><b><i>x</i> y</b>", "***x* y**"},
		{"escapes", "<p>2 * 3 [x] _y_ a_b &lt;p&gt; `c` &amp;amp; 1. x", "2 \\* 3 \\[x\\] \\_y\\_ a_b \\<p> \\`c\\` \\&amp; 1. x"},
		{"line starts", "<p>- x<p># y<p>1. z<p>+<p>&gt; q", "\\- x\n\n\\# y\n\n1\\. z\n\n\\+\n\n\\> q"},
		{"link", `<p>see <a href="/a b(c)"> the <b>fish</b></a>, <a href="javascript:x">no</a>`, "see [the **fish**](https://example.org/a%20b%28c%29), no"},
		{"link around blocks", `<a href=/x><h3>T</h3><p>b</p></a>`, "### [T](https://example.org/x)\n\n[b](https://example.org/x)"},
		{"image", `<p><img src=i.png alt="a ]">x`, `![a \]](https://example.org/i.png)x`},
		{"code", "<p>use <code>a*b|`c`</code>", "use `` a*b|`c` ``"},
		{"code behind code", "<p>press <code>F</code><code>TAB</code> or <code>a`</code><kbd>b</kbd> <code>c</code>", "press `FTAB` or ``a`b`` `c`"},
		{"listing", "<pre><code class=language-go>func f() {\n\n\treturn\n}\n</code></pre>", "```go\nfunc f() {\n\n\treturn\n}\n```"},
		{"listing with an element a line", "<pre><code><div>const a = 1;</div><div>  return a;</div></code></pre>", "```\nconst a = 1;\n  return a;\n```"},
		{"code of lines", `<p><code><span style="display:block">open(gate)</span><span style="display:block">wait()</span></code></p>`, "```\nopen(gate)\nwait()\n```"},
		{"code of lines in a sentence", `<p>Run <code>make<br>make install</code> as root.`, "Run\n\n```\nmake\nmake install\n```\n\nas root."},
		{"code shown as a box", "<div><code class=lang-sh style='display: block; white-space: pre'>if x\n  then y\n\nfi</code></div>", "```sh\nif x\n  then y\n\nfi\n```"},
		{"code shown as a box, a line feed an element", "<code style='display:block'><span>a</span>\n<span>  b</span></code>", "```\na\n  b\n```"},
		{"code shown as a box, of one line", "<p>x<code style='display:block'>a b</code>", "x`a b`"},
		{"code that is folded", "<p>use <code>a\n  b</code> here", "use `a b` here"},
		{"listing of lines", `<pre><code><span style="display:block">if x</span><span style="display:block">  y</span></code></pre>`, "```\nif x\n  y\n```"},
		{"listing of lines with line feeds", "<pre><code><span style='display:block'>if x\n</span><span style='display:block'>  y</span>\n<span style='display:block'>z</span></code></pre>", "```\nif x\n  y\nz\n```"},
		{"listing with code of lines", "<pre>$ <code>a<br>b</code></pre>", "```\n$ a\nb\n```"},
		{"listing with a fence", "<pre>```\nx</pre>", "````\n```\nx\n````"},
		{"lists", "<ul><li>a<ol start=3><li>b<li>c</ol><li><p>d</p><p>e</p></ul><p>f", "- a\n  3. b\n  4. c\n- d\n\n  e\n\nf"},
		{"quote", "<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n>\n> b\n\nc"},
		{"breaks", "<p>a<br>b<br>- c", "a\\\nb\\\n\\- c"},
		{"table", "<table><thead><tr><th>A<th>B</thead><tr><td>1|2<td><a href=/x>y</a><tr><td colspan=2>z</table>", "| A | B |\n| --- | --- |\n| 1\\|2 | [y](https://example.org/x) |\n| z | |"},
		{"table without a header", "<table><tr><th>k<td>v<tr><th>l<td>w</table>", "| | |\n| --- | --- |\n| k | v |\n| l | w |"},
		{"rows that are spanned", "<table><tr><td rowspan=2>a<td>b<tr><td>c</table>", "| | |\n| --- | --- |\n| a | b |\n| | c |"},
		{"layout", "<table><tr><td><h2>a</h2><p>b<td>c</table>", "## a\n\nb\n\nc"},
		{"table in a table", "<table><tr><td><table><tr><td>a<td>b</table><td>c</table>", "| | |\n| --- | --- |\n| a | b |\n\nc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := stages.ParseDocument([]byte(tc.html), "https://example.org/", nil)
			if got, _ := markdown(d.Root(), 1000, d.Resolve); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
