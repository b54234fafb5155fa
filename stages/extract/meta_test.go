package extract

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/stages"
	"github.com/seed-301537d8/weir/stages/extract/internal/content"
)

func TestFindDate(t *testing.T) {
	for in, want := range map[string]string{
		"May 12, 2025": "2025-05-12", "12 May 2025": "2025-05-12", "Posted on Tue, 3rd of June 2025 at 9": "2025-06-03", "4. März 2025": "2025-03-04",
		"4 de marzo de 2025": "2025-03-04", "1er août 2024": "2024-08-01", "le 14 juillet 2024": "2024-07-14", "4 марта 2025": "2025-03-04",
		"2025年3月4日": "2025-03-04", "04.03.2025": "2025-03-04", "Stand: 04.03.2025, 10:15 Uhr": "2025-03-04", "13/04/2025": "2025-04-13", "04/13/2025": "2025-04-13",
		"2025-03-04T05:06": "2025-03-04", "2025/3/4": "2025-03-04", "Sept. 9, 2024": "2024-09-09",
		"03/04/2025": "", "31 February 2025": "", "yesterday": "", "12:30": "", "": "", "5 May": "", "1. 2. 3.": "",
	} {
		if got := findDate(in); got != want {
			t.Errorf("findDate(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAddressDate(t *testing.T) {
	for in, want := range map[string]string{
		"https://e.example/2025/03/04/the-weir": "2025-03-04", "https://e.example/a/2025/3/4/": "2025-03-04",
		"https://e.example/2025/13/04/x": "", "https://e.example/12/03/04/x": "", "": "",
	} {
		if got := addressDate(in); got != want {
			t.Errorf("addressDate(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDatesAndAuthors(t *testing.T) {
	const text = `<p>The river had risen during the night, and by the morning the old mill stood in water up to its windows. Nobody in the village could remember a spring like it.</p>
<p>The miller, who had been warned two days before, carried the sacks of flour up to the loft and tied his boat to the chimney.</p>`
	for _, tc := range []struct{ name, head, before, after, published, byline string }{
		{"none", "", "", "", "", ""},
		{"metadata", `<meta property="article:published_time" content="2025-03-04T05:06:07Z"><meta name=author content="Ann Miller">`, "", "", "2025-03-04T05:06:07Z", "Ann Miller"},
		{"JSON-LD", `<script type="application/ld+json">{"@graph":[{"@type":"NewsArticle","datePublished":"2025-03-04","author":[{"@type":"Person","name":"Ann Miller"},{"name":"Bo Li"}]}]}</script>`, "", "", "2025-03-04", "Ann Miller; Bo Li"},
		{"an organization", `<script type="application/ld+json">{"@type":"NewsArticle","author":{"@type":"Organization","name":"River Times"}}</script>`, "", "", "", "River Times"},
		{"named elsewhere in JSON-LD", `<script type="application/ld+json">{"@graph":[{"@type":"NewsArticle","author":{"@id":"#a"}},{"@type":"Person","@id":"#a","name":"Ann Miller"}]}</script>`, "", "", "", "Ann Miller"},
		{"the site is no author that stands on the page", `<meta property="og:site_name" content="River Times">`, `<div class=author>River Times</div>`, "", "", ""},
		{"degrees", `<meta name=author content="Ann Miller, MS, PhD and Bo Li, RD">`, "", "", "", "Ann Miller, MS, PhD; Bo Li, RD"},
		{"a title behind the name", "", `<p class=byline>Ann Miller, Editor</p>`, "", "", "Ann Miller"},
		{"a role", "", `<p class=author-role>Gardening</p>`, "", "", ""},
		{"a user", `<meta name=author content="ann_m77">`, "", "", "", "ann_m77"},
		{"a number", `<meta name=author content="2625882138">`, "", "", "", ""},
		{"glued", `<meta name=author content="ByAnn Miller">`, "", "", "", "Ann Miller"},
		{"escaped twice", `<meta name=author content="Ann &amp;amp; Bob">`, "", "", "", "Ann; Bob"},
		{"the label of a card", `<meta name="twitter:label1" content="Written by"><meta name="twitter:data1" content="Ann Miller"><meta name="twitter:label2" content="Est. reading time"><meta name="twitter:data2" content="Five Minutes">`, "", "", "", "Ann Miller"},
		{"the site in metadata and a person on the page", `<meta property="og:site_name" content="River Times"><meta name=author content="River Times">`, `<p class=byline>By Ann Miller</p>`, "", "", "Ann Miller"},
		{"the site in metadata alone", `<meta property="og:site_name" content="River Times"><meta name=author content="River Times">`, "", "", "", "River Times"},
		{"an administrator", `<meta name=author content="admin">`, "", "", "", ""},
		{"time element", "", `<time datetime="2025-03-04">yesterday</time>`, "", "2025-03-04", ""},
		{"a line without a name", "", `<p>4 March 2025 · 5 min read</p>`, "", "2025-03-04", ""},
		{"a line of a change", "", `<p>Last updated: 4 March 2025</p>`, "", "", ""},
		{"a change behind the date", "", `<p>4 March 2025 (updated 5 May 2025)</p>`, "", "2025-03-04", ""},
		{"a label of a change", "", `<div>Last updated:</div><div>4 March 2025</div>`, "", "", ""},
		{"a line of what is beside", "", "", `<aside><p>4 March 2025</p></aside>`, "", ""},
		{"byline", "", `<div class="byline">By Ann Miller and Bo Li | 4 March 2025</div><span class="date">4 March 2025</span>`, "", "2025-03-04", "Ann Miller; Bo Li"},
		{"link to the author", "", `<a rel=author href=/u>Ann Miller</a>`, "", "", "Ann Miller"},
		{"what others wrote is not his", "", "", `<aside><div class="author">Cy Young</div><time datetime="2020-01-01">x</time></aside>`, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			page := `<html><head><title>The flood</title><meta property="og:type" content="article">` + tc.head + `</head><body><article><h1>The flood</h1>` + tc.before + text + `</article>` + tc.after
			got := new(Extractor).HTML(t.Context(), []byte(page), "https://rivers.example/flood", "")
			if got.Published != tc.published || got.Byline != tc.byline {
				t.Errorf("published %q, want %q; byline %q, want %q (type %s)", got.Published, tc.published, got.Byline, tc.byline, got.Type)
			}
		})
	}
}

func TestPoster(t *testing.T) {
	const posts = `<div class=post><div class=postbody><p>Does anybody know why the weir whistles when the wind comes from the west? It began last autumn.</div></div>`
	for name, tc := range map[string]struct{ page, want string }{
		"JSON-LD":       {`<script type="application/ld+json">{"@type":"DiscussionForumPosting","author":{"@type":"Person","name":"ann_m77"}}</script>` + posts, "ann_m77"},
		"a question":    {`<script type="application/ld+json">{"@type":"QAPage","mainEntity":{"@type":"Question","author":{"name":"Bo &amp; Li"}}}</script>` + posts, "Bo & Li"},
		"microdata":     {`<div itemscope itemtype="https://schema.org/DiscussionForumPosting"><span itemprop=author itemscope itemtype="https://schema.org/Person"><b itemprop=name>cy.young</b></span>` + posts + `</div>`, "cy.young"},
		"an attribute":  {`<article data-author="Ann M">` + posts + `</article><article data-author="Bo">` + posts + `</article>`, "Ann M"},
		"a class":       {`<div><a class=username href=/u/1>ann</a>` + posts + `</div><div><a class=username href=/u/2>bo</a>` + posts + `</div>`, "ann"},
		"in navigation": {`<nav><a class=username>me</a></nav>` + posts, ""},
		"no name":       {`<div class=author>http://e.example/</div>` + posts, ""},
		"none":          {posts, ""},
	} {
		d := stages.ParseDocument([]byte("<body>"+tc.page), "https://e.example/t/1", nil)
		p, err := content.Read(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if got := poster(p, 0); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestItems(t *testing.T) {
	const page = `<script type="application/ld+json">{"@type":"FAQPage","name":"Questions"}</script>
<div itemscope itemtype="https://schema.org/Product"><h1 itemprop="name">Oar</h1><img itemprop="image" src="/oar.jpg">
<div itemprop="offers" itemscope itemtype="http://schema.org/Offer"><meta itemprop="price" content="89"><link itemprop="availability" href="https://schema.org/InStock"></div>
<ul><li itemprop="color">red<li itemprop="color">blue</ul></div><p itemprop="lost">x</p>`
	got := (&Extractor{Items: true}).HTML(t.Context(), []byte(page), "", "")
	b, err := json.Marshal(got.Items)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"@type":"FAQPage","name":"Questions"},{"@type":"Product","color":["red","blue"],"image":"/oar.jpg","name":"Oar","offers":{"@type":"Offer","availability":"https://schema.org/InStock","price":"89"}}]`
	if string(b) != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
}

func TestComments(t *testing.T) {
	const comment = "At ours the water stood in the cellar as well, for the first time in thirty years."
	page := strings.Replace(article, "</article>", `</article><section id="comments" class="comments"><h3>1 comment</h3><div class="comment"><b>Pete</b><p>`+comment+`</p></div><form><p>Write what you think of it here</p></form></section>`, 1)
	got := (&Extractor{Comments: true}).HTML(t.Context(), []byte(page), "https://rivers.example/a", "")
	if len(got.Comments) != 1 || got.Comments[0] != comment || strings.Contains(got.Text, "cellar") {
		t.Errorf("comments %q, text %q", got.Comments, got.Text)
	}
}

// The replies of a forum are comments too, and stand in its text.
func TestForumReplies(t *testing.T) {
	page, err := os.ReadFile("testdata/pages/forum.html")
	if err != nil {
		t.Fatal(err)
	}
	got := (&Extractor{Comments: true}).HTML(t.Context(), page, "https://example.org/dir/forum", "")
	if got.Type != TypeForum || len(got.Comments) == 0 {
		t.Fatalf("%s with %d replies", got.Type, len(got.Comments))
	}
	for _, c := range got.Comments {
		if !strings.Contains(got.Text, c) {
			t.Errorf("the reply %q is not in the text %q", c, got.Text)
		}
	}
	if strings.HasPrefix(got.Text, got.Comments[0]) {
		t.Errorf("the first post is a reply: %q", got.Comments)
	}
}
