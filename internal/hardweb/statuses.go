package hardweb

import "strings"

// statuses are answers that are no plain page, and what becomes of them.
func statuses() (cases []Case) {
	link := "<title>here</title><a href=/a>a</a>"
	for _, c := range []struct{ code, want string }{
		{"201 Created", "=here"}, {"202 Accepted", "=here"}, {"203 Non-Authoritative Information", "=here"}, {"206 Partial Content", "=here"},
		{"207 Multi-Status", "=here"}, {"226 IM Used", "=here"}, {"299 Odd", "=here"},
		{"401 Unauthorized", "!http_401"}, {"402 Payment Required", "!http_402"}, {"403 Forbidden", "!http_403"}, {"404 Not Found", "!http_404"}, {"410 Gone", "!http_410"},
		{"451 Unavailable For Legal Reasons", "!http_451"}, {"418 I'm a teapot", "!http_418"}, {"501 Not Implemented", "!http_501"},
	} {
		cases = append(cases, from("status/"+c.code[:3], map[string]answer{"/": answerOf(c.code, "text/html", "", link), "/a": page("a")}, "/ "+c.want))
	}
	return append(cases,
		one("status/204", raw("HTTP/1.1 204 No Content\r\n\r\n"), ""),
		one("status/204 with a coding", raw("HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"), ""),
		one("status/205", raw("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"), ""),
		one("status/200 and nothing, with a coding", answerOf("200 OK", "text/html", "Content-Encoding: gzip\r\n", ""), ""),
		one("status/200 and a Location", answerOf("200 OK", "text/html", "Location: /elsewhere\r\n", link), " =here"),
		one("status/304 unasked", raw("HTTP/1.1 304 Not Modified\r\n\r\n"), " !http_304"),
		one("status/101 unasked", raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), " !protocol"),
	)
}

