package stages

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"github.com/seed-301537d8/weir/crawler/robots"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/internal/cputime"
)

func TestLinks(t *testing.T) {
	const page = `<!doctype html><html lang="de-AT"><head><title> A
	title </title><base href="/dir/"><base href="/ignored/">
	<link rel="canonical" href="self"><link rel=next href=p2><link rel="stylesheet" href=x.css>
	<link rel="alternate stylesheet" href=y.css><link rel=alternate hreflang=en href="/en" title="English" type="text/html">
	<meta http-equiv="Refresh" content="5; URL='later.html'">
	</head><body>
	<a href="one">First <b>bold</b>
	  link</a> <a href=" t
wo " rel="external NoFollow">2</a><a href="#frag">frag</a><a href="mailto:a@b.c">m</a>
	<a href="javascript:void(0)">js</a><a>none</a><a href="">empty</a><a href="//other.example/x#y"><img alt="a picture"></a>
	<a href="http://[bad">bad</a><a href="three" rel=ugc title="by title"></a>
	<map><area href="area" alt="Area"></map><iframe src="frame"></iframe>
	<svg><title>not this</title><a href="svglink">s</a></svg></body></html>`
	d := ParseDocument([]byte(page), "https://example.com/a/b", nil)
	want := []Link{
		{URL: "https://example.com/dir/self", Kind: LinkCanonical},
		{URL: "https://example.com/dir/p2", Kind: LinkNext},
		{URL: "https://example.com/en", Kind: LinkAlternate, Text: "English", Lang: "en", Type: "text/html"},
		{URL: "https://example.com/dir/later.html", Kind: LinkRefresh},
		{URL: "https://example.com/dir/one", Kind: LinkAnchor, Text: "First bold link"},
		// The URL standard removes line ends within a URL.
		{URL: "https://example.com/dir/two", Kind: LinkAnchor, Text: "2", NoFollow: true},
		// The base is another page, of which this is a part.
		{URL: "https://example.com/dir/", Kind: LinkAnchor, Text: "frag"},
		{URL: "https://other.example/x", Kind: LinkAnchor, Text: "a picture"},
		{URL: "https://example.com/dir/three", Kind: LinkAnchor, Text: "by title", NoFollow: true},
		{URL: "https://example.com/dir/area", Kind: LinkArea, Text: "Area"},
		{URL: "https://example.com/dir/frame", Kind: LinkFrame},
		{URL: "https://example.com/dir/svglink", Kind: LinkAnchor, Text: "s"},
	}
	got := d.Links()
	if len(got) != len(want) {
		t.Errorf("%d links, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("link %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
	if d.Meta.Title != "A title" || d.Meta.Lang != "de-AT" || d.Meta.Canonical != "https://example.com/dir/self" || d.Base != "https://example.com/dir/" {
		t.Errorf("meta %+v, base %q", d.Meta, d.Base)
	}
}

func TestLinksBeyondTheLimitCountByTarget(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "<a href=/chapter#part%d>part</a>", i)
	}
	for i := range 12 {
		fmt.Fprintf(&b, "<a href=/chapter%d>chapter</a>", i)
	}
	d := ParseDocument([]byte(b.String()), "http://e.example/", &DocumentOptions{MaxLinks: 10})
	targets := make(map[string]bool)
	for _, l := range d.Links() {
		targets[l.URL] = true
	}
	if len(targets) != 10 || d.LinksDropped() != 3 {
		t.Errorf("%d targets, %d dropped, want 10 and 3", len(targets), d.LinksDropped())
	}
}

func TestLinksCaps(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "<a href=/%d>%s</a>", i, strings.Repeat("Wörter ", 50))
	}
	d := ParseDocument([]byte(b.String()), "http://e.example/", &DocumentOptions{MaxLinks: 10, MaxLinkText: 20})
	if len(d.Links()) != 10 || d.LinksDropped() != 90 {
		t.Errorf("%d links, %d dropped", len(d.Links()), d.LinksDropped())
	}
	if got := d.Links()[0].Text; len(got) > 20 || !strings.HasPrefix(got, "Wörter Wörter") {
		t.Errorf("text %q", got)
	}
}

