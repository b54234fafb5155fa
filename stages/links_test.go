package stages

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// linksOf returns the links of a page as "kind URL".
func linksOf(page string, opts *DocumentOptions) (links []string) {
	for _, l := range ParseDocument([]byte(page), "http://e.example/dir/page", opts).Links() {
		links = append(links, string(l.Kind)+" "+strings.TrimPrefix(l.URL, "http://e.example"))
	}
	return links
}

// What is a link for a browser without scripts is one here, and nothing else.
func TestWhatIsALink(t *testing.T) {
	for _, tc := range []struct {
		name, page string
		want       []string
	}{
		{"noscript in the body", "<noscript><a href=/a>x</a></noscript>", []string{"a /a"}},
		{"noscript in the head", "<head><noscript><meta http-equiv=refresh content='0;url=/a'></noscript></head>", []string{"refresh /a"}},
		{"a template", "<template><a href=/a>x</a><base href=/b/></template><a href=c>x</a>", []string{"a /dir/c"}},
		{"a template in a template", "<template><template><a href=/a>x</a></template></template><a href=c>x</a>", []string{"a /dir/c"}},
		{"base in svg", "<svg><base href=/b/></svg><a href=c>x</a>", []string{"a /dir/c"}},
		{"base in the body", "<p><base href=/b/><a href=c>x</a>", []string{"a /b/c"}},
		{"base of another host", "<base href=//f.example/><a href=c>x</a>", []string{"a http://f.example/c"}},
		{"base that is none", "<base href='javascript:x'><a href=c>x</a>", []string{"a /dir/c"}},
		{"xlink", "<svg><a xlink:href=/a><text>x</text></a></svg>", []string{"a /a"}},
		{"iframe", "<iframe src=/a></iframe>", []string{"frame /a"}},
		{"srcdoc", "<iframe src=/not srcdoc=\"<a href='/a'>x</a>\"></iframe>", []string{"a /a"}},
		{"srcdoc in srcdoc", "<iframe srcdoc=\"<iframe srcdoc='<a href=/a>x</a>'></iframe>\"></iframe>", nil},
		{"object of a page", "<object data=/a type='text/html; charset=x'></object><object data=b.html></object>", []string{"object /a", "object /dir/b.html"}},
		{"object of something else", "<object data=/a></object><embed src=/a.swf><embed src=/a type=image/png>", nil},
		{"embed of a page", "<embed src=/a type=application/xhtml+xml>", []string{"object /a"}},
		{"citations", "<blockquote cite=/a></blockquote><del cite=/b></del><img src=/c longdesc=/d>", []string{"cite /a", "cite /b", "cite /d"}},
		{"relations", "<link rel=help href=/a><link rel='icon up' href=/b><link rel=dns-prefetch href=/c>", []string{"link /a", "link /b"}},
		{"backslashes", `<a href="\a\b">x</a>`, []string{"a /a/b"}},
		{"a bare percent sign", "<a href='/50%-off'>x</a>", []string{"a /50%-off"}},
		{"forms are not followed", "<form action=/a><input name=q></form>", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := linksOf(tc.page, nil); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if strings.HasPrefix(tc.name, "srcdoc") {
				return // has no flat form
			}
			// The flat tree has the same links; its base need not be right.
			d := &Document{URL: "http://e.example/dir/page", opts: DocumentOptions{MaxLinks: 100}, root: flatTree([]byte(tc.page), 1000)}
			d.read()
			if got := len(d.Links()); got > len(tc.want) {
				t.Errorf("flat: %d links, want at most %d: %v", got, len(tc.want), d.Links())
			}
		})
	}
}

