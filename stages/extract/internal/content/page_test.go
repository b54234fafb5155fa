package content

import (
	"context"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/seed-301537d8/weir/stages"
)

func read(t *testing.T, page string) *Page {
	t.Helper()
	p, err := Read(t.Context(), stages.ParseDocument([]byte(page), "https://example.org/a/b", nil))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func texts(p *Page) []string {
	var out []string
	for _, b := range p.Blocks {
		out = append(out, b.Text)
	}
	return out
}

func TestBlocks(t *testing.T) {
	for _, tc := range []struct {
		name, html string
		want       []string
	}{
		{"paragraphs", "<p>a  b\n c<p>d", []string{"a b c", "d"}},
		{"text beside elements", "<div>a<p>b</p>c</div>", []string{"a", "b", "c"}},
		{"inline elements glue", "<p>re<b>siz</b>able <i>a</i>, b", []string{"resizable a, b"}},
		{"links that touch", "<div><a>Home</a><a>News</a></div>", []string{"Home News"}},
		{"an image separates", "<p>a<img src=x>b", []string{"a b"}},
		{"one break is a line, two are a block", "<div>a<br>b<br><br>c<br> <br>d</div>", []string{"a\nb", "c", "d"}},
		{"rows", "<table><tr><th>k<td>v <b>w</b><tr><td>x<td><a href=y>y</a></table>", []string{"k\tv w", "x\ty"}},
		{"blocks in cells", "<table><tr><td><p>a<p>b<td>c</table>", []string{"a", "b", "c"}},
		{"cells of a layout", "<table><tr><td>a<br><br>b<td>c</table>", []string{"a", "b", "c"}},
		{"listing", "<pre>\nfunc f() {\n\n\treturn  1\n}</pre>", []string{"func f() {\n\n\treturn  1\n}"}},
		{"listing of spans", "<pre><code><span>def</span> <span>f</span>():\n    <b>return</b></code></pre>", []string{"def f():\n    return"}},
		{"listing with breaks", "<pre>a<br>  b</pre>", []string{"a\n  b"}},
		{"what is no text", "<p>a<script>b</script><style>c</style><svg><text>d</text></svg><select><option>e</select>f", []string{"a f"}},
		{"formula", `<p>so <math><mrow><mi>x</mi><mo>+</mo><mn>1</mn></mrow><annotation encoding="application/x-tex">x+1</annotation></math>.`, []string{"so x+1 ."}},
		{"formula of symbols", `<p>so <math><mi>x</mi><mo>=</mo><mn>1</mn></math>`, []string{"so x = 1"}},
		{"noscript", "<noscript><p>a</p></noscript><p>b", []string{"a", "b"}},
		{"buttons and labels", "<div>a<button>Reply</button>b<label>c</label></div>", []string{"a", "Reply", "b", "c"}},
		{"ruby", "<p><ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字", []string{"漢字"}},
		{"nothing", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := texts(read(t, tc.html)); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestBlocksOfJSONLD(t *testing.T) {
	const text = "A light boat for two, made of larch planks on oak frames, with copper rivets, and carried by two people."
	p := read(t, `<script type="application/ld+json">{"@graph":[{"@type":"Product","description":"<p>`+text+`</p><p>Blue.</p>"}]}</script><p>Boat`)
	want := []string{"Boat", text + "\nBlue."}
	if got := texts(p); !slices.Equal(got, want) || p.Blocks[1].Source != FromJSONLD {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := stages.ParseDocument([]byte("<p>a"), "", nil)
	p, err := Read(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := Read(ctx, d); err != context.Canceled {
		t.Errorf("Read: %v", err)
	}
	if _, err := Default().Judge(ctx, p, SecondLook); err != context.Canceled {
		t.Errorf("Judge: %v", err)
	}
}

// The copy holds what was kept and what stands around it, and shares nothing
// with the page.
func TestPrune(t *testing.T) {
	p := read(t, `<body><nav><p>home <img src=n.png></nav><div class=a><p>one <b>two</b> <i>three</i></p><img src=i.png><p>four<br>five</p></div>`)
	keep := make([]bool, len(p.Blocks))
	for i, b := range p.Blocks {
		keep[i] = !strings.Contains(b.Text, "home")
	}
	var b strings.Builder
	if err := html.Render(&b, p.Prune(keep)); err != nil {
		t.Fatal(err)
	}
	want := `<html><body><div class="a"><p>one <b>two</b> <i>three</i></p> <img src="i.png"/> <p>four<br/>five</p></div></body></html>`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// What a model has learned must not be lost by the way it is stored.
func TestModelIsKept(t *testing.T) {
	b := Default().Append(nil)
	if string(b) != string(defaultModel) {
		t.Error("encoded again, the model differs")
	}
	for n := range 200 {
		if _, err := Decode(b[:n*len(b)/200]); err == nil {
			t.Errorf("%d of %d bytes are a model", n*len(b)/200, len(b))
		}
	}
}

// The features that the code computes are those that the model was trained on.
func TestModelFitsTheFeatures(t *testing.T) {
	p := read(t, "<p>a")
	m := Default()
	page := p.pageVector()
	if got, want := len(page)+types, m.typed[0].Features(); got != want {
		t.Errorf("%d features of a page, the model has %d", got, want)
	}
	v := p.blockVector(nil, 0, new(scan), append(page, make(vector, types)...), [linears]float32{})
	if got, want := len(v), m.first.Features(); got != want {
		t.Errorf("%d features of a block, the model has %d", got, want)
	}
	if got, want := len(newContext(p, []float32{1}).vector(v, 0)), m.second.Features(); got != want {
		t.Errorf("%d features with the context, the model has %d", got, want)
	}
	if got := len(newContext(p, []float32{1}).vector(nil, 0)); got != contextSize {
		t.Errorf("%d features of the context, contextSize is %d", got, contextSize)
	}
}
