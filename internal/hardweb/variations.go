package hardweb

import "strings"

// variations are further ways to write what the other cases have.
func variations() (cases []Case) {
	const ok, body = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", "<!doctype html><title>right</title>"
	add := func(name string, answers map[string]answer, wants ...string) {
		if answers["/a"] == nil {
			answers["/a"] = page("a")
		}
		cases = append(cases, from(name, answers, wants...))
	}
	refresh := func(name, meta, want string) {
		add("refresh/"+name, map[string]answer{
			"/": func(r request) []byte { return linking(strings.ReplaceAll(meta, "HOST", r.host) + "<p>text")(r) }, "/a?b=1&c=2": page("a"),
		}, "/", want)
	}
	refresh("without any quotes", "<META HTTP-EQUIV=REFRESH CONTENT=0;URL=/a>", "/a =a")
	refresh("with an entity", "<meta http-equiv=refresh content='0;url=/a?b=1&amp;c=2'>", "/a?b=1&c=2")
	refresh("with a line break", "<meta http-equiv=refresh content='0;\nurl=/a\n'>", "/a =a")
	refresh("with a tab", "<meta http-equiv=refresh content='0;\turl=\t/a'>", "/a =a")
	refresh("with the content first", "<meta content='0;url=/a' http-equiv=refresh>", "/a =a")
	refresh("without a scheme", "<meta http-equiv=refresh content='0;url=//HOST/a'>", "/a =a")
	refresh("with a time of many digits", "<meta http-equiv=refresh content='3600000; url=/a'>", "/a =a")
	refresh("with backslashes", "<meta http-equiv=refresh content='0;url=\\a'>", "/a =a")
	refresh("in an svg, which it ends", "<svg><meta http-equiv=refresh content='0;url=/a'></svg>", "/a =a")
	refresh("in a template is none", "<template><meta http-equiv=refresh content='0;url=/a'></template>", "/a -")
	refresh("in a textarea is none", "<textarea><meta http-equiv=refresh content='0;url=/a'></textarea>", "/a -")

	xhtml := func(name, head, text string, wants ...string) {
		add("xhtml/"+name, map[string]answer{"/": typed("application/xhtml+xml",
			"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head>"+head+"</head><body>"+text+"</body></html>")}, wants...)
	}
	xhtml("an empty script", "<script src='x.js'/><title>right</title>", "<a href='/a'>x</a>", "/ =right", "/a =a")
	xhtml("an empty style", "<style/><title>right</title>", "<a href='/a'>x</a>", "/ =right", "/a =a")
	xhtml("an empty title", "<title/>", "<a href='/a'>x</a>", "/", "/a =a")
	xhtml("an empty frame", "<title>right</title>", "<iframe src='/b'/><a href='/a'>x</a>", "/ =right", "/a =a")
	xhtml("an empty textarea", "<title>right</title>", "<textarea/><a href='/a'>x</a>", "/ =right", "/a =a")
	xhtml("an empty anchor", "<title>right</title>", "<a href='/a'/>", "/ =right", "/a =a")
	xhtml("an empty paragraph", "<title>right</title>", "<p/><a href='/a'>x</a>", "/ =right", "/a =a")
	xhtml("a section of text with a link in it", "<title>right</title>", "<![CDATA[<a href='/no'>x</a>]]><a href='/a'>x</a>", "/ =right", "/a =a", "/no -")
	xhtml("a script in a section of text", "<title>right</title><script><![CDATA[ if (a<b) document.write('<a href=/no>'); ]]></script>", "<a href='/a'>x</a>", "/ =right", "/a =a", "/no -")
	xhtml("a title in a section of text", "<title><![CDATA[right]]></title>", "<a href='/a'>x</a>", "/ =right", "/a =a")
	xhtml("an entity of HTML", "<title>right&nbsp;</title>", "<a href='/a'>&eacute;</a>", "/", "/a =a")
	xhtml("an empty base", "<base href='/b/'/><title>right</title>", "<a href='../a'>x</a>", "/ =right", "/a =a")

	base := func(name, element, href string, wants ...string) {
		add("base/"+name, map[string]answer{"/": linking(element + "<a href='" + href + "'>x</a>")}, append([]string{"/"}, wants...)...)
	}
	base("of a target alone", "<base target=_blank>", "a", "/a =a")
	base("a target alone, then an address", "<base target=_blank><base href=/b/>", "../a", "/a =a")
	base("with a fragment", "<base href='/#x'>", "a", "/a =a")
	base("with a query", "<base href='/b?x=/y/'>", "a", "/a =a")
	base("with backslashes", "<base href='\\b\\'>", "..\\a", "/a =a")
	base("with a file", "<base href='/b/c.html'>", "../a", "/a =a")
	base("of dots", "<base href='./b/.././'>", "a", "/a =a")
	base("with line breaks", "<base href='/\nb\n/'>", "../a", "/a =a")

	move := func(name, location string, want string) {
		add("redirect/"+name, map[string]answer{"/": func(r request) []byte {
			return []byte("HTTP/1.1 302 Found\r\nLocation:" + strings.ReplaceAll(location, "HOST", r.host) + "\r\nContent-Length: 0\r\n\r\n")
		}}, "/", want)
	}
	move("no blank behind the colon", "/a", "/a =a")
	move("with backslashes for all slashes", " http:\\\\HOST\\a", "/a =a")
	move("with dots that lead too far", " /../../b/../a", "/a =a")
	move("with an escaped dot", " /b/%2e%2e/a", "/a =a")
	move("with a tab within", " /\ta", "/a =a")
	move("of a semicolon", " ;a", "/;a !http_404")
	move("of a fragment with a bang", " /a#!/x", "/a =a")

	lines := func(name, sent string) { cases = append(cases, one("http/"+name, raw(sent), " =right")) }
	lines("a type that is folded", "HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n charset=utf-8\r\n\r\n"+body)
	lines("a length that is too small for a title that is not cut", ok+"Content-Length: 36\r\n\r\n"+body+strings.Repeat(" ", 50))
	lines("early hints with headers", "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nContent-Length: 5\r\n\r\n"+ok+"\r\n"+body)
	lines("line feeds and chunks", "HTTP/1.1 200 OK\nContent-Type: text/html\nTransfer-Encoding: chunked\n\n23\n"+body+"\n0\n\n")
	lines("chunks in version 1.1 with capitals", ok+"TRANSFER-ENCODING: Chunked\r\n\r\n23\r\n"+body+"\r\n0\r\n\r\n")
	lines("a trailer that names a type", ok+"Transfer-Encoding: chunked\r\nTrailer: Content-Type\r\n\r\n23\r\n"+body+"\r\n0\r\nContent-Type: image/png\r\n\r\n")

	coding := func(name, label, sent string) {
		cases = append(cases, one("coding/"+name, answerOf("200 OK", "text/html", "Content-Encoding: "+label+"\r\n", sent), " =right"))
	}
	coding("gzip twice, named twice", "gzip, gzip", coded("gzip", coded("gzip", body)))
	coding("GZIP in capitals", "GZIP", coded("gzip", body))
	coding("x-deflate", "x-deflate", coded("deflate", body))
	coding("deflate then br", "deflate, br", coded("br", coded("deflate", body)))
	coding("none", "none", body)
	coding("br, gzip, of which the last was done", "br, gzip", coded("gzip", body))

	rules := func(name, contentType string, file string) {
		add("robots/"+name, map[string]answer{
			"/robots.txt": typed(contentType, file), "/": linking("<a href=/no>n</a><a href=/a>y</a>"), "/no": page("no"),
		}, "/", "/no !robots", "/a =a")
	}
	const forbids = "User-agent: *\nDisallow: /no\n"
	rules("utf-16be with a mark", "text/plain", "\xfe\xff"+wide(forbids, true))
	rules("utf-16le with a mark", "text/plain; charset=utf-8", "\xff\xfe"+wide(forbids, false))
	rules("a mark, then an empty line", "text/plain", "\ufeff\n"+forbids)
	rules("gzip twice, not named", "text/plain", coded("gzip", coded("gzip", forbids)))
	rules("tabs", "text/plain", "User-agent:\t*\nDisallow:\t/no\n")
	rules("zero bytes between lines", "text/plain", "User-agent: *\n\x00\nDisallow: /no\n")
	rules("vertical tabs and form feeds", "text/plain", "\fUser-agent: *\n\fDisallow: /no\n")

	robots := func(name, header, meta, want string) {
		cases = append(cases, from("instructions/"+name, map[string]answer{
			"/": answerOf("200 OK", "text/html", header, "<title>t</title>"+meta+"<a href=/a>x</a>"), "/a": page("a"),
		}, "/", "/a "+want))
	}
	robots("a header for another with several words", "X-Robots-Tag: otherbot: noindex, nofollow\r\n", "", "=a")
	robots("a header for another, then for us in one line", "X-Robots-Tag: otherbot: noindex, weir: nofollow\r\n", "", "~follow")
	robots("a header for us with a version", "X-Robots-Tag: Weir: nofollow\r\n", "", "~follow")
	robots("a header with a date that has a comma", "X-Robots-Tag: unavailable_after: Tue, 25 Jun 2041 15:00:00 GMT, nofollow\r\n", "", "~follow")
	robots("a meta for another", "", "<meta name=otherbot content=nofollow>", "=a")
	robots("a meta with line breaks", "", "<meta name='robots' content='noindex,\n nofollow'>", "~follow")
	robots("a meta with an entity", "", "<meta name=robots content='no&#102;ollow'>", "~follow")
	robots("a meta with blanks around its name", "", "<meta name=' robots ' content=nofollow>", "~follow")
	robots("a meta in a template", "", "<template><meta name=robots content=nofollow></template>", "=a")
	return cases
}

// wide is text in UTF-16 without a mark.
func wide(s string, big bool) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if big {
			b.Write([]byte{0, c})
		} else {
			b.Write([]byte{c, 0})
		}
	}
	return b.String()
}
