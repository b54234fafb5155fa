package hardweb

import (
	"slices"
	"strings"
)

// addresses are links as authors write them, and what is asked for (URL Standard).
func addresses() (cases []Case) {
	add := func(name, href, target string) {
		answers := map[string]answer{"/d/": func(r request) []byte {
			return linking("<a href=\"" + strings.NewReplacer("HOST", r.host, "PORT", r.host[strings.LastIndexByte(r.host, ':'):]).Replace(href) + "\">x</a>")(r)
		}, target: page("there")}
		c := from("address/"+name, answers, "/d/", target+" =there")
		c.Seed = "/d/"
		cases = append(cases, c)
	}
	add("blanks around", "\n  /a \t", "/a")
	add("a blank within", "/a b", "/a%20b")
	add("a line break within", "/a\r\nb", "/ab")
	add("an ampersand as an entity", "/f?x=1&amp;y=2", "/f?x=1&y=2")
	add("an ampersand that begins no entity", "/f?x=1&copy=2&lt=3", "/f?x=1&copy=2&lt=3")
	add("a query alone", "?x=1", "/d/?x=1")
	add("a query with a blank", "/f?q=a b", "/f?q=a%20b")
	add("a query with quotes", "/f?q='a'&r=&quot;b&quot;", "/f?q=%27a%27&r=%22b%22")
	add("a query with brackets", "/f?a[]=1&b={2}|`", "/f?a[]=1&b={2}|`")
	add("a query with a question mark", "/f?a?b", "/f?a?b")
	add("a path with brackets", "/a[1]|b", "/a[1]|b")
	add("a path with braces", "/a{1}`^", "/a%7B1%7D%60%5E")
	add("a path with a semicolon", "/a;x=1,2", "/a;x=1,2")
	add("a path with an at sign", "/@user:1", "/@user:1")
	add("a path with an escaped slash", "/a%2Fb", "/a%2Fb")
	add("a path with an escaped question mark", "/a%3Fb", "/a%3Fb")
	add("a path with an escaped percent sign", "/100%25", "/100%25")
	add("a path with a bare percent sign", "/100%", "/100%")
	add("a path with a bad escape", "/a%zz", "/a%zz")
	add("an escape of half a character", "/a%E9", "/a%E9")
	add("two slashes within", "/a//b", "/a//b")
	add("dots at the start", "../../../a", "/a")
	add("dots at the end", "/x/y/..", "/x/")
	add("escaped dots", "/x/%2e%2E/a", "/a")
	add("more dots than two", "/x/.../a", "/x/.../a")
	add("a dot alone", "./a", "/d/a")
	add("letters beyond ASCII", "/ü/ж", "/%C3%BC/%D0%B6")
	add("an emoji", "/\U0001f600", "/%F0%9F%98%80")
	add("no scheme", "//HOST/a", "/a")
	add("a scheme and no slash", "http:a", "/d/a")
	add("a scheme and one slash", "http:/a", "/a")
	add("a scheme and three slashes", "http:///HOST/a", "/a")
	add("backslashes for slashes", `http:\\HOST\a`, "/a")
	add("a scheme in capitals", "HTTP://HOST/a", "/a")
	add("user and password", "http://u:p@HOST/a", "/a")
	add("a host with an empty user", "http://@HOST/a", "/a")
	add("a short IPv4 address", "http://127.1PORT/a", "/a")
	add("a hexadecimal IPv4 address", "http://0x7f.0.0.1PORT/a", "/a")
	add("an IPv4 address as one number", "http://2130706433PORT/a", "/a")
	add("an IPv4 address in wide digits", "http://１２７.０.０.１PORT/a", "/a")
	add("an escaped host", "http://%31%32%37.0.0.1PORT/a", "/a")
	add("a fragment", "/a#b?c", "/a")
	add("a fragment with a bang", "/a#!/b", "/a")
	add("a question mark alone", "/a?", "/a?")
	add("a tab in the scheme", "ht\ttp://HOST/a", "/a")
	add("a colon in the first part", "./a:b", "/d/a:b")
	add("a drive letter", "/C|/a", "/C|/a")
	add("a plus", "/a+b?c+d", "/a+b?c+d")
	add("a dollar and a star", "/a$b*c!d(e)~", "/a$b*c!d(e)~")
	add("control characters", "/a\x01b", "/a%01b")
	add("a soft hyphen", "/a\u00adb", "/a%C2%ADb")
	add("a zero-width blank", "/a\u200bb", "/a%E2%80%8Bb")
	add("a number as a decimal entity", "&#x2F;a", "/a")
	for _, c := range []struct{ name, href string }{
		{"mailto", "mailto:a@e.example"}, {"tel", "tel:+43 1"}, {"data", "data:text/html,<a href=/a>"}, {"about", "about:blank"},
		{"ftp", "ftp://HOST/a"}, {"file", "file:///a"}, {"an app's scheme", "whatsapp://send?/a"}, {"javascript", "javascript:void(0)"},
		{"javascript with blanks", " java\nscript:go('/a')"}, {"nothing", ""}, {"a fragment alone", "#a"}, {"a host that cannot be", "http://a b/a"},
		{"a port that cannot be", "http://127.0.0.1:99999/a"}, {"no host", "http://"}, {"a bracket in a host", "http://[x]/a"}, {"an IPv4 address too large", "http://999.0.0.1/a"},
	} {
		answers := map[string]answer{"/": func(r request) []byte {
			return linking("<a href=\"" + strings.ReplaceAll(c.href, "HOST", r.host) + "\">x</a><a href=/b>b</a>")(r)
		}, "/b": page("b")}
		cases = append(cases, from("address/not followed: "+c.name, answers, "/ =start", "/b =b", "/a -"))
	}
	return slices.Concat(cases, bases())
}

