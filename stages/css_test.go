package stages

import (
	"slices"
	"strings"
	"testing"
)

func TestCSSLinks(t *testing.T) {
	tests := []struct {
		css  string
		want []string
	}{
		{`a { background: url(a.png) }`, []string{"a.png"}},
		{`a { background: URL( "a b.png" ) } b { background: url('c\'d.png') }`, []string{"a b.png", "c'd.png"}},
		{`@import "one.css"; @import 'two.css' screen; @import url(three.css) layer(x) supports(display: grid);`, []string{"one.css", "two.css", "three.css"}},
		{`@import url("four.css");`, []string{"four.css"}},
		{`/* url(no.png) @import "no.css" */ a { content: "url(no.png)" }`, nil},
		{`@namespace svg url(http://www.w3.org/2000/svg); @namespace "http://www.w3.org/1999/xhtml"; @charset "utf-8";`, nil},
		{`@font-face { font-family: "F"; src: url(f.woff2) format("woff2"), url(f.woff) format("woff"), local("F") }`, []string{"f.woff2", "f.woff"}},
		{`a { background-image: image-set("a.avif" type("image/avif"), url(a.png) 1x) }`, []string{"a.avif", "a.png"}},
		{`a { background: -webkit-image-set(url(b.png) 1x, "c.png" 2x) }`, []string{"b.png", "c.png"}},
		{`background:url(inline.png)`, []string{"inline.png"}},
		{`a { background: url(a\29 b.png); mask: u\72l(c.png) }`, []string{"a)b.png"}},
		{"a { background: url(\"long\\\nname.png\") }", []string{"longname.png"}},
		{`@media (min-width: 1px) { a { background: url(m.png) } }`, []string{"m.png"}},
		{`:root { --image: url(v.png) }`, []string{"v.png"}},
		{`a { background: url(); b: url(unclosed.png`, []string{"unclosed.png"}},
		{`a { fill: url(#gradient); background: url(data:image/png;base64,AA==) }`, []string{"#gradient", "data:image/png;base64,AA=="}},
	}
	for _, test := range tests {
		if got := CSSLinks(test.css); !slices.Equal(got, test.want) {
			t.Errorf("%s\n got %q\nwant %q", test.css, got, test.want)
		}
	}
}

// A style sheet is read in time that grows no faster than it, and never to more than so
// many links.
func FuzzCSSLinks(f *testing.F) {
	f.Add(`@import "a" url(b) c\0 { d: url('e`)
	f.Add(strings.Repeat("url(", 1000))
	f.Fuzz(func(t *testing.T, sheet string) {
		for _, href := range CSSLinks(sheet) {
			if strings.TrimSpace(href) == "" {
				t.Errorf("an empty link in %q", sheet)
			}
		}
	})
}