// moves are more ways to send a client elsewhere: by status, by Location, by
// refresh.
func moves() (cases []Case) {
	add := func(name, code, header, target string) {
		answers := map[string]answer{"/d/": func(r request) []byte {
			return answerOf(code, "text/html", strings.ReplaceAll(header, "HOST", r.host), "")(r)
		}, target: page("there")}
		c := from("redirect/"+name, answers, "/d/", target+" =there")
		c.Seed = "/d/"
		cases = append(cases, c)
	}
	for _, code := range []string{"300 Multiple Choices", "301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"} {
		add("by "+code[:3], code, "Location: /a\r\n", "/a")
	}
	const found = "302 Found"
	add("absolute", found, "Location: http://HOST/a\r\n", "/a")
	add("without a scheme", found, "Location: //HOST/a\r\n", "/a")
	add("to a query", found, "Location: ?x=1\r\n", "/d/?x=1")
	add("with a fragment", found, "Location: /a#b\r\n", "/a")
	add("with blanks around", found, "Location:   /a  \r\n", "/a")
	add("with a scheme in capitals", found, "Location: HTTP://HOST/a\r\n", "/a")
	add("with a scheme and one slash", found, "Location: http:/a\r\n", "/a")
	add("with a user", found, "Location: http://u:p@HOST/a\r\n", "/a")
	add("with a folded line", found, "Location:\r\n /a\r\n", "/a")
	add("with the header twice", found, "Location: /a\r\nLocation: /a\r\n", "/a")
	add("with a header in capitals", found, "LOCATION: /a\r\n", "/a")
	add("with an entity, which it is not", found, "Location: /f?a=1&amp;b=2\r\n", "/f?a=1&amp;b=2")
	add("with a plus and quotes", found, "Location: /a+b?q=\"c\"\r\n", "/a+b?q=%22c%22")
	add("with a caret and braces", found, "Location: /a{b}?{c}|^\r\n", "/a%7Bb%7D?{c}|^")
	add("with a blank line break before", found, "Location: \t/a\r\n", "/a")
	add("with a question mark alone", found, "Location: /a?\r\n", "/a?")
	add("by Refresh with a comma", "200 OK", "Refresh: 0,url=/a\r\n", "/a")
	add("by Refresh with blanks", "200 OK", "Refresh: 0 ; URL = /a\r\n", "/a")
	add("by Refresh with quotes", "200 OK", "Refresh: 0;url=\"/a\"\r\n", "/a")
	add("by Refresh without url", "200 OK", "Refresh: 0;/a\r\n", "/a")
	add("by Refresh of half a second", "200 OK", "Refresh: .5;url=/a\r\n", "/a")
	refresh := func(name, content, want string) {
		cases = append(cases, from("refresh/"+name, map[string]answer{
			"/": linking("<meta http-equiv=\"Refresh\" content=\"" + content + "\"><p>text"), "/a": page("a"),
		}, "/", "/a "+want))
	}
	refresh("plain", "0;url=/a", "=a")
	refresh("in capitals", "0;URL=/a", "=a")
	refresh("with a comma", "0,url=/a", "=a")
	refresh("with a blank", "0 url=/a", "=a")
	refresh("with quotes", "0; url='/a'", "=a")
	refresh("with a quote that is not closed", "0; url='/a", "=a")
	refresh("with something behind the quotes", "0; url='/a' target=x", "=a")
	refresh("without url", "0; /a", "=a")
	refresh("with a fraction", "1.5; url=/a", "=a")
	refresh("with blanks around the sign", "0;  url  =  /a", "=a")
	refresh("of nothing but a time", "30", "-")
	refresh("without a time", "url=/a", "-")
	refresh("to a script", "0;url=javascript:go('/a')", "-")
	ways := func(name string, answers map[string]answer, wants ...string) {
		cases = append(cases, from("redirect/"+name, answers, wants...))
	}
	ways("to its own fragment", map[string]answer{"/": redirectTo("/#top")}, "/ !redirect_loop")
	ways("with an empty Location", map[string]answer{"/": raw("HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n")}, "/ !bad_redirect")
	ways("of three that is a loop", map[string]answer{"/": redirectTo("/b"), "/b": redirectTo("/c"), "/c": redirectTo("/")}, "/", "/b", "/c !redirect_loop")
	ways("to what is not there", map[string]answer{"/": redirectTo("/b")}, "/", "/b !http_404")
	ways("to what robots.txt forbids", map[string]answer{"/": redirectTo("/no"), "/no": page("no"), "/robots.txt": typed("text/plain", "User-agent: *\nDisallow: /no\n")}, "/", "/no !robots")
	ways("to ftp", map[string]answer{"/": redirectTo("ftp://127.0.0.1/a")}, "/ !bad_redirect")
	ways("to a script", map[string]answer{"/": redirectTo("javascript:alert(1)")}, "/ !bad_redirect")
	ways("to data", map[string]answer{"/": redirectTo("data:text/html,hi")}, "/ !bad_redirect")
	ways("to a host that cannot be", map[string]answer{"/": redirectTo("http://a b/")}, "/ !bad_redirect")
	ways("with a body that is a page", map[string]answer{"/": answerOf("301 Moved", "text/html", "Location: /b\r\n", "<title>moved</title><a href=/c>c</a>"), "/b": page("b"), "/c": page("c")}, "/", "/b =b", "/c -")
	ways("by 300 without Location", map[string]answer{"/": answerOf("300 Multiple Choices", "text/html", "", "<title>choose</title><a href=/a>a</a>"), "/a": page("a")}, "/ =choose", "/a =a")
	ways("by 301 without Location", map[string]answer{"/": answerOf("301 Moved", "text/html", "", "<title>moved</title>")}, "/ !bad_redirect")
	ways("to another spelling of itself", map[string]answer{"/": redirectTo("/%61/"), "/%61/": page("a"), "/a/": page("a")}, "/", "/a/ =a")
	refreshes := func(name string, answers map[string]answer, wants ...string) {
		cases = append(cases, from("refresh/"+name, answers, wants...))
	}
	refreshes("to itself", map[string]answer{"/": linking("<meta http-equiv=refresh content=60><a href=/a>x</a>"), "/a": page("a")}, "/ =start", "/a =a")
	refreshes("in the body", map[string]answer{"/": linking("<body><p>x<meta http-equiv=refresh content='0;url=/a'>"), "/a": page("a")}, "/", "/a =a")
	refreshes("in noscript", map[string]answer{"/": html("<head><noscript><meta http-equiv=refresh content='0;url=/a'></noscript>"), "/a": page("a")}, "/", "/a =a")
	refreshes("in a comment", map[string]answer{"/": linking("<!--<meta http-equiv=refresh content='0;url=/a'>-->"), "/a": page("a")}, "/", "/a -")
	refreshes("of a page that lets no link be followed", map[string]answer{"/": linking("<meta name=robots content=nofollow><meta http-equiv=refresh content='0;url=/a'>"), "/a": page("a")}, "/", "/a ~follow")
	return cases
}