// bases are pages that say what their links are relative to.
func bases() (cases []Case) {
	add := func(name, body, target string) {
		answers := map[string]answer{"/d/": func(r request) []byte {
			return linking(strings.ReplaceAll(body, "HOST", r.host))(r)
		}, target: page("there")}
		c := from("base/"+name, answers, "/d/", target+" =there")
		c.Seed = "/d/"
		cases = append(cases, c)
	}
	add("absolute", "<base href='http://HOST/x/'><a href=a>x</a>", "/x/a")
	add("without a slash at its end", "<base href='/x/y'><a href=a>x</a>", "/x/a")
	add("relative", "<base href='../x/'><a href=a>x</a>", "/x/a")
	add("without a scheme", "<base href='//HOST/x/'><a href=a>x</a>", "/x/a")
	add("the first counts", "<base href=/x/><base href=/y/><a href=a>x</a>", "/x/a")
	add("the first with an address counts", "<base target=_top><base href=/y/><a href=a>x</a>", "/y/a")
	add("behind the link", "<a href=a>x</a><base href=/x/>", "/x/a")
	add("in the body", "<body><p><base href=/x/><a href=a>x</a>", "/x/a")
	add("empty", "<base href=''><a href=a>x</a>", "/d/a")
	add("of another scheme", "<base href='mailto:x'><a href=/a>x</a><a href=a>x</a>", "/a")
	add("of data", "<base href='data:text/html,x'><a href=a>x</a>", "/d/a")
	add("of a script", "<base href='javascript:x'><a href=a>x</a>", "/d/a")
	add("that cannot be", "<base href='http://a b/'><a href=a>x</a>", "/d/a")
	add("with blanks around", "<base href=' /x/ '><a href=a>x</a>", "/x/a")
	add("in a comment", "<!-- <base href=/x/> --><a href=a>x</a>", "/d/a")
	add("in a script", "<script>'<base href=/x/>'</script><a href=a>x</a>", "/d/a")
	add("in noscript", "<noscript><base href=/x/></noscript><a href=a>x</a>", "/x/a")
	add("for a fragment", "<base href='/x/y?q'><a href='#z'>x</a>", "/x/y?q")
	add("for a query", "<base href='/x/y'><a href='?z'>x</a>", "/x/y?z")
	add("for a refresh", "<base href=/x/><meta http-equiv=refresh content='0;url=a'>", "/x/a")
	return cases
}