func TestForms(t *testing.T) {
	for _, tc := range []struct {
		name, page string
		want       []string
	}{
		{"nothing but a button", "<form action=/a><input type=submit value=Go></form>", []string{"form /a"}},
		{"as the page has it", `<form action="/a?x#y" method=GET><input name=q value="a b"><input type=checkbox name=c checked><input type=checkbox name=d>
			<select name=s><option value=1>one<option value=2 selected>two</select><select name=f><option>first</select>
			<textarea name=t>some text</textarea><input name=off disabled value=1></form>`, []string{"form /a?q=a+b&c=on&s=2&f=first&t=some+text"}},
		{"post", "<form action=/a method=post><input name=q></form>", nil},
		{"a button with an address", "<form action=/a method=post><button formaction=/b formmethod=get>x</button></form>", []string{"form /b"}},
		{"passwords are for people", "<form action=/a><input type=password name=p></form>", nil},
		{"the page's encoding", "<form action=/a><input name=q value='привет'></form>", []string{"form /a?q=%EF%F0%E8%E2%E5%F2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			opts := &DocumentOptions{Forms: true}
			if tc.name == "the page's encoding" {
				opts.Encoding = "windows-1251"
			}
			if got := linksOf(tc.page, opts); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestQueriesAreInThePagesEncoding(t *testing.T) {
	got := linksOf("<a href='/найди?q=привет'>x</a>", &DocumentOptions{Encoding: "windows-1251"})
	if want := []string{"a /%D0%BD%D0%B0%D0%B9%D0%B4%D0%B8?q=%EF%F0%E8%E2%E5%F2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// In XHTML <script/> is a whole element; in HTML it takes what follows.
func TestXHTML(t *testing.T) {
	const page = `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a.js"/><style/></head>
	<body><!-- <script/> --><textarea/><iframe src="/f"/><a id="x"/><div title="/>"/><![CDATA[ <a href="/no">]]><a href="/a">x</a></body></html>`
	d := ParseDocument([]byte(page), "http://e.example/", &DocumentOptions{XHTML: true})
	var got []string
	for _, l := range d.Links() {
		got = append(got, l.URL)
	}
	if want := []string{"http://e.example/f", "http://e.example/a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if text := d.Selection().Find("body").Text(); !strings.Contains(text, `<a href="/no">`) {
		t.Errorf("the CDATA section is not text: %q", text)
	}
	if html := []byte("<p>no slash at all</p><br/>"); &closeEmpty(html)[0] != &html[0] {
		t.Error("a page that needs no change was copied")
	}
}

func TestHeaderLinks(t *testing.T) {
	h := http.Header{
		"Link": {
			`</next>; rel="next"; title="a, b", </style.css>; rel=preload`,
			`<https://f.example/c>; rel="nofollow canonical", </other>; rel=next; anchor="/else"`,
			`<de>; REL=alternate; hreflang=de; type="text/html", <>; rel=next, <broken`,
		},
		"Refresh": {"5; url=/caf\xe9"},
	}
	links, requisites := HeaderLinks(h, "http://e.example/dir/page")
	want := []Link{
		{URL: "http://e.example/caf%E9", Kind: LinkRefresh},
		{URL: "http://e.example/next", Kind: LinkNext, Text: "a, b"},
		{URL: "https://f.example/c", Kind: LinkCanonical, NoFollow: true},
		{URL: "http://e.example/dir/de", Kind: LinkAlternate, Lang: "de", Type: "text/html"},
	}
	if !slices.Equal(links, want) {
		t.Errorf("links\n got %+v\nwant %+v", links, want)
	}
	if want := []Link{{URL: "http://e.example/style.css", Kind: LinkRequisite}}; !slices.Equal(requisites, want) {
		t.Errorf("requisites %+v, want %+v", requisites, want)
	}
}

func TestRequisites(t *testing.T) {
	const page = `<!doctype html><html manifest=/m><head><link rel=stylesheet href=/s.css><link rel=next href=/page><style>@import "/i.css"; a { background: url( '/u.png' ) }</style>
	<!--[if IE]><link rel=stylesheet href=/ie.css><![endif]--><!-- <img src=/no> --></head><body background=/b.png>
	<img src=/1.png srcset="/2.png 1x, /3.png 2x,/4.png"><video poster=/p.png src=/v><source src=/w></video><script src=/j></script>
	<svg><image xlink:href=/x.svg /><a xlink:href=/page></a></svg><p style="background:url(/y.png)"><a href=/page>x</a><img src=/1.png>`
	var got []string
	for _, l := range ParseDocument([]byte(page), "http://e.example/", nil).Requisites() {
		got = append(got, strings.TrimPrefix(l.URL, "http://e.example"))
	}
	want := []string{"/m", "/s.css", "/i.css", "/u.png", "/ie.css", "/b.png", "/1.png", "/2.png", "/3.png", "/4.png", "/p.png", "/v", "/w", "/j", "/x.svg", "/y.png"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A tag with very many attributes costs no more than a page of many tags.
func TestAttributesCountAsNodes(t *testing.T) {
	var b strings.Builder
	b.WriteString("<p")
	for i := range 300_000 {
		fmt.Fprintf(&b, " a%d", i)
	}
	b.WriteString("><a href=/a>x</a>")
	d := ParseDocument([]byte(b.String()), "http://e.example/", nil)
	if !d.Flat() || len(d.Links()) != 1 {
		t.Errorf("flat %v, %d links", d.Flat(), len(d.Links()))
	}
	for n := d.Root(); n != nil; n = next(n, d.Root()) {
		if len(n.Attr) > maxFlatAttributes {
			t.Fatalf("%d attributes", len(n.Attr))
		}
	}
}
