package content

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const paragraph = "The boat was built in the winter of that year by two sisters, who had found the plans in an attic, and it was launched in May."

// selected returns the texts that are taken of an article whose blocks have
// these probabilities.
func selected(t *testing.T, page string, probability ...float32) []string {
	t.Helper()
	p := read(t, page)
	if len(p.Blocks) != len(probability) {
		t.Fatalf("%d blocks, want %d: %q", len(p.Blocks), len(probability), texts(p))
	}
	var out []string
	for i, k := range Default().Select(p, &Verdict{Type: Article, Types: [types]float32{1}, Blocks: probability}) {
		if k {
			out = append(out, p.Blocks[i].Text)
		}
	}
	return out
}

func TestSelect(t *testing.T) {
	jsonLD := func(key, text string) string {
		return fmt.Sprintf(`<script type="application/ld+json">{"@type":"Article",%q:%q}</script>`, key, text)
	}
	const other = "The owner of this site has brought the news of boats to readers in all harbours since the year of 1970."
	long := strings.Repeat(paragraph+" ", 3)
	for _, tc := range []struct {
		name, html  string
		probability []float32
		want        []string
	}{
		{"the body again in JSON-LD", jsonLD("articleBody", paragraph) + "<p>" + paragraph, []float32{.95, .95}, []string{paragraph}},
		{"JSON-LD about the site", jsonLD("description", other) + "<p>" + paragraph, []float32{.95, .95}, []string{paragraph}},
		{"a body in JSON-LD alone", jsonLD("articleBody", long) + "<p>A boat", []float32{.95, .95}, []string{"A boat", strings.TrimSpace(long)}},
		{"comments", "<p>" + paragraph + `<div class=comments><p>Nice boat, I say.</div>`, []float32{.95, .9}, []string{paragraph}},
		{"nothing but comments", `<div class=comments><p>` + paragraph + `</div>`, []float32{.95}, []string{paragraph}},
		{"what only screen readers are told", "<p>" + paragraph + `<p class=sr-only>A boat on a lake</p>`, []float32{.95, .9}, []string{paragraph}},
		{"reviews on an article", "<p>" + paragraph + `<div class=reviews><p>Nice boat, I say.</div>`, []float32{.95, .9}, []string{paragraph, "Nice boat, I say."}},
		{"a link home", `<div><a href="/">Boats of the Lake</a></div><p>` + paragraph, []float32{.95, .95}, []string{paragraph}},
		{"a link to another page", `<div><a href="/a">Boats of the Lake</a></div><p>` + paragraph, []float32{.95, .95}, []string{"Boats of the Lake", paragraph}},
		{"a heading of what is left out beside the text", "<p>" + paragraph + "<aside><h3>Length</h3><p>3 m</p><p>4 m</p></aside><p>" + paragraph[:60], []float32{.95, .9, .1, .1, .95}, []string{paragraph, paragraph[:60]}},
		{"headings of cards", "<p>" + paragraph + "<aside><div><h3>Dinghy</h3><p>3 m</p></div><div><h3>Punt</h3><p>4 m</p></div></aside><p>" + paragraph[:60], []float32{.95, .9, .1, .9, .1, .95}, []string{paragraph, "Dinghy", "Punt", paragraph[:60]}},
		{"links to other articles", "<p>" + paragraph + `<p><a href=a>Ten boats to build</a>`, []float32{.95, .8}, []string{paragraph}},
		{"a link that is certain", "<p>" + paragraph + `<p><a href=a>Ten boats to build</a>`, []float32{.95, .95}, []string{paragraph, "Ten boats to build"}},
		{"nothing but links", `<p><a href=a>` + paragraph + `</a>`, []float32{.8}, []string{paragraph}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := selected(t, tc.html, tc.probability...); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// What customers say and what opens over the page is left out where things are
// sold, unless it is all there is.
func TestSelectOfShop(t *testing.T) {
	product := [types]float32{3: 1}
	for name, part := range map[string]string{
		"reviews":           `<div class="product-reviews"><p>Nice boat, I say.</p></div>`,
		"an overlay":        `<div id="sizeModal"><p>Nice boat, I say.</p></div>`,
		"names of the page": "",
	} {
		p := read(t, `<body class="reviews modal"><p>`+paragraph+part)
		probability := []float32{.95, .9}[:len(p.Blocks)]
		keep := Default().Select(p, &Verdict{Type: Product, Types: product, Blocks: probability})
		if !keep[0] || len(keep) > 1 && keep[1] {
			t.Errorf("%s: %v of %q", name, keep, texts(p))
		}
	}
	p := read(t, `<div class=reviews><p>`+paragraph)
	if keep := Default().Select(p, &Verdict{Type: Product, Types: product, Blocks: []float32{.9}}); !keep[0] {
		t.Error("reviews are left out though there is nothing else")
	}
}

// Some places hold furniture on pages of some types, whatever the model says.
func TestFurnitureByType(t *testing.T) {
	var all [types]bool
	for k := range all {
		all[k] = true
	}
	only := func(of ...PageType) (is [types]bool) {
		for _, k := range of {
			is[slices.Index(PageTypes, k)] = true
		}
		return is
	}
	but := all
	but[slices.Index(PageTypes, Forum)] = false
	const said = "Nice boats are here, I say."
	for _, c := range []struct {
		name, html string
		leaves     [types]bool
	}{
		{"a caption", `<figure><img src=a.png><figcaption>` + said + `</figcaption></figure>`, but},
		{"a caption by name", `<p class=wp-caption-text>` + said, but},
		{"related", `<div class="relatedPosts"><p>` + said + `</div>`, but},
		{"a disclaimer", `<div class="feature-disclaimer"><p>` + said + `</div>`, but},
		{"breadcrumbs", `<div id=breadcrumb>` + said + `</div>`, but},
		{"a field's label", `<label>` + said + `</label>`, but},
		{"a button", `<button>` + said + `</button>`, only(Listing, Collection)},
		{"a heading that is a button", `<h3><button>` + said + `</button></h3><p>x`, [types]bool{}},
		{"an appeal", `<div class=newsletter-box><p>` + said + `</div>`, only(Article)},
		{"about the author", `<div class="author-bio"><p>` + said + `</div>`, only(Article)},
		{"what is hidden", `<div style="display: none"><p>` + said + `</div>`, only(Article)},
		{"a signature", `<div class=signature><p>` + said + `</div>`, only(Forum)},
		{"a paragraph", `<p class=text>` + said, [types]bool{}},
	} {
		p := read(t, "<p>"+paragraph+c.html)
		probability := []float32{.95, .9, .9}[:len(p.Blocks)]
		for k, of := range PageTypes {
			var is [types]float32
			is[k] = 1
			likely := p.likely(probability, is)
			if left := likely[1] == 0; left != c.leaves[k] || likely[0] == 0 {
				t.Errorf("%s on a page of type %s: %v", c.name, of, likely)
			}
		}
	}
}

// What has a name of furniture and holds much of the text is the text.
func TestFurnitureThatIsThePage(t *testing.T) {
	p := read(t, "<p>"+paragraph+`<div class=author-and-related><p>`+paragraph+"</div>")
	if likely := p.likely([]float32{.95, .9}, [types]float32{1}); likely[1] == 0 {
		t.Error("half of the text is left out")
	}
}

// Blocks that are alike are taken alike, and listings with what stands around them.
func TestSmooth(t *testing.T) {
	documentation := [types]float32{1: 1}
	for _, c := range []struct {
		name, html  string
		types       [types]float32
		probability []float32
		at          int
		least, most float32
	}{
		{"one of three alike", "<ul><li class=a>x</ul><i><p>1</p></i><i><p>2</p></i><i><p>3</p></i>", [types]float32{1}, []float32{.1, .9, .9, .3}, 3, .54, .54},
		{"one of three that may be products", "<ul><li class=a>x</ul><i><p>1</p></i><i><p>2</p></i><i><p>3</p></i>", [types]float32{3: 1}, []float32{.1, .9, .9, .3}, 3, .42, .42},
		{"a listing between two of content", "<h2>x</h2><pre>y</pre><p>z", [types]float32{1}, []float32{.9, .1, .7}, 1, .7, .7},
		{"a listing behind what is none", "<h2>x</h2><pre>y</pre><p>z", [types]float32{1}, []float32{.9, .1, .2}, 1, .2, .2},
		{"a listing of documentation", "<h2>x</h2><pre>y</pre><p>z", documentation, []float32{.9, .1, .2}, 1, .9, .9},
		{"a listing at the end", "<h2>x</h2><pre>y</pre>", documentation, []float32{.9, .1}, 1, .1, .1},
	} {
		p := read(t, c.html)
		if len(p.Blocks) != len(c.probability) {
			t.Fatalf("%s: %q", c.name, texts(p))
		}
		if got := p.smooth(c.probability, c.types)[c.at]; got < c.least-.001 || got > c.most+.001 {
			t.Errorf("%s: %v, want %v to %v", c.name, got, c.least, c.most)
		}
	}
}

// A few words that are sure do not make the rest of an article unlikely.
func TestThresholdOfUncertainPage(t *testing.T) {
	p := read(t, "<p>"+paragraph+strings.Repeat("<p>"+strings.Repeat(paragraph, 2), 6))
	probability := []float32{.6, .45, .45, .45, .45, .45, .45}
	if got := Default().threshold(p, probability, [types]float32{1}); got > .45 {
		t.Errorf("the threshold is %v: most of the page is left out", got)
	}
}
