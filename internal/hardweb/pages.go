package hardweb

// markup is what pages say of themselves and of others.
func markup() (cases []Case) {
	says := func(name, header, head, want string) {
		cases = append(cases, one("canonical/"+name, answerOf("200 OK", "text/html", header, "<!doctype html><head><title>t</title>"+head+"</head><body>x"), want))
	}
	says("relative", "", "<link rel=canonical href=/c>", " @/c")
	says("in capitals", "", "<LINK REL='CANONICAL' HREF='/c'>", " @/c")
	says("one of several relations", "", "<link rel='x canonical' href=/c>", " @/c")
	says("with a base", "", "<base href=/b/><link rel=canonical href=c>", " @/b/c")
	says("before the base", "", "<link rel=canonical href=c><base href=/b/>", " @/b/c")
	says("with a fragment", "", "<link rel=canonical href=/c#d>", " @/c")
	says("by the header", "Link: </c>; rel=canonical\r\n", "", " @/c")
	says("by the header, quoted", "Link: </x>; rel=next, </c>; rel=\"canonical\"\r\n", "", " @/c")
	says("empty", "", "<link rel=canonical href=''>", " @")
	says("of another scheme", "", "<link rel=canonical href='mailto:a'>", " @")
	says("in the body does not count", "", "</head><body><a rel=canonical href=/c>x</a>", " @")
	says("in a comment", "", "<!--<link rel=canonical href=/c>-->", " @")
	says("two that differ are none", "", "<link rel=canonical href=/c><link rel=canonical href=/d>", " @")
	says("two that agree", "", "<link rel=canonical href=/c><link rel=canonical href='/x/../c'>", " @/c")

	link := func(name, body, want string) {
		cases = append(cases, from("link/"+name, map[string]answer{"/": linking(body), "/a": page("a")}, "/", "/a "+want))
	}
	link("in capitals", "<A HREF=/a>x</A>", "=a")
	link("without quotes, with a slash", "<a href=/a/>x</a><a href=/a>y</a>", "=a")
	link("with blanks around the sign", "<a href = '/a'>x</a>", "=a")
	link("whose tag is not closed", "<a href=/a>x<p>y", "=a")
	link("whose tag is cut", "<p>x</p><a href=/a", "-")
	link("within a link", "<a href=/b>x<a href=/a>y</a></a>", "=a")
	link("within a button", "<button><a href=/a>x</a></button>", "=a")
	link("within a table, misplaced", "<table><a href=/a>x</a><tr><td>y</table>", "=a")
	link("behind the body", "<body>x</body></html><a href=/a>y</a>", "=a")
	link("with the attribute twice", "<a href=/a href=/b>x</a>", "=a")
	link("with an attribute that is broken", "<a \"' href=/a>x</a>", "=a")
	link("with a quote that is not closed", "<a href='/a>x</a>", "-")
	link("behind a broken comment", "<!-- x --!><a href=/a>x</a>", "=a")
	link("behind an empty comment", "<!--><a href=/a>x</a>", "=a")
	link("behind a conditional comment", "<![if IE]><a href=/a>x</a><![endif]>", "=a")
	link("behind a processing instruction", "<?php echo 1 ?><a href=/a>x</a>", "=a")
	link("behind a zero byte", "x\x00<a href=/a>x</a>", "=a")
	link("within ten thousand elements", deep(10_000, "<a href=/a>x</a>"), "=a")
	link("behind a script that is not closed", "<script>if (a<b) {<a href=/a>x</a>", "-")
	link("behind a style", "<style>a{}</style><a href=/a>x</a>", "=a")
	link("behind a title that is not closed", "</title><a href=/a>x</a>", "=a")
	link("in noframes", "<noframes><a href=/a>x</a></noframes>", "-")
	link("in xmp", "<xmp><a href=/a>x</a></xmp>", "-")
	link("in math", "<math><mi href=/b>x</mi></math><a href=/a>x</a>", "=a")
	link("in a foreign object", "<svg><foreignObject><a href=/a>x</a></foreignObject></svg>", "=a")
	link("in a select", "<select><option><a href=/a>x</a></select><p>", "=a")
	link("in a dialog and details", "<dialog><details><a href=/a>x</a></details></dialog>", "=a")
	link("hidden", "<div hidden style='display:none'><a href=/a>x</a></div>", "=a")
	link("with sponsored and nofollow", "<a rel='sponsored nofollow' href=/a>x</a>", "~nofollow")
	link("with nofollow, then without", "<a rel=nofollow href=/a>x</a><a href=/a>y</a>", "=a")
	link("with ugc", "<a rel=ugc href=/a>x</a>", "~nofollow")
	link("with noopener", "<a rel='noopener noreferrer' href=/a>x</a>", "=a")
	link("with download", "<a download href=/a>x</a>", "=a")
	link("with ping", "<a ping=/b href=/a>x</a>", "=a")
	link("of an alternate", "<link rel=alternate hreflang=de href=/a>", "=a")
	link("of prev", "<link rel=prev href=/a>", "=a")
	link("of a style sheet is none", "<link rel=stylesheet href=/a>", "-")
	link("of an icon is none", "<link rel='shortcut icon' href=/a>", "-")
	link("of preconnect is none", "<link rel=preconnect href=/a>", "-")
	link("of a manifest is none", "<link rel=manifest href=/a>", "-")
	link("of an image is none", "<img src=/a>", "-")
	link("of a script is none", "<script src=/a></script>", "-")
	link("of a data attribute is none", "<div data-href=/a>x</div>", "-")
	link("of onclick is none", "<div onclick=\"location='/a'\">x</div>", "-")
	link("of an image map", "<img usemap=#m><map name=m><area shape=rect href=/a></map>", "=a")
	link("of a frame in noframes' place", "<frameset><frame src='/a'></frameset>", "=a")
	cases = append(cases, from("link/of a form with fields", map[string]answer{
		"/": linking("<form action=/a><input name=q value='x y'><input type=submit></form>"), "/a?q=x+y": page("a"),
	}, "/", "/a?q=x+y =a"))
	link("of an object whose type has parameters", "<object data=/a type='text/html; charset=utf-8'></object>", "=a")
	link("of a portal", "<iframe src='about:blank'></iframe><a href=/a>x</a>", "=a")
	link("of an iframe that loads late", "<iframe loading=lazy src=/a></iframe>", "=a")

	cases = append(cases, from("link/of Content-Location", map[string]answer{
		"/": answerOf("201 Created", "text/html", "Content-Location: /a\r\n", "<title>t</title>"), "/a": page("a"),
	}, "/ =t", "/a =a"))

	robots := func(name, header, meta, want string) {
		cases = append(cases, from("instructions/"+name, map[string]answer{
			"/": answerOf("200 OK", "text/html", header, "<title>t</title>"+meta+"<a href=/a>x</a>"), "/a": page("a"),
		}, "/", "/a "+want))
	}
	robots("two metas", "", "<meta name=robots content=noindex><meta name=robots content=nofollow>", "~follow")
	robots("a meta with commas", "", "<meta name=robots content='NOINDEX,NOFOLLOW,NOARCHIVE'>", "~follow")
	robots("a meta with semicolons", "", "<meta name=robots content='noindex; nofollow'>", "~follow")
	robots("a meta in the body", "", "<body><meta name=robots content=nofollow>", "~follow")
	robots("a meta for this one", "", "<meta name=weir content=nofollow>", "~follow")
	robots("a meta for this one, in capitals", "", "<META NAME=Weir CONTENT=NoFollow>", "~follow")
	robots("follow and nofollow", "", "<meta name=robots content='follow, nofollow'>", "~follow")
	robots("all", "", "<meta name=robots content=all>", "=a")
	robots("index, follow", "X-Robots-Tag: index, follow\r\n", "", "=a")
	robots("a meta in a comment", "", "<!--<meta name=robots content=nofollow>-->", "=a")
	robots("a word that begins so", "", "<meta name=robots content=nofollows>", "=a")
	robots("two headers", "X-Robots-Tag: noindex\r\nX-Robots-Tag: nofollow\r\n", "", "~follow")
	robots("a header in capitals", "x-robots-tag: NOINDEX, NOFOLLOW\r\n", "", "~follow")
	robots("a header for another, then for all", "X-Robots-Tag: otherbot: noindex\r\nX-Robots-Tag: nofollow\r\n", "", "~follow")
	robots("a header with a date", "X-Robots-Tag: unavailable_after: 25 Jun 2040 15:00:00 PST, nofollow\r\n", "", "~follow")
	robots("a header with limits", "X-Robots-Tag: max-snippet: 20, nofollow\r\n", "", "~follow")
	robots("a property instead of a name", "", "<meta property=robots content=nofollow>", "=a")
	robots("none in another word", "", "<meta name=robots content='max-snippet:none'>", "=a")
	return cases
}

// deep is a body within so many elements.
func deep(n int, body string) string {
	b := make([]byte, 0, 5*n+len(body))
	for range n {
		b = append(b, "<div>"...)
	}
	return string(append(b, body...))
}
