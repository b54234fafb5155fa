package hardweb

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// rules are more robots.txt files: how they are written and how they are sent.
func rules() (cases []Case) {
	// add is a file that forbids /no and allows /yes.
	add := func(name, file string) {
		cases = append(cases, from("robots/"+name, map[string]answer{
			"/robots.txt": typed("text/plain", file), "/": linking("<a href=/no>n</a><a href=/yes>y</a>"), "/no": page("no"), "/yes": page("yes"),
		}, "/", "/no !robots", "/yes =yes"))
	}
	add("carriage returns alone", "User-agent: *\rDisallow: /no\r")
	add("no line break at the end", "User-agent: *\nDisallow: /no")
	add("names in capitals", "USER-AGENT: *\nDISALLOW: /no\n")
	add("blanks around the colon", "User-agent : *\n  Disallow\t: /no  \n")
	add("no blank behind the colon", "User-agent:*\nDisallow:/no\n")
	add("no colon", "User-agent *\nDisallow /no\n")
	add("a comment behind the rule", "User-agent: * # all\nDisallow: /no # not this\n")
	add("an empty line between agent and rule", "User-agent: *\n\nDisallow: /no\n")
	add("an unknown line between agent and rule", "User-agent: *\nCrawl-delay: 0\nFoo: bar\nDisallow: /no\n")
	add("two agents of one group", "User-agent: x\nUser-agent: *\nDisallow: /no\n")
	add("two groups of one agent", "User-agent: *\nDisallow: /a\nUser-agent: x\nDisallow: /yes\nUser-agent: *\nDisallow: /no\n")
	add("an agent with a version", "User-agent: weir/2.0\nDisallow: /no\nUser-agent: *\nDisallow: /\n")
	add("an agent in capitals", "User-agent: WEIR\nDisallow: /no\nUser-agent: *\nDisallow: /\n")
	add("an agent that begins with ours", "User-agent: weirdo\nDisallow: /\nUser-agent: *\nDisallow: /no\n")
	add("an agent that ours begins with", "User-agent: we\nDisallow: /\nUser-agent: *\nDisallow: /no\n")
	add("a star and an end", "User-agent: *\nDisallow: /*o$\n")
	add("a star alone at the end", "User-agent: *\nDisallow: /no*\n")
	add("an end that is none", "User-agent: *\nDisallow: /no\nDisallow: /ye$\n")
	add("escapes that need none", "User-agent: *\nDisallow: /%6eo\n")
	add("allow of the same length wins", "User-agent: *\nDisallow: /no\nDisallow: /yes\nAllow: /yes\n")
	add("the longest wins in any order", "User-agent: *\nAllow: /yes\nDisallow: /\nAllow: /$\nAllow: /sitemap\n")
	add("a rule before any agent", "Disallow: /yes\nUser-agent: *\nDisallow: /no\n")
	add("a mark at the start", "\ufeffUser-agent: *\nDisallow: /no\n")
	add("a rule without a slash is none", "User-agent: *\nDisallow: yes\nDisallow: /no\n")
	add("a zero byte", "User-agent: *\nDisallow: /x\x00\nDisallow: /no\n")
	add("bytes of latin-1", "# caf\xe9\nUser-agent: *\nDisallow: /\xe9\nDisallow: /no\n")
	add("a long line first", "# "+strings.Repeat("x", 20_000)+"\nUser-agent: *\nDisallow: /no\n")
	add("HTML around", "<pre>\nUser-agent: *\nDisallow: /no\n</pre>")
	add("a thousand groups", strings.Repeat("User-agent: x\nDisallow: /yes\n\n", 1000)+"User-agent: *\nDisallow: /no\n")
	add("noindex is no rule", "User-agent: *\nNoindex: /yes\nDisallow: /no\n")
	add("content behind half a mebibyte", "User-agent: *\nDisallow: /no\n"+strings.Repeat("# "+strings.Repeat("x", 98)+"\n", 5200)+"Disallow: /yes\n")
	path := func(name, rule, href, target string) {
		cases = append(cases, from("robots/"+name, map[string]answer{
			"/robots.txt": typed("text/plain", "User-agent: *\nDisallow: "+rule+"\n"), "/": linking("<a href='" + href + "'>n</a><a href=/yes>y</a>"), target: page("no"), "/yes": page("yes"),
		}, "/", target+" !robots", "/yes =yes"))
	}
	path("a path in utf-8", "/ж", "/ж", "/%D0%B6")
	path("a path in utf-8, escaped in lower case", "/%d0%b6", "/ж", "/%D0%B6")
	path("a path in latin-1, escaped", "/%E9", "/%e9", "/%E9")
	path("a query", "/*?q=", "/a?q=1", "/a?q=1")
	path("a query of two", "/a?q=1&r=", "/a?q=1&amp;r=2", "/a?q=1&r=2")
	path("an escaped slash", "/a%2Fb", "/a%2fb", "/a%2Fb")
	path("an escaped star", "/a%2A", "/a*b", "/a*b")
	path("a tilde", "/%7Ejoe", "/~joe", "/~joe")
	path("a semicolon", "/a;", "/a;b", "/a;b")
	sent := func(name string, answers map[string]answer, want string) {
		answers["/"] = page("p")
		cases = append(cases, from("robots/"+name, answers, "/"+want))
	}
	const deny = "User-agent: *\nDisallow: /\n"
	hops := func(n int) map[string]answer {
		answers := map[string]answer{"/robots.txt": redirectTo("/r1"), fmt.Sprintf("/r%d", n): typed("text/plain", deny)}
		for i := 1; i < n; i++ {
			answers[fmt.Sprintf("/r%d", i)] = redirectTo(fmt.Sprintf("/r%d", i+1))
		}
		return answers
	}
	sent("moved once", hops(1), " !robots")
	sent("moved five times", hops(5), " !robots")
	sent("moved in a loop", map[string]answer{"/robots.txt": redirectTo("/robots.txt")}, "")
	sent("moved to the home page", map[string]answer{"/robots.txt": redirectTo("/")}, "")
	sent("moved to nowhere", map[string]answer{"/robots.txt": redirectTo("mailto:a@b.example")}, "")
	sent("moved to what is gone", map[string]answer{"/robots.txt": redirectTo("/gone")}, "")
	for _, code := range []string{"400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "406 Not Acceptable", "410 Gone", "451 Odd"} {
		sent("answered by "+code[:3], map[string]answer{"/robots.txt": status(code, deny)}, "")
	}
	sent("answered by 204", map[string]answer{"/robots.txt": raw("HTTP/1.1 204 No Content\r\n\r\n")}, "")
	sent("answered by 206", map[string]answer{"/robots.txt": answerOf("206 Partial", "text/plain", "", deny)}, " !robots")
	sent("empty", map[string]answer{"/robots.txt": typed("text/plain", "")}, "")
	sent("of no type", map[string]answer{"/robots.txt": typed("", deny)}, " !robots")
	sent("called HTML", map[string]answer{"/robots.txt": html(deny)}, " !robots")
	sent("called an image", map[string]answer{"/robots.txt": typed("image/png", deny)}, " !robots")
	sent("an attachment", map[string]answer{"/robots.txt": answerOf("200 OK", "application/force-download", "Content-Disposition: attachment\r\n", deny)}, " !robots")
	for _, c := range []string{"gzip", "br", "deflate", "zstd"} {
		sent("in "+c, map[string]answer{"/robots.txt": answerOf("200 OK", "text/plain", "Content-Encoding: "+c+"\r\n", coded(c, deny))}, " !robots")
	}
	sent("in chunks without an end", map[string]answer{"/robots.txt": raw(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n", len(deny), deny))}, " !robots")
	sent("without a length", map[string]answer{"/robots.txt": raw("HTTP/1.0 200 OK\r\n\r\n" + deny)}, " !robots")
	return cases
}

// feeds are more lists of pages: sitemaps, indexes, feeds and texts as they are met.
func feeds() (cases []Case) {
	// add is a sitemap that robots.txt names and that lists /a.
	add := func(name, contentType, file string, wants ...string) {
		cases = append(cases, from("sitemap/"+name, map[string]answer{
			"/robots.txt": func(r request) []byte { return typed("text/plain", "Sitemap: http://"+r.host+"/map\n")(r) },
			"/":           page("home"), "/a": page("a"), "/b": page("b"),
			"/map": func(r request) []byte { return typed(contentType, strings.ReplaceAll(file, "HOST", r.host))(r) },
		}, append([]string{"/", "/a =a"}, wants...)...))
	}
	const head, tail = `<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">`, `</urlset>`
	const xml = "application/xml"
	add("absolute addresses", xml, head+"<url><loc>http://HOST/a</loc></url>"+tail)
	add("blanks around an address", xml, head+"<url><loc>\n\t http://HOST/a \n</loc></url>"+tail)
	add("a CDATA section", xml, head+"<url><loc><![CDATA[http://HOST/a]]></loc></url>"+tail)
	add("an ampersand", xml, head+"<url><loc>http://HOST/f?x=1&amp;y=2</loc></url><url><loc>http://HOST/a</loc></url>"+tail, "/f?x=1&y=2 !http_404")
	add("an ampersand that is not escaped", xml, head+"<url><loc>http://HOST/f?x=1&y=2</loc></url><url><loc>http://HOST/a</loc></url>"+tail, "/f?x=1&y=2 !http_404")
	add("an entity of HTML", xml, head+"<url><loc>http://HOST/f&eacute;</loc></url><url><loc>http://HOST/a</loc></url>"+tail, "/f%C3%A9 !http_404")
	add("no namespace", xml, "<urlset><url><loc>http://HOST/a</loc></url></urlset>")
	add("another namespace", xml, "<urlset xmlns='http://www.google.com/schemas/sitemap/0.84'><url><loc>http://HOST/a</loc></url></urlset>")
	add("a prefix", xml, "<s:urlset xmlns:s='http://www.sitemaps.org/schemas/sitemap/0.9'><s:url><s:loc>http://HOST/a</s:loc></s:url></s:urlset>")
	add("capitals", xml, "<URLSET><URL><LOC>http://HOST/a</LOC></URL></URLSET>")
	add("images beside a page", xml, head+"<url><loc>http://HOST/a</loc><image:image xmlns:image='http://www.google.com/schemas/sitemap-image/1.1'><image:loc>http://HOST/i.png</image:loc></image:image></url>"+tail, "/i.png -")
	add("a video beside a page", xml, head+"<url><loc>http://HOST/a</loc><video:video xmlns:video='v'><video:player_loc>http://HOST/v</video:player_loc></video:video></url>"+tail, "/v -")
	add("alternates in other languages", xml, head+"<url><loc>http://HOST/a</loc><xhtml:link xmlns:xhtml='http://www.w3.org/1999/xhtml' rel='alternate' hreflang='de' href='http://HOST/b'/></url>"+tail)
	add("blanks before the declaration", xml, "\n\n  "+head+"<url><loc>http://HOST/a</loc></url>"+tail)
	add("a mark before the declaration", xml, "\ufeff"+head+"<url><loc>http://HOST/a</loc></url>"+tail)
	add("a comment before the root", xml, "<!-- by x --><?xml-stylesheet href='x'?><urlset><url><loc>http://HOST/a</loc></url></urlset>")
	add("a document type", xml, "<!DOCTYPE urlset [<!ENTITY x \"y\">]><urlset><url><loc>http://HOST/a</loc></url></urlset>")
	add("control characters", xml, head+"<url><loc>http://HOST/b\x01</loc></url><url><loc>http://HOST/a</loc></url>"+tail)
	add("bytes that are no utf-8", xml, head+"<!-- \xe9 --><url><loc>http://HOST/a</loc></url>"+tail)
	add("windows-1251", xml, encoded("windows-1251", "<?xml version='1.0' encoding='windows-1251'?><urlset><!-- привет --><url><loc>http://HOST/a</loc></url></urlset>"))
	add("an element that is not closed", xml, head+"<url><loc>http://HOST/a</loc><url><loc>http://HOST/b</loc></url>"+tail, "/b =b")
	add("text behind the root", xml, head+"<url><loc>http://HOST/a</loc></url>"+tail+"\n<!-- x --> junk")
	add("a warning before the declaration", xml, "<br />\n<b>Warning</b>: x in <b>y</b><br />\n"+head+"<url><loc>http://HOST/a</loc></url>"+tail)
	add("an address with letters beyond ASCII", xml, head+"<url><loc>http://HOST/ж</loc></url><url><loc>http://HOST/a</loc></url>"+tail, "/%D0%B6 !http_404")
	add("an address without a scheme", xml, head+"<url><loc>//HOST/a</loc></url>"+tail)
	add("an address that is none, then one", xml, head+"<url><loc>http://a b/</loc></url><url><loc/></url><url></url><url><loc>http://HOST/a</loc></url>"+tail)
	add("two addresses of one entry", xml, head+"<url><loc>http://HOST/a</loc><loc>http://HOST/b</loc></url>"+tail)
	add("an address of another host", xml, head+"<url><loc>http://127.0.0.2/x</loc></url><url><loc>http://HOST/a</loc></url>"+tail)
	add("gzip that no header names", xml, coded("gzip", head+"<url><loc>/a</loc></url>"+tail))
	add("gzip twice", "application/gzip", coded("gzip", coded("gzip", head+"<url><loc>/a</loc></url>"+tail)))
	add("text with a mark and blank lines", "text/plain", "\ufeff\r\n\r\nhttp://HOST/a\r\n  http://HOST/b  \r\n", "/b =b")
	add("text with carriage returns", "text/plain", "http://HOST/a\rhttp://HOST/b\r", "/b =b")
	add("text with comments", "text/plain", "# pages\nhttp://HOST/a\nhttp://HOST/b\n", "/b =b")
	add("RSS 2.0", "application/rss+xml", "<rss version='2.0'><channel><link>http://HOST/</link><item><link>http://HOST/a</link></item></channel></rss>")
	add("RSS 2.0 with a permanent guid", "application/rss+xml", "<rss version='2.0'><channel><item><guid isPermaLink='true'>http://HOST/a</guid></item></channel></rss>")
	add("RSS 1.0", "application/rdf+xml", "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'><item rdf:about='http://HOST/a'><link>http://HOST/a</link></item></rdf:RDF>")
	add("RSS with a CDATA section", "text/xml", "<rss version='2.0'><channel><item><link><![CDATA[ http://HOST/a ]]></link></item></channel></rss>")
	add("Atom with several links", "application/atom+xml", "<feed xmlns='http://www.w3.org/2005/Atom'><entry><link rel='edit' href='http://HOST/e'/><link rel='alternate' href='http://HOST/a'/></entry></feed>", "/e -")
	add("Atom whose link is relative", "application/atom+xml", "<feed xmlns='http://www.w3.org/2005/Atom'><entry><link href='a'/></entry></feed>")
	wide := binary.BigEndian.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune("<?xml version='1.0' encoding='UTF-16'?><urlset><url><loc>/a</loc></url></urlset>")) {
		wide = binary.BigEndian.AppendUint16(wide, u)
	}
	add("utf-16be", xml, string(wide))
	site := func(name, robots string, answers map[string]answer, wants ...string) {
		answers["/robots.txt"] = func(r request) []byte { return typed("text/plain", strings.ReplaceAll(robots, "HOST", r.host))(r) }
		answers["/"], answers["/a"] = page("home"), page("a")
		cases = append(cases, from("sitemap/"+name, answers, append([]string{"/", "/a =a"}, wants...)...))
	}
	set := typed(xml, head+"<url><loc>/a</loc></url>"+tail)
	site("named in lower case", "sitemap:http://HOST/m\n", map[string]answer{"/m": set})
	site("named by a path", "Sitemap: /m\n", map[string]answer{"/m": set})
	site("named among rules", "User-agent: x\nDisallow: /\nSitemap: http://HOST/m\nDisallow: /y\n", map[string]answer{"/m": set})
	site("named twice, the first gone", "Sitemap: http://HOST/gone\nSitemap: http://HOST/m\n", map[string]answer{"/m": set}, "/gone !http_404")
	site("named with a comment", "Sitemap: http://HOST/m # all\n", map[string]answer{"/m": set})
	site("moved", "Sitemap: http://HOST/old\n", map[string]answer{"/old": redirectTo("/m"), "/m": set})
	site("an index", "Sitemap: http://HOST/i\n", map[string]answer{"/i": typed(xml, "<sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><sitemap><loc>/m</loc><lastmod>2026-01-01</lastmod></sitemap></sitemapindex>"), "/m": set})
	site("an index of gzip", "Sitemap: http://HOST/i\n", map[string]answer{"/i": typed(xml, "<sitemapindex><sitemap><loc>/m.gz</loc></sitemap></sitemapindex>"), "/m.gz": typed("application/x-gzip", coded("gzip", head+"<url><loc>/a</loc></url>"+tail))})
	site("an index that names itself", "Sitemap: http://HOST/i\n", map[string]answer{"/i": typed(xml, "<sitemapindex><sitemap><loc>/i</loc></sitemap><sitemap><loc>/m</loc></sitemap></sitemapindex>"), "/m": set})
	site("an index whose parts are missing", "Sitemap: http://HOST/i\n", map[string]answer{"/i": typed(xml, "<sitemapindex><sitemap><loc>/x</loc></sitemap><sitemap><loc>/m</loc></sitemap></sitemapindex>"), "/m": set}, "/x !http_404")
	site("a set that lists sitemaps", "Sitemap: http://HOST/i\n", map[string]answer{"/i": typed(xml, "<urlset><sitemap><loc>/m</loc></sitemap></urlset>"), "/m": set})
	site("forbidden by robots.txt", "Sitemap: http://HOST/m\nSitemap: http://HOST/n\nUser-agent: *\nDisallow: /n\n", map[string]answer{"/m": set, "/n": set}, "/n !robots")
	return cases
}