func TestResolveIsTheCallers(t *testing.T) {
	var calls []string
	d := ParseDocument([]byte(`<base href=/b/><a href=x>1</a><a href=no>2</a>`), "http://e.example/", &DocumentOptions{
		Resolve: func(base, href string) (string, error) {
			calls = append(calls, base+" "+href)
			if href == "no" {
				return "", errors.New("no")
			}
			return "canonical:" + href, nil
		}})
	if want := []string{"http://e.example/ /b/"}; !slices.Equal(calls, want) {
		t.Errorf("called with %q before the links are asked for, want %q", calls, want)
	}
	for range 2 { // the second time they are known
		if len(d.Links()) != 1 || d.Links()[0].URL != "canonical:x" {
			t.Errorf("links %+v", d.Links())
		}
		if want := []string{"http://e.example/ /b/", "canonical:/b/ x", "canonical:/b/ no"}; !slices.Equal(calls, want) {
			t.Errorf("called with %q, want %q", calls, want)
		}
	}
}

func TestRefreshTarget(t *testing.T) {
	for in, want := range map[string]string{
		"5": "", "": "", "url=x": "", "0;url=x": "x", "0; URL = 'x y'": "x y", "3,x": "x", "0.5;URL=\"x": "x", "1; urls": "urls", "; url=x": "",
	} {
		if got := refreshTarget(in); got != want {
			t.Errorf("refreshTarget(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMeta(t *testing.T) {
	const page = `<html><head><meta name="Description" content=" About "><meta property="og:title" content="OG">
	<meta property="og:title" content="second"><meta name=author content="A. Author"><meta name=robots content="noindex, max-snippet:-1">
	<meta name="Weir" content="NOFOLLOW"><meta name=googlebot content=none><meta http-equiv=content-language content=fr>
	<script type="application/ld+json"> {"@type": "Article", "headline": "H"} </script>
	<script type="application/ld+json">{broken</script><script>var x = "<a href=no>"</script></head>`
	m := ParseDocument([]byte(page), "http://e.example/", nil).Meta
	if m.Description != "About" || m.OpenGraph["og:title"] != "OG" || m.Fields["author"] != "A. Author" || m.ContentLanguage != "fr" {
		t.Errorf("meta %+v", m)
	}
	if len(m.JSONLD) != 1 || string(m.JSONLD[0]) != `{"@type":"Article","headline":"H"}` {
		t.Errorf("JSON-LD %s", m.JSONLD)
	}
	if got := m.Robots("weir"); got != (robots.Directives{NoIndex: true, NoFollow: true}) {
		t.Errorf("robots for weir: %+v", got)
	}
	if got := m.Robots("other"); got != (robots.Directives{NoIndex: true}) {
		t.Errorf("robots for others: %+v", got)
	}
}

// hostile are pages that are meant to hurt. Each has the link /x.
func hostile() map[string]string {
	const link = "text <a href=/x>link</a>"
	var attrs, hidden strings.Builder
	for i := range 400 {
		fmt.Fprintf(&attrs, "<b x=%d>", i)
		fmt.Fprintf(&hidden, "<b x=%d><marquee></b></marquee>", i)
	}
	return map[string]string{
		"deep":            strings.Repeat("<div>", 200_000) + link,
		"deep inline":     strings.Repeat("<span>", 200_000) + link,
		"deep tables":     strings.Repeat("<table><tr><td>", 50_000) + link,
		"reopened":        link + attrs.String() + strings.Repeat("<p>", 300_000),
		"reopened hidden": link + hidden.String() + strings.Repeat("<p>", 300_000),
		"many":            link + strings.Repeat("<i></i>", 1_000_000),
		"foster":          "<table>" + strings.Repeat("<div>x", 100_000) + link,
		"misnested":       strings.Repeat("<b><i></b>", 100_000) + link,
		"select":          link + strings.Repeat("<select><option>", 100_000),
		"attributes":      link + "<p " + strings.Repeat("a=b ", 500_000) + ">",
		"comments":        link + strings.Repeat("<!---->", 300_000),
		"open comment":    link + "<!--" + strings.Repeat("-", 1_000_000),
		"templates":       link + strings.Repeat("<template>", 100_000),
		"svg":             link + strings.Repeat("<svg>", 100_000),
		"forms":           link + strings.Repeat("<form><input>", 100_000),
		"entities":        link + strings.Repeat("&amp", 500_000),
		"zeros":           link + strings.Repeat("\x00", 1_000_000),
		"frames":          "<a href=/x>link</a> text<frameset>" + strings.Repeat("<frame>", 100_000),
	}
}

// A parser that has to wait for the processor is not slow.
func TestParserMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &pacedReader{b: make([]byte, 32<<10)}
		defer r.done()
		n := 0
		for buf := make([]byte, 4096); ; time.Sleep(time.Second) {
			m, err := r.Read(buf)
			if n += m; err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d bytes: %v", n, err)
			}
		}
		if n != 32<<10 || !r.watched {
			t.Errorf("%d bytes, watched %v", n, r.watched)
		}
	})
}

