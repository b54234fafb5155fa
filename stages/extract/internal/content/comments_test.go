package content

import (
	"slices"
	"testing"
)

func TestCommentsAreWhole(t *testing.T) {
	p := read(t, `<title>x</title><body><p>The text of the page itself.</p><section class=comments><h2>2 comments</h2>
		<div class=comment><b>Ann</b><p>The first paragraph of the first.</p><p>The second paragraph of it.</p><ul><li>with a list that has words</ul></div>
		<div class=comment><b>Bob</b><p>A comment of one paragraph only.</p></div>
		<form><p>Write what you think of it</p></form></section>`)
	got := p.Comments(make([]bool, len(p.Blocks)))
	want := []string{"The first paragraph of the first.\nThe second paragraph of it.\nwith a list that has words", "A comment of one paragraph only."}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPosts(t *testing.T) {
	p := read(t, `<title>x</title><body><h1>A question</h1>
		<article class=post><span>Ann</span><p>How do I read a file?</p><p>It has lines.</p></article>
		<article class=post><span>Bob</span><p>By a scanner.</p></article><p>Not a post.</p>
		<article class=post><p>That is right.</p></article>`)
	keep := make([]bool, len(p.Blocks))
	for i := range keep {
		keep[i] = p.Blocks[i].words > 1
	}
	got := p.Posts(keep)
	want := []string{"How do I read a file?\nIt has lines.", "By a scanner.", "That is right."}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	p = read(t, "<title>x</title><body><p>One paragraph.<p>Another one.")
	if got := p.Posts([]bool{true, true}); got != nil {
		t.Errorf("a page without posts: %q", got)
	}
}
