package content

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// What is left out leaves what is kept apart.
func TestPruneKeepsTextsApart(t *testing.T) {
	for _, c := range []struct {
		name, page string
		drop       int // the block to leave out, or -1
		want       string
	}{
		{"an element of white space", "<p>Collins<strong> </strong><span>in</span></p>", -1, "<p>Collins <span>in</span></p>"},
		{"an element of a line break", "<p><b>Apps</b><b><br></b><span>shopping</span></p>", -1, "<p><b>Apps</b><br/><span>shopping</span></p>"},
		{"a block between", "<div><span>44</span><div>save</div><span>compared</span></div>", 1, "<div><span>44</span><br/><br/><span>compared</span></div>"},
		{"a caption", "<p>a b c<figure><img src=a.png><figcaption>an image</figcaption></figure>", 1, `<p>a b c</p><figure><img src="a.png"/> </figure>`},
		{"a name and a role", "<p><span class=a>Jacek</span><span class=b>student</span></p>", -1, `<p><span class="a">Jacek</span> <span class="b">student</span></p>`},
	} {
		p := read(t, "<title>x</title><body>"+c.page)
		keep := make([]bool, len(p.Blocks))
		for i := range keep {
			keep[i] = i != c.drop
		}
		var b strings.Builder
		if err := html.Render(&b, p.Prune(keep)); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		got = strings.TrimSuffix(got[strings.Index(got, "<body>")+len("<body>"):], "</body></html>")
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// The numbers of lines beside a listing are no content, and numbers that are a
// listing are.
func TestNumberings(t *testing.T) {
	for s, want := range map[string]bool{"1\n2\n3": true, " 9\n10\n11\n": true, "1": false, "1\n3": false, "2\n1": false, "a\nb": false, "": false} {
		if isNumbering(s) != want {
			t.Errorf("isNumbering(%q) is %v", s, !want)
		}
	}
}