func TestHostilePagesStayCheap(t *testing.T) {
	for name, page := range hostile() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := cputime.Used()
			d := ParseDocument([]byte(page), "http://e.example/", nil)
			d.Root()
			took := cputime.Used() - start
			runtime.ReadMemStats(&after)
			mb := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MB, %d nodes, flat %v", took, mb, d.Nodes(), d.Flat())
			if took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if mb > 1500 {
				t.Errorf("allocated %d MB", mb)
			}
			if len(d.Links()) == 0 {
				t.Error("the link is lost")
			}
		})
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(`<a href="x">y</a><base href=z><meta http-equiv=refresh content="0;url=q">`), "http://e.example/")
	f.Add([]byte(`<table><a href=x><tr><td><a href=y></table><svg><title>`), "::")
	f.Add([]byte(strings.Repeat("<b x=1><p>", 600)), "")
	f.Add([]byte("\xff\xfe<\x00a\x00"), "http://e.example/")
	f.Add([]byte(`<script type="application/ld+json">{"a":[1]}</script><template><a href=x>`), "http://[::1]/")
	f.Fuzz(func(t *testing.T, body []byte, url string) {
		utf8, _ := ToUTF8(body, "")
		d := ParseDocument(utf8, url, &DocumentOptions{MaxNodes: 20_000})
		for _, l := range d.Links() {
			if l.URL == "" || l.Kind == "" {
				t.Errorf("incomplete link %+v", l)
			}
			if u, err := weburl.Parse(l.URL); err != nil || u.String() != l.URL {
				t.Errorf("%q parses as %q, %v", l.URL, u, err)
			}
		}
		d.Requisites()
		flat := flatTree(utf8, 20_000)
		for n := flat; n != nil; n = next(n, flat) {
			depth := 0
			for p := n; p != nil; p = p.Parent {
				depth++
			}
			if depth > 7 || n.Type == html.ErrorNode {
				t.Fatalf("a flat tree of depth %d", depth)
			}
		}
	})
}

func BenchmarkParseDocument(b *testing.B) {
	var p strings.Builder
	p.WriteString("<!doctype html><html lang=en><head><title>T</title><meta name=description content=d></head><body>")
	for i := range 30 {
		fmt.Fprintf(&p, "<p>%s <a href=/page/%d>link number %d</a></p>", strings.Repeat("Some words of text here. ", 16), i, i)
	}
	page := []byte(p.String())
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		if d := ParseDocument(page, "http://e.example/", nil); len(d.Links()) != 30 {
			b.Fatal(len(d.Links()))
		}
	}
}
