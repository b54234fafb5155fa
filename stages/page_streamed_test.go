package stages

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// bodyOf returns what is in the body of a page, as HTML.
func bodyOf(t *testing.T, page string) string {
	t.Helper()
	d := ParseDocument([]byte(page), "https://a.example/", nil)
	var b strings.Builder
	if err := html.Render(&b, d.Root()); err != nil {
		t.Fatal(err)
	}
	s := b.String()
	s = s[strings.Index(s, "<body>")+len("<body>") : strings.LastIndex(s, "</body>")]
	for {
		before, after, found := strings.Cut(s, "<script>")
		if !found {
			return s
		}
		_, after, _ = strings.Cut(after, "</script>")
		s = before + after
	}
}

func TestWhatIsSentBehindThePageIsPutInItsPlace(t *testing.T) {
	const put = `<script>$RC=function(a,b){};$RC("B:0","S:0")</script>`
	for _, c := range []struct{ name, page, want string }{
		{
			"in the place of what stood there",
			`<body><main><!--$?--><template id="B:0"></template><p>Loading</p><!--/$--><p>end</p></main><div hidden id="S:0"><h1>Salt</h1></div>` + put,
			`<main><!--$?--><h1>Salt</h1><!--/$--><p>end</p></main>`,
		},
		{
			"around a place that stood there",
			`<body><main><!--$?--><template id="B:0"></template><!--$--><i>a</i><!--/$--><i>b</i><!--/$--><p>end</p></main><div hidden id="S:0"><h1>Salt</h1></div>` + put,
			`<main><!--$?--><h1>Salt</h1><!--/$--><p>end</p></main>`,
		},
		{
			"a segment, first into what is sent and then with it",
			`<body><!--$?--><template id="B:0"></template><!--/$--><div hidden id="S:0"><ul><template id="P:1"></template></ul></div>` +
				`<div hidden id="S:1"><li>one</li><li>two</li></div><script>$RS("S:1","P:1")</script>` + put,
			`<!--$?--><ul><li>one</li><li>two</li></ul><!--/$-->`,
		},
		{
			"not into itself",
			`<body><div hidden="" id="S:0"><p><template id="B:0"></template></p></div>` + put,
			`<div hidden="" id="S:0"><p><template id="B:0"></template></p></div>`,
		},
		{
			"nowhere without a place",
			`<body><div hidden="" id="S:0"><p>a</p></div>` + put,
			`<div hidden="" id="S:0"><p>a</p></div>`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := bodyOf(t, c.page); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestStreamedPagesStayShallow(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<body><template id="B:0"></template>`)
	for i := range 1000 {
		fmt.Fprintf(&b, `<div hidden id="S:%d"><div><div><div><div><template id="B:%d"></template></div></div></div></div></div><script>$RC("B:%d","S:%d")</script>`, i, i+1, i, i)
	}
	d := ParseDocument([]byte(b.String()), "", nil)
	deepest := 0
	for n := range d.Root().Descendants() {
		depth := 0
		for up := n; up != nil; up = up.Parent {
			depth++
		}
		deepest = max(deepest, depth)
	}
	if deepest > maxStreamedDepth+20 || deepest < maxStreamedDepth/2 {
		t.Errorf("the tree is %d deep", deepest)
	}
}

func TestFramesInNoscriptEnd(t *testing.T) {
	for _, c := range []struct{ name, page, want string }{
		{"closes itself", `<body><noscript><iframe src="/a"/></noscript><p>text</p>`, `<noscript><iframe src="/a"></iframe></noscript><p>text</p>`},
		{"left open, in capitals", `<body><NOSCRIPT><IFRAME src="/a"></NOSCRIPT><p>text</p>`, `<noscript><iframe src="/a"></iframe></noscript><p>text</p>`},
		{"the second of two", `<body><noscript><iframe src="/a"></iframe><iframe src="/b"/></noscript><p>text</p>`, `<noscript><iframe src="/a"></iframe><iframe src="/b"></iframe></noscript><p>text</p>`},
		{"closed", `<body><noscript><iframe src="/a"></iframe></noscript><p>text</p>`, `<noscript><iframe src="/a"></iframe></noscript><p>text</p>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := bodyOf(t, c.page); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
